//! Where the sequences of a packed batch begin and end, and which of their tokens a layer computes.

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};

/// The tokens that attend. All tokens are attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queries {
    /// Every token.
    All,
    /// The first token of each sequence, which is all that a classification head looks at.
    First,
}

/// The B sequences of a packed batch, on the device where it is computed.
#[derive(Debug)]
pub struct Sequences {
    bounds: Vec<usize>,
    /// The row of the first token of each sequence (B), u32.
    first_rows: Tensor,
}

impl Sequences {
    /// Sequences with these bounds: the first row of each, then T; B + 1 numbers.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless the bounds begin with 0 and never go down; a candle error.
    pub(crate) fn new(bounds: &[usize], device: &Device) -> Result<Self> {
        if bounds.first() != Some(&0) || !bounds.is_sorted() {
            return Err(Error::Mismatch(format!(
                "the bounds of sequences begin with 0 and go up: {bounds:?}"
            )));
        }
        let first: Vec<u32> = bounds.windows(2).map(|b| b[0] as u32).collect();
        Ok(Self {
            bounds: bounds.to_vec(),
            first_rows: Tensor::new(first, device)?,
        })
    }

    /// The first row of each sequence, and T.
    pub(crate) fn bounds(&self) -> &[usize] {
        &self.bounds
    }

    /// T.
    pub(crate) fn num_tokens(&self) -> usize {
        *self.bounds.last().expect("bounds hold at least a 0")
    }

    /// How many rows belong to `queries`.
    pub(crate) fn num_rows(&self, queries: Queries) -> usize {
        match queries {
            Queries::All => self.num_tokens(),
            Queries::First => self.bounds.len() - 1,
        }
    }

    /// The row of the first token of each sequence (B), u32.
    pub(super) fn first_rows(&self) -> &Tensor {
        &self.first_rows
    }

    /// The rows of `x` (T, H) that belong to `queries`.
    ///
    /// # Errors
    /// A candle error.
    pub(crate) fn select(&self, x: &Tensor, queries: Queries) -> Result<Tensor> {
        match queries {
            Queries::All => Ok(x.clone()),
            Queries::First => Ok(x.index_select(&self.first_rows, 0)?),
        }
    }
}
