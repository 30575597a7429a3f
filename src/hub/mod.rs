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
mod client;
mod flue;
mod lock;
mod patience;
mod repository;
mod selection;
mod settings;
mod transfer;
pub mod webis;

use crate::error::{Error, Result};
use client::Client;
pub use flue::FlueCls;
use repository::Repository;
pub use selection::is_repository;
use settings::Settings;

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
}

/// The value of an environment variable.
type Variables = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Resolves names of checkpoints and datasets to local files.
pub struct Hub {
    options: HubOptions,
    variables: Box<Variables>,
}

/// What a checkpoint is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    /// Configuration, weights, and the tokenizer's files when there are some.
    Model,
    /// The tokenizer's files, and the configuration when there is one.
    Tokenizer,
}

impl Hub {
    /// A hub with these options in the environment of the process. Nothing is read or sent yet.
    pub fn new(options: HubOptions) -> Self {
        Self::with_environment(options, |name| std::env::var_os(name))
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
        let (settings, client) = self.settings_and_client()?;
        let zenodo = (self.variables)("ZENODO_ENDPOINT")
            .and_then(|v| v.into_string().ok())
            .unwrap_or_else(|| "https://zenodo.org".into());
        flue::find(&settings, client.as_ref(), zenodo.trim_end_matches('/'))
    }

    /// The Parquet files of configuration `config` of a dataset at the hub, with their split, in order.
    ///
    /// # Errors
    /// Those of [`Hub::checkpoint`].
    pub fn dataset_parquet(&self, dataset: &str, config: &str) -> Result<Vec<(String, PathBuf)>> {
        let (settings, client) = self.settings_and_client()?;
        flue::parquet(&settings, client.as_ref(), dataset, config)?.ok_or_else(|| {
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

    /// The settings, and a client unless they say offline.
    fn settings_and_client(&self) -> Result<(Settings, Option<Client>)> {
        let settings = Settings::resolve(&self.options, &*self.variables)?;
        let client = match settings.offline {
            true => None,
            false => Some(Client::new(&settings, &*self.variables)?),
        };
        Ok((settings, client))
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
            return Err(not_found(
                name,
                "there is no such folder, and it is not the name of a repository at the hub",
            ));
        }
        let repository = Repository::model(&settings, name);
        let (cached, lack) = look_into(&repository, want)?;
        match (cached, lack) {
            (Some(folder), None) => Ok(folder),
            (_, Some(lack)) if settings.offline => Err(not_found(
                name,
                &format!(
                    "there is no such folder; the cache {} {lack} for revision {}; the hub was not asked because of {}. \
                     Run once with a connection, or pass a folder",
                    repository.folder().display(),
                    settings.revision,
                    settings.offline_because
                ),
            )),
            _ => self.download(&settings, &repository, name, want),
        }
    }

    /// Fetch the files that `want` needs; the folder of the snapshot.
    fn download(
        &self,
        settings: &Settings,
        repository: &Repository<'_>,
        name: &str,
        want: Want,
    ) -> Result<PathBuf> {
        let client = Client::new(settings, &*self.variables)?;
        let listed = repository.list(&client).map_err(|e| explain(name, e))?;
        let has = |file: &str| listed.siblings.iter().any(|s| s.rfilename == file);
        let mut files = selection::tokenizer(has);
        let lacks = |what: &str| {
            not_found(
                name,
                &format!("the repository at {} has no {what}", settings.endpoint),
            )
        };
        if has("config.json") {
            files.insert(0, "config.json");
        } else if want == Want::Model {
            return Err(lacks("config.json"));
        }
        if want == Want::Tokenizer && !selection::has_vocabulary(has) {
            return Err(lacks(
                "vocabulary (tokenizer.json, sentencepiece.bpe.model, or vocab.json and merges.txt)",
            ));
        }
        let mut folder = None;
        for file in files {
            let path = repository.fetch(&client, file)?;
            folder = folder.or_else(|| path.parent().map(Path::to_path_buf));
        }
        if want == Want::Model {
            let weights = selection::weights(has)
                .ok_or_else(|| lacks("weights (model.safetensors or pytorch_model.bin)"))?;
            let path = repository.fetch(&client, weights)?;
            if weights.ends_with(".index.json") {
                for shard in repository::shards(&path)? {
                    repository.fetch(&client, &shard)?;
                }
            }
        }
        folder.ok_or_else(|| lacks("files that can be used"))
    }
}

/// The snapshot in the cache, and what it lacks in words (nothing when it is whole).
fn look_into(repository: &Repository<'_>, want: Want) -> Result<(Option<PathBuf>, Option<String>)> {
    let Some(folder) = repository.snapshot() else {
        return Ok((None, Some("holds nothing".into())));
    };
    let has = |file: &str| folder.join(file).is_file();
    let lack = match want {
        Want::Tokenizer if !selection::has_vocabulary(has) => Some("holds no tokenizer".into()),
        Want::Tokenizer => None,
        Want::Model if !has("config.json") => Some("holds no config.json".into()),
        Want::Model => match selection::weights(has) {
            None => Some("holds no weights".into()),
            Some(index) if index.ends_with(".index.json") => {
                repository::shards(&folder.join(index))?
                    .into_iter()
                    .find(|shard| !has(shard))
                    .map(|shard| format!("lacks the shard {shard}"))
            }
            Some(_) => None,
        },
    };
    Ok((Some(folder), lack))
}

fn not_found(name: &str, remedy: &str) -> Error {
    let bundled: Vec<&str> = bundled::names().collect();
    Error::NotFound {
        what: format!("checkpoint `{name}`"),
        remedy: format!("{remedy} (always there: {})", bundled.join(", ")),
    }
}

/// A refusal of the hub says for which name it was asked.
fn explain(name: &str, error: Error) -> Error {
    match error {
        Error::Network {
            url,
            problem,
            remedy,
        } => Error::Network {
            url,
            problem: format!("checkpoint `{name}`: {problem}"),
            remedy: format!("there is no folder of that name either; {remedy}"),
        },
        other => other,
    }
}
