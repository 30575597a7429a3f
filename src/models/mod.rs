//! Encoders, classification heads and checkpoints.
//!
//! CamemBERT is RoBERTa and FlauBERT is XLM; layer by layer they are the same network (`layer`), so one type
//! ([`Network`]) holds either. `camembert` and `flaubert` say how their tensors are called and what is embedded.

use candle_core::Tensor;

use crate::error::Result;
use crate::nn::{DropoutSeed, Queries};

mod camembert;
pub mod checkpoint;
mod config;
mod config_reader;
mod embeddings;
mod flaubert;
mod heads;
mod layer;
mod loading;
mod modules;
mod network;
mod numbers;
mod parameters;
mod pickle;
mod safetensors_file;
mod task;
mod weights;

pub use config::{Config, Family};
pub use network::Network;
pub use parameters::{Gradients, Parameter, Parameters};
pub use task::{OtherHead, Task};

#[cfg(test)]
mod tests;

/// A packed batch: the tokens of B sequences end to end, T in all, no padding.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Token ids (T).
    pub ids: &'a [u32],
    /// The column of each token in its stored row (T): 0, 1, 2, … where padding stands on the right.
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

    /// Compute hidden states 0 (embeddings) to `last` without dropout, and hand each (T, H) to `visit` with its number; of
    /// layer `last` a row for each of `of_last`. Nothing is computed above `last`, and no state is kept.
    ///
    /// # Errors
    /// An id or a length outside the model's range, an error of `visit`, or a candle error.
    fn hidden_states(
        &self,
        input: &Input<'_>,
        last: usize,
        of_last: Queries<'_>,
        visit: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()>;
}

/// The outcome of a training pass over a batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Mean cross-entropy of the batch, in nats.
    pub mean: f64,
}

/// An encoder with a classification head.
pub trait SequenceClassifier: Encoder {
    /// All trainable tensors.
    fn parameters(&self) -> &Parameters;

    /// Leave the embeddings and the lowest `layers` encoder layers as they are: from now on they get no gradient.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] when the model has fewer layers.
    fn freeze(&mut self, layers: usize) -> Result<()>;

    /// Whether [`Self::accumulate_gradients`] keeps only the input of each layer and computes the rest again on the way back: less
    /// memory, more time, the same gradients to the last bit.
    fn set_gradient_checkpointing(&mut self, on: bool);

    /// Call the classes so, in the order of the logits; there must be as many names as classes.
    fn set_label_names(&mut self, names: &[String]);

    /// Logits (B, C) without dropout.
    ///
    /// # Errors
    /// See [`Encoder::hidden_states`].
    fn logits(&self, input: &Input<'_>) -> Result<Tensor>;

    /// Forward and backward pass of a batch: adds the gradient of `weight` · mean cross-entropy to `gradients`.
    /// Without a `dropout` seed nothing is dropped.
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
