//! Random numbers: one seed to many named streams ([`Stream`]), and NumPy's permutation
//! ([`numpy_permutation`]).

mod numpy;
mod philox;

pub(crate) use numpy::numpy_permutation;
pub use philox::{Stream, philox4x32};
