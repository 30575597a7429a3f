//! Double-precision linear algebra on faer: covariance, symmetric eigenvalues, singular values of
//! tall matrices, linear equations.
//!
//! Rows are vectors (tokens, sentences), columns are dimensions. Every failure of an iterative
//! method is an error, never a silent NaN.

use faer::Par;
use ndarray::{CowArray, Ix2};

mod covariance;
mod eigen;
mod gram;
mod products;
mod solve;
mod spectrum;
mod tall;
mod vector;

pub use covariance::{covariance, covariance_trace};
pub(crate) use eigen::leading_axes;
pub use gram::GramMatrix;
pub(crate) use products::{pairwise_products, row_products};
pub(crate) use solve::Cholesky;
pub use spectrum::Spectrum;
pub use tall::TallFactor;
pub(crate) use vector::{dot, sum, vectorised};

/// The numbers of what `as_standard_layout` gave, row by row.
fn row_major<'a, T>(x: &'a CowArray<'_, T, Ix2>) -> &'a [T] {
    x.as_slice()
        .expect("as_standard_layout puts the rows one after another")
}

/// Factorise on the calling thread: layers are many and run side by side, and matrices of some
/// hundred columns gain nothing from more threads.
fn on_this_thread() {
    faer::set_global_parallelism(Par::Seq);
}
