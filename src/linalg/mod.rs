//! Double-precision linear algebra on faer: covariance, symmetric eigenvalues, singular values of tall matrices, linear equations.
//!
//! Rows are vectors (tokens, sentences), columns are dimensions. Every failure of an iterative method is an error, never
//! a silent NaN.

use faer::Par;

mod covariance;
mod eigen;
mod gram;
mod products;
mod solve;
mod spectrum;
mod tall;
mod vector;

pub use covariance::{covariance, covariance_trace};
pub use eigen::{leading_axes, singular_values, symmetric_eigenvalues};
pub use gram::GramMatrix;
pub use products::{pairwise_products, row_products};
pub use solve::Cholesky;
pub use spectrum::Spectrum;
pub use tall::TallFactor;
pub use vector::{dot, sum, vectorised};

/// Factorise on the calling thread: layers are many and run side by side, and matrices of some hundred columns gain nothing from
/// more threads.
fn on_this_thread() {
    faer::set_global_parallelism(Par::Seq);
}
