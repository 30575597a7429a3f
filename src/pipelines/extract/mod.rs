//! `[CLS]` and token states of both splits, to a file: the work of `data-cls`.
//!
//! States go to chunks on disk first and from there to the output (both in `chunks`): a killed run
//! goes on where it stopped, shards are made on several machines, and memory is the model and one
//! pass, whatever the rows. While the output is written both are there, so the disk must hold the
//! states twice.

use std::path::{Path, PathBuf};

use serde::Serialize;

mod arrays;
mod chunks;
mod options;
mod table;

use crate::artifact::{Inputs, Manifest, ShardSet};
use crate::corpus::LabelMap;
use crate::dataset::{DatasetDict, Split};
use crate::device;
use crate::error::{Error, Result};
use crate::files::{self, OutputLock, manifest_beside, require_space};
use crate::hub::{Hub, HubOptions};
use crate::models::{self, checkpoint::load_encoder};
use crate::pipelines::inputs::{Reads, add_checkpoint, add_splits, side_by_side};

pub(crate) use crate::artifact::{Part, Shard};
pub(crate) use crate::feature_extraction::Tokens;
use options::Format;
pub(crate) use options::{LayerList, StorageType};

/// The splits in the order of the original's arrays.
const SPLITS: [&str; 2] = ["train", "test"];

/// One file to make.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The `DatasetDict` folder.
    pub(crate) data: PathBuf,
    /// The checkpoint: a folder or a name.
    pub(crate) checkpoint: String,
    /// The file to write; its ending chooses the format: npy, parquet, arrow or safetensors.
    pub(crate) out: PathBuf,
}

/// What to extract.
#[derive(Debug, Clone)]
pub struct Config {
    /// The files to make, in order.
    pub(crate) runs: Vec<Run>,
    /// Which layers.
    pub(crate) layers: LayerList,
    /// The most rows computed together.
    pub(crate) batch_size: usize,
    /// Only the first rows of each split.
    pub(crate) limit: Option<usize>,
    /// Which states.
    pub(crate) tokens: Tokens,
    /// How numbers are stored.
    pub(crate) dtype: StorageType,
    /// Which part of the work.
    pub(crate) part: Part,
    /// Begin even where the disk seems too small.
    pub(crate) force: bool,
    /// Replace files that exist, and what was begun with other settings.
    pub(crate) overwrite: bool,
    /// Device by name.
    pub(crate) device: Option<String>,
    /// Other names for the classes of the data.
    pub(crate) label_map: LabelMap,
    /// Where checkpoints are looked up.
    pub(crate) hub: HubOptions,
}

/// One file that was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunSummary {
    /// Its path, or that of the shard.
    pub(crate) file: PathBuf,
    /// Rows of `train` and `test`, of all shards.
    pub(crate) rows: [usize; 2],
    /// The shard, as i/N.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<String>,
    /// Seconds it took.
    pub(crate) seconds: f64,
}

/// All files that were made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// In the order of the runs.
    pub(crate) runs: Vec<RunSummary>,
}

/// A run whose inputs were opened.
struct Opened<'a> {
    run: &'a Run,
    overwrite: bool,
    splits: [Split; 2],
    classes: Vec<String>,
    folder: PathBuf,
}

/// Make every file. All inputs and outputs are checked before the first is computed.
///
/// # Errors
/// [`Error::Usage`] for an unknown ending or layer, [`Error::OutputExists`], [`Error::Mismatch`]
/// when data and model do not fit or the output was begun with other settings, [`Error::NotFound`]
/// for shards that a merge misses, [`Error::Io`] for a disk that is too small,
/// [`Error::Interrupted`] after a signal (what is complete stays), and what reading and writing
/// give.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    if config.batch_size == 0 {
        return Err(Error::Usage(
            "batches of 0 rows: expected at least 1".into(),
        ));
    }
    let hub = Hub::new(config.hub.clone());
    let mut opened = Vec::new();
    for run in &config.runs {
        let overwrite = config.overwrite || ShardSet::lack_manifest_only(&run.out);
        files::check(&run.out, overwrite, files::Kind::File)
            .inspect_err(|_| ShardSet::remove_if_done(&run.out))?;
        Format::of(&run.out, config.tokens, config.dtype)?;
        let data = DatasetDict::open(&run.data)?;
        let splits = [data.split(SPLITS[0])?, data.split(SPLITS[1])?];
        let (splits, classes) = side_by_side(splits, &config.label_map)?;
        opened.push(Opened {
            run,
            overwrite,
            splits,
            classes: classes.given_names(),
            folder: hub.checkpoint(&run.checkpoint)?,
        });
    }
    let jobs = opened
        .iter()
        .map(|o| Job::new(config, o))
        .collect::<Result<Vec<_>>>()?;
    let runs = jobs.iter().map(run_one).collect::<Result<_>>()?;
    Ok(Summary { runs })
}

fn run_one(job: &Job<'_>) -> Result<RunSummary> {
    let start = std::time::Instant::now();
    let out = &job.run.out;
    tracing::info!(
        "{} on {} to {}",
        job.run.checkpoint,
        job.run.data.display(),
        out.display()
    );
    let manifest = job.manifest()?;
    let mut file = out.clone();
    match job.config.part {
        Part::Merge => {
            let _lock = OutputLock::of_shards(out)?;
            let set = ShardSet::finished(out, &manifest)?;
            finish(job, &set, &manifest)?;
        }
        Part::Whole => {
            let _lock = OutputLock::of_shards(out)?;
            let set = ShardSet::begin_whole(out, &manifest, job.config.overwrite)?;
            compute(job, &set, Shard { index: 0, count: 1 })
                .inspect_err(|_| set.remove_if_bare())?;
            finish(job, &set, &manifest)?;
            set.remove_done();
        }
        Part::Shard(shard) => {
            let set = ShardSet::begin(out, shard.count, &manifest)?;
            file = set.path(shard.index);
            let _lock = OutputLock::acquire(&file)?;
            compute(job, &set, shard)?;
        }
    }
    Ok(RunSummary {
        file,
        rows: [job.rows(&job.splits[0]), job.rows(&job.splits[1])],
        shard: match job.config.part {
            Part::Shard(shard) => Some(shard.to_string()),
            Part::Whole | Part::Merge => None,
        },
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Compute the chunks of `shard`, unless it is finished.
fn compute(job: &Job<'_>, set: &ShardSet, shard: Shard) -> Result<()> {
    if set.is_finished(shard.index) {
        tracing::info!(
            "shard {shard} is finished: {}",
            set.path(shard.index).display()
        );
        return Ok(());
    }
    let mut bytes = chunks::bytes(job, Some(shard))?;
    if job.config.part == Part::Whole {
        bytes *= 2;
    }
    job.require_space(set.folder(), bytes)?;
    let device = device::select(job.config.device.as_deref())?;
    let encoder = load_encoder(job.folder, &device)?;
    let outcome = chunks::compute(job, encoder.as_ref(), set, shard);
    if outcome.is_err() && !set.is_bare() {
        tracing::warn!(
            "what is complete stays in {}: run the same command again to go on",
            set.folder().display()
        );
    }
    outcome
}

/// Write the output from its chunks, and its manifest.
fn finish(job: &Job<'_>, set: &ShardSet, manifest: &Manifest) -> Result<()> {
    job.require_space(&job.run.out, chunks::bytes(job, None)?)?;
    chunks::assemble(job, set)?;
    manifest.write(&manifest_beside(&job.run.out))
}

/// One run with everything opened but the weights.
struct Job<'a> {
    config: &'a Config,
    run: &'a Run,
    /// Whether what stands under the name of the output is replaced.
    overwrite: bool,
    /// With the same numbers for the same classes.
    splits: &'a [Split; 2],
    /// The names of the classes, in the order of the labels.
    classes: &'a [String],
    /// The checkpoint.
    folder: &'a Path,
    /// The layers to keep, in the order of the output.
    layers: Vec<usize>,
    model: models::Config,
}

impl<'a> Job<'a> {
    fn new(config: &'a Config, opened: &'a Opened<'a>) -> Result<Self> {
        let model = models::Config::read(&opened.folder)?;
        for split in opened.splits.iter().filter(|s| !s.is_empty()) {
            model.check_first_token(split.example(0)?.input_ids, split.folder())?;
        }
        Ok(Self {
            config,
            run: opened.run,
            overwrite: opened.overwrite,
            splits: &opened.splits,
            classes: &opened.classes,
            folder: &opened.folder,
            layers: config.layers.of(model.num_layers, &opened.run.checkpoint)?,
            model,
        })
    }

    /// How many rows of a split are taken.
    fn rows(&self, split: &Split) -> usize {
        self.config
            .limit
            .map_or(split.len(), |n| n.min(split.len()))
    }

    /// How many states are kept of a row with this mask.
    fn records(&self, attention_mask: &[i8]) -> usize {
        match self.config.tokens {
            Tokens::All => attention_mask.iter().filter(|m| **m != 0).count(),
            Tokens::Cls | Tokens::Mean => 1,
        }
    }

    fn format(&self) -> Result<Format> {
        Format::of(&self.run.out, self.config.tokens, self.config.dtype)
    }

    fn hidden(&self) -> usize {
        self.model.hidden_size
    }

    /// Bytes of one state of one layer.
    fn record_bytes(&self) -> usize {
        self.hidden() * self.config.dtype.size()
    }

    /// What self-describing files carry in their metadata, and every file in its manifest.
    fn describe(&self) -> serde_json::Value {
        let c = self.config;
        serde_json::json!({
            "checkpoint": self.run.checkpoint,
            "revision": c.hub.revision,
            "model_type": self.model.model_type,
            "data": self.run.data,
            "classes": self.classes,
            "label_map": c.label_map,
            "layers": self.layers,
            "limit": c.limit,
            "tokens": c.tokens,
            "dtype": c.dtype,
            "batch_size": c.batch_size,
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    /// The settings, and what tells weights and data from others.
    fn manifest(&self) -> Result<Manifest> {
        let mut manifest = Manifest::new("data-cls", self.describe());
        manifest.add_inputs(&inputs(self.run, self.folder, self.config.tokens)?)?;
        Ok(manifest)
    }

    fn require_space(&self, path: &Path, bytes: u64) -> Result<()> {
        match self.config.force {
            true => Ok(()),
            false => require_space(path, bytes, ""),
        }
    }
}

/// What is read for `run`: the checkpoint, which lies in `folder`, and both splits of the data.
///
/// # Errors
/// Those of finding the files.
pub(super) fn inputs(run: &Run, folder: &Path, tokens: Tokens) -> Result<Inputs> {
    let reads = match tokens {
        // The tokenizer says where in its text a token stands.
        Tokens::All => Reads::Both,
        Tokens::Cls | Tokens::Mean => Reads::Model,
    };
    let mut inputs = Inputs::default();
    add_checkpoint(&mut inputs, &run.checkpoint, folder, reads)?;
    add_splits(&mut inputs, &run.data, &SPLITS)?;
    Ok(inputs)
}

/// A row with its stored states.
struct Stored<'a> {
    /// 0 for `train`, 1 for `test`.
    split: usize,
    row: usize,
    idx: i32,
    label: i64,
    /// Where the data tells categories apart and the row has one.
    category: Option<&'a str>,
    /// The tokens that are not padding.
    token_ids: &'a [u32],
    /// First and last character (exclusive) of each token in the text, where the checkpoint's
    /// tokenizer gives these tokens.
    spans: Option<&'a [[i32; 2]]>,
    /// How many states of each layer.
    records: usize,
    /// The states of each layer, one layer after the other, in the storage type.
    states: &'a [u8],
}

impl Stored<'_> {
    /// The states of the layer at place `i`.
    fn layer(&self, i: usize, layers: usize) -> &[u8] {
        let size = self.states.len() / layers;
        &self.states[i * size..][..size]
    }
}

/// A file in the making.
trait Writer {
    /// Called once per row, `train` before `test`, in the order of the rows.
    fn row(&mut self, stored: &Stored<'_>) -> Result<()>;
    /// Complete the file and give it its name.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// An error of writing to the run's file.
fn failed(path: &Path, message: impl ToString) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        action: "write",
        source: std::io::Error::other(message.to_string()),
    }
}
