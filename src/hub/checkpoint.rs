//! A checkpoint: which files it needs, and the folder that holds them. The two tiny checkpoints of
//! `models/` are compiled in; every other one is in the cache, or comes from one commit of a
//! repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::answer::shown;
use super::client::Client;
use super::repository::Repository;
use super::settings::{Settings, is_plain};
use crate::error::{Error, Result};
use crate::files::{read_json, remove_leftovers, wait_for_lock};

/// What says how a tokenizer and a model work, where a repository has it.
const SETTINGS: &[&str] = &[
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// The forms of a vocabulary.
const VOCABULARY: &[&str] = &[
    "sentencepiece.bpe.model",
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
];

/// The forms that weights are stored in, the best first; an index names shards.
const WEIGHTS: &[&str] = &[
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// What a checkpoint is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// Configuration, weights, and the tokenizer's files when there are some.
    Model,
    /// The tokenizer's files, and the configuration when there is one.
    Tokenizer,
}

impl Want {
    /// What is missing among the files of a checkpoint for this purpose, in words.
    fn lacks(self, has: impl Fn(&str) -> bool) -> Option<&'static str> {
        match self {
            Self::Tokenizer if !has_vocabulary(&has) => Some(
                "vocabulary (tokenizer.json, sentencepiece.bpe.model, or vocab.json and \
                 merges.txt)",
            ),
            Self::Model if !has("config.json") => Some("config.json"),
            Self::Model if weights(&has).is_none() => {
                Some("weights (model.safetensors or pytorch_model.bin)")
            }
            _ => None,
        }
    }
}

/// Whether the files hold a vocabulary that can be read.
fn has_vocabulary(has: impl Fn(&str) -> bool) -> bool {
    has("tokenizer.json")
        || has("sentencepiece.bpe.model")
        || (has("vocab.json") && has("merges.txt"))
}

/// The best form of weights among the files.
fn weights(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    WEIGHTS.iter().copied().find(|name| has(name))
}

/// The shards that an index names, sorted.
///
/// # Errors
/// [`Error::Malformed`] when it is not an index or names a file outside its folder.
fn shards(index: &Path) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let parsed: Index = read_json(index, "an index with a `weight_map`")?;
    let mut files: Vec<String> = parsed.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    match files.iter().find(|f| !is_plain(f)) {
        Some(bad) => Err(Error::malformed(
            index,
            "weight_map",
            format!("`{bad}`"),
            "names of files in the same folder",
        )),
        None => Ok(files),
    }
}

/// What the cache holds of a checkpoint.
enum Cached {
    /// Everything.
    Whole(PathBuf),
    /// What is needed; whether the commit has more that belongs to it is not known.
    Unsure(PathBuf, String),
    /// Not enough, in words.
    Lacking(String),
}

/// The folder of the checkpoint `name`, a repository of the hub: from the cache, and what is not
/// there from the network.
///
/// # Errors
/// Those of [`super::Hub::checkpoint`].
pub(super) fn find(client: &Client, name: &str, want: Want) -> Result<PathBuf> {
    let settings = client.settings();
    let repository = Repository::model(client, name);
    match look_into_cache(&repository, want)? {
        Cached::Whole(folder) => Ok(folder),
        Cached::Lacking(what) if settings.offline => Err(not_found(
            name,
            &format!(
                "there is no such folder; the cache {} {what} for revision {}; the hub was not \
                 asked because of {}. Run once with a connection, or pass a folder",
                repository.folder().display(),
                settings.revision,
                settings.offline_because
            ),
        )),
        Cached::Lacking(_) => download(settings, &repository, name, want, None),
        Cached::Unsure(folder, _) if settings.offline => Ok(folder),
        Cached::Unsure(folder, commit) => {
            match download(settings, &repository, name, want, Some(&commit)) {
                Err(e @ (Error::Network { .. } | Error::Io { .. })) => {
                    tracing::warn!("{e}; going on with what the cache holds of {name}");
                    Ok(folder)
                }
                other => other,
            }
        }
    }
}

/// What the cache holds of the commit that the revision stood for last.
fn look_into_cache(repository: &Repository<'_>, want: Want) -> Result<Cached> {
    let Some(commit) = repository.commit() else {
        return Ok(Cached::Lacking("holds nothing".into()));
    };
    let folder = repository.snapshot(&commit);
    let has = |file: &str| folder.join(file).is_file();
    if let Some(what) = want.lacks(has) {
        return Ok(Cached::Lacking(format!("holds no {what}")));
    }
    let index = weights(has).filter(|name| want == Want::Model && name.ends_with(".index.json"));
    if let Some(index) = index {
        let shards = shards(&folder.join(index))?;
        if let Some(shard) = shards.iter().find(|shard| !has(shard)) {
            return Ok(Cached::Lacking(format!("lacks the shard {shard}")));
        }
    }
    let known = |file: &&str| has(file) || repository.is_absent(&commit, file);
    let all_known =
        SETTINGS.iter().all(known) && (has_vocabulary(has) || VOCABULARY.iter().all(known));
    Ok(match all_known {
        true => Cached::Whole(folder),
        false => Cached::Unsure(folder, commit),
    })
}

/// Fetch the files that `want` needs, of `commit` or of the one that the revision stands for now;
/// the folder of the snapshot.
fn download(
    settings: &Settings,
    repository: &Repository<'_>,
    name: &str,
    want: Want,
    commit: Option<&str>,
) -> Result<PathBuf> {
    let listed = repository.list(commit).map_err(|e| explain(name, e))?;
    let commit = listed.sha.as_str();
    let has = |file: &str| listed.siblings.iter().any(|s| s.rfilename == file);
    if let Some(what) = want.lacks(has) {
        let hub = shown(&settings.endpoint);
        return Err(not_found(
            name,
            &format!("the repository at {hub} has no {what}"),
        ));
    }
    let of_tokenizer = SETTINGS.iter().chain(VOCABULARY).copied();
    let (there, absent): (Vec<_>, Vec<_>) = of_tokenizer.partition(|file| has(file));
    repository.note_absent(commit, absent.into_iter());
    for file in there {
        repository.fetch(commit, file)?;
    }
    if let Some(weights) = weights(has).filter(|_| want == Want::Model) {
        let path = repository.fetch(commit, weights)?;
        if weights.ends_with(".index.json") {
            for shard in shards(&path)? {
                repository.fetch(commit, &shard)?;
            }
        }
    }
    repository.note(commit)?;
    Ok(repository.snapshot(commit))
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

/// The error for a name that leads to no checkpoint.
pub(super) fn not_found(name: &str, remedy: &str) -> Error {
    let bundled: Vec<&str> = BUNDLED.iter().map(|(name, _)| *name).collect();
    Error::NotFound {
        what: format!("checkpoint `{name}`"),
        remedy: format!("{remedy} (always there: {})", bundled.join(", ")),
    }
}

/// A file of a bundled checkpoint: its name and its content.
type BundledFile = (&'static str, &'static [u8]);

macro_rules! files {
    ($folder:literal: $($name:literal),+) => {
        &[$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $folder, "/", $name))
                as &[u8],
        )),+]
    };
}

/// The checkpoints that need no download.
const BUNDLED: &[(&str, &[BundledFile])] = &[
    (
        "tiny-camembert",
        files!("tiny-camembert": "config.json", "model.safetensors", "special_tokens_map.json",
            "tokenizer.json", "tokenizer_config.json"),
    ),
    (
        "tiny-flaubert",
        files!("tiny-flaubert": "config.json", "merges.txt", "model.safetensors",
            "tokenizer_config.json", "vocab.json"),
    ),
];

/// The folder of a bundled checkpoint under `cache`, written there unless it already stands there
/// unchanged. `None` when `name` is not bundled.
///
/// # Errors
/// [`Error::Io`] when the cache cannot be written.
pub(super) fn bundled(name: &str, cache: &Path) -> Result<Option<PathBuf>> {
    let Some((_, files)) = BUNDLED.iter().find(|(n, _)| *n == name) else {
        return Ok(None);
    };
    let target = cache.join(name);
    if is_intact(&target, files) {
        return Ok(Some(target));
    }
    // One process writes it, and removes what one that was killed had begun.
    let _lock = wait_for_lock(&cache.join(".locks").join(format!("{name}.lock")))?;
    if is_intact(&target, files) {
        return Ok(Some(target));
    }
    let prefix = format!(".{name}.");
    remove_leftovers(cache, &prefix)?;
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(cache)
        .map_err(Error::io(cache, "create a folder in"))?;
    let fresh = temporary.path().join("new");
    fs::create_dir(&fresh).map_err(Error::io(&fresh, "create the folder"))?;
    for (file, content) in *files {
        let path = fresh.join(file);
        fs::write(&path, content).map_err(Error::io(&path, "write"))?;
    }
    if target.exists() {
        let old = temporary.path().join("old");
        fs::rename(&target, &old).map_err(Error::io(&target, "move aside"))?;
    }
    fs::rename(&fresh, &target).map_err(Error::io(&target, "rename"))?;
    Ok(Some(target))
}

/// Whether every file is there with its exact content.
fn is_intact(folder: &Path, files: &[BundledFile]) -> bool {
    files.iter().all(|(name, content)| {
        let path = folder.join(name);
        fs::metadata(&path).is_ok_and(|m| m.len() == content.len() as u64)
            && fs::read(&path).is_ok_and(|found| found == *content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_come_before_pickles() {
        let among = |files: &'static [&'static str]| weights(|f| files.contains(&f));
        assert_eq!(
            among(&["pytorch_model.bin", "model.safetensors"]),
            Some("model.safetensors")
        );
        assert_eq!(
            among(&["model.safetensors.index.json", "pytorch_model.bin"]),
            Some("model.safetensors.index.json")
        );
        assert_eq!(among(&["tf_model.h5"]), None);
        assert!(has_vocabulary(|f| ["vocab.json", "merges.txt"].contains(&f)));
        assert!(!has_vocabulary(|f| f == "vocab.json"));
    }

    /// How many there are in a folder, beside the locks.
    fn entries(folder: &Path) -> usize {
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name());
        names.filter(|name| name != ".locks").count()
    }

    #[test]
    fn what_a_killed_run_had_begun_is_removed() {
        let d = tempfile::tempdir().unwrap();
        fs::create_dir(d.path().join(".tiny-camembert.aB3xyz")).unwrap();
        bundled("tiny-camembert", d.path()).unwrap();
        assert_eq!(entries(d.path()), 1);
    }

    #[test]
    fn a_bundled_checkpoint_is_written_once_and_mended_when_damaged() {
        let d = tempfile::tempdir().unwrap();
        for (name, _) in BUNDLED {
            let path = bundled(name, d.path()).unwrap().unwrap();
            let weights = path.join("model.safetensors");
            let written = fs::metadata(&weights).unwrap().modified().unwrap();
            bundled(name, d.path()).unwrap();
            assert_eq!(fs::metadata(&weights).unwrap().modified().unwrap(), written);
            let content = fs::read(&weights).unwrap();
            fs::write(&weights, &content[1..]).unwrap();
            bundled(name, d.path()).unwrap();
            assert_eq!(fs::read(&weights).unwrap(), content);
            assert!(path.join("config.json").is_file());
        }
        assert_eq!(entries(d.path()), BUNDLED.len());
        assert!(bundled("camembert-base", d.path()).unwrap().is_none());
    }

    #[test]
    fn many_processes_may_ask_at_once() {
        let d = tempfile::tempdir().unwrap();
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| bundled("tiny-flaubert", d.path()).unwrap().unwrap());
            }
        });
        assert_eq!(entries(d.path()), 1);
    }
}
