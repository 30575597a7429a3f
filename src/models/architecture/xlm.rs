//! FlauBERT (Le et al. 2020), which is XLM's encoder (Conneau and Lample 2019).
//!
//! References: transformers' `FlaubertModel`, `FlaubertConfig` and `XLMSequenceSummary`
//! (`summary_type` "first").

use candle_core::Tensor;
use serde_json::{Map, json};

use super::family::{Architecture, Names};
use crate::error::{Error, Result};
use crate::models::Input;
use crate::models::block::{Block, BlockNames, TransformerBlock};
use crate::models::builder::Builder;
use crate::models::config::{Config, Reader};
use crate::models::embeddings::Embeddings;
use crate::models::layers::{Backward, Head, Linear, Pass};
use crate::models::task::Task;
use crate::nn::Activation;

#[derive(Debug)]
pub(super) struct Xlm;

const NAMES: Names = Names {
    prefix: "transformer.",
    head: &["sequence_summary.summary"],
    pretraining: &["pred_layer."],
    other_heads: &[
        ("classifier.", Task::TokenClassification),
        ("qa_outputs.", Task::QuestionAnswering),
        // Behind a `sequence_summary` of its own.
        ("logits_proj.", Task::MultipleChoice),
    ],
};

const BLOCK: BlockNames = BlockNames {
    qkv: [
        "transformer.attentions.{}.q_lin",
        "transformer.attentions.{}.k_lin",
        "transformer.attentions.{}.v_lin",
    ],
    attention_output: "transformer.attentions.{}.out_lin",
    attention_norm: "transformer.layer_norm1.{}",
    intermediate: "transformer.ffns.{}.lin1",
    output: "transformer.ffns.{}.lin2",
    output_norm: "transformer.layer_norm2.{}",
};

impl Architecture for Xlm {
    fn model_types(&self) -> &'static [&'static str] {
        &["flaubert"]
    }

    fn read(&self, r: &Reader<'_>) -> Result<Config> {
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
        let max_position_embeddings = r.size("max_position_embeddings", 512)?;
        Ok(Config {
            model_type: "flaubert".into(),
            classifier_class: "FlaubertForSequenceClassification",
            vocab_size,
            hidden_size,
            num_layers: r.layers("n_layers", r.layers("num_hidden_layers", 12)?)?,
            num_heads: r.size("n_heads", r.size("num_attention_heads", 16)?)?,
            intermediate_size: 4 * hidden_size,
            activation: match r.flag("gelu_activation", true)? {
                true => Activation::Gelu,
                false => Activation::Relu,
            },
            pre_norm: r.flag("pre_norm", false)?,
            max_position_embeddings,
            max_length: max_position_embeddings,
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

    fn names(&self) -> &'static Names {
        &NAMES
    }

    /// Words and positions; the positions have no padding row.
    fn embeddings(&self, builder: &mut Builder<'_>, config: &Config) -> Result<Embeddings> {
        let (words, positions) = (config.vocab_size, config.max_position_embeddings);
        let tables = [
            ("embeddings", words, Some(config.pad_token_id)),
            ("position_embeddings", positions, None),
        ];
        let tables = tables
            .map(|(name, rows, padding)| (format!("transformer.{name}.weight"), rows, padding));
        Embeddings::load(builder, config, &tables, "transformer.layer_norm_emb")
    }

    /// Token types, where they are given, take rows of the *word* embeddings, as `FlaubertModel`
    /// has it.
    fn lookups(&self, config: &Config, input: &Input<'_>) -> Result<Vec<(usize, Vec<u32>)>> {
        let limit = config.max_length();
        if let Some(column) = input.columns.iter().find(|&&c| c as usize >= limit) {
            return Err(Error::Mismatch(format!(
                "a token stands in column {column} of its row, which is padded on the left, and the model has {limit} positions: prepare the data with --max-length {limit}"
            )));
        }
        let mut lookups = vec![(0, input.ids.to_vec()), (1, input.columns.to_vec())];
        if let Some(types) = input.token_type_ids {
            lookups.push((0, types.to_vec()));
        }
        Ok(lookups)
    }

    fn block(
        &self,
        builder: &mut Builder<'_>,
        config: &Config,
        index: usize,
    ) -> Result<Box<dyn Block>> {
        let block = TransformerBlock::load(builder, config, index, &BLOCK)?;
        Ok(Box::new(block))
    }

    fn head(&self, builder: &mut Builder<'_>, config: &Config, seed: u64) -> Result<Box<dyn Head>> {
        let name = "sequence_summary.summary";
        Ok(Box::new(SequenceSummary {
            summary: builder.head_linear(name, config.num_labels, config, seed)?,
            tanh: config.summary_tanh,
            first_dropout: config.head_dropout,
            last_dropout: config.summary_last_dropout,
        }))
    }
}

/// Dropout, linear, perhaps tanh, dropout.
#[derive(Debug)]
struct SequenceSummary {
    /// H to C.
    summary: Linear,
    tanh: bool,
    first_dropout: f64,
    last_dropout: f64,
}

impl Head for SequenceSummary {
    fn forward<'a>(&'a self, first: &Tensor, pass: Pass<'a>) -> Result<(Tensor, Backward<'a>)> {
        let input = pass.drop_head(first, self.first_dropout, 0)?;
        let mut x = self.summary.forward(&input)?;
        if self.tanh {
            x = x.tanh()?;
        }
        let logits = pass.drop_head(&x, self.last_dropout, 1)?;
        let backward: Backward<'a> = Box::new(move |gradient, gradients| {
            let mut g = pass.drop_head(&gradient, self.last_dropout, 1)?;
            if self.tanh {
                // tanh′ = 1 − tanh²
                g = (&g - g.mul(&x.sqr()?)?)?;
            }
            let of_input = self.summary.backward(&input, &g, gradients)?;
            pass.drop_head(&of_input.into_tensor(), self.first_dropout, 0)
        });
        Ok((logits, backward))
    }
}
