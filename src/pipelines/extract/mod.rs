//! `[CLS]` and token states of both splits, to a file: the work of `data-cls`.

use std::path::{Path, PathBuf};

use serde::Serialize;

mod npy;
mod safetensors;
mod table;

use crate::artifact::Manifest;
use crate::dataset::{DatasetDict, Split};
use crate::device;
use crate::error::{Error, Result};
use crate::feature_extraction::{ExtractOptions, Extractor, Sink};
use crate::hub::{Hub, HubOptions};
use crate::models::Encoder;
use crate::models::checkpoint::load_encoder;

pub use crate::feature_extraction::Tokens;

/// The splits in the order of the original's arrays.
pub(super) const SPLITS: [&str; 2] = ["train", "test"];

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
    /// Layers, 0 (embeddings) to n.
    pub layers: Vec<usize>,
    /// Rows computed together.
    pub batch_size: usize,
    /// Only the first rows of each split.
    pub limit: Option<usize>,
    /// Which states.
    pub tokens: Tokens,
    /// Replace files that exist.
    pub overwrite: bool,
    /// Device by name.
    pub device: Option<String>,
    /// Where checkpoints are looked up.
    pub hub: HubOptions,
}

/// One file that was made.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// Its path.
    pub file: PathBuf,
    /// Rows of `train` and `test`.
    pub rows: [usize; 2],
    /// Seconds it took.
    pub seconds: f64,
}

/// All files that were made.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// In the order of the runs.
    pub runs: Vec<RunSummary>,
}

/// Make every file. All inputs and outputs are checked before the first is computed.
///
/// # Errors
/// [`Error::Usage`] for an unknown ending, [`Error::OutputExists`], [`Error::Mismatch`] when data and model do not fit,
/// [`Error::Interrupted`] after a signal (complete files stay), and what reading and writing give.
pub fn run(config: &Config) -> Result<Summary> {
    if config.batch_size == 0 {
        return Err(Error::Usage("-b 0: expected at least 1".into()));
    }
    let hub = Hub::new(config.hub.clone());
    let mut jobs = Vec::new();
    for run in &config.runs {
        if run.out.exists() && !config.overwrite {
            return Err(Error::OutputExists(run.out.clone()));
        }
        Format::of(&run.out, config.tokens)?;
        let data = DatasetDict::open(&run.data)?;
        jobs.push((
            run,
            [data.split(SPLITS[0])?, data.split(SPLITS[1])?],
            hub.checkpoint(&run.checkpoint)?,
        ));
    }
    let device = device::select(config.device.as_deref())?;
    let mut runs = Vec::new();
    for (run, splits, folder) in jobs {
        let start = std::time::Instant::now();
        let encoder = load_encoder(&folder, &device)?;
        let last = encoder.config().num_layers;
        if let Some(layer) = config.layers.iter().find(|&&l| l > last) {
            return Err(Error::Usage(format!(
                "layer {layer}: {} has layers 0 (embeddings) to {last}",
                run.checkpoint
            )));
        }
        tracing::info!(
            "{} on {} to {}",
            run.checkpoint,
            run.data.display(),
            run.out.display()
        );
        let job = Job {
            config,
            run,
            encoder: encoder.as_ref(),
            splits: &splits,
        };
        match job.format()? {
            Format::Npy => npy::write(&job)?,
            Format::Safetensors => safetensors::write(&job)?,
            Format::Parquet | Format::Arrow => table::write(&job)?,
        }
        job.write_manifest(&folder)?;
        runs.push(RunSummary {
            file: run.out.clone(),
            rows: [job.rows(&splits[0]), job.rows(&splits[1])],
            seconds: start.elapsed().as_secs_f64(),
        });
    }
    Ok(Summary { runs })
}

/// The format of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Npy,
    Parquet,
    Arrow,
    Safetensors,
}

impl Format {
    fn of(path: &Path, tokens: Tokens) -> Result<Self> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match (ending, tokens) {
            ("npy", Tokens::Cls) => Ok(Self::Npy),
            ("npy", Tokens::All) => Err(Error::Usage(format!(
                "{}: --tokens all gives rows of different lengths, which .npy cannot hold: choose .parquet, .arrow or .safetensors",
                path.display()
            ))),
            ("parquet", _) => Ok(Self::Parquet),
            ("arrow", _) => Ok(Self::Arrow),
            ("safetensors", _) => Ok(Self::Safetensors),
            _ => Err(Error::Usage(format!(
                "{}: expected a name ending in .npy, .parquet, .arrow or .safetensors",
                path.display()
            ))),
        }
    }
}

/// One run with everything opened.
struct Job<'a> {
    config: &'a Config,
    run: &'a Run,
    encoder: &'a dyn Encoder,
    splits: &'a [Split; 2],
}

impl Job<'_> {
    fn rows(&self, split: &Split) -> usize {
        self.config
            .limit
            .map_or(split.len(), |n| n.min(split.len()))
    }

    fn format(&self) -> Result<Format> {
        Format::of(&self.run.out, self.config.tokens)
    }

    fn hidden(&self) -> usize {
        self.encoder.config().hidden_size
    }

    /// Feed one split to `sink`.
    fn extract(&self, split: &Split, sink: &mut dyn Sink) -> Result<()> {
        let c = self.config;
        let options = ExtractOptions {
            layers: c.layers.clone(),
            tokens: c.tokens,
            batch_size: c.batch_size,
        };
        let rows: Vec<usize> = (0..self.rows(split)).collect();
        Extractor::new(self.encoder, split, &options, rows.len())?.run(&rows, sink)
    }

    /// What self-describing files carry in their metadata, and every file in its manifest.
    fn describe(&self) -> serde_json::Value {
        serde_json::json!({
            "checkpoint": self.run.checkpoint,
            "revision": self.config.hub.revision,
            "model_type": self.encoder.config().model_type,
            "data": self.run.data,
            "layers": self.config.layers,
            "limit": self.config.limit,
            "tokens": match self.config.tokens { Tokens::Cls => "cls", Tokens::All => "all", Tokens::Mean => "mean" },
        })
    }

    fn write_manifest(&self, checkpoint: &Path) -> Result<()> {
        let mut manifest = Manifest::new("data-cls", self.describe());
        manifest.add_input(&checkpoint.join("config.json"))?;
        let name = self
            .run
            .out
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        manifest.write(&self.run.out.with_file_name(format!("{name}.manifest.json")))
    }
}
