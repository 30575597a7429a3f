//! One encoder layer, the same in RoBERTa and XLM: self-attention and a feed-forward block, each with a residual
//! connection and a layer norm after it (post-norm) or before it (pre-norm).
//!
//! References: transformers' `RobertaLayer`, and the loop of `FlaubertModel.forward`.

use candle_core::Tensor;

use super::config::Config;
use super::modules::{LayerNorm, Linear, NormTape};
use super::parameters::Gradients;
use crate::error::Result;
use crate::nn::{self, Activation, AttentionShape, Dropout, DropoutSeed, Queries};

/// The places of a layer where dropout acts; the number of the place keys its random numbers.
#[derive(Clone, Copy)]
enum Site {
    Attention,
    AttentionOutput,
    FeedForward,
}

/// Dropout sites that each layer owns; the embeddings have site 0 and the heads those from [`HEAD_SITE`].
const SITES_PER_LAYER: u32 = 4;
/// The first dropout site of a classification head.
pub(super) const HEAD_SITE: u32 = 1 << 20;

/// One layer of an encoder.
#[derive(Debug)]
pub struct EncoderLayer {
    pub(super) index: usize,
    pub(super) qkv: Linear,
    pub(super) output: Linear,
    pub(super) norm1: LayerNorm,
    pub(super) expand: Linear,
    pub(super) contract: Linear,
    pub(super) norm2: LayerNorm,
    pub(super) shape: AttentionShape,
    pub(super) activation: Activation,
    pub(super) pre_norm: bool,
}

/// The dropout of a training pass.
#[derive(Clone, Copy)]
pub struct Drop<'a> {
    pub(super) config: &'a Config,
    pub(super) seed: Option<DropoutSeed>,
}

impl Drop<'_> {
    fn at(&self, layer: usize, site: Site) -> Option<Dropout> {
        let p = match site {
            Site::Attention => self.config.attention_dropout,
            _ => self.config.hidden_dropout,
        };
        Dropout::new(
            p,
            1 + SITES_PER_LAYER * layer as u32 + site as u32,
            self.seed?,
        )
    }
}

/// What the backward pass of a layer needs: each activation once.
pub struct LayerTape {
    attention_input: Tensor,
    qkv: Tensor,
    context: Tensor,
    norm1: NormTape,
    feed_forward_input: Tensor,
    expanded: Tensor,
    norm2: NormTape,
}

impl EncoderLayer {
    /// The layer's output, a row of H for each of `queries`, from `x` (T, H); in `LayerTape`, what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// A candle error.
    pub fn forward(
        &self,
        x: Tensor,
        queries: Queries<'_>,
        drop: Drop<'_>,
    ) -> Result<(Tensor, LayerTape)> {
        if self.pre_norm {
            self.forward_pre_norm(x, queries, drop)
        } else {
            self.forward_post_norm(x, queries, drop)
        }
    }

    /// What [`forward`](Self::forward) gives without dropout, for when no backward pass follows: nothing is kept, and what is
    /// no longer needed is written over.
    ///
    /// # Errors
    /// A candle error.
    pub fn infer(&self, x: Tensor, queries: Queries<'_>) -> Result<Tensor> {
        let residual = queries.of(&x)?;
        let input = self.norm_if(self.pre_norm, &self.norm1, x)?;
        let context = nn::attention(&self.qkv.forward(&input)?, queries, self.shape, None)?;
        let attended = self.output.product(&context)?;
        let middle = self.close(attended, &self.output, &residual, None)?;
        drop_now((input, residual, context));
        let middle = self.norm_if(!self.pre_norm, &self.norm1, middle)?;
        let input = self.norm_if(self.pre_norm, &self.norm2, middle.clone())?;
        let expanded = self.expand.product(&input)?;
        let activated =
            nn::bias_activation_in_place(expanded, &self.expand.bias.value, self.activation)?;
        let contracted = self.contract.product(&activated)?;
        let y = self.close(contracted, &self.contract, &middle, None)?;
        self.norm_if(!self.pre_norm, &self.norm2, y)
    }

    fn norm_if(&self, here: bool, norm: &LayerNorm, x: Tensor) -> Result<Tensor> {
        Ok(if here { norm.forward(x)?.0 } else { x })
    }

    /// The gradient of the layer's input from that of its output; adds those of its parameters.
    ///
    /// # Errors
    /// A candle error.
    pub fn backward(
        &self,
        tape: LayerTape,
        queries: Queries<'_>,
        drop: Drop<'_>,
        gradient: Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        if self.pre_norm {
            self.backward_pre_norm(tape, queries, drop, gradient, gradients)
        } else {
            self.backward_post_norm(tape, queries, drop, gradient, gradients)
        }
    }

    fn forward_post_norm(
        &self,
        x: Tensor,
        queries: Queries<'_>,
        drop: Drop<'_>,
    ) -> Result<(Tensor, LayerTape)> {
        let (attended, qkv, context) = self.attend(&x, queries, drop)?;
        let sum = self.close(
            attended,
            &self.output,
            &queries.of(&x)?,
            drop.at(self.index, Site::AttentionOutput),
        )?;
        let (middle, norm1) = self.norm1.forward(sum)?;
        let (contracted, expanded) = self.feed_forward(&middle)?;
        let sum = self.close(
            contracted,
            &self.contract,
            &middle,
            drop.at(self.index, Site::FeedForward),
        )?;
        let (y, norm2) = self.norm2.forward(sum)?;
        let tape = LayerTape {
            attention_input: x,
            qkv,
            context,
            norm1,
            feed_forward_input: middle,
            expanded,
            norm2,
        };
        Ok((y, tape))
    }

    fn forward_pre_norm(
        &self,
        x: Tensor,
        queries: Queries<'_>,
        drop: Drop<'_>,
    ) -> Result<(Tensor, LayerTape)> {
        let (normed, norm1) = self.norm1.forward(x)?;
        let (attended, qkv, context) = self.attend(&normed, queries, drop)?;
        let middle = self.close(
            attended,
            &self.output,
            &queries.of(&norm1.x)?,
            drop.at(self.index, Site::AttentionOutput),
        )?;
        let (normed2, norm2) = self.norm2.forward(middle)?;
        let (contracted, expanded) = self.feed_forward(&normed2)?;
        let y = self.close(
            contracted,
            &self.contract,
            &norm2.x,
            drop.at(self.index, Site::FeedForward),
        )?;
        let tape = LayerTape {
            attention_input: normed,
            qkv,
            context,
            norm1,
            feed_forward_input: normed2,
            expanded,
            norm2,
        };
        Ok((y, tape))
    }

    fn backward_post_norm(
        &self,
        tape: LayerTape,
        queries: Queries<'_>,
        drop: Drop<'_>,
        gradient: Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let of_sum = self.norm2.backward(tape.norm2, &gradient, gradients)?;
        let of_block = self.feed_forward_backward(
            &tape.feed_forward_input,
            tape.expanded,
            &of_sum,
            drop,
            gradients,
        )?;
        let of_middle = nn::add_in_place(of_block, &of_sum)?;
        let of_sum = self.norm1.backward(tape.norm1, &of_middle, gradients)?;
        let of_attention = self.attend_backward(
            (&tape.attention_input, tape.qkv, tape.context),
            queries,
            drop,
            &of_sum,
            gradients,
        )?;
        queries.add_to(of_attention, &of_sum)
    }

    fn backward_pre_norm(
        &self,
        tape: LayerTape,
        queries: Queries<'_>,
        drop: Drop<'_>,
        gradient: Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let of_normed = self.feed_forward_backward(
            &tape.feed_forward_input,
            tape.expanded,
            &gradient,
            drop,
            gradients,
        )?;
        let of_middle = nn::add_in_place(
            self.norm2.backward(tape.norm2, &of_normed, gradients)?,
            &gradient,
        )?;
        let of_normed = self.attend_backward(
            (&tape.attention_input, tape.qkv, tape.context),
            queries,
            drop,
            &of_middle,
            gradients,
        )?;
        queries.add_to(
            self.norm1.backward(tape.norm1, &of_normed, gradients)?,
            &of_middle,
        )
    }

    /// The end of a sub-layer: residual + dropout(product + bias).
    fn close(
        &self,
        product: Tensor,
        linear: &Linear,
        residual: &Tensor,
        dropout: Option<Dropout>,
    ) -> Result<Tensor> {
        nn::bias_dropout_residual(product, &linear.bias.value, residual, dropout)
    }

    /// Self-attention up to the output product, without its bias: (product, qkv, context).
    fn attend(
        &self,
        x: &Tensor,
        queries: Queries<'_>,
        drop: Drop<'_>,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let qkv = self.qkv.forward(x)?;
        let context = nn::attention(
            &qkv,
            queries,
            self.shape,
            drop.at(self.index, Site::Attention),
        )?;
        Ok((self.output.product(&context)?, qkv, context))
    }

    /// From the gradient of the sum that closes the sub-layer to that of its input.
    fn attend_backward(
        &self,
        (input, qkv, context): (&Tensor, Tensor, Tensor),
        queries: Queries<'_>,
        drop: Drop<'_>,
        gradient: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let dropout = drop.at(self.index, Site::AttentionOutput);
        let of_output = nn::bias_dropout_residual_backward(gradient, dropout)?;
        let of_context = self.output.backward(&context, &of_output, gradients)?;
        drop_now((context, of_output));
        let dropout = drop.at(self.index, Site::Attention);
        let of_qkv = nn::attention_backward(&qkv, queries, self.shape, dropout, &of_context)?;
        drop_now((qkv, of_context));
        self.qkv.backward(input, &of_qkv, gradients)
    }

    /// The feed-forward block up to its second product, without the bias: (product, x·Wᵀ + b of the first layer).
    fn feed_forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (activated, expanded) = nn::bias_activation(
            self.expand.product(x)?,
            &self.expand.bias.value,
            self.activation,
        )?;
        Ok((self.contract.product(&activated)?, expanded))
    }

    fn feed_forward_backward(
        &self,
        input: &Tensor,
        expanded: Tensor,
        gradient: &Tensor,
        drop: Drop<'_>,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let dropout = drop.at(self.index, Site::FeedForward);
        let of_contracted = nn::bias_dropout_residual_backward(gradient, dropout)?;
        let (activated, derivative) = nn::bias_activation_backward(expanded, self.activation)?;
        let of_activated = self
            .contract
            .backward(&activated, &of_contracted, gradients)?;
        drop_now((activated, of_contracted));
        let of_expanded = nn::multiply_in_place(of_activated, &derivative)?;
        drop_now(derivative);
        self.expand.backward(input, &of_expanded, gradients)
    }
}

/// Frees tensors before the next large one is made.
fn drop_now<T>(_: T) {}
