//! The categories of FLUE CLS, which no column names.

use super::Split;
use crate::error::Result;

/// The categories of FLUE CLS, in the order of its rows.
pub const CATEGORIES: [&str; 3] = ["books", "dvd", "music"];

impl Split {
    /// The category of each row. The reader of FLUE CLS numbers (`idx`) the reviews of every category from 1, so a new one begins
    /// wherever the number does not rise; `None` for data that does not fall into three parts in this way.
    ///
    /// # Errors
    /// What reading a row gives.
    pub fn categories(&self) -> Result<Option<Vec<&'static str>>> {
        let (mut part, mut last) = (0, i32::MIN);
        let mut parts = Vec::with_capacity(self.len());
        for example in self.iter() {
            let idx = example?.idx;
            part += usize::from(idx <= last);
            last = idx;
            match CATEGORIES.get(part) {
                Some(name) => parts.push(*name),
                None => return Ok(None),
            }
        }
        Ok((part + 1 == CATEGORIES.len()).then_some(parts))
    }
}
