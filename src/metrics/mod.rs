//! How good predictions are: accuracy, F1, the confusion matrix, and how sure one can be of them.

mod confusion;
mod interval;

pub use confusion::ConfusionMatrix;
pub use interval::{Interval, bootstrap_interval, quantile, wilson_interval};
