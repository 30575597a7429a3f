//! FlauBERT's tokenizer as a folder that transformers opens without our code.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::keep_what_is_read;
use super::rows::Input;
use crate::corpus::{ReadOptions, Source};
use crate::error::{Error, Result};
use crate::files::{AtomicDir, presence};
use crate::hub::{Hub, HubOptions};
use crate::progress::Progress;
use crate::tokenization::flaubert::{Comparison, export_tokenizer_json};
use crate::tokenization::{TokenizerKind, TokenizerOptions, from_pretrained};

/// Texts compared together.
const BATCH: usize = 4096;

/// What to export.
#[derive(Debug, Clone)]
pub(crate) struct ExportConfig {
    /// A folder with a FlauBERT tokenizer, or a name on the hub.
    pub(crate) checkpoint: String,
    /// Reviews on which the export is compared with the tokenizer; none for no comparison.
    pub(crate) source: Option<String>,
    /// How tables of reviews are read.
    pub(crate) reading: ReadOptions,
    /// Lower-case the text first; none does as the Python class of the tokenizer does.
    pub(crate) lowercase: Option<bool>,
    /// How names are looked up.
    pub(crate) hub: HubOptions,
    /// The folder to write.
    pub(crate) output: PathBuf,
    /// Replace the folder when it exists.
    pub(crate) overwrite: bool,
}

/// What was written, and how far it can be trusted.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ExportSummary {
    /// The folder.
    pub(crate) output: PathBuf,
    /// The checkpoint that was asked for.
    pub(crate) checkpoint: String,
    /// Merges that the format cannot express.
    pub(crate) dropped_merges: usize,
    /// Reviews compared.
    pub(crate) texts: usize,
    /// Reviews to which the export gives other ids.
    pub(crate) differing: usize,
    /// Their share; none without reviews.
    pub(crate) differing_share: Option<f64>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Write `tokenizer.json` and `tokenizer_config.json` of a FlauBERT checkpoint into a folder of
/// their own, and count on the given reviews how often that format, which knows no Moses, gives
/// other ids.
///
/// # Errors
/// [`Error::OutputExists`]; [`Error::Usage`] for a tokenizer that is not FlauBERT's; those of
/// reading the checkpoint and the reviews. No folder is left behind then.
pub(crate) fn export_tokenizer(config: &ExportConfig) -> Result<ExportSummary> {
    let start = Instant::now();
    let source = config.source.as_ref().map(|s| Source::named(Some(s)));
    let read = source.as_ref().unwrap_or(&Source::Sample);
    keep_what_is_read(&config.output, &config.checkpoint, read, &config.hub)?;
    let hub = Hub::new(config.hub.clone());
    let folder = hub.tokenizer(&config.checkpoint)?;
    let options = TokenizerOptions {
        lowercase: config.lowercase,
    };
    let tokenizer = from_pretrained(&folder, &options)?;
    let vocabulary = presence::is_file(&folder.join("vocab.json"))?;
    if tokenizer.kind() != TokenizerKind::Flaubert || !vocabulary {
        return Err(Error::Usage(format!(
            "{} has no FlauBERT vocabulary to export (vocab.json and merges.txt)",
            config.checkpoint
        )));
    }
    let output = AtomicDir::create(&config.output, config.overwrite)?;
    let export = export_tokenizer_json(&folder, &options)?;
    for (name, content) in [
        ("tokenizer.json", &export.json),
        ("tokenizer_config.json", &export.config),
    ] {
        let path = output.path().join(name);
        fs::write(&path, content).map_err(Error::io(&path, "write"))?;
    }
    let mut comparison = Comparison::new(tokenizer.as_ref(), &export)?;
    if let Some(source) = &source {
        let input = Input::open(source, &hub, &config.reading)?;
        for split in input.split_names() {
            compare(&input, &split, &mut comparison)?;
        }
    }
    output.commit()?;
    let found = comparison.found();
    tracing::warn!(
        "tokenizer.json has no Moses rules: substitutions stand in for them, and {} merges have no place in it; some texts get other ids",
        export.dropped_merges
    );
    Ok(ExportSummary {
        output: config.output.clone(),
        checkpoint: config.checkpoint.clone(),
        dropped_merges: export.dropped_merges,
        texts: found.texts,
        differing: found.differing,
        differing_share: (found.texts > 0).then(|| found.share()),
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn compare(input: &Input, split: &str, comparison: &mut Comparison<'_>) -> Result<()> {
    let mut progress = Progress::new(format!("compare {split}"), input.known_rows(split), "rows");
    let mut reviews = input.reviews(split)?;
    loop {
        let batch = reviews.by_ref().take(BATCH);
        let texts = batch
            .map(|r| Ok(r?.text))
            .collect::<Result<Vec<String>>>()?;
        if texts.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        comparison.add(&texts)?;
        progress.advance(texts.len() as u64);
    }
}
