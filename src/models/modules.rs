//! A linear layer and a layer norm: kernels of `nn` with the parameters that they take and whose gradients they add.

use candle_core::Tensor;

use super::parameters::{Gradients, Weight};
use crate::error::Result;
use crate::nn::{self, LayerNormStats};

/// A linear layer: weight (O, I) and bias (O).
#[derive(Debug)]
pub struct Linear {
    pub(super) weight: Weight,
    pub(super) bias: Weight,
}

impl Linear {
    /// x·Wᵀ without the bias, which the next operation adds.
    pub(super) fn product(&self, x: &Tensor) -> Result<Tensor> {
        nn::linear_no_bias(x, &self.weight.value)
    }

    /// x·Wᵀ + b.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        nn::add_bias(self.product(x)?, &self.bias.value)
    }

    /// Adds the gradients of weight and bias; returns that of `x`.
    pub(super) fn backward(
        &self,
        x: &Tensor,
        gradient: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        nn::weight_backward(x, gradient, gradients.slot(&self.weight))?;
        gradients.add(&self.bias, nn::bias_backward(gradient)?)?;
        nn::linear_backward(&self.weight.value, gradient)
    }
}

/// A layer norm: γ and β (H).
#[derive(Debug)]
pub struct LayerNorm {
    pub(super) gamma: Weight,
    pub(super) beta: Weight,
    pub(super) epsilon: f64,
}

/// What the backward pass of a layer norm needs.
pub struct NormTape {
    /// What went in.
    pub(super) x: Tensor,
    stats: LayerNormStats,
}

impl LayerNorm {
    pub(super) fn forward(&self, x: Tensor) -> Result<(Tensor, NormTape)> {
        let (y, stats) = nn::layer_norm(&x, &self.gamma.value, &self.beta.value, self.epsilon)?;
        Ok((y, NormTape { x, stats }))
    }

    pub(super) fn backward(
        &self,
        tape: NormTape,
        gradient: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let (x, gamma, beta) = nn::layer_norm_backward(
            &tape.x,
            &tape.stats,
            &self.gamma.value,
            self.epsilon,
            gradient,
        )?;
        gradients.add(&self.gamma, gamma)?;
        gradients.add(&self.beta, beta)?;
        Ok(x)
    }
}
