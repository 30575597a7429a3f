//! Linear layers: products by the crate that candle uses for its own; the bias by itself, so that
//! what follows can take it along.

use candle_core::{DType, Tensor};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::{ValuesMut, add_assign, block_rows, sum_blocks, values, vectorised};
use crate::error::Result;
use crate::nn::owned::{GradientSlot, Owned};

pub(in crate::nn) fn linear_no_bias(x: &Tensor, weight: &Tensor) -> Result<Owned> {
    new_product(x, weight, true)
}

pub(in crate::nn) fn linear_backward(weight: &Tensor, gradient: &Tensor) -> Result<Owned> {
    new_product(gradient, weight, false)
}

/// Without memory of its own.
pub(in crate::nn) fn weight_backward(
    x: &Tensor,
    gradient: &Tensor,
    slot: &mut GradientSlot,
) -> Result<()> {
    let ((tokens, outputs), inputs) = (gradient.dims2()?, x.dim(1)?);
    let (mut sum, add) = slot.memory((outputs, inputs).into(), DType::F32, x.device())?;
    {
        let (x, g) = (values(x)?, values(gradient)?);
        let mut sum = ValuesMut::of_owned(&mut sum)?;
        let g = Matrix::new(&g, tokens, outputs);
        let x = Matrix::new(&x, tokens, inputs);
        assert_eq!(sum.len(), outputs * inputs);
        // SAFETY: `sum` is borrowed alone and holds outputs × inputs values, as asserted.
        unsafe { multiply(sum.as_mut_ptr(), g.transposed(), x, add) }
    }
    *slot = GradientSlot::Partial(sum);
    Ok(())
}

/// a·b, or a·bᵀ, in new memory; `a` and `b` fit.
fn new_product(a: &Tensor, b: &Tensor, transpose: bool) -> Result<Owned> {
    let ((m, k), (rows, columns)) = (a.dims2()?, b.dims2()?);
    let n = if transpose { rows } else { columns };
    let mut out = Vec::<f32>::with_capacity(m * n);
    {
        let (a, b) = (values(a)?, values(b)?);
        let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, rows, columns));
        let b = if transpose { b.transposed() } else { b };
        if k == 0 {
            out.resize(m * n, 0.0);
        } else {
            // SAFETY: there is room for m × n values, and a product that adds to nothing writes
            // each of them.
            unsafe {
                multiply(out.as_mut_ptr(), a, b, false);
                out.set_len(m * n);
            }
        }
    }
    Ok(Owned::new(Tensor::from_vec(out, (m, n), a.device())?))
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

/// Parts into which a product is cut for each thread. candle's own `matmul` cuts one part for each:
/// when a thread starts late or loses its core for a moment, the others wait for it at the end of
/// every product. Measured on 2 cores, where that left a sixth of a training step to one of them.
const PARTS_PER_THREAD: usize = 4;

/// out = a·b, or out + a·b; `out` is row-major.
///
/// # Safety
/// `out` points to room for as many values as the product has, which nothing else uses meanwhile,
/// and which hold numbers when `add` is set.
unsafe fn multiply(out: *mut f32, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    assert_eq!(a.columns, b.rows);
    // SAFETY: the strides describe the matrices inside their slices, and the caller vouches for
    // `out`.
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

pub(in crate::nn) fn add_bias(mut x: Owned, bias: &Tensor) -> Result<Owned> {
    let width = bias.dim(0)?;
    let bias = values(bias)?;
    let bias = &*bias;
    let rows = block_rows(width);
    ValuesMut::of_owned(&mut x)?
        .par_chunks_mut(rows * width)
        .for_each(|block| {
            vectorised(
                #[inline(always)]
                || {
                    block
                        .chunks_exact_mut(width)
                        .for_each(|row| add_assign(row, bias))
                },
            )
        });
    Ok(x)
}

pub(in crate::nn) fn bias_backward(gradient: &Tensor) -> Result<Owned> {
    let (rows, width) = gradient.dims2()?;
    let g = values(gradient)?;
    let g = &*g;
    let sums = sum_blocks(
        rows,
        width,
        #[inline(always)]
        |from, to, sums| {
            g[from * width..to * width]
                .chunks_exact(width)
                .for_each(|row| add_assign(sums, row))
        },
    );
    Ok(Owned::new(Tensor::from_vec(
        sums,
        width,
        gradient.device(),
    )?))
}
