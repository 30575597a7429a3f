//! The command lines of the studies beyond the notebooks: `study compare` and `study convergence`.

use std::path::PathBuf;

use clap::Args;

use super::super::common::{CommonArgs, LabelArgs, at_least_one, to_json};
use super::execution;
use crate::error::Result;
use crate::pipelines::study::{Count, compare, convergence};

/// Tell how alike the layers of two models are over the same tokens, raw against fine-tuned (linear CKA)
///
/// Leaves comparison.csv (layer_a,layer_b,cka), a heat map of all pairs of layers and a line of the same layers.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// A dataset folder as flue-cls-prepare writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// The first model: a local folder or a name on the hub
    #[arg(long, short, value_name = "CHECKPOINT")]
    checkpoint: String,

    /// The second model, of the same tokens
    #[arg(long, value_name = "CHECKPOINT")]
    other: String,

    /// The folder that receives the table and the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// What pictures call the two [default: both checkpoints]
    #[arg(long, value_name = "WORDS")]
    title: Option<String>,

    /// Sentences whose tokens are sampled: a number, or all
    #[arg(long, value_name = "N|all", default_value = "200")]
    sentences: Count,

    /// Decides the sample of 2,000 tokens
    #[arg(long, default_value_t = 42)]
    seed: u64,

    /// Sentences per forward pass: changes memory and speed, not the figures
    #[arg(short = 'b', long, value_name = "BATCH", default_value_t = 8, value_parser = at_least_one)]
    batch: usize,
}

/// Correlate the convergence of each sentence's tokens with how well a fine-tuned model classifies it
///
/// Leaves convergence.csv (target,group,layer,rows,spearman,low,high), sentences.csv, cosines.csv and pictures: over all sentences,
/// by category and by length.
#[derive(Debug, Args)]
pub(super) struct ConvergenceArgs {
    /// A dataset folder as flue-cls-prepare writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// A fine-tuned classifier: a local folder or a name on the hub
    #[arg(long, short, value_name = "CHECKPOINT")]
    checkpoint: String,

    /// The folder that receives tables and pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// What pictures call the model [default: the checkpoint]
    #[arg(long, value_name = "WORDS")]
    title: Option<String>,

    /// Sentences to look at: a number, or all
    #[arg(long, value_name = "N|all", default_value = "all")]
    sentences: Count,

    /// Do not give the classifier the token types of the data (for a FlauBERT that was fine-tuned without them)
    #[arg(long)]
    no_token_type_ids: bool,

    #[command(flatten)]
    labels: LabelArgs,

    /// Sentences per forward pass: changes memory and speed, not the figures
    #[arg(short = 'b', long, value_name = "BATCH", default_value_t = 8, value_parser = at_least_one)]
    batch: usize,
}

impl CompareArgs {
    /// The checkpoints that are read.
    pub fn checkpoints(&self) -> Vec<String> {
        vec![self.checkpoint.clone(), self.other.clone()]
    }

    /// Run the study; its summary as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        let both = || format!("{}, {}", self.checkpoint, self.other);
        to_json(&compare::run(&compare::Config {
            data: self.data.clone(),
            checkpoint: self.checkpoint.clone(),
            other: self.other.clone(),
            out: self.out.clone(),
            title: self.title.clone().unwrap_or_else(both),
            sentences: self.sentences,
            seed: self.seed,
            execution: execution(self.batch, common),
        })?)
    }
}

impl ConvergenceArgs {
    /// The checkpoints that are read.
    pub fn checkpoints(&self) -> Vec<String> {
        vec![self.checkpoint.clone()]
    }

    /// Run the study; its summary as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        let title = self.title.clone();
        to_json(&convergence::run(&convergence::Config {
            data: self.data.clone(),
            checkpoint: self.checkpoint.clone(),
            out: self.out.clone(),
            title: title.unwrap_or_else(|| self.checkpoint.clone()),
            sentences: self.sentences,
            use_token_type_ids: !self.no_token_type_ids,
            label_map: self.labels.map(),
            execution: execution(self.batch, common),
        })?)
    }
}
