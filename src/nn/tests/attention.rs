//! Attention where it is harder: long sequences, and scores that no exponential holds.

use candle_core::{Device, Tensor};

use super::{SEED, close, random, sequences};
use crate::nn::*;

const SHAPE: AttentionShape = AttentionShape {
    heads: 2,
    head_size: 8,
};

/// The gradient of `qkv` against that of the plain path.
#[track_caller]
fn gradient_agrees(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: Queries,
    dropout: Option<Dropout>,
    tolerance: f32,
) {
    let g = random("up", &[sequences.num_rows(queries), SHAPE.hidden()]);
    let got = attention_backward(qkv, sequences, queries, SHAPE, dropout, &g).unwrap();
    let want = plain::vjp(&[qkv], &g, |x| {
        plain::attention(&x[0], sequences, queries, SHAPE, dropout)
    });
    close(&got, &want.unwrap()[0], tolerance);
}

/// Long enough for several blocks of queries in both passes, each of which must find its own rows;
/// not the first of the batch.
#[test]
fn long_sequences_are_put_together_from_their_blocks() {
    let sequences = &sequences(&[0, 7, 507]);
    let qkv = random("qkv", &[507, 3 * SHAPE.hidden()]);
    for queries in [Queries::All, Queries::First] {
        for dropout in [None, Dropout::new(0.3, 5, SEED)] {
            let got = attention(&qkv, sequences, queries, SHAPE, dropout).unwrap();
            let want = plain::attention(&qkv, sequences, queries, SHAPE, dropout).unwrap();
            close(&got, &want, 1e-5);
            gradient_agrees(&qkv, sequences, queries, dropout, 2e-5);
        }
    }
}

/// The backward pass computes the probabilities again, and shifts the scores again.
#[test]
fn scores_that_overflow_an_exponential_have_their_gradient() {
    let mut rows = random("qkv", &[26, 3 * SHAPE.hidden()])
        .to_vec2::<f32>()
        .unwrap();
    for row in &mut rows {
        // The first element of every query and of every key: 15 · 40 / √8 is added to every score.
        for head in 0..2 {
            (row[8 * head], row[16 + 8 * head]) = (15.0, 40.0);
        }
    }
    let qkv = Tensor::new(rows, &Device::Cpu).unwrap();
    gradient_agrees(&qkv, &sequences(&[0, 5, 26]), Queries::All, None, 1e-3);
}
