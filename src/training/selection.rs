//! When a model is evaluated in training, and by what its best state is known.

use serde::{Deserialize, Serialize};

use super::Evaluation;

/// When the model is evaluated during training: transformers' `IntervalStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalStrategy {
    /// Not before the end.
    No,
    /// After every epoch.
    Epoch,
    /// After every so many updates.
    Steps,
}

/// The figure that tells which evaluation was the best: `metric_for_best_model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestMetric {
    /// Mean cross-entropy: the lowest is best.
    Loss,
    /// The share of right predictions.
    Accuracy,
    /// The mean F1 of the classes.
    F1,
}

impl BestMetric {
    /// This figure of an evaluation.
    pub(crate) fn of(self, evaluation: &Evaluation) -> f64 {
        match self {
            Self::Loss => evaluation.loss,
            Self::Accuracy => evaluation.accuracy,
            Self::F1 => evaluation.macro_f1(),
        }
    }

    /// Whether `value` is better than `best`; an equal one is not.
    pub(crate) fn is_better(self, value: f64, best: f64) -> bool {
        match self {
            Self::Loss => value < best,
            Self::Accuracy | Self::F1 => value > best,
        }
    }
}
