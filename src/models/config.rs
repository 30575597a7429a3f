//! `config.json` by `model_type`. Every constant of a network comes from here.
//!
//! A key that is absent takes the default of the transformers class: `CamembertConfig`, `RobertaConfig` and
//! `XLMRobertaConfig` share theirs, `FlaubertConfig` has its own.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::config_reader::Reader;
use super::task::Task;
use crate::error::{Error, Result};
use crate::files::read_json;
use crate::nn::{Activation, AttentionShape};

/// The two families of encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// CamemBERT, RoBERTa and XLM-RoBERTa: one network under three names.
    Roberta,
    /// FlauBERT, which is XLM's network.
    Xlm,
}

/// The configuration of an encoder and its classification head.
#[derive(Debug, Clone)]
pub struct Config {
    /// "camembert", "roberta", "xlm-roberta" or "flaubert".
    pub model_type: String,
    /// Which network that is.
    pub family: Family,
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
    pub activation: Activation,
    /// Layer norm before each sub-layer rather than after.
    pub pre_norm: bool,
    /// Rows of the position embeddings.
    pub max_position_embeddings: usize,
    /// Rows of the token type embeddings (RoBERTa only).
    pub type_vocab_size: usize,
    /// Id of the padding token; its embedding never receives a gradient.
    pub pad_token_id: u32,
    /// Id of the token that begins every sequence, when the configuration names it.
    pub bos_token_id: Option<u32>,
    /// ε of every layer norm.
    pub layer_norm_eps: f64,
    /// Dropout after embeddings and sub-layers.
    pub hidden_dropout: f64,
    /// Dropout on attention probabilities.
    pub attention_dropout: f64,
    /// Dropout of the classification head, before its first layer.
    pub head_dropout: f64,
    /// Dropout after XLM's summary.
    pub summary_last_dropout: f64,
    /// Whether XLM's summary ends with tanh.
    pub summary_tanh: bool,
    /// Probability of leaving a whole layer out in training (FlauBERT's `layerdrop`).
    pub layer_drop: f64,
    /// Standard deviation of new weights.
    pub initializer_range: f64,
    /// C, number of classes.
    pub num_labels: usize,
    json: Map<String, Value>,
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
    pub fn from_json(path: &Path, json: Map<String, Value>) -> Result<Self> {
        let reader = Reader { path, json: &json };
        let config = match reader.text("model_type", "")?.as_str() {
            "camembert" | "roberta" | "xlm-roberta" => Self::roberta(&reader)?,
            "flaubert" => Self::flaubert(&reader)?,
            _ => {
                return Err(reader.bad("model_type", "camembert, roberta, xlm-roberta or flaubert"));
            }
        };
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

    fn roberta(r: &Reader<'_>) -> Result<Self> {
        r.require("position_embedding_type", json!("absolute"))?;
        r.require("is_decoder", json!(false))?;
        let hidden_dropout = r.probability("hidden_dropout_prob", 0.1)?;
        let model_type = r.text("model_type", "")?;
        let default_size = match model_type.as_str() {
            "roberta" => 50265,
            _ => 30522,
        };
        let vocab_size = r.size("vocab_size", default_size)?;
        Ok(Self {
            model_type,
            family: Family::Roberta,
            vocab_size,
            hidden_size: r.size("hidden_size", 768)?,
            num_layers: r.layers("num_hidden_layers", 12)?,
            num_heads: r.size("num_attention_heads", 12)?,
            intermediate_size: r.size("intermediate_size", 3072)?,
            activation: Activation::from_name(&r.text("hidden_act", "gelu")?)
                .map_err(|_| r.bad("hidden_act", "gelu or relu"))?,
            pre_norm: false,
            max_position_embeddings: r.size("max_position_embeddings", 512)?,
            type_vocab_size: r.size("type_vocab_size", 2)?,
            pad_token_id: r.padding(&["pad_token_id"], 1, vocab_size)?,
            bos_token_id: r.id("bos_token_id")?,
            layer_norm_eps: r.amount("layer_norm_eps", 1e-12)?,
            hidden_dropout,
            attention_dropout: r.probability("attention_probs_dropout_prob", 0.1)?,
            head_dropout: r.probability("classifier_dropout", hidden_dropout)?,
            summary_last_dropout: 0.0,
            summary_tanh: false,
            layer_drop: 0.0,
            initializer_range: r.amount("initializer_range", 0.02)?,
            num_labels: r.num_labels()?,
            json: Map::new(),
        })
    }

    fn flaubert(r: &Reader<'_>) -> Result<Self> {
        r.require("causal", json!(false))?;
        r.require("is_encoder", json!(true))?;
        r.require("summary_type", json!("first"))?;
        r.require("summary_use_proj", json!(true))?;
        r.require("summary_proj_to_labels", json!(true))?;
        if r.flag("use_lang_emb", true)? {
            r.require("n_langs", json!(1))?;
        }
        let hidden_size = r.size("emb_dim", r.size("hidden_size", 2048)?)?;
        let vocab_size = r.size("n_words", r.size("vocab_size", 30145)?)?;
        Ok(Self {
            model_type: "flaubert".into(),
            family: Family::Xlm,
            vocab_size,
            hidden_size,
            num_layers: r.layers("n_layers", r.layers("num_hidden_layers", 12)?)?,
            num_heads: r.size("n_heads", r.size("num_attention_heads", 16)?)?,
            intermediate_size: 4 * hidden_size,
            activation: if r.flag("gelu_activation", true)? {
                Activation::Gelu
            } else {
                Activation::Relu
            },
            pre_norm: r.flag("pre_norm", false)?,
            max_position_embeddings: r.size("max_position_embeddings", 512)?,
            type_vocab_size: 0,
            pad_token_id: r.padding(&["pad_index", "pad_token_id"], 2, vocab_size)?,
            bos_token_id: r.id("bos_index")?.or(r.id("bos_token_id")?),
            layer_norm_eps: r.amount("layer_norm_eps", 1e-12)?,
            hidden_dropout: r.probability("dropout", 0.1)?,
            attention_dropout: r.probability("attention_dropout", 0.1)?,
            head_dropout: r.probability("summary_first_dropout", 0.1)?,
            summary_last_dropout: r.probability("summary_last_dropout", 0.0)?,
            summary_tanh: r.text("summary_activation", "")? == "tanh",
            layer_drop: r.probability("layerdrop", 0.0)?,
            initializer_range: r.amount("init_std", 0.02)?,
            num_labels: r.num_labels()?,
            json: Map::new(),
        })
    }

    /// Set every dropout of the network to `p`, layer drop too when `p` is 0. The configuration that is saved keeps
    /// its own values.
    pub fn override_dropout(&mut self, p: f64) {
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
    pub fn set_labels(&mut self, names: &[String]) {
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

    /// The names of the classes, by id: those of `id2label`, else of `label2id`, else `LABEL_0`, `LABEL_1`, … as transformers
    /// calls them.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the two lists contradict each other; `folder` is where `config.json` lies.
    pub fn label_names(&self, folder: &Path) -> Result<Vec<String>> {
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
    pub fn architecture(&self) -> Option<&str> {
        self.json.get("architectures")?.get(0)?.as_str()
    }

    /// What the checkpoint's head is for, as [`Self::architecture`] says. The weights may say otherwise:
    /// [`super::checkpoint::LoadReport::other_head`].
    pub fn task(&self) -> Option<Task> {
        self.architecture().and_then(Task::of_class)
    }

    /// What a head for sequences was trained for when that is not one class of several: `problem_type`, and regression where there
    /// is a single class, as transformers takes it.
    pub fn other_problem(&self) -> Option<&str> {
        let named = self.json.get("problem_type").and_then(Value::as_str);
        match named {
            Some("single_label_classification") => None,
            None => (self.num_labels == 1).then_some("regression"),
            other => other,
        }
    }

    /// The `config.json` of a fine-tuned classifier of this network: the keys that were read, the class names, and
    /// the Python class that loads it.
    pub fn to_classifier_json(&self) -> Value {
        let class = match self.model_type.as_str() {
            "camembert" => "CamembertForSequenceClassification",
            "roberta" => "RobertaForSequenceClassification",
            "xlm-roberta" => "XLMRobertaForSequenceClassification",
            _ => "FlaubertForSequenceClassification",
        };
        let mut json = self.json.clone();
        json.insert("architectures".into(), json!([class]));
        json.insert("problem_type".into(), json!("single_label_classification"));
        for dtype in ["dtype", "torch_dtype"] {
            if json.contains_key(dtype) {
                json.insert(dtype.into(), json!("float32"));
            }
        }
        json.into()
    }

    /// Refuse data that begins with another token than this model's sequences do: it was made by another tokenizer.
    /// `ids` is a row of the data in `folder`.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub fn check_first_token(&self, ids: &[i32], folder: &Path) -> Result<()> {
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
    pub fn attention_shape(&self) -> AttentionShape {
        AttentionShape {
            heads: self.num_heads,
            head_size: self.hidden_size / self.num_heads,
        }
    }

    /// The longest sequence that the position embeddings allow. RoBERTa's positions start after the padding id.
    pub fn max_length(&self) -> usize {
        match self.family {
            Family::Roberta => self
                .max_position_embeddings
                .saturating_sub(self.pad_token_id as usize + 1),
            Family::Xlm => self.max_position_embeddings,
        }
    }
}
