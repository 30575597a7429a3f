//! Which tokens of a packed batch a layer computes: all, or the first of each sequence, which is all that a classification
//! head looks at.

use candle_core::Tensor;

use super::cpu;
use crate::error::Result;

/// The tokens that attend. All tokens are attended to.
#[derive(Debug, Clone, Copy)]
pub enum Queries<'a> {
    /// Every token; holds the bounds of the B sequences: the first row of each, and T.
    All(&'a [usize]),
    /// The first token of each sequence; the same bounds.
    First(&'a [usize]),
}

impl<'a> Queries<'a> {
    /// The first row of each sequence, and T.
    pub fn bounds(self) -> &'a [usize] {
        match self {
            Self::All(bounds) | Self::First(bounds) => bounds,
        }
    }

    /// How many rows there are of these tokens.
    pub fn rows(self) -> usize {
        match self {
            Self::All(bounds) => *bounds.last().expect("bounds end with T"),
            Self::First(bounds) => {
                let sequences = bounds.len().checked_sub(1);
                sequences.expect("bounds end with T")
            }
        }
    }

    fn indices(bounds: &[usize], x: &Tensor) -> Result<Tensor> {
        let rows: Vec<u32> = bounds.windows(2).map(|b| b[0] as u32).collect();
        Ok(Tensor::new(rows, x.device())?)
    }

    /// The rows of `x` (T, H) that belong to these tokens.
    ///
    /// # Errors
    /// A candle error.
    pub fn of(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::All(_) => Ok(x.clone()),
            Self::First(bounds) => Ok(x.index_select(&Self::indices(bounds, x)?, 0)?),
        }
    }

    /// Add `part`, rows of these tokens, to their rows of `x` (T, H), written over `x` where that is possible: the backward
    /// pass of [`of`](Self::of) where `x` is the gradient that came by another way.
    ///
    /// # Errors
    /// A candle error.
    pub fn add_to(self, x: Tensor, part: &Tensor) -> Result<Tensor> {
        let bounds = match self {
            Self::All(_) => return super::add_in_place(x, part),
            Self::First(bounds) => bounds,
        };
        if !cpu::applies(&x) || !x.is_contiguous() {
            return Ok(x.index_add(&Self::indices(bounds, &x)?, part, 0)?);
        }
        let width = x.dim(1)?;
        cpu::with(part, |part| {
            cpu::with_mut(&x, |x| {
                for (b, part) in bounds.windows(2).zip(part.chunks_exact(width)) {
                    cpu::add_assign(&mut x[b[0] * width..][..width], part);
                }
            })
        })??;
        Ok(x)
    }
}
