//! Work cut into shards: which rows one takes, where their outputs wait, and which are still
//! missing.
//!
//! The shards of an output `OUT` lie in `OUT.shards`, each a folder `00002-of-00008`, written like
//! any output: a shard that has its name is finished. `OUT.shards/manifest.json` keeps the number
//! of shards and the settings, so that shards of different runs never mix.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use super::{Manifest, inputs};
use crate::error::{Error, Result};
use crate::files::presence::{is_dir, is_file};
use crate::files::{OutputLock, clear, entries, manifest_beside, names, remove_at_once, shards_of};

/// Rows that are computed and stored together where a model runs over them.
pub(crate) const CHUNK_ROWS: usize = 64;

/// The most shards that work can be cut into.
const MOST_SHARDS: usize = 1 << 16;

/// One shard of a number of them: the rows `index`, `index + count`, ... or, where a model runs
/// over them, chunks of rows in this manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Its number, from 0.
    pub(crate) index: usize,
    /// How many there are.
    pub(crate) count: usize,
}

impl Shard {
    /// Whether the row is one of this shard's.
    pub(crate) fn takes(&self, row: u64) -> bool {
        row % self.count as u64 == self.index as u64
    }

    /// The numbers and rows of this shard's chunks of `rows` rows. Every chunk is computed on its
    /// own, so that shards together compute just what one run does, to the last bit.
    pub(crate) fn chunks(self, rows: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        (0..rows.div_ceil(CHUNK_ROWS))
            .filter(move |&chunk| self.takes(chunk as u64))
            .map(move |chunk| {
                let from = chunk * CHUNK_ROWS;
                (chunk, from..rows.min(from + CHUNK_ROWS))
            })
    }

    /// Of `rows` rows, how many are this shard's.
    pub(crate) fn rows_of(&self, rows: u64) -> u64 {
        let (index, count) = (self.index as u64, self.count as u64);
        (rows + count - 1).saturating_sub(index) / count
    }
}

impl FromStr for Shard {
    type Err = Error;

    /// `i/N` with i from 0 to N−1.
    fn from_str(word: &str) -> Result<Self> {
        let (index, count) = word.split_once('/').unwrap_or((word, ""));
        match (index.trim().parse(), count.trim().parse()) {
            (Ok(index), Ok(count)) if index < count && count <= MOST_SHARDS => {
                Ok(Self { index, count })
            }
            _ => Err(Error::setting(
                "shard",
                format!("{word:?}"),
                format!("write i/N with i from 0 to N-1 and N up to {MOST_SHARDS}, such as 0/4"),
            )),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Which part of the work a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything, going on with what a killed run left.
    Whole,
    /// One shard, into `OUT.shards`.
    Shard(Shard),
    /// The output, of the finished shards in `OUT.shards`.
    Merge,
}

/// How many of the shards that are missing a message names.
const MOST_NAMED: usize = 10;

/// The shards of one output.
#[derive(Debug, Clone)]
pub(crate) struct ShardSet {
    folder: PathBuf,
    count: usize,
}

impl ShardSet {
    /// The set of `count` shards of `output` with the settings of `manifest`. The first shard to
    /// come keeps both in `OUT.shards/manifest.json`; the others must agree.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the set was begun with another number, other settings or another
    /// version; [`Error::Io`].
    pub(crate) fn begin(output: &Path, count: usize, manifest: &Manifest) -> Result<Self> {
        let set = Self::at(output, count);
        fs::create_dir_all(&set.folder).map_err(Error::io(&set.folder, "create the folder"))?;
        let path = set.folder.join("manifest.json");
        if !is_file(&path)? {
            set.require_own()?;
            let mut begun = Manifest::new(
                &manifest.program,
                json!({"shards": count, "settings": manifest.config}),
            );
            begun.inputs = manifest.inputs.clone();
            begun.commits = manifest.commits.clone();
            // Of several that come at the same time one is the first, and all others compare with
            // it.
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

    /// The set of one shard that a whole run is, begun before or now. With `overwrite`, what was
    /// begun with other settings is removed. So is, without it, what a run that was killed before
    /// it had computed anything left.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(crate) fn begin_whole(output: &Path, manifest: &Manifest, overwrite: bool) -> Result<Self> {
        let whole = Self::at(output, 1);
        clear(&whole.folder)?;
        match Self::begin(output, 1, manifest) {
            Err(Error::Mismatch(_)) if (overwrite && whole.is_own()) || whole.is_bare() => {
                whole.remove()?;
                Self::begin(output, 1, manifest)
            }
            other => other,
        }
    }

    /// Whether nothing was computed for this set yet: its folder holds no file but the manifest,
    /// which is that of so many shards. A folder that cannot be read is not taken for such.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.holds_manifest_only(), Ok(true))
    }

    fn holds_manifest_only(&self) -> Result<bool> {
        let manifest = self.folder.join("manifest.json");
        if shard_count(&manifest, &read_begun(&manifest)?)? != self.count {
            return Ok(false);
        }
        for path in entries(&self.folder)? {
            let counts = path != manifest && !is_manifest_under_way(&path);
            if counts && !(is_dir(&path)? && entries(&path)?.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Remove the folder of a run that failed before it had computed anything. What cannot be
    /// removed stays: that the run failed is what matters.
    pub(crate) fn remove_if_bare(&self) {
        if self.is_bare() {
            let _ = self.remove();
        }
    }

    /// The set with these settings, all shards of which are finished.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or that names the shards which are missing; as
    /// [`begin`](Self::begin).
    pub(crate) fn finished(output: &Path, manifest: &Manifest) -> Result<Self> {
        let (set, _) = Self::open(output)?;
        clear(&set.folder)?;
        let set = Self::begin(output, set.count, manifest)?;
        set.require_all()?;
        Ok(set)
    }

    /// Remove the folder of all shards. It loses its name first: were it half gone under its name,
    /// the next run would take what is left for finished shards.
    ///
    /// # Errors
    /// [`Error::OutputBusy`] when a run is computing one of them; [`Error::Io`] when the folder
    /// cannot be renamed. What cannot be removed after that stays, with a warning.
    pub(crate) fn remove(&self) -> Result<()> {
        let _locks = self.lock_all()?;
        remove_at_once(&self.folder)
    }

    /// [`remove`](Self::remove) when the output is complete: that its parts stay is worth a
    /// warning, no more.
    pub(crate) fn remove_done(&self) {
        if let Err(e) = self.remove() {
            tracing::warn!("{e}; the output is complete, and its parts may be removed");
        }
    }

    /// The locks of all shards that any run has taken up.
    fn lock_all(&self) -> Result<Vec<OutputLock>> {
        let names = names(&self.folder)?;
        let locked = names.iter().filter_map(|name| {
            let output = name.strip_prefix('.')?.strip_suffix(".lock")?;
            Some(self.folder.join(output))
        });
        locked.map(|output| OutputLock::acquire(&output)).collect()
    }

    /// Remove the parts of a whole run that was killed when nothing was left to do but that:
    /// `output` is complete, with its manifest. Nothing is done while another run holds it.
    pub(crate) fn remove_if_done(output: &Path) {
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

    /// Whether a run was killed between naming the single file `output` and writing its manifest:
    /// its parts are all there.
    pub(crate) fn lack_manifest_only(output: &Path) -> bool {
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
        let found = entries(&self.folder)?;
        match found.iter().find(|path| !is_manifest_under_way(path)) {
            None => Ok(()),
            Some(path) => Err(Error::Mismatch(format!(
                "{}: the parts of the output go there, and {} is not one of them: move it, or choose another name",
                self.folder.display(),
                path.display()
            ))),
        }
    }

    /// The shards that were begun for `output`, and their manifest, whose `config.settings` all of
    /// them share.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there are none; [`Error::Mismatch`] when another version began
    /// them; [`Error::Malformed`].
    pub(crate) fn open(output: &Path) -> Result<(Self, Manifest)> {
        let set = Self::at(output, 0);
        let path = set.folder.join("manifest.json");
        if !is_file(&path)? {
            return Err(Error::NotFound {
                what: path.display().to_string(),
                remedy: "make the shards first".into(),
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
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The number of shards.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Where a shard's output lies or will lie.
    pub(crate) fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:05}-of-{:05}", self.count))
    }

    /// Whether a shard is finished.
    pub(crate) fn is_finished(&self, index: usize) -> bool {
        self.path(index).exists()
    }

    /// The numbers of the shards that are not finished.
    pub(crate) fn missing(&self) -> Vec<usize> {
        (0..self.count).filter(|&i| !self.is_finished(i)).collect()
    }

    /// Require that all shards are finished.
    ///
    /// # Errors
    /// [`Error::NotFound`] that names those which are not.
    pub(crate) fn require_all(&self) -> Result<()> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let mut named: Vec<_> = missing
            .iter()
            .take(MOST_NAMED)
            .map(|i| format!("{i}/{}", self.count))
            .collect();
        if missing.len() > MOST_NAMED {
            named.push(format!("and {} more", missing.len() - MOST_NAMED));
        }
        Err(Error::NotFound {
            what: format!(
                "{} of {} shards in {}",
                missing.len(),
                self.count,
                self.folder.display()
            ),
            remedy: format!("run these first: {}", named.join(", ")),
        })
    }
}

/// The manifest of all shards while a run, maybe another one, writes it.
fn is_manifest_under_way(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(".manifest.json."))
}

/// The manifest of a set of shards, unless another version of this toolkit began it: its shards may
/// hold other figures.
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
