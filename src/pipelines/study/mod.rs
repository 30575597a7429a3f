//! The studies of the original's notebooks, and the tables and pictures they leave.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::artifact::{Inputs, Manifest};
use crate::dataset::{DatasetDict, Split};
use crate::error::{Error, Result};
use crate::files::AtomicDir;
use crate::hub::HubOptions;
use crate::pipelines::inputs::{Reads, add_checkpoint, add_splits};

pub(crate) mod arrays;
pub(crate) mod cls;
pub(crate) mod compare;
pub(crate) mod cone;
pub(crate) mod convergence;
pub(crate) mod export;
pub(crate) mod layers;

pub(crate) mod charts;
mod measures;
mod spool;
mod statistics;
mod table;

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

/// The manifest of a study with these settings, made from `inputs`.
fn manifest(study: &str, settings: &impl Serialize, inputs: &Inputs) -> Result<Manifest> {
    let settings = serde_json::to_value(settings).map_err(Error::compute("manifest"))?;
    let mut manifest = Manifest::new(&format!("study {study}"), settings);
    manifest.add_inputs(inputs)?;
    Ok(manifest)
}

/// Leave the manifest in the output and give this its name.
fn leave(out: AtomicDir, manifest: &Manifest) -> Result<()> {
    manifest.write(&out.path().join("manifest.json"))?;
    out.commit()
}

/// How a study runs its models: it changes time, memory and place, not the figures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Execution {
    /// Sentences per forward pass.
    pub(crate) batch_size: usize,
    /// Where tensors live; the best device compiled in without it.
    pub(crate) device: Option<String>,
    /// Where a checkpoint's name is looked up.
    #[serde(skip)]
    pub(crate) hub: HubOptions,
    /// Replace an output that exists.
    #[serde(skip)]
    pub(crate) overwrite: bool,
}

/// What the statistics by layer look at.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Amounts {
    /// Rows whose cosines are taken.
    pub(crate) cosine_sentences: Count,
    /// Rows whose covariance is taken.
    pub(crate) trace_sentences: Count,
    /// Rows whose tokens are stacked for the effective rank.
    pub(crate) erank_sentences: Count,
    /// Rows of the further measures; as many as the largest of the three without it.
    pub(crate) measure_sentences: Option<Count>,
    /// Take the further measures at all.
    pub(crate) measures: bool,
    /// Decides the sample of tokens and the bootstrap.
    pub(crate) seed: u64,
}

/// How many of the first rows a statistic looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// The first N, or all when there are fewer.
    First(usize),
    /// Every row.
    All,
}

impl Count {
    /// The number of rows out of `available`.
    pub(crate) fn of(self, available: usize) -> usize {
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
