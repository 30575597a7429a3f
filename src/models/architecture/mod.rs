//! The families of encoders. A new one is a file that implements [`Architecture`], and its entry in
//! the list here.

use std::path::Path;

use serde_json::{Map, Value};

use super::config::{Config, Reader};
use crate::error::{Error, Result};
use crate::files::read_json;

mod family;
mod roberta;
mod xlm;

pub(super) use family::{Architecture, Names};

/// All of them.
const ARCHITECTURES: [&dyn Architecture; 2] = [&roberta::Roberta, &xlm::Xlm];

/// The family that has this `model_type`.
fn of_model_type(model_type: &str) -> Option<&'static dyn Architecture> {
    let has = |a: &&&dyn Architecture| a.model_types().contains(&model_type);
    ARCHITECTURES.iter().find(has).copied()
}

/// The family of a configuration that was read.
pub(super) fn of(config: &Config) -> &'static dyn Architecture {
    of_model_type(&config.model_type).expect("a configuration is read by its family")
}

impl Config {
    /// Read `config.json` in the folder of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] with the key that is absent, wrong or not supported.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        Self::from_json(&path, read_json(&path, "a JSON object")?)
    }

    /// Read a configuration that came from the file `path`.
    ///
    /// # Errors
    /// See [`Config::read`].
    pub(crate) fn from_json(path: &Path, json: Map<String, Value>) -> Result<Self> {
        let reader = Reader { path, json: &json };
        let Some(architecture) = of_model_type(&reader.text("model_type", "")?) else {
            let types = ARCHITECTURES.iter().flat_map(|a| a.model_types());
            let mut types: Vec<&str> = types.copied().collect();
            let last = types.pop().expect("there are families");
            return Err(reader.bad("model_type", &format!("{} or {last}", types.join(", "))));
        };
        let config = architecture.read(&reader)?;
        if config.hidden_size % config.num_heads != 0 {
            let found = format!(
                "{} heads for a hidden size of {}",
                config.num_heads, config.hidden_size
            );
            return Err(Error::malformed(
                path,
                "",
                found,
                "a hidden size that is a multiple of the heads",
            ));
        }
        Ok(Self { json, ..config })
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
