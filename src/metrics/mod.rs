//! How good predictions are: accuracy, F1, the confusion matrix, and how sure one can be of them;
//! rank correlation.

mod confusion;
mod correlation;
mod interval;

pub(crate) use confusion::ConfusionMatrix;
pub(crate) use correlation::{spearman, spearman_interval};
pub(crate) use interval::{Interval, bootstrap_interval, quantile, wilson_interval};
