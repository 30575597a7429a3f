//! Matrices inside larger ones, and their products.

use gemm::{Parallelism, gemm};

/// A matrix inside a larger row-major one: its first element and the distance between its rows.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) data: *const f32,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl View {
    /// The columns from `column` of the rows from `start` of `values`, whose rows are `width` wide.
    pub(super) fn new(values: &[f32], width: usize, start: usize, column: usize) -> Self {
        Self {
            data: values[start * width + column..].as_ptr(),
            row: width,
            column: 1,
        }
    }

    pub(super) fn at_row(self, row: usize) -> Self {
        // Only an address: it is read by `product`, whose callers keep it inside the matrix.
        Self {
            data: self.data.wrapping_add(row * self.row),
            ..self
        }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// out (m × n, rows `out_row` apart) = keep·out + factor·a·b, with `a` m × k and `b` k × n.
///
/// # Safety
/// The three matrices lie inside live allocations, and `out` overlaps neither of the others nor what another thread uses.
pub(super) unsafe fn product(
    (m, n, k): (usize, usize, usize),
    (a, b): (View, View),
    (out, out_row): (*mut f32, usize),
    factor: f32,
    add: bool,
) {
    // SAFETY: the strides describe the matrices that the caller vouches for.
    unsafe {
        gemm(
            m,
            n,
            k,
            out,
            1,
            out_row as isize,
            add,
            a.data,
            a.column as isize,
            a.row as isize,
            b.data,
            b.column as isize,
            b.row as isize,
            if add { 1.0 } else { 0.0 },
            factor,
            false,
            false,
            false,
            Parallelism::None,
        )
    }
}
