//! What `tokenizer_config.json` and `config.json` say about every tokenizer: lengths, sides, and the model's vocabulary.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::files::JsonFile;
use super::{MAX_LENGTH, Side};
use crate::error::{Error, Result};

/// The settings of a folder.
pub(crate) struct Settings {
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
    /// Read the settings; `tokenizer_json` has the sides that `config` does not give. FlauBERT's class, which is not made
    /// from such a file, gives none.
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

/// A side by its key, else as `tokenizer.json` has it, else the right one. A null is refused, as transformers refuses it.
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
    /// `vocab_size` of `config.json`, which XLM used to call `n_words`; none where the folder does not say.
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
