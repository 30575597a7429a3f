//! The geometry of a layer, one pass over each sentence's tokens: lengths, directions, and the same
//! directions centred and without their leading dimensions.
//!
//! K. Ethayarajh: How contextual are contextualized word representations? (EMNLP 2019). W. Timkey,
//! M. van Schijndel: All bark and no bite: rogue dimensions in transformer language models obscure
//! representational quality (EMNLP 2021).

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::moments::Moments;
use crate::error::{Error, Result};
use crate::linalg::dot;

/// What the geometry is compared with, from a first look at some sentences: the mean vector of the
/// layer's tokens, and the dimensions that add most to their similarity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The mean of the tokens.
    pub mean: Vec<f32>,
    /// The leading dimensions, in falling order of what they add.
    pub leading: Vec<usize>,
}

/// What is measured of one sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SentenceGeometry {
    /// Its number of tokens.
    pub tokens: usize,
    /// The mean Euclidean norm of its tokens; NaN when it has none.
    pub(crate) norm: f64,
    /// The mean cosine of all pairs of its tokens, 0 with a token of zeros; NaN for fewer than two.
    pub cosine: f64,
    /// The same of the vectors less the layer's mean; 0 with a token that is the mean.
    pub centred_cosine: f64,
    /// The mean cosine of its tokens with their mean vector: the intra-sentence similarity of
    /// Ethayarajh (2019). NaN when that mean is zero.
    pub intra_similarity: f64,
}

/// The sums over all sentences of one layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Geometry {
    reference: Reference,
    norms: Moments,
    directions: DirectionSums,
    /// Without the first 1, 2, ... leading dimensions.
    reduced: Vec<DirectionSums>,
}

/// The sums over the tokens of one sentence.
struct Sums {
    norms: f64,
    vectors: Vec<f64>,
    units: Vec<f64>,
    centred: Vec<f64>,
    centred_weight: f64,
    reduced: Vec<Vec<f64>>,
    /// Tokens that are not zeros, and those that are not the layer's mean.
    not_zero: [usize; 2],
}

impl Geometry {
    /// Nothing seen yet. Without [`Reference::leading`] no dimension is left out.
    pub fn new(reference: Reference) -> Self {
        let hidden = reference.mean.len();
        Self {
            norms: Moments::default(),
            directions: DirectionSums::new(hidden),
            reduced: vec![DirectionSums::new(hidden); reference.leading.len()],
            reference,
        }
    }

    /// Add a sentence of shape (tokens, hidden).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another number of dimensions; [`Error::Compute`] when a
    /// value is NaN or infinite.
    pub fn add_sentence(&mut self, tokens: ArrayView2<'_, f32>) -> Result<SentenceGeometry> {
        let hidden = self.reference.mean.len();
        if tokens.ncols() != hidden {
            return Err(Error::Mismatch(format!(
                "vectors of {} dimensions were added to vectors of {hidden}",
                tokens.ncols()
            )));
        }
        let n = tokens.nrows();
        let sums = self.sum(tokens);
        if !sums.norms.is_finite() {
            return Err(Error::Compute {
                context: "geometry of a sentence".into(),
                source: "a vector holds NaN or infinite values; check the model's weights".into(),
            });
        }
        self.directions.add_sentence(&sums.units, n);
        for (directions, sum) in self.reduced.iter_mut().zip(&sums.reduced) {
            directions.add_sentence(sum, n);
        }
        let length = sums.vectors.iter().map(|x| x * x).sum::<f64>().sqrt();
        let along: f64 = sums
            .units
            .iter()
            .zip(&sums.vectors)
            .map(|(u, x)| u * x)
            .sum();
        Ok(SentenceGeometry {
            tokens: n,
            norm: sums.norms / n as f64,
            cosine: mean_cosine(&sums.units, n, sums.not_zero[0]),
            centred_cosine: mean_cosine(&sums.centred, n, sums.not_zero[1]),
            intra_similarity: along / (length * n as f64),
        })
    }

    fn sum(&mut self, tokens: ArrayView2<'_, f32>) -> Sums {
        let Reference { mean, leading } = &self.reference;
        let zeros = || vec![0.0; mean.len()];
        let mut sums = Sums {
            norms: 0.0,
            vectors: zeros(),
            units: zeros(),
            centred: zeros(),
            centred_weight: 0.0,
            reduced: vec![zeros(); leading.len()],
            not_zero: [0; 2],
        };
        let mean_square = dot(mean, mean);
        for row in tokens.axis_iter(Axis(0)) {
            let row = row
                .to_slice()
                .map_or_else(|| row.to_vec().into(), std::borrow::Cow::from);
            let square = dot(&row, &row);
            let norm = square.sqrt();
            sums.norms += norm;
            self.norms.push(norm);
            add_scaled(&mut sums.vectors, &row, 1.0);
            add_scaled(&mut sums.units, &row, inverse(norm));
            let centred = (square - 2.0 * dot(&row, mean) + mean_square).max(0.0);
            let weight = inverse(centred.sqrt());
            add_scaled(&mut sums.centred, &row, weight);
            sums.centred_weight += weight;
            sums.not_zero[0] += usize::from(norm > 0.0);
            sums.not_zero[1] += usize::from(weight > 0.0);
            let mut left = square;
            for (sum, &d) in sums.reduced.iter_mut().zip(leading) {
                left = (left - f64::from(row[d]).powi(2)).max(0.0);
                add_scaled(sum, &row, inverse(left.sqrt()));
            }
        }
        for (sum, &m) in sums.centred.iter_mut().zip(mean) {
            *sum -= sums.centred_weight * f64::from(m);
        }
        for (k, sum) in sums.reduced.iter_mut().enumerate() {
            for &d in &leading[..=k] {
                sum[d] = 0.0;
            }
        }
        sums
    }

    /// Add all sentences of another accumulator.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another reference: the figures would not belong together.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.reference != other.reference {
            return Err(Error::Mismatch(
                "geometries with different references cannot be merged".into(),
            ));
        }
        self.norms.merge(&other.norms);
        self.directions.merge(&other.directions)?;
        for (mine, theirs) in self.reduced.iter_mut().zip(&other.reduced) {
            mine.merge(theirs)?;
        }
        Ok(())
    }

    /// Count, mean and variance of the norms of all tokens.
    pub fn norms(&self) -> &Moments {
        &self.norms
    }

    /// The directions of all tokens.
    pub fn directions(&self) -> &DirectionSums {
        &self.directions
    }

    /// The directions of all tokens without the first 1, 2, ... leading dimensions of the
    /// reference.
    pub fn reduced(&self) -> &[DirectionSums] {
        &self.reduced
    }
}

/// A vector of zeros has no direction and adds nothing.
fn inverse(norm: f64) -> f64 {
    if norm > 0.0 { 1.0 / norm } else { 0.0 }
}

fn add_scaled(sum: &mut [f64], row: &[f32], scale: f64) {
    for (s, &x) in sum.iter_mut().zip(row) {
        *s += f64::from(x) * scale;
    }
}

/// Sums of unit vectors, from which mean cosines over all pairs of tokens follow without looking at
/// a pair.
///
/// With S the sum of all unit vectors, S_s that of sentence s of n_s tokens, and N = Σ n_s: Σ over
/// ordered pairs from different sentences of u·v = ‖S‖² − Σ_s ‖S_s‖², and there are N² − Σ_s n_s²
/// such pairs. The same holds for each dimension alone.
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

    /// Add a sentence of `tokens` tokens whose unit vectors have the sum `sum`. A token of zeros
    /// adds nothing to the sum: its cosine with every other is 0.
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

    /// What each dimension adds to the mean cosine of two tokens of different sentences: they sum
    /// up to [`baseline`](Self::baseline). NaN for fewer than two sentences that have tokens.
    pub fn contributions(&self) -> Vec<f64> {
        let pairs = self.tokens * self.tokens - self.pairs_within;
        self.sum
            .iter()
            .zip(&self.squares_within)
            .map(|(s, q)| (s * s - q) / pairs)
            .collect()
    }

    /// The mean cosine of all pairs of tokens of different sentences: the anisotropy baseline of
    /// Ethayarajh (2019), who estimates it from 1,000 random pairs. NaN for fewer than two
    /// sentences that have tokens.
    pub fn baseline(&self) -> f64 {
        self.contributions().iter().sum()
    }

    /// The dimensions that add most to the baseline, and the share of it that each adds, in falling
    /// order (Timkey and van Schijndel 2021, equation 4). The shares are NaN where the baseline is;
    /// at most as many as there are dimensions.
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

/// The mean cosine of all pairs i < j of `tokens` tokens whose unit vectors have the sum `sum`:
/// (‖S‖² − m) / (n (n − 1)), m of the n being no vectors of zeros, which have cosine 0 with every
/// other. NaN for fewer than two tokens.
pub(crate) fn mean_cosine(sum: &[f64], tokens: usize, not_zero: usize) -> f64 {
    if tokens < 2 {
        return f64::NAN;
    }
    let n = tokens as f64;
    (sum.iter().map(|x| x * x).sum::<f64>() - not_zero as f64) / (n * (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn geometry(mean: Vec<f32>) -> Geometry {
        let leading = Vec::new();
        Geometry::new(Reference { mean, leading })
    }

    #[test]
    fn tokens_of_zeros_have_cosine_0() {
        let x = array![[3.0f32, 4.0], [0.0, 0.0], [6.0, 8.0]];
        let found = geometry(vec![0.0; 2]).add_sentence(x.view()).unwrap();
        assert!((found.cosine - 1.0 / 3.0).abs() < 1e-15, "{found:?}");
        assert!((found.centred_cosine - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(found.norm, 5.0);
        assert!((found.intra_similarity - 2.0 / 3.0).abs() < 1e-15);
        // two tokens that are the mean, and one beside it
        let x = array![[1.0f32, 2.0], [1.0, 2.0], [2.0, 2.0]];
        let found = geometry(vec![1.0, 2.0]).add_sentence(x.view()).unwrap();
        assert_eq!(found.centred_cosine, 0.0);
    }

    #[test]
    fn few_tokens() {
        let mut geometry = geometry(vec![0.0; 2]);
        let none = geometry.add_sentence(Array2::zeros((0, 2)).view()).unwrap();
        assert_eq!(none.tokens, 0);
        assert!(none.norm.is_nan() && none.cosine.is_nan());
        assert!(none.centred_cosine.is_nan() && none.intra_similarity.is_nan());
        let one = geometry.add_sentence(array![[3.0f32, 4.0]].view()).unwrap();
        assert!(one.norm == 5.0 && one.cosine.is_nan() && one.centred_cosine.is_nan());
        assert_eq!(one.intra_similarity, 1.0);
        assert!(geometry.directions().baseline().is_nan());
        assert_eq!(geometry.norms().count(), 1);
        let opposite = array![[1.0f32, 0.0], [-1.0, 0.0]];
        let found = geometry.add_sentence(opposite.view()).unwrap();
        assert!(found.cosine == -1.0 && found.intra_similarity.is_nan());
    }

    #[test]
    fn wrong_input_is_refused() {
        let mut geometry = geometry(vec![0.0; 2]);
        assert!(geometry.add_sentence(Array2::zeros((2, 3)).view()).is_err());
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(geometry.add_sentence(array![[bad, 0.0]].view()).is_err());
        }
    }

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
    fn the_mean_cosine_counts_tokens_of_zeros() {
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
