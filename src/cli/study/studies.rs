//! The command lines of the studies that read what others stored (`cls`, `cone`), of those beyond
//! the notebooks (`compare`, `convergence`), and of what gathers them all (`report`, `export`).

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::super::options::{CommonArgs, LabelArgs, at_least_one, one_of};
use super::super::program::to_json;
use super::{execution, looked_for};
use crate::pipelines::report;
use crate::pipelines::study::{Count, cls, compare, cone, convergence, export};

/// Train one linear probe per model and layer on the [CLS] vectors that data-cls stored
///
/// Leaves treillis.csv (model,layer,accuracy), probes.csv, logistic.csv (logistic regression to
/// convergence with its strength chosen by cross-validation, and on shuffled labels), classes.csv,
/// curves.csv, the heat maps and the training curves.
#[derive(Debug, Args)]
pub(super) struct ClsArgs {
    #[command(flatten)]
    arrays: ArraysArgs,

    /// The folder that receives tables and pictures
    #[arg(long, value_name = "DIR", default_value = "results/cls")]
    out: PathBuf,

    /// The same number of epochs for every probe [default: the original's, 30 for FlauBERT, 200 for
    /// CamemBERT, 60 at its layer 12]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    epochs: Option<usize>,

    /// Only the original's probe: neither logistic regression nor the control on shuffled labels
    #[arg(long)]
    no_logistic: bool,

    /// Decides initial weights, order of rows, dropout, folds and shuffled labels
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Compare the [CLS] vector of every review with that of the first one, by label
///
/// Leaves cone.csv (model,split,row,label,cosine) and a scatter for each model, of the last layer
/// stored.
#[derive(Debug, Args)]
pub(super) struct ConeArgs {
    #[command(flatten)]
    arrays: ArraysArgs,

    /// The folder that receives the table and the pictures
    #[arg(long, value_name = "DIR", default_value = "results/cone")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct ArraysArgs {
    /// The folder of {flaubert,camembert}_{raw,ft}.npy; those that are absent are left out
    #[arg(long, value_name = "DIR", default_value = "numpy_save")]
    npy: PathBuf,

    /// The numbers of the layers that the files hold [default: as their manifests say, else
    /// 5,7,9,11,12]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    layers: Option<Vec<usize>>,

    #[command(flatten)]
    labels: LabelArgs,
}

impl ClsArgs {
    /// Run the study; its summary as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let found = cls::run(&cls::Config {
            npy: self.arrays.npy.clone(),
            out: self.out.clone(),
            layers: self.arrays.layers.clone(),
            label_map: self.arrays.labels.map(),
            epochs: self.epochs,
            logistic: !self.no_logistic,
            seed: self.seed,
            overwrite: common.overwrite,
        });
        to_json(&looked_for(found, "--npy")?)
    }
}

impl ConeArgs {
    /// Run the study; its summary as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let found = cone::run(&cone::Config {
            npy: self.arrays.npy.clone(),
            out: self.out.clone(),
            layers: self.arrays.layers.clone(),
            label_map: self.arrays.labels.map(),
            overwrite: common.overwrite,
        });
        to_json(&looked_for(found, "--npy")?)
    }
}

/// Tell how alike the layers of two models are over the same tokens, raw against fine-tuned (linear
/// CKA)
///
/// Leaves comparison.csv (layer_a,layer_b,cka), a heat map of all pairs of layers and a line of the
/// same layers.
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

/// Correlate the convergence of each sentence's tokens with how well a fine-tuned model classifies
/// it
///
/// Leaves convergence.csv (target,group,layer,rows,spearman,low,high), sentences.csv, cosines.csv
/// and pictures: over all sentences, by category and by length.
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

    /// Do not give the classifier the token types of the data (for a FlauBERT that was fine-tuned
    /// without them)
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
    pub(crate) fn checkpoints(&self) -> Vec<String> {
        vec![self.checkpoint.clone(), self.other.clone()]
    }

    /// Run the study; its summary as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
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
    pub(crate) fn checkpoints(&self) -> Vec<String> {
        vec![self.checkpoint.clone()]
    }

    /// Run the study; its summary as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
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

/// Gather everything that the studies left in one HTML page that needs nothing else
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder in which the studies left their folders
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,

    /// The page [default: report.html in the folder of results]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The language of the page
    #[arg(long, value_name = "LANGUAGE", value_parser = one_of::<report::Language>(), default_value = "en")]
    lang: report::Language,
}

/// Gather the tables of all studies for notebooks: one Parquet file for each kind of table
///
/// The tables of one kind stand below each other, with a first column `run`: the folder that each
/// row comes from.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The folder in which the studies left their folders
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,

    /// The folder that receives the files [default: tables in the folder of results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl ReportArgs {
    /// Write the page; what it holds as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let out = self.out.clone();
        let found = report::run(&report::Config {
            results: self.results.clone(),
            language: self.lang,
            out: out.unwrap_or_else(|| self.results.join("report.html")),
            overwrite: common.overwrite,
        });
        to_json(&looked_for(found, "--results")?)
    }
}

impl ExportArgs {
    /// Write the files; what they hold as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let found = export::run(&export::Config {
            results: self.results.clone(),
            out: self
                .out
                .clone()
                .unwrap_or_else(|| self.results.join("tables")),
            overwrite: common.overwrite,
        });
        to_json(&looked_for(found, "--results")?)
    }
}
