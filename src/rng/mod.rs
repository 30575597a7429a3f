//! Random numbers: one seed to many named streams ([`Stream`]), and NumPy's permutation
//! ([`numpy_permutation`]).

mod numpy;
mod philox;

pub use numpy::numpy_permutation;
pub use philox::{Stream, philox4x32};
