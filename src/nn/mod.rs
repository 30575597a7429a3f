//! Layers over packed sequences, each with a forward and a backward pass.
//!
//! candle's own fused layer norm and softmax have no backward pass and drop the gradient without an
//! error (candle issues #2977 and #3011), so nothing here relies on its autograd: every kernel `f`
//! has a twin `f_backward` that takes what the forward pass kept and the gradient of the result,
//! and returns the gradients of the inputs.
//!
//! `kernels` is the one seam for devices: each function there checks its shapes and dispatches once
//! on the backend of its input. The backends are `cpu`, vectorised loops in f32 over all cores, and
//! [`plain`], the same formulas in ordinary candle operations, which runs on any device and in any
//! type of number; its backward passes are candle's autograd. The tests hold one against the other
//! and both against finite differences.
//!
//! Memory is written over only where nobody else can see it: kernels that do so take an [`Owned`]
//! tensor, which cannot be shared, or a candle `Var`, whose purpose is to change.
//!
//! Every kernel opens a `tracing` span of level TRACE with its name, from which a bench tells where
//! the time of a step goes.
//!
//! Shapes: T tokens of a packed batch (its B sequences laid end to end, no padding), H hidden size,
//! A heads, C classes. Everything is row-major.

mod cpu;
mod kernels;
mod options;
mod owned;
pub(crate) mod plain;
mod sequences;

pub use options::DropoutSeed;
pub use sequences::{Queries, Sequences};

pub(crate) use kernels::{
    adamw_step, add_bias, add_in_place, attention, attention_backward, bias_activation,
    bias_activation_backward, bias_activation_in_place, bias_backward, bias_dropout_residual,
    cross_entropy, dropout, embedding_sum, embedding_sum_backward, layer_norm, layer_norm_backward,
    linear_backward, linear_no_bias, multiply_in_place, sum_of_squares, weight_backward,
};
pub(crate) use options::{Activation, AdamWStep, AttentionShape, Dropout};
pub(crate) use owned::{GradientSlot, Owned};

#[cfg(test)]
pub(crate) mod tests;
