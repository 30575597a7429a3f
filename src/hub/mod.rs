//! From the name of a checkpoint or a data set to local files.
//!
//! ```no_run
//! use flue_study::hub::{Hub, HubOptions};
//! let hub = Hub::new(HubOptions::default());
//! let folder = hub.checkpoint("camembert-base")?;
//! # Ok::<(), flue_study::error::Error>(())
//! ```
//!
//! The way of that name, each step in a file that imports only from those after it (and from
//! `settings`, which all of them go by):
//!
//! 1. here: a folder of that name would be the answer; else the settings are read from the options
//!    and the environment (cache, endpoint, token, offline);
//! 2. `checkpoint`: a compiled-in checkpoint would be the answer; else it looks whether the cache
//!    holds all that is needed, which ends the search without a request (`flue` does the same for
//!    data sets, with Zenodo as the last resort);
//! 3. `repository`: the place in the cache; the hub lists the files of one commit, and the needed
//!    ones are fetched one by one;
//! 4. `transfer`: what the server says of a file, then its bytes, resumed and checked, under a
//!    lock that Python takes too;
//! 5. `client`: sends each request, follows redirects, waits and tries again; `answer` puts what
//!    comes back in words, `routes` picks proxy and certificates.
//!
//! Names, layout and variables are those of Python's `huggingface_hub`, so that both share one
//! cache.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

mod answer;
mod checkpoint;
mod client;
pub(crate) mod flue;
mod repository;
mod routes;
mod settings;
mod transfer;

use crate::error::{Error, Result};
use checkpoint::Want;
use client::Client;
pub use flue::FlueCls;
pub(crate) use repository::is_repository;
pub use settings::{HubOptions, Watch};
use settings::{Settings, Variables};

/// Resolves names of checkpoints and data sets to local files.
pub struct Hub {
    options: HubOptions,
    variables: Arc<Variables>,
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

    /// As [`Hub::new`], with the environment variables that `variable` gives instead of the
    /// process's.
    pub fn with_environment(
        options: HubOptions,
        variable: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        Self {
            options,
            variables: Arc::new(variable),
        }
    }

    /// The local folder of a checkpoint, with `config.json`, weights, and the tokenizer's files
    /// where it has some.
    ///
    /// `name` is a folder, `tiny-camembert` or `tiny-flaubert` (compiled in), or a repository of
    /// the hub such as `camembert-base` or `flaubert/flaubert_base_cased`. Only the files that are
    /// needed are downloaded: safetensors before pickles.
    ///
    /// # Errors
    /// [`Error::NotFound`] says what was looked for and where; [`Error::Network`] what the hub
    /// refused; [`Error::Io`] when the cache cannot be written.
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

    /// The FLUE CLS corpus: the Parquet conversion of `GETALP/flue` at the hub, else the French
    /// part of the Webis archive at Zenodo; from the cache when an earlier run (or, for Parquet,
    /// Python) left it there.
    ///
    /// # Errors
    /// Those of [`Hub::checkpoint`]; what the hub said is part of the message when Zenodo fails
    /// too.
    pub fn flue_cls(&self) -> Result<FlueCls> {
        flue::find(&self.client()?)
    }

    /// The Parquet files of configuration `config` of a dataset at the hub, with their split, in
    /// order.
    ///
    /// # Errors
    /// Those of [`Hub::checkpoint`].
    pub fn dataset_parquet(&self, dataset: &str, config: &str) -> Result<Vec<(String, PathBuf)>> {
        let client = self.client()?;
        flue::parquet(&client, dataset, config)?.ok_or_else(|| {
            let settings = client.settings();
            Error::NotFound {
                what: format!("dataset `{dataset}`, configuration `{config}`"),
                remedy: match settings.offline {
                    true => format!(
                        "the cache {} does not hold its Parquet files, and the hub was not asked \
                         because of {}",
                        settings.cache.display(),
                        settings.offline_because
                    ),
                    false => "the hub has no Parquet conversion of it".into(),
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
        let client = self.client()?;
        if let Some(folder) = checkpoint::bundled(name, &client.settings().own_cache)? {
            return Ok(folder);
        }
        if !is_repository(name) {
            return Err(checkpoint::not_found(
                name,
                "there is no such folder, and it is not the name of a repository at the hub",
            ));
        }
        checkpoint::find(&client, name, want)
    }

    /// A client for one search, with what the environment says now.
    fn client(&self) -> Result<Client> {
        let settings = Settings::resolve(&self.options, &*self.variables)?;
        let variables = self.variables.clone();
        Ok(Client::new(settings, variables, self.options.watch))
    }
}

/// The source of a file that lies in a cache: a name that is the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// `hf://OWNER/NAME/FILE`, `hf://datasets/OWNER/NAME/FILE` or `zenodo:RECORD/FILE`.
    pub(crate) name: String,
    /// The repository and its commit, where it is one of the hub.
    pub(crate) commit: Option<(String, String)>,
}

/// The way back, from the place of a file to its origin: in the hub's cache
/// `.../models--OWNER--NAME/snapshots/COMMIT/FILE`, in our own
/// `.../zenodo-RECORD/cls-acl10-unprocessed/FILE`; none for any other.
pub(crate) fn origin(file: &Path) -> Option<Origin> {
    let mut parts = Vec::new();
    for part in file.components() {
        if let Component::Normal(name) = part {
            parts.push(name.to_str()?);
        }
    }
    // The last place that looks like one of a cache: what is above it may be anything.
    (0..parts.len()).rev().find_map(|at| {
        let of_hub =
            repository::of_snapshot(&parts[at..]).map(|(repository, commit, file)| Origin {
                name: format!("hf://{repository}/{file}"),
                commit: Some((repository, commit)),
            });
        of_hub.or_else(|| flue::of_record(&parts[at..]).map(|name| Origin { name, commit: None }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_cache_are_named_by_their_source_and_no_others() {
        let commit = "1".repeat(40);
        let of = |path: &str| origin(Path::new(&path.replace("COMMIT", &commit)));
        let hub = |path: &str, name: &str, repository: &str| {
            let found = of(path).unwrap();
            assert_eq!(found.name, name);
            assert_eq!(found.commit, Some((repository.into(), commit.clone())));
        };
        hub(
            "/c/hub/models--a--b/snapshots/COMMIT/config.json",
            "hf://a/b/config.json",
            "a/b",
        );
        hub(
            "c/models--camembert-base/snapshots/COMMIT/config.json",
            "hf://camembert-base/config.json",
            "camembert-base",
        );
        hub(
            "/c/datasets--GETALP--flue/snapshots/COMMIT/CLS/train/0000.parquet",
            "hf://datasets/GETALP/flue/CLS/train/0000.parquet",
            "datasets/GETALP/flue",
        );
        let review = "/c/flue-study/zenodo-3251672/cls-acl10-unprocessed/fr/dvd/test.review";
        let found = of(review).unwrap();
        assert_eq!(
            found.name,
            "zenodo:3251672/cls-acl10-unprocessed/fr/dvd/test.review"
        );
        assert_eq!(found.commit, None);
        for other in [
            "camembert-base/config.json",
            "/c/models--camembert-base/snapshots/main/config.json",
            "/c/models--camembert-base/snapshots/COMMIT",
            "/c/camembert-base/snapshots/COMMIT/config.json",
            "/c/zenodo-1/cls-acl10-unprocessed/fr/dvd/test.review",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
