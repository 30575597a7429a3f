//! Reading a tokenizer's JSON files (`tokenizer_config.json`, `special_tokens_map.json`,
//! `vocab.json` and the like), and what two of them say about every tokenizer: lengths, sides, and
//! the model's vocabulary.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{MAX_LENGTH, Side};
use crate::error::{Error, Result};
use crate::files::{presence, utf8};

/// Largest file that is read: the tokenizer.json of XLM-RoBERTa has 9 MB.
const MOST_BYTES: u64 = 1 << 26;
/// Most values of a JSON file; that one has a million. Each takes up to a kilobyte, where it is a
/// piece of a vocabulary.
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

/// Read a whole JSON file of at most [`MOST_VALUES`] values, give or take those characters in
/// strings that separate values elsewhere.
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

/// What the configuration of a folder says of every tokenizer.
pub struct Settings {
    /// The greatest useful length, at most [`MAX_LENGTH`].
    pub(crate) max_length: usize,
    /// Where what is too long is cut.
    pub(crate) truncation: Side,
    /// Where what is short is filled up.
    pub(crate) padding: Side,
    /// Whether special tokens in a text are ordinary text (`split_special_tokens`).
    pub(crate) split_special_tokens: bool,
    /// The model's token embeddings, where there is a `config.json`.
    pub(crate) vocabulary: Option<ModelVocabulary>,
}

impl Settings {
    /// Read the settings; `tokenizer_json` has the sides that `config` does not give. FlauBERT's
    /// class, which is not made from such a file, gives none.
    ///
    /// # Errors
    /// For a side that is neither "left" nor "right", and values of another kind.
    pub(crate) fn read(
        folder: &Path,
        config: &JsonFile,
        tokenizer_json: Option<&Map<String, Value>>,
    ) -> Result<Self> {
        let of_file = |section: &str| {
            let section = tokenizer_json.and_then(|json| json.get(section));
            section.and_then(|s| s.get("direction")?.as_str())
        };
        Ok(Self {
            max_length: max_length(config)?,
            truncation: side(config, "truncation_side", of_file("truncation"))?,
            padding: side(config, "padding_side", of_file("padding"))?,
            split_special_tokens: config.boolean("split_special_tokens")?.unwrap_or(false),
            vocabulary: ModelVocabulary::read(folder)?,
        })
    }

    /// Require that the model has every one of some ids; `token` gives the text of one.
    ///
    /// # Errors
    /// With the first token that it lacks.
    pub(crate) fn check(&self, ids: &[u32], token: impl Fn(u32) -> Option<String>) -> Result<()> {
        let Some(model) = &self.vocabulary else {
            return Ok(());
        };
        match ids.iter().find(|id| !model.has(**id)) {
            None => Ok(()),
            Some(&id) => {
                // A token of an id beyond all has no text.
                let text = token(id).unwrap_or_default();
                Err(model.lacks(&text, id))
            }
        }
    }
}

/// `model_max_length`, at most [`MAX_LENGTH`]. Transformers writes 1e30 for "unknown".
fn max_length(config: &JsonFile) -> Result<usize> {
    const KEY: &str = "model_max_length";
    let Some(value) = config.get(KEY) else {
        return Ok(MAX_LENGTH);
    };
    match value.as_f64() {
        Some(length) if length >= 3.0 => Ok((length as usize).min(MAX_LENGTH)),
        _ => Err(config.wrong(KEY, value, "a number of tokens, 3 or more")),
    }
}

/// A side by its key, else as `tokenizer.json` has it, else the right one. A null is refused, as
/// transformers refuses it.
fn side(config: &JsonFile, key: &str, of_file: Option<&str>) -> Result<Side> {
    match config.entries.get(key) {
        None if of_file == Some("Left") => Ok(Side::Left),
        None => Ok(Side::Right),
        Some(value) => match value.as_str() {
            Some("left") => Ok(Side::Left),
            Some("right") => Ok(Side::Right),
            _ => Err(config.wrong(key, value, "\"left\" or \"right\"")),
        },
    }
}

/// How many tokens the model of a folder has embeddings for.
pub(crate) struct ModelVocabulary {
    path: PathBuf,
    size: usize,
}

impl ModelVocabulary {
    /// `vocab_size` of `config.json`, which XLM used to call `n_words`; none where the folder does
    /// not say.
    fn read(folder: &Path) -> Result<Option<Self>> {
        let config = JsonFile::open(folder, "config.json")?;
        let key = ["vocab_size", "n_words"].into_iter();
        let Some((key, value)) = key.filter_map(|k| Some((k, config.get(k)?))).next() else {
            return Ok(None);
        };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| config.wrong(key, value, "a number of tokens"))?;
        let path = config.path;
        Ok(Some(Self { path, size }))
    }

    /// Whether the model has an embedding for a token.
    pub(crate) fn has(&self, id: u32) -> bool {
        (id as usize) < self.size
    }

    /// The error for a token that the model does not have.
    pub(crate) fn lacks(&self, token: &str, id: u32) -> Error {
        Error::malformed(
            &self.path,
            "key \"vocab_size\"",
            format!(
                "{} where the tokenizer gives {token:?} the id {id}",
                self.size
            ),
            "more than every id: are the tokenizer's files and the model of two checkpoints, or were tokens \
             added without resize_token_embeddings?",
        )
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
