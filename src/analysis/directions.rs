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

    /// Add a sentence of `tokens` tokens whose unit vectors have the sum `sum`.
    pub fn add_sentence(&mut self, sum: &[f64], tokens: usize) {
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
    pub fn contributions(&self) -> Vec<f64> {
        let pairs = self.tokens * self.tokens - self.pairs_within;
        self.sum
            .iter()
            .zip(&self.squares_within)
            .map(|(s, q)| (s * s - q) / pairs)
            .collect()
    }

    /// The mean cosine of all pairs of tokens of different sentences: the anisotropy baseline of Ethayarajh (2019), who
    /// estimates it from 1,000 random pairs. NaN for fewer than two sentences.
    pub fn baseline(&self) -> f64 {
        self.contributions().iter().sum()
    }

    /// The dimensions that add most to the baseline, and the share of it that each adds, in falling order (Timkey and van
    /// Schijndel 2021, equation 4).
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

/// The mean cosine of all pairs i < j of `tokens` tokens whose unit vectors have the sum `sum`: (‖S‖² − n) / (n (n − 1)).
/// NaN for fewer than two.
pub fn mean_cosine(sum: &[f64], tokens: usize) -> f64 {
    if tokens < 2 {
        return f64::NAN;
    }
    let n = tokens as f64;
    (sum.iter().map(|x| x * x).sum::<f64>() - n) / (n * (n - 1.0))
}
