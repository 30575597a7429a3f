//! Layer normalisation.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{block_rows, for_blocks, sum_blocks, values, vectorised};
use crate::error::Result;
use crate::nn::owned::Owned;

pub(in crate::nn) fn layer_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor)> {
    let (rows, width) = x.dims2()?;
    let mut out = vec![0f32; rows * width];
    let mut statistics = vec![0f32; rows * 2];
    {
        let (x, gamma, beta) = (values(x)?, values(gamma)?, values(beta)?);
        let (gamma, beta) = (&*gamma, &*beta);
        let block = block_rows(width);
        out.par_chunks_mut(block * width)
            .zip(statistics.par_chunks_mut(block * 2))
            .zip(x.par_chunks(block * width))
            .for_each(|((out, statistics), x)| {
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = out
                            .chunks_exact_mut(width)
                            .zip(x.chunks_exact(width))
                            .zip(statistics.as_chunks_mut::<2>().0);
                        for ((out, x), statistics) in rows {
                            *statistics = normalise(x, gamma, beta, epsilon as f32, out);
                        }
                    },
                )
            });
    }
    Ok((
        Tensor::from_vec(out, (rows, width), x.device())?,
        Tensor::from_vec(statistics, (rows, 2), x.device())?,
    ))
}

#[inline(always)]
fn normalise(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, out: &mut [f32]) -> [f32; 2] {
    let n = x.len() as f32;
    let mean = lanes_sum(x, |v| v) / n;
    let variance = lanes_sum(x, |v| (v - mean) * (v - mean)) / n;
    let rstd = 1.0 / (variance + epsilon).sqrt();
    for (((o, x), g), b) in out.iter_mut().zip(x).zip(gamma).zip(beta) {
        *o = ((x - mean) * rstd).mul_add(*g, *b);
    }
    [mean, rstd]
}

/// Σ f(x) with 16 independent partial sums, so that it vectorises.
#[inline(always)]
fn lanes_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for (s, v) in sums.iter_mut().zip(chunk) {
            *s += f(*v);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&v| f(v)).sum::<f32>()
}

pub(in crate::nn) fn layer_norm_backward(
    x: &Tensor,
    statistics: &Tensor,
    gamma: &Tensor,
    gradient: &Tensor,
) -> Result<[Owned; 3]> {
    let ((rows, width), device) = (x.dims2()?, x.device());
    let mut out = vec![0f32; rows * width];
    let (x, gamma, g) = (values(x)?, values(gamma)?, values(gradient)?);
    let (x, gamma, g) = (&*x, &*gamma, &*g);
    let statistics = values(statistics)?;
    let statistics = statistics.as_chunks::<2>().0;
    for_blocks(
        &mut out,
        width,
        #[inline(always)]
        |first, block| {
            for (r, out) in block.chunks_exact_mut(width).enumerate() {
                let at = (first + r) * width..(first + r + 1) * width;
                row_backward(&x[at.clone()], &g[at], gamma, statistics[first + r], out);
            }
        },
    );
    let sums = sum_blocks(
        rows,
        2 * width,
        #[inline(always)]
        |from, to, sums| {
            let (gamma, beta) = sums.split_at_mut(width);
            for (r, [mean, rstd]) in (from..to).zip(&statistics[from..to]) {
                let (x, g) = (&x[r * width..][..width], &g[r * width..][..width]);
                for (((dg, db), x), g) in gamma.iter_mut().zip(beta.iter_mut()).zip(x).zip(g) {
                    *dg = ((x - mean) * rstd).mul_add(*g, *dg);
                    *db += g;
                }
            }
        },
    );
    let (of_gamma, of_beta) = sums.split_at(width);
    Ok([
        Owned::new(Tensor::from_vec(out, (rows, width), device)?),
        Owned::new(Tensor::from_slice(of_gamma, width, device)?),
        Owned::new(Tensor::from_slice(of_beta, width, device)?),
    ])
}

#[inline(always)]
fn row_backward(x: &[f32], g: &[f32], gamma: &[f32], [mean, rstd]: [f32; 2], out: &mut [f32]) {
    let n = x.len() as f32;
    for ((o, g), gamma) in out.iter_mut().zip(g).zip(gamma) {
        *o = g * gamma;
    }
    let mean_h = lanes_sum(out, |h| h) / n;
    let mut sums = [0f32; 16];
    let ((hs, h_rest), (xs, x_rest)) = (out.as_chunks::<16>(), x.as_chunks::<16>());
    for (h, x) in hs.iter().zip(xs) {
        for ((s, h), x) in sums.iter_mut().zip(h).zip(x) {
            *s = ((x - mean) * rstd).mul_add(*h, *s);
        }
    }
    let rest: f32 = h_rest
        .iter()
        .zip(x_rest)
        .map(|(h, x)| h * (x - mean) * rstd)
        .sum();
    let mean_hx = (sums.iter().sum::<f32>() + rest) / n;
    for (o, x) in out.iter_mut().zip(x) {
        *o = rstd * (*o - mean_h - (x - mean) * rstd * mean_hx);
    }
}
