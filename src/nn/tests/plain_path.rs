//! The plain path in other types of number than the kernels' f32: what every device but the CPU
//! runs.

use candle_core::{DType, Device, Tensor, Var};

use super::{SEED, close, ids, own, random, sequences, sum_of, tensor};
use crate::nn::*;

/// What every function gives, under its name.
pub(super) type Results = Vec<(&'static str, Tensor)>;

/// Inputs in one type of number, with values that bf16 holds exactly.
struct Inputs<'a> {
    dtype: DType,
    rows: usize,
    /// Of the sequences that attend.
    bounds: &'a [usize],
}

const WIDTH: usize = 24;
const SHAPE: AttentionShape = AttentionShape {
    heads: 3,
    head_size: 8,
};

impl Inputs<'_> {
    fn draw(&self, name: &str, shape: &[usize]) -> Tensor {
        let x = random(name, shape).to_dtype(DType::BF16).unwrap();
        x.to_dtype(self.dtype).unwrap()
    }

    fn linear(&self, results: &mut Results) {
        let (x, w) = (
            self.draw("x", &[self.rows, WIDTH]),
            self.draw("w", &[36, WIDTH]),
        );
        let (bias, g) = (self.draw("b", &[36]), self.draw("up", &[self.rows, 36]));
        let y = tensor(linear_no_bias(&x, &w));
        let mut slot = GradientSlot::default();
        for _ in 0..2 {
            weight_backward(&x, &g, &mut slot).unwrap();
        }
        results.extend([
            ("product", y.clone()),
            ("product with bias", tensor(add_bias(own(&y), &bias))),
            ("gradient of x", tensor(linear_backward(&w, &g))),
            ("twice the gradient of w", sum_of(&slot)),
            ("gradient of the bias", tensor(bias_backward(&g))),
        ]);
    }

    /// With an epsilon that is large enough to be seen.
    fn layer_norm(&self, results: &mut Results) {
        let x = self.draw("x", &[self.rows, WIDTH]);
        let (gamma, beta) = (self.draw("gamma", &[WIDTH]), self.draw("beta", &[WIDTH]));
        let g = self.draw("up", &[self.rows, WIDTH]);
        let (y, stats) = layer_norm(&x, &gamma, &beta, 0.1).unwrap();
        let gradients = layer_norm_backward(&x, &stats, &gamma, 0.1, &g).unwrap();
        let [dx, dgamma, dbeta] = gradients.map(Owned::into_tensor);
        results.extend([
            ("layer norm", y),
            ("statistics of layer norm", stats),
            ("gradient through layer norm", dx),
            ("gradient of gamma", dgamma),
            ("gradient of beta", dbeta),
        ]);
    }

    fn activations(&self, results: &mut Results) {
        let (x, bias) = (
            self.draw("x", &[self.rows, WIDTH]),
            self.draw("b", &[WIDTH]),
        );
        for f in [Activation::Gelu, Activation::Relu] {
            let (y, u) = bias_activation(own(&x), &bias, f).unwrap();
            let alone = tensor(bias_activation_in_place(own(&x), &bias, f));
            results.extend([
                ("activation", y),
                ("its input", u.to_tensor().unwrap()),
                ("activation alone", alone),
            ]);
            let (value, derivative) = bias_activation_backward(u, f).unwrap();
            results.extend([("activation again", value), ("derivative", derivative)]);
        }
    }

    fn attention(&self, results: &mut Results) {
        let tokens = self.bounds[self.bounds.len() - 1];
        let qkv = self.draw("qkv", &[tokens, 3 * WIDTH]);
        let sequences = &sequences(self.bounds);
        for queries in [Queries::All, Queries::First] {
            let g = self.draw("up", &[sequences.num_rows(queries), WIDTH]);
            for dropout in [None, Dropout::new(0.3, 5, SEED)] {
                let y = attention(&qkv, sequences, queries, SHAPE, dropout).unwrap();
                let dx = attention_backward(&qkv, sequences, queries, SHAPE, dropout, &g).unwrap();
                results.extend([("attention", y), ("gradient through attention", dx)]);
            }
            let x = self.draw("x", &[tokens, WIDTH]);
            results.push(("rows", sequences.select(&x, queries).unwrap()));
            let added = tensor(sequences.add(own(&x), &g, queries));
            results.push(("rows added", added));
        }
    }

    /// One table used twice, with a padding row, and a second table.
    fn embeddings(&self, results: &mut Results) {
        let (words, positions) = (self.draw("w", &[9, WIDTH]), self.draw("p", &[70, WIDTH]));
        let row = |t: usize| ((t * t) % 9) as u32;
        let (first, second): (Vec<u32>, Vec<u32>) =
            (0..self.rows).map(|t| (row(t), row(t + 2))).unzip();
        let at: Vec<u32> = (0..self.rows).map(|t| t as u32 % 70).collect();
        let [first, second, at] = [first, second, at].map(|list| ids(&list));
        let tables = [&words, &positions, &words];
        let sum = embedding_sum(&tables, &[&first, &at, &second]).unwrap();
        let g = self.draw("up", &[self.rows, WIDTH]);
        let mut slot = GradientSlot::default();
        for _ in 0..2 {
            embedding_sum_backward(&g, &[&first, &second], 9, Some(4), &mut slot).unwrap();
        }
        let table = sum_of(&slot);
        results.extend([
            ("embeddings", sum),
            ("twice the gradient of a table", table),
        ]);
    }

    fn residual(&self, results: &mut Results) {
        let draw = |name| self.draw(name, &[self.rows, WIDTH]);
        let (residual, g, bias) = (draw("r"), draw("up"), self.draw("b", &[WIDTH]));
        for with in [None, Dropout::new(0.4, 9, SEED)] {
            let y = tensor(bias_dropout_residual(
                own(&draw("x")),
                &bias,
                &residual,
                with,
            ));
            let dx = dropout(&g, with).unwrap();
            results.extend([("residual sum", y), ("its gradient", dx)]);
        }
    }

    fn loss(&self, results: &mut Results) {
        let ce = cross_entropy(&self.draw("l", &[6, 3]), &[0, 1, 2, 2, 1, 0]).unwrap();
        results.extend([
            ("cross-entropy", ce.loss.unsqueeze(0).unwrap()),
            ("cross-entropy of each row", ce.per_row),
            ("its gradient", ce.gradient),
        ]);
    }

    fn updates(&self, results: &mut Results) {
        let draw = |name| self.draw(name, &[self.rows, WIDTH]);
        let (a, b) = (draw("a"), draw("b"));
        let squares = Tensor::new(&[sum_of_squares(&own(&a)).unwrap()], &Device::Cpu).unwrap();
        results.extend([
            ("sum", tensor(add_in_place(own(&a), &b))),
            ("product", tensor(multiply_in_place(own(&a), &b))),
            ("sum of squares", squares),
        ]);
        // Every number is large enough to be seen, also in bf16.
        let (p, zeros) = (Var::from_tensor(&a).unwrap(), a.zeros_like().unwrap());
        let moments = [0; 2].map(|_| Var::from_tensor(&zeros).unwrap());
        for step in 1..=3 {
            let s = AdamWStep {
                learning_rate: 0.3,
                beta1: 0.7,
                beta2: 0.8,
                epsilon: 0.5,
                weight_decay: 0.4,
                gradient_scale: 0.6,
                step,
            };
            adamw_step(&p, &own(&b), &moments, &s).unwrap();
        }
        let [updated, m, v] = [&p, &moments[0], &moments[1]].map(Var::as_detached_tensor);
        results.extend([("updated", updated), ("momentum", m), ("second moment", v)]);
    }
}

/// All functions on the same numbers in `dtype`, as f32: of `rows` rows, and attention in sequences
/// cut at `bounds`.
pub(super) fn results(dtype: DType, rows: usize, bounds: &[usize]) -> Results {
    let inputs = Inputs {
        dtype,
        rows,
        bounds,
    };
    let mut results = Results::new();
    inputs.linear(&mut results);
    inputs.layer_norm(&mut results);
    inputs.activations(&mut results);
    inputs.attention(&mut results);
    inputs.embeddings(&mut results);
    inputs.residual(&mut results);
    inputs.loss(&mut results);
    inputs.updates(&mut results);
    for (_, tensor) in &mut results {
        *tensor = tensor.to_dtype(DType::F32).unwrap();
    }
    results
}

/// Sequences of one token and of more.
const BOUNDS: [usize; 5] = [0, 1, 66, 67, 100];

#[track_caller]
fn agrees_with_the_kernels(dtype: DType, rows: usize, tolerance: f32) {
    let of = |dtype| results(dtype, rows, &BOUNDS);
    let (plain, kernels) = (of(dtype), of(DType::F32));
    assert_eq!(plain.len(), kernels.len());
    for ((what, plain), (_, kernel)) in plain.iter().zip(&kernels) {
        println!("{dtype:?}: {what}");
        close(kernel, plain, tolerance);
    }
}

/// More rows than one block of any kernel.
#[test]
fn numbers_of_64_bits_show_the_rounding_of_the_kernels_alone() {
    agrees_with_the_kernels(DType::F64, 2600, 1e-5);
}

/// Each of a few operations in a row rounds to 8 bits.
#[test]
fn numbers_of_16_bits_go_the_whole_way() {
    agrees_with_the_kernels(DType::BF16, 70, 2e-2);
}
