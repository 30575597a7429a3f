//! What threads need to encode, lent to one at a time: buffers that have grown and words that were met stay.

use std::sync::{Mutex, PoisonError};

/// Values lent to whoever encodes; there are never more than were in use at once.
pub(crate) struct Pool<T>(Mutex<Vec<Box<T>>>);

impl<T: Default> Pool<T> {
    /// An empty pool: values are made when they are first asked for.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Lend a value to `work`.
    pub(crate) fn lend<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut value = idle.unwrap_or_default();
        let result = work(&mut value);
        lock().push(value);
        result
    }
}
