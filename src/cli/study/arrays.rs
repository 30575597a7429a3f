//! The command lines of `study cls` and `study cone`, which read what `data-cls` stored.

use std::path::PathBuf;

use clap::Args;

use super::super::common::{CommonArgs, LabelArgs, at_least_one, to_json};
use crate::error::Result;
use crate::pipelines::study::{cls, cone};

/// Train one linear probe per model and layer on the [CLS] vectors that data-cls stored
///
/// Leaves treillis.csv (model,layer,accuracy), probes.csv, logistic.csv (logistic regression to convergence with its strength
/// chosen by cross-validation, and on shuffled labels), classes.csv, curves.csv, the heat maps and the training curves.
#[derive(Debug, Args)]
pub(super) struct ClsArgs {
    #[command(flatten)]
    arrays: ArraysArgs,

    /// The folder that receives tables and pictures
    #[arg(long, value_name = "DIR", default_value = "results/cls")]
    out: PathBuf,

    /// The same number of epochs for every probe [default: the original's, 30 for FlauBERT, 200 for CamemBERT, 60 at its layer 12]
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
/// Leaves cone.csv (model,split,row,label,cosine) and a scatter for each model, of the last layer stored.
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

    /// The numbers of the layers that the files hold [default: as their manifests say, else 5,7,9,11,12]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    layers: Option<Vec<usize>>,

    #[command(flatten)]
    labels: LabelArgs,
}

impl ClsArgs {
    /// Run the study; its summary as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        to_json(&cls::run(&cls::Config {
            npy: self.arrays.npy.clone(),
            out: self.out.clone(),
            layers: self.arrays.layers.clone(),
            label_map: self.arrays.labels.map(),
            epochs: self.epochs,
            logistic: !self.no_logistic,
            seed: self.seed,
            overwrite: common.overwrite,
        })?)
    }
}

impl ConeArgs {
    /// Run the study; its summary as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        to_json(&cone::run(&cone::Config {
            npy: self.arrays.npy.clone(),
            out: self.out.clone(),
            layers: self.arrays.layers.clone(),
            label_map: self.arrays.labels.map(),
            overwrite: common.overwrite,
        })?)
    }
}
