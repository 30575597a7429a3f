//! Work cut into shards: which rows one takes.

use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Rows that are computed and stored together where a model runs over them.
pub const CHUNK_ROWS: usize = 64;

/// The most shards that work can be cut into.
pub(super) const MOST_SHARDS: usize = 1 << 16;

/// One shard of a number of them: the rows `index`, `index + count`, ... or, where a model runs over them,
/// chunks of rows in this manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// The shard of a task of a SLURM job array, when there is one:
    /// (`SLURM_ARRAY_TASK_ID` − `_MIN`) / `_STEP` of `_COUNT`. `variable` looks up the environment.
    ///
    /// # Errors
    /// [`Error::Usage`] when a variable is no number or they do not fit together.
    pub fn from_slurm(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let number = |name: &str, default: Option<usize>| -> Result<usize> {
            let name = format!("SLURM_ARRAY_TASK_{name}");
            match (variable(&name), default) {
                (Some(word), _) => word.trim().parse().map_err(|_| {
                    Error::Usage(format!(
                        "{name} is {word:?}, which is no number: pass --shard i/N"
                    ))
                }),
                (None, Some(default)) => Ok(default),
                (None, None) => Err(Error::Usage(format!(
                    "SLURM_ARRAY_TASK_ID is set but {name} is not: pass --shard i/N"
                ))),
            }
        };
        if variable("SLURM_ARRAY_TASK_ID").is_none() {
            return Ok(None);
        }
        let (id, count) = (number("ID", None)?, number("COUNT", None)?);
        let (min, step) = (number("MIN", Some(0))?, number("STEP", Some(1))?);
        let index = id.checked_sub(min).filter(|_| step > 0).map(|n| n / step);
        match index {
            Some(index) if index < count && count <= MOST_SHARDS => Ok(Some(Self { index, count })),
            _ => Err(Error::Usage(format!(
                "task {id} of a SLURM array from {min} by {step} is none of {count} shards: pass --shard i/N"
            ))),
        }
    }

    /// Whether the row is one of this shard's.
    pub fn takes(&self, row: u64) -> bool {
        row % self.count as u64 == self.index as u64
    }

    /// The numbers and rows of this shard's chunks of `rows` rows. Every chunk is computed on its own, so that shards together
    /// compute just what one run does, to the last bit.
    pub fn chunks(self, rows: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        (0..rows.div_ceil(CHUNK_ROWS))
            .filter(move |&chunk| self.takes(chunk as u64))
            .map(move |chunk| {
                let from = chunk * CHUNK_ROWS;
                (chunk, from..rows.min(from + CHUNK_ROWS))
            })
    }

    /// Of `rows` rows, how many are this shard's.
    pub fn rows_of(&self, rows: u64) -> u64 {
        let (index, count) = (self.index as u64, self.count as u64);
        (rows + count - 1).saturating_sub(index) / count
    }
}

impl FromStr for Shard {
    type Err = Error;

    /// `i/N` with i from 0 to N−1.
    fn from_str(word: &str) -> Result<Self> {
        let (index, count) = word.split_once('/').unwrap_or((word, ""));
        match (index.trim().parse(), count.trim().parse()) {
            (Ok(index), Ok(count)) if index < count && count <= MOST_SHARDS => {
                Ok(Self { index, count })
            }
            _ => Err(Error::Usage(format!(
                "shard {word:?}: write i/N with i from 0 to N-1 and N up to {MOST_SHARDS}, such as 0/4"
            ))),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Which part of the work a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything, going on with what a killed run left.
    Whole,
    /// One shard, into `OUT.shards`.
    Shard(Shard),
    /// The output, of the finished shards in `OUT.shards`.
    Merge,
}
