//! Products of all pairs of rows, by one matrix product.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2};

/// `x · xᵀ` of a (vectors, dimensions) matrix: entry (i, j) with j ≤ i is the product of rows i and j. The entries above
/// the diagonal are not computed and hold 0. On the calling thread.
pub fn pairwise_products(x: ArrayView2<'_, f32>) -> Array2<f32> {
    let (rows, columns) = x.dim();
    let x = x.as_standard_layout();
    let mut out = Array2::zeros((rows, rows));
    if let (Some(values), Some(target)) = (x.as_slice(), out.as_slice_mut()) {
        let x = MatRef::from_row_major_slice(values, rows, columns);
        let target = MatMut::from_row_major_slice_mut(target, rows, rows);
        matmul(
            target,
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
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    #[test]
    fn the_lower_half_is_the_product() {
        for (rows, columns) in [(0, 3), (1, 3), (2, 1), (37, 19), (70, 64)] {
            let x = Array2::from_shape_fn((rows, columns), |(i, j)| {
                ((i * 7 + j * 3) % 11) as f32 - 5.0
            });
            let (got, want) = (pairwise_products(x.view()), x.dot(&x.t()));
            for i in 0..rows {
                assert_eq!(got.slice(s![i, ..=i]), want.slice(s![i, ..=i]));
                assert!(got.slice(s![i, i + 1..]).iter().all(|&v| v == 0.0));
            }
            // strided input
            let wide = Array2::from_shape_fn((rows, 2 * columns), |(i, j)| x[[i, j / 2]]);
            assert_eq!(pairwise_products(wide.slice(s![.., ..;2])), got);
        }
    }
}
