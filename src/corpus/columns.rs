//! The columns of a table, whatever its format: `text` and `label`, and where they are there `idx`
//! and `category`.

use std::borrow::Cow;
use std::path::Path;

use crate::error::{Error, Result};

/// The places of the columns among the names of a table.
pub(super) struct Columns {
    /// The review.
    pub(crate) text: usize,
    /// Its class.
    pub(crate) label: usize,
    /// Its number.
    pub(crate) idx: Option<usize>,
    /// Its category.
    pub(crate) category: Option<usize>,
}

impl Columns {
    /// Find them among the `names` at `place` in the table `path`, whatever their case; `hint` says
    /// what else may be wrong when they are missing.
    ///
    /// # Errors
    /// [`Error::Malformed`] when `text` or `label` is missing or several columns have one of the
    /// names.
    pub(crate) fn find<S: AsRef<str>>(
        path: &Path,
        place: &str,
        names: &[S],
        hint: &str,
    ) -> Result<Self> {
        let find = |name| find_column(path, place, names, name);
        let need = |name| {
            find(name)?.ok_or_else(|| {
                let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
                let found = format!("columns {}", names.join(", "));
                let expected = format!("columns `text` and `label`{hint}");
                Error::malformed(path, place, found, expected)
            })
        };
        Ok(Self {
            text: need("text")?,
            label: need("label")?,
            idx: find("idx")?,
            category: find("category")?,
        })
    }
}

/// What an `idx` must be, for messages.
pub(super) const IDX: &str =
    "a whole number from -2147483648 to 2147483647: the column of the prepared data has 32 bits";

/// The place of the column `name` among the `names` of a table, whatever its case.
///
/// # Errors
/// [`Error::Malformed`] when several columns have the name.
pub(super) fn find_column<S: AsRef<str>>(
    path: &Path,
    place: &str,
    names: &[S],
    name: &str,
) -> Result<Option<usize>> {
    let of_name = |other: &S| other.as_ref().trim().eq_ignore_ascii_case(name);
    let mut places = (0..names.len()).filter(|&i| of_name(&names[i]));
    match (places.next(), places.next()) {
        (Some(first), Some(second)) => {
            let [first, second] = [first, second].map(|i| names[i].as_ref());
            let found = format!("the columns `{first}` and `{second}`");
            let expected = format!("one column `{name}`: give the other one another name");
            Err(Error::malformed(path, place, found, expected))
        }
        (found, _) => Ok(found),
    }
}

/// The category that a row names; a blank names none.
pub(super) fn category(word: &str) -> Option<Cow<'static, str>> {
    let word = word.trim();
    (!word.is_empty()).then(|| word.to_owned().into())
}

/// The number of a row of the table `path` as its `idx`.
///
/// # Errors
/// [`Error::Malformed`] past what an int32 holds.
pub(super) fn number(path: &Path, row: usize) -> Result<i32> {
    let too_many = |_| Error::malformed(path, format!("row {row}"), "too many rows", IDX);
    i32::try_from(row).map_err(too_many)
}
