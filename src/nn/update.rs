//! What training does to whole tensors between two passes: sums, scales, in-place arithmetic, and the AdamW update.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use super::cpu::{applies, vectorised, with, with_mut};
use crate::error::{Error, Result};

/// Elements of one unit of parallel work.
const CHUNK: usize = 1 << 14;

/// a + b, written over `a` where that is possible. Same shapes.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn add_in_place(a: Tensor, b: &Tensor) -> Result<Tensor> {
    zip_in_place(a, b, |a, b| Ok((a + b)?), |a, b| *a += b)
}

/// a · b element by element, written over `a` where that is possible. Same shapes.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn multiply_in_place(a: Tensor, b: &Tensor) -> Result<Tensor> {
    zip_in_place(a, b, |a, b| Ok(a.mul(b)?), |a, b| *a *= b)
}

fn zip_in_place(
    a: Tensor,
    b: &Tensor,
    plain: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    f: impl Fn(&mut f32, f32) + Sync + Send,
) -> Result<Tensor> {
    // candle refuses two shapes; what follows would leave the end of the longer one as it is.
    if !applies(&a) || !a.is_contiguous() || !b.is_contiguous() || a.dims() != b.dims() {
        return plain(&a, b);
    }
    with(b, |b| {
        with_mut(&a, |a| {
            let chunks = a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK));
            chunks.for_each(|(a, b)| {
                vectorised(
                    #[inline(always)]
                    || a.iter_mut().zip(b).for_each(|(a, b)| f(a, *b)),
                )
            });
        })
    })??;
    Ok(a)
}

/// Σ x² in f64 over a tensor; 0 for an empty one. Device-neutral.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn sum_of_squares(t: &Tensor) -> Result<f64> {
    if !applies(t) || !t.is_contiguous() {
        return Ok(t
            .to_dtype(candle_core::DType::F32)?
            .sqr()?
            .sum_all()?
            .to_scalar::<f32>()? as f64);
    }
    with(t, |values| {
        let partial: Vec<f64> = values
            .par_chunks(CHUNK)
            .map(|chunk| {
                vectorised(
                    #[inline(always)]
                    || {
                        let mut sums = [0f32; 64];
                        let mut lanes = chunk.chunks_exact(64);
                        for lane in &mut lanes {
                            for (s, x) in sums.iter_mut().zip(lane) {
                                *s += x * x;
                            }
                        }
                        let rest: f32 = lanes.remainder().iter().map(|x| x * x).sum();
                        sums.iter().map(|&s| s as f64).sum::<f64>() + rest as f64
                    },
                )
            })
            .collect();
        partial.iter().sum()
    })
}

/// Multiply every element of a tensor by `factor`, in place on the CPU; the product elsewhere.
///
/// # Errors
/// A candle error.
pub fn scale_in_place(t: Tensor, factor: f32) -> Result<Tensor> {
    if !applies(&t) || !t.is_contiguous() {
        return Ok((t * factor as f64)?);
    }
    with_mut(&t, |values| {
        values.par_chunks_mut(CHUNK).for_each(|chunk| {
            vectorised(
                #[inline(always)]
                || chunk.iter_mut().for_each(|x| *x *= factor),
            )
        });
    })?;
    Ok(t)
}

/// The numbers of one AdamW update, all of them after bias correction.
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of this parameter.
    pub weight_decay: f64,
    /// The gradient is multiplied by this first (gradient clipping).
    pub gradient_scale: f64,
    /// 1-based number of this update.
    pub step: u64,
}

/// One AdamW update of `parameter` in place: `torch.optim.AdamW` (Loshchilov and Hutter 2019).
///
/// p ← p(1 − lr·wd); m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε).
/// `moments` holds m and v, shaped like the parameter.
///
/// # Errors
/// [`Error::Mismatch`] when shapes differ, a candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn adamw_step(
    parameter: &Var,
    gradient: &Tensor,
    moments: &mut [Tensor; 2],
    s: &AdamWStep,
) -> Result<()> {
    let shape = parameter.dims();
    if [gradient, &moments[0], &moments[1]]
        .iter()
        .any(|t| t.dims() != shape)
    {
        return Err(Error::Mismatch(format!(
            "an update of a parameter of shape {shape:?} by a gradient of shape {:?}, or with the moments of another parameter",
            gradient.dims()
        )));
    }
    let correction1 = 1.0 - s.beta1.powf(s.step as f64);
    let correction2 = (1.0 - s.beta2.powf(s.step as f64)).sqrt();
    if !applies(parameter) {
        let g = (gradient * s.gradient_scale)?;
        let [m, v] = moments;
        *m = ((&*m * s.beta1)? + (&g * (1.0 - s.beta1))?)?;
        *v = ((&*v * s.beta2)? + (g.sqr()? * (1.0 - s.beta2))?)?;
        let denominator = ((v.sqrt()? / correction2)? + s.epsilon)?;
        let decayed = (parameter.as_tensor() * (1.0 - s.learning_rate * s.weight_decay))?;
        parameter.set(&(decayed - (m.div(&denominator)? * (s.learning_rate / correction1))?)?)?;
        return Ok(());
    }
    let numbers = UpdateNumbers {
        beta1: s.beta1 as f32,
        beta2: s.beta2 as f32,
        scale: s.gradient_scale as f32,
        rate: (s.learning_rate / correction1) as f32,
        root: (1.0 / correction2) as f32,
        epsilon: s.epsilon as f32,
        decay: (1.0 - s.learning_rate * s.weight_decay) as f32,
    };
    let gradient = gradient.contiguous()?;
    let [m, v] = moments;
    let mut outcome = Ok(());
    with_mut(parameter, |p| {
        outcome = with(&gradient, |g| {
            let mut inner = Ok(());
            let outer = with_mut(m, |m| {
                inner = with_mut(v, |v| {
                    p.par_chunks_mut(CHUNK)
                        .zip(g.par_chunks(CHUNK))
                        .zip(m.par_chunks_mut(CHUNK))
                        .zip(v.par_chunks_mut(CHUNK))
                        .for_each(|(((p, g), m), v)| {
                            vectorised(
                                #[inline(always)]
                                || numbers.update(p, g, m, v),
                            )
                        });
                });
            });
            outer.and(inner)
        })
        .and_then(|r| r);
    })?;
    outcome
}

/// The constants of an update, as the loop over the elements wants them.
#[derive(Clone, Copy)]
struct UpdateNumbers {
    beta1: f32,
    beta2: f32,
    scale: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
    decay: f32,
}

impl UpdateNumbers {
    #[inline(always)]
    fn update(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * self.scale;
            *m = self.beta1.mul_add(*m, (1.0 - self.beta1) * g);
            *v = self.beta2.mul_add(*v, (1.0 - self.beta2) * g * g);
            *p = p.mul_add(
                self.decay,
                -(self.rate * *m / v.sqrt().mul_add(self.root, self.epsilon)),
            );
        }
    }
}
