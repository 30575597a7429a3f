//! Double-precision linear algebra on faer: covariance, symmetric eigenvalues, singular values of tall matrices.
//!
//! Rows are vectors (tokens, sentences), columns are dimensions. Every failure of an iterative method is an error, never
//! a silent NaN.

mod covariance;
mod products;
mod spectrum;

pub use covariance::{covariance, covariance_trace};
pub use products::pairwise_products;
pub use spectrum::{TallFactor, singular_values, symmetric_eigenvalues};
