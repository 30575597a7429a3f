//! Every kernel against the plain path, its backward pass against candle's autograd and against
//! finite differences.

use candle_core::{Device, Tensor, Var};

use super::*;
use crate::error::Result;
use crate::rng::Stream;

mod attention;
mod dropout;
mod plain_path;
mod threads;
mod update;

/// Normal random values, the same at each call with the same name.
fn random(name: &str, shape: &[usize]) -> Tensor {
    let mut stream = Stream::new(7, name);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| stream.normal() as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A copy with its own storage: kernels write over what they are given.
fn own(t: &Tensor) -> Owned {
    Owned::copy_of(t).unwrap()
}

/// What a kernel made.
fn tensor(made: Result<Owned>) -> Tensor {
    made.unwrap().into_tensor()
}

/// The sum in a slot.
fn sum_of(slot: &GradientSlot) -> Tensor {
    slot.get().unwrap().to_tensor().unwrap()
}

/// Sequences with these bounds on the CPU.
fn sequences(bounds: &[usize]) -> Sequences {
    Sequences::new(bounds, &Device::Cpu).unwrap()
}

/// Ids as the kernels take them.
fn ids(ids: &[u32]) -> Tensor {
    Tensor::new(ids, &Device::Cpu).unwrap()
}

/// The largest absolute value.
pub(crate) fn largest(t: &Tensor) -> f32 {
    let values = t.abs().unwrap().flatten_all().unwrap();
    values.max(0).unwrap().to_scalar().unwrap()
}

#[track_caller]
fn close(got: &Tensor, want: &Tensor, tolerance: f32) {
    assert_eq!(got.dims(), want.dims());
    let (d, scale) = (largest(&(got - want).unwrap()), largest(want));
    assert!(
        d <= tolerance * (1.0 + scale),
        "largest difference {d}, largest value {scale}"
    );
}

/// d(Σ f(x)·g)/dx by central differences in f64 over f32 evaluations, at a few coordinates, against
/// `gradient`.
#[track_caller]
fn matches_finite_differences(
    x: &Tensor,
    gradient: &Tensor,
    g: &Tensor,
    f: impl Fn(&Tensor) -> Tensor,
) {
    let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let analytic = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let objective = |v: &[f32]| -> f64 {
        let y = f(&Tensor::from_slice(v, x.shape(), &Device::Cpu).unwrap());
        let y = y
            .mul(g)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        y.iter().map(|&v| v as f64).sum()
    };
    let step = 1e-2f32;
    let mut stream = Stream::new(3, "coordinates");
    for _ in 0..12 {
        let i = stream.below(values.len());
        let mut moved = values.clone();
        moved[i] = values[i] + step;
        let up = objective(&moved);
        moved[i] = values[i] - step;
        let slope = (up - objective(&moved)) / (2.0 * step as f64);
        let error = (slope - analytic[i] as f64).abs();
        assert!(
            error <= 2e-2 * (1.0 + slope.abs()),
            "coordinate {i}: slope {slope}, gradient {}",
            analytic[i]
        );
    }
}

const SEED: DropoutSeed = DropoutSeed { seed: 42, step: 3 };

#[test]
fn layer_norm_and_its_backward() {
    for (rows, width) in [(1, 4), (5, 33), (130, 64)] {
        let (x, gamma, beta) = (
            random("x", &[rows, width]),
            random("g", &[width]),
            random("b", &[width]),
        );
        let g = random("up", &[rows, width]);
        let (y, stats) = layer_norm(&x, &gamma, &beta, 1e-5).unwrap();
        close(
            &y,
            &plain::layer_norm(&x, &gamma, &beta, 1e-5).unwrap(),
            1e-5,
        );
        let gradients = layer_norm_backward(&x, &stats, &gamma, 1e-5, &g).unwrap();
        let [dx, dg, db] = gradients.map(Owned::into_tensor);
        let want = plain::vjp(&[&x, &gamma, &beta], &g, |v| {
            plain::layer_norm(&v[0], &v[1], &v[2], 1e-5)
        })
        .unwrap();
        for (got, want) in [&dx, &dg, &db].into_iter().zip(&want) {
            close(got, want, 2e-5);
        }
        matches_finite_differences(&x, &dx, &g, |x| {
            layer_norm(x, &gamma, &beta, 1e-5).unwrap().0
        });
        matches_finite_differences(&gamma, &dg, &g, |v| {
            layer_norm(&x, v, &beta, 1e-5).unwrap().0
        });
        matches_finite_differences(&beta, &db, &g, |v| {
            layer_norm(&x, &gamma, v, 1e-5).unwrap().0
        });
    }
}

#[test]
fn activations_and_their_derivatives() {
    for f in [Activation::Gelu, Activation::Relu] {
        let (x, bias) = ((random("x", &[70, 33]) * 3.0).unwrap(), random("b", &[33]));
        let g = random("up", &[70, 33]);
        let (y, u) = bias_activation(own(&x), &bias, f).unwrap();
        let alone = tensor(bias_activation_in_place(own(&x), &bias, f));
        close(&alone, &y, 1e-6);
        let plain_u = x.broadcast_add(&bias).unwrap();
        close(&u.to_tensor().unwrap(), &plain_u, 1e-6);
        close(&y, &plain::activation(&plain_u, f).unwrap(), 1e-6);
        let (value, derivative) = bias_activation_backward(u, f).unwrap();
        close(&value, &y, 1e-6);
        let dx = g.mul(&derivative).unwrap();
        close(
            &dx,
            &plain::vjp(&[&plain_u], &g, |u| plain::activation(&u[0], f)).unwrap()[0],
            1e-5,
        );
        if f == Activation::Gelu {
            matches_finite_differences(&x, &dx, &g, |x| {
                bias_activation(own(x), &bias, f).unwrap().0
            });
        }
    }
}

#[test]
fn gelu_is_exact_over_the_whole_range() {
    let points: Vec<f32> = (-2000..2000).map(|i| i as f32 / 100.0).collect();
    let column = |v: &[f32]| Tensor::from_slice(v, (v.len(), 1), &Device::Cpu).unwrap();
    let row = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let bias = Tensor::new(&[0f32], &Device::Cpu).unwrap();
    let (y, u) = bias_activation(own(&column(&points)), &bias, Activation::Gelu).unwrap();
    let (again, derivative) = bias_activation_backward(u, Activation::Gelu).unwrap();
    let found = [y, again, derivative].map(row);
    for (i, point) in points.into_iter().enumerate() {
        let u = f64::from(point);
        let cdf = 0.5 * (1.0 + candle_core::cpu::erf::erf_f64(u * std::f64::consts::FRAC_1_SQRT_2));
        let density = (-0.5 * u * u).exp() / std::f64::consts::TAU.sqrt();
        for (got, want) in found
            .iter()
            .zip([u * cdf, u * cdf, u.mul_add(density, cdf)])
        {
            let error = (f64::from(got[i]) - want).abs();
            assert!(
                error <= 1e-6 * (1.0 + u.abs()),
                "{u}: {got} {want}",
                got = got[i]
            );
        }
    }
}

#[test]
fn exp_and_erf_are_exact_over_the_whole_range() {
    for i in -870..880 {
        let x = i as f32 / 10.0;
        let want = f64::from(x).exp();
        let error = (f64::from(cpu::exp(x)) - want) / want;
        assert!(error.abs() < 5e-7, "exp({x})");
    }
    for far in [-88.0, -1e3, -1e30, f32::NEG_INFINITY] {
        assert!((0.0..1.3e-38).contains(&cpu::exp(far)), "exp({far})");
    }
    for far in [89.0, 1e3, f32::INFINITY] {
        assert!(cpu::exp(far) >= 1.6e38, "exp({far})");
    }
    for i in -600..=600 {
        let x = i as f32 / 100.0;
        let error = f64::from(cpu::erf(x)) - candle_core::cpu::erf::erf_f64(f64::from(x));
        assert!(error.abs() < 4e-7, "erf({x}): {error}");
    }
}

#[test]
fn attention_and_its_backward() {
    let shape = AttentionShape {
        heads: 3,
        head_size: 8,
    };
    for bounds in [vec![0, 1], vec![0, 5, 6, 150], vec![0, 64, 192, 209]] {
        let rows = bounds[bounds.len() - 1];
        let qkv = random("qkv", &[rows, 72]);
        let sequences = &sequences(&bounds);
        for queries in [Queries::All, Queries::First] {
            let g = random("up", &[sequences.num_rows(queries), 24]);
            for dropout in [None, Dropout::new(0.3, 5, SEED)] {
                let y = attention(&qkv, sequences, queries, shape, dropout).unwrap();
                let want = plain::attention(&qkv, sequences, queries, shape, dropout).unwrap();
                close(&y, &want, 1e-5);
                let dx = attention_backward(&qkv, sequences, queries, shape, dropout, &g).unwrap();
                let want = plain::vjp(&[&qkv], &g, |x| {
                    plain::attention(&x[0], sequences, queries, shape, dropout)
                })
                .unwrap();
                close(&dx, &want[0], 2e-5);
                matches_finite_differences(&qkv, &dx, &g, |x| {
                    attention(x, sequences, queries, shape, dropout).unwrap()
                });
            }
        }
    }
}

/// Only differences between scores count, however large they are.
#[test]
fn scores_that_overflow_an_exponential_change_nothing() {
    let shape = AttentionShape {
        heads: 3,
        head_size: 8,
    };
    let (sequences, queries) = (sequences(&[0, 5, 26]), Queries::All);
    let (qkv, mut shifted) = (random("qkv", &[26, 72]), Vec::new());
    for mut row in qkv.to_vec2::<f32>().unwrap() {
        // The first element of every query and of every key: 15 · 40 / √8 is added to every score.
        for head in 0..3 {
            (row[8 * head], row[24 + 8 * head]) = (15.0, 40.0);
        }
        shifted.push(row);
    }
    let mut small = shifted.clone();
    for row in &mut small {
        (0..3).for_each(|head| row[24 + 8 * head] = 0.0);
    }
    let [shifted, small] = [shifted, small].map(|rows| Tensor::new(rows, &Device::Cpu).unwrap());
    let want = attention(&small, &sequences, queries, shape, None).unwrap();
    let got = attention(&shifted, &sequences, queries, shape, None).unwrap();
    close(&got, &want, 1e-4);
    let got = plain::attention(&shifted, &sequences, queries, shape, None).unwrap();
    close(&got, &want, 1e-4);
}

#[test]
fn rows_of_first_tokens_and_the_way_back() {
    let (x, sequences) = (random("x", &[70, 20]), sequences(&[0, 3, 4, 70]));
    let rows = sequences.select(&x, Queries::First).unwrap();
    let values = x.to_vec2::<f32>().unwrap();
    assert_eq!(
        rows.to_vec2::<f32>().unwrap(),
        [0, 3, 4].map(|i| values[i].clone())
    );
    let g = random("up", &[3, 20]);
    let want = plain::vjp(&[&x], &g, |x| sequences.select(&x[0], Queries::First))
        .unwrap()
        .remove(0);
    let got = tensor(sequences.add(own(&x), &g, Queries::First));
    close(&got, &(&x + want).unwrap(), 1e-6);
    let got = tensor(sequences.add(own(&x), &x, Queries::All));
    close(&got, &(&x * 2.0).unwrap(), 1e-6);
}

/// Rows wide enough to make more than one block, each of which must find its own rows of the mask.
#[test]
fn residual_with_bias_and_dropout() {
    for with in [None, Dropout::new(0.4, 9, SEED)] {
        let (x, bias, residual) = (
            random("x", &[100, 600]),
            random("b", &[600]),
            random("r", &[100, 600]),
        );
        let g = random("up", &[100, 600]);
        let y = tensor(bias_dropout_residual(own(&x), &bias, &residual, with));
        close(
            &y,
            &plain::bias_dropout_residual(&x, &bias, &residual, with).unwrap(),
            1e-6,
        );
        let dx = dropout(&g, with).unwrap();
        let want = plain::vjp(&[&x, &bias], &g, |v| {
            plain::bias_dropout_residual(&v[0], &v[1], &residual, with)
        });
        let want = want.unwrap();
        close(&dx, &want[0], 1e-6);
        close(&tensor(bias_backward(&dx)), &want[1], 1e-5);
        matches_finite_differences(&x, &dx, &g, |x| {
            tensor(bias_dropout_residual(own(x), &bias, &residual, with))
        });
    }
}

#[test]
fn linear_and_its_backward() {
    let (x, w, g) = (
        random("x", &[70, 20]),
        random("w", &[12, 20]),
        random("up", &[70, 12]),
    );
    let dx = tensor(linear_backward(&w, &g));
    let mut slot = GradientSlot::default();
    weight_backward(&x, &g, &mut slot).unwrap();
    let dw = sum_of(&slot);
    let want = plain::vjp(&[&x, &w], &g, |v| Ok(v[0].matmul(&v[1].t()?)?)).unwrap();
    close(&dx, &want[0], 1e-5);
    close(&dw, &want[1], 1e-5);
    matches_finite_differences(&w, &dw, &g, |w| tensor(linear_no_bias(&x, w)));
    // A second gradient adds up; after a reset the memory is written over.
    weight_backward(&x, &g, &mut slot).unwrap();
    close(&sum_of(&slot), &(&dw * 2.0).unwrap(), 1e-5);
    slot.reset();
    assert!(slot.get().is_none());
    weight_backward(&x, &g, &mut slot).unwrap();
    close(&sum_of(&slot), &dw, 1e-6);
    close(
        &tensor(add_bias(own(&x), &random("b", &[20]))),
        &x.broadcast_add(&random("b", &[20])).unwrap(),
        1e-6,
    );
}

#[test]
fn embeddings_add_up_and_padding_has_no_gradient() {
    let (words, positions) = (random("w", &[9, 20]), random("p", &[70, 20]));
    let index = ids(&(0..70).map(|i| (i * i) % 9).collect::<Vec<_>>());
    let at = ids(&(0..70).collect::<Vec<_>>());
    let y = embedding_sum(&[&words, &positions], &[&index, &at]).unwrap();
    close(
        &y,
        &(words.index_select(&index, 0).unwrap() + &positions).unwrap(),
        1e-6,
    );
    let g = random("up", &[70, 20]);
    let mut slot = GradientSlot::default();
    embedding_sum_backward(&g, &[&index], 9, Some(4), &mut slot).unwrap();
    let dw = sum_of(&slot);
    let want = plain::vjp(&[&words], &g, |w| Ok(w[0].index_select(&index, 0)?))
        .unwrap()
        .remove(0);
    for row in 0..9 {
        let got = dw.get(row).unwrap();
        let want = if row == 4 {
            got.zeros_like().unwrap()
        } else {
            want.get(row).unwrap()
        };
        close(&got, &want, 1e-5);
    }
    embedding_sum_backward(&g, &[&index], 9, Some(4), &mut slot).unwrap();
    close(&sum_of(&slot), &(&dw * 2.0).unwrap(), 1e-5);
    slot.reset();
    embedding_sum_backward(&g, &[&index], 9, Some(4), &mut slot).unwrap();
    close(&sum_of(&slot), &dw, 1e-6);
    assert!(embedding_sum(&[&words], &[&ids(&[9])]).is_err());
}

#[test]
fn cross_entropy_and_its_gradient() {
    let logits = random("l", &[6, 3]);
    let labels = [0, 1, 2, 2, 1, 0];
    let ce = cross_entropy(&logits, &labels).unwrap();
    let variable = Var::from_tensor(&logits).unwrap();
    let index = Tensor::new(&labels, &Device::Cpu).unwrap();
    let loss = candle_nn::loss::cross_entropy(variable.as_tensor(), &index).unwrap();
    let mean = ce.loss.to_scalar::<f64>().unwrap();
    assert!((mean - loss.to_scalar::<f32>().unwrap() as f64).abs() < 1e-6);
    close(
        &ce.gradient,
        loss.backward().unwrap().get(&variable).unwrap(),
        1e-6,
    );
    assert!((ce.per_row.sum_all().unwrap().to_scalar::<f64>().unwrap() / 6.0 - mean).abs() < 1e-12);
    assert!(cross_entropy(&logits, &[3; 6]).is_err());
    // No exponential overflows.
    let far = Tensor::new(&[[3e4f32, 0.0], [-3e4, 3e4]], &Device::Cpu).unwrap();
    let ce = cross_entropy(&far, &[0, 0]).unwrap();
    assert_eq!(ce.per_row.to_vec1::<f64>().unwrap(), [0.0, 6e4]);
    let gradient = ce.gradient.to_vec2::<f32>().unwrap();
    assert_eq!(gradient, [[0.0, 0.0], [-0.5, 0.5]]);
}
