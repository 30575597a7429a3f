//! `study convergence`: does the convergence of a sentence's tokens explain how well it is
//! classified?
//!
//! The last question of the paper, left open there. For every sentence the mean cosine of its
//! tokens, at each layer, is correlated (Spearman) with whether the fine-tuned classifier is right,
//! how confident it is and what its loss is.

use std::path::{Path, PathBuf};

use candle_core::DType;
use serde::Serialize;

use super::charts::labels;
use super::table::{Cell, Kind, TableWriter};
use super::{Count, Execution};
use crate::analysis::geometry::{Geometry, Reference};
use crate::batching::PackedBatch;
use crate::corpus::{Classes, LabelMap};
use crate::dataset::{Categories, Split};
use crate::device::{self, on_worker};
use crate::error::{Error, Result, interrupt};
use crate::feature_extraction::{ExtractOptions, Extractor, Sentence, Sink, Tokens};
use crate::files::AtomicDir;
use crate::hub::Hub;
use crate::metrics::{Interval, quantile, spearman, spearman_interval};
use crate::models::{Config as ModelConfig, Input, SequenceClassifier, checkpoint};
use crate::pipelines::inputs::classes_of;
use crate::pipelines::{Same, keep_inputs};
use crate::plotting::{self, Axis, LineChart, LineSeries};
use crate::progress::Progress;

/// What `study convergence` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// A `DatasetDict` folder with a `test` split.
    pub(crate) data: PathBuf,
    /// A fine-tuned classifier: a local folder or a name on the hub.
    pub(crate) checkpoint: String,
    /// The folder that receives tables and pictures.
    pub(crate) out: PathBuf,
    /// What the pictures call the model.
    pub(crate) title: String,
    /// Rows to look at.
    pub(crate) sentences: Count,
    /// Give the classifier the token types of the data, as Trainer did when it was fine-tuned.
    pub(crate) use_token_type_ids: bool,
    /// Other names for the classes of the data and of the classifier.
    pub(crate) label_map: LabelMap,
    /// How models are run.
    #[serde(flatten)]
    pub(crate) execution: Execution,
}

/// What `study convergence` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The folder of tables and pictures.
    pub(crate) out: PathBuf,
    /// Sentences that were classified.
    pub(crate) sentences: usize,
    /// The share that was classified right.
    pub(crate) accuracy: f64,
    /// The correlations over all sentences at the last layer.
    pub(crate) last_layer: Vec<Correlation>,
}

/// A correlation over a group of sentences.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Correlation {
    /// `correct`, `confidence` or `loss`.
    pub(crate) target: &'static str,
    /// `all`, a category, or a range of lengths.
    pub(crate) group: String,
    /// The layer whose cosines were taken.
    pub(crate) layer: usize,
    /// Sentences in the group.
    pub(crate) rows: usize,
    /// Spearman's correlation; NaN where one side does not vary.
    pub(crate) spearman: f64,
    /// Its 95 % interval, as if neither side had ties: rougher for `correct`, which has two values.
    pub(crate) interval: Interval,
}

/// Classify the first rows of `test`, correlate, and leave `convergence`, `sentences` and `cosines`
/// as CSV and Parquet, three pictures and a manifest.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::Mismatch`] for a checkpoint without a
/// trained head; those of the checkpoint, the dataset and the forward passes.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    let inputs = [config.data.as_path(), Path::new(&config.checkpoint)];
    keep_inputs(&config.out, inputs, Same::Replaced)?;
    let out = AtomicDir::create(&config.out, config.execution.overwrite)?;
    let device = device::select(config.execution.device.as_deref())?;
    let folder = Hub::new(config.execution.hub.clone()).checkpoint(&config.checkpoint)?;
    let models = [(&config.checkpoint[..], folder.as_path())];
    let inputs = super::inputs(&models, &config.data)?;
    let manifest = super::manifest("convergence", config, &inputs)?;
    let model_config = ModelConfig::read(&folder)?;
    let (model, report) = checkpoint::load_classifier(&folder, model_config, &device, 0)?;
    if !report.initialised.is_empty() {
        let other = report.other_head.map(|other| format!("{other}, but "));
        return Err(Error::Mismatch(format!(
            "{}: {}no trained classification head (without {}): give the folder of a fine-tuned model",
            folder.display(),
            other.unwrap_or_default(),
            report.initialised.join(", ")
        )));
    }
    if let Some(problem) = model.config().other_problem() {
        return Err(Error::Mismatch(format!(
            "{}: its head was trained for {problem}, not to give one class of several: give the folder of such a model",
            folder.display()
        )));
    }
    let split = super::test_split(&config.data)?;
    let of_model = model.config().label_names(&folder)?;
    let of_model = Classes::declared(folder.display(), &of_model, &config.label_map)?;
    let classes = classes_of(&split, &config.label_map)?.places_in(&of_model)?;
    let rows = config.sentences.of(split.len());
    let categories = split.categories()?;
    let mut sentences = classify(config, model.as_ref(), &split, &classes, rows)?;
    let mut sink = CosineSink(&mut sentences);
    let options = ExtractOptions {
        layers: (0..=model.config().num_layers).collect(),
        tokens: Tokens::All,
        batch_size: config.execution.batch_size,
    };
    let numbers: Vec<usize> = (0..rows).collect();
    Extractor::new(model.as_ref(), &split, &options, rows)?.run(&numbers, &mut sink)?;

    let correlations = correlate(&sentences, categories.as_ref())?;
    write_tables(out.path(), &sentences, categories.as_ref(), &correlations)?;
    draw(out.path(), &config.title, &correlations)?;
    super::leave(out, &manifest)?;
    let last = model.config().num_layers;
    Ok(Summary {
        out: config.out.clone(),
        sentences: rows,
        accuracy: sentences.iter().map(|s| s.target("correct")).sum::<f64>() / rows as f64,
        last_layer: correlations
            .into_iter()
            .filter(|c| c.group == "all" && c.layer == last)
            .collect(),
    })
}

/// One sentence and how it was classified.
struct Classified {
    tokens: usize,
    label: usize,
    /// The class of the data that was found.
    predicted: usize,
    /// The probability of the predicted class.
    confidence: f64,
    loss: f64,
    /// By layer.
    cosines: Vec<f64>,
}

/// What the cosines are correlated with.
const TARGETS: [&str; 3] = ["correct", "confidence", "loss"];

impl Classified {
    /// The value of a target.
    fn target(&self, name: &str) -> f64 {
        match name {
            "correct" => f64::from(u8::from(self.predicted == self.label)),
            "confidence" => self.confidence,
            _ => self.loss,
        }
    }
}

/// The classifier's answers; the cosines are filled in later. `classes` has the classifier's class
/// for each class of the data.
fn classify(
    config: &Config,
    model: &dyn SequenceClassifier,
    split: &Split,
    classes: &[usize],
    rows: usize,
) -> Result<Vec<Classified>> {
    let mut sentences = Vec::with_capacity(rows);
    let mut progress = Progress::new("classify", rows as u64, "rows");
    let numbers: Vec<usize> = (0..rows).collect();
    for chunk in numbers.chunks(config.execution.batch_size.max(1)) {
        interrupt::check()?;
        let batch = PackedBatch::gather(split, chunk)?;
        let limits = model.config();
        batch.check_fits(split, limits.vocab_size, limits.max_length())?;
        let types = batch.token_type_ids.as_deref();
        let input = Input {
            ids: &batch.ids,
            columns: &batch.columns,
            token_type_ids: types.filter(|_| config.use_token_type_ids),
            bounds: &batch.bounds,
        };
        let logits = on_worker(|| model.logits(&input))?;
        let logits = logits.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        for (i, logits) in logits.iter().enumerate() {
            if !logits.iter().all(|logit| logit.is_finite()) {
                return Err(Error::Mismatch(format!(
                    "{}: a logit of row {} is not finite: its weights are damaged, or its training diverged",
                    config.checkpoint, chunk[i]
                )));
            }
            let label = batch.labels[i] as usize;
            let probabilities = log_softmax(logits);
            let highest = (0..logits.len())
                .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
                .expect("a classifier has a class");
            sentences.push(Classified {
                tokens: batch.bounds[i + 1] - batch.bounds[i],
                label,
                predicted: classes
                    .iter()
                    .position(|&c| c == highest)
                    .expect("each class of the classifier is one of the data"),
                confidence: probabilities[highest].exp(),
                loss: -probabilities[classes[label]],
                cosines: Vec::new(),
            });
        }
        progress.advance(chunk.len() as u64);
    }
    Ok(sentences)
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (l - highest).exp()).sum();
    let whole = highest + sum.ln();
    logits.iter().map(|l| l - whole).collect()
}

/// Adds the mean cosine of each layer to the sentences.
struct CosineSink<'a>(&'a mut [Classified]);

impl Sink for CosineSink<'_> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        for (_, tokens) in sentence.layers {
            let mut geometry = Geometry::new(Reference {
                mean: vec![0.0; tokens.ncols()],
                leading: Vec::new(),
            });
            let cosine = geometry.add_sentence(*tokens)?.cosine;
            self.0[sentence.row].cosines.push(cosine);
        }
        Ok(())
    }
}

/// The groups of sentences: all, each category, each quarter of the lengths.
fn groups<'a>(
    sentences: &'a [Classified],
    categories: Option<&Categories>,
) -> Vec<(String, Vec<&'a Classified>)> {
    let mut groups = vec![("all".to_string(), sentences.iter().collect::<Vec<_>>())];
    if let Some(categories) = categories {
        for (place, category) in categories.names().iter().enumerate() {
            let rows = (0..sentences.len()).filter(|&row| categories.place(row) == Some(place));
            let name = match category.as_str() {
                // Names of other groups.
                "all" => "category all".into(),
                name if name.ends_with("tokens") => format!("category {name:?}"),
                name => name.to_string(),
            };
            groups.push((name, rows.map(|row| &sentences[row]).collect()));
        }
    }
    let mut lengths: Vec<f64> = sentences.iter().map(|s| s.tokens as f64).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    let ends = [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&lengths, q));
    for (k, pair) in ends.windows(2).enumerate() {
        let inside = |s: &&Classified| {
            let tokens = s.tokens as f64;
            (tokens > pair[0] || k == 0) && tokens <= pair[1]
        };
        let own: Vec<&Classified> = sentences.iter().filter(inside).collect();
        let shortest = own.iter().map(|s| s.tokens).min().unwrap_or_default();
        let longest = own.iter().map(|s| s.tokens).max().unwrap_or_default();
        groups.push((format!("{shortest} to {longest} tokens"), own));
    }
    groups.retain(|g| !g.1.is_empty());
    groups
}

/// The correlations of every group, target and layer.
fn correlate(
    sentences: &[Classified],
    categories: Option<&Categories>,
) -> Result<Vec<Correlation>> {
    let layers = sentences.first().map_or(0, |s| s.cosines.len());
    let mut found = Vec::new();
    for (group, own) in groups(sentences, categories) {
        for target in TARGETS {
            for layer in 0..layers {
                // a sentence of one token has no cosine
                let known = own.iter().filter(|s| s.cosines[layer].is_finite());
                let (x, y): (Vec<f64>, Vec<f64>) =
                    known.map(|s| (s.cosines[layer], s.target(target))).unzip();
                let r = spearman(&x, &y)?;
                found.push(Correlation {
                    target,
                    group: group.clone(),
                    layer,
                    rows: x.len(),
                    spearman: r,
                    interval: spearman_interval(r, x.len()),
                });
            }
        }
    }
    Ok(found)
}

/// Write `convergence`, `sentences` and `cosines`.
fn write_tables(
    folder: &Path,
    sentences: &[Classified],
    categories: Option<&Categories>,
    correlations: &[Correlation],
) -> Result<()> {
    use Kind::{Float, Integer, Text};
    let columns = [
        ("target", Text),
        ("group", Text),
        ("layer", Integer),
        ("rows", Integer),
        ("spearman", Float),
        ("low", Float),
        ("high", Float),
    ];
    let mut table = TableWriter::create(folder, "convergence", &columns)?;
    for c in correlations {
        table.row(&[
            c.target.into(),
            Cell::Text(&c.group),
            c.layer.into(),
            c.rows.into(),
            c.spearman.into(),
            c.interval.low.into(),
            c.interval.high.into(),
        ])?;
    }
    table.finish()?;
    let columns = [
        ("sentence", Integer),
        ("category", Text),
        ("tokens", Integer),
        ("label", Integer),
        ("predicted", Integer),
        ("confidence", Float),
        ("loss", Float),
    ];
    let mut table = TableWriter::create(folder, "sentences", &columns)?;
    let columns = [("sentence", Integer), ("layer", Integer), ("cosine", Float)];
    let mut cosines = TableWriter::create(folder, "cosines", &columns)?;
    for (i, s) in sentences.iter().enumerate() {
        table.row(&[
            i.into(),
            Cell::Text(categories.and_then(|c| c.name(i)).unwrap_or("")),
            s.tokens.into(),
            s.label.into(),
            s.predicted.into(),
            s.confidence.into(),
            s.loss.into(),
        ])?;
        for (layer, &cosine) in s.cosines.iter().enumerate() {
            cosines.row(&[i.into(), layer.into(), cosine.into()])?;
        }
    }
    table.finish()?;
    cosines.finish()
}

/// Draw the correlations over all sentences, by length and by category.
fn draw(folder: &Path, title: &str, correlations: &[Correlation]) -> Result<()> {
    let line = |name: &str, target: &str, group: &str| {
        let own = || {
            correlations
                .iter()
                .filter(|c| c.target == target && c.group == group)
        };
        LineSeries {
            name: name.into(),
            points: own().map(|c| (c.layer as f64, c.spearman)).collect(),
            dashed: false,
            band: own().map(|c| (c.interval.low, c.interval.high)).collect(),
        }
    };
    let chart = |what: &str, series: Vec<LineSeries>| LineChart {
        labels: labels(
            format!("{}: {what}", title),
            "Spearman's correlation over sentences of the mean cosine of their tokens; bands: 95 % intervals",
            "layer",
            "correlation",
        ),
        series,
        axis: Axis::Linear,
    };
    let all = TARGETS.map(|t| line(t, t, "all")).to_vec();
    let what = "convergence against correctness, confidence and loss";
    plotting::save(&chart(what, all), folder, "convergence")?;
    let mut names: Vec<&str> = Vec::new();
    for c in correlations {
        if !names.contains(&c.group.as_str()) {
            names.push(&c.group);
        }
    }
    let (lengths, categories): (Vec<&str>, Vec<&str>) = names
        .into_iter()
        .filter(|g| *g != "all")
        .partition(|g| g.ends_with("tokens"));
    for (stem, what, groups) in [
        (
            "convergence_lengths",
            "convergence against confidence, by length",
            lengths,
        ),
        (
            "convergence_categories",
            "convergence against confidence, by category",
            categories,
        ),
    ] {
        if groups.len() > 1 {
            let lines = groups.iter().map(|g| line(g, "confidence", g)).collect();
            plotting::save(&chart(what, lines), folder, stem)?;
        }
    }
    Ok(())
}
