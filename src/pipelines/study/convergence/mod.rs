//! `study convergence`: does the convergence of a sentence's tokens explain how well it is classified?
//!
//! The last question of the paper, left open there. For every sentence the mean cosine of its tokens, at each layer, is correlated
//! (Spearman) with whether the fine-tuned classifier is right, how confident it is and what its loss is.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Count, Execution};
use crate::artifact::Manifest;
use crate::corpus::{Classes, LabelMap};
use crate::error::{Error, Result};
use crate::feature_extraction::{ExtractOptions, Extractor, Tokens};
use crate::files::AtomicDir;
use crate::hub::Hub;
use crate::metrics::Interval;
use crate::models::{Config as ModelConfig, checkpoint};
use crate::pipelines::labels::classes_of;
use crate::pipelines::{Same, keep_inputs};

mod classify;
mod output;

use classify::{CosineSink, classify};
use output::{correlate, draw, write_tables};

/// What `study convergence` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// A `DatasetDict` folder with a `test` split.
    pub data: PathBuf,
    /// A fine-tuned classifier: a local folder or a name on the hub.
    pub checkpoint: String,
    /// The folder that receives tables and pictures.
    pub out: PathBuf,
    /// What the pictures call the model.
    pub title: String,
    /// Rows to look at.
    pub sentences: Count,
    /// Give the classifier the token types of the data, as Trainer did when it was fine-tuned.
    pub use_token_type_ids: bool,
    /// Other names for the classes of the data and of the classifier.
    pub label_map: LabelMap,
    /// How models are run.
    #[serde(flatten)]
    pub execution: Execution,
}

/// What `study convergence` found.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The folder of tables and pictures.
    pub out: PathBuf,
    /// Sentences that were classified.
    pub sentences: usize,
    /// The share that was classified right.
    pub accuracy: f64,
    /// The correlations over all sentences at the last layer.
    pub last_layer: Vec<Correlation>,
}

/// A correlation over a group of sentences.
#[derive(Debug, Clone, Serialize)]
pub struct Correlation {
    /// `correct`, `confidence` or `loss`.
    pub target: &'static str,
    /// `all`, a category, or a range of lengths.
    pub group: String,
    /// The layer whose cosines were taken.
    pub layer: usize,
    /// Sentences in the group.
    pub rows: usize,
    /// Spearman's correlation; NaN where one side does not vary.
    pub spearman: f64,
    /// Its 95 % interval, as if neither side had ties: rougher for `correct`, which has two values.
    pub interval: Interval,
}

/// Classify the first rows of `test`, correlate, and leave `convergence`, `sentences` and `cosines` as CSV and Parquet, three pictures and
/// a manifest.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::Mismatch`] for a checkpoint without a trained head; those of the checkpoint, the
/// dataset and the forward passes.
pub fn run(config: &Config) -> Result<Summary> {
    let inputs = [config.data.as_path(), Path::new(&config.checkpoint)];
    keep_inputs(&config.out, inputs, Same::Replaced)?;
    let out = AtomicDir::create(&config.out, config.execution.overwrite)?;
    let device = crate::device::select(config.execution.device.as_deref())?;
    let folder = Hub::new(config.execution.hub.clone()).checkpoint(&config.checkpoint)?;
    let settings = serde_json::to_value(config).map_err(Error::compute("manifest"))?;
    let mut manifest = Manifest::new("study convergence", settings);
    let models = [(&config.checkpoint[..], folder.as_path())];
    manifest.add_inputs(&super::inputs(&models, &config.data)?)?;
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
    manifest.write(&out.path().join("manifest.json"))?;
    out.commit()?;
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
