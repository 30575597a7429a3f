//! The studies of the original's notebooks, and the tables and pictures they leave.

use std::path::Path;

use crate::artifact::Inputs;
use crate::dataset::{DatasetDict, Split};
use crate::error::{Error, Result};
use crate::pipelines::inputs::{Reads, add_checkpoint, add_splits};

pub mod arrays;
pub mod cls;
pub mod compare;
pub mod cone;
pub mod convergence;
pub mod export;
pub mod layers;

pub(crate) mod charts;
mod measures;
mod settings;
mod spool;
mod statistics;
mod table;

pub use settings::{Amounts, Count, Execution};

/// The `test` split of the data, of at least one row.
fn test_split(data: &Path) -> Result<Split> {
    let split = DatasetDict::open(data)?.split("test")?;
    if split.is_empty() {
        return Err(Error::malformed(
            data,
            "split test",
            "no row",
            "at least one sentence",
        ));
    }
    Ok(split)
}

/// What a study reads: the models called so, from these folders, and the data's `test` split.
///
/// # Errors
/// Those of finding the files.
pub(super) fn inputs(models: &[(&str, &Path)], data: &Path) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for (name, folder) in models {
        add_checkpoint(&mut inputs, name, folder, Reads::Model)?;
    }
    add_splits(&mut inputs, data, &["test"])?;
    Ok(inputs)
}
