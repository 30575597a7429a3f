//! Gradients against central differences of the loss, and sums of gradients.

use candle_core::{Device, Tensor};

use super::{CASES, Case, close, tensor};
use crate::models::Gradients;
use crate::nn::DropoutSeed;

/// The steepest coordinate of every parameter, where a wrong gradient cannot hide behind rounding,
/// against central differences of the loss.
fn check_finite_differences(
    name: &str,
    case: &Case,
    dropout: Option<DropoutSeed>,
    leaves_out: impl Fn(&str) -> bool,
) {
    let run = |g: &mut Gradients| {
        let (input, labels) = (case.training_input(), &case.batch.labels);
        case.model
            .accumulate_gradients(&input, labels, 1.0, dropout, g)
            .unwrap()
            .mean()
            .unwrap()
    };
    let n = case.model.parameters().len();
    let mut gradients = Gradients::new(n);
    run(&mut gradients);
    for (id, p) in case.model.parameters().iter().enumerate() {
        let values = p.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let Some(g) = gradients.get(id).map(|g| g.to_tensor().unwrap()) else {
            assert!(leaves_out(&p.names[0]), "{name} {:?}: no gradient", p.names);
            continue;
        };
        let g = g.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let i = (0..g.len())
            .max_by(|&a, &b| g[a].abs().total_cmp(&g[b].abs()))
            .unwrap();
        let at = |delta: f32| {
            let mut moved = values.clone();
            moved[i] += delta;
            p.var
                .set(&Tensor::from_vec(moved, p.var.shape(), &Device::Cpu).unwrap())
                .unwrap();
            run(&mut Gradients::new(n))
        };
        let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
        at(0.0);
        let error = (slope - g[i] as f64).abs();
        assert!(
            error <= 1e-3 + 0.03 * slope.abs(),
            "{name} {:?}: slope {slope}, gradient {}",
            p.names,
            g[i]
        );
        assert!(
            g[i].is_finite() && g[i] != 0.0,
            "{name} {:?}: gradient {}",
            p.names,
            g[i]
        );
    }
}

const SEED: DropoutSeed = DropoutSeed { seed: 5, step: 1 };

#[test]
fn every_gradient_agrees_with_finite_differences() {
    for name in CASES {
        check_finite_differences(name, &Case::load(name), None, |_| false);
        let case = Case::changed(name, |config| config.override_dropout(0.2));
        check_finite_differences(name, &case, Some(SEED), |_| false);
    }
}

/// What `override_dropout` leaves alone: dropout of XLM's logits, and whole layers left out.
#[test]
fn logits_that_are_dropped_and_layers_that_are_left_out_have_their_gradients_too() {
    for name in ["flaubert", "flaubert-pre-norm-sharded"] {
        // With this seed one logit of the batch is dropped and others are kept.
        let case = Case::changed(name, |config| config.summary_last_dropout = 0.3);
        check_finite_differences(name, &case, Some(SEED), |_| false);
        let case = Case::changed(name, |config| config.layer_drop = 1.0);
        let in_a_layer = |name: &str| name.split('.').any(|part| part.parse::<usize>().is_ok());
        check_finite_differences(name, &case, Some(SEED), in_a_layer);
    }
}

/// Two halves of a batch's weight, one after the other, give the gradient of the whole.
#[test]
fn gradients_of_micro_batches_add_up_by_their_weights() {
    for name in CASES {
        let case = Case::load(name);
        let (_, whole) = case.gradients();
        let mut sum = Gradients::new(case.model.parameters().len());
        for weight in [0.25, 0.75] {
            let (input, labels) = (case.training_input(), &case.batch.labels);
            case.model
                .accumulate_gradients(&input, labels, weight, None, &mut sum)
                .unwrap();
        }
        for (id, p) in case.model.parameters().iter().enumerate() {
            let (got, want) = (tensor(sum.get(id)), tensor(whole.get(id)));
            close(&format!("{name}, {}", p.names[0]), &got, &want, 1e-6);
        }
    }
}
