//! `study layers`: cosines, traces and effective rank of every layer of one model.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Count;
use super::charts::{ENGLISH, Series, layer_charts};
use super::measures::{FirstLook, Measures, REFERENCE_SENTENCES};
use super::statistics::{LayerSummary, Sizes, Statistics};
use crate::artifact::{AtomicDir, Manifest};
use crate::error::{Error, Result};
use crate::feature_extraction::{ExtractOptions, Extractor, Sentence, Sink, Tokens};
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
    /// Rows of the further measures; as many as the largest of the three without it.
    pub measure_sentences: Option<Count>,
    /// Take the further measures at all.
    pub measures: bool,
    /// Decides the sample of tokens and the bootstrap.
    pub seed: u64,
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
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`; those of the checkpoint, the dataset and the forward passes.
pub fn run(config: &Config) -> Result<Summary> {
    let out = AtomicDir::create(&config.out, config.overwrite)?;
    let device = crate::device::select(config.device.as_deref())?;
    let folder = Hub::new(config.hub.clone()).checkpoint(&config.checkpoint)?;
    let encoder = checkpoint::load_encoder(&folder, &device)?;
    let split = super::test_split(&config.data)?;
    let sizes = sizes(config, split.len());
    let start = Instant::now();
    let options = ExtractOptions {
        layers: (0..=encoder.config().num_layers).collect(),
        tokens: Tokens::All,
        batch_size: config.batch_size,
    };
    let extract = |limit: usize, sink: &mut dyn Sink| {
        let rows: Vec<usize> = (0..limit).collect();
        Extractor::new(encoder.as_ref(), &split, &options, limit)?.run(&rows, sink)
    };
    let mut seconds = 0.0;
    let measures = if sizes.measures > 0 {
        let mut first = FirstLook::default();
        let mut sink = timed(&mut seconds, |s| first.add(s.layers));
        extract(sizes.measures.min(REFERENCE_SENTENCES), &mut sink)?;
        let shared = sizes.erank == sizes.measures;
        Some(Measures::new(out.path(), first, config.seed, shared)?)
    } else {
        None
    };
    let mut statistics = Statistics::new(out.path(), sizes, measures)?;
    let mut sink = timed(&mut seconds, |s| statistics.add(s.layers));
    extract(sizes.most(), &mut sink)?;
    let forward_seconds = start.elapsed().as_secs_f64() - seconds;

    let (sentences, tokens) = (statistics.sentences(), statistics.tokens());
    let finish = Instant::now();
    let layers = statistics.finish(out.path())?;
    seconds += finish.elapsed().as_secs_f64();
    draw(out.path(), &config.title, &layers, sizes)?;
    let encoder = encoder.config();
    let found = serde_json::json!({
        "revision": config.hub.revision,
        "model_type": encoder.model_type,
        "hidden_size": encoder.hidden_size,
        "num_layers": encoder.num_layers,
        "sentences": { "cosine": sizes.cosine, "trace": sizes.trace, "erank": sizes.erank,
            "measures": sizes.measures },
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
        forward_seconds,
        statistics_seconds: seconds,
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

fn sizes(config: &Config, rows: usize) -> Sizes {
    let mut sizes = Sizes {
        cosine: config.cosine_sentences.of(rows),
        trace: config.trace_sentences.of(rows),
        erank: config.erank_sentences.of(rows),
        measures: 0,
    };
    if config.measures {
        let most = Count::First(sizes.most());
        sizes.measures = config.measure_sentences.unwrap_or(most).of(rows);
    }
    sizes
}

/// A sink that adds the time it takes to `seconds`.
struct Timed<'a, F> {
    seconds: &'a mut f64,
    add: F,
}

fn timed<F: FnMut(&Sentence<'_>) -> Result<()>>(seconds: &mut f64, add: F) -> Timed<'_, F> {
    Timed { seconds, add }
}

impl<F: FnMut(&Sentence<'_>) -> Result<()>> Sink for Timed<'_, F> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        let start = Instant::now();
        (self.add)(sentence)?;
        *self.seconds += start.elapsed().as_secs_f64();
        Ok(())
    }
}

/// The settings, what they met (`found`), and the digests of weights and data.
fn manifest(config: &Config, checkpoint: &Path, found: serde_json::Value) -> Result<Manifest> {
    let mut settings = serde_json::to_value(config).map_err(Error::compute("manifest"))?;
    settings["found"] = found;
    let mut manifest = Manifest::new("study layers", settings);
    super::add_checkpoint(&mut manifest, checkpoint)?;
    super::add_data(&mut manifest, &config.data)?;
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
    let charts = layer_charts(title, &numbers, &[series], sizes, &ENGLISH);
    plotting::save(&charts.cosine, folder, "cosine")?;
    plotting::save(&charts.trace, folder, "trace")?;
    plotting::save(&charts.erank, folder, "erank")
}
