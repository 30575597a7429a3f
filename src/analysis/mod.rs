//! The statistics of the study: accumulators that are fed one sentence and layer at a time, keep a
//! bounded amount of memory, and can be merged, so that shards of a corpus give what one pass over
//! it gives.
//!
//! A sentence is a (tokens, hidden) matrix of single precision: the non-padding tokens, the special
//! ones included. Sums are taken in double precision.

pub mod bootstrap;
pub mod cka;
pub mod cone;
pub mod cosine;
pub mod covariance;
pub mod effective_rank;
pub mod geometry;
pub mod intrinsic_dimension;
pub mod isotropy;
pub mod jackknife;
pub(crate) mod logistic;
pub mod moments;
pub(crate) mod probe;
pub mod quantile;
pub mod sample;
