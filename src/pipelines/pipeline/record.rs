//! What a run of the pipeline remembers beside its outputs: its settings, what it was made from,
//! which outputs it has begun, and what every step that is done read and found.
//!
//! All of it is one file, which changes in one step: summaries never stand beside the settings of
//! another run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Config, places};
use crate::artifact::{Digests, Fingerprints, Inputs, difference};
use crate::error::{Error, Result};
use crate::files::{AtomicFile, presence, read_json};
use crate::pipelines::original::MODELS;

/// Where it is kept.
const RECORD: &str = "pipeline.json";

/// The steps that are done.
pub(super) struct Record {
    path: PathBuf,
    overwrite: bool,
    kept: Kept,
    /// Of files that were read already and that no step has made since.
    digests: Digests,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    settings: Value,
    /// What tells the corpus and the checkpoints from others.
    sources: Fingerprints,
    /// Outputs by their names in the folder. Only these are a pipeline's to replace.
    begun: BTreeSet<String>,
    /// What each step read, by the names of the steps.
    inputs: BTreeMap<String, Fingerprints>,
    /// By the names of the steps.
    summaries: Map<String, Value>,
}

impl Record {
    /// What an earlier run with the same settings on the same `sources` left in the folder of
    /// outputs, or nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when that run had other settings or sources, or an output that no
    /// pipeline made stands in the folder, and they are not to be replaced; [`Error::Io`] when a
    /// source cannot be read.
    pub(crate) fn open(config: &Config, sources: &Inputs) -> Result<Self> {
        let path = config.out.join(RECORD);
        let settings = settings(config);
        let mut digests = Digests::default();
        let sources = sources.fingerprints_with(&mut digests)?;
        let overwrite = config.execution.overwrite;
        let earlier = read(&path)?;
        let found = earlier.is_some();
        let mut kept = earlier.unwrap_or_default();
        let difference = difference(&kept.sources, &sources);
        if overwrite {
            kept.summaries.clear();
        } else if found && kept.settings != settings {
            return Err(Error::Mismatch(format!(
                "{} holds the outputs of a run with other settings: pass --overwrite to run every step again, or choose another --out",
                config.out.display()
            )));
        } else if let Some(difference) = difference.filter(|_| found) {
            return Err(Error::Mismatch(format!(
                "{} holds the outputs of a run on {difference}: restore what was read, pass --overwrite to run every step again, or choose \
                 another --out",
                config.out.display()
            )));
        } else if found {
            tracing::info!("going on in {}", config.out.display());
        }
        (kept.settings, kept.sources) = (settings, sources);
        let record = Self {
            path,
            overwrite,
            kept,
            digests,
        };
        for output in places::outputs(config) {
            record.may_replace(&output)?;
        }
        // Written even where nothing has changed: what a killed run left beside the file goes.
        record.write()?;
        Ok(record)
    }

    /// Run `work`, told whether to replace what is there, unless its `output` is there, its summary
    /// is kept, and what it `reads` is what was read for it: an earlier step may have been run
    /// again, or somebody has put something else in its place.
    ///
    /// # Errors
    /// Those of [`make`](Self::make), of reading the inputs, and of writing the summary.
    pub(crate) fn step<S: Serialize>(
        &mut self,
        name: String,
        output: &Path,
        reads: &Inputs,
        work: impl FnOnce(bool) -> Result<S>,
    ) -> Result<()> {
        let now = reads.fingerprints_with(&mut self.digests)?;
        let now: Fingerprints = now
            .into_iter()
            .map(|(path, fingerprint)| (self.name(Path::new(&path)), fingerprint))
            .collect();
        if self.kept.summaries.contains_key(&name) && presence::is_taken(output)? {
            let then = self.kept.inputs.get(&name);
            match then.and_then(|then| difference(then, &now)) {
                None if then.is_some() => {
                    tracing::info!("{name}: done already");
                    return Ok(());
                }
                None => {}
                Some(difference) => {
                    tracing::info!("{name}: made from {difference}; it is made again")
                }
            }
        }
        tracing::info!("{name}");
        let summary = self.make(output, work)?;
        self.digests = Digests::default();
        self.kept.inputs.insert(name.clone(), now);
        self.kept.summaries.insert(name, json!(summary));
        self.write()
    }

    /// Run `work`, which makes `output` and is told whether to replace what is there. That it was
    /// begun is kept first: what it leaves is this pipeline's, however it ends.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when what is there is not a pipeline's to replace; those of `work`, and
    /// of writing.
    pub(crate) fn make<R>(
        &mut self,
        output: &Path,
        work: impl FnOnce(bool) -> Result<R>,
    ) -> Result<R> {
        let replace = self.may_replace(output)?;
        let name = self.name(output);
        if self.kept.begun.insert(name.clone()) {
            self.write()?;
        }
        let outcome = work(replace);
        if let Err(Error::OutputBusy { .. } | Error::OutputExists(_)) = outcome
            && !replace
        {
            // Another program was quicker: it is that one's.
            self.kept.begun.remove(&name);
            self.write()?;
        }
        outcome
    }

    /// The summary of a step that is done; null for any other.
    pub(crate) fn summary(&self, step: &str) -> &Value {
        self.kept.summaries.get(step).unwrap_or(&Value::Null)
    }

    /// Whether an output may be replaced; one that is not there need not be.
    fn may_replace(&self, output: &Path) -> Result<bool> {
        if self.overwrite || self.kept.begun.contains(&self.name(output)) {
            return Ok(true);
        }
        if presence::is_taken(output)? {
            return Err(Error::Mismatch(format!(
                "{} is there already, and no pipeline in this folder made it: pass --overwrite to replace it, or choose another --out",
                output.display()
            )));
        }
        Ok(false)
    }

    /// An output's name in the folder, which may be called by another name the next time.
    fn name(&self, output: &Path) -> String {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let name = output.strip_prefix(folder).unwrap_or(output);
        name.to_string_lossy().into_owned()
    }

    fn write(&self) -> Result<()> {
        let mut file = AtomicFile::create(&self.path, true)?;
        file.write_json(&self.kept)?;
        file.commit()
    }
}

/// What must be the same for a run to go on.
fn settings(config: &Config) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "data": config.data,
        "reading": config.reading,
        (MODELS[0].name): config.checkpoints[0],
        (MODELS[1].name): config.checkpoints[1],
        "num_train": config.num_train,
        "num_test": config.num_test,
        "arguments": config.arguments,
        "layers": config.layers,
        "amounts": config.amounts,
    })
}

fn read(path: &Path) -> Result<Option<Kept>> {
    if !presence::is_taken(path)? {
        return Ok(None);
    }
    let expected = "the record of an earlier run: remove the folder or choose another";
    read_json(path, expected).map(Some)
}
