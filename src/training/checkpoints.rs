//! Checkpoints of a run under way: `checkpoint-STEP` folders, written whole, the last two kept.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::{AdamW, Identity, TrainerState, TrainingArguments};
use crate::artifact::AtomicDir;
use crate::error::{Error, Result};
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

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(Error::compute(path.display()))?;
    fs::write(path, text + "\n").map_err(Error::io(path, "write"))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    serde_json::from_str(&text).map_err(|e| {
        Error::malformed(
            path,
            format!("line {}", e.line()),
            e,
            "a file of this toolkit",
        )
    })
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

/// Remove a folder after giving it a name that nobody looks for: a run killed in between leaves no half of a checkpoint.
fn discard(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".removed-{name}"));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::io(&aside, "remove"))?;
    }
    fs::rename(path, &aside).map_err(Error::io(path, "rename"))?;
    fs::remove_dir_all(&aside).map_err(Error::io(&aside, "remove"))
}

/// Remove all checkpoints in `folder`, and the folder.
///
/// # Errors
/// [`Error::Io`] when one cannot be removed.
pub fn clear_checkpoints(folder: &Path) -> Result<()> {
    Checkpoints::new(folder.to_path_buf()).clear()
}

impl Checkpoints {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// (step, folder) of every folder whose name is `prefix` and a step, oldest first.
    fn list(&self, prefix: &str) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let step = |path: &Path| {
            path.file_name()?
                .to_str()?
                .strip_prefix(prefix)?
                .parse()
                .ok()
        };
        let mut found: Vec<_> = entries
            .filter_map(|e| Some((step(&e.path())?, e.path())))
            .collect();
        found.sort();
        found
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
            self.0.join(format!("checkpoint-{}", state.global_step)),
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
        let mut all = self.list("checkpoint-");
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

    /// Put the newest checkpoint into the model and the optimizer; its state, or `None` when there is none.
    pub(super) fn restore(
        &self,
        model: &dyn SequenceClassifier,
        optimizer: &mut AdamW,
        identity: &Identity,
    ) -> Result<Option<TrainerState>> {
        let Some((_, folder)) = self.list("checkpoint-").pop() else {
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
        for (_, folder) in self.list("checkpoint-") {
            wanted.push(read_json::<TrainerState>(&folder.join(STATE))?.best_global_step);
        }
        for (step, path) in self.list(BEST) {
            if !wanted.contains(&Some(step)) {
                discard(&path)?;
            }
        }
        Ok(())
    }

    /// Remove them all: the run is complete.
    pub(super) fn clear(&self) -> Result<()> {
        for prefix in ["checkpoint-", BEST] {
            for (_, path) in self.list(prefix) {
                discard(&path)?;
            }
        }
        if self.0.is_dir() {
            fs::remove_dir_all(&self.0).map_err(Error::io(&self.0, "remove"))?;
        }
        Ok(())
    }
}
