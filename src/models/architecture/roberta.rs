//! CamemBERT (Martin et al. 2020), RoBERTa (Liu et al. 2019) and XLM-RoBERTa: one network under
//! three names.
//!
//! References: transformers' `CamembertModel`, `RobertaEmbeddings`, `RobertaLayer`,
//! `create_position_ids_from_input_ids` and `RobertaClassificationHead`. `CamembertConfig`,
//! `RobertaConfig` and `XLMRobertaConfig` share their defaults.

use candle_core::Tensor;
use serde_json::{Map, json};

use super::family::{Architecture, Names};
use crate::error::Result;
use crate::models::Input;
use crate::models::block::{Block, BlockNames, TransformerBlock};
use crate::models::builder::Builder;
use crate::models::config::{Config, Reader};
use crate::models::embeddings::Embeddings;
use crate::models::layers::{Backward, Head, Linear, Pass};
use crate::models::task::Task;
use crate::nn::Activation;

#[derive(Debug)]
pub(super) struct Roberta;

const NAMES: Names = Names {
    prefix: "roberta.",
    head: &["classifier.dense", "classifier.out_proj"],
    pretraining: &["lm_head.", "roberta.pooler.", "pooler."],
    other_heads: &[
        // Multiple choice calls its only layer the same.
        ("classifier.weight", Task::TokenClassification),
        ("classifier.bias", Task::TokenClassification),
        ("qa_outputs.", Task::QuestionAnswering),
    ],
};

const BLOCK: BlockNames = BlockNames {
    qkv: [
        "roberta.encoder.layer.{}.attention.self.query",
        "roberta.encoder.layer.{}.attention.self.key",
        "roberta.encoder.layer.{}.attention.self.value",
    ],
    attention_output: "roberta.encoder.layer.{}.attention.output.dense",
    attention_norm: "roberta.encoder.layer.{}.attention.output.LayerNorm",
    intermediate: "roberta.encoder.layer.{}.intermediate.dense",
    output: "roberta.encoder.layer.{}.output.dense",
    output_norm: "roberta.encoder.layer.{}.output.LayerNorm",
};

impl Architecture for Roberta {
    fn model_types(&self) -> &'static [&'static str] {
        &["camembert", "roberta", "xlm-roberta"]
    }

    fn read(&self, r: &Reader<'_>) -> Result<Config> {
        r.require("position_embedding_type", json!("absolute"))?;
        r.require("is_decoder", json!(false))?;
        let model_type = r.text("model_type", "")?;
        let (classifier_class, default_vocab_size) = match model_type.as_str() {
            "camembert" => ("CamembertForSequenceClassification", 30522),
            "roberta" => ("RobertaForSequenceClassification", 50265),
            _ => ("XLMRobertaForSequenceClassification", 30522),
        };
        let vocab_size = r.size("vocab_size", default_vocab_size)?;
        let max_position_embeddings = r.size("max_position_embeddings", 512)?;
        let pad_token_id = r.padding(&["pad_token_id"], 1, vocab_size)?;
        let hidden_dropout = r.probability("hidden_dropout_prob", 0.1)?;
        Ok(Config {
            model_type,
            classifier_class,
            vocab_size,
            hidden_size: r.size("hidden_size", 768)?,
            num_layers: r.layers("num_hidden_layers", 12)?,
            num_heads: r.size("num_attention_heads", 12)?,
            intermediate_size: r.size("intermediate_size", 3072)?,
            activation: Activation::from_name(&r.text("hidden_act", "gelu")?)
                .ok_or_else(|| r.bad("hidden_act", "gelu or relu"))?,
            pre_norm: false,
            max_position_embeddings,
            // Positions start behind the padding id.
            max_length: max_position_embeddings.saturating_sub(pad_token_id as usize + 1),
            type_vocab_size: r.size("type_vocab_size", 2)?,
            pad_token_id,
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

    fn names(&self) -> &'static Names {
        &NAMES
    }

    /// Words, positions and types; the types have no padding row.
    fn embeddings(&self, builder: &mut Builder<'_>, config: &Config) -> Result<Embeddings> {
        let pad = Some(config.pad_token_id);
        let tables = [
            ("word_embeddings", config.vocab_size, pad),
            ("position_embeddings", config.max_position_embeddings, pad),
            ("token_type_embeddings", config.type_vocab_size, None),
        ];
        let tables = tables.map(|(name, rows, padding)| {
            (format!("roberta.embeddings.{name}.weight"), rows, padding)
        });
        Embeddings::load(builder, config, &tables, "roberta.embeddings.LayerNorm")
    }

    /// Positions count the tokens that are not padding from padding id + 1; a padding token that
    /// stands in the text itself takes the padding position.
    fn lookups(&self, config: &Config, input: &Input<'_>) -> Result<Vec<(usize, Vec<u32>)>> {
        let padding = config.pad_token_id;
        let mut positions = Vec::with_capacity(input.ids.len());
        for bounds in input.bounds.windows(2) {
            let mut next = padding;
            for &id in &input.ids[bounds[0]..bounds[1]] {
                positions.push(if id == padding {
                    padding
                } else {
                    next += 1;
                    next
                });
            }
        }
        let types = input
            .token_type_ids
            .map_or_else(|| vec![0; input.ids.len()], <[u32]>::to_vec);
        Ok(vec![(0, input.ids.to_vec()), (1, positions), (2, types)])
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
        let [dense, out_proj] = ["classifier.dense", "classifier.out_proj"];
        Ok(Box::new(ClassificationHead {
            dense: builder.head_linear(dense, config.hidden_size, config, seed)?,
            out_proj: builder.head_linear(out_proj, config.num_labels, config, seed)?,
            dropout: config.head_dropout,
        }))
    }
}

/// Dropout, linear, tanh, dropout, linear.
#[derive(Debug)]
struct ClassificationHead {
    /// H to H.
    dense: Linear,
    /// H to C.
    out_proj: Linear,
    dropout: f64,
}

impl Head for ClassificationHead {
    fn forward<'a>(&'a self, first: &Tensor, pass: Pass<'a>) -> Result<(Tensor, Backward<'a>)> {
        let dropped = move |x: &Tensor, site| pass.drop_head(x, self.dropout, site);
        let input = dropped(first, 0)?;
        let tanh = self.dense.forward(&input)?.tanh()?;
        let last_input = dropped(&tanh, 1)?;
        let logits = self.out_proj.forward(&last_input)?;
        let backward: Backward<'a> = Box::new(move |gradient, gradients| {
            let of_last = self.out_proj.backward(&last_input, &gradient, gradients)?;
            let of_tanh = dropped(&of_last.into_tensor(), 1)?;
            // tanh′ = 1 − tanh²
            let of_dense = (&of_tanh - of_tanh.mul(&tanh.sqr()?)?)?;
            let of_input = self.dense.backward(&input, &of_dense, gradients)?;
            dropped(&of_input.into_tensor(), 0)
        });
        Ok((logits, backward))
    }
}
