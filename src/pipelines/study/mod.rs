//! The studies of the original's notebooks, and the tables and pictures they leave.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::artifact::Manifest;
use crate::dataset::{DatasetDict, Split};
use crate::error::{Error, Result};

pub mod cls;
pub mod compare;
pub mod cone;
pub mod convergence;
pub mod export;
pub mod layers;
pub mod models;

mod arrays;
pub(crate) mod charts;
mod measures;
mod spool;
mod statistics;
mod table;

/// How many of the first rows a statistic looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// The first N, or all when there are fewer.
    First(usize),
    /// Every row.
    All,
}

impl Count {
    /// The number of rows out of `available`.
    pub fn of(self, available: usize) -> usize {
        match self {
            Count::First(n) => n.min(available),
            Count::All => available,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::First(n) => write!(f, "{n}"),
            Count::All => f.write_str("all"),
        }
    }
}

impl FromStr for Count {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "all" => Ok(Count::All),
            number => number
                .parse()
                .ok()
                .filter(|n| *n > 0)
                .map(Count::First)
                .ok_or_else(|| {
                    Error::Usage(format!("{text:?}: expected a number above 0, or all"))
                }),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

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
    if state.is_file() {
        manifest.add_input(&state)?;
    }
    Ok(())
}

/// Note the digests of a checkpoint's configuration and weights.
pub(super) fn add_checkpoint(manifest: &mut Manifest, folder: &Path) -> Result<()> {
    for name in ["config.json", "model.safetensors", "pytorch_model.bin"] {
        let path = folder.join(name);
        if path.is_file() {
            manifest.add_input(&path)?;
        }
    }
    Ok(())
}
