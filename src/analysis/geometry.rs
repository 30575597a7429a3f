//! The geometry of a layer, one pass over each sentence's tokens: lengths, directions, and the same directions centred
//! and without their leading dimensions.

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::directions::{DirectionSums, mean_cosine};
use super::moments::Moments;
use crate::error::{Error, Result};
use crate::linalg::dot;

/// What the geometry is compared with, from a first look at some sentences: the mean vector of the layer's tokens, and the
/// dimensions that add most to their similarity.
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
    /// The mean Euclidean norm of its tokens.
    pub norm: f64,
    /// The mean cosine of all pairs of its tokens; NaN for fewer than two.
    pub cosine: f64,
    /// The same of the vectors less the layer's mean.
    pub centred_cosine: f64,
    /// The mean cosine of its tokens with their mean vector: the intra-sentence similarity of Ethayarajh (2019).
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
    /// [`Error::Mismatch`] when it has another number of dimensions; [`Error::Compute`] when a value is NaN or infinite.
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
            cosine: mean_cosine(&sums.units, n),
            centred_cosine: mean_cosine(&sums.centred, n),
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

    /// The directions of all tokens without the first 1, 2, ... leading dimensions of the reference.
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
