//! The configuration of a network: every constant of it comes from `config.json`, whose keys each
//! family reads by a [`Reader`].

use std::path::Path;

use serde_json::{Map, Value, json};

use super::task::Task;
use crate::error::{Error, Result};
use crate::nn::{Activation, AttentionShape};

/// The configuration of an encoder and its classification head.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name that transformers has for this kind of network, "camembert" for example.
    pub model_type: String,
    /// The class of transformers that loads a classifier of this kind.
    pub(super) classifier_class: &'static str,
    /// V, rows of the word embeddings.
    pub vocab_size: usize,
    /// H.
    pub hidden_size: usize,
    /// n: there are n + 1 hidden states.
    pub num_layers: usize,
    /// A.
    pub num_heads: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Its activation.
    pub(crate) activation: Activation,
    /// Layer norm before each sub-layer rather than after.
    pub(crate) pre_norm: bool,
    /// Rows of the position embeddings.
    pub max_position_embeddings: usize,
    /// The longest sequence that the positions allow.
    pub(super) max_length: usize,
    /// Rows of the token type embeddings (RoBERTa only).
    pub type_vocab_size: usize,
    /// Id of the padding token; its embedding never receives a gradient.
    pub pad_token_id: u32,
    /// Id of the token that begins every sequence, when the configuration names it.
    pub(crate) bos_token_id: Option<u32>,
    /// ε of every layer norm.
    pub layer_norm_eps: f64,
    /// Dropout after embeddings and sub-layers.
    pub(crate) hidden_dropout: f64,
    /// Dropout on attention probabilities.
    pub(crate) attention_dropout: f64,
    /// Dropout of the classification head, before its first layer.
    pub(crate) head_dropout: f64,
    /// Dropout after XLM's summary.
    pub(crate) summary_last_dropout: f64,
    /// Whether XLM's summary ends with tanh.
    pub(crate) summary_tanh: bool,
    /// Probability of leaving a whole layer out in training (FlauBERT's `layerdrop`).
    pub(crate) layer_drop: f64,
    /// Standard deviation of new weights.
    pub(crate) initializer_range: f64,
    /// C, number of classes.
    pub(crate) num_labels: usize,
    pub(super) json: Map<String, Value>,
}

impl Config {
    /// The longest sequence that the position embeddings allow.
    pub(crate) fn max_length(&self) -> usize {
        self.max_length
    }

    /// Set every dropout of the network to `p`, layer drop too when `p` is 0. The configuration
    /// that is saved keeps its own values.
    pub(crate) fn override_dropout(&mut self, p: f64) {
        for field in [
            &mut self.hidden_dropout,
            &mut self.attention_dropout,
            &mut self.head_dropout,
        ] {
            *field = p;
        }
        if p == 0.0 {
            self.layer_drop = 0.0;
            self.summary_last_dropout = 0.0;
        }
    }

    /// Make it the configuration of a classifier with these class names, in the order of their ids.
    pub(crate) fn set_labels(&mut self, names: &[String]) {
        self.num_labels = names.len();
        let by_id = names
            .iter()
            .enumerate()
            .map(|(i, n)| (i.to_string(), json!(n)))
            .collect::<Map<_, _>>();
        let by_name = names
            .iter()
            .enumerate()
            .map(|(i, n)| (n.clone(), json!(i)))
            .collect::<Map<_, _>>();
        self.json.insert("id2label".into(), by_id.into());
        self.json.insert("label2id".into(), by_name.into());
        self.json.remove("num_labels");
    }

    /// The names of the classes, by id: those of `id2label`, else of `label2id`, else `LABEL_0`,
    /// `LABEL_1`, … as transformers calls them.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the two lists contradict each other; `folder` is where
    /// `config.json` lies.
    pub(crate) fn label_names(&self, folder: &Path) -> Result<Vec<String>> {
        let object = |key: &str| self.json.get(key).and_then(Value::as_object);
        let (by_id, by_name) = (object("id2label"), object("label2id"));
        let from_id = |i: usize| by_id?.get(&i.to_string())?.as_str();
        let from_name = |i: usize| {
            let of_id = |entry: &(&String, &Value)| entry.1.as_u64() == Some(i as u64);
            Some(by_name?.iter().find(of_id)?.0.as_str())
        };
        let mut names = Vec::with_capacity(self.num_labels);
        for i in 0..self.num_labels {
            let default = format!("LABEL_{i}");
            let known = |name: Option<&str>| name.filter(|n| *n != default).map(str::to_owned);
            names.push(match (known(from_id(i)), known(from_name(i))) {
                (Some(a), Some(b)) if a != b => {
                    return Err(Error::malformed(
                        folder.join("config.json"),
                        "keys \"id2label\" and \"label2id\"",
                        format!("class {i} called {a} in the one and {b} in the other"),
                        "one name for each class: correct the list that is wrong",
                    ));
                }
                (Some(name), _) | (None, Some(name)) => name,
                (None, None) => default,
            });
        }
        Ok(names)
    }

    /// The class of transformers that the checkpoint was saved from: the first of `architectures`.
    pub(crate) fn architecture(&self) -> Option<&str> {
        self.json.get("architectures")?.get(0)?.as_str()
    }

    /// What the checkpoint's head is for, as [`Self::architecture`] says. The weights may say
    /// otherwise: [`super::checkpoint::LoadReport::other_head`].
    pub(crate) fn task(&self) -> Option<Task> {
        self.architecture().and_then(Task::of_class)
    }

    /// What a head for sequences was trained for when that is not one class of several:
    /// `problem_type`, and regression where there is a single class, as transformers takes it.
    pub(crate) fn other_problem(&self) -> Option<&str> {
        let named = self.json.get("problem_type").and_then(Value::as_str);
        match named {
            Some("single_label_classification") => None,
            None => (self.num_labels == 1).then_some("regression"),
            other => other,
        }
    }

    /// The `config.json` of a fine-tuned classifier of this network: the keys that were read, the
    /// class names, and the Python class that loads it.
    pub(crate) fn to_classifier_json(&self) -> Value {
        let mut json = self.json.clone();
        json.insert("architectures".into(), json!([self.classifier_class]));
        json.insert("problem_type".into(), json!("single_label_classification"));
        for dtype in ["dtype", "torch_dtype"] {
            if json.contains_key(dtype) {
                json.insert(dtype.into(), json!("float32"));
            }
        }
        json.into()
    }

    /// Refuse data that begins with another token than this model's sequences do: it was made by
    /// another tokenizer. `ids` is a row of the data in `folder`.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn check_first_token(&self, ids: &[i32], folder: &Path) -> Result<()> {
        match (self.bos_token_id, ids.first()) {
            (Some(bos), Some(&id)) if id as i64 != bos as i64 => Err(Error::Mismatch(format!(
                "{}: its rows begin with token {id}, but the sequences of this {} model begin with {bos}: the data \
                 was prepared with another tokenizer; prepare it with this checkpoint",
                folder.display(),
                self.model_type
            ))),
            _ => Ok(()),
        }
    }

    /// Heads and their size.
    pub(crate) fn attention_shape(&self) -> AttentionShape {
        AttentionShape {
            heads: self.num_heads,
            head_size: self.hidden_size / self.num_heads,
        }
    }
}

/// A configuration being read: the file's keys, with the file's name for messages.
pub(super) struct Reader<'a> {
    pub(crate) path: &'a Path,
    pub(crate) json: &'a Map<String, Value>,
}

impl Reader<'_> {
    pub(crate) fn bad(&self, key: &str, expected: &str) -> Error {
        let found = self
            .json
            .get(key)
            .map_or("nothing".into(), Value::to_string);
        Error::malformed(self.path, format!("key {key:?}"), found, expected)
    }

    pub(crate) fn present(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|v| !v.is_null())
    }

    pub(crate) fn count(&self, key: &str, default: usize) -> Result<usize> {
        match self.present(key) {
            None => Ok(default),
            Some(v) => v
                .as_u64()
                .map(|n| n as usize)
                .ok_or_else(|| self.bad(key, "a whole number")),
        }
    }

    pub(crate) fn id(&self, key: &str) -> Result<Option<u32>> {
        self.present(key)
            .map(|id| {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                id.ok_or_else(|| self.bad(key, "a token id"))
            })
            .transpose()
    }

    pub(crate) fn size(&self, key: &str, default: usize) -> Result<usize> {
        match self.count(key, default)? {
            n if (1..=1 << 24).contains(&n) => Ok(n),
            _ => Err(self.bad(key, "a size of at least 1")),
        }
    }

    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.present(key) {
            None => Ok(default),
            Some(v) => v
                .as_f64()
                .filter(|x| x.is_finite())
                .ok_or_else(|| self.bad(key, "a number")),
        }
    }

    /// A number that cannot be negative.
    pub(crate) fn amount(&self, key: &str, default: f64) -> Result<f64> {
        match self.number(key, default)? {
            x if x >= 0.0 => Ok(x),
            _ => Err(self.bad(key, "a number of at least 0")),
        }
    }

    /// The number of layers: the deepest published encoders have below a hundred.
    pub(crate) fn layers(&self, key: &str, default: usize) -> Result<usize> {
        match self.size(key, default)? {
            n if n <= 1000 => Ok(n),
            _ => Err(self.bad(key, "1 to 1000 layers")),
        }
    }

    pub(crate) fn probability(&self, key: &str, default: f64) -> Result<f64> {
        match self.number(key, default)? {
            p if (0.0..=1.0).contains(&p) => Ok(p),
            _ => Err(self.bad(key, "a probability between 0 and 1")),
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.present(key) {
            None => Ok(default),
            Some(v) => v.as_bool().ok_or_else(|| self.bad(key, "true or false")),
        }
    }

    pub(crate) fn text(&self, key: &str, default: &str) -> Result<String> {
        match self.present(key) {
            None => Ok(default.into()),
            Some(v) => v
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| self.bad(key, "a string")),
        }
    }

    /// Refuse a value that asks for a network that is not provided here.
    pub(crate) fn require(&self, key: &str, default: Value) -> Result<()> {
        match self.present(key) {
            Some(v) if *v != default => {
                Err(self.bad(key, &format!("{default}: nothing else is supported")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn num_labels(&self) -> Result<usize> {
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
    pub(crate) fn padding(&self, keys: &[&str], default: u32, vocab_size: usize) -> Result<u32> {
        let key = keys.iter().copied().find(|key| self.present(key).is_some());
        let id = key.map_or(Ok(None), |key| self.id(key))?.unwrap_or(default);
        if (id as usize) < vocab_size {
            return Ok(id);
        }
        let expected = format!("an id below the vocabulary's size, {vocab_size}");
        Err(self.bad(key.unwrap_or(keys[0]), &expected))
    }
}
