//! What every network is made of: a pass and its way back, linear layers and layer norms with the
//! parameters that they take and whose gradients they add.

use std::fmt::Debug;

use candle_core::Tensor;

use super::parameters::{Gradients, Weight};
use crate::error::Result;
use crate::nn::{self, Dropout, DropoutSeed, Owned, Sequences};

/// What a pass over a batch is given everywhere in the network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(crate) sequences: &'a Sequences,
    /// Without one nothing is dropped.
    pub(crate) dropout: Option<DropoutSeed>,
}

/// The way back through a part of the network: from the gradient of its output to that of its
/// input, adding those of its parameters. It holds what it needs of the forward pass.
pub(super) type Backward<'a> =
    Box<dyn FnOnce(Tensor, &mut Gradients) -> Result<Tensor> + Send + 'a>;

/// A classification head, on the first token of each sequence.
pub(super) trait Head: Debug + Send + Sync {
    /// Logits (B, C) from the states of the first tokens (B, H), and the way back.
    ///
    /// # Errors
    /// A candle error.
    fn forward<'a>(&'a self, first: &Tensor, pass: Pass<'a>) -> Result<(Tensor, Backward<'a>)>;
}

/// The dropout site of the embeddings. The number of a site keys its random numbers.
pub(super) const EMBEDDINGS_SITE: u32 = 0;
/// The first dropout site of a classification head.
pub(super) const HEAD_SITE: u32 = 1 << 20;
/// Dropout sites that each layer of the encoder owns, from 1 on.
pub(super) const SITES_PER_LAYER: u32 = 4;

impl Pass<'_> {
    /// The dropout of this pass with probability `p` at a site; `None` where nothing is dropped.
    pub(crate) fn dropout(&self, p: f64, site: u32) -> Option<Dropout> {
        Dropout::new(p, site, self.dropout?)
    }

    /// Dropout on a tensor of a classification head (B, ·) or on its gradient; `site` counts from
    /// 0.
    pub(crate) fn drop_head(&self, x: &Tensor, p: f64, site: u32) -> Result<Tensor> {
        nn::dropout(x, self.dropout(p, HEAD_SITE + site))
    }
}

/// A linear layer: weight (O, I) and bias (O).
#[derive(Debug)]
pub(super) struct Linear {
    pub(crate) weight: Weight,
    pub(crate) bias: Weight,
}

impl Linear {
    /// x·Wᵀ without the bias, which the next operation adds.
    pub(crate) fn product(&self, x: &Tensor) -> Result<Owned> {
        nn::linear_no_bias(x, &self.weight.value)
    }

    /// x·Wᵀ + b.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(nn::add_bias(self.product(x)?, &self.bias.value)?.into_tensor())
    }

    /// Adds the gradients of weight and bias; returns that of `x`.
    pub(crate) fn backward(
        &self,
        x: &Tensor,
        gradient: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Owned> {
        nn::weight_backward(x, gradient, gradients.slot(&self.weight))?;
        gradients.add(&self.bias, nn::bias_backward(gradient)?)?;
        nn::linear_backward(&self.weight.value, gradient)
    }
}

/// A layer norm: γ and β (H), which checkpoints call `weight` and `bias`.
#[derive(Debug)]
pub(super) struct LayerNorm {
    pub(crate) weight: Weight,
    pub(crate) bias: Weight,
    pub(crate) epsilon: f64,
}

impl LayerNorm {
    /// The normed `x` (T, H), and the way back.
    pub(crate) fn forward(
        &self,
        x: Tensor,
    ) -> Result<(
        Tensor,
        impl FnOnce(&Tensor, &mut Gradients) -> Result<Owned> + Send,
    )> {
        let (gamma, beta) = (&self.weight.value, &self.bias.value);
        let (y, statistics) = nn::layer_norm(&x, gamma, beta, self.epsilon)?;
        let backward = move |gradient: &Tensor, gradients: &mut Gradients| {
            let [of_x, of_gamma, of_beta] =
                nn::layer_norm_backward(&x, &statistics, gamma, self.epsilon, gradient)?;
            gradients.add(&self.weight, of_gamma)?;
            gradients.add(&self.bias, of_beta)?;
            Ok(of_x)
        };
        Ok((y, backward))
    }
}
