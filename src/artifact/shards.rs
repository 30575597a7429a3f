//! Work cut into shards: which rows one takes, where its output waits, and which are still missing.
//!
//! The shards of an output `OUT` lie in `OUT.shards`, each a folder `00002-of-00008`, written
//! like any output: a shard that has its name is finished. `OUT.shards/manifest.json` keeps the number of shards and the
//! settings, so that shards of different runs never mix.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use super::Manifest;
use crate::error::{Error, Result};

/// Rows that are computed and stored together where a model runs over them.
pub const CHUNK_ROWS: usize = 64;

/// One shard of a number of them: the rows `index`, `index + count`, ... or, where a model runs over them,
/// chunks of rows in this manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// The shard of a task of a SLURM job array, when there is one:
    /// (`SLURM_ARRAY_TASK_ID` − `_MIN`) / `_STEP` of `_COUNT`. `variable` looks up the environment.
    ///
    /// # Errors
    /// [`Error::Usage`] when a variable is no number or they do not fit together.
    pub fn from_slurm(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let number = |name: &str, default: Option<usize>| -> Result<usize> {
            let name = format!("SLURM_ARRAY_TASK_{name}");
            match (variable(&name), default) {
                (Some(word), _) => word.trim().parse().map_err(|_| {
                    Error::Usage(format!(
                        "{name} is {word:?}, which is no number: pass --shard i/N"
                    ))
                }),
                (None, Some(default)) => Ok(default),
                (None, None) => Err(Error::Usage(format!(
                    "SLURM_ARRAY_TASK_ID is set but {name} is not: pass --shard i/N"
                ))),
            }
        };
        if variable("SLURM_ARRAY_TASK_ID").is_none() {
            return Ok(None);
        }
        let (id, count) = (number("ID", None)?, number("COUNT", None)?);
        let (min, step) = (number("MIN", Some(0))?, number("STEP", Some(1))?);
        let index = id.checked_sub(min).filter(|_| step > 0).map(|n| n / step);
        match index {
            Some(index) if index < count => Ok(Some(Self { index, count })),
            _ => Err(Error::Usage(format!(
                "task {id} of a SLURM array from {min} by {step} is none of {count} shards: pass --shard i/N"
            ))),
        }
    }

    /// Whether the row is one of this shard's.
    pub fn takes(&self, row: u64) -> bool {
        row % self.count as u64 == self.index as u64
    }

    /// The numbers and rows of this shard's chunks of `rows` rows. Every chunk is computed on its own, so that shards together
    /// compute just what one run does, to the last bit.
    pub fn chunks(self, rows: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        (0..rows.div_ceil(CHUNK_ROWS))
            .filter(move |&chunk| self.takes(chunk as u64))
            .map(move |chunk| {
                let from = chunk * CHUNK_ROWS;
                (chunk, from..rows.min(from + CHUNK_ROWS))
            })
    }

    /// Of `rows` rows, how many are this shard's.
    pub fn rows_of(&self, rows: u64) -> u64 {
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
            (Ok(index), Ok(count)) if index < count => Ok(Self { index, count }),
            _ => Err(Error::Usage(format!(
                "shard {word:?}: write i/N with i from 0 to N-1, such as 0/4"
            ))),
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
pub enum Part {
    /// Everything, going on with what a killed run left.
    Whole,
    /// One shard, into `OUT.shards`.
    Shard(Shard),
    /// The output, of the finished shards in `OUT.shards`.
    Merge,
}

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
        set.clear()?;
        fs::create_dir_all(&set.folder).map_err(Error::io(&set.folder, "create the folder"))?;
        let path = set.folder.join("manifest.json");
        if !path.is_file() {
            let mut begun = Manifest::new(
                &manifest.program,
                json!({"shards": count, "settings": manifest.config}),
            );
            begun.inputs = manifest.inputs.clone();
            begun.write(&path)?;
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
        let digests = |m: &Manifest| serde_json::to_value(&m.inputs).unwrap_or_default();
        if let Some(input) = difference(&digests(&begun), &digests(manifest)) {
            return Err(Error::Mismatch(format!(
                "{}: begun with another content of {input}: restore it, or remove the folder",
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
        match Self::begin(output, 1, manifest) {
            Err(Error::Mismatch(_)) if overwrite || whole.is_bare() => {
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
            path == manifest || fs::read_dir(path).is_ok_and(|mut inside| inside.next().is_none())
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
        let set = Self::begin(output, set.count, manifest)?;
        set.require_all()?;
        Ok(set)
    }

    /// Remove the folder of all shards. It loses its name first: were it half gone under its name, the next run would take
    /// what is left for finished shards.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self) -> Result<()> {
        self.clear()?;
        let aside = self.aside();
        fs::rename(&self.folder, &aside).map_err(Error::io(&self.folder, "rename"))?;
        self.clear()
    }

    fn aside(&self) -> PathBuf {
        let mut name = self.folder.file_name().unwrap_or_default().to_os_string();
        name.push(".removed");
        self.folder.with_file_name(name)
    }

    /// Remove what a run that was killed while it removed the shards left.
    fn clear(&self) -> Result<()> {
        let aside = self.aside();
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(Error::io(&aside, "remove"))?;
        }
        Ok(())
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
        let mut name = output.file_name().unwrap_or_default().to_os_string();
        name.push(".shards");
        Self {
            folder: output.with_file_name(name),
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
        let names: Vec<_> = missing
            .iter()
            .map(|i| format!("{i}/{}", self.count))
            .collect();
        Err(Error::NotFound {
            what: format!(
                "{} of {} shards in {}",
                missing.len(),
                self.count,
                self.folder.display()
            ),
            remedy: format!("run again with --shard {}", names.join(", --shard ")),
        })
    }
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
    count.filter(|&n| n > 0).map(|n| n as usize).ok_or_else(|| {
        let expected = "the number of shards: remove the folder and begin again";
        Error::malformed(path, "key `config.shards`", "no number", expected)
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
