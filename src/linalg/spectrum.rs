//! The spectrum of a matrix of any height, seen a few rows at a time.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::gram::GramMatrix;
use super::tall::TallFactor;
use crate::error::Result;

/// Rows up to which every singular value is found to 10⁻¹¹ of the largest, or better.
const EXACT_ROWS: u64 = 3 << 10;

/// The singular values and the covariance of a tall matrix: by a QR factor ([`TallFactor`]) for the
/// first `EXACT_ROWS` rows, from the Gram matrix ([`GramMatrix`], a third
/// of the cost) when there are more.
///
/// Which of the two applies depends only on how many rows there are, so that merged parts answer as
/// one run does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spectrum {
    sum: Array1<f64>,
    state: State,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    Exact(TallFactor),
    Gram(GramMatrix),
}

impl Spectrum {
    /// The spectrum of `columns` columns and no row yet.
    pub fn new(columns: usize) -> Self {
        Self {
            sum: Array1::zeros(columns),
            state: State::Exact(TallFactor::new(columns)),
        }
    }

    /// The number of rows seen.
    pub(crate) fn rows(&self) -> u64 {
        match &self.state {
            State::Exact(factor) => factor.rows(),
            State::Gram(gram) => gram.rows(),
        }
    }

    /// The largest error of a singular value, as a share of the largest.
    #[cfg(test)]
    fn relative_error_bound(&self) -> f64 {
        match &self.state {
            State::Exact(_) => 1e-11,
            // σ² is off by no more than about 10⁻¹⁴ of the largest σ².
            State::Gram(_) => 1e-7,
        }
    }

    /// Add rows.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::error::Error::Mismatch) when they have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f32>) -> Result<()> {
        if self.rows() + rows.nrows() as u64 > EXACT_ROWS {
            self.switch_to_gram()?;
        }
        match &mut self.state {
            State::Exact(factor) => factor.push(rows)?,
            State::Gram(gram) => gram.push(rows)?,
        }
        for row in rows.axis_iter(Axis(0)) {
            self.sum.zip_mut_with(&row, |s, &x| *s += f64::from(x));
        }
        Ok(())
    }

    /// Take in all rows of another spectrum.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::error::Error::Mismatch) when it has another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.rows() + other.rows() > EXACT_ROWS || matches!(other.state, State::Gram(_)) {
            self.switch_to_gram()?;
        }
        match (&mut self.state, &other.state) {
            (State::Exact(mine), State::Exact(theirs)) => mine.merge(theirs)?,
            (State::Gram(mine), State::Gram(theirs)) => mine.merge(theirs)?,
            (State::Gram(mine), State::Exact(theirs)) => {
                mine.add_products(&theirs.products(), theirs.rows())?;
            }
            (State::Exact(_), State::Gram(_)) => {
                unreachable!("this side became a Gram matrix above, as the other one is")
            }
        }
        self.sum += &other.sum;
        Ok(())
    }

    fn switch_to_gram(&mut self) -> Result<()> {
        if let State::Exact(factor) = &self.state {
            let mut gram = GramMatrix::new(self.sum.len());
            gram.add_products(&factor.products(), factor.rows())?;
            self.state = State::Gram(gram);
        }
        Ok(())
    }

    /// The singular values in falling order: as many as the smaller side of the matrix, none when
    /// there is no row.
    ///
    /// # Errors
    /// [`Error::Compute`](crate::error::Error::Compute) when a row held NaN or infinity.
    pub fn singular_values(&self) -> Result<Vec<f64>> {
        match &self.state {
            State::Exact(factor) => factor.singular_values(),
            State::Gram(gram) => gram.singular_values(),
        }
    }

    /// The mean of the rows; NaN when there is none.
    pub fn mean(&self) -> Array1<f64> {
        &self.sum / self.rows() as f64
    }

    /// The covariance of the rows with n − 1, `(XᵀX − n x̄ x̄ᵀ) / (n − 1)`; NaN for fewer than two.
    pub fn covariance(&self) -> Array2<f64> {
        let (n, mean) = (self.rows() as f64, self.mean());
        let mut c = match &self.state {
            State::Exact(factor) => factor.products(),
            State::Gram(gram) => gram.products(),
        };
        for ((i, j), v) in c.indexed_iter_mut() {
            *v = if n < 2.0 {
                f64::NAN
            } else {
                (*v - n * mean[i] * mean[j]) / (n - 1.0)
            };
        }
        c
    }
}

#[cfg(test)]
mod tests {
    use super::super::covariance;
    use super::super::eigen::singular_values;
    use super::*;
    use ndarray::s;

    fn rows(n: usize) -> Array2<f32> {
        let mut state = 5u64;
        Array2::from_shape_fn((n, 7), |(_, j)| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32 / (1 << 24) as f32) / (1 + j) as f32 + 0.5
        })
    }

    /// On both sides of the limit: one run, and parts of which some are beyond it and some not.
    #[test]
    fn equals_the_direct_computation_and_merges() {
        for n in [
            1,
            2,
            500,
            EXACT_ROWS as usize,
            EXACT_ROWS as usize + 1,
            20_000,
        ] {
            let x = rows(n);
            let want = singular_values(&x.mapv(f64::from)).unwrap();
            let spread = covariance(x.view());
            let part = |from: usize, to: usize| {
                let mut part = Spectrum::new(7);
                for chunk in x.slice(s![from..to, ..]).axis_chunks_iter(Axis(0), 150) {
                    part.push(chunk).unwrap();
                }
                part
            };
            let whole = part(0, n);
            let mut merged = part(0, n / 3);
            merged.merge(&part(n / 3, n / 2)).unwrap();
            merged.merge(&part(n / 2, n)).unwrap();
            let mut reversed = part(n / 2, n);
            reversed.merge(&part(0, n / 2)).unwrap();
            for spectrum in [whole, merged, reversed] {
                assert_eq!(spectrum.rows(), n as u64);
                let bound = spectrum.relative_error_bound() * want[0];
                assert_eq!(bound < 1e-9 * want[0], n as u64 <= EXACT_ROWS);
                for (g, w) in spectrum.singular_values().unwrap().iter().zip(&want) {
                    assert!((g - w).abs() <= bound, "{n}: {g} {w}");
                }
                for (g, w) in spectrum.covariance().iter().zip(&spread) {
                    assert!(
                        (g - w).abs() < 1e-10 || (g.is_nan() && w.is_nan()),
                        "{n}: {g} {w}"
                    );
                }
            }
        }
    }

    #[test]
    fn little_or_nothing() {
        let mut spectrum = Spectrum::new(2);
        assert!(spectrum.singular_values().unwrap().is_empty());
        assert!(spectrum.mean().iter().all(|v| v.is_nan()));
        spectrum
            .push(ndarray::array![[3.0f32, 4.0]].view())
            .unwrap();
        assert!((spectrum.singular_values().unwrap()[0] - 5.0).abs() < 1e-12);
        assert!(spectrum.covariance().iter().all(|v| v.is_nan()));
        assert_eq!(spectrum.mean(), ndarray::array![3.0, 4.0]);
        assert!(spectrum.push(Array2::zeros((1, 3)).view()).is_err());
        assert!(spectrum.merge(&Spectrum::new(3)).is_err());
        assert_eq!(spectrum.rows(), 1);
    }
}
