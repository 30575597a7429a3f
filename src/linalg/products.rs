//! Products of all pairs of rows, by one matrix product.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2};

/// `x · xᵀ` of a matrix of `columns` columns, row by row: entry (i, j) of `out` with j ≤ i is the product of rows i and j; the entries above
/// the diagonal are not computed and hold anything. On the calling thread; `out` is made long enough, so that it can be used again.
pub fn pairwise_products(x: &[f32], columns: usize, out: &mut Vec<f32>) {
    let rows = x.len().checked_div(columns).unwrap_or(0);
    out.resize(out.len().max(rows * rows), 0.0);
    let x = MatRef::from_row_major_slice(&x[..rows * columns], rows, columns);
    matmul(
        MatMut::from_row_major_slice_mut(&mut out[..rows * rows], rows, rows),
        BlockStructure::TriangularLower,
        Accum::Replace,
        x,
        BlockStructure::Rectangular,
        x.transpose(),
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

/// `x · yᵀ` of two (vectors, dimensions) matrices of as many columns: entry (i, j) is the product of row i of x and row j of y. On
/// the calling thread. Zeros when the numbers of columns differ.
pub fn row_products(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut out = Array2::zeros((x.nrows(), y.nrows()));
    let (columns, rows) = (x.ncols(), out.dim());
    let (x, y) = (x.as_standard_layout(), y.as_standard_layout());
    if let (Some(a), Some(b), Some(target)) = (x.as_slice(), y.as_slice(), out.as_slice_mut())
        && columns == y.ncols()
    {
        faer::linalg::matmul::matmul(
            MatMut::from_row_major_slice_mut(target, rows.0, rows.1),
            Accum::Replace,
            MatRef::from_row_major_slice(a, rows.0, columns),
            MatRef::from_row_major_slice(b, rows.1, columns).transpose(),
            1.0,
            Par::Seq,
        );
    }
    out
}

/// The product of two vectors in double precision, in 8 partial sums that the compiler turns into vector instructions.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0f64; LANES];
    let (chunks, others) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = chunks.remainder().iter().zip(others.remainder());
    let rest: f64 = rest.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    for (x, y) in chunks.zip(others) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    #[test]
    fn products_of_two() {
        let a: Vec<f32> = (0..21).map(|i| i as f32 - 4.0).collect();
        let want: f64 = a.iter().map(|&x| f64::from(x) * 3.0).sum();
        assert_eq!(dot(&a, &[3.0; 21]), want);
        assert_eq!(dot(&[], &[]), 0.0);
    }

    #[test]
    fn products_of_rows() {
        let x = Array2::from_shape_fn((31, 7), |(i, j)| ((i * 5 + j) % 13) as f32 - 6.0);
        let y = Array2::from_shape_fn((9, 7), |(i, j)| ((i * 3 + j) % 11) as f32 - 5.0);
        assert_eq!(row_products(x.view(), y.view()), x.dot(&y.t()));
        assert_eq!(
            row_products(x.view(), y.slice(s![.., 1..])),
            Array2::<f32>::zeros((31, 9))
        );
    }

    #[test]
    fn the_lower_half_is_the_product() {
        let mut out = Vec::new();
        for (rows, columns) in [(0, 3), (1, 3), (2, 1), (70, 64), (37, 19)] {
            let x = Array2::from_shape_fn((rows, columns), |(i, j)| {
                ((i * 7 + j * 3) % 11) as f32 - 5.0
            });
            let want = x.dot(&x.t());
            pairwise_products(x.as_slice().unwrap(), columns, &mut out);
            for i in 0..rows {
                assert_eq!(out[i * rows..][..=i], want.row(i).to_vec()[..=i]);
            }
        }
    }
}
