//! `[CLS]` and token states of both splits, to a file: the work of `data-cls`.
//!
//! States go to chunks on disk first (`chunks`) and from there to the output (`assembly`): a killed run goes on where it
//! stopped, shards are made on several machines, and memory is the model and one pass, whatever the rows. While the output is
//! written both are there, so the disk must hold the states twice.

use std::path::{Path, PathBuf};

use serde::Serialize;

mod assembly;
mod chunks;
mod job;
mod layers;
mod npy;
mod safetensors;
mod storage;
mod table;

use crate::artifact::{Manifest, ShardSet};
use crate::corpus::LabelMap;
use crate::dataset::{DatasetDict, Split};
use crate::device;
use crate::error::{Error, Result};
use crate::files::{self, OutputLock, manifest_beside, require_space};
use crate::hub::{Hub, HubOptions};
use crate::models::checkpoint::load_encoder;
use crate::pipelines::labels::side_by_side;

pub use crate::artifact::{Part, Shard};
pub use crate::feature_extraction::Tokens;
pub(super) use job::inputs;
use job::{Format, Job};
pub use layers::LayerList;
pub use storage::StorageType;

/// The splits in the order of the original's arrays.
const SPLITS: [&str; 2] = ["train", "test"];

/// One file to make.
#[derive(Debug, Clone)]
pub struct Run {
    /// The `DatasetDict` folder.
    pub data: PathBuf,
    /// The checkpoint: a folder or a name.
    pub checkpoint: String,
    /// The file to write; its ending chooses the format: npy, parquet, arrow or safetensors.
    pub out: PathBuf,
}

/// What to extract.
#[derive(Debug, Clone)]
pub struct Config {
    /// The files to make, in order.
    pub runs: Vec<Run>,
    /// Which layers.
    pub layers: LayerList,
    /// The most rows computed together.
    pub batch_size: usize,
    /// Only the first rows of each split.
    pub limit: Option<usize>,
    /// Which states.
    pub tokens: Tokens,
    /// How numbers are stored.
    pub dtype: StorageType,
    /// Which part of the work.
    pub part: Part,
    /// Begin even where the disk seems too small.
    pub force: bool,
    /// Replace files that exist, and what was begun with other settings.
    pub overwrite: bool,
    /// Device by name.
    pub device: Option<String>,
    /// Other names for the classes of the data.
    pub label_map: LabelMap,
    /// Where checkpoints are looked up.
    pub hub: HubOptions,
}

/// One file that was made.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// Its path, or that of the shard.
    pub file: PathBuf,
    /// Rows of `train` and `test`, of all shards.
    pub rows: [usize; 2],
    /// The shard, as i/N.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// All files that were made.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// In the order of the runs.
    pub runs: Vec<RunSummary>,
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
/// [`Error::Usage`] for an unknown ending or layer, [`Error::OutputExists`], [`Error::Mismatch`] when data and model do not fit
/// or the output was begun with other settings, [`Error::NotFound`] for shards that a merge misses, [`Error::Io`] for a disk that
/// is too small, [`Error::Interrupted`] after a signal (what is complete stays), and what reading and writing give.
pub fn run(config: &Config) -> Result<Summary> {
    if config.batch_size == 0 {
        return Err(Error::Usage("-b 0: expected at least 1".into()));
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
    assembly::assemble(job, set)?;
    manifest.write(&manifest_beside(&job.run.out))
}

impl Job<'_> {
    fn require_space(&self, path: &Path, bytes: u64) -> Result<()> {
        if self.config.force {
            return Ok(());
        }
        require_space(path, bytes, " (--force begins all the same)")
    }
}
