//! The activation of the feed-forward block, with the bias of the layer before it.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{cpu, plain};
use crate::error::{Error, Result};

/// The function between the two linear layers of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x) with the exact normal distribution function, by erf (Hendrycks and Gimpel 2016); transformers' "gelu".
    Gelu,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// From the `hidden_act` of a configuration. "gelu" means the exact form, as in transformers.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a function that is not provided.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "gelu" => Ok(Self::Gelu),
            "relu" => Ok(Self::Relu),
            other => Err(Error::Mismatch(format!(
                "hidden_act {other:?} is not supported: expected gelu or relu"
            ))),
        }
    }

    #[inline(always)]
    fn value(self, u: f32) -> f32 {
        match self {
            Self::Gelu => 0.5 * u * (1.0 + cpu::erf(u * std::f32::consts::FRAC_1_SQRT_2)),
            Self::Relu => u.max(0.0),
        }
    }

    /// The value and the derivative Φ(u) + u·φ(u).
    #[inline(always)]
    fn with_derivative(self, u: f32) -> (f32, f32) {
        const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
        match self {
            Self::Gelu => {
                let cdf = 0.5 * (1.0 + cpu::erf(u * std::f32::consts::FRAC_1_SQRT_2));
                (
                    u * cdf,
                    (u * FRAC_1_SQRT_2PI).mul_add(cpu::exp(-0.5 * u * u), cdf),
                )
            }
            Self::Relu => (u.max(0.0), if u > 0.0 { 1.0 } else { 0.0 }),
        }
    }
}

/// f(x + bias) and x + bias, which the backward pass needs. `x` (T, I), overwritten where possible; `bias` (I).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_activation(x: Tensor, bias: &Tensor, f: Activation) -> Result<(Tensor, Tensor)> {
    if !cpu::applies(&x) {
        let u = x.broadcast_add(bias)?;
        return Ok((plain::activation(&u, f)?, u));
    }
    let (rows, width) = x.dims2()?;
    let mut out = vec![0f32; rows * width];
    cpu::with(bias, |bias| {
        cpu::with_mut(&x, |x| {
            let rows = cpu::block_rows(width);
            let blocks = x
                .par_chunks_mut(rows * width)
                .zip(out.par_chunks_mut(rows * width));
            blocks.for_each(|(x, out)| {
                cpu::vectorised(
                    #[inline(always)]
                    || {
                        for (x, out) in x.chunks_exact_mut(width).zip(out.chunks_exact_mut(width)) {
                            for ((x, o), b) in x.iter_mut().zip(out).zip(bias) {
                                *x += b;
                                *o = f.value(*x);
                            }
                        }
                    },
                )
            })
        })
    })??;
    Ok((Tensor::from_vec(out, (rows, width), x.device())?, x))
}

/// f(x + bias) alone, written over `x` where possible, for when no backward pass follows. `x` (T, I); `bias` (I).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_activation_in_place(x: Tensor, bias: &Tensor, f: Activation) -> Result<Tensor> {
    if !cpu::applies(&x) {
        return plain::activation(&x.broadcast_add(bias)?, f);
    }
    let width = x.dim(1)?;
    cpu::with(bias, |bias| {
        cpu::with_mut(&x, |x| {
            cpu::for_blocks(
                x,
                width,
                #[inline(always)]
                |_, block| {
                    for row in block.chunks_exact_mut(width) {
                        for (x, b) in row.iter_mut().zip(bias) {
                            *x = f.value(*x + b);
                        }
                    }
                },
            )
        })
    })??;
    Ok(x)
}

/// What the backward pass of [`bias_activation`] needs, in one pass over `u` = x + bias (T, I): f(u), computed again
/// rather than kept, and f′(u), which is written over `u` where possible. The gradient of x is `gradient` · f′(u).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_activation_backward(u: Tensor, f: Activation) -> Result<(Tensor, Tensor)> {
    if !cpu::applies(&u) {
        let value = plain::activation(&u, f)?;
        let ones = value.ones_like()?;
        let derivative = plain::vjp(&[&u], &ones, |x| plain::activation(&x[0], f))?.remove(0);
        return Ok((value, derivative));
    }
    let mut out = vec![0f32; u.elem_count()];
    cpu::with_mut(&u, |u| {
        let block = cpu::block_rows(1);
        u.par_chunks_mut(block)
            .zip(out.par_chunks_mut(block))
            .for_each(|(u, out)| {
                cpu::vectorised(
                    #[inline(always)]
                    || {
                        for (u, o) in u.iter_mut().zip(out) {
                            (*o, *u) = f.with_derivative(*u);
                        }
                    },
                )
            })
    })?;
    Ok((Tensor::from_vec(out, u.shape(), u.device())?, u))
}
