//! Products of all pairs of rows, by matrix products.

use std::ops::Range;

use faer::linalg::matmul;
use faer::linalg::matmul::triangular::BlockStructure;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::row_major;
use crate::error::{Error, Result};

/// Rows for each of which two parts are made: few enough that a part stays near the processor.
const ROWS: usize = 256;
/// Fewer rows are one part.
const FEW: usize = 48;

/// Where the rows of a lower triangle are cut so that every part has about as many entries as the
/// others.
pub(super) fn equal_parts(rows: usize, parts: usize) -> Vec<Range<usize>> {
    let cut = |k: usize| (rows as f64 * (k as f64 / parts as f64).sqrt()).round() as usize;
    let parts = (0..parts).map(|k| cut(k)..cut(k + 1));
    parts.filter(|part| !part.is_empty()).collect()
}

/// The products of all pairs of rows i > j of a matrix of `columns` columns, one row after another:
/// those of row i with the rows 0 to i − 1. Afterwards `out` holds these n (n − 1) / 2 numbers.
///
/// Parts of the rows are shared out among threads. `each` is called with the products of every
/// part, which it may change, while they are near the processor; what it gives is returned in the
/// order of the parts. These depend on the number of rows alone, not on that of threads.
///
/// # Errors
/// [`Error::Mismatch`] when `x` is not made of whole rows of at least one column.
pub(crate) fn pairwise_products<R: Send>(
    x: &[f32],
    columns: usize,
    out: &mut Vec<f32>,
    each: impl Fn(&mut [f32]) -> R + Sync,
) -> Result<Vec<R>> {
    if columns == 0 || !x.len().is_multiple_of(columns) {
        return Err(Error::Mismatch(format!(
            "{} numbers are not rows of {columns} columns",
            x.len()
        )));
    }
    let rows = x.len() / columns;
    let pairs = |rows: usize| rows * rows.saturating_sub(1) / 2;
    out.resize(pairs(rows), 0.0);
    let count = if rows < FEW {
        1
    } else {
        2 * rows.div_ceil(ROWS)
    };
    let mut parts = Vec::with_capacity(count);
    let mut rest = &mut out[..];
    for part in equal_parts(rows, count) {
        let (own, later) = rest.split_at_mut(pairs(part.end) - pairs(part.start));
        parts.push((part, own));
        rest = later;
    }
    let one = |(part, own): (Range<usize>, &mut [f32])| {
        let products = rows_below(&x[..part.end * columns], columns, part.start);
        let mut rest = &mut own[..];
        for (row, i) in products.chunks_exact(part.end.max(1)).zip(part) {
            let (target, later) = rest.split_at_mut(i);
            target.copy_from_slice(&row[..i]);
            rest = later;
        }
        each(own)
    };
    if parts.len() == 1 {
        return Ok(parts.into_iter().map(one).collect());
    }
    Ok(parts.into_par_iter().map(one).collect())
}

/// The products of the rows from `first` on with all rows up to themselves; above the diagonal
/// stands anything.
fn rows_below(x: &[f32], columns: usize, first: usize) -> Vec<f32> {
    let rows = x.len() / columns;
    let mut out = vec![0.0; (rows - first) * rows];
    let target = MatMut::from_row_major_slice_mut(&mut out, rows - first, rows);
    let (above, own) = target.split_at_col_mut(first);
    let x = MatRef::from_row_major_slice(x, rows, columns);
    let (others, x) = x.split_at_row(first);
    matmul::matmul(above, Accum::Replace, x, others.transpose(), 1.0, Par::Seq);
    matmul::triangular::matmul(
        own,
        BlockStructure::TriangularLower,
        Accum::Replace,
        x,
        BlockStructure::Rectangular,
        x.transpose(),
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    out
}

/// `x · yᵀ` of two (vectors, dimensions) matrices of as many columns: entry (i, j) is the product
/// of row i of x and row j of y. On the calling thread.
///
/// # Errors
/// [`Error::Mismatch`] when the numbers of columns differ.
pub(crate) fn row_products(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
    let (columns, rows) = (x.ncols(), (x.nrows(), y.nrows()));
    if columns != y.ncols() {
        return Err(Error::Mismatch(format!(
            "products of vectors of {columns} and of {} dimensions",
            y.ncols()
        )));
    }
    let (x, y) = (x.as_standard_layout(), y.as_standard_layout());
    let mut out = vec![0.0; rows.0 * rows.1];
    matmul::matmul(
        MatMut::from_row_major_slice_mut(&mut out, rows.0, rows.1),
        Accum::Replace,
        MatRef::from_row_major_slice(row_major(&x), rows.0, columns),
        MatRef::from_row_major_slice(row_major(&y), rows.1, columns).transpose(),
        1.0,
        Par::Seq,
    );
    Ok(Array2::from_shape_vec(rows, out).expect("a number for each pair of rows"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    #[test]
    fn parts_are_of_one_size() {
        assert!(equal_parts(0, 4).is_empty());
        assert_eq!(equal_parts(1, 4).first(), Some(&(0..1)));
        let parts = equal_parts(1000, 4);
        assert_eq!(parts, [0..500, 500..707, 707..866, 866..1000]);
        for part in parts {
            let entries = part.map(|i| i + 1).sum::<usize>() as f64;
            assert!((entries / 125_125.0 - 1.0).abs() < 5e-3);
        }
    }

    #[test]
    fn products_of_rows() {
        let x = Array2::from_shape_fn((31, 7), |(i, j)| ((i * 5 + j) % 13) as f32 - 6.0);
        let y = Array2::from_shape_fn((9, 7), |(i, j)| ((i * 3 + j) % 11) as f32 - 5.0);
        let product = |x, y| row_products(x, y).unwrap();
        assert_eq!(product(x.view(), y.view()), x.dot(&y.t()));
        assert!(row_products(x.view(), y.slice(s![.., 1..])).is_err());
        assert_eq!(product(x.slice(s![..0, ..]), y.view()).dim(), (0, 9));
        let by_columns = x.t().as_standard_layout().into_owned().reversed_axes();
        assert_eq!(product(by_columns.view(), y.view()), x.dot(&y.t()));
        // a sum of nothing
        let none = Array2::<f32>::zeros((2, 0));
        assert_eq!(
            product(none.view(), none.view()),
            Array2::<f32>::zeros((2, 2))
        );
    }

    #[test]
    fn products_of_pairs() {
        let mut out = vec![7.0; 5];
        for (rows, columns) in [(0, 3), (1, 3), (2, 1), (37, 19), (70, 64), (300, 5)] {
            let x = Array2::from_shape_fn((rows, columns), |(i, j)| {
                ((i * 7 + j * 3) % 11) as f32 - 5.0
            });
            let whole = x.dot(&x.t());
            let want: Vec<f32> = (0..rows)
                .flat_map(|i| whole.row(i).to_vec()[..i].to_vec())
                .collect();
            let counts = pairwise_products(x.as_slice().unwrap(), columns, &mut out, |own| {
                own.iter_mut().for_each(|v| *v += 1.0);
                own.len()
            })
            .unwrap();
            assert_eq!(counts.iter().sum::<usize>(), want.len());
            assert!(out.iter().zip(&want).all(|(got, want)| *got == want + 1.0));
            assert_eq!(out.len(), want.len());
        }
    }

    #[test]
    fn parts_of_rows_are_refused() {
        for (numbers, columns) in [(5, 2), (1, 3), (0, 0), (4, 0)] {
            let found = pairwise_products(&vec![0.0; numbers], columns, &mut Vec::new(), |_| ());
            assert!(found.is_err(), "{numbers} {columns}");
        }
    }
}
