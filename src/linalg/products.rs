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

/// `xᵀ · y` of two (vectors, dimensions) matrices of as many rows, in double precision, on the calling thread. Zeros when the
/// numbers of rows differ.
pub fn cross_products(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut out = Array2::zeros((x.ncols(), y.ncols()));
    let (rows, columns) = (x.nrows(), out.dim());
    let (x, y) = (x.as_standard_layout(), y.as_standard_layout());
    if let (Some(a), Some(b), Some(target)) = (x.as_slice(), y.as_slice(), out.as_slice_mut())
        && rows == y.nrows()
    {
        let a = MatRef::from_row_major_slice(a, rows, columns.0);
        let b = MatRef::from_row_major_slice(b, rows, columns.1);
        faer::linalg::matmul::matmul(
            MatMut::from_row_major_slice_mut(target, columns.0, columns.1),
            Accum::Replace,
            a.transpose(),
            b,
            1.0,
            Par::Seq,
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

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
    fn products_across() {
        let x = Array2::from_shape_fn((31, 7), |(i, j)| ((i * 5 + j) % 13) as f64 - 6.0);
        let y = Array2::from_shape_fn((31, 9), |(i, j)| ((i * 3 + j) % 11) as f64 - 5.0);
        assert_eq!(cross_products(x.view(), y.view()), x.t().dot(&y));
        assert_eq!(
            cross_products(x.view(), y.slice(s![1.., ..])),
            Array2::<f64>::zeros((7, 9))
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
