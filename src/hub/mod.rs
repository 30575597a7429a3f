//! A name or a folder to local files: a local folder, the checkpoints compiled in, the cache of Hugging Face's
//! libraries, and last the hub.
//!
//! ```no_run
//! use flue_study::hub::{Hub, HubOptions};
//! let hub = Hub::new(HubOptions::default());
//! let folder = hub.checkpoint("camembert-base")?;
//! # Ok::<(), flue_study::error::Error>(())
//! ```
//!
//! The cache comes first: what is there whole is used without a request. Names, layout and variables are those of
//! Python's `huggingface_hub`, so both share one cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

mod address;
mod bundled;
mod certificates;
mod checkpoint;
mod client;
mod flue;
mod origin;
mod patience;
mod refusal;
mod repository;
mod routes;
mod selection;
mod settings;
mod transfer;
pub mod webis;

use crate::error::{Error, Result};
use checkpoint::Want;
use client::Client;
pub use flue::FlueCls;
pub use origin::{Origin, origin};
pub use selection::is_repository;
use settings::Settings;

/// Told of a download: from its name, the bytes that an earlier run left, and the size (0 when that is unknown) it makes what is
/// called with the number of bytes that arrive.
pub type Watch = fn(&str, u64, u64) -> Box<dyn FnMut(u64)>;

/// How names are looked up.
#[derive(Debug, Clone, Default)]
pub struct HubOptions {
    /// Never touch the network (`--offline`); `HF_HUB_OFFLINE=1` does the same.
    pub offline: bool,
    /// The folder of downloaded repositories (`--cache-dir`); else `HF_HUB_CACHE`, `HF_HOME/hub` or
    /// `~/.cache/huggingface/hub`.
    pub cache_dir: Option<PathBuf>,
    /// Branch, tag or commit of a checkpoint (`--revision`); else `main`.
    pub revision: Option<String>,
    /// Shows the progress of downloads; none without it.
    pub watch: Option<Watch>,
}

/// The value of an environment variable.
type Variables = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Resolves names of checkpoints and datasets to local files.
pub struct Hub {
    options: HubOptions,
    variables: Box<Variables>,
}

impl Hub {
    /// A hub with these options in the environment of the process. Nothing is read or sent yet.
    pub fn new(options: HubOptions) -> Self {
        Self::with_environment(options, |name| match std::env::var_os(name) {
            // The system knows where a user's folder is, when the variable is not set.
            None if name == "HOME" => std::env::home_dir().map(Into::into),
            value => value,
        })
    }

    /// As [`Hub::new`], with the environment variables that `variable` gives instead of the process's.
    pub fn with_environment(
        options: HubOptions,
        variable: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        Self {
            options,
            variables: Box::new(variable),
        }
    }

    /// The local folder of a checkpoint, with `config.json`, weights, and the tokenizer's files where it has some.
    ///
    /// `name` is a folder, `tiny-camembert` or `tiny-flaubert` (compiled in), or a repository of the hub such as
    /// `camembert-base` or `flaubert/flaubert_base_cased`. Only needed files are downloaded: safetensors before pickles.
    ///
    /// # Errors
    /// [`Error::NotFound`] says what was looked for and where; [`Error::Network`] what the hub refused;
    /// [`Error::Io`] when the cache cannot be written.
    pub fn checkpoint(&self, name: &str) -> Result<PathBuf> {
        self.find(name, Want::Model)
    }

    /// The local folder of a checkpoint's tokenizer: as [`Hub::checkpoint`], without its weights.
    ///
    /// # Errors
    /// Those of [`Hub::checkpoint`].
    pub fn tokenizer(&self, name: &str) -> Result<PathBuf> {
        self.find(name, Want::Tokenizer)
    }

    /// The FLUE CLS corpus: the Parquet conversion of `GETALP/flue` at the hub, else the French part of the Webis archive
    /// at Zenodo; from the cache when an earlier run (or, for Parquet, Python) left it there.
    ///
    /// # Errors
    /// Those of [`Hub::checkpoint`]; what the hub said is part of the message when Zenodo fails too.
    pub fn flue_cls(&self) -> Result<FlueCls> {
        let settings = Settings::resolve(&self.options, &*self.variables)?;
        let zenodo = (self.variables)("ZENODO_ENDPOINT")
            .and_then(|v| v.into_string().ok())
            .unwrap_or_else(|| "https://zenodo.org".into());
        let client = || self.client(&settings);
        flue::find(&settings, &client, zenodo.trim_end_matches('/'))
    }

    /// The Parquet files of configuration `config` of a dataset at the hub, with their split, in order.
    ///
    /// # Errors
    /// Those of [`Hub::checkpoint`].
    pub fn dataset_parquet(&self, dataset: &str, config: &str) -> Result<Vec<(String, PathBuf)>> {
        let settings = Settings::resolve(&self.options, &*self.variables)?;
        let client = || self.client(&settings);
        flue::parquet(&settings, &client, dataset, config)?.ok_or_else(|| {
            Error::NotFound {
                what: format!("dataset `{dataset}`, configuration `{config}`"),
                remedy: if settings.offline {
                    format!(
                        "the cache {} does not hold its Parquet files, and the hub was not asked because of {}",
                        settings.cache.display(),
                        settings.offline_because
                    )
                } else {
                    "the hub has no Parquet conversion of it".into()
                },
            }
        })
    }

    fn find(&self, name: &str, want: Want) -> Result<PathBuf> {
        let local = Path::new(name);
        if local.is_dir() {
            return match want {
                Want::Model if !local.join("config.json").is_file() => Err(Error::NotFound {
                    what: format!("{}", local.join("config.json").display()),
                    remedy: "a checkpoint is a folder as save_pretrained writes it".into(),
                }),
                _ => Ok(local.to_path_buf()),
            };
        }
        let settings = Settings::resolve(&self.options, &*self.variables)?;
        if let Some(folder) = bundled::folder(name, &settings.own_cache)? {
            return Ok(folder);
        }
        if !selection::is_repository(name) {
            return Err(checkpoint::not_found(
                name,
                "there is no such folder, and it is not the name of a repository at the hub",
            ));
        }
        checkpoint::find(&settings, name, want, || self.client(&settings))
    }

    fn client(&self, settings: &Settings) -> Result<Client> {
        Client::new(settings, self.options.watch, &*self.variables)
    }
}
