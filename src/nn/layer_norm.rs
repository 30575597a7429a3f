//! Layer normalisation (Ba, Kiros and Hinton 2016), as `torch.nn.LayerNorm`.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{cpu, plain};
use crate::error::Result;

/// Mean and reciprocal standard deviation of each row, kept for the backward pass; empty off the CPU.
pub struct LayerNormStats(Vec<[f32; 2]>);

/// γ·(x − mean)/√(variance + ε) + β over the last dimension. `x` (T, H); `gamma`, `beta` (H).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn layer_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, LayerNormStats)> {
    if !cpu::applies(x) {
        return Ok((
            plain::layer_norm(x, gamma, beta, epsilon)?,
            LayerNormStats(Vec::new()),
        ));
    }
    let (rows, width) = x.dims2()?;
    let mut out = vec![0f32; rows * width];
    let mut stats = vec![[0f32; 2]; rows];
    cpu::with(x, |x| {
        cpu::with(gamma, |gamma| {
            cpu::with(beta, |beta| {
                let block = cpu::block_rows(width);
                out.par_chunks_mut(block * width)
                    .zip(stats.par_chunks_mut(block))
                    .zip(x.par_chunks(block * width))
                    .for_each(|((out, stats), x)| {
                        cpu::vectorised(
                            #[inline(always)]
                            || {
                                let rows = out
                                    .chunks_exact_mut(width)
                                    .zip(x.chunks_exact(width))
                                    .zip(stats);
                                for ((out, x), stats) in rows {
                                    *stats = normalise(x, gamma, beta, epsilon as f32, out);
                                }
                            },
                        )
                    })
            })
        })
    })???;
    Ok((
        Tensor::from_vec(out, (rows, width), x.device())?,
        LayerNormStats(stats),
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

/// The gradients of [`layer_norm`]: (of `x`, of `gamma`, of `beta`).
///
/// With x̂ the normalised row and h = g·γ: ∂x = rstd·(h − mean(h) − x̂·mean(h·x̂)); ∂γ = Σ g·x̂; ∂β = Σ g.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn layer_norm_backward(
    x: &Tensor,
    stats: &LayerNormStats,
    gamma: &Tensor,
    epsilon: f64,
    gradient: &Tensor,
) -> Result<(Tensor, Tensor, Tensor)> {
    if !cpu::applies(x) {
        let beta = gamma.zeros_like()?;
        let mut g = plain::vjp(&[x, gamma, &beta], gradient, |v| {
            plain::layer_norm(&v[0], &v[1], &v[2], epsilon)
        })?
        .into_iter();
        let mut next = || {
            g.next().ok_or_else(|| {
                crate::error::Error::Mismatch("layer norm: a gradient is lost".into())
            })
        };
        return Ok((next()?, next()?, next()?));
    }
    let (rows, width) = x.dims2()?;
    let mut out = vec![0f32; rows * width];
    let sums = cpu::with(x, |x| {
        cpu::with(gamma, |gamma| {
            cpu::with(gradient, |g| {
                cpu::for_blocks(
                    &mut out,
                    width,
                    #[inline(always)]
                    |first, block| {
                        for (r, out) in block.chunks_exact_mut(width).enumerate() {
                            let at = (first + r) * width;
                            row_backward(
                                &x[at..at + width],
                                &g[at..at + width],
                                gamma,
                                stats.0[first + r],
                                out,
                            );
                        }
                    },
                );
                cpu::sum_blocks(
                    rows,
                    2 * width,
                    #[inline(always)]
                    |from, to, sums| {
                        let (gamma, beta) = sums.split_at_mut(width);
                        for r in from..to {
                            let [mean, rstd] = stats.0[r];
                            let (x, g) = (&x[r * width..][..width], &g[r * width..][..width]);
                            for (((dg, db), x), g) in
                                gamma.iter_mut().zip(beta.iter_mut()).zip(x).zip(g)
                            {
                                *dg = ((x - mean) * rstd).mul_add(*g, *dg);
                                *db += g;
                            }
                        }
                    },
                )
            })
        })
    })???;
    let device = x.device();
    let (of_gamma, of_beta) = sums.split_at(width);
    Ok((
        Tensor::from_vec(out, (rows, width), device)?,
        Tensor::from_slice(of_gamma, width, device)?,
        Tensor::from_slice(of_beta, width, device)?,
    ))
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
