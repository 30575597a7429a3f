//! The command line of `study pipeline`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::super::finetune::{RowCount, TrainingOptions, count};
use super::super::options::{CommonArgs, ReadingArgs, at_least_one};
use super::super::program::download;
use super::execution;
use super::layers::SentencesArgs;
use crate::pipelines::download;
use crate::pipelines::original::{CAMEMBERT, FLAUBERT, MODELS};
use crate::pipelines::pipeline::{self, Config, Summary};

/// Run the whole study for both models: prepare, fine-tune, data-cls, every study, the report
///
/// It resumes where it stopped. With --sample it takes the shipped corpus and the two tiny models,
/// which are a demonstration and not French BERTs.
#[derive(Debug, Args)]
pub(super) struct PipelineArgs {
    /// The shipped corpus and the tiny models, all rows
    #[arg(long, conflicts_with_all = ["data", "flaubert", "camembert"])]
    sample: bool,

    /// Where the corpus comes from (see flue-cls-prepare --data) [default: FLUE CLS]
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,

    #[command(flatten)]
    reading: ReadingArgs,

    /// FlauBERT: a folder or a name on the hub
    #[arg(long, value_name = "CHECKPOINT", default_value = FLAUBERT.checkpoint())]
    flaubert: String,

    /// CamemBERT: a folder or a name on the hub
    #[arg(long, value_name = "CHECKPOINT", default_value = CAMEMBERT.checkpoint())]
    camembert: String,

    /// Rows of `train` to fine-tune on, or `all` [default: 5000, with --sample all]
    #[arg(short = 'a', long, value_name = "N", value_parser = count)]
    num_train: Option<RowCount>,

    /// Rows of `test` to evaluate on, or `all` [default: 1000, with --sample all]
    #[arg(short = 'b', long, value_name = "N", value_parser = count)]
    num_test: Option<RowCount>,

    /// Epochs of fine-tuning
    #[arg(short = 'n', long, value_name = "EPOCHS", default_value_t = 1)]
    num_epochs: usize,

    /// Layers of the files in numpy_save, which the notebooks read; the probes see all layers
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "5,7,9,11,12"
    )]
    layers: Vec<usize>,

    /// Rows computed together in extraction; it changes memory and speed, not the figures
    #[arg(long, value_name = "BATCH", default_value_t = 32, value_parser = at_least_one)]
    batch: usize,

    #[command(flatten)]
    sentences: SentencesArgs,

    /// The folder of all outputs [default: study, with --sample study-sample]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    training: TrainingOptions,
}

impl PipelineArgs {
    fn config(&self, common: &CommonArgs) -> Config {
        let rows = |given: Option<RowCount>, real: usize| match given {
            Some(count) => count.0,
            None => (!self.sample).then_some(real),
        };
        let arguments = self.training.arguments(self.num_epochs);
        Config {
            data: match self.sample {
                true => Some("sample".into()),
                false => self.data.clone(),
            },
            reading: self.reading.options(),
            checkpoints: match self.sample {
                true => MODELS.map(|model| model.sample.into()),
                false => [self.flaubert.clone(), self.camembert.clone()],
            },
            num_train: rows(self.num_train, 5000),
            num_test: rows(self.num_test, 1000),
            layers: self.layers.clone(),
            amounts: self.sentences.amounts(arguments.seed),
            arguments,
            out: self.out.clone().unwrap_or_else(|| match self.sample {
                true => "study-sample".into(),
                false => "study".into(),
            }),
            execution: execution(self.batch, common),
        }
    }

    /// Run the pipeline; the main figures as a table, the report's name last.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let config = self.config(common);
        if common.download_only {
            let needs = download::Config {
                checkpoints: config.checkpoints.into(),
                source: Some(config.data),
                ..Default::default()
            };
            return download(common, needs);
        }
        Ok(table(&pipeline::run(&config)?))
    }
}

fn table(summary: &Summary) -> String {
    let mut lines = vec![format!(
        "{:<14} {:>13} {:>12} {:>14} {:>14} {:>14}",
        "last layer", "fine-tuning", "probe", "median cosine", "median trace", "effective rank"
    )];
    for f in &summary.figures {
        let tuned = f
            .eval_accuracy
            .map_or("-".into(), |a| format!("{:.1} %", 100.0 * a));
        lines.push(format!(
            "{:<14} {:>13} {:>12} {:>14.3} {:>14.4} {:>14.1}",
            f.model,
            tuned,
            format!("{:.1} %", 100.0 * f.probe_accuracy),
            f.cosine_median,
            f.trace_median,
            f.erank
        ));
    }
    lines.push(format!(
        "report: {} ({:.0} s)",
        summary.report.display(),
        summary.seconds
    ));
    lines.join("\n")
}
