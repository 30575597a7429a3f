//! What a run needs from the network, fetched into the cache, so that the run itself can be
//! offline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::corpus::{Corpus, ReadOptions, Source};
use crate::error::{Error, Result};
use crate::hub::{Hub, HubOptions, is_repository};

/// What to fetch.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Checkpoints whose weights are wanted, by the names that the run gets.
    pub(crate) checkpoints: Vec<String>,
    /// Checkpoints whose tokenizers are enough.
    pub(crate) tokenizers: Vec<String>,
    /// The reviews by their name (none for FLUE CLS), when the run reads reviews at all.
    pub(crate) source: Option<Option<String>>,
    /// Where names are looked up.
    pub(crate) hub: HubOptions,
}

/// Where everything is now.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Summary {
    /// The folder of each checkpoint in the cache.
    pub(crate) checkpoints: BTreeMap<String, PathBuf>,
    /// The files of the reviews.
    pub(crate) data: Vec<PathBuf>,
    /// Names of local folders, which need not exist yet: there is nothing to fetch.
    pub(crate) local: Vec<String>,
}

/// Fetch what is not in the cache.
///
/// # Errors
/// Those of [`Hub::checkpoint`] and [`Hub::flue_cls`]; [`Error::Usage`] with `offline`. What came
/// whole stays.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    if config.hub.offline {
        return Err(Error::Usage("nothing can be fetched offline".into()));
    }
    let hub = Hub::new(config.hub.clone());
    let mut summary = Summary::default();
    let weights = config.checkpoints.iter().map(|name| (name, true));
    let tokenizers = config.tokenizers.iter().map(|name| (name, false));
    for (name, weights) in weights.chain(tokenizers) {
        if Path::new(name).is_dir() || !is_repository(name) {
            summary.local.push(name.clone());
            continue;
        }
        let folder = match weights {
            true => hub.checkpoint(name)?,
            false => hub.tokenizer(name)?,
        };
        summary.checkpoints.insert(name.clone(), folder);
    }
    match &config.source {
        Some(None) => {
            summary.data = Corpus::open(&Source::Flue, &hub, &ReadOptions::default())?.files()
        }
        Some(Some(source)) => summary.local.push(source.clone()),
        None => {}
    }
    Ok(summary)
}
