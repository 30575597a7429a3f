//! The studies of the original's notebooks, and the tables and pictures they leave.

use std::path::Path;

use crate::artifact::Manifest;
use crate::dataset::{DatasetDict, Split};
use crate::error::{Error, Result, presence};

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

/// Note the digest of the data's `test` split, where `datasets` left its state.
fn add_data(manifest: &mut Manifest, data: &Path) -> Result<()> {
    add_split(manifest, data, "test")
}

/// Note the digest of one split, where `datasets` left its state.
pub(super) fn add_split(manifest: &mut Manifest, data: &Path, split: &str) -> Result<()> {
    let state = data.join(split).join("state.json");
    if presence::is_file(&state)? {
        manifest.add_input(&state)?;
    }
    Ok(())
}

/// Note the digests of a checkpoint's configuration and weights.
pub(super) fn add_checkpoint(manifest: &mut Manifest, folder: &Path) -> Result<()> {
    for name in ["config.json", "model.safetensors", "pytorch_model.bin"] {
        let path = folder.join(name);
        if presence::is_file(&path)? {
            manifest.add_input(&path)?;
        }
    }
    Ok(())
}
