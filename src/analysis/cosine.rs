//! The cosines of all pairs of tokens within a sentence.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::quantile::Quantiles;
use crate::error::{Error, Result};
use crate::linalg::{dot, pairwise_products};

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
    products: Vec<f32>,
    #[serde(skip)]
    buffer: Vec<f32>,
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
        let n = tokens.nrows();
        unit_rows(tokens, &mut self.unit)?;
        pairwise_products(&self.unit, tokens.ncols(), &mut self.products);
        self.buffer.clear();
        for i in 1..n {
            let row = &self.products[i * n..][..i];
            self.buffer.extend(row.iter().map(|c| c.clamp(-1.0, 1.0)));
        }
        let own = Moments::of(&self.buffer);
        self.moments.merge(&own);
        self.quantiles.extend(&self.buffer)?;
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

/// Every row divided by its Euclidean norm, one after another; a row of zeros stays.
fn unit_rows(rows: ArrayView2<'_, f32>, unit: &mut Vec<f32>) -> Result<()> {
    unit.clear();
    match rows.as_slice() {
        Some(values) => unit.extend_from_slice(values),
        None => unit.extend(rows.iter()),
    }
    let columns = rows.ncols().max(1);
    for (i, row) in unit.chunks_exact_mut(columns).enumerate() {
        let norm = dot(row, row).sqrt();
        if !norm.is_finite() {
            return Err(Error::Compute {
                context: format!("cosines of a sentence, token {i}"),
                source: "its vector holds NaN or infinite values; check the model's weights".into(),
            });
        }
        if norm > 0.0 {
            let scale = 1.0 / norm;
            row.iter_mut()
                .for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
    }
    Ok(())
}
