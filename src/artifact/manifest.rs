//! `manifest.json`: the configuration, versions and input digests behind an output.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::AtomicFile;
use crate::error::{Error, Result, interrupt, open_file, read_text};

/// What made an output. Written as `manifest.json` inside it, or `NAME.manifest.json` beside a single file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The program: "flue-cls-prepare", "study layers", ...
    pub program: String,
    /// The version of this toolkit.
    pub version: String,
    /// Every setting that can change a number, the seed included.
    pub config: serde_json::Value,
    /// SHA-256 of the input files, by path as given.
    pub inputs: std::collections::BTreeMap<String, String>,
    /// What came of it: the summary that the program printed.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub results: serde_json::Value,
}

impl Manifest {
    /// The manifest of `program` run with `config`, without inputs yet.
    pub fn new(program: &str, config: serde_json::Value) -> Self {
        Self {
            program: program.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config,
            inputs: Default::default(),
            results: serde_json::Value::Null,
        }
    }

    /// Record the digest of an input file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    pub fn add_input(&mut self, path: &Path) -> Result<()> {
        self.inputs
            .insert(path.display().to_string(), sha256_file(path)?);
        Ok(())
    }

    /// Read a manifest.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Malformed`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        serde_json::from_str(&text).map_err(|e| {
            Error::malformed(
                path,
                format!("line {}", e.line()),
                e,
                "a manifest of this toolkit",
            )
        })
    }

    /// Write to `path`, replacing what stands there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = AtomicFile::replace(path)?;
        self.put(&mut file)?;
        file.commit()
    }

    /// Write to `path`, unless something stands there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn write_first(&self, path: &Path) -> Result<()> {
        let mut file = AtomicFile::first(path)?;
        self.put(&mut file)?;
        file.commit_first()
    }

    fn put(&self, file: &mut AtomicFile) -> Result<()> {
        let path = file.target().to_path_buf();
        serde_json::to_writer_pretty(file, self).map_err(|e| Error::Io {
            path,
            action: "write",
            source: e.into(),
        })
    }
}

/// SHA-256 of a file, in hexadecimal, read as a stream.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = open_file(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        interrupt::check()?;
        let n = file.read(&mut buffer).map_err(Error::io(path, "read"))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
