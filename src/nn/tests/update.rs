//! The updates in place.

use candle_core::{DType, Var};

use super::{close, own, random};
use crate::nn::*;

/// With an epsilon that is large enough to be seen.
#[test]
fn adamw_follows_its_formula() {
    let p = Var::from_tensor(&random("p", &[40_000])).unwrap();
    let (start, g) = (own(p.as_tensor()), random("g", &[40_000]));
    let mut moments = [g.zeros_like().unwrap(), g.zeros_like().unwrap()];
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
        adamw_step(&p, &g, &mut moments, &s).unwrap();
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
fn sums_and_scales() {
    let x = random("x", &[40_001]);
    let want: f64 = x
        .to_vec1::<f32>()
        .unwrap()
        .iter()
        .map(|&v| (v as f64).powi(2))
        .sum();
    assert!((sum_of_squares(&x).unwrap() / want - 1.0).abs() < 1e-6);
    assert!((sum_of_squares(&x.to_dtype(DType::F64).unwrap()).unwrap() / want - 1.0).abs() < 1e-4);
    close(
        &scale_in_place(own(&x), 0.25).unwrap(),
        &(x * 0.25).unwrap(),
        1e-6,
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
    let moments = |t: &candle_core::Tensor| [t.zeros_like().unwrap(), t.zeros_like().unwrap()];
    assert!(adamw_step(&p, &b, &mut moments(&a), &s).is_err());
    assert!(adamw_step(&p, &a, &mut moments(&b), &s).is_err());
    assert!(adamw_step(&p, &a, &mut moments(&a), &s).is_ok());
}

/// A table without ids was once left out of the sum.
#[test]
fn every_embedding_table_has_its_ids() {
    let (a, b) = (random("a", &[5, 4]), random("b", &[3, 4]));
    let sum = |ids: &[&[u32]]| embedding_sum(&[&a, &b], ids);
    assert!(sum(&[&[0, 4], &[2, 2]]).is_ok());
    assert!(sum(&[&[0, 4]]).is_err());
    assert!(sum(&[&[0, 4], &[2]]).is_err());
}
