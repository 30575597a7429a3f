//! Tensors that may be written over, and the place where the gradient of a parameter adds up.

use candle_core::{DType, Device, Shape, Tensor};

use crate::error::Result;

/// A tensor whose storage nobody else holds: only such a one may be written over. What a kernel
/// makes anew is one; once given away as a [`Tensor`], which can be cloned, it is one no more.
#[derive(Debug)]
pub(crate) struct Owned(Tensor);

impl Owned {
    /// For what was just made and is contiguous; the caller keeps no other handle on it.
    pub(super) fn new(fresh: Tensor) -> Self {
        Self(fresh)
    }

    /// Zeros.
    ///
    /// # Errors
    /// A candle error.
    pub(crate) fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        Ok(Self(Tensor::zeros(shape, dtype, device)?))
    }

    /// A copy of `t`.
    ///
    /// # Errors
    /// A candle error.
    #[cfg(test)]
    pub(crate) fn copy_of(t: &Tensor) -> Result<Self> {
        Ok(Self(t.force_contiguous()?.detach()))
    }

    /// A copy of the values.
    ///
    /// # Errors
    /// A candle error.
    #[cfg(test)]
    pub(crate) fn to_tensor(&self) -> Result<Tensor> {
        Ok(self.0.copy()?)
    }

    /// Give it away: from now on it may be shared, and is not written over any more.
    pub(crate) fn into_tensor(self) -> Tensor {
        self.0
    }

    /// The tensor to be read by a kernel, which does not keep it.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.0
    }
}

/// The gradient of one parameter, whose memory lives from step to step: fresh memory for every
/// gradient would cost a page fault for each 4 KiB of it.
#[derive(Debug, Default)]
pub(crate) enum GradientSlot {
    /// Nothing was added yet.
    #[default]
    Empty,
    /// Memory of an earlier step, to be written over.
    Stale(Owned),
    /// What was added so far.
    Partial(Owned),
}

impl GradientSlot {
    /// Start anew, keeping the memory.
    pub(crate) fn reset(&mut self) {
        *self = match std::mem::take(self) {
            Self::Partial(memory) => Self::Stale(memory),
            other => other,
        };
    }

    /// The sum; `None` when nothing was added.
    pub(crate) fn get(&self) -> Option<&Owned> {
        match self {
            Self::Partial(sum) => Some(sum),
            Self::Empty | Self::Stale(_) => None,
        }
    }

    /// Take the memory out to write into it: (memory, whether it holds a sum to add to).
    pub(super) fn memory(
        &mut self,
        shape: Shape,
        dtype: DType,
        device: &Device,
    ) -> Result<(Owned, bool)> {
        let fits = |t: &Tensor| *t.shape() == shape && t.dtype() == dtype;
        Ok(match std::mem::take(self) {
            Self::Partial(sum) => (sum, true),
            Self::Stale(memory) if fits(memory.tensor()) => (memory, false),
            Self::Empty | Self::Stale(_) => (Owned::zeros(shape, dtype, device)?, false),
        })
    }
}
