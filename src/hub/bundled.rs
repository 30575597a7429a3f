//! The two tiny checkpoints of `models/`, compiled into the programs and laid out as folders when they are asked for.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{remove_leftovers, wait_for_lock};

/// A file of a bundled checkpoint: its name and its content.
type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($folder:literal: $($name:literal),+) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $folder, "/", $name)) as &[u8])),+]
    };
}

const BUNDLED: &[(&str, &[File])] = &[
    (
        "tiny-camembert",
        files!("tiny-camembert": "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
            "tokenizer_config.json"),
    ),
    (
        "tiny-flaubert",
        files!("tiny-flaubert": "config.json", "merges.txt", "model.safetensors", "tokenizer_config.json", "vocab.json"),
    ),
];

/// The names that need no download.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(name, _)| *name)
}

/// The folder of a bundled checkpoint under `cache`, written there unless it already stands there unchanged.
/// `None` when `name` is not bundled.
///
/// # Errors
/// [`Error::Io`] when the cache cannot be written.
pub(super) fn folder(name: &str, cache: &Path) -> Result<Option<PathBuf>> {
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
fn is_intact(folder: &Path, files: &[File]) -> bool {
    files.iter().all(|(name, content)| {
        let path = folder.join(name);
        fs::metadata(&path).is_ok_and(|m| m.len() == content.len() as u64)
            && fs::read(&path).is_ok_and(|found| found == *content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        folder("tiny-camembert", d.path()).unwrap();
        assert_eq!(entries(d.path()), 1);
    }

    #[test]
    fn a_bundled_checkpoint_is_written_once_and_mended_when_damaged() {
        let d = tempfile::tempdir().unwrap();
        for name in names() {
            let path = folder(name, d.path()).unwrap().unwrap();
            let weights = path.join("model.safetensors");
            let written = fs::metadata(&weights).unwrap().modified().unwrap();
            folder(name, d.path()).unwrap();
            assert_eq!(fs::metadata(&weights).unwrap().modified().unwrap(), written);
            let content = fs::read(&weights).unwrap();
            fs::write(&weights, &content[1..]).unwrap();
            folder(name, d.path()).unwrap();
            assert_eq!(fs::read(&weights).unwrap(), content);
            assert!(path.join("config.json").is_file());
        }
        assert_eq!(entries(d.path()), names().count());
        assert!(folder("camembert-base", d.path()).unwrap().is_none());
    }

    #[test]
    fn many_processes_may_ask_at_once() {
        let d = tempfile::tempdir().unwrap();
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| folder("tiny-flaubert", d.path()).unwrap().unwrap());
            }
        });
        assert_eq!(entries(d.path()), 1);
    }
}
