//! IsoScore: how evenly a cloud of points uses its dimensions.
//!
//! W. Rudman, N. Gillman, T. Rayne, C. Eickhoff: IsoScore: measuring the uniformity of embedding space utilization (Findings of
//! ACL 2022).

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::bootstrap::{Bootstrap, Weights, percentiles};
use crate::error::{Error, Result};
use crate::linalg::{dot, leading_axes, row_products};
use crate::metrics::Interval;

/// The share of `Σ λ²` of a first look's covariance that its axes hold.
const SHARE: f64 = 0.99;

/// The IsoScore of points with this covariance: 1 when the variance is the same in every direction, 0 when all of it lies in one.
///
/// The paper normalises the variances λ along the n principal components to λ̂ = √n λ / ‖λ‖, takes the defect
/// δ = ‖λ̂ − 1‖ / √(2 (n − √n)) and from it `((n − δ² (n − √n))² − n) / (n (n − 1))`. With `Σ λ = tr C` and `‖λ‖ = ‖C‖` (Frobenius) the
/// inner bracket is `√n tr C / ‖C‖`, and the score is
///
/// `((tr C)² / ‖C‖² − 1) / (n − 1)`,
///
/// which needs no eigenvalue. NaN for one dimension or no variance.
pub fn iso_score(covariance: &Array2<f64>) -> f64 {
    score(participation(covariance), covariance.nrows())
}

/// `(tr C)² / ‖C‖²`: the number of dimensions if all in use had the same variance.
fn participation(covariance: &Array2<f64>) -> f64 {
    covariance.diag().sum().powi(2) / covariance.iter().map(|c| c * c).sum::<f64>()
}

fn score(participation: f64, dimensions: usize) -> f64 {
    (participation - 1.0) / (dimensions as f64 - 1.0)
}

/// The bootstrap of the IsoScore and of the covariance's trace over sentences, to first order.
///
/// Replicates of the covariance itself would be many large matrices, and sentences that come twice would make it look less even
/// than it is. But the logarithm of `(tr C)² / ‖C‖²` changes with C as `2 d(tr C) / tr C − 2 ⟨C, dC⟩ / ‖C‖²`: each sentence adds through
/// two numbers alone, its spread `Σ ‖x − x̄‖²` and its spread along C, `Σ (x − x̄)ᵀ C (x − x̄)`. The means of both over tokens are
/// bootstrapped, and a replicate of the score takes the square of the ratio of their relative changes. This is the infinitesimal
/// jackknife's linearisation (L. Jaeckel 1972; B. Efron: The jackknife, the bootstrap and other resampling plans, 1982, chapter 6).
/// x̄ and C are those of a first look at some sentences.
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
    /// [`Error::Compute`] when the covariance holds NaN or infinity.
    pub fn new(mean: Vec<f32>, covariance: &Array2<f64>, replicates: usize) -> Result<Self> {
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
            values.map_or(f64::NAN, |v| dot(v, v))
        };
        let n = tokens.nrows() as f64;
        let along = row_products(centred.view(), self.axes.view());
        self.spread.add(square(&centred) / n, n, weights);
        self.along.add(square(&along) / n, n, weights);
        Ok(())
    }

    /// Add all sentences of another accumulator.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it comes from another first look.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.mean != other.mean || self.axes.dim() != other.axes.dim() {
            return Err(Error::Mismatch(
                "spreads around different means cannot be merged".into(),
            ));
        }
        self.spread.merge(&other.spread)?;
        self.along.merge(&other.along)
    }

    /// The 95 % interval of the IsoScore of all sentences, whose covariance is `covariance`; NaN when there is none.
    pub fn iso_score(&self, covariance: &Array2<f64>) -> Interval {
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

    /// The 95 % interval of the trace of the covariance of all sentences.
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
    }
}
