//! `study compare`: how alike the layers of two models are, over the same tokens.
//!
//! Meant for a model raw and fine-tuned: linear CKA says at which layers fine-tuning changed what
//! is represented, and not only how it is rotated and scaled.

use std::path::{Path, PathBuf};

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;

use super::table::{Kind, TableWriter};
use super::{Count, Execution};
use crate::analysis::cka::Representation;
use crate::analysis::jackknife::{Estimate, deal};
use crate::analysis::sample::TokenSample;
use crate::dataset::Split;
use crate::error::Result;
use crate::feature_extraction::{ExtractOptions, Extractor, Sentence, Sink, Tokens};
use crate::files::AtomicDir;
use crate::hub::Hub;
use crate::metrics::Interval;
use crate::models::checkpoint;
use crate::pipelines::{Same, keep_inputs};
use crate::plotting::{self, Axis, CellFormat, HeatMap, Labels, LineChart, LineSeries};

/// Tokens in the sample from which CKA is taken.
const SAMPLE: usize = 2000;

/// What `study compare` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// A `DatasetDict` folder with a `test` split.
    pub(crate) data: PathBuf,
    /// The first model: a local folder or a name on the hub.
    pub(crate) checkpoint: String,
    /// The second model, of the same tokens.
    pub(crate) other: String,
    /// The folder that receives the table and the pictures.
    pub(crate) out: PathBuf,
    /// What the pictures call the two.
    pub(crate) title: String,
    /// Rows whose tokens are sampled.
    pub(crate) sentences: Count,
    /// Decides the sample of tokens.
    pub(crate) seed: u64,
    /// How models are run.
    #[serde(flatten)]
    pub(crate) execution: Execution,
}

/// What `study compare` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The folder of the table and the pictures.
    pub(crate) out: PathBuf,
    /// Tokens in the sample.
    pub(crate) tokens: usize,
    /// The likeness of the same layers of both models.
    pub(crate) layers: Vec<LayerLikeness>,
}

/// The likeness of a layer of one model and the same layer of the other.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LayerLikeness {
    /// 0 for the embeddings.
    pub(crate) layer: usize,
    /// Linear CKA, 0 to 1.
    pub(crate) cka: f64,
    /// Its 95 % interval over sentences.
    pub(crate) interval: Interval,
}

impl LayerLikeness {
    fn new(layer: usize, found: Estimate) -> Self {
        Self {
            layer,
            cka: found.value,
            interval: found.interval,
        }
    }
}

/// Run both models over the first rows of the `test` split, and leave `comparison` as CSV and
/// Parquet, two pictures and a manifest.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`; those of the checkpoints, the dataset and the
/// forward passes.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    let models = [&config.checkpoint, &config.other].map(Path::new);
    let inputs = models.into_iter().chain([config.data.as_path()]);
    keep_inputs(&config.out, inputs, Same::Replaced)?;
    let out = AtomicDir::create(&config.out, config.execution.overwrite)?;
    let split = super::test_split(&config.data)?;
    let hub = Hub::new(config.execution.hub.clone());
    let folders = [
        hub.checkpoint(&config.checkpoint)?,
        hub.checkpoint(&config.other)?,
    ];
    let models = [
        (&config.checkpoint[..], folders[0].as_path()),
        (&config.other, &folders[1]),
    ];
    let inputs = super::inputs(&models, &config.data)?;
    let manifest = super::manifest("compare", config, &inputs)?;
    let one = sample(config, &folders[0], &split)?;
    let other = sample(config, &folders[1], &split)?;
    let values: Vec<Vec<Estimate>> = one
        .layers
        .par_iter()
        .map(|a| other.layers.iter().map(|b| a.cka(b)).collect())
        .collect::<Result<_>>()?;
    write_table(out.path(), &values)?;
    let layers: Vec<LayerLikeness> = values
        .iter()
        .enumerate()
        .filter_map(|(layer, row)| {
            row.get(layer)
                .map(|&found| LayerLikeness::new(layer, found))
        })
        .collect();
    draw(out.path(), config, &values, &layers)?;
    super::leave(out, &manifest)?;
    Ok(Summary {
        out: config.out.clone(),
        tokens: one.tokens,
        layers,
    })
}

/// The same tokens of every layer of one model.
struct Sampled {
    tokens: usize,
    layers: Vec<Representation>,
}

fn sample(config: &Config, folder: &Path, split: &Split) -> Result<Sampled> {
    let device = crate::device::select(config.execution.device.as_deref())?;
    let encoder = checkpoint::load_encoder(folder, &device)?;
    let layers = encoder.config().num_layers + 1;
    let mut sink = Sampler(TokenSample::new(SAMPLE, config.seed));
    let options = ExtractOptions {
        layers: (0..layers).collect(),
        tokens: Tokens::All,
        batch_size: config.execution.batch_size,
    };
    let rows: Vec<usize> = (0..config.sentences.of(split.len())).collect();
    Extractor::new(encoder.as_ref(), split, &options, rows.len())?.run(&rows, &mut sink)?;
    let groups = deal(&sink.0.sentences());
    Ok(Sampled {
        tokens: sink.0.len(),
        layers: (0..layers)
            .into_par_iter()
            .map(|layer| Representation::new(sink.0.layer(layer).view(), &groups))
            .collect::<Result<_>>()?,
    })
}

/// Which tokens are kept depends on the seed and their places alone, so both models give the same
/// ones.
struct Sampler(TokenSample);

impl Sink for Sampler {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        let views: Vec<ArrayView2<'_, f32>> = sentence.layers.iter().map(|l| l.1).collect();
        self.0.add_sentence(sentence.row as u64, &views)
    }
}

fn write_table(folder: &Path, values: &[Vec<Estimate>]) -> Result<()> {
    let columns = [
        ("layer_a", Kind::Integer),
        ("layer_b", Kind::Integer),
        ("cka", Kind::Float),
        ("low", Kind::Float),
        ("high", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "comparison", &columns)?;
    for (a, row) in values.iter().enumerate() {
        for (b, found) in row.iter().enumerate() {
            let Interval { low, high } = found.interval;
            let value = found.value.into();
            table.row(&[a.into(), b.into(), value, low.into(), high.into()])?;
        }
    }
    table.finish()
}

fn draw(
    folder: &Path,
    config: &Config,
    values: &[Vec<Estimate>],
    same: &[LayerLikeness],
) -> Result<()> {
    let labels = |what: &str, x: String, y: String| Labels {
        title: format!("{}: {what}", config.title),
        subtitle: "a random sample of tokens of test; 1 when equal up to rotation and scale".into(),
        x,
        y,
    };
    let [rows, columns] = short_names([&config.checkpoint, &config.other]);
    let (rows, columns) = (format!("layer of {rows}"), format!("layer of {columns}"));
    let numbers = |n: usize| (0..n).map(|l| l.to_string()).collect();
    let map = HeatMap {
        labels: labels("likeness of all layers (linear CKA)", columns, rows),
        rows: numbers(values.len()),
        columns: numbers(values.first().map_or(0, Vec::len)),
        values: values
            .iter()
            .map(|row| row.iter().map(|e| e.value).collect())
            .collect(),
        format: CellFormat::Decimal,
    };
    plotting::save(&map, folder, "comparison")?;
    let line = LineChart {
        labels: labels(
            "likeness of the same layers (linear CKA)",
            "layer".into(),
            "CKA".into(),
        ),
        series: vec![LineSeries {
            name: "CKA".into(),
            points: same.iter().map(|l| (l.layer as f64, l.cka)).collect(),
            dashed: false,
            band: same
                .iter()
                .map(|l| (l.interval.low, l.interval.high))
                .collect(),
        }],
        axis: Axis::Linear,
    };
    plotting::save(&line, folder, "comparison_same_layer")
}

/// The last parts of two names of checkpoints, or the whole names where these are the same.
fn short_names(names: [&str; 2]) -> [&str; 2] {
    let [a, b] = names.map(crate::pipelines::finetune::basename);
    if a == b { names } else { [a, b] }
}
