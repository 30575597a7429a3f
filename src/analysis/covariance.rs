//! The spread of the tokens within a sentence.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::linalg::covariance_trace;
use crate::metrics::quantile;

/// The traces of the covariances of the sentences of one layer: how far apart the tokens of each
/// sentence lie.
///
/// Keeps one number per sentence (96 kB for 11,996 of them).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CovarianceTrace {
    traces: Vec<f64>,
}

impl CovarianceTrace {
    /// Add a sentence of shape (tokens, hidden). Returns its trace, with n − 1: NaN when it has one
    /// token or none, as NumPy gives it.
    ///
    /// # Errors
    /// [`Error::Compute`] when a value is NaN or infinite.
    pub fn add_sentence(&mut self, tokens: ArrayView2<'_, f32>) -> Result<f64> {
        let trace = covariance_trace(tokens);
        if tokens.nrows() > 1 && !trace.is_finite() {
            return Err(Error::Compute {
                context: "covariance of a sentence".into(),
                source: "a vector holds NaN or infinite values; check the model's weights".into(),
            });
        }
        self.traces.push(trace);
        Ok(trace)
    }

    /// Add all sentences of another accumulator.
    pub fn merge(&mut self, other: &Self) {
        self.traces.extend_from_slice(&other.traces);
    }

    /// Minimum, lower quartile, median, upper quartile and maximum over the sentences of two tokens
    /// or more; NaN when there is none.
    pub fn five_numbers(&self) -> [f64; 5] {
        let mut sorted: Vec<f64> = self
            .traces
            .iter()
            .copied()
            .filter(|t| t.is_finite())
            .collect();
        sorted.sort_unstable_by(f64::total_cmp);
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&sorted, q))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn sentences_of_few_tokens_have_no_trace() {
        let mut trace = CovarianceTrace::default();
        assert!(trace.five_numbers().iter().all(|v| v.is_nan()));
        for n in [0, 1] {
            assert!(
                trace
                    .add_sentence(Array2::ones((n, 3)).view())
                    .unwrap()
                    .is_nan()
            );
        }
        assert!(trace.five_numbers().iter().all(|v| v.is_nan()));
        assert_eq!(
            trace.add_sentence(Array2::ones((4, 3)).view()).unwrap(),
            0.0
        );
        let two = array![[0.0f32, 1.0], [2.0, 1.0]];
        assert_eq!(trace.add_sentence(two.view()).unwrap(), 2.0);
        assert_eq!(trace.five_numbers(), [0.0, 0.5, 1.0, 1.5, 2.0]);
        let bad = array![[0.0f32, 1.0], [f32::NAN, 1.0]];
        assert!(trace.add_sentence(bad.view()).is_err());
        assert_eq!(trace.five_numbers()[4], 2.0);
    }
}
