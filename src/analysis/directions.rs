//! Where the tokens of a layer point: the similarity of any two tokens, the dimensions it comes from, and what a sentence
//! adds to it.
//!
//! K. Ethayarajh: How contextual are contextualized word representations? (EMNLP 2019).
//! W. Timkey, M. van Schijndel: All bark and no bite: rogue dimensions in transformer language models obscure
//! representational quality (EMNLP 2021).

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Sums of unit vectors, from which mean cosines over all pairs of tokens follow without looking at a pair.
///
/// With S the sum of all unit vectors, S_s that of sentence s of n_s tokens, and N = Σ n_s:
/// Σ over ordered pairs from different sentences of u·v = ‖S‖² − Σ_s ‖S_s‖², and there are N² − Σ_s n_s² such pairs. The same
/// holds for each dimension alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DirectionSums {
    tokens: f64,
    pairs_within: f64,
    sum: Vec<f64>,
    squares_within: Vec<f64>,
}

impl DirectionSums {
    /// No token yet, of vectors of `hidden` dimensions.
    pub fn new(hidden: usize) -> Self {
        Self {
            tokens: 0.0,
            pairs_within: 0.0,
            sum: vec![0.0; hidden],
            squares_within: vec![0.0; hidden],
        }
    }

    /// Add a sentence of `tokens` tokens whose unit vectors have the sum `sum`. A token of zeros adds nothing to the sum: its cosine with
    /// every other is 0.
    ///
    /// # Panics
    /// When the sum has another number of dimensions.
    pub fn add_sentence(&mut self, sum: &[f64], tokens: usize) {
        assert_eq!(sum.len(), self.sum.len(), "a sum of the same dimensions");
        let n = tokens as f64;
        self.tokens += n;
        self.pairs_within += n * n;
        for ((s, q), x) in self.sum.iter_mut().zip(&mut self.squares_within).zip(sum) {
            *s += x;
            *q += x * x;
        }
    }

    /// Add all sentences of another accumulator.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another number of dimensions.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.sum.len() != other.sum.len() {
            return Err(Error::Mismatch(format!(
                "directions of {} and {} dimensions cannot be merged",
                self.sum.len(),
                other.sum.len()
            )));
        }
        self.tokens += other.tokens;
        self.pairs_within += other.pairs_within;
        for (mine, theirs) in [
            (&mut self.sum, &other.sum),
            (&mut self.squares_within, &other.squares_within),
        ] {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        }
        Ok(())
    }

    /// What each dimension adds to the mean cosine of two tokens of different sentences: they sum up to [`baseline`](Self::baseline).
    /// NaN for fewer than two sentences that have tokens.
    pub fn contributions(&self) -> Vec<f64> {
        let pairs = self.tokens * self.tokens - self.pairs_within;
        self.sum
            .iter()
            .zip(&self.squares_within)
            .map(|(s, q)| (s * s - q) / pairs)
            .collect()
    }

    /// The mean cosine of all pairs of tokens of different sentences: the anisotropy baseline of Ethayarajh (2019), who
    /// estimates it from 1,000 random pairs. NaN for fewer than two sentences that have tokens.
    pub fn baseline(&self) -> f64 {
        self.contributions().iter().sum()
    }

    /// The dimensions that add most to the baseline, and the share of it that each adds, in falling order (Timkey and van
    /// Schijndel 2021, equation 4). The shares are NaN where the baseline is; at most as many as there are dimensions.
    pub fn leading(&self, count: usize) -> Vec<(usize, f64)> {
        let contributions = self.contributions();
        let whole: f64 = contributions.iter().sum();
        let mut order: Vec<usize> = (0..contributions.len()).collect();
        order.sort_by(|&a, &b| contributions[b].total_cmp(&contributions[a]));
        order
            .into_iter()
            .take(count)
            .map(|d| (d, contributions[d] / whole))
            .collect()
    }
}

/// The mean cosine of all pairs i < j of `tokens` tokens whose unit vectors have the sum `sum`: (‖S‖² − m) / (n (n − 1)), m of the n
/// being no vectors of zeros, which have cosine 0 with every other. NaN for fewer than two tokens.
pub fn mean_cosine(sum: &[f64], tokens: usize, not_zero: usize) -> f64 {
    if tokens < 2 {
        return f64::NAN;
    }
    let n = tokens as f64;
    (sum.iter().map(|x| x * x).sum::<f64>() - not_zero as f64) / (n * (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_has_no_baseline() {
        let mut sums = DirectionSums::new(2);
        let unknown = |sums: &DirectionSums| {
            let leading = sums.leading(5);
            assert_eq!(leading.len(), 2);
            sums.baseline().is_nan() && leading.iter().all(|l| l.1.is_nan())
        };
        assert!(unknown(&sums));
        sums.add_sentence(&[2.0, 0.0], 2);
        sums.add_sentence(&[0.0, 0.0], 0);
        assert!(unknown(&sums));
        sums.add_sentence(&[0.6, 0.8], 1);
        assert!((sums.baseline() - 0.6).abs() < 1e-15);
        assert!((sums.leading(1)[0].1 - 1.0).abs() < 1e-15);
        assert!(sums.merge(&DirectionSums::new(3)).is_err());
    }

    #[test]
    fn tokens_of_zeros_have_cosine_0() {
        assert!(mean_cosine(&[1.0], 0, 0).is_nan() && mean_cosine(&[1.0], 1, 1).is_nan());
        assert_eq!(mean_cosine(&[2.0, 0.0], 2, 2), 1.0);
        assert_eq!(mean_cosine(&[1.0, 0.0], 2, 1), 0.0);
        assert_eq!(mean_cosine(&[0.0, 0.0], 3, 0), 0.0);
    }

    #[test]
    #[should_panic = "same dimensions"]
    fn sums_of_other_dimensions_are_a_mistake() {
        DirectionSums::new(2).add_sentence(&[1.0], 1);
    }
}
