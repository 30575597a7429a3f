//! Reviews to a tokenized `DatasetDict`: read, tokenized and written batch by batch, so that memory
//! does not grow with the corpus. A shard takes every N-th row; [`merge`] makes one folder of all
//! shards, where row r is row r/N of shard r mod N.

mod export;
mod rows;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::artifact::{Fingerprints, Inputs, Manifest, ShardSet, difference};
use crate::corpus::{FLUE_CLASSES, ReadOptions, Source};
use crate::dataset::{
    Columns, DEFAULT_SHARD_BYTES, DatasetDict, DatasetDictWriter, Padding, Rows, Split,
    SplitWriter, WriteOptions,
};
use crate::error::{Error, Result, interrupt};
use crate::files::{self, AtomicDir};
use crate::hub::Hub;
use crate::pipelines::inputs::{Reads, add_checkpoint, add_data};
use crate::pipelines::original::FLAUBERT;
use crate::pipelines::{Same, keep_inputs};
use crate::progress::Progress;
use crate::tokenization::{Side, Tokenizer, TokenizerOptions, Transformers5, from_pretrained};

pub(crate) use crate::artifact::Shard;
pub use crate::dataset::Format;
pub use crate::hub::HubOptions;
pub(crate) use export::{ExportConfig, export_tokenizer};
pub(crate) use summary::{Counts, Summary};

use rows::{BATCH_ROWS, Input};
use summary::{finished, sum};

/// The name under which the manifest is written.
const PROGRAM: &str = "flue-cls-prepare";

/// What to prepare, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder with a tokenizer, or a name on the hub.
    pub(crate) checkpoint: String,
    /// The reviews: a path or the word `sample`; none for FLUE CLS.
    pub(crate) source: Option<String>,
    /// How it is read where it can be read in several ways.
    pub(crate) reading: ReadOptions,
    /// The greatest number of tokens of a review, special tokens included; none for the tokenizer's
    /// own.
    pub(crate) max_length: Option<usize>,
    /// The format of the files.
    pub(crate) format: Format,
    /// Lower-case the text first; none does as the Python class of the tokenizer does.
    pub(crate) lowercase: Option<bool>,
    /// Fill every row up to the maximum length, as the original does.
    pub(crate) pad: bool,
    /// Start another file before one passes this many bytes.
    pub(crate) max_shard_bytes: u64,
    /// Take these rows only, into `OUT.shards`.
    pub(crate) shard: Option<Shard>,
    /// How names are looked up.
    pub(crate) hub: HubOptions,
    /// The folder to write.
    pub(crate) output: PathBuf,
    /// Replace the folder when it exists.
    pub(crate) overwrite: bool,
}

impl Config {
    /// The original's settings: FLUE CLS for `flaubert/flaubert_base_cased`, padded, into `output`.
    pub(crate) fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            checkpoint: FLAUBERT.checkpoint().into(),
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

/// Prepare a dataset, or a shard of one.
///
/// # Errors
/// [`Error::OutputExists`]; [`Error::NotFound`] for the checkpoint or the data;
/// [`Error::Malformed`] with the file and the place of what cannot be read; [`Error::Mismatch`] for
/// a shard that does not fit the others. No folder is left behind then.
pub(crate) fn run(config: &Config) -> Result<Summary> {
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
    let plan = rows::Plan {
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
        tokenizer: tokenizer.kind().name().into(),
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
        Some(length) => {
            let checkpoint = &config.checkpoint;
            let problem = format!("{checkpoint} takes at most {longest} tokens");
            Err(Error::setting("max_length", length, problem))
        }
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

/// What to merge.
#[derive(Debug, Clone)]
pub(crate) struct MergeConfig {
    /// The folder to write; its shards are in `OUT.shards`.
    pub(crate) output: PathBuf,
    /// Replace the folder when it exists.
    pub(crate) overwrite: bool,
}

/// Make one folder of all shards, which stay where they are.
///
/// # Errors
/// [`Error::NotFound`] that names the shards that are missing; [`Error::Mismatch`] when their rows
/// do not fit together; [`Error::OutputExists`].
pub(crate) fn merge(config: &MergeConfig) -> Result<Summary> {
    let start = Instant::now();
    let (set, begun) = ShardSet::open(&config.output)?;
    set.require_all()?;
    require_one_source(&set, &begun.inputs)?;
    let settings = &begun.config["settings"];
    let damaged = |key: &str, expected: &str| {
        let found = &settings[key];
        let place = format!("key `config.settings.{key}`");
        let manifest = set.path(0).with_file_name("manifest.json");
        Error::malformed(manifest, place, found, expected)
    };
    let format: Format = serde_json::from_value(settings["format"].clone())
        .map_err(|_| damaged("format", "arrow or parquet"))?;
    let max_shard_bytes = settings["max_shard_bytes"]
        .as_u64()
        .ok_or_else(|| damaged("max_shard_bytes", "a number of bytes"))?;
    let dicts = (0..set.count())
        .map(|index| DatasetDict::open(set.path(index)))
        .collect::<Result<Vec<_>>>()?;
    let names = dicts[0].split_names().to_vec();
    if let Some(other) = dicts.iter().find(|d| d.split_names() != names) {
        return Err(Error::Mismatch(format!(
            "{} has the splits {}, the first shard has {}",
            other.path().display(),
            other.split_names().join(", "),
            names.join(", ")
        )));
    }
    let output = AtomicDir::create(&config.output, config.overwrite)?;
    let mut summary = sum(&set)?;
    let first = dicts[0].split(&names[0])?;
    let columns = Columns {
        token_type_ids: first.has_token_type_ids(),
        category: first.has_categories(),
    };
    let options = WriteOptions {
        format,
        max_shard_bytes,
        columns,
        class_names: FLUE_CLASSES.map(String::from).to_vec(),
        is_flue: first.is_flue(),
    };
    let mut writer = DatasetDictWriter::new(output.path(), options);
    summary.total.files = 0;
    for name in &names {
        let shards = dicts
            .iter()
            .map(|dict| dict.split(name))
            .collect::<Result<Vec<_>>>()?;
        let files = interleave(&shards, name, columns, writer.split(name)?)?;
        if let Some(counts) = summary.splits.get_mut(name) {
            counts.files = files;
        }
        summary.total.files += files;
    }
    writer.finish()?;
    if settings.get("data").is_some_and(Value::is_null) {
        summary.check_flue(None);
    }
    summary.output = config.output.clone();
    summary.seconds = start.elapsed().as_secs_f64();
    let mut manifest = Manifest::new(PROGRAM, with_count(settings, set.count()));
    (manifest.inputs, manifest.commits) = (begun.inputs, begun.commits);
    leave(output, &mut manifest, &summary)?;
    Ok(summary)
}

/// Require that every shard was made from the files that the first was begun with: one may have
/// been brought from elsewhere.
fn require_one_source(set: &ShardSet, inputs: &Fingerprints) -> Result<()> {
    for index in 0..set.count() {
        let path = set.path(index);
        let shard = Manifest::read(&path.join("manifest.json"))?;
        if let Some(difference) = difference(&shard.inputs, inputs) {
            return Err(Error::Mismatch(format!(
                "{}: made from {difference}, unlike the shards beside it: make this shard again with --overwrite",
                path.display()
            )));
        }
    }
    Ok(())
}

/// The settings of the shards and their number.
fn with_count(settings: &Value, count: usize) -> Value {
    let mut settings = settings.clone();
    if let Some(map) = settings.as_object_mut() {
        map.insert("merged_shards".into(), count.into());
    }
    settings
}

/// Write the rows of all shards in the order of the corpus; the number of files.
fn interleave(
    shards: &[Split],
    name: &str,
    columns: Columns,
    mut writer: SplitWriter,
) -> Result<usize> {
    let total: u64 = shards.iter().map(|s| s.len() as u64).sum();
    let count = shards.len();
    for (index, shard) in shards.iter().enumerate() {
        let want = Shard { index, count }.rows_of(total);
        if shard.len() as u64 != want {
            let (folder, found) = (shard.folder().display(), shard.len());
            return Err(Error::Mismatch(format!(
                "{folder} has {found} rows where shard {index} of {count} of {total} rows has {want}: \
                 make this shard again with --overwrite"
            )));
        }
    }
    let mut progress = Progress::new(format!("merge {name}"), total, "rows");
    let mut rows = Rows::new(columns);
    for row in 0..total as usize {
        rows.push_example(&shards[row % count].example(row / count)?);
        if rows.len() == BATCH_ROWS {
            interrupt::check()?;
            progress.advance(BATCH_ROWS as u64);
            writer.write(std::mem::replace(&mut rows, Rows::new(columns)))?;
        }
    }
    progress.advance(rows.len() as u64);
    writer.write(rows)?;
    writer.finish()
}
