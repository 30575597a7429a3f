//! NumPy's `.npy` arrays, several in one file as the original stores them: what `np.save` called again and again on one
//! open file writes, and `np.load` called again and again reads.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Little-endian numbers in C order.

mod header;
mod reader;
mod writer;

pub use header::{DType, Element, Header};
pub use reader::{Array, Values, read_arrays};
pub use writer::NpyWriter;
