//! How many dimensions the tokens of a layer really use.
//!
//! O. Roy, M. Vetterli: The effective rank: a measure of effective dimensionality (EUSIPCO 2007).

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::linalg::Spectrum;

/// The effective rank of all tokens of one layer, stacked as the rows of one matrix, not centred.
///
/// The rows are never kept, see [`Spectrum`]: up to 3,072 tokens every singular value is found to
/// 10⁻¹¹ of the largest, beyond that to 10⁻⁷ of it, which changes the effective rank of language
/// models' states by less than 10⁻⁴ of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EffectiveRank {
    spectrum: Spectrum,
}

impl EffectiveRank {
    /// No token yet, of vectors of `hidden` dimensions.
    pub fn new(hidden: usize) -> Self {
        Self {
            spectrum: Spectrum::new(hidden),
        }
    }

    /// Add a sentence of shape (tokens, hidden).
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::error::Error::Mismatch) when it has another number of dimensions.
    pub fn add_sentence(&mut self, tokens: ArrayView2<'_, f32>) -> Result<()> {
        self.spectrum.push(tokens)
    }

    /// Add all tokens of another accumulator.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::error::Error::Mismatch) when it has another number of dimensions.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.spectrum.merge(&other.spectrum)
    }

    /// Its singular values and covariance.
    pub fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }

    /// The number of tokens added.
    pub fn tokens(&self) -> u64 {
        self.spectrum.rows()
    }

    /// The effective rank; NaN when there is no token or all are zeros.
    ///
    /// # Errors
    /// [`Error::Compute`](crate::error::Error::Compute) when a value was NaN or infinite.
    pub fn value(&self) -> Result<f64> {
        Ok(effective_rank(&self.spectrum.singular_values()?))
    }
}

/// `exp(−Σ p ln p)` with `p = σ / Σσ`: the exponential of the entropy of the singular values,
/// between 1 and their number. A zero σ adds nothing. NaN when all are zero, there is none, or one
/// is NaN or infinite.
pub(crate) fn effective_rank(singular_values: &[f64]) -> f64 {
    let sum: f64 = singular_values.iter().sum();
    if sum.is_nan() || sum <= 0.0 {
        return f64::NAN;
    }
    let entropy: f64 = singular_values
        .iter()
        .filter(|&&s| s > 0.0)
        .map(|s| -(s / sum) * (s / sum).ln())
        .sum();
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert!((effective_rank(&[2.0, 2.0, 2.0, 0.0]) - 3.0).abs() < 1e-14);
        assert!((effective_rank(&[5.0]) - 1.0).abs() < 1e-14);
        // H(3/4, 1/4) = ln 4 − (3/4) ln 3
        let want = (4f64.ln() - 0.75 * 3f64.ln()).exp();
        assert!((effective_rank(&[3.0, 1.0]) - want).abs() < 1e-14);
        assert!(effective_rank(&[]).is_nan() && effective_rank(&[0.0]).is_nan());
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(effective_rank(&[1.0, bad]).is_nan());
        }
    }

    #[test]
    fn of_few_tokens() {
        let mut rank = EffectiveRank::new(2);
        assert!(rank.value().unwrap().is_nan());
        rank.add_sentence(ndarray::Array2::zeros((3, 2)).view())
            .unwrap();
        assert!(rank.value().unwrap().is_nan());
        rank.add_sentence(ndarray::array![[3.0f32, 4.0]].view())
            .unwrap();
        assert!((rank.value().unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(rank.tokens(), 4);
        assert!(
            rank.add_sentence(ndarray::Array2::zeros((1, 3)).view())
                .is_err()
        );
        assert!(rank.merge(&EffectiveRank::new(3)).is_err());
        rank.add_sentence(ndarray::array![[f32::NAN, 4.0]].view())
            .unwrap();
        assert!(rank.value().is_err());
    }
}
