//! The files of a checkpoint at the hub: from the cache when they are all there, else from one commit of the repository.

use std::path::PathBuf;

use super::client::Client;
use super::repository::{Repository, shards};
use super::settings::Settings;
use super::{bundled, selection};
use crate::error::{Error, Result};

/// What a checkpoint is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// Configuration, weights, and the tokenizer's files when there are some.
    Model,
    /// The tokenizer's files, and the configuration when there is one.
    Tokenizer,
}

/// What the cache holds of a checkpoint.
enum Cached {
    /// Everything.
    Whole(PathBuf),
    /// What is needed; whether the commit has more that belongs to it is not known.
    Unsure(PathBuf, String),
    /// It lacks something, in words.
    Lacks(String),
}

/// The folder of the checkpoint `name`, which `connect` serves to download when the cache does not hold it.
///
/// # Errors
/// Those of [`super::Hub::checkpoint`].
pub(super) fn find(
    settings: &Settings,
    name: &str,
    want: Want,
    connect: impl FnOnce() -> Result<Client>,
) -> Result<PathBuf> {
    let repository = Repository::model(settings, name);
    let download = |commit: Option<&str>| {
        let client = connect()?;
        Download {
            settings,
            repository: &repository,
            name,
            client,
        }
        .run(want, commit)
    };
    match look_into(&repository, want)? {
        Cached::Whole(folder) => Ok(folder),
        Cached::Lacks(lack) if settings.offline => Err(not_found(
            name,
            &format!(
                "there is no such folder; the cache {} {lack} for revision {}; the hub was not asked because of {}. \
                 Run once with a connection, or pass a folder",
                repository.folder().display(),
                settings.revision,
                settings.offline_because
            ),
        )),
        Cached::Lacks(_) => download(None),
        Cached::Unsure(folder, _) if settings.offline => Ok(folder),
        Cached::Unsure(folder, commit) => match download(Some(&commit)) {
            Err(e @ (Error::Network { .. } | Error::Io { .. })) => {
                tracing::warn!("{e}; going on with what the cache holds of {name}");
                Ok(folder)
            }
            other => other,
        },
    }
}

/// What the cache holds of the commit that the revision stood for last.
fn look_into(repository: &Repository<'_>, want: Want) -> Result<Cached> {
    let Some(commit) = repository.commit() else {
        return Ok(Cached::Lacks("holds nothing".into()));
    };
    let folder = repository.snapshot(&commit);
    let has = |file: &str| folder.join(file).is_file();
    let has_vocabulary = selection::has_vocabulary(has);
    let lack = match want {
        Want::Tokenizer if !has_vocabulary => Some("holds no tokenizer".into()),
        Want::Tokenizer => None,
        Want::Model if !has("config.json") => Some("holds no config.json".into()),
        Want::Model => match selection::weights(has) {
            None => Some("holds no weights".into()),
            Some(index) if index.ends_with(".index.json") => shards(&folder.join(index))?
                .into_iter()
                .find(|shard| !has(shard))
                .map(|shard| format!("lacks the shard {shard}")),
            Some(_) => None,
        },
    };
    if let Some(lack) = lack {
        return Ok(Cached::Lacks(lack));
    }
    let known = |file: &&str| has(file) || repository.is_absent(&commit, file);
    let known = selection::SETTINGS.iter().all(known)
        && (has_vocabulary || selection::VOCABULARY.iter().all(known));
    Ok(match known {
        true => Cached::Whole(folder),
        false => Cached::Unsure(folder, commit),
    })
}

/// The download of one checkpoint.
struct Download<'a> {
    settings: &'a Settings,
    repository: &'a Repository<'a>,
    name: &'a str,
    client: Client,
}

impl Download<'_> {
    /// Fetch the files that `want` needs, of `commit` or of the one that the revision stands for now; the folder of the snapshot.
    fn run(&self, want: Want, commit: Option<&str>) -> Result<PathBuf> {
        let listed = self
            .repository
            .list(&self.client, commit)
            .map_err(|e| explain(self.name, e))?;
        let commit = listed.sha.as_str();
        let has = |file: &str| listed.siblings.iter().any(|s| s.rfilename == file);
        let fetch = |file: &str| self.repository.fetch(&self.client, commit, file);
        if want == Want::Model && !has("config.json") {
            return Err(self.lacks("config.json"));
        }
        if want == Want::Tokenizer && !selection::has_vocabulary(has) {
            return Err(self.lacks(
                "vocabulary (tokenizer.json, sentencepiece.bpe.model, or vocab.json and merges.txt)",
            ));
        }
        let weights = selection::weights(has);
        if want == Want::Model && weights.is_none() {
            return Err(self.lacks("weights (model.safetensors or pytorch_model.bin)"));
        }
        let (there, absent): (Vec<_>, Vec<_>) = selection::tokenizer().partition(|f| has(f));
        self.repository.note_absent(commit, absent.into_iter());
        for file in there {
            fetch(file)?;
        }
        if let Some(weights) = weights.filter(|_| want == Want::Model) {
            let path = fetch(weights)?;
            if weights.ends_with(".index.json") {
                for shard in shards(&path)? {
                    fetch(&shard)?;
                }
            }
        }
        self.repository.note(commit)?;
        Ok(self.repository.snapshot(commit))
    }

    fn lacks(&self, what: &str) -> Error {
        let hub = self.settings.shown_endpoint();
        not_found(self.name, &format!("the repository at {hub} has no {what}"))
    }
}

pub(super) fn not_found(name: &str, remedy: &str) -> Error {
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
