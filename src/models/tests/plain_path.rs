//! The networks on the plain path, in types of number that the kernels do not take: what a GPU computes.

use candle_core::{DType, Device, Tensor};

use super::{CASES, Case, close, fixture};
use crate::models::embeddings::Embeddings;
use crate::models::heads::Head;
use crate::models::layer::EncoderLayer;
use crate::models::loading::Builder;
use crate::models::modules::{LayerNorm, Linear};
use crate::models::parameters::{Parameters, Weight};
use crate::models::weights::Weights;
use crate::models::{Config, Gradients, Network};
use crate::nn::DropoutSeed;

const SEED: DropoutSeed = DropoutSeed { seed: 5, step: 1 };

/// With every dropout, and values that bf16 holds exactly.
fn network(name: &str, dtype: DType) -> Network {
    let folder = fixture(name);
    let mut config = Config::read(&folder).unwrap();
    config.override_dropout(0.2);
    config.summary_last_dropout = 0.3;
    let builder = Builder {
        weights: &mut Weights::read(&folder).unwrap(),
        device: &Device::Cpu,
        parameters: Parameters::default(),
        initialised: Vec::new(),
    };
    let (mut network, _) = builder.build(config, Some(1)).unwrap();
    for weight in weights(&mut network) {
        let value = weight.value.to_dtype(DType::BF16).unwrap();
        weight.value = value.to_dtype(dtype).unwrap();
    }
    network
}

fn weights(network: &mut Network) -> Vec<&mut Weight> {
    fn of_linear(l: &mut Linear) -> [&mut Weight; 2] {
        [&mut l.weight, &mut l.bias]
    }
    fn of_norm(n: &mut LayerNorm) -> [&mut Weight; 2] {
        [&mut n.gamma, &mut n.beta]
    }
    let Embeddings { tables, norm } = &mut network.embeddings;
    let mut all: Vec<&mut Weight> = tables.iter_mut().map(|t| &mut t.weight).collect();
    all.extend(of_norm(norm));
    for layer in &mut network.layers {
        let EncoderLayer {
            qkv,
            output,
            norm1,
            expand,
            contract,
            norm2,
            ..
        } = layer;
        all.extend(
            [qkv, output, expand, contract]
                .into_iter()
                .flat_map(of_linear),
        );
        all.extend([norm1, norm2].into_iter().flat_map(of_norm));
    }
    all.extend(match network.head.as_mut().unwrap() {
        Head::Roberta { dense, out_proj } => {
            [dense, out_proj].into_iter().flat_map(of_linear).collect()
        }
        Head::Summary { summary } => Vec::from(of_linear(summary)),
    });
    assert_eq!(all.len(), network.parameters.len());
    all
}

/// Loss and gradients of a training step in `dtype`, and the states of every layer, as f32.
fn pass(name: &str, dtype: DType) -> (f64, Vec<Tensor>, Vec<Tensor>) {
    use crate::models::{Encoder, SequenceClassifier};
    let (case, network) = (Case::load(name), network(name, dtype));
    let n = network.parameters().len();
    let mut gradients = Gradients::new(n);
    let (input, labels) = (case.training_input(), &case.batch.labels);
    let loss = network
        .accumulate_gradients(&input, labels, 1.0, Some(SEED), &mut gradients)
        .unwrap();
    let as_f32 = |t: &Tensor| {
        assert_eq!(t.dtype(), dtype);
        t.to_dtype(DType::F32).unwrap()
    };
    let mut states = Vec::new();
    let last = network.config().num_layers;
    let all = crate::nn::Queries::All(input.bounds);
    let keep = &mut |_, x: &Tensor| {
        states.push(as_f32(x));
        Ok(())
    };
    network.hidden_states(&input, last, all, keep).unwrap();
    let gradients = (0..n).map(|id| as_f32(gradients.get(id).unwrap()));
    (loss.mean, gradients.collect(), states)
}

#[test]
fn the_plain_path_gives_what_the_kernels_give() {
    for name in CASES {
        let (loss, gradients, states) = pass(name, DType::F32);
        let (plain_loss, plain_gradients, plain_states) = pass(name, DType::F64);
        assert!((loss - plain_loss).abs() < 1e-6, "{name}");
        for (got, want) in gradients.iter().zip(&plain_gradients) {
            close(name, got, want, 2e-6);
        }
        for (got, want) in states.iter().zip(&plain_states) {
            close(name, got, want, 2e-6);
        }
    }
}

/// What 8 bits leave of a gradient: its direction and most of its length.
#[test]
fn numbers_of_16_bits_go_the_whole_way() {
    let norm = |t: &Tensor| {
        let squares = t.sqr().unwrap().sum_all().unwrap();
        f64::from(squares.to_scalar::<f32>().unwrap()).sqrt()
    };
    for name in CASES {
        let (loss, gradients, states) = pass(name, DType::F32);
        let (half_loss, half_gradients, half_states) = pass(name, DType::BF16);
        assert!((loss - half_loss).abs() < 0.02, "{name}");
        for (got, want) in half_states.iter().zip(&states) {
            let error = norm(&(got - want).unwrap()) / norm(want);
            assert!(error < 0.02, "{name}: {error}");
        }
        for (got, want) in half_gradients.iter().zip(&gradients) {
            let error = norm(&(got - want).unwrap()) / norm(want).max(1e-3);
            assert!(error < 0.1, "{name}: {error}");
        }
    }
}
