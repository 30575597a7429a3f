//! The end of a sub-layer: bias, dropout, and the residual addition, in one pass.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{Dropout, cpu, plain};
use crate::error::Result;

/// residual + dropout(x + bias), written over `x` where that is possible. `x`, `residual` (T, H); `bias` (H).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_dropout_residual(
    x: Tensor,
    bias: &Tensor,
    residual: &Tensor,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    if !cpu::applies(&x) {
        return plain::bias_dropout_residual(&x, bias, residual, dropout);
    }
    let width = x.dim(1)?;
    cpu::with(bias, |bias| {
        cpu::with(residual, |residual| {
            cpu::with_mut(&x, |x| {
                let rows = cpu::block_rows(width);
                x.par_chunks_mut(rows * width).enumerate().for_each_init(
                    || vec![1f32; width],
                    |mask, (i, block)| {
                        cpu::vectorised(
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
                )
            })
        })
    })???;
    Ok(x)
}

/// The gradient of [`bias_dropout_residual`] with respect to `x` (and, summed over rows, to the bias); that of the
/// residual is `gradient` itself.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_dropout_residual_backward(
    gradient: &Tensor,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let Some(dropout) = dropout else {
        return Ok(gradient.clone());
    };
    let (rows, width) = gradient.dims2()?;
    if !cpu::applies(gradient) {
        let mask = dropout
            .mask(0, rows, width, gradient.device())?
            .to_dtype(gradient.dtype())?;
        return Ok(gradient.mul(&mask)?);
    }
    let mut out = vec![0f32; rows * width];
    cpu::with(gradient, |g| {
        cpu::for_blocks(
            &mut out,
            width,
            #[inline(always)]
            |first, block| {
                for (r, out) in block.chunks_exact_mut(width).enumerate() {
                    dropout.fill(first + r, out);
                    for (o, g) in out.iter_mut().zip(&g[(first + r) * width..]) {
                        *o *= g;
                    }
                }
            },
        )
    })?;
    Ok(Tensor::from_vec(out, (rows, width), gradient.device())?)
}
