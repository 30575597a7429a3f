//! Encoders, classification heads and checkpoints.
//!
//! `architecture` holds the families, one file each; `block` the kinds of layers; `network` the
//! forward and the backward pass that all share; `checkpoint` loads and saves.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::nn::{DropoutSeed, Queries};

mod architecture;
mod block;
mod builder;
pub mod checkpoint;
mod config;
mod embeddings;
mod layers;
mod network;
mod numbers;
mod parameters;
mod pickle;
mod safetensors_file;
mod task;
mod weights;

pub use config::Config;
pub use parameters::{Gradients, Parameter, Parameters};

#[cfg(test)]
mod tests;

/// A packed batch: the tokens of B sequences end to end, T in all, no padding.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Token ids (T).
    pub ids: &'a [u32],
    /// The column of each token in its stored row (T): 0, 1, 2, … where padding stands on the
    /// right.
    pub columns: &'a [u32],
    /// Token types (T), where the model is to see them.
    pub token_type_ids: Option<&'a [u32]>,
    /// First token of each sequence, then T: B + 1 numbers. No sequence is empty.
    pub bounds: &'a [usize],
}

/// An encoder whose hidden states can be looked at.
pub trait Encoder: Send + Sync {
    /// Its configuration.
    fn config(&self) -> &Config;

    /// Compute hidden states 0 (embeddings) to `last` without dropout, and hand each (T, H) to
    /// `visit` with its number; of layer `last` a row for each of `of_last`. Nothing is computed
    /// above `last`, and no state is kept.
    ///
    /// # Errors
    /// An id or a length outside the model's range, an error of `visit`, or a candle error.
    fn hidden_states(
        &self,
        input: &Input<'_>,
        last: usize,
        of_last: Queries,
        visit: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()>;
}

/// The outcome of a training pass over a batch.
#[derive(Debug, Clone)]
pub struct Loss {
    mean: Tensor,
}

impl Loss {
    /// From the mean cross-entropy of a batch, one number in nats.
    pub(crate) fn new(mean: Tensor) -> Self {
        Self { mean }
    }

    /// Mean cross-entropy of the batch, in nats. It is computed on the model's device: asking for
    /// it waits until it is there.
    ///
    /// # Errors
    /// A candle error.
    pub(crate) fn mean(&self) -> Result<f64> {
        let mean = self.mean.to_dtype(candle_core::DType::F64);
        mean.and_then(|m| m.to_scalar())
            .map_err(Error::compute("the loss of a batch"))
    }
}

/// An encoder with a classification head.
pub trait SequenceClassifier: Encoder {
    /// All trainable tensors.
    fn parameters(&self) -> &Parameters;

    /// Leave the embeddings and the lowest `layers` encoder layers as they are: from now on they
    /// get no gradient.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] when the model has fewer layers.
    fn freeze(&mut self, layers: usize) -> Result<()>;

    /// Whether [`Self::accumulate_gradients`] keeps only the input of each layer and computes the
    /// rest again on the way back: less memory, more time, the same gradients to the last bit.
    fn set_gradient_checkpointing(&mut self, on: bool);

    /// Call the classes so, in the order of the logits; there must be as many names as classes.
    fn set_label_names(&mut self, names: &[String]);

    /// Logits (B, C) without dropout.
    ///
    /// # Errors
    /// See [`Encoder::hidden_states`].
    fn logits(&self, input: &Input<'_>) -> Result<Tensor>;

    /// Forward and backward pass of a batch: adds the gradient of `weight` · mean cross-entropy to
    /// `gradients`. Without a `dropout` seed nothing is dropped.
    ///
    /// # Errors
    /// See [`Encoder::hidden_states`].
    fn accumulate_gradients(
        &self,
        input: &Input<'_>,
        labels: &[u32],
        weight: f64,
        dropout: Option<DropoutSeed>,
        gradients: &mut Gradients,
    ) -> Result<Loss>;
}
