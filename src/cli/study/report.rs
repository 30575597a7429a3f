//! The command lines of `study report` and `study export`.

use std::path::PathBuf;

use clap::Args;

use super::super::common::{CommonArgs, to_json};
use crate::error::Result;
use crate::pipelines::report;
use crate::pipelines::study::export;

/// Gather everything that the studies left in one HTML page that needs nothing else
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder in which the studies left their folders
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,

    /// The page [default: report.html in the folder of results]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The language of the page: en or fr
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: report::Language,
}

/// Gather the tables of all studies for notebooks: one Parquet file for each kind of table
///
/// The tables of one kind stand below each other, with a first column `run`: the folder that each row comes from.
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
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        let out = self.out.clone();
        to_json(&report::run(&report::Config {
            results: self.results.clone(),
            language: self.lang,
            out: out.unwrap_or_else(|| self.results.join("report.html")),
            overwrite: common.overwrite,
        })?)
    }
}

impl ExportArgs {
    /// Write the files; what they hold as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        to_json(&export::run(&export::Config {
            results: self.results.clone(),
            out: self
                .out
                .clone()
                .unwrap_or_else(|| self.results.join("tables")),
            overwrite: common.overwrite,
        })?)
    }
}
