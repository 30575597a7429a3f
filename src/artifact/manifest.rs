//! `manifest.json`: the configuration, versions and input digests behind an output.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{Fingerprints, Inputs};
use crate::error::Result;
use crate::files::{AtomicFile, read_json};

/// The command of this process, once it is recorded.
static COMMAND: OnceLock<Vec<String>> = OnceLock::new();

/// Have every manifest of this process say by which command its output was made. Programs call this
/// once, at the start; whoever runs a pipeline from code of their own has no command to record.
pub(crate) fn record_command(words: Vec<String>) {
    // A second call, from a test, keeps the first command.
    let _ = COMMAND.set(words);
}

/// What made an output. Written as `manifest.json` inside it, or `NAME.manifest.json` beside a
/// single file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The program: "flue-cls-prepare", "study layers", ...
    pub(crate) program: String,
    /// The version of this toolkit.
    pub(crate) version: String,
    /// The words of the command that made it: the program of [`record_command`] and its arguments.
    /// Empty where there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    /// Every setting that can change a number, the seed included.
    pub(crate) config: serde_json::Value,
    /// What tells every file that was read from another of its name (see [`Inputs`]).
    pub(crate) inputs: Fingerprints,
    /// The commits of the repositories that files came from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) commits: BTreeMap<String, String>,
    /// What came of it: the summary that the program printed.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) results: serde_json::Value,
}

impl Manifest {
    /// The manifest of `program` run with `config`, without inputs yet.
    pub(crate) fn new(program: &str, config: serde_json::Value) -> Self {
        Self {
            program: program.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            command: COMMAND.get().cloned().unwrap_or_default(),
            config,
            inputs: Fingerprints::new(),
            commits: BTreeMap::new(),
            results: serde_json::Value::Null,
        }
    }

    /// Note what the run reads, before it does.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when a file cannot be read.
    pub(crate) fn add_inputs(&mut self, inputs: &Inputs) -> Result<()> {
        self.inputs.extend(inputs.fingerprints()?);
        self.commits.extend(inputs.commits().clone());
        Ok(())
    }

    /// Read a manifest.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) or
    /// [`Error::Malformed`](crate::error::Error::Malformed).
    pub(crate) fn read(path: &Path) -> Result<Self> {
        read_json(path, "a manifest of this toolkit")
    }

    /// Write to `path`, replacing what stands there.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut file = AtomicFile::replace(path)?;
        file.write_json(self)?;
        file.commit()
    }

    /// Write to `path`, unless something stands there.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub(super) fn write_first(&self, path: &Path) -> Result<()> {
        let mut file = AtomicFile::first(path)?;
        file.write_json(self)?;
        file.commit_first()
    }
}
