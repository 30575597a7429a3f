//! `study layers`: cosines, traces and effective rank of every layer of one model.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Count;
use super::charts::{Series, layer_charts};
use super::statistics::{LayerSummary, Sizes, Statistics};
use crate::artifact::{AtomicDir, Manifest};
use crate::dataset::DatasetDict;
use crate::error::{Error, Result};
use crate::feature_extraction::{self, ExtractOptions, Sentence, Sink};
use crate::hub::{Hub, HubOptions};
use crate::models::checkpoint;
use crate::plotting;

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
    /// Rows whose cosines are taken.
    pub cosine_sentences: Count,
    /// Rows whose covariance is taken.
    pub trace_sentences: Count,
    /// Rows whose tokens are stacked for the effective rank.
    pub erank_sentences: Count,
    /// Sentences per forward pass.
    pub batch_size: usize,
    /// Where tensors live; the best device compiled in without it.
    pub device: Option<String>,
    /// Where a checkpoint's name is looked up.
    #[serde(skip)]
    pub hub: HubOptions,
    /// Replace an output that exists.
    #[serde(skip)]
    pub overwrite: bool,
}

/// What `study layers` found.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The folder of tables and pictures.
    pub out: PathBuf,
    /// The checkpoint that was studied.
    pub checkpoint: String,
    /// Its `model_type`.
    pub model_type: String,
    /// Sentences that were read.
    pub sentences: usize,
    /// Their tokens.
    pub tokens: u64,
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
/// and Parquet, three pictures, and a manifest.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`; those of the checkpoint, the dataset and the forward passes.
pub fn run(config: &Config) -> Result<Summary> {
    let out = AtomicDir::create(&config.out, config.overwrite)?;
    let device = crate::device::select(config.device.as_deref())?;
    let folder = Hub::new(config.hub.clone()).checkpoint(&config.checkpoint)?;
    let encoder = checkpoint::load_encoder(&folder, &device)?;
    let split = DatasetDict::open(&config.data)?.split("test")?;
    if split.is_empty() {
        return Err(Error::malformed(
            &config.data,
            "split test",
            "no row",
            "at least one sentence",
        ));
    }
    let sizes = Sizes {
        cosine: config.cosine_sentences.of(split.len()),
        trace: config.trace_sentences.of(split.len()),
        erank: config.erank_sentences.of(split.len()),
    };
    let options = ExtractOptions {
        layers: (0..=encoder.config().num_layers).collect(),
        batch_size: config.batch_size,
        limit: Some(sizes.most()),
    };
    let mut sink = StatisticsSink(Statistics::new(out.path(), sizes)?);
    feature_extraction::extract(encoder.as_ref(), &split, &options, &mut sink)?;

    let (sentences, tokens) = (sink.0.sentences(), sink.0.tokens());
    let layers = sink.0.finish(out.path())?;
    draw(out.path(), &config.title, &layers, sizes)?;
    let encoder = encoder.config();
    let found = serde_json::json!({
        "revision": config.hub.revision,
        "model_type": encoder.model_type,
        "hidden_size": encoder.hidden_size,
        "num_layers": encoder.num_layers,
        "sentences": { "cosine": sizes.cosine, "trace": sizes.trace, "erank": sizes.erank },
        "tokens": tokens,
    });
    manifest(config, &folder, found)?.write(&out.path().join("manifest.json"))?;
    out.commit()?;
    Ok(Summary {
        out: config.out.clone(),
        checkpoint: config.checkpoint.clone(),
        model_type: encoder.model_type.clone(),
        sentences,
        tokens,
        cosine_error_bound: layers
            .iter()
            .map(|l| l.cosine.error_bound)
            .fold(0.0, f64::max),
        layers: layers
            .iter()
            .map(|l| LayerFigures {
                layer: l.number,
                cosine_median: l.cosine.five_numbers[2],
                trace_median: l.trace[2],
                erank: l.erank,
            })
            .collect(),
    })
}

/// Feeds the statistics with what the encoder sees.
struct StatisticsSink(Statistics);

impl Sink for StatisticsSink {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        self.0.add(sentence.layers)
    }
}

/// The settings, what they met (`found`), and the digests of weights and data.
fn manifest(config: &Config, checkpoint: &Path, found: serde_json::Value) -> Result<Manifest> {
    let mut settings = serde_json::to_value(config).map_err(Error::compute("manifest"))?;
    settings["found"] = found;
    let mut manifest = Manifest::new("study layers", settings);
    for name in ["config.json", "model.safetensors", "pytorch_model.bin"] {
        let path = checkpoint.join(name);
        if path.is_file() {
            manifest.add_input(&path)?;
        }
    }
    let state = config.data.join("test/state.json");
    if state.is_file() {
        manifest.add_input(&state)?;
    }
    Ok(manifest)
}

fn draw(folder: &Path, title: &str, layers: &[LayerSummary], sizes: Sizes) -> Result<()> {
    let numbers: Vec<usize> = layers.iter().map(|l| l.number).collect();
    let series = Series {
        name: title.to_string(),
        cosine: layers.iter().map(|l| l.cosine.five_numbers).collect(),
        trace: layers.iter().map(|l| l.trace).collect(),
        erank: layers.iter().map(|l| l.erank).collect(),
    };
    let charts = layer_charts(title, &numbers, &[series], sizes);
    plotting::save(&charts.cosine, folder, "cosine")?;
    plotting::save(&charts.trace, folder, "trace")?;
    plotting::save(&charts.erank, folder, "erank")
}
