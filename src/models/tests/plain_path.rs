//! The networks on the plain path, in types of number that the kernels do not take: what a GPU
//! computes.

use candle_core::{DType, Device, Tensor};

use super::{CASES, Case, close, fixture, tensor};
use crate::models::checkpoint::load;
use crate::models::network::Network;
use crate::models::{Config, Encoder, Gradients, SequenceClassifier};
use crate::nn::DropoutSeed;

const SEED: DropoutSeed = DropoutSeed { seed: 5, step: 1 };

/// With every dropout, and values that bf16 holds exactly.
fn network(name: &str, dtype: DType) -> Network {
    let folder = fixture(name);
    let mut config = Config::read(&folder).unwrap();
    config.override_dropout(0.2);
    config.summary_last_dropout = 0.3;
    let on = (&Device::Cpu, dtype);
    let (network, _) = load(&folder, config, on, Some(1)).unwrap();
    for parameter in network.parameters().iter() {
        let coarse = parameter.var.to_dtype(DType::BF16).unwrap();
        let coarse = coarse.to_dtype(dtype).unwrap().copy().unwrap();
        parameter.var.set(&coarse).unwrap();
    }
    network
}

/// Loss and gradients of a training step in `dtype`, and the states of every layer, as f32.
fn pass(name: &str, dtype: DType) -> (f64, Vec<Tensor>, Vec<Tensor>) {
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
    let all = crate::nn::Queries::All;
    let keep = &mut |_, x: &Tensor| {
        states.push(as_f32(x));
        Ok(())
    };
    network.hidden_states(&input, last, all, keep).unwrap();
    let gradients = (0..n).map(|id| as_f32(&tensor(gradients.get(id))));
    (loss.mean().unwrap(), gradients.collect(), states)
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
