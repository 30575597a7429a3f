//! What a run of the pipeline remembers beside its outputs: its settings, and the summary of every step that is done.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Config;
use crate::artifact::AtomicFile;
use crate::error::{Error, Result};

/// Where the settings of the outputs are kept.
const SETTINGS: &str = "pipeline.json";
/// Where the summaries of the steps are kept, so that a resumed run can still name the figures.
const SUMMARIES: &str = "pipeline_summaries.json";

/// The steps that are done.
pub(super) struct Record {
    path: PathBuf,
    overwrite: bool,
    summaries: Map<String, Value>,
}

impl Record {
    /// What an earlier run with the same settings left in the folder of outputs, or nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when that run had other settings and its outputs are not to be replaced.
    pub fn open(config: &Config) -> Result<Self> {
        let path = config.out.join(SETTINGS);
        let settings = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "data": config.data,
            "flaubert": config.flaubert,
            "camembert": config.camembert,
            "num_train": config.num_train,
            "num_test": config.num_test,
            "arguments": config.arguments,
            "layers": config.layers,
            "amounts": config.amounts,
        });
        let mut record = Self {
            path: config.out.join(SUMMARIES),
            overwrite: config.execution.overwrite,
            summaries: Map::new(),
        };
        match read_json(&path)? {
            Some(earlier) if earlier != settings && !record.overwrite => {
                return Err(Error::Mismatch(format!(
                    "{} holds the outputs of a run with other settings: pass --overwrite to run every step again, or choose another --out",
                    config.out.display()
                )));
            }
            Some(_) if !record.overwrite => {
                tracing::info!("going on in {}", config.out.display());
                if let Some(Value::Object(kept)) = read_json(&record.path)? {
                    record.summaries = kept;
                }
            }
            _ => write_json(&path, &settings)?,
        }
        Ok(record)
    }

    /// Run `work`, told whether to replace what is there, unless its `output` is there and its summary is kept.
    ///
    /// # Errors
    /// Those of `work`, and of writing the summary.
    pub fn step<S: Serialize>(
        &mut self,
        name: String,
        output: &Path,
        work: impl FnOnce(bool) -> Result<S>,
    ) -> Result<()> {
        if output.exists() && self.summaries.contains_key(&name) {
            tracing::info!("{name}: done already");
            return Ok(());
        }
        tracing::info!("{name}");
        // An output without its summary was cut off between the two: it is made again.
        let summary = work(self.overwrite || output.exists())?;
        self.summaries.insert(name, json!(summary));
        write_json(&self.path, &json!(self.summaries))
    }

    /// The summary of a step that is done; null for any other.
    pub fn summary(&self, step: &str) -> &Value {
        self.summaries.get(step).unwrap_or(&Value::Null)
    }
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut file = AtomicFile::create(path, true)?;
    serde_json::to_writer_pretty(&mut file, value).map_err(|e| Error::Io {
        path: path.into(),
        action: "write",
        source: e.into(),
    })?;
    file.commit()
}

fn read_json(path: &Path) -> Result<Option<Value>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let remedy = "the settings of an earlier run: remove the folder or choose another --out";
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| Error::malformed(path, format!("line {}", e.line()), e, remedy))
}
