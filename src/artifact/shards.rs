//! The shards of one output: where they wait, and which are still missing.
//!
//! The shards of an output `OUT` lie in `OUT.shards`, each a folder `00002-of-00008`, written
//! like any output: a shard that has its name is finished. `OUT.shards/manifest.json` keeps the number of shards and the
//! settings, so that shards of different runs never mix.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::leftovers::{self, UNDER_WAY, folder_of, manifest_beside, name_of, shards_of};
use super::shard::MOST_SHARDS;
use super::{Manifest, OutputLock, inputs};
use crate::error::{Error, Result};

/// How many of the shards that are missing a message names.
const MOST_NAMED: usize = 10;

/// The shards of one output.
#[derive(Debug, Clone)]
pub struct ShardSet {
    folder: PathBuf,
    count: usize,
}

impl ShardSet {
    /// The set of `count` shards of `output` with the settings of `manifest`. The first shard to come keeps both in
    /// `OUT.shards/manifest.json`; the others must agree.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the set was begun with another number, other settings or another version; [`Error::Io`].
    pub fn begin(output: &Path, count: usize, manifest: &Manifest) -> Result<Self> {
        let set = Self::at(output, count);
        fs::create_dir_all(&set.folder).map_err(Error::io(&set.folder, "create the folder"))?;
        let path = set.folder.join("manifest.json");
        if !path.is_file() {
            set.require_own()?;
            let mut begun = Manifest::new(
                &manifest.program,
                json!({"shards": count, "settings": manifest.config}),
            );
            begun.inputs = manifest.inputs.clone();
            begun.commits = manifest.commits.clone();
            // Of several that come at the same time one is the first, and all others compare with it.
            begun.write_first(&path)?;
        }
        let begun = read_begun(&path)?;
        let kept = shard_count(&path, &begun)?;
        if kept != count {
            return Err(Error::Mismatch(format!(
                "{}: begun with {kept} shards, not {count}: keep to {kept}, or remove the folder",
                path.display()
            )));
        }
        if let Some(key) = difference(&begun.config["settings"], &manifest.config) {
            return Err(Error::Mismatch(format!(
                "{}: begun with another `{key}`: keep to its settings, or remove the folder",
                path.display()
            )));
        }
        if let Some(input) = inputs::difference(&begun.inputs, &manifest.inputs) {
            return Err(Error::Mismatch(format!(
                "{}: begun with {input}: restore what was read, or remove the folder",
                path.display()
            )));
        }
        Ok(set)
    }

    /// The set of one shard that a whole run is, begun before or now. With `overwrite`, what was begun with other settings is
    /// removed. So is, without it, what a run that was killed before it had computed anything left.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_whole(output: &Path, manifest: &Manifest, overwrite: bool) -> Result<Self> {
        let whole = Self::at(output, 1);
        leftovers::clear(&whole.folder)?;
        match Self::begin(output, 1, manifest) {
            Err(Error::Mismatch(_)) if (overwrite && whole.is_own()) || whole.is_bare() => {
                whole.remove()?;
                Self::begin(output, 1, manifest)
            }
            other => other,
        }
    }

    /// Whether nothing was computed for this set yet: its folder holds no file but the manifest, which is that of so many shards.
    pub fn is_bare(&self) -> bool {
        let manifest = self.folder.join("manifest.json");
        let ours = read_begun(&manifest).and_then(|begun| shard_count(&manifest, &begun));
        let mut entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let nothing = |path: &Path| {
            path == manifest
                || is_manifest_under_way(path)
                || fs::read_dir(path).is_ok_and(|mut inside| inside.next().is_none())
        };
        ours.is_ok_and(|count| count == self.count) && entries.all(|e| nothing(&e.path()))
    }

    /// Remove the folder of a run that failed before it had computed anything. What cannot be removed stays: that the run failed
    /// is what matters.
    pub fn remove_if_bare(&self) {
        if self.is_bare() {
            let _ = self.remove();
        }
    }

    /// The set with these settings, all shards of which are finished.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or that names the shards which are missing; as [`begin`](Self::begin).
    pub fn finished(output: &Path, manifest: &Manifest) -> Result<Self> {
        let (set, _) = Self::open(output)?;
        leftovers::clear(&set.folder)?;
        let set = Self::begin(output, set.count, manifest)?;
        set.require_all()?;
        Ok(set)
    }

    /// Remove the folder of all shards. It loses its name first: were it half gone under its name, the next run would take
    /// what is left for finished shards.
    ///
    /// # Errors
    /// [`Error::OutputBusy`] when a run is computing one of them; [`Error::Io`] when the folder cannot be renamed. What cannot be
    /// removed after that stays, with a warning.
    pub fn remove(&self) -> Result<()> {
        let _locks = self.lock_all()?;
        let parent = folder_of(&self.folder);
        let aside = leftovers::temporary(&self.folder, UNDER_WAY, |b| b.tempdir_in(parent))
            .map_err(Error::io(&self.folder, "rename"))?;
        fs::rename(&self.folder, aside.path().join("old"))
            .map_err(Error::io(&self.folder, "rename"))?;
        let path = aside.path().to_path_buf();
        if let Err(e) = aside.close() {
            tracing::warn!("{}: cannot be removed: {e}", path.display());
        }
        Ok(())
    }

    /// [`remove`](Self::remove) when the output is complete: that its parts stay is worth a warning, no more.
    pub fn remove_done(&self) {
        if let Err(e) = self.remove() {
            tracing::warn!("{e}; the output is complete, and its parts may be removed");
        }
    }

    /// The locks of all shards that any run has taken up.
    fn lock_all(&self) -> Result<Vec<OutputLock>> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let locked = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let output = name.strip_prefix('.')?.strip_suffix(".lock")?;
            Some(self.folder.join(output))
        });
        locked.map(|output| OutputLock::acquire(&output)).collect()
    }

    /// Remove the parts of a whole run that was killed when nothing was left to do but that: `output` is complete, with its
    /// manifest. Nothing is done while another run holds it.
    pub fn remove_if_done(output: &Path) {
        let named = manifest_beside(output).is_file() || output.join("manifest.json").is_file();
        let done =
            || Self::open(output).is_ok_and(|(set, _)| set.count == 1 && set.missing().is_empty());
        if named
            && done()
            && let Ok(_lock) = OutputLock::of_shards(output)
        {
            let _ = Self::at(output, 1).remove();
        }
    }

    /// Whether a run was killed between naming the single file `output` and writing its manifest: its parts are all there.
    pub fn lack_manifest_only(output: &Path) -> bool {
        output.is_file()
            && !manifest_beside(output).exists()
            && Self::open(output).is_ok_and(|(set, _)| set.missing().is_empty())
    }

    /// Whether the folder is one of shards.
    fn is_own(&self) -> bool {
        Manifest::read(&self.folder.join("manifest.json")).is_ok()
    }

    /// Refuse a folder of somebody else's that has the name of this one.
    fn require_own(&self) -> Result<()> {
        let shown = &self.folder;
        let mut entries = fs::read_dir(shown)
            .map_err(Error::io(shown, "read"))?
            .flatten();
        match entries.find(|entry| !is_manifest_under_way(&entry.path())) {
            None => Ok(()),
            Some(entry) => Err(Error::Mismatch(format!(
                "{}: the parts of the output go there, and {} is none of them: move it, or choose another name",
                shown.display(),
                entry.path().display()
            ))),
        }
    }

    /// The shards that were begun for `output`, and their manifest, whose `config.settings` all of them share.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there are none; [`Error::Mismatch`] when another version began them;
    /// [`Error::Malformed`].
    pub fn open(output: &Path) -> Result<(Self, Manifest)> {
        let set = Self::at(output, 0);
        let path = set.folder.join("manifest.json");
        if !path.is_file() {
            return Err(Error::NotFound {
                what: path.display().to_string(),
                remedy: "make the shards first, each with --shard i/N".into(),
            });
        }
        let manifest = read_begun(&path)?;
        let count = shard_count(&path, &manifest)?;
        Ok((Self { count, ..set }, manifest))
    }

    fn at(output: &Path, count: usize) -> Self {
        Self {
            folder: shards_of(output),
            count,
        }
    }

    /// The folder of all shards.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The number of shards.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where a shard's output lies or will lie.
    pub fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:05}-of-{:05}", self.count))
    }

    /// Whether a shard is finished.
    pub fn is_finished(&self, index: usize) -> bool {
        self.path(index).exists()
    }

    /// The numbers of the shards that are not finished.
    pub fn missing(&self) -> Vec<usize> {
        (0..self.count).filter(|&i| !self.is_finished(i)).collect()
    }

    /// Require that all shards are finished.
    ///
    /// # Errors
    /// [`Error::NotFound`] that names those which are not.
    pub fn require_all(&self) -> Result<()> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let mut names: Vec<_> = missing
            .iter()
            .take(MOST_NAMED)
            .map(|i| format!("--shard {i}/{}", self.count))
            .collect();
        if missing.len() > MOST_NAMED {
            names.push(format!("and {} more", missing.len() - MOST_NAMED));
        }
        Err(Error::NotFound {
            what: format!(
                "{} of {} shards in {}",
                missing.len(),
                self.count,
                self.folder.display()
            ),
            remedy: format!("run again with {}", names.join(", ")),
        })
    }
}

/// The manifest of all shards while a run, maybe another one, writes it.
fn is_manifest_under_way(path: &Path) -> bool {
    name_of(path).starts_with(".manifest.json.")
}

/// The manifest of a set of shards, unless another version of this toolkit began it: its shards may hold other figures.
fn read_begun(path: &Path) -> Result<Manifest> {
    let begun = Manifest::read(path)?;
    let version = env!("CARGO_PKG_VERSION");
    if begun.version != version {
        return Err(Error::Mismatch(format!(
            "{}: begun with version {} of this toolkit, not {version}: go on with that one, or remove the folder",
            path.display(),
            begun.version
        )));
    }
    Ok(begun)
}

fn shard_count(path: &Path, manifest: &Manifest) -> Result<usize> {
    let count = manifest.config.get("shards").and_then(Value::as_u64);
    let possible = count.filter(|n| (1..=MOST_SHARDS as u64).contains(n));
    possible.map(|n| n as usize).ok_or_else(|| {
        let expected = format!("1 to {MOST_SHARDS} shards: remove the folder and begin again");
        Error::malformed(path, "key `config.shards`", "another number", expected)
    })
}

/// The first key whose values differ.
fn difference(a: &Value, b: &Value) -> Option<String> {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return (a != b).then(|| "settings".into());
    };
    let keys = a.keys().chain(b.keys());
    keys.into_iter().find(|k| a.get(*k) != b.get(*k)).cloned()
}

#[cfg(test)]
mod tests;
