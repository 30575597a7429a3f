//! One flag for the whole process: a signal raises it, long loops look at it between two units of
//! work.

use std::sync::atomic::{AtomicI32, Ordering};

use super::{Error, Result};

static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Ask every running loop to stop at its next safe point. Async-signal-safe.
pub(crate) fn raise(signal: i32) {
    SIGNAL.store(signal, Ordering::SeqCst);
}

/// The signal that was raised, if any.
pub(crate) fn raised() -> Option<i32> {
    match SIGNAL.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(signal),
    }
}

/// Fail when a signal was raised. Long loops call it once per unit of work (a batch, a chunk of
/// rows).
///
/// # Errors
/// [`Error::Interrupted`] with the number of the signal.
pub(crate) fn check() -> Result<()> {
    match raised() {
        None => Ok(()),
        Some(signal) => Err(Error::Interrupted { signal }),
    }
}

/// The usual name of a signal.
pub(super) fn name(signal: i32) -> String {
    match signal {
        2 => "SIGINT".into(),
        10 => "SIGUSR1".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}
