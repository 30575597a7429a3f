//! The encoder against candle-transformers' own XLM-RoBERTa, which shares no code with it.

use candle_core::{DType, Device, Tensor};
use flue_study::hub::{Hub, HubOptions};
use flue_study::models::checkpoint::load_encoder;
use flue_study::models::{Config, Input};
use flue_study::nn::Queries;
use flue_study::rng::Stream;

use super::candle_peer;
use super::common::{Workspace, assert_close};

#[test]
fn last_hidden_states_are_those_of_candle_transformers() {
    let w = Workspace::new();
    let hub = Hub::new(HubOptions {
        offline: true,
        cache_dir: Some(w.path("cache")),
        ..Default::default()
    });
    let folder = hub.checkpoint("tiny-camembert").unwrap();
    let config = Config::read(&folder).unwrap();
    let peer = candle_peer::load(&folder, &config).unwrap();
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
            Queries::All,
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
