//! The command line of `study`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use super::options::CommonArgs;
use super::program::{download, run_program};
use crate::error::{self, Error};
use crate::pipelines::download;
use crate::pipelines::study::Execution;

mod check;
mod layers;
mod pipeline;
mod studies;

/// Study how FlauBERT and CamemBERT represent a sentence, layer by layer, before and after
/// fine-tuning.
///
/// Each study leaves a folder of tables (CSV and Parquet) and pictures (PNG and SVG) and prints a
/// summary as JSON.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 130 or 143 after a signal.
#[derive(Debug, Parser)]
#[command(name = "study", version)]
struct StudyArgs {
    #[command(subcommand)]
    command: Study,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum Study {
    Layers(layers::LayersArgs),
    Raw(layers::RawArgs),
    FineTuning(layers::FineTuningArgs),
    Cls(studies::ClsArgs),
    Cone(studies::ConeArgs),
    Compare(studies::CompareArgs),
    Convergence(studies::ConvergenceArgs),
    Report(studies::ReportArgs),
    Export(studies::ExportArgs),
    Pipeline(Box<pipeline::PipelineArgs>),
    Check(check::CheckArgs),
}

/// Parse the command line and run the study it names.
pub fn main() -> ExitCode {
    run_program("study", |a: &StudyArgs| &a.common, run)
}

fn run(arguments: &StudyArgs) -> Result<String> {
    let common = &arguments.common;
    let own_download = matches!(arguments.command, Study::Pipeline(_) | Study::Check(_));
    if common.download_only && !own_download {
        let needs = download::Config {
            checkpoints: checkpoints(&arguments.command),
            ..Default::default()
        };
        return download(common, needs);
    }
    match &arguments.command {
        Study::Layers(a) => a.run(common),
        Study::Raw(a) => a.run(common),
        Study::FineTuning(a) => a.run(common),
        Study::Cls(a) => a.run(common),
        Study::Cone(a) => a.run(common),
        Study::Compare(a) => a.run(common),
        Study::Convergence(a) => a.run(common),
        Study::Report(a) => a.run(common),
        Study::Export(a) => a.run(common),
        Study::Pipeline(a) => a.run(common),
        Study::Check(a) => a.run(common),
    }
}

/// The checkpoints that a study reads.
fn checkpoints(study: &Study) -> Vec<String> {
    match study {
        Study::Layers(a) => a.checkpoints(),
        Study::Raw(a) => a.checkpoints(),
        Study::FineTuning(a) => a.checkpoints(),
        Study::Compare(a) => a.checkpoints(),
        Study::Convergence(a) => a.checkpoints(),
        _ => Vec::new(),
    }
}

/// How a study runs its models, `batch_size` sentences at a time.
fn execution(batch_size: usize, common: &CommonArgs) -> Execution {
    Execution {
        batch_size,
        device: common.device.clone(),
        hub: common.hub(),
        overwrite: common.overwrite,
    }
}

/// Name the `option` that says where a study looks, where it found nothing.
fn looked_for<T>(found: error::Result<T>, option: &'static str) -> Result<T> {
    let nothing = matches!(found, Err(Error::NotFound { .. }));
    match nothing {
        true => found.context(option),
        false => Ok(found?),
    }
}
