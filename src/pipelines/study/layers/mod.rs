//! `study layers`: cosines, traces and effective rank of every layer of one model.
//!
//! Sentences are seen in chunks; a shard takes every N-th of them, and its accumulators merge with those of the others.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::charts::{ENGLISH, Series, layer_charts};
use super::spool::SpoolReader;
use super::statistics::{LayerSummary, Sizes, row_width};
use super::{Amounts, Count, Execution};
use crate::artifact::{Manifest, Part, Shard, ShardSet};
use crate::error::{Error, Result};
use crate::files::{self, AtomicDir, OutputLock};
use crate::hub::Hub;
use crate::models;
use crate::plotting;

mod shard;

use shard::State;

/// What `study layers` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// A `DatasetDict` folder with a `test` split.
    pub data: PathBuf,
    /// A local folder or a name on the hub.
    pub checkpoint: String,
    /// The folder that receives tables and pictures.
    pub out: PathBuf,
    /// What the pictures call the model.
    pub title: String,
    /// What is looked at.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// Which part of the work.
    #[serde(skip)]
    pub part: Part,
    /// How the model is run.
    #[serde(flatten)]
    pub execution: Execution,
}

/// What `study layers` found.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The folder of tables and pictures, or of the shard.
    pub out: PathBuf,
    /// The shard, as i/N.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The checkpoint that was studied.
    pub checkpoint: String,
    /// Its `model_type`.
    pub model_type: String,
    /// Sentences that were read.
    pub sentences: usize,
    /// Their tokens.
    pub tokens: u64,
    /// Seconds of the forward passes, reading included.
    pub forward_seconds: f64,
    /// Seconds of all statistics.
    pub statistics_seconds: f64,
    /// The largest error of a quartile of the cosines.
    pub cosine_error_bound: f64,
    /// The main figures by layer.
    pub layers: Vec<LayerFigures>,
}

/// The main figures of one layer.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LayerFigures {
    /// 0 for the embeddings.
    pub layer: usize,
    /// The median cosine of two tokens of a sentence.
    pub cosine_median: f64,
    /// The median trace of a sentence's covariance.
    pub trace_median: f64,
    /// The effective rank of all tokens.
    pub erank: f64,
}

/// Run the model over the first rows of the `test` split and leave `cosine`, `cosine_variance`, `trace` and `erank` as CSV
/// and Parquet, three pictures, and a manifest; with the further measures also `measures`, `sentences`, `leading` and `cka`.
/// A shard leaves its part of it in `OUT.shards`.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`; [`Error::Mismatch`] when the output was begun with other settings;
/// [`Error::NotFound`] for shards that a merge misses; those of the checkpoint, the dataset and the forward passes.
pub fn run(config: &Config) -> Result<Summary> {
    files::check(&config.out, config.execution.overwrite, files::Kind::Folder)
        .inspect_err(|_| ShardSet::remove_if_done(&config.out))?;
    let folder = Hub::new(config.execution.hub.clone()).checkpoint(&config.checkpoint)?;
    let split = super::test_split(&config.data)?;
    let study = Study {
        config,
        model: models::Config::read(&folder)?,
        sizes: sizes(&config.amounts, split.len()),
        split: &split,
        folder: &folder,
    };
    let manifest = study.manifest()?;
    match config.part {
        Part::Whole => {
            let _lock = OutputLock::of_shards(&config.out)?;
            let set = ShardSet::begin_whole(&config.out, &manifest, config.execution.overwrite)?;
            let all = Shard { index: 0, count: 1 };
            study
                .compute(&set, all)
                .inspect_err(|_| set.remove_if_bare())?;
            let summary = study.finish(&set, manifest)?;
            set.remove_done();
            Ok(summary)
        }
        Part::Shard(shard) => {
            let set = ShardSet::begin(&config.out, shard.count, &manifest)?;
            let _lock = OutputLock::acquire(&set.path(shard.index))?;
            study.compute(&set, shard)?;
            let state = State::read(&set.path(shard.index))?;
            Ok(Summary {
                out: set.path(shard.index),
                shard: Some(shard.to_string()),
                ..study.summary(&state, Vec::new())
            })
        }
        Part::Merge => {
            let _lock = OutputLock::of_shards(&config.out)?;
            let set = ShardSet::finished(&config.out, &manifest)?;
            study.finish(&set, manifest)
        }
    }
}

/// Run several studies; their summaries in their order.
///
/// # Errors
/// Those of [`run`]. The studies before the one that failed keep their folders.
pub fn run_all(studies: &[Config]) -> Result<Vec<Summary>> {
    let one = |config: &Config| {
        tracing::info!("{}: {}", config.title, config.checkpoint);
        run(config)
    };
    studies.iter().map(one).collect()
}

/// A study with its inputs opened.
struct Study<'a> {
    config: &'a Config,
    model: models::Config,
    sizes: Sizes,
    split: &'a crate::dataset::Split,
    /// The checkpoint.
    folder: &'a Path,
}

impl Study<'_> {
    /// Merge all shards and write what they found.
    fn finish(&self, set: &ShardSet, mut manifest: Manifest) -> Result<Summary> {
        let config = self.config;
        let out = AtomicDir::create(&config.out, config.execution.overwrite)?;
        let mut state = State::read(&set.path(0))?;
        for index in 1..set.count() {
            state.merge(&State::read(&set.path(index))?)?;
        }
        let start = Instant::now();
        let spools: Vec<PathBuf> = (0..set.count())
            .map(|index| shard::spool(&set.path(index)))
            .collect();
        let spool = SpoolReader::open(&spools, row_width(self.model.num_layers + 1))?;
        let summary = self.summary(&state, Vec::new());
        let layers = state.statistics.finish(out.path(), spool)?;
        draw(out.path(), &config.title, &layers, self.sizes)?;
        let error_bound = error_bound(&layers);
        manifest.config["found"]["tokens"] = summary.tokens.into();
        manifest.config["found"]["cosine_error_bound"] = error_bound.into();
        manifest.write(&out.path().join("manifest.json"))?;
        out.commit()?;
        Ok(Summary {
            statistics_seconds: summary.statistics_seconds + start.elapsed().as_secs_f64(),
            cosine_error_bound: error_bound,
            layers: layers.iter().map(LayerFigures::of).collect(),
            ..summary
        })
    }

    fn summary(&self, state: &State, layers: Vec<LayerFigures>) -> Summary {
        Summary {
            out: self.config.out.clone(),
            shard: None,
            checkpoint: self.config.checkpoint.clone(),
            model_type: self.model.model_type.clone(),
            sentences: state.statistics.sentences(),
            tokens: state.statistics.tokens(),
            forward_seconds: state.forward_seconds,
            statistics_seconds: state.statistics_seconds,
            cosine_error_bound: 0.0,
            layers,
        }
    }

    /// The settings, what they met (`found`), and what tells weights and data from others.
    fn manifest(&self) -> Result<Manifest> {
        let (config, sizes, model) = (self.config, self.sizes, &self.model);
        let mut settings = serde_json::to_value(config).map_err(Error::compute("manifest"))?;
        settings["found"] = serde_json::json!({
            "revision": config.execution.hub.revision,
            "model_type": model.model_type,
            "hidden_size": model.hidden_size,
            "num_layers": model.num_layers,
            "sentences": { "cosine": sizes.cosine, "trace": sizes.trace, "erank": sizes.erank,
                "measures": sizes.measures },
        });
        let mut manifest = Manifest::new("study layers", settings);
        let models = [(&config.checkpoint[..], self.folder)];
        manifest.add_inputs(&super::inputs(&models, &config.data)?)?;
        Ok(manifest)
    }
}

impl LayerFigures {
    fn of(layer: &LayerSummary) -> Self {
        Self {
            layer: layer.number,
            cosine_median: layer.cosine.five_numbers[2],
            trace_median: layer.trace[2],
            erank: layer.erank,
        }
    }
}

fn sizes(amounts: &Amounts, rows: usize) -> Sizes {
    let mut sizes = Sizes {
        cosine: amounts.cosine_sentences.of(rows),
        trace: amounts.trace_sentences.of(rows),
        erank: amounts.erank_sentences.of(rows),
        measures: 0,
    };
    if amounts.measures {
        let most = Count::First(sizes.most());
        sizes.measures = amounts.measure_sentences.unwrap_or(most).of(rows);
    }
    sizes
}

/// The largest error of a quartile of the cosines.
fn error_bound(layers: &[LayerSummary]) -> f64 {
    let bounds = layers.iter().map(|l| l.cosine.error_bound);
    bounds.fold(0.0, f64::max)
}

fn draw(folder: &Path, title: &str, layers: &[LayerSummary], sizes: Sizes) -> Result<()> {
    let numbers: Vec<usize> = layers.iter().map(|l| l.number).collect();
    let series = Series {
        name: title.to_string(),
        cosine: layers.iter().map(|l| l.cosine.five_numbers).collect(),
        trace: layers.iter().map(|l| l.trace).collect(),
        erank: layers.iter().map(|l| l.erank).collect(),
        error_bound: error_bound(layers),
    };
    let charts = layer_charts(title, &numbers, &[series], sizes, &ENGLISH);
    plotting::save(&charts.cosine, folder, "cosine")?;
    plotting::save(&charts.trace, folder, "trace")?;
    plotting::save(&charts.erank, folder, "erank")
}
