//! IsoScore: how evenly a cloud of points uses its dimensions.
//!
//! W. Rudman, N. Gillman, T. Rayne, C. Eickhoff: IsoScore: measuring the uniformity of embedding
//! space utilization (Findings of ACL 2022).

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::bootstrap::{Bootstrap, Weights, percentiles};
use crate::error::{Error, Result};
use crate::linalg::{dot, leading_axes, row_products};
use crate::metrics::Interval;

/// The share of `Σ λ²` of a first look's covariance that its axes hold.
const SHARE: f64 = 0.99;

/// The IsoScore of points with this covariance: 1 when the variance is the same in every direction,
/// 0 when all of it lies in one.
///
/// The paper normalises the variances λ along the n principal components to λ̂ = √n λ / ‖λ‖, takes
/// the defect δ = ‖λ̂ − 1‖ / √(2 (n − √n)) and from it `((n − δ² (n − √n))² − n) / (n (n − 1))`.
/// With `Σ λ = tr C` and `‖λ‖ = ‖C‖` (Frobenius) the inner bracket is `√n tr C / ‖C‖`, and the
/// score is
///
/// `((tr C)² / ‖C‖² − 1) / (n − 1)`,
///
/// which needs no eigenvalue. NaN for one dimension or no variance.
///
/// # Panics
/// When the matrix is not square.
pub fn iso_score(covariance: &Array2<f64>) -> f64 {
    score(participation(covariance), covariance.nrows())
}

/// `(tr C)² / ‖C‖²`: the number of dimensions if all in use had the same variance.
fn participation(covariance: &Array2<f64>) -> f64 {
    assert!(covariance.is_square(), "a covariance is square");
    covariance.diag().sum().powi(2) / covariance.iter().map(|c| c * c).sum::<f64>()
}

fn score(participation: f64, dimensions: usize) -> f64 {
    (participation - 1.0) / (dimensions as f64 - 1.0)
}

/// The bootstrap of the IsoScore and of the covariance's trace over sentences, to first order.
///
/// Replicates of the covariance itself would be many large matrices, and sentences that come twice
/// would make it look less even than it is. But the logarithm of `(tr C)² / ‖C‖²` changes with C as
/// `2 d(tr C) / tr C − 2 ⟨C, dC⟩ / ‖C‖²`: each sentence adds through two numbers alone, its spread
/// `Σ ‖x − x̄‖²` and its spread along C, `Σ (x − x̄)ᵀ C (x − x̄)`. The means of both over tokens
/// are bootstrapped, and a replicate of the score takes the square of the ratio of their relative
/// changes. This is the infinitesimal jackknife's linearisation (L. Jaeckel 1972; B. Efron: The
/// jackknife, the bootstrap and other resampling plans, 1982, chapter 6). x̄ and C are those of a
/// first look at some sentences.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpreadBootstrap {
    mean: Vec<f32>,
    /// Rows B with BᵀB ≈ C.
    axes: Array2<f32>,
    spread: Bootstrap,
    along: Bootstrap,
}

impl SpreadBootstrap {
    /// Nothing seen yet; `mean` and `covariance` are those of the first look.
    ///
    /// # Errors
    /// [`Error::Compute`] when the covariance holds NaN or infinity, [`Error::Mismatch`] when it is
    /// not of the mean's dimensions.
    pub fn new(mean: Vec<f32>, covariance: &Array2<f64>, replicates: usize) -> Result<Self> {
        if covariance.dim() != (mean.len(), mean.len()) {
            return Err(Error::Mismatch(format!(
                "a mean of {} dimensions and a covariance of shape {:?}",
                mean.len(),
                covariance.dim()
            )));
        }
        Ok(Self {
            mean,
            axes: leading_axes(covariance, SHARE)?,
            spread: Bootstrap::new(replicates),
            along: Bootstrap::new(replicates),
        })
    }

    /// Add a sentence of shape (tokens, hidden).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another number of dimensions.
    pub fn add_sentence(&mut self, tokens: ArrayView2<'_, f32>, weights: &Weights) -> Result<()> {
        if tokens.ncols() != self.mean.len() {
            return Err(Error::Mismatch(format!(
                "vectors of {} dimensions were added to vectors of {}",
                tokens.ncols(),
                self.mean.len()
            )));
        }
        let centred = &tokens - &ndarray::ArrayView1::from(&self.mean);
        let square = |x: &Array2<f32>| {
            let values = x.as_slice_memory_order();
            let values = values.expect("a matrix that owns its numbers has no gaps");
            dot(values, values)
        };
        let n = tokens.nrows() as f64;
        let along = row_products(centred.view(), self.axes.view())?;
        self.spread.add(square(&centred) / n, n, weights);
        self.along.add(square(&along) / n, n, weights);
        Ok(())
    }

    /// Add all sentences of another accumulator.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it comes from another first look.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.mean != other.mean || self.axes != other.axes {
            return Err(Error::Mismatch(
                "spreads around different means cannot be merged".into(),
            ));
        }
        self.spread.merge(&other.spread)?;
        self.along.merge(&other.along)
    }

    /// The 95 % interval of the IsoScore of all sentences, whose covariance is `covariance`; NaN
    /// for fewer than two.
    pub fn iso_score(&self, covariance: &Array2<f64>) -> Interval {
        if self.spread.sentences() < 2 {
            return Interval::UNKNOWN;
        }
        let whole = participation(covariance);
        let change = |bootstrap: &Bootstrap, mean: f64| mean / bootstrap.estimate();
        let replicates = self.spread.means().zip(self.along.means());
        percentiles(
            replicates
                .map(|(spread, along)| {
                    let ratio = change(&self.spread, spread) / change(&self.along, along);
                    score(whole * ratio * ratio, covariance.nrows())
                })
                .collect(),
        )
    }

    /// The 95 % interval of the trace of the covariance of all sentences; NaN for fewer than two.
    pub fn trace(&self, covariance: &Array2<f64>) -> Interval {
        let scale = covariance.diag().sum() / self.spread.estimate();
        let Interval { low, high } = self.spread.interval();
        Interval {
            low: low * scale,
            high: high * scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_ends() {
        assert!((iso_score(&Array2::eye(5)) - 1.0).abs() < 1e-12);
        let mut line = Array2::zeros((5, 5));
        line[[2, 2]] = 3.0;
        assert!(iso_score(&line).abs() < 1e-12);
        assert!(iso_score(&Array2::zeros((5, 5))).is_nan());
        // k equal variances of n give (k − 1) / (n − 1), as the paper's section 4 shows
        let three = Array2::from_diag(&ndarray::array![2.0, 0.0, 2.0, 2.0, 0.0]);
        assert!((iso_score(&three) - 0.5).abs() < 1e-12);
        assert!(iso_score(&Array2::eye(1)).is_nan());
        assert!(iso_score(&Array2::zeros((0, 0))).is_nan());
        assert!(iso_score(&Array2::from_elem((2, 2), f64::NAN)).is_nan());
    }

    #[test]
    fn one_sentence_has_no_interval() {
        let covariance = Array2::eye(2);
        let one = ndarray::array![[1.0f32, 0.0], [0.0, 2.0], [0.5, 0.5]];
        let other = ndarray::array![[3.0f32, 0.0], [0.0, 1.0]];
        let run = |sentences: &[&Array2<f32>]| {
            let mut spread = SpreadBootstrap::new(vec![0.0; 2], &covariance, 200).unwrap();
            for (i, x) in sentences.iter().enumerate() {
                let weights = Weights::of(1, i as u64, 200);
                spread.add_sentence(x.view(), &weights).unwrap();
            }
            [spread.iso_score(&covariance), spread.trace(&covariance)]
        };
        for few in [&[][..], &[&one], &[&one, &Array2::zeros((0, 2))]] {
            for interval in run(few) {
                assert!(
                    interval.low.is_nan() && interval.high.is_nan(),
                    "{interval:?}"
                );
            }
        }
        let [score, trace] = run(&[&one, &other]);
        assert!(score.low <= score.high && trace.low < trace.high);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let new =
            |n: usize, covariance: Array2<f64>| SpreadBootstrap::new(vec![0.0; n], &covariance, 10);
        assert!(new(3, Array2::eye(2)).is_err());
        assert!(new(2, Array2::zeros((2, 3))).is_err());
        assert!(new(2, Array2::from_elem((2, 2), f64::NAN)).is_err());
        let mut spread = new(2, Array2::eye(2)).unwrap();
        let weights = Weights::of(1, 0, 10);
        assert!(
            spread
                .add_sentence(Array2::zeros((1, 3)).view(), &weights)
                .is_err()
        );
        assert!(
            spread
                .merge(&new(2, Array2::eye(2) * 2.0).unwrap())
                .is_err()
        );
    }
}
