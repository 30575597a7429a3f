//! `study pipeline`: everything, for both models: prepare, fine-tune, data-cls, all studies, the report.
//!
//! Each step leaves one output that appears whole or not at all, so a step whose output is there, made from what it would
//! read now, is done: a run that was stopped goes on where it was. The settings are kept beside the outputs, with what tells the
//! corpus and the checkpoints from others; other settings and other files are refused, and so are outputs of the same names that no
//! pipeline made there.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::study::{Amounts, Execution};
use crate::corpus::ReadOptions;
use crate::error::{Error, Result};
use crate::pipelines::shared_folder;
use crate::pipelines::{Same, keep_inputs};
use crate::training::TrainingArguments;

mod figures;
mod places;
mod record;
mod steps;

pub use figures::Figures;
use places::{Model, Stage};
use record::Record;
use steps::Run;

/// What to run, and on what.
#[derive(Debug, Clone)]
pub struct Config {
    /// The reviews: a path or the word `sample`; none for FLUE CLS.
    pub data: Option<String>,
    /// How it is read where it can be read in several ways.
    pub reading: ReadOptions,
    /// FlauBERT: a folder or a name.
    pub flaubert: String,
    /// CamemBERT: a folder or a name.
    pub camembert: String,
    /// Rows to fine-tune on; `None` for all.
    pub num_train: Option<usize>,
    /// Rows to evaluate on; `None` for all.
    pub num_test: Option<usize>,
    /// Trainer's settings.
    pub arguments: TrainingArguments,
    /// Layers of the files that the notebooks read; probes and cones see all of them.
    pub layers: Vec<usize>,
    /// What the statistics by layer look at.
    pub amounts: Amounts,
    /// The folder of all outputs.
    pub out: PathBuf,
    /// How models are run; `overwrite` runs every step again.
    pub execution: Execution,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The page to open.
    pub report: PathBuf,
    /// The main figures of the four models.
    pub figures: Vec<Figures>,
    /// Seconds of this run.
    pub seconds: f64,
}

/// Run every step whose output is not there yet.
///
/// # Errors
/// [`Error::Mismatch`] when `out` holds the outputs of other settings, or of other programs; [`Error::OutputBusy`] when another run is at work
/// there; those of every step. What is complete stays.
pub fn run(config: &Config) -> Result<Summary> {
    let start = Instant::now();
    config.arguments.validate()?;
    let inputs = [&config.flaubert, &config.camembert].into_iter();
    let inputs: Vec<&String> = inputs.chain(&config.data).collect();
    for output in places::outputs(config) {
        keep_inputs(&output, &inputs, Same::Refused)?;
    }
    fs::create_dir_all(&config.out).map_err(Error::io(&config.out, "create the folder"))?;
    let _lock = shared_folder::lock(&config.out)?;
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
        figures: figures::of(&run, &both),
        seconds: start.elapsed().as_secs_f64(),
    })
}
