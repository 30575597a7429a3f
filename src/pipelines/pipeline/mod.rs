//! `study pipeline`: everything, for both models: prepare, fine-tune, data-cls, all studies, the
//! report.
//!
//! Each step leaves one output that appears whole or not at all, so a step whose output is there,
//! made from what it would read now, is done: a run that was stopped goes on where it was. The
//! settings are kept beside the outputs, with what tells the corpus and the checkpoints from
//! others; other settings and other files are refused, and so are outputs of the same names that no
//! pipeline made there.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::study::{Amounts, Execution};
use crate::corpus::ReadOptions;
use crate::error::{Error, Result};
use crate::pipelines::outputs;
use crate::pipelines::{Same, keep_inputs};
use crate::training::TrainingArguments;

mod places;
mod record;
mod steps;

use places::{Model, Stage};
use record::Record;
use steps::Run;

/// What to run, and on what.
#[derive(Debug, Clone)]
pub struct Config {
    /// The reviews: a path or the word `sample`; none for FLUE CLS.
    pub(crate) data: Option<String>,
    /// How it is read where it can be read in several ways.
    pub(crate) reading: ReadOptions,
    /// A folder or a name for each of the original's models, in their order.
    pub(crate) checkpoints: [String; 2],
    /// Rows to fine-tune on; `None` for all.
    pub(crate) num_train: Option<usize>,
    /// Rows to evaluate on; `None` for all.
    pub(crate) num_test: Option<usize>,
    /// Trainer's settings.
    pub(crate) arguments: TrainingArguments,
    /// Layers of the files that the notebooks read; probes and cones see all of them.
    pub(crate) layers: Vec<usize>,
    /// What the statistics by layer look at.
    pub(crate) amounts: Amounts,
    /// The folder of all outputs.
    pub(crate) out: PathBuf,
    /// How models are run; `overwrite` runs every step again.
    pub(crate) execution: Execution,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The page to open.
    pub(crate) report: PathBuf,
    /// The main figures of the four models.
    pub(crate) figures: Vec<Figures>,
    /// Seconds of this run.
    pub(crate) seconds: f64,
}

/// The main figures of one model before or after fine-tuning.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// `flaubert_raw`, `flaubert_ft`, `camembert_raw` or `camembert_ft`.
    pub(crate) model: String,
    /// Accuracy of the fine-tuned classifier on `test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eval_accuracy: Option<f64>,
    /// Median cosine of two tokens of a sentence, at the last layer.
    pub(crate) cosine_median: f64,
    /// Median trace of a sentence's covariance, at the last layer.
    pub(crate) trace_median: f64,
    /// Effective rank of all tokens, at the last layer.
    pub(crate) erank: f64,
    /// Accuracy of the original's probe on the last layer.
    pub(crate) probe_accuracy: f64,
}

/// Run every step whose output is not there yet.
///
/// # Errors
/// [`Error::Mismatch`] when `out` holds the outputs of other settings, or of other programs;
/// [`Error::OutputBusy`] when another run is at work there; those of every step. What is complete
/// stays.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    let start = Instant::now();
    config.arguments.validate()?;
    let inputs: Vec<&String> = config.checkpoints.iter().chain(&config.data).collect();
    for output in places::outputs(config) {
        keep_inputs(&output, &inputs, Same::Refused)?;
    }
    fs::create_dir_all(&config.out).map_err(Error::io(&config.out, "create the folder"))?;
    let _lock = outputs::lock(&config.out)?;
    let mut run = Run {
        config,
        record: Record::open(config, &steps::sources(config)?)?,
    };
    let both = Model::both(config);
    for model in &both {
        run.prepare(model)?;
        run.finetune(model)?;
        for stage in Stage::BOTH {
            run.extract(model, stage)?;
            run.select(model, stage)?;
        }
    }
    for stage in Stage::BOTH {
        for model in &both {
            run.layers(model, stage)?;
        }
    }
    for model in &both {
        run.compare(model)?;
        run.convergence(model)?;
    }
    run.cls()?;
    run.cone()?;
    run.export()?;
    let report = run.report()?;
    Ok(Summary {
        report,
        figures: figures(&run, &both),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// The figures of every model and stage of a run that is complete.
fn figures(run: &Run<'_>, models: &[Model<'_>]) -> Vec<Figures> {
    let stages = models
        .iter()
        .flat_map(|m| Stage::BOTH.map(|stage| (m, stage)));
    stages
        .map(|(model, stage)| figures_of(run, model, stage))
        .collect()
}

fn figures_of(run: &Run<'_>, model: &Model<'_>, stage: Stage) -> Figures {
    let name = model.arrays(stage);
    let last = |list: &Value, own: &dyn Fn(&Value) -> bool| {
        let found = list.as_array().and_then(|l| l.iter().rfind(|v| own(v)));
        found.cloned().unwrap_or_default()
    };
    let layers = run.record.summary(&run.layers_step(model, stage));
    let layer = last(&layers["layers"], &|_| true);
    let probes = &run.record.summary("cls")["probes"];
    let probe = last(probes, &|p| p["model"] == name);
    let tuned = run
        .record
        .summary(&format!("fine-tune {}", model.original.name));
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    Figures {
        eval_accuracy: match stage {
            Stage::Raw => None,
            Stage::FineTuned => tuned["eval_accuracy"].as_f64(),
        },
        cosine_median: number(&layer["cosine_median"]),
        trace_median: number(&layer["trace_median"]),
        erank: number(&layer["erank"]),
        probe_accuracy: number(&probe["accuracy"]),
        model: name.into(),
    }
}
