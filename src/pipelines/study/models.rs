//! `study raw` and `study fine-tuning`: the same statistics for both models, under the original's names.

use std::path::PathBuf;

use serde::Serialize;

use super::{Count, layers};
use crate::artifact::Part;
use crate::error::Result;
use crate::hub::HubOptions;

/// One of the two models.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    /// The start of the folder's name: `flaubert` or `camembert`.
    pub name: String,
    /// What pictures call it.
    pub title: String,
    /// A `DatasetDict` folder with its tokens.
    pub data: PathBuf,
    /// A local folder or a name on the hub.
    pub checkpoint: String,
}

/// What the two studies work on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The models.
    pub models: Vec<Model>,
    /// The folder in which each model has its own: `flaubert_raw`, `camembert_ft_1`, ...
    pub out: PathBuf,
    /// The end of each folder's name: `raw`, `ft_1`, ...
    pub suffix: String,
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
    /// Replace outputs that exist.
    #[serde(skip)]
    pub overwrite: bool,
}

impl Config {
    /// The study of one of the models.
    pub fn of(&self, model: &Model) -> layers::Config {
        layers::Config {
            data: model.data.clone(),
            checkpoint: model.checkpoint.clone(),
            out: self.out.join(format!("{}_{}", model.name, self.suffix)),
            title: model.title.clone(),
            cosine_sentences: self.cosine_sentences,
            trace_sentences: self.trace_sentences,
            erank_sentences: self.erank_sentences,
            measure_sentences: self.measure_sentences,
            measures: self.measures,
            seed: self.seed,
            batch_size: self.batch_size,
            part: Part::Whole,
            device: self.device.clone(),
            hub: self.hub.clone(),
            overwrite: self.overwrite,
        }
    }
}

/// Study every model; the summaries in their order.
///
/// # Errors
/// Those of [`layers::run`]. The models before the one that failed keep their folders.
pub fn run(config: &Config) -> Result<Vec<layers::Summary>> {
    config
        .models
        .iter()
        .map(|model| {
            tracing::info!("{}: {}", model.title, model.checkpoint);
            layers::run(&config.of(model))
        })
        .collect()
}
