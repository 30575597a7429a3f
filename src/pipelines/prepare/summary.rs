//! What was found: of one run, of a shard that is finished, or of all shards together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::artifact::{Manifest, Shard, ShardSet};
use crate::corpus::FLUE_CLASSES;
use crate::error::{Error, Result};
use crate::pipelines::original::FLUE_ROWS;

/// What was found in one split, or in all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Reviews.
    pub(crate) rows: u64,
    /// Reviews of each class.
    pub(crate) labels: BTreeMap<String, u64>,
    /// Reviews that were cut at the maximum length.
    pub(crate) truncated: u64,
    /// Their share of all reviews.
    pub(crate) truncated_share: f64,
    /// Tokens, special ones included, padding not.
    pub(crate) tokens: u64,
    /// Tokens per review.
    pub(crate) mean_tokens: f64,
    /// Files written.
    pub(crate) files: usize,
    /// Reviews to which transformers 5 gives other ids.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(crate) other_ids_in_transformers_5: u64,
    /// The first rows of them, counted from 0 in the split.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) rows_with_other_ids: Vec<u64>,
}

/// Most rows that are listed one by one.
const MOST_LISTED: usize = 100;

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    pub(super) fn new() -> Self {
        let labels = FLUE_CLASSES.iter().map(|n| (n.to_string(), 0)).collect();
        Self {
            labels,
            ..Self::default()
        }
    }

    /// Count one review of `tokens` tokens.
    pub(super) fn add_row(&mut self, label: i64, tokens: usize, truncated: bool) {
        self.rows += 1;
        self.tokens += tokens as u64;
        self.truncated += u64::from(truncated);
        let name = FLUE_CLASSES[label as usize];
        *self.labels.entry(name.into()).or_default() += 1;
    }

    /// Count a review to which transformers 5 gives other ids.
    pub(super) fn add_other_ids(&mut self, row: u64) {
        self.other_ids_in_transformers_5 += 1;
        if self.rows_with_other_ids.len() < MOST_LISTED {
            self.rows_with_other_ids.push(row);
        }
    }

    /// Add what another shard found in the same split.
    fn add_shard(&mut self, other: &Self) {
        self.add(other);
        self.rows_with_other_ids.extend(&other.rows_with_other_ids);
        self.rows_with_other_ids.sort_unstable();
        self.rows_with_other_ids.truncate(MOST_LISTED);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.truncated += other.truncated;
        self.tokens += other.tokens;
        self.files += other.files;
        self.other_ids_in_transformers_5 += other.other_ids_in_transformers_5;
        for (name, count) in &other.labels {
            *self.labels.entry(name.clone()).or_default() += count;
        }
        self.finish();
    }

    /// Compute the means from the sums.
    pub(super) fn finish(&mut self) {
        let rows = self.rows.max(1) as f64;
        self.truncated_share = self.truncated as f64 / rows;
        self.mean_tokens = self.tokens as f64 / rows;
    }
}

/// What was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The folder.
    pub(crate) output: PathBuf,
    /// The checkpoint as it was named.
    pub(crate) checkpoint: String,
    /// The family of its tokenizer: "camembert" or "flaubert".
    pub(crate) tokenizer: String,
    /// The greatest number of tokens of a review.
    pub(crate) max_length: usize,
    /// Whether rows are filled up to it.
    pub(crate) padded: bool,
    /// The shard, as i/N.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) shard: Option<String>,
    /// Whether the shard was there already, so that nothing was done.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) skipped: bool,
    /// All splits together.
    #[serde(flatten)]
    pub(crate) total: Counts,
    /// Each split.
    pub(crate) splits: BTreeMap<String, Counts>,
    /// Where the rows of FLUE CLS are not as many as they should be.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) differences: Vec<String>,
    /// Whether transformers 5 cannot open the tokenizer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) closed_to_transformers_5: bool,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl Summary {
    /// Require the splits that fine-tuning needs of `source`, which the user named.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the splits that are there.
    pub(crate) fn require_train_and_test(&self, source: Option<&str>) -> Result<()> {
        let Some(missing) = ["train", "test"]
            .iter()
            .find(|s| !self.splits.contains_key(**s))
        else {
            return Ok(());
        };
        let found: Vec<&str> = self.splits.keys().map(String::as_str).collect();
        Err(Error::NotFound {
            what: format!("split {missing} of {}", source.unwrap_or("FLUE CLS")),
            remedy: format!(
                "it has {}; name a folder of tables with train in the name of the one and test in that of the other, or a \
                 DatasetDict of both",
                found.join(", ")
            ),
        })
    }

    /// Say where transformers 5 gives other ids than those that are written.
    pub(super) fn warn_of_transformers_5(&self) {
        let checkpoint = &self.checkpoint;
        if self.closed_to_transformers_5 {
            tracing::warn!("{checkpoint}: transformers 5 cannot build this tokenizer; 4.57 can");
        }
        for (name, counts) in &self.splits {
            let Some(first) = counts.rows_with_other_ids.first() else {
                continue;
            };
            let (other, rows) = (counts.other_ids_in_transformers_5, counts.rows);
            tracing::warn!(
                "{checkpoint}: transformers 5 gives other ids to {other} of the {rows} rows of {name} (row {first} is the \
                 first): it builds the tokenizer anew and drops the steps of its file, which are followed here"
            );
        }
    }

    /// Compare the rows of FLUE CLS, or of a shard of it, with what they should be, and warn of a
    /// difference.
    pub(super) fn check_flue(&mut self, shard: Option<Shard>) {
        for (split, all) in FLUE_ROWS {
            let expected = shard.map_or(all, |shard| shard.rows_of(all));
            let found = self.splits.get(split).map_or(0, |counts| counts.rows);
            if found != expected {
                let words = format!("{split} has {found} rows, that of FLUE CLS {expected}");
                tracing::warn!("{words}: the source has changed or is not whole");
                self.differences.push(words);
            }
        }
    }
}

/// The summary that a finished shard left in its manifest.
pub(super) fn finished(path: &Path) -> Result<Summary> {
    let manifest_path = path.join("manifest.json");
    let manifest = Manifest::read(&manifest_path)?;
    let mut summary: Summary = serde_json::from_value(manifest.results).map_err(|e| {
        let expected = "the summary of the shard: make it again with --overwrite";
        Error::malformed(&manifest_path, "key `results`", e, expected)
    })?;
    summary.skipped = true;
    Ok(summary)
}

/// The summaries of all shards as one.
pub(super) fn sum(set: &ShardSet) -> Result<Summary> {
    let mut all = finished(&set.path(0))?;
    all.shard = None;
    all.skipped = false;
    all.differences.clear();
    for index in 1..set.count() {
        let shard = finished(&set.path(index))?;
        all.total.add(&shard.total);
        for (name, counts) in &shard.splits {
            let known: &mut BTreeMap<String, Counts> = &mut all.splits;
            known.entry(name.clone()).or_default().add_shard(counts);
        }
    }
    Ok(all)
}
