//! Reviews to a tokenized `DatasetDict`: read, tokenized and written batch by batch, so that memory does not grow with
//! the corpus. A shard takes every N-th row; [`merge`] makes one folder of all shards.

mod export;
mod input;
mod merge;
mod stream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::artifact::{Inputs, Manifest, ShardSet};
use crate::corpus::{FLUE_CLASSES, ReadOptions, Source};
use crate::dataset::{Columns, DEFAULT_SHARD_BYTES, DatasetDictWriter, Padding, WriteOptions};
use crate::error::{Error, Result};
use crate::files::{self, AtomicDir};
use crate::hub::Hub;
use crate::pipelines::inputs::{Reads, add_checkpoint, add_data};
use crate::pipelines::{Same, keep_inputs};
use crate::tokenization::{
    Side, Tokenizer, TokenizerKind, TokenizerOptions, Transformers5, from_pretrained,
};

pub use crate::artifact::Shard;
pub use crate::dataset::Format;
pub use crate::hub::HubOptions;
pub use export::{ExportConfig, ExportSummary, export_tokenizer};
pub use merge::{MergeConfig, merge};

use input::Input;

/// The name under which the manifest is written.
const PROGRAM: &str = "flue-cls-prepare";

/// What to prepare, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder with a tokenizer, or a name on the hub.
    pub checkpoint: String,
    /// The reviews: a path or the word `sample`; none for FLUE CLS.
    pub source: Option<String>,
    /// How it is read where it can be read in several ways.
    pub reading: ReadOptions,
    /// The greatest number of tokens of a review, special tokens included; none for the tokenizer's own.
    pub max_length: Option<usize>,
    /// The format of the files.
    pub format: Format,
    /// Lower-case the text first; none does as the Python class of the tokenizer does.
    pub lowercase: Option<bool>,
    /// Fill every row up to the maximum length, as the original does.
    pub pad: bool,
    /// Start another file before one passes this many bytes.
    pub max_shard_bytes: u64,
    /// Take these rows only, into `OUT.shards`.
    pub shard: Option<Shard>,
    /// How names are looked up.
    pub hub: HubOptions,
    /// The folder to write.
    pub output: PathBuf,
    /// Replace the folder when it exists.
    pub overwrite: bool,
}

impl Config {
    /// The original's settings: FLUE CLS for `flaubert/flaubert_base_cased`, padded, into `output`.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            checkpoint: "flaubert/flaubert_base_cased".into(),
            source: None,
            reading: ReadOptions::default(),
            max_length: None,
            format: Format::Arrow,
            lowercase: None,
            pad: true,
            max_shard_bytes: DEFAULT_SHARD_BYTES,
            shard: None,
            hub: HubOptions::default(),
            output: output.into(),
            overwrite: false,
        }
    }
}

/// What was found in one split, or in all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Reviews.
    pub rows: u64,
    /// Reviews of each class.
    pub labels: BTreeMap<String, u64>,
    /// Reviews that were cut at the maximum length.
    pub truncated: u64,
    /// Their share of all reviews.
    pub truncated_share: f64,
    /// Tokens, special ones included, padding not.
    pub tokens: u64,
    /// Tokens per review.
    pub mean_tokens: f64,
    /// Files written.
    pub files: usize,
    /// Reviews to which transformers 5 gives other ids.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub other_ids_in_transformers_5: u64,
    /// The first rows of them, counted from 0 in the split.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rows_with_other_ids: Vec<u64>,
}

/// Most rows that are listed one by one.
const MOST_LISTED: usize = 100;

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    fn new() -> Self {
        let labels = FLUE_CLASSES.iter().map(|n| (n.to_string(), 0)).collect();
        Self {
            labels,
            ..Self::default()
        }
    }

    /// Count one review of `tokens` tokens.
    fn add_row(&mut self, label: i64, tokens: usize, truncated: bool) {
        self.rows += 1;
        self.tokens += tokens as u64;
        self.truncated += u64::from(truncated);
        let name = FLUE_CLASSES[label as usize];
        *self.labels.entry(name.into()).or_default() += 1;
    }

    /// Count a review to which transformers 5 gives other ids.
    fn add_other_ids(&mut self, row: u64) {
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

    fn add(&mut self, other: &Self) {
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
    fn finish(&mut self) {
        let rows = self.rows.max(1) as f64;
        self.truncated_share = self.truncated as f64 / rows;
        self.mean_tokens = self.tokens as f64 / rows;
    }
}

/// What was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// The folder.
    pub output: PathBuf,
    /// The checkpoint as it was named.
    pub checkpoint: String,
    /// The family of its tokenizer: "camembert" or "flaubert".
    pub tokenizer: String,
    /// The greatest number of tokens of a review.
    pub max_length: usize,
    /// Whether rows are filled up to it.
    pub padded: bool,
    /// The shard, as i/N.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<String>,
    /// Whether the shard was there already, so that nothing was done.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub skipped: bool,
    /// All splits together.
    #[serde(flatten)]
    pub total: Counts,
    /// Each split.
    pub splits: BTreeMap<String, Counts>,
    /// Where the rows of FLUE CLS are not as many as they should be.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub differences: Vec<String>,
    /// Whether transformers 5 cannot open the tokenizer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub closed_to_transformers_5: bool,
    /// How long it took.
    pub seconds: f64,
}

/// The rows of FLUE CLS.
const FLUE_ROWS: [(&str, u64); 2] = [("train", 5997), ("test", 5999)];

impl Summary {
    /// Require the splits that fine-tuning needs of `source`, which the user named.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the splits that are there.
    pub fn require_train_and_test(&self, source: Option<&str>) -> Result<()> {
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
    fn warn_of_transformers_5(&self) {
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

    /// Compare the rows of FLUE CLS, or of a shard of it, with what they should be, and warn of a difference.
    fn check_flue(&mut self, shard: Option<Shard>) {
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

/// Prepare a dataset, or a shard of one.
///
/// # Errors
/// [`Error::OutputExists`]; [`Error::NotFound`] for the checkpoint or the data; [`Error::Malformed`] with the file and
/// the place of what cannot be read; [`Error::Mismatch`] for a shard that does not fit the others.
/// No folder is left behind then.
pub fn run(config: &Config) -> Result<Summary> {
    let start = Instant::now();
    let source = Source::named(config.source.as_deref());
    keep_what_is_read(&config.output, &config.checkpoint, &source, &config.hub)?;
    if config.shard.is_none() {
        files::check(&config.output, config.overwrite, files::Kind::Folder)?;
    }
    let hub = Hub::new(config.hub.clone());
    let folder = hub.tokenizer(&config.checkpoint)?;
    let options = TokenizerOptions {
        lowercase: config.lowercase,
    };
    let tokenizer = from_pretrained(&folder, &options)?;
    let max_length = max_length(config, tokenizer.as_ref())?;
    let input = Input::open(&source, &hub, &config.reading)?;
    let (category, is_flue) = input.categories()?;
    let columns = Columns {
        token_type_ids: tokenizer.has_token_type_ids(),
        category,
    };
    let mut manifest = manifest(config, max_length);
    manifest.add_inputs(&inputs(config, &folder, input.files()?)?)?;
    let target = match config.shard {
        None => config.output.clone(),
        Some(shard) => {
            let set = ShardSet::begin(&config.output, shard.count, &manifest)?;
            let path = set.path(shard.index);
            if set.is_finished(shard.index) && !config.overwrite {
                tracing::info!("shard {shard} is finished: {}", path.display());
                return finished(&path);
            }
            path
        }
    };
    let output = AtomicDir::create(&target, config.overwrite)?;
    let transformers_5 = tokenizer.under_transformers_5()?;
    let plan = stream::Plan {
        tokenizer: tokenizer.as_ref(),
        max_length,
        padding: config.pad.then_some(Padding {
            length: max_length,
            id: tokenizer.pad_token_id(),
            left: tokenizer.padding_side() == Side::Left,
        }),
        shard: config.shard,
        columns,
        other_ids: match &transformers_5 {
            Transformers5::Other(other) => Some(other.as_ref()),
            Transformers5::Same | Transformers5::CannotOpen => None,
        },
    };
    let options = WriteOptions {
        format: config.format,
        max_shard_bytes: config.max_shard_bytes,
        columns,
        class_names: FLUE_CLASSES.map(String::from).to_vec(),
        is_flue,
    };
    let mut writer = DatasetDictWriter::new(output.path(), options);
    let mut summary = Summary {
        output: target,
        checkpoint: config.checkpoint.clone(),
        tokenizer: kind_name(tokenizer.kind()).into(),
        max_length,
        padded: config.pad,
        shard: config.shard.map(|s| s.to_string()),
        skipped: false,
        total: Counts::new(),
        splits: BTreeMap::new(),
        differences: Vec::new(),
        closed_to_transformers_5: matches!(transformers_5, Transformers5::CannotOpen),
        seconds: 0.0,
    };
    for name in input.split_names() {
        let counts = plan.run(&input, &name, writer.split(&name)?)?;
        summary.total.add(&counts);
        summary.splits.insert(name, counts);
    }
    writer.finish()?;
    if source == Source::Flue {
        summary.check_flue(config.shard);
    }
    summary.warn_of_transformers_5();
    summary.seconds = start.elapsed().as_secs_f64();
    leave(output, &mut manifest, &summary)?;
    Ok(summary)
}

/// Refuse an output that would replace what is read along with itself.
fn keep_what_is_read(
    output: &Path,
    checkpoint: &str,
    source: &Source,
    hub: &HubOptions,
) -> Result<()> {
    let mut inputs = vec![PathBuf::from(checkpoint)];
    if let Source::Path(path) = source {
        inputs.push(path.clone());
    }
    inputs.extend(hub.cache_dir.clone());
    keep_inputs(output, inputs, Same::Replaced)
}

/// Write the manifest with the summary in it and give the folder its name.
fn leave(output: AtomicDir, manifest: &mut Manifest, summary: &Summary) -> Result<()> {
    manifest.results =
        serde_json::to_value(summary).map_err(Error::compute("the summary as JSON"))?;
    manifest.write(&output.path().join("manifest.json"))?;
    output.commit()
}

/// The summary that a finished shard left in its manifest.
fn finished(path: &Path) -> Result<Summary> {
    let manifest_path = path.join("manifest.json");
    let manifest = Manifest::read(&manifest_path)?;
    let mut summary: Summary = serde_json::from_value(manifest.results).map_err(|e| {
        let expected = "the summary of the shard: make it again with --overwrite";
        Error::malformed(&manifest_path, "key `results`", e, expected)
    })?;
    summary.skipped = true;
    Ok(summary)
}

fn kind_name(kind: TokenizerKind) -> &'static str {
    match kind {
        TokenizerKind::Camembert => "camembert",
        TokenizerKind::Flaubert => "flaubert",
    }
}

/// The length to cut at: the option, which may not pass what the tokenizer declares.
fn max_length(config: &Config, tokenizer: &dyn Tokenizer) -> Result<usize> {
    let longest = tokenizer.model_max_length();
    match config.max_length {
        None => Ok(longest),
        Some(length) if length <= longest => {
            // Fails when not even the special tokens fit.
            tokenizer.encode("", Some(length))?;
            Ok(length)
        }
        Some(length) => Err(Error::Usage(format!(
            "--max-length {length}: {} takes at most {longest} tokens",
            config.checkpoint
        ))),
    }
}

/// What [`run`] reads.
///
/// # Errors
/// Those of finding the files.
pub(super) fn inputs_of(config: &Config) -> Result<Inputs> {
    let hub = Hub::new(config.hub.clone());
    let source = Source::named(config.source.as_deref());
    let reviews = Input::files_of(&source, &hub, &config.reading)?;
    inputs(config, &hub.tokenizer(&config.checkpoint)?, reviews)
}

/// The tokenizer of the checkpoint, which lies in `folder`, and the files of the reviews.
fn inputs(config: &Config, folder: &Path, reviews: Vec<PathBuf>) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    add_checkpoint(&mut inputs, &config.checkpoint, folder, Reads::Tokenizer)?;
    add_data(&mut inputs, reviews);
    Ok(inputs)
}

/// The settings that decide about every cell of the output.
fn manifest(config: &Config, max_length: usize) -> Manifest {
    let settings: Value = json!({
        "checkpoint": config.checkpoint,
        "revision": config.hub.revision,
        "data": config.source,
        "label_map": config.reading.label_map,
        "no_quotes": config.reading.no_quotes,
        "max_length": max_length,
        "pad": config.pad,
        "lowercase": config.lowercase,
        "format": config.format,
        "max_shard_bytes": config.max_shard_bytes,
    });
    Manifest::new(PROGRAM, settings)
}
