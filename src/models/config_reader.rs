//! Values of a `config.json`, each within its bounds or refused by its key.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A configuration being read: the file's keys, with the file's name for messages.
pub(super) struct Reader<'a> {
    pub path: &'a Path,
    pub json: &'a Map<String, Value>,
}

impl Reader<'_> {
    pub fn bad(&self, key: &str, expected: &str) -> Error {
        let found = self
            .json
            .get(key)
            .map_or("nothing".into(), Value::to_string);
        Error::malformed(self.path, format!("key {key:?}"), found, expected)
    }

    pub fn present(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|v| !v.is_null())
    }

    pub fn count(&self, key: &str, default: usize) -> Result<usize> {
        match self.present(key) {
            None => Ok(default),
            Some(v) => v
                .as_u64()
                .map(|n| n as usize)
                .ok_or_else(|| self.bad(key, "a whole number")),
        }
    }

    pub fn id(&self, key: &str) -> Result<Option<u32>> {
        self.present(key)
            .map(|id| {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                id.ok_or_else(|| self.bad(key, "a token id"))
            })
            .transpose()
    }

    pub fn size(&self, key: &str, default: usize) -> Result<usize> {
        match self.count(key, default)? {
            n if (1..=1 << 24).contains(&n) => Ok(n),
            _ => Err(self.bad(key, "a size of at least 1")),
        }
    }

    pub fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.present(key) {
            None => Ok(default),
            Some(v) => v
                .as_f64()
                .filter(|x| x.is_finite())
                .ok_or_else(|| self.bad(key, "a number")),
        }
    }

    /// A number that cannot be negative.
    pub fn amount(&self, key: &str, default: f64) -> Result<f64> {
        match self.number(key, default)? {
            x if x >= 0.0 => Ok(x),
            _ => Err(self.bad(key, "a number of at least 0")),
        }
    }

    /// The number of layers: the deepest published encoders have below a hundred.
    pub fn layers(&self, key: &str, default: usize) -> Result<usize> {
        match self.size(key, default)? {
            n if n <= 1000 => Ok(n),
            _ => Err(self.bad(key, "1 to 1000 layers")),
        }
    }

    pub fn probability(&self, key: &str, default: f64) -> Result<f64> {
        match self.number(key, default)? {
            p if (0.0..=1.0).contains(&p) => Ok(p),
            _ => Err(self.bad(key, "a probability between 0 and 1")),
        }
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.present(key) {
            None => Ok(default),
            Some(v) => v.as_bool().ok_or_else(|| self.bad(key, "true or false")),
        }
    }

    pub fn text(&self, key: &str, default: &str) -> Result<String> {
        match self.present(key) {
            None => Ok(default.into()),
            Some(v) => v
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| self.bad(key, "a string")),
        }
    }

    /// Refuse a value that asks for a network that is not provided here.
    pub fn require(&self, key: &str, default: Value) -> Result<()> {
        match self.present(key) {
            Some(v) if *v != default => {
                Err(self.bad(key, &format!("{default}: nothing else is supported")))
            }
            _ => Ok(()),
        }
    }

    pub fn num_labels(&self) -> Result<usize> {
        const MOST: usize = 1000;
        let listed = ["id2label", "label2id"].into_iter().find_map(|key| {
            let labels = self.present(key).and_then(Value::as_object)?;
            Some((key, labels.len()))
        });
        let (key, n) = match listed {
            Some(listed) => listed,
            None => ("num_labels", self.count("num_labels", 2)?),
        };
        match n {
            1..=MOST => Ok(n),
            _ => Err(self.bad(key, &format!("1 to {MOST} classes"))),
        }
    }

    /// The id of the padding token, a row of the word embeddings.
    pub fn padding(&self, keys: &[&str], default: u32, vocab_size: usize) -> Result<u32> {
        let key = keys.iter().copied().find(|key| self.present(key).is_some());
        let id = key.map_or(Ok(None), |key| self.id(key))?.unwrap_or(default);
        if (id as usize) < vocab_size {
            return Ok(id);
        }
        let expected = format!("an id below the vocabulary's size, {vocab_size}");
        Err(self.bad(key.unwrap_or(keys[0]), &expected))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use crate::models::Config;

    #[test]
    fn numbers_that_no_model_has_are_refused_by_their_key() {
        let message = |model_type: &str, key: &str, value: Value| {
            let config = json!({"model_type": model_type, key: value});
            let map = config.as_object().unwrap().clone();
            let error = Config::from_json(Path::new("c/config.json"), map).err();
            error.map(|e| e.to_string()).unwrap_or_default()
        };
        for (model_type, key, value) in [
            ("camembert", "layer_norm_eps", json!(-1)),
            ("flaubert", "layer_norm_eps", json!(-1e300)),
            ("camembert", "initializer_range", json!(-0.02)),
            ("flaubert", "init_std", json!("x")),
            ("camembert", "num_hidden_layers", json!(1 << 24)),
            ("flaubert", "n_layers", json!(1001)),
            ("camembert", "num_hidden_layers", json!(0)),
            ("camembert", "num_labels", json!(1001)),
            ("flaubert", "num_labels", json!(0)),
        ] {
            let message = message(model_type, key, value);
            assert!(
                message.contains("config.json") && message.contains(key),
                "{message}"
            );
        }
        assert_eq!(message("camembert", "layer_norm_eps", json!(0)), "");
        assert_eq!(message("camembert", "num_hidden_layers", json!(1000)), "");
    }
}
