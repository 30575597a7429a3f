//! The encoder against candle-transformers' own XLM-RoBERTa, which shares no code with it.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::xlm_roberta::{Config as PeerConfig, XLMRobertaModel};
use flue_study::hub::{Hub, HubOptions};
use flue_study::models::checkpoint::load_encoder;
use flue_study::models::{Config, Input};
use flue_study::nn::Queries;
use flue_study::rng::Stream;

use super::common::{Workspace, assert_close};

#[test]
fn last_hidden_states_are_those_of_candle_transformers() {
    let w = Workspace::new();
    let hub = Hub::new(HubOptions {
        offline: true,
        cache_dir: Some(w.path("cache")),
        revision: None,
    });
    let folder = hub.checkpoint("tiny-camembert").unwrap();
    let config = Config::read(&folder).unwrap();
    let peer_config = PeerConfig {
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
    let tensors =
        candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let peer = XLMRobertaModel::new(&peer_config, builder.pp("roberta")).unwrap();
    let ours = load_encoder(&folder, &Device::Cpu).unwrap();
    let mut stream = Stream::new(11, "sentences");
    for length in [2, 17, 130, 512] {
        let ids: Vec<u32> = (0..length)
            .map(|_| 7 + stream.below(config.vocab_size - 7) as u32)
            .collect();
        let columns: Vec<u32> = (0..length as u32).collect();
        let bounds = [0, length];
        let input = Input {
            ids: &ids,
            columns: &columns,
            token_type_ids: None,
            bounds: &bounds,
        };
        let mut got = Vec::new();
        ours.hidden_states(
            &input,
            config.num_layers,
            Queries::All(&bounds),
            &mut |layer, states| {
                if layer == config.num_layers {
                    got = states.flatten_all()?.to_vec1::<f32>()?;
                }
                Ok(())
            },
        )
        .unwrap();
        let tensor = Tensor::new(&ids[..], &Device::Cpu)
            .unwrap()
            .unsqueeze(0)
            .unwrap();
        let mask = tensor.ones_like().unwrap().to_dtype(DType::F32).unwrap();
        let types = tensor.zeros_like().unwrap();
        let want = peer
            .forward(&tensor, &mask, &types, None, None, None)
            .unwrap();
        assert_close(
            &got,
            &want.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            2e-5,
            1e-4,
        );
    }
}
