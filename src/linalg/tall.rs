//! The QR factor of a matrix that is too tall to keep.

use faer::Mat;
use faer::linalg::solvers::Qr;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::eigen::{singular_values, symmetric_eigenvalues};
use super::gram::GramMatrix;
use super::row_major;
use crate::error::{Error, Result};

/// The ratio of squared singular values down to which those of XᵀX are as good as those of X.
const EVEN: f64 = 1e-8;

/// The triangular factor R of a QR decomposition of a tall matrix that is seen a few rows at a time
/// and never kept.
///
/// R of the rows seen so far, stacked on new rows, has the same RᵀR as all rows together, so its
/// own R is theirs (Demmel, Grigori, Hoemmen, Langou 2012: tall-skinny QR). The singular values of
/// R are those of all rows. Householder reflections are orthogonal: every σ is found to about 10⁻¹⁵
/// of the largest one. (From the Gram matrix XᵀX it would be the σ² that are found to 10⁻¹⁵ of the
/// largest σ², and every σ below 3·10⁻⁸ of the largest would be noise.)
///
/// Holds at most `columns` rows of R and `4 · columns` rows that wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TallFactor {
    columns: usize,
    rows: u64,
    /// At most `columns` rows, upper trapezoidal.
    #[serde(with = "factor")]
    r: Mat<f64>,
    waiting: Vec<f32>,
}

/// A matrix as its shape and its values, row by row.
mod factor {
    use super::{Deserialize, Mat, Serialize};

    pub(crate) fn serialize<S: serde::Serializer>(r: &Mat<f64>, to: S) -> Result<S::Ok, S::Error> {
        let (rows, columns) = (r.nrows(), r.ncols());
        let values: Vec<f64> = (0..rows * columns)
            .map(|i| r[(i / columns, i % columns)])
            .collect();
        (rows, columns, values).serialize(to)
    }

    pub(crate) fn deserialize<'a, D: serde::Deserializer<'a>>(
        from: D,
    ) -> Result<Mat<f64>, D::Error> {
        let (rows, columns, values) = <(usize, usize, Vec<f64>)>::deserialize(from)?;
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(serde::de::Error::custom("a matrix of another size"));
        }
        Ok(Mat::from_fn(rows, columns, |i, j| values[i * columns + j]))
    }
}

impl TallFactor {
    /// The factor of a matrix of `columns` columns and no row yet.
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: 0,
            r: Mat::zeros(0, columns),
            waiting: Vec::new(),
        }
    }

    /// The number of rows seen.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Add rows below those seen so far.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f32>) -> Result<()> {
        if rows.ncols() != self.columns {
            return Err(Error::Mismatch(format!(
                "vectors of {} dimensions were added to vectors of {}",
                rows.ncols(),
                self.columns
            )));
        }
        let limit = 4 * self.columns * self.columns;
        let values = rows.as_standard_layout();
        let mut rest = row_major(&values);
        while !rest.is_empty() {
            // Whole rows: a reduction and what is left of the limit are multiples of a row's
            // length.
            let (now, later) = rest.split_at((limit - self.waiting.len()).min(rest.len()));
            self.waiting.extend_from_slice(now);
            if self.waiting.len() >= limit {
                self.reduce();
            }
            rest = later;
        }
        self.rows += rows.nrows() as u64;
        Ok(())
    }

    /// Take in all rows of another factor: the same as if they had been pushed here.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another number of columns.
    pub fn merge(&mut self, other: &TallFactor) -> Result<()> {
        if other.columns != self.columns {
            return Err(Error::Mismatch(format!(
                "factors of {} and {} columns cannot be merged",
                self.columns, other.columns
            )));
        }
        self.reduce();
        self.waiting.extend_from_slice(&other.waiting);
        self.stack(&other.r);
        self.rows += other.rows;
        Ok(())
    }

    /// The singular values of all rows, in falling order: as many as the smaller side of the
    /// matrix.
    ///
    /// Those of a matrix of full rank whose smallest is not below 10⁻⁴ of the largest come from the
    /// eigenvalues of XᵀX, at half the cost: rounding changes them by less than 10⁻¹¹ of the
    /// largest. All others come from R.
    ///
    /// # Errors
    /// [`Error::Compute`] when a row held NaN or infinity.
    pub fn singular_values(&self) -> Result<Vec<f64>> {
        if self.rows >= self.columns as u64 {
            let mut squares = symmetric_eigenvalues(&self.products())?;
            squares.reverse();
            if let (Some(&largest), Some(&smallest)) = (squares.first(), squares.last())
                && smallest > EVEN * largest
            {
                return Ok(squares.into_iter().map(f64::sqrt).collect());
            }
        }
        let mut whole = self.clone();
        whole.reduce();
        let r = whole.r;
        singular_values(&Array2::from_shape_fn((r.nrows(), r.ncols()), |(i, j)| {
            r[(i, j)]
        }))
    }

    /// `XᵀX` of all rows.
    pub(crate) fn products(&self) -> Array2<f64> {
        let shape = (self.waiting_rows(), self.columns);
        let waiting = ArrayView2::from_shape(shape, &self.waiting).expect("whole rows wait");
        GramMatrix::of(self.r.as_ref(), waiting).products()
    }

    /// Rows without a column leave nothing to wait.
    fn waiting_rows(&self) -> usize {
        self.waiting.len() / self.columns.max(1)
    }

    fn reduce(&mut self) {
        if !self.waiting.is_empty() {
            self.stack(&Mat::zeros(0, self.columns));
        }
    }

    /// R of [R; below; the rows that wait].
    fn stack(&mut self, below: &Mat<f64>) {
        let (top, middle) = (self.r.nrows(), self.r.nrows() + below.nrows());
        let waiting = self.waiting_rows();
        let stacked = Mat::from_fn(middle + waiting, self.columns, |i, j| {
            if i < top {
                self.r[(i, j)]
            } else if i < middle {
                below[(i - top, j)]
            } else {
                f64::from(self.waiting[(i - middle) * self.columns + j])
            }
        });
        self.waiting.clear();
        self.r = if stacked.nrows() <= self.columns {
            stacked
        } else {
            super::on_this_thread();
            Qr::new(stacked.as_ref()).thin_R().to_owned()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, s};

    /// Columns of very different sizes, so that the condition number is 10⁹; the numbers come from
    /// a linear congruence.
    fn rows(n: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut state = seed;
        Array2::from_shape_fn((n, columns), |(_, j)| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let even = (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
            (even * 10f64.powf(-9.0 * j as f64 / columns as f64)) as f32
        })
    }

    fn close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() <= 1e-13 * want[0], "{g} {w}");
        }
    }

    #[test]
    fn a_stream_of_rows_has_the_singular_values_of_the_whole() {
        for n in [1, 5, 12, 13, 400] {
            let x = rows(n, 12, 1);
            let want = singular_values(&x.mapv(f64::from)).unwrap();
            let mut factor = TallFactor::new(12);
            for chunk in x.axis_chunks_iter(Axis(0), 7) {
                factor.push(chunk).unwrap();
            }
            assert_eq!(factor.rows(), n as u64);
            close(&factor.singular_values().unwrap(), &want);
        }
    }

    #[test]
    fn of_an_even_matrix_the_products_tell_them() {
        for n in [12, 13, 400] {
            let x = rows(n, 12, 3).mapv(|v| v.signum() * v.abs().powf(0.1));
            let want = singular_values(&x.mapv(f64::from)).unwrap();
            assert!(want[11] > 1e-4 * want[0], "{want:?}");
            let mut factor = TallFactor::new(12);
            factor.push(x.view()).unwrap();
            let got = factor.singular_values().unwrap();
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() <= 1e-11 * want[0], "{g} {w}");
            }
        }
    }

    #[test]
    fn merged_factors_equal_one() {
        let x = rows(500, 12, 2);
        let mut whole = TallFactor::new(12);
        whole.push(x.view()).unwrap();
        let mut merged = TallFactor::new(12);
        for (from, to) in [(0, 3), (3, 200), (200, 200), (200, 500)] {
            let mut part = TallFactor::new(12);
            part.push(x.slice(s![from..to, ..])).unwrap();
            merged.merge(&part).unwrap();
        }
        assert_eq!(merged.rows(), 500);
        close(
            &merged.singular_values().unwrap(),
            &whole.singular_values().unwrap(),
        );
        assert!(merged.merge(&TallFactor::new(11)).is_err());
        assert!(merged.push(x.slice(s![.., ..5])).is_err());
    }

    #[test]
    fn little_or_nothing() {
        assert!(TallFactor::new(3).singular_values().unwrap().is_empty());
        assert_eq!(TallFactor::new(3).products(), Array2::<f64>::zeros((3, 3)));
        let mut one = TallFactor::new(2);
        one.push(ndarray::array![[3.0f32, 4.0]].view()).unwrap();
        close(&one.singular_values().unwrap(), &[5.0]);
        let mut no_columns = TallFactor::new(0);
        no_columns.push(Array2::zeros((3, 0)).view()).unwrap();
        assert_eq!(
            (no_columns.rows(), no_columns.products().dim()),
            (3, (0, 0))
        );
        assert!(no_columns.singular_values().unwrap().is_empty());
        let mut zeros = TallFactor::new(2);
        zeros.push(Array2::zeros((5, 2)).view()).unwrap();
        assert_eq!(zeros.singular_values().unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn rows_of_any_layout() {
        let x = rows(40, 12, 1);
        let by_columns = x.t().as_standard_layout().into_owned().reversed_axes();
        let [mut one, mut other] = [TallFactor::new(12), TallFactor::new(12)];
        one.push(x.view()).unwrap();
        other.push(by_columns.view()).unwrap();
        assert_eq!(one.products(), other.products());
    }

    #[test]
    fn not_a_number_is_an_error() {
        let mut factor = TallFactor::new(2);
        factor
            .push(ndarray::array![[f32::INFINITY, 1.0], [1.0, 1.0], [1.0, 2.0]].view())
            .unwrap();
        assert!(factor.singular_values().is_err());
    }
}
