//! What is done element by element or row by row: activations, the ends of sub-layers, the loss,
//! sums, and the AdamW update.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use super::{ValuesMut, add_assign, block_rows, erf, exp, for_blocks, values, vectorised};
use crate::error::Result;
use crate::nn::options::{Activation, AdamWStep, CrossEntropy, Dropout};
use crate::nn::owned::Owned;
use crate::nn::sequences::Sequences;

/// Elements of one unit of parallel work, where there are no rows.
const CHUNK: usize = 1 << 14;

impl Activation {
    #[inline(always)]
    fn value(self, u: f32) -> f32 {
        match self {
            Self::Gelu => 0.5 * u * (1.0 + erf(u * std::f32::consts::FRAC_1_SQRT_2)),
            Self::Relu => u.max(0.0),
        }
    }

    /// The value and the derivative; for GELU that is Φ(u) + u·φ(u).
    #[inline(always)]
    fn with_derivative(self, u: f32) -> (f32, f32) {
        const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
        match self {
            Self::Gelu => {
                let cdf = 0.5 * (1.0 + erf(u * std::f32::consts::FRAC_1_SQRT_2));
                (
                    u * cdf,
                    (u * FRAC_1_SQRT_2PI).mul_add(exp(-0.5 * u * u), cdf),
                )
            }
            Self::Relu => (u.max(0.0), if u > 0.0 { 1.0 } else { 0.0 }),
        }
    }
}

pub(in crate::nn) fn bias_activation(
    mut x: Owned,
    bias: &Tensor,
    f: Activation,
) -> Result<(Tensor, Owned)> {
    let (rows, width) = x.tensor().dims2()?;
    let mut out = vec![0f32; rows * width];
    {
        let bias = values(bias)?;
        let bias = &*bias;
        let rows = block_rows(width);
        ValuesMut::of_owned(&mut x)?
            .par_chunks_mut(rows * width)
            .zip(out.par_chunks_mut(rows * width))
            .for_each(|(x, out)| {
                vectorised(
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
            });
    }
    let value = Tensor::from_vec(out, (rows, width), x.tensor().device())?;
    Ok((value, x))
}

pub(in crate::nn) fn bias_activation_in_place(
    mut x: Owned,
    bias: &Tensor,
    f: Activation,
) -> Result<Owned> {
    let width = bias.dim(0)?;
    let bias = values(bias)?;
    let bias = &*bias;
    for_blocks(
        &mut ValuesMut::of_owned(&mut x)?,
        width,
        #[inline(always)]
        |_, block| {
            for row in block.chunks_exact_mut(width) {
                for (x, b) in row.iter_mut().zip(bias) {
                    *x = f.value(*x + b);
                }
            }
        },
    );
    Ok(x)
}

pub(in crate::nn) fn bias_activation_backward(
    mut u: Owned,
    f: Activation,
) -> Result<(Tensor, Tensor)> {
    let mut out = vec![0f32; u.tensor().elem_count()];
    let block = block_rows(1);
    ValuesMut::of_owned(&mut u)?
        .par_chunks_mut(block)
        .zip(out.par_chunks_mut(block))
        .for_each(|(u, out)| {
            vectorised(
                #[inline(always)]
                || {
                    for (u, o) in u.iter_mut().zip(out) {
                        (*o, *u) = f.with_derivative(*u);
                    }
                },
            )
        });
    let derivative = u.into_tensor();
    let value = Tensor::from_vec(out, derivative.shape(), derivative.device())?;
    Ok((value, derivative))
}

pub(in crate::nn) fn bias_dropout_residual(
    mut x: Owned,
    bias: &Tensor,
    residual: &Tensor,
    dropout: Option<Dropout>,
) -> Result<Owned> {
    let width = bias.dim(0)?;
    let (bias, residual) = (values(bias)?, values(residual)?);
    let (bias, residual) = (&*bias, &*residual);
    let rows = block_rows(width);
    ValuesMut::of_owned(&mut x)?
        .par_chunks_mut(rows * width)
        .enumerate()
        .for_each_init(
            || vec![1f32; width],
            |mask, (i, block)| {
                vectorised(
                    #[inline(always)]
                    || {
                        for (r, x) in block.chunks_exact_mut(width).enumerate() {
                            let row = i * rows + r;
                            if let Some(d) = dropout {
                                d.fill(row, mask);
                            }
                            let residual = &residual[row * width..][..width];
                            for (((x, b), m), r) in
                                x.iter_mut().zip(bias).zip(mask.iter()).zip(residual)
                            {
                                *x = (*x + b).mul_add(*m, *r);
                            }
                        }
                    },
                )
            },
        );
    Ok(x)
}

pub(in crate::nn) fn dropout(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let mut out = vec![0f32; rows * width];
    {
        let x = values(x)?;
        let x = &*x;
        for_blocks(
            &mut out,
            width,
            #[inline(always)]
            |first, block| {
                for (r, out) in block.chunks_exact_mut(width).enumerate() {
                    dropout.fill(first + r, out);
                    for (o, x) in out.iter_mut().zip(&x[(first + r) * width..]) {
                        *o *= x;
                    }
                }
            },
        );
    }
    Ok(Tensor::from_vec(out, (rows, width), x.device())?)
}

pub(in crate::nn) fn cross_entropy(logits: &Tensor, labels: &[u32]) -> Result<CrossEntropy> {
    let (rows, classes) = logits.dims2()?;
    let (mut per_row, mut gradient) =
        (Vec::with_capacity(rows), Vec::with_capacity(rows * classes));
    for (row, &label) in values(logits)?.chunks_exact(classes).zip(labels) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
        let exps: Vec<f64> = row.iter().map(|&x| (x as f64 - max).exp()).collect();
        let sum: f64 = exps.iter().sum();
        per_row.push(sum.ln() + max - row[label as usize] as f64);
        gradient.extend(exps.iter().enumerate().map(|(c, e)| {
            let target = if c == label as usize { 1.0 } else { 0.0 };
            ((e / sum - target) / rows as f64) as f32
        }));
    }
    let loss = per_row.iter().sum::<f64>() / rows.max(1) as f64;
    let device = logits.device();
    Ok(CrossEntropy {
        loss: Tensor::new(loss, device)?,
        gradient: Tensor::from_vec(gradient, (rows, classes), device)?,
        per_row: Tensor::from_vec(per_row, rows, device)?,
    })
}

pub(in crate::nn) fn add_in_place(a: Owned, b: &Tensor) -> Result<Owned> {
    zip_in_place(a, b, |a, b| *a += b)
}

pub(in crate::nn) fn multiply_in_place(a: Owned, b: &Tensor) -> Result<Owned> {
    zip_in_place(a, b, |a, b| *a *= b)
}

fn zip_in_place(mut a: Owned, b: &Tensor, f: impl Fn(&mut f32, f32) + Sync) -> Result<Owned> {
    let b = b.contiguous()?;
    ValuesMut::of_owned(&mut a)?
        .par_chunks_mut(CHUNK)
        .zip(values(&b)?.par_chunks(CHUNK))
        .for_each(|(a, b)| {
            vectorised(
                #[inline(always)]
                || a.iter_mut().zip(b).for_each(|(a, b)| f(a, *b)),
            )
        });
    Ok(a)
}

pub(in crate::nn) fn add_to_first_rows(
    mut x: Owned,
    part: &Tensor,
    sequences: &Sequences,
) -> Result<Owned> {
    let width = part.dim(1)?;
    {
        let mut x = ValuesMut::of_owned(&mut x)?;
        let part = values(part)?;
        for (b, part) in sequences.bounds().windows(2).zip(part.chunks_exact(width)) {
            add_assign(&mut x[b[0] * width..][..width], part);
        }
    }
    Ok(x)
}

pub(in crate::nn) fn sum_of_squares(x: &Tensor) -> Result<f64> {
    let x = values(x)?;
    let partial: Vec<f64> = x
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
    Ok(partial.iter().sum())
}

pub(in crate::nn) fn adamw_step(
    parameter: &Var,
    gradient: &Tensor,
    [m, v]: &[Var; 2],
    step: &AdamWStep,
) -> Result<()> {
    let numbers = UpdateNumbers::of(step);
    let g = values(gradient)?;
    let (mut m, mut v) = (ValuesMut::of_var(m)?, ValuesMut::of_var(v)?);
    ValuesMut::of_var(parameter)?
        .par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(m.par_chunks_mut(CHUNK))
        .zip(v.par_chunks_mut(CHUNK))
        .for_each(|(((p, g), m), v)| {
            vectorised(
                #[inline(always)]
                || numbers.update(p, g, m, v),
            )
        });
    Ok(())
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
    fn of(s: &AdamWStep) -> Self {
        let (correction1, correction2) = s.bias_corrections();
        Self {
            beta1: s.beta1 as f32,
            beta2: s.beta2 as f32,
            scale: s.gradient_scale as f32,
            rate: (s.learning_rate / correction1) as f32,
            root: (1.0 / correction2) as f32,
            epsilon: s.epsilon as f32,
            decay: (1.0 - s.learning_rate * s.weight_decay) as f32,
        }
    }

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
