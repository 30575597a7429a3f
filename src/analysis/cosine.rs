//! The cosines of all pairs of tokens within a sentence.

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::quantile::Quantiles;
use crate::error::{Error, Result};
use crate::linalg::{dot, pairwise_products, vectorised};

/// The cosines of all pairs of tokens i < j within each sentence of one layer, pooled over the sentences.
///
/// Each token is divided by its norm in double precision; one matrix product in single precision then gives all cosines of
/// a sentence, each within 10⁻⁶ of its true value. Count, mean and variance are exact sums over them, the quartiles
/// come from [`Quantiles`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cosine {
    moments: Moments,
    quantiles: Quantiles,
    #[serde(skip)]
    unit: Vec<f32>,
    #[serde(skip)]
    cosines: Vec<f32>,
}

/// What a [`Cosine`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CosineSummary {
    /// The number of pairs.
    pub count: u64,
    /// Their mean cosine.
    pub mean: f64,
    /// The population variance.
    pub variance: f64,
    /// Minimum, lower quartile, median, upper quartile, maximum.
    pub five_numbers: [f64; 5],
    /// The largest error of the three quartiles.
    pub error_bound: f64,
}

impl Cosine {
    /// Add a sentence of shape (tokens, hidden). Returns the population variance of its own cosines, as `np.var`: NaN when
    /// it has fewer than two tokens and so no pair. A token that is all zeros has cosine 0 with every other.
    ///
    /// # Errors
    /// [`Error::Compute`] when a value is NaN or infinite.
    pub fn add_sentence(&mut self, tokens: ArrayView2<'_, f32>) -> Result<f64> {
        unit_rows(tokens, &mut self.unit)?;
        let parts = pairwise_products(
            &self.unit,
            tokens.ncols(),
            &mut self.cosines,
            |cosines: &mut [f32]| {
                cosines.iter_mut().for_each(|c| *c = c.clamp(-1.0, 1.0));
                Moments::of(cosines)
            },
        );
        let mut own = Moments::default();
        parts.iter().for_each(|part| own.merge(part));
        self.moments.merge(&own);
        self.quantiles.extend(&self.cosines)?;
        Ok(own.variance())
    }

    /// Add all sentences of another accumulator.
    pub fn merge(&mut self, other: &Self) {
        self.moments.merge(&other.moments);
        self.quantiles.merge(&other.quantiles);
    }

    /// What was found so far; NaN and zero counts when there was no pair.
    pub fn summary(&self) -> CosineSummary {
        CosineSummary {
            count: self.moments.count(),
            mean: self.moments.mean(),
            variance: self.moments.variance(),
            five_numbers: self.quantiles.five_numbers(),
            error_bound: self.quantiles.error_bound(),
        }
    }
}

/// Rows that a thread takes in one go.
const ROWS: usize = 64;

/// Every row divided by its Euclidean norm, one after another; a row of zeros stays.
fn unit_rows(rows: ArrayView2<'_, f32>, unit: &mut Vec<f32>) -> Result<()> {
    let values = rows.as_standard_layout();
    let values = values.as_slice().unwrap_or_default();
    unit.resize(values.len(), 0.0);
    let columns = rows.ncols().max(1);
    let parts = values.par_chunks(ROWS * columns);
    let parts = parts.zip(unit.par_chunks_mut(ROWS * columns)).enumerate();
    let bad = parts.filter_map(|(part, (values, unit))| {
        let rows = values.chunks_exact(columns);
        let mut rows = rows.zip(unit.chunks_exact_mut(columns));
        let bad = rows.position(|(row, unit)| !normalise(row, unit));
        bad.map(|row| part * ROWS + row)
    });
    match bad.min() {
        None => Ok(()),
        Some(token) => Err(Error::Compute {
            context: format!("cosines of a sentence, token {token}"),
            source: "its vector holds NaN or infinite values; check the model's weights".into(),
        }),
    }
}

/// `unit = row / ‖row‖`; false when the norm is not finite.
fn normalise(row: &[f32], unit: &mut [f32]) -> bool {
    let norm = dot(row, row).sqrt();
    let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
    vectorised(
        #[inline(always)]
        || {
            for (u, &x) in unit.iter_mut().zip(row) {
                *u = (f64::from(x) * scale) as f32;
            }
        },
    );
    norm.is_finite()
}
