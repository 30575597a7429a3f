//! The XLM-RoBERTa of candle-transformers with the weights of a CamemBERT; `benches/extraction.rs`
//! takes it from here.

use std::path::Path;

use candle_core::{DType, Device, Result};
use candle_nn::VarBuilder;
use candle_transformers::models::xlm_roberta::{Config as PeerConfig, XLMRobertaModel};
use flue_study::models::Config;

/// The encoder of the checkpoint in `folder`, without dropout.
pub fn load(folder: &Path, config: &Config) -> Result<XLMRobertaModel> {
    let peer = PeerConfig {
        hidden_size: config.hidden_size,
        layer_norm_eps: config.layer_norm_eps,
        attention_probs_dropout_prob: 0.0,
        hidden_dropout_prob: 0.0,
        num_attention_heads: config.num_heads,
        position_embedding_type: "absolute".into(),
        intermediate_size: config.intermediate_size,
        hidden_act: candle_nn::Activation::Gelu,
        num_hidden_layers: config.num_layers,
        vocab_size: config.vocab_size,
        max_position_embeddings: config.max_position_embeddings,
        type_vocab_size: config.type_vocab_size,
        pad_token_id: config.pad_token_id,
    };
    let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu)?;
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    XLMRobertaModel::new(&peer, builder.pp("roberta"))
}
