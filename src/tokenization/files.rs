//! Reading a tokenizer's JSON files: `tokenizer_config.json`, `special_tokens_map.json`, `vocab.json` and the like.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::files::{presence, utf8};

/// Largest file that is read: the tokenizer.json of XLM-RoBERTa has 9 MB.
const MOST_BYTES: u64 = 1 << 26;
/// Most values of a JSON file; that one has a million. Each takes up to a kilobyte, where it is a piece of a vocabulary.
const MOST_VALUES: usize = 1 << 22;

/// A JSON object and the file it came from; an absent file is an empty object.
pub(crate) struct JsonFile {
    /// The file, for messages.
    pub(crate) path: PathBuf,
    /// What it holds, in the file's order.
    pub(crate) entries: Map<String, Value>,
}

impl JsonFile {
    /// Read `name` in `folder`; an absent file gives an empty object.
    ///
    /// # Errors
    /// When the file cannot be read, is no JSON, or holds something other than an object.
    pub(crate) fn open(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        if !presence::is_taken(&path)? {
            let entries = Map::new();
            return Ok(Self { path, entries });
        }
        let text = read_json(&path)?;
        Self::parse(path, &text)
    }

    /// The object that a text of `path` holds.
    ///
    /// # Errors
    /// When the text is not JSON, or something other than an object.
    pub(crate) fn parse(path: PathBuf, text: &str) -> Result<Self> {
        match serde_json::from_str(text) {
            Ok(Value::Object(entries)) => Ok(Self { path, entries }),
            Ok(other) => {
                let found = kind_of(&other);
                Err(Error::malformed(&path, "", found, "a JSON object"))
            }
            Err(e) => Err(Error::malformed(
                &path,
                format!("line {}, column {}", e.line(), e.column()),
                e,
                "JSON; download the file again",
            )),
        }
    }

    /// The value of `key`, unless it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).filter(|value| !value.is_null())
    }

    /// An [`Error::Malformed`] about the key `key`.
    pub(crate) fn wrong(&self, key: &str, found: &Value, expected: &str) -> Error {
        Error::malformed(&self.path, format!("key {key:?}"), kind_of(found), expected)
    }

    /// A string, when the key is there.
    pub(crate) fn string(&self, key: &str) -> Result<Option<&str>> {
        self.get(key)
            .map(|v| v.as_str().ok_or_else(|| self.wrong(key, v, "a string")))
            .transpose()
    }

    /// A boolean, when the key is there.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.get(key)
            .map(|v| {
                v.as_bool()
                    .ok_or_else(|| self.wrong(key, v, "true or false"))
            })
            .transpose()
    }
}

/// Read a whole JSON file of at most [`MOST_VALUES`] values, give or take those characters in strings that separate values
/// elsewhere.
pub(crate) fn read_json(path: &Path) -> Result<String> {
    let text = read_text(path)?;
    let separates = |byte: &u8| matches!(byte, b',' | b':' | b'[' | b'{');
    match text.bytes().filter(separates).count() {
        values if values > MOST_VALUES => {
            let (found, expected) = (format!("about {values} values"), MOST_VALUES);
            Err(Error::malformed(
                path,
                "",
                found,
                format!("{expected} at most"),
            ))
        }
        _ => Ok(text),
    }
}

/// Read a whole UTF-8 file; invalid bytes are reported with their place.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    utf8(path, read_bytes(path)?)
}

/// Read a whole file of at most [`MOST_BYTES`].
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    crate::files::read_bytes(path, MOST_BYTES)
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_looked_at_is_not_absent() {
        let d = tempfile::tempdir().unwrap();
        assert!(
            JsonFile::open(d.path(), "a.json")
                .unwrap()
                .entries
                .is_empty()
        );
        // Nobody can follow a link to itself.
        std::os::unix::fs::symlink("a.json", d.path().join("a.json")).unwrap();
        let error = JsonFile::open(d.path(), "a.json").err().unwrap();
        assert!(error.to_string().contains("a.json: cannot read"), "{error}");
    }
}
