//! Where the gradient of a parameter adds up.

use candle_core::{DType, Device, Shape, Tensor};

use super::add_in_place;
use crate::error::Result;

/// The gradient of one parameter, whose memory lives from step to step: fresh memory for every gradient would cost a page
/// fault for each 4 KiB of it.
#[derive(Debug, Default)]
pub enum GradientSlot {
    /// Nothing was added yet.
    #[default]
    Empty,
    /// Memory of an earlier step, to be written over.
    Stale(Tensor),
    /// What was added so far.
    Partial(Tensor),
}

impl GradientSlot {
    /// Add a gradient.
    ///
    /// # Errors
    /// A candle error, on another shape for instance.
    pub fn add(&mut self, gradient: Tensor) -> Result<()> {
        *self = Self::Partial(match std::mem::take(self) {
            Self::Partial(sum) => add_in_place(sum, &gradient)?,
            Self::Empty | Self::Stale(_) => gradient,
        });
        Ok(())
    }

    /// Start anew, keeping the memory.
    pub fn reset(&mut self) {
        *self = match std::mem::take(self) {
            Self::Partial(memory) => Self::Stale(memory),
            other => other,
        };
    }

    /// The sum; `None` when nothing was added.
    pub fn get(&self) -> Option<&Tensor> {
        match self {
            Self::Partial(sum) => Some(sum),
            Self::Empty | Self::Stale(_) => None,
        }
    }

    /// Take the memory out to write into it, f32 of that shape: (memory, whether it holds a sum to add to).
    pub(super) fn memory(&mut self, shape: Shape, device: &Device) -> Result<(Tensor, bool)> {
        Ok(match std::mem::take(self) {
            Self::Partial(sum) => (sum, true),
            Self::Stale(memory) if *memory.shape() == shape => (memory, false),
            Self::Empty | Self::Stale(_) => (Tensor::zeros(shape, DType::F32, device)?, false),
        })
    }
}
