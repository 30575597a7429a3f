//! Linear layers: products through candle, bias on its own so that what follows can take it along.

use candle_core::Tensor;
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::{GradientSlot, cpu};
use crate::error::Result;

/// x·Wᵀ: `x` (T, I) and `weight` (O, I), as `torch.nn.Linear` stores it, give (T, O).
///
/// # Errors
/// A candle error, on mismatched shapes for instance.
pub fn linear_no_bias(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Ok(x.matmul(&weight.t()?)?)
}

/// The gradient of [`linear_no_bias`] with respect to `x` (T, I), from `gradient` (T, O).
///
/// # Errors
/// A candle error.
pub fn linear_backward(weight: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    Ok(gradient.matmul(weight)?)
}

/// Add the gradient of the weight, gᵀ·x (O, I), to `slot`; on the CPU without memory of its own.
///
/// # Errors
/// A candle error.
pub fn weight_backward(x: &Tensor, gradient: &Tensor, slot: &mut GradientSlot) -> Result<()> {
    let shape = (gradient.dim(1)?, x.dim(1)?);
    if !cpu::applies(x) {
        return slot.add(gradient.t()?.matmul(x)?);
    }
    let (sum, add) = slot.memory(shape.into(), x.device())?;
    cpu::with(x, |x| {
        cpu::with(gradient, |g| {
            cpu::with_mut(&sum, |sum| transposed_product(sum, g, x, shape, add))
        })
    })???;
    *slot = GradientSlot::Partial(sum);
    Ok(())
}

/// out = gᵀ·x, or out + gᵀ·x: `g` (T, O), `x` (T, I), `out` (O, I).
fn transposed_product(out: &mut [f32], g: &[f32], x: &[f32], (o, i): (usize, usize), add: bool) {
    let tokens = x.len() / i.max(1);
    assert!(out.len() == o * i && g.len() == tokens * o && x.len() == tokens * i);
    // SAFETY: the three slices hold whole matrices of the sizes given, as asserted, and `out` is borrowed alone.
    unsafe {
        gemm(
            o,
            i,
            tokens,
            out.as_mut_ptr(),
            1,
            i as isize,
            add,
            g.as_ptr(),
            o as isize,
            1,
            x.as_ptr(),
            1,
            i as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        )
    }
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
