//! `study report`: everything that the studies left, as one HTML page that needs no other file.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use crate::artifact::Manifest;
use crate::error::{Error, Result};
use crate::files::AtomicFile;

mod figures;
mod overview;
mod page;
mod results;
mod sections;
mod words;

pub(crate) use words::Language;

/// What `study report` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The folder in which each study left its own.
    pub(crate) results: PathBuf,
    /// The page.
    pub(crate) out: PathBuf,
    /// Its language.
    pub(crate) language: Language,
    /// Replace a page that exists.
    #[serde(skip)]
    pub(crate) overwrite: bool,
}

/// What the report holds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The page.
    pub(crate) out: PathBuf,
    /// The models whose layers were studied, by the names of their folders.
    pub(crate) models: Vec<String>,
    /// The number of pictures.
    pub(crate) pictures: usize,
}

/// Write the page.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::NotFound`] when no study left anything,
/// [`Error::Malformed`] for a broken table.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    let found = results::Results::read(&config.results)?;
    let mut file = AtomicFile::create(&config.out, config.overwrite)?;
    let links = page::Links::new(&config.results, config.out.parent());
    let settings = serde_json::to_value(config).map_err(Error::compute("manifest"))?;
    let mut manifest = Manifest::new("study report", settings);
    manifest.add_inputs(&found.tables)?;
    let page = sections::build(&found, &manifest, links, config.language)?;
    file.write_all(page.finish().as_bytes())
        .map_err(Error::io(&config.out, "write"))?;
    file.commit()?;
    Ok(Summary {
        out: config.out.clone(),
        models: found.runs.iter().map(|r| r.folder.clone()).collect(),
        pictures: page.pictures(),
    })
}
