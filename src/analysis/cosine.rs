//! The cosines of all pairs of tokens within a sentence.

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::quantile::Quantiles;
use crate::error::{Error, Result};
use crate::linalg::{dot, pairwise_products, vectorised};

/// The cosines of all pairs of tokens i < j within each sentence of one layer, pooled over the
/// sentences.
///
/// Each token is divided by its norm in double precision; one matrix product in single precision
/// then gives all cosines of a sentence, each within 10⁻⁶ of its true value. Count, mean and
/// variance are exact sums over them, the quartiles come from [`Quantiles`].
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
    pub(crate) error_bound: f64,
}

impl Cosine {
    /// Add a sentence of shape (tokens, hidden). Returns the population variance of its own
    /// cosines, as `np.var`: NaN when it has fewer than two tokens and so no pair. A token that is
    /// all zeros has cosine 0 with every other.
    ///
    /// # Errors
    /// [`Error::Compute`] when a value is NaN or infinite; [`Error::Mismatch`] when vectors have no
    /// dimension.
    pub fn add_sentence(&mut self, tokens: ArrayView2<'_, f32>) -> Result<f64> {
        if tokens.ncols() == 0 {
            return Err(Error::Mismatch(
                "cosines of vectors without a dimension".into(),
            ));
        }
        unit_rows(tokens, &mut self.unit)?;
        let parts = pairwise_products(
            &self.unit,
            tokens.ncols(),
            &mut self.cosines,
            |cosines: &mut [f32]| {
                cosines.iter_mut().for_each(|c| *c = c.clamp(-1.0, 1.0));
                Moments::of(cosines)
            },
        )?;
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
    let values = values.as_slice();
    let values = values.expect("as_standard_layout puts the rows one after another");
    unit.resize(values.len(), 0.0);
    let columns = rows.ncols();
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn few_tokens_and_tokens_of_zeros() {
        let mut cosine = Cosine::default();
        for n in [0, 1] {
            assert!(
                cosine
                    .add_sentence(Array2::ones((n, 3)).view())
                    .unwrap()
                    .is_nan()
            );
        }
        let none = cosine.summary();
        assert_eq!((none.count, none.error_bound), (0, 0.0));
        assert!(none.mean.is_nan() && none.variance.is_nan());
        assert!(none.five_numbers.iter().all(|v| v.is_nan()));
        let x = array![[3.0f32, 4.0], [0.0, 0.0], [6.0, 8.0]];
        // cosines 0, 1 and 0
        let variance = cosine.add_sentence(x.view()).unwrap();
        assert!((variance - 2.0 / 9.0).abs() < 1e-7, "{variance}");
        let found = cosine.summary();
        assert_eq!((found.count, found.five_numbers[2]), (3, 0.0));
        assert!((found.five_numbers[4] - 1.0).abs() < 1e-6);
    }

    /// The rows of a view count, however they lie in memory.
    #[test]
    fn rows_of_any_layout() {
        let x = Array2::from_shape_fn((5, 3), |(i, j)| (i * i + j) as f32 - 3.0);
        let by_columns = x.t().as_standard_layout().into_owned().reversed_axes();
        assert!(by_columns.as_slice().is_none());
        let of = |x: ArrayView2<'_, f32>| Cosine::default().add_sentence(x).unwrap();
        assert_eq!(of(x.view()), of(by_columns.view()));
    }

    #[test]
    fn wrong_input_is_refused() {
        let mut cosine = Cosine::default();
        assert!(cosine.add_sentence(Array2::zeros((2, 0)).view()).is_err());
        for bad in [f32::NAN, f32::INFINITY] {
            let x = array![[1.0f32, 2.0], [1.0, bad]];
            let error = cosine.add_sentence(x.view()).unwrap_err();
            assert!(error.to_string().contains("token 1"), "{error}");
        }
        assert_eq!(cosine.summary().count, 0);
    }
}
