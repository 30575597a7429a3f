//! Linear layers: products by the crate that candle uses for its own, bias on its own so that what follows can take it along.

use candle_core::Tensor;
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::{GradientSlot, cpu};
use crate::error::{Error, Result};

/// x·Wᵀ: `x` (T, I) and `weight` (O, I), as `torch.nn.Linear` stores it, give (T, O).
///
/// # Errors
/// A candle error, on mismatched shapes for instance.
#[tracing::instrument(level = "trace", skip_all)]
pub fn linear_no_bias(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if !cpu::applies(x) || !cpu::applies(weight) {
        return Ok(x.matmul(&weight.t()?)?);
    }
    new_product(x, weight, true)
}

/// The gradient of [`linear_no_bias`] with respect to `x` (T, I), from `gradient` (T, O).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn linear_backward(weight: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if !cpu::applies(gradient) || !cpu::applies(weight) {
        return Ok(gradient.matmul(weight)?);
    }
    new_product(gradient, weight, false)
}

/// Add the gradient of the weight, gᵀ·x (O, I), to `slot`; on the CPU without memory of its own.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn weight_backward(x: &Tensor, gradient: &Tensor, slot: &mut GradientSlot) -> Result<()> {
    if !cpu::applies(x) {
        return slot.add(gradient.t()?.matmul(x)?);
    }
    let (tokens, outputs) = gradient.dims2()?;
    let inputs = x.dim(1)?;
    let (sum, add) = slot.memory((outputs, inputs).into(), x.device())?;
    cpu::with(x, |x| {
        cpu::with(gradient, |g| {
            cpu::with_mut(&sum, |sum| {
                let (g, x) = (
                    Matrix::new(g, tokens, outputs),
                    Matrix::new(x, tokens, inputs),
                );
                assert_eq!(sum.len(), outputs * inputs);
                // SAFETY: `sum` is borrowed alone and holds outputs × inputs values, as asserted.
                unsafe { multiply(sum.as_mut_ptr(), g.transposed(), x, add) }
            })
        })
    })???;
    *slot = GradientSlot::Partial(sum);
    Ok(())
}

/// a·b, or a·bᵀ, in new memory.
fn new_product(a: &Tensor, b: &Tensor, transpose: bool) -> Result<Tensor> {
    let ((m, k), (rows, columns)) = (a.dims2()?, b.dims2()?);
    let (inner, n) = if transpose {
        (columns, rows)
    } else {
        (rows, columns)
    };
    if inner != k {
        return Err(Error::Mismatch(format!(
            "a product of {m} × {k} and {inner} × {n} values"
        )));
    }
    let mut out = Vec::<f32>::with_capacity(m * n);
    cpu::with(a, |a| {
        cpu::with(b, |b| {
            let (a, b) = (Matrix::new(a, m, k), Matrix::new(b, rows, columns));
            let b = if transpose { b.transposed() } else { b };
            if k == 0 {
                out.resize(m * n, 0.0);
            } else {
                // SAFETY: there is room for m × n values, and a product that adds to nothing writes each of them.
                unsafe {
                    multiply(out.as_mut_ptr(), a, b, false);
                    out.set_len(m * n);
                }
            }
        })
    })??;
    Ok(Tensor::from_vec(out, (m, n), a.device())?)
}

/// A matrix in row-major values, or the transpose of one.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: isize,
    column_stride: isize,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Self {
            values,
            rows,
            columns,
            row_stride: columns as isize,
            column_stride: 1,
        }
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Parts into which a product is cut for each thread. candle's own `matmul` cuts one part for each: when a thread starts late
/// or loses its core for a moment, the others wait for it at the end of every product. Measured on 2 cores, where that left a
/// sixth of a training step to one of them.
const PARTS_PER_THREAD: usize = 4;

/// out = a·b, or out + a·b; `out` is row-major.
///
/// # Safety
/// `out` points to room for as many values as the product has, which nothing else uses meanwhile, and which hold numbers
/// when `add` is set.
unsafe fn multiply(out: *mut f32, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    assert_eq!(a.columns, b.rows);
    // SAFETY: the strides describe the matrices inside their slices, and the caller vouches for `out`.
    unsafe {
        gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            b.columns as isize,
            add,
            a.values.as_ptr(),
            a.column_stride,
            a.row_stride,
            b.values.as_ptr(),
            b.column_stride,
            b.row_stride,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::Rayon(PARTS_PER_THREAD * rayon::current_num_threads()),
        )
    }
}

/// x + b, in place where that is possible: `x` (T, O), `bias` (O).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
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
#[tracing::instrument(level = "trace", skip_all)]
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
