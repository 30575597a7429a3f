//! Layers over packed sequences, each with a forward and a backward pass.
//!
//! candle's own fused layer norm and softmax have no backward pass and drop the gradient without an error (candle
//! issues #2977 and #3011), so nothing here relies on its autograd: every function `f` has a twin `f_backward` that
//! takes what the forward pass kept and the gradient of the result, and returns the gradients of the inputs.
//!
//! On the CPU the functions are vectorised loops over all cores (`cpu`); elsewhere they go through [`plain`], the
//! same formulas in ordinary candle operations, whose backward pass is candle's autograd. The tests hold one against
//! the other and both against finite differences.
//!
//! Every kernel opens a `tracing` span of level TRACE with its name, from which a bench tells where a step's time goes.
//!
//! Shapes: T tokens of a packed batch (its B sequences laid end to end, no padding), H hidden size, A heads, C classes.
//! Everything is row-major; the CPU path is f32.

mod activation;
mod attention;
mod cpu;
mod dropout;
mod embedding;
mod gradient;
mod layer_norm;
mod linear;
mod loss;
pub mod plain;
mod queries;
mod residual;
mod update;

pub use activation::{
    Activation, bias_activation, bias_activation_backward, bias_activation_in_place,
};
pub use attention::{AttentionShape, attention, attention_backward};
pub use dropout::{Dropout, DropoutSeed};
pub use embedding::{embedding_sum, embedding_sum_backward};
pub use gradient::GradientSlot;
pub use layer_norm::{LayerNormStats, layer_norm, layer_norm_backward};
pub use linear::{add_bias, bias_backward, linear_backward, linear_no_bias, weight_backward};
pub use loss::{CrossEntropy, cross_entropy};
pub use queries::Queries;
pub use residual::{bias_dropout_residual, bias_dropout_residual_backward};
pub use update::{
    AdamWStep, adamw_step, add_in_place, multiply_in_place, scale_in_place, sum_of_squares,
};

#[cfg(test)]
pub(crate) mod tests;
