//! The categories of the rows of a split: those of a column `category`, or the three of FLUE CLS, which no column names.

use super::Split;
use crate::error::Result;

/// The categories of FLUE CLS, in the order of its rows.
const FLUE_CATEGORIES: [&str; 3] = ["books", "dvd", "music"];

/// The most categories by which figures are told apart.
const MOST_CATEGORIES: usize = 100;

/// The categories of the rows of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// In the order in which they first appear.
    names: Vec<String>,
    /// The place in `names` of each row's, where it has one.
    of_row: Vec<Option<usize>>,
}

impl Categories {
    /// Their names, in the order in which they first appear.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The category of a row, as a place in [`names`](Self::names).
    pub fn place(&self, row: usize) -> Option<usize> {
        self.of_row[row]
    }

    /// The name of the category of a row.
    pub fn name(&self, row: usize) -> Option<&str> {
        self.of_row[row].map(|place| self.names[place].as_str())
    }
}

impl Split {
    /// The category of each row: that of the column `category`, or, where the data is known to be FLUE CLS, the part of its three
    /// in which the row lies; `None` for other data. FLUE's reader numbers (`idx`) the reviews of each part 1, 2, 3, …, and rows
    /// that are not whole parts in this order have no category.
    ///
    /// # Errors
    /// What reading a row gives.
    pub fn categories(&self) -> Result<Option<Categories>> {
        if self.has_categories() {
            self.categories_of_column()
        } else if self.is_flue() {
            self.parts_of_flue()
        } else {
            Ok(None)
        }
    }

    fn categories_of_column(&self) -> Result<Option<Categories>> {
        let mut names: Vec<String> = Vec::new();
        let mut of_row = Vec::with_capacity(self.len());
        for example in self.iter() {
            let place = example?.category.map(|name| {
                let known = names.iter().position(|other| other == name);
                known.unwrap_or_else(|| {
                    names.push(name.to_string());
                    names.len() - 1
                })
            });
            of_row.push(place);
            if names.len() > MOST_CATEGORIES {
                tracing::warn!(
                    "{}: the column `category` has more than {MOST_CATEGORIES} different values; no figures by category",
                    self.folder().display()
                );
                return Ok(None);
            }
        }
        Ok((!names.is_empty()).then_some(Categories { names, of_row }))
    }

    fn parts_of_flue(&self) -> Result<Option<Categories>> {
        let (mut part, mut last) = (0, 0);
        let mut of_row = Vec::with_capacity(self.len());
        for example in self.iter() {
            let idx = i64::from(example?.idx);
            match idx {
                _ if idx == last + 1 => {}
                1 if part + 1 < FLUE_CATEGORIES.len() => part += 1,
                _ => return Ok(None),
            }
            last = idx;
            of_row.push(Some(part));
        }
        let whole = part + 1 == FLUE_CATEGORIES.len();
        let names = FLUE_CATEGORIES.map(String::from).to_vec();
        Ok(whole.then_some(Categories { names, of_row }))
    }
}
