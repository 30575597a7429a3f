//! Linear layers: products through candle, bias on its own so that what follows can take it along.

use candle_core::Tensor;
use rayon::prelude::*;

use super::cpu;
use crate::error::Result;

/// x·Wᵀ: `x` (T, I) and `weight` (O, I), as `torch.nn.Linear` stores it, give (T, O).
///
/// # Errors
/// A candle error, on mismatched shapes for instance.
pub fn linear_no_bias(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Ok(x.matmul(&weight.t()?)?)
}

/// The gradients of [`linear_no_bias`]: (of `x`, of `weight`) from `gradient` (T, O).
///
/// # Errors
/// A candle error.
pub fn linear_backward(x: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((gradient.matmul(weight)?, weight_backward(x, gradient)?))
}

/// Only the gradient of the weight: gᵀ·x, (O, I).
pub(super) fn weight_backward(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    Ok(gradient.t()?.matmul(x)?)
}

/// x + b, in place where that is possible: `x` (T, O), `bias` (O).
///
/// # Errors
/// A candle error.
pub fn add_bias(x: Tensor, bias: &Tensor) -> Result<Tensor> {
    if !cpu::applies(&x) {
        return Ok(x.broadcast_add(bias)?);
    }
    let width = x.dim(1)?;
    cpu::with(bias, |b| {
        cpu::with_mut(&x, |x| {
            let rows = cpu::block_rows(width);
            x.par_chunks_mut(rows * width).for_each(|block| {
                cpu::vectorised(
                    #[inline(always)]
                    || {
                        block
                            .chunks_exact_mut(width)
                            .for_each(|row| cpu::add_assign(row, b))
                    },
                )
            })
        })
    })??;
    Ok(x)
}

/// The gradient of a bias: the sum of `gradient` (T, O) over its rows.
///
/// # Errors
/// A candle error.
pub fn bias_backward(gradient: &Tensor) -> Result<Tensor> {
    if !cpu::applies(gradient) {
        return Ok(gradient.sum(0)?);
    }
    let (rows, width) = gradient.dims2()?;
    let sums = cpu::with(gradient, |g| {
        cpu::sum_blocks(
            rows,
            width,
            #[inline(always)]
            |from, to, sums| {
                g[from * width..to * width]
                    .chunks_exact(width)
                    .for_each(|row| cpu::add_assign(sums, row))
            },
        )
    })?;
    Ok(Tensor::from_vec(sums, width, gradient.device())?)
}
