//! The Gram matrix of a tall matrix that is seen a few rows at a time.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::eigen::symmetric_eigenvalues;
use super::products::equal_parts;
use super::row_major;
use crate::error::{Error, Result};

/// Rows that wait for a product: enough to make it efficient.
const BLOCK: usize = 256;
/// Parts of a product that threads share, and columns below which it is not worth it.
const PARTS: usize = 4;
const FEW: usize = 256;

/// `XᵀX` in double precision.
///
/// Adding is exact up to rounding, so parts merge. An eigenvalue is found to about 10⁻¹⁵ of the
/// largest, so a singular value below about 10⁻⁷ of the largest is noise:
/// [`TallFactor`](super::TallFactor) finds those, at twice the cost. Holds a matrix of `columns`²
/// and the rows that wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GramMatrix {
    rows: u64,
    columns: usize,
    /// Only the lower half is kept.
    products: Array2<f64>,
    waiting: Vec<f64>,
}

impl GramMatrix {
    /// The Gram matrix of `columns` columns and no row yet.
    pub fn new(columns: usize) -> Self {
        Self {
            rows: 0,
            columns,
            products: Array2::zeros((columns, columns)),
            waiting: Vec::new(),
        }
    }

    /// The Gram matrix of some rows in double precision and, below them, some in single precision.
    pub(super) fn of(above: MatRef<'_, f64>, below: ArrayView2<'_, f32>) -> Self {
        let columns = above.ncols();
        let mut gram = Self::new(columns);
        for i in 0..above.nrows() {
            gram.append((0..columns).map(|j| above[(i, j)]));
        }
        gram.append_all(below);
        gram
    }

    /// The number of rows seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    fn check(&self, columns: usize) -> Result<()> {
        if columns == self.columns() {
            return Ok(());
        }
        Err(Error::Mismatch(format!(
            "vectors of {columns} dimensions were added to vectors of {}",
            self.columns()
        )))
    }

    /// Add rows.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f32>) -> Result<()> {
        self.check(rows.ncols())?;
        self.append_all(rows);
        Ok(())
    }

    /// Add one row in double precision.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another number of columns.
    pub(crate) fn push_row(&mut self, row: impl ExactSizeIterator<Item = f64>) -> Result<()> {
        self.check(row.len())?;
        self.append(row);
        Ok(())
    }

    fn append(&mut self, row: impl Iterator<Item = f64>) {
        self.waiting.extend(row);
        if self.waiting.len() >= BLOCK * self.columns {
            self.flush();
        }
        self.rows += 1;
    }

    /// Add rows of the right number of columns.
    fn append_all(&mut self, rows: ArrayView2<'_, f32>) {
        let values = rows.as_standard_layout();
        let mut rest = row_major(&values);
        while !rest.is_empty() {
            let room = BLOCK * self.columns - self.waiting.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.waiting.extend(now.iter().map(|&x| f64::from(x)));
            if now.len() == room {
                self.flush();
            }
            rest = later;
        }
        self.rows += rows.nrows() as u64;
    }

    /// Take in all rows of another Gram matrix.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.check(other.columns())?;
        self.waiting.extend_from_slice(&other.waiting);
        self.flush();
        self.products += &other.products;
        self.rows += other.rows;
        Ok(())
    }

    /// Add the products of the rows that wait.
    fn flush(&mut self) {
        // Rows without a column leave nothing to wait.
        if self.waiting.is_empty() {
            return;
        }
        let (columns, n) = (self.columns, self.waiting.len() / self.columns);
        let products = self.products.as_slice_mut();
        let products = products.expect("the products were made in standard layout");
        let rows = MatRef::from_row_major_slice(&self.waiting, n, columns);
        add_products(products, rows);
        self.waiting.clear();
    }

    /// `XᵀX`, both halves; zeros when there is no row.
    pub fn products(&self) -> Array2<f64> {
        let mut whole = self.clone();
        whole.flush();
        let lower = whole.products;
        Array2::from_shape_fn(lower.dim(), |(i, j)| lower[[i.max(j), i.min(j)]])
    }

    /// Take in a matrix of `rows` rows whose `XᵀX` is `products`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it is not square or has another number of columns.
    pub(crate) fn add_products(&mut self, products: &Array2<f64>, rows: u64) -> Result<()> {
        self.check(products.ncols())?;
        // A single row would be added to every row.
        self.check(products.nrows())?;
        self.products += products;
        self.rows += rows;
        Ok(())
    }

    /// The singular values of X in falling order, as many as its smaller side: the square roots of
    /// the eigenvalues of XᵀX, those below rounding set to 0.
    ///
    /// # Errors
    /// [`Error::Compute`] when a row held NaN or infinity.
    pub(crate) fn singular_values(&self) -> Result<Vec<f64>> {
        let mut values = symmetric_eigenvalues(&self.products())?;
        values.reverse();
        let Some(&largest) = values.first() else {
            return Ok(values);
        };
        let noise = largest * 1e-15 * self.columns() as f64;
        values.truncate(self.rows.min(self.columns() as u64) as usize);
        let root = |v: &f64| if *v > noise { v.sqrt() } else { 0.0 };
        Ok(values.iter().map(root).collect())
    }
}

/// Add the lower half of `rowsᵀ · rows` to a matrix, parts of its rows shared out among threads.
fn add_products(products: &mut [f64], rows: MatRef<'_, f64>) {
    let columns = rows.ncols();
    let parts = equal_parts(columns, if columns < FEW { 1 } else { PARTS });
    let mut rest = products;
    let mut targets = Vec::with_capacity(parts.len());
    for part in parts {
        let (target, later) = rest.split_at_mut(part.len() * columns);
        targets.push((part, target));
        rest = later;
    }
    targets.into_par_iter().for_each(|(part, target)| {
        let target = MatMut::from_row_major_slice_mut(target, part.len(), columns);
        let (before, target) = target.split_at_col_mut(part.start);
        let (target, _) = target.split_at_col_mut(part.len());
        let columns = rows.subcols(part.start, part.len());
        let others = rows.subcols(0, part.start);
        matmul(
            before,
            Accum::Add,
            columns.transpose(),
            others,
            1.0,
            Par::Seq,
        );
        triangular::matmul(
            target,
            BlockStructure::TriangularLower,
            Accum::Add,
            columns.transpose(),
            BlockStructure::Rectangular,
            columns,
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
    });
}

#[cfg(test)]
mod tests {
    use super::super::eigen::singular_values;
    use super::*;
    use ndarray::s;

    fn rows(n: usize) -> Array2<f32> {
        let mut state = 5u64;
        Array2::from_shape_fn((n, 9), |(_, j)| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32 / (1 << 24) as f32) / (1 + j) as f32 + 0.5
        })
    }

    fn close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() <= 1e-7 * want[0], "{g} {w}");
        }
    }

    #[test]
    fn equals_the_direct_computation_and_merges() {
        let x = rows(600);
        let mut whole = GramMatrix::new(9);
        whole.push(x.view()).unwrap();
        let exact = x.mapv(f64::from);
        let mut single = GramMatrix::new(9);
        for row in exact.rows() {
            single.push_row(row.iter().copied()).unwrap();
        }
        assert_eq!(single.products(), whole.products());
        assert!(single.push_row([1.0; 8].into_iter()).is_err());
        close(
            &whole.singular_values().unwrap(),
            &singular_values(&exact).unwrap(),
        );
        let difference = (whole.products() - exact.t().dot(&exact)).mapv(f64::abs);
        assert!(difference.iter().all(|d| *d < 1e-9));
        let mut merged = GramMatrix::new(9);
        for (from, to) in [(0, 1), (1, 300), (300, 300), (300, 600)] {
            let mut part = GramMatrix::new(9);
            part.push(x.slice(s![from..to, ..])).unwrap();
            merged.merge(&part).unwrap();
        }
        assert_eq!(merged.rows(), 600);
        let difference = (merged.products() - whole.products()).mapv(f64::abs);
        assert!(difference.iter().all(|d| *d < 1e-9));
    }

    #[test]
    fn few_rows_and_wrong_ones() {
        let x = rows(3);
        let mut gram = GramMatrix::new(9);
        assert!(gram.singular_values().unwrap().is_empty());
        gram.push(x.view()).unwrap();
        let want = singular_values(&x.mapv(f64::from)).unwrap();
        close(&gram.singular_values().unwrap(), &want);
        assert!(gram.push(x.slice(s![.., ..5])).is_err());
        assert!(gram.merge(&GramMatrix::new(4)).is_err());
        for shape in [(1, 9), (9, 1), (4, 4)] {
            assert!(gram.add_products(&Array2::zeros(shape), 1).is_err());
        }
        assert_eq!(gram.rows(), 3);
    }

    #[test]
    fn rows_without_a_column_are_counted() {
        let mut gram = GramMatrix::new(0);
        gram.push(Array2::zeros((3, 0)).view()).unwrap();
        gram.push_row(std::iter::empty::<f64>()).unwrap();
        assert_eq!((gram.rows(), gram.products().dim()), (4, (0, 0)));
        assert!(gram.singular_values().unwrap().is_empty());
    }

    #[test]
    fn rows_of_any_layout() {
        let x = rows(300);
        let by_columns = x.t().as_standard_layout().into_owned().reversed_axes();
        let [mut one, mut other] = [GramMatrix::new(9), GramMatrix::new(9)];
        one.push(x.view()).unwrap();
        other.push(by_columns.view()).unwrap();
        assert_eq!(one.products(), other.products());
    }
}
