//! Checkpoints of a run under way: `checkpoint-STEP` folders, written whole, the last two kept.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::{AdamW, Identity, TrainerState, TrainingArguments};
use crate::error::{Error, Result};
use crate::files::{AtomicDir, parse_json, presence, read_bytes, utf8, write_json};
use crate::models::SequenceClassifier;
use crate::models::checkpoint::save_classifier;

/// The folder that holds the checkpoints of one run.
pub(super) struct Checkpoints(PathBuf);

const ARGUMENTS: &str = "training_args.json";
const STATE: &str = "trainer_state.json";
/// What must be the same for a run to go on.
const IDENTITY: &str = "identity.json";
const OPTIMIZER: &str = "optimizer.safetensors";
/// The beginning of the name of a folder with the best weights; the step follows.
const BEST: &str = "best-";
/// The same of a checkpoint.
const CHECKPOINT: &str = "checkpoint-";
/// What comes before the name of a folder that is being removed.
const REMOVED: &str = ".removed-";

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    /// The state of a training with its whole history: a line for every step of a million.
    const MOST: u64 = 1 << 28;
    let text = utf8(path, read_bytes(path, MOST)?)?;
    parse_json(path, &text, "a file of this toolkit")
}

fn load_tensors(path: &Path) -> Result<HashMap<String, Tensor>> {
    let remedy = "a complete file: remove this checkpoint and resume from the one before";
    candle_core::safetensors::load(path, &Device::Cpu)
        .map_err(|e| Error::malformed(path, "", e, remedy))
}

/// Put the weights of a checkpoint's folder into the model.
fn load_weights(model: &dyn SequenceClassifier, folder: &Path) -> Result<()> {
    let path = folder.join("model.safetensors");
    let weights = load_tensors(&path)?;
    for p in model.parameters().iter() {
        let missing = |name: &String| {
            Error::malformed(&path, format!("tensor {name:?}"), "nothing", "a tensor")
        };
        let parts = p
            .names
            .iter()
            .map(|n| weights.get(n).ok_or_else(|| missing(n)))
            .collect::<Result<Vec<_>>>()?;
        p.var
            .set(&Tensor::cat(&parts, 0)?.to_device(p.var.device())?)?;
    }
    Ok(())
}

/// Remove a folder after giving it a name that nobody looks for: a run killed in between leaves no
/// half of a checkpoint.
fn discard(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("{REMOVED}{name}"));
    remove(&aside)?;
    fs::rename(path, &aside).map_err(Error::io(path, "rename"))?;
    remove(&aside)
}

/// Remove a file or a folder, if it is there.
fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(Error::io(path, "remove")),
    }
}

/// Whether a name is that of a checkpoint or of the best weights, or one that these have while they
/// are written or removed.
fn is_ours(name: &str) -> bool {
    let step = |name: &str| {
        let number = [CHECKPOINT, BEST].iter().find_map(|p| name.strip_prefix(p));
        number.is_some_and(|n| n.parse::<u64>().is_ok())
    };
    let hidden = |name: &str| {
        let (whole, rest) = name.strip_prefix('.')?.split_once('.')?;
        let under_way = rest == "lock" || rest.ends_with(".tmp") || rest.ends_with(".old");
        Some(step(whole) && under_way)
    };
    step(name.strip_prefix(REMOVED).unwrap_or(name)) || hidden(name).unwrap_or(false)
}

/// Remove all checkpoints in `folder`, and the folder when nothing else is in it.
///
/// # Errors
/// [`Error::Io`] when one cannot be removed.
pub(crate) fn clear_checkpoints(folder: &Path) -> Result<()> {
    Checkpoints::new(folder.to_path_buf()).clear()
}

impl Checkpoints {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// (step, folder) of every folder whose name is `prefix` and a step, oldest first.
    fn list(&self, prefix: &str) -> Result<Vec<(u64, PathBuf)>> {
        let step = |name: &str| name.strip_prefix(prefix)?.parse().ok();
        let names = presence::names(&self.0)?;
        let mut found: Vec<_> = names
            .iter()
            .filter_map(|name| Some((step(name)?, self.0.join(name))))
            .collect();
        found.sort();
        Ok(found)
    }

    /// Write the checkpoint of the present step, then remove all but the last two.
    pub(super) fn save(
        &self,
        model: &dyn SequenceClassifier,
        optimizer: &AdamW,
        state: &TrainerState,
        arguments: &TrainingArguments,
        identity: &Identity,
    ) -> Result<()> {
        let dir = AtomicDir::create(
            self.0.join(format!("{CHECKPOINT}{}", state.global_step)),
            true,
        )?;
        save_classifier(model, dir.path())?;
        let path = dir.path().join(OPTIMIZER);
        let moments: HashMap<String, Tensor> = optimizer
            .named_moments(model.parameters())
            .into_iter()
            .collect();
        candle_core::safetensors::save(&moments, &path).map_err(Error::compute(path.display()))?;
        write_json(&dir.path().join(STATE), state)?;
        write_json(&dir.path().join(ARGUMENTS), arguments)?;
        write_json(&dir.path().join(IDENTITY), identity)?;
        dir.commit()?;
        let mut all = self.list(CHECKPOINT)?;
        all.truncate(all.len().saturating_sub(2));
        for (_, path) in all {
            discard(&path)?;
        }
        self.prune_best(state.best_global_step)?;
        tracing::info!(
            "checkpoint of step {} saved in {}",
            state.global_step,
            self.0.display()
        );
        Ok(())
    }

    /// Put the newest checkpoint into the model and the optimizer; its state, or `None` when there
    /// is none.
    pub(super) fn restore(
        &self,
        model: &dyn SequenceClassifier,
        optimizer: &mut AdamW,
        identity: &Identity,
    ) -> Result<Option<TrainerState>> {
        let Some((_, folder)) = self.list(CHECKPOINT)?.pop() else {
            return Ok(None);
        };
        identity.check(&read_json(&folder.join(IDENTITY))?, &folder)?;
        let state: TrainerState = read_json(&folder.join(STATE))?;
        load_weights(model, &folder)?;
        let mut moments = load_tensors(&folder.join(OPTIMIZER))?;
        optimizer.restore(model.parameters(), state.global_step, |name| {
            moments.remove(name)
        })?;
        Ok(Some(state))
    }

    /// Write the weights after update `step`, the best so far; the folder they are in.
    pub(super) fn save_best(&self, model: &dyn SequenceClassifier, step: u64) -> Result<PathBuf> {
        let path = self.best(step);
        let dir = AtomicDir::create(&path, true)?;
        save_classifier(model, dir.path())?;
        dir.commit()?;
        self.prune_best(Some(step))?;
        Ok(path)
    }

    /// Put the weights that [`Self::save_best`] wrote after update `step` into the model.
    pub(super) fn load_best(&self, model: &dyn SequenceClassifier, step: u64) -> Result<()> {
        load_weights(model, &self.best(step))
    }

    fn best(&self, step: u64) -> PathBuf {
        self.0.join(format!("{BEST}{step}"))
    }

    /// Remove the best weights of former times, but those to which a kept checkpoint would go back.
    fn prune_best(&self, current: Option<u64>) -> Result<()> {
        let mut wanted = vec![current];
        for (_, folder) in self.list(CHECKPOINT)? {
            wanted.push(read_json::<TrainerState>(&folder.join(STATE))?.best_global_step);
        }
        for (step, path) in self.list(BEST)? {
            if !wanted.contains(&Some(step)) {
                discard(&path)?;
            }
        }
        Ok(())
    }

    /// Remove them all: the run is complete. What else lies in the folder is somebody's, and stays
    /// with it.
    pub(super) fn clear(&self) -> Result<()> {
        for prefix in [CHECKPOINT, BEST] {
            for (_, path) in self.list(prefix)? {
                discard(&path)?;
            }
        }
        for name in presence::names(&self.0)?
            .iter()
            .filter(|name| is_ours(name))
        {
            remove(&self.0.join(name))?;
        }
        match fs::remove_dir(&self.0).map_err(|e| (e.kind(), e)) {
            // The folder may be a link to a larger disk.
            Ok(())
            | Err((
                ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory,
                _,
            )) => Ok(()),
            Err((_, e)) => Err(Error::io(&self.0, "remove")(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_run_made_is_removed() {
        let d = tempfile::tempdir().unwrap();
        let folder = d.path().join("out.checkpoints");
        let at = |name: &str| folder.join(name);
        let ours = [
            "checkpoint-3",
            "best-2",
            ".removed-checkpoint-1",
            ".removed-best-1",
            ".checkpoint-4.node-7.aB3xyz.tmp",
            ".best-4.node-7.aB3xyz.old",
        ];
        for name in ours {
            fs::create_dir_all(at(name).join("inside")).unwrap();
        }
        fs::write(at(".checkpoint-4.lock"), "process 1").unwrap();
        let theirs = [
            "thesis",
            "best-of",
            "checkpoint-",
            ".removed-",
            ".cache.lock",
            ".x.y.tmp",
        ];
        for name in theirs {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("checkpoint-notes.txt"), "mine").unwrap();
        clear_checkpoints(&folder).unwrap();
        let mut left = presence::names(&folder).unwrap();
        left.sort();
        let mut expected = [&theirs[..], &["checkpoint-notes.txt"]].concat();
        expected.sort();
        assert_eq!(left, expected);
        for name in theirs {
            fs::remove_dir(at(name)).unwrap();
        }
        fs::remove_file(at("checkpoint-notes.txt")).unwrap();
        for _ in 0..2 {
            clear_checkpoints(&folder).unwrap();
            assert!(!folder.exists());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_empty() {
        let d = tempfile::tempdir().unwrap();
        let file = d.path().join("out.checkpoints");
        fs::write(&file, "").unwrap();
        let error = Checkpoints::new(file.clone()).list(CHECKPOINT).unwrap_err();
        assert!(error.to_string().contains("out.checkpoints"), "{error}");
        assert!(clear_checkpoints(&file).is_err() && file.exists());
    }
}
