//! The updates in place.

use candle_core::{DType, Tensor, Var};

use super::{close, ids, own, random, tensor};
use crate::nn::*;

fn moments_of(t: &Tensor) -> [Var; 2] {
    [0; 2].map(|_| Var::zeros(t.shape(), t.dtype(), t.device()).unwrap())
}

/// With an epsilon that is large enough to be seen.
#[test]
fn adamw_follows_its_formula() {
    let p = Var::from_tensor(&random("p", &[40_000])).unwrap();
    let (start, g) = (p.copy().unwrap(), random("g", &[40_000]));
    let moments = moments_of(&g);
    let mut s = AdamWStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-2,
        weight_decay: 0.1,
        gradient_scale: 0.5,
        step: 1,
    };
    let (mut want, mut m, mut v) = (start, g.zeros_like().unwrap(), g.zeros_like().unwrap());
    for step in 1..=3 {
        s.step = step;
        adamw_step(&p, &own(&g), &moments, &s).unwrap();
        let h = (&g * 0.5).unwrap();
        m = ((m * 0.9).unwrap() + (&h * 0.1).unwrap()).unwrap();
        v = ((v * 0.999).unwrap() + (h.sqr().unwrap() * 0.001).unwrap()).unwrap();
        let (a, b) = (
            1.0 - 0.9f64.powi(step as i32),
            1.0 - 0.999f64.powi(step as i32),
        );
        let update = (&m / a)
            .unwrap()
            .div(&((&v / b).unwrap().sqrt().unwrap() + 1e-2).unwrap())
            .unwrap();
        want = ((want * (1.0 - 1e-4)).unwrap() - (update * 1e-3).unwrap()).unwrap();
        close(p.as_tensor(), &want, 1e-6);
    }
}

#[test]
fn squares_are_summed_in_every_type_of_number() {
    let x = random("x", &[40_001]);
    let want: f64 = x
        .to_vec1::<f32>()
        .unwrap()
        .iter()
        .map(|&v| (v as f64).powi(2))
        .sum();
    assert!((sum_of_squares(&own(&x)).unwrap() / want - 1.0).abs() < 1e-6);
    assert!(
        (sum_of_squares(&own(&x.to_dtype(DType::F64).unwrap())).unwrap() / want - 1.0).abs() < 1e-4
    );
}

/// The end of the longer one was once left as it was.
#[test]
fn tensors_of_two_shapes_are_refused() {
    let (a, b) = (random("a", &[40_000]), random("b", &[39_999]));
    assert!(add_in_place(own(&a), &b).is_err());
    assert!(multiply_in_place(own(&a), &b).is_err());
    let p = Var::from_tensor(&a).unwrap();
    let s = AdamWStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        gradient_scale: 1.0,
        step: 1,
    };
    assert!(adamw_step(&p, &own(&b), &moments_of(&a), &s).is_err());
    assert!(adamw_step(&p, &own(&a), &moments_of(&b), &s).is_err());
    assert!(adamw_step(&p, &own(&a), &moments_of(&a), &s).is_ok());
}

/// A table without ids was once left out of the sum.
#[test]
fn every_embedding_table_has_its_ids() {
    let (a, b) = (random("a", &[5, 4]), random("b", &[3, 4]));
    let sum = |lists: &[&[u32]]| {
        let lists: Vec<_> = lists.iter().map(|list| ids(list)).collect();
        embedding_sum(&[&a, &b], &lists.iter().collect::<Vec<_>>())
    };
    assert!(sum(&[&[0, 4], &[2, 2]]).is_ok());
    assert!(sum(&[&[0, 4]]).is_err());
    assert!(sum(&[&[0, 4], &[2]]).is_err());
}

/// Memory is written over only where nobody else sees it: what is taken to be written cannot be
/// read meanwhile, and is there again afterwards.
#[test]
fn values_that_are_being_written_cannot_be_read() {
    let (p, g) = (
        Var::from_tensor(&random("p", &[8])).unwrap(),
        random("g", &[8]),
    );
    let [m, _] = moments_of(&g);
    let s = AdamWStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        gradient_scale: 1.0,
        step: 1,
    };
    let before = p.copy().unwrap();
    let one_for_both = [m.clone(), m];
    let refused = adamw_step(&p, &own(&g), &one_for_both, &s).unwrap_err();
    assert!(
        refused.to_string().contains("nothing writes to"),
        "{refused}"
    );
    close(p.as_tensor(), &before, 0.0);
    close(one_for_both[0].as_tensor(), &g.zeros_like().unwrap(), 0.0);
    let sum = tensor(add_in_place(own(&g), &g));
    close(&sum, &(&g * 2.0).unwrap(), 1e-6);
}
