//! The layers of an encoder. All families so far share one kind: self-attention and a feed-forward
//! block, each with a residual connection and a layer norm after it (post-norm) or before it
//! (pre-norm).
//!
//! References: transformers' `RobertaLayer`, and the loop of `FlaubertModel.forward`.

use std::fmt::Debug;

use candle_core::Tensor;

use super::builder::Builder;
use super::config::Config;
use super::layers::{Backward, LayerNorm, Linear, Pass, SITES_PER_LAYER};
use super::parameters::Gradients;
use crate::error::Result;
use crate::nn::{self, Activation, AttentionShape, Dropout, Owned, Queries};

/// A layer of an encoder.
pub(super) trait Block: Debug + Send + Sync {
    /// The layer's output, a row of H for each of `queries`, from `x` (T, H), and the way back.
    ///
    /// # Errors
    /// A candle error.
    fn forward<'a>(
        &'a self,
        x: Tensor,
        queries: Queries,
        pass: Pass<'a>,
    ) -> Result<(Tensor, Backward<'a>)>;

    /// What [`forward`](Self::forward) gives without dropout, for when no backward pass follows:
    /// nothing is kept, and what is no longer needed is written over.
    ///
    /// # Errors
    /// A candle error.
    fn infer(&self, x: Tensor, queries: Queries, pass: Pass<'_>) -> Result<Tensor>;
}

/// What a family calls the tensors of a [`TransformerBlock`]; `{}` stands for the layer's number.
pub(super) struct BlockNames {
    pub(crate) qkv: [&'static str; 3],
    pub(crate) attention_output: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) intermediate: &'static str,
    pub(crate) output: &'static str,
    pub(crate) output_norm: &'static str,
}

/// The layer of BERT and its kin (Vaswani et al. 2017).
#[derive(Debug)]
pub(super) struct TransformerBlock {
    /// Query, key and value, one below the other: H to 3H.
    qkv: Linear,
    /// H to H.
    attention_output: Linear,
    attention_norm: LayerNorm,
    /// H to I.
    intermediate: Linear,
    /// I to H.
    output: Linear,
    output_norm: LayerNorm,
    shape: AttentionShape,
    activation: Activation,
    pre_norm: bool,
    attention_dropout: f64,
    hidden_dropout: f64,
    /// The number of its first dropout site.
    first_site: u32,
}

/// The dropout sites of a layer, in the order of their numbers.
#[derive(Clone, Copy)]
enum Site {
    Attention,
    AttentionOutput,
    Output,
}

impl TransformerBlock {
    /// Layer `index` of a checkpoint.
    pub(crate) fn load(
        builder: &mut Builder<'_>,
        config: &Config,
        index: usize,
        names: &BlockNames,
    ) -> Result<Self> {
        let name = |pattern: &str| pattern.replace("{}", &index.to_string());
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            qkv: builder.linear(&names.qkv.map(name), hidden, hidden)?,
            attention_output: builder.linear(&[name(names.attention_output)], hidden, hidden)?,
            attention_norm: builder.layer_norm(&name(names.attention_norm), config)?,
            intermediate: builder.linear(&[name(names.intermediate)], wide, hidden)?,
            output: builder.linear(&[name(names.output)], hidden, wide)?,
            output_norm: builder.layer_norm(&name(names.output_norm), config)?,
            shape: config.attention_shape(),
            activation: config.activation,
            pre_norm: config.pre_norm,
            attention_dropout: config.attention_dropout,
            hidden_dropout: config.hidden_dropout,
            first_site: 1 + SITES_PER_LAYER * index as u32,
        })
    }

    fn dropout(&self, site: Site, pass: Pass<'_>) -> Option<Dropout> {
        let p = match site {
            Site::Attention => self.attention_dropout,
            Site::AttentionOutput | Site::Output => self.hidden_dropout,
        };
        pass.dropout(p, self.first_site + site as u32)
    }

    fn forward_post_norm<'a>(
        &'a self,
        x: Tensor,
        queries: Queries,
        pass: Pass<'a>,
    ) -> Result<(Tensor, Backward<'a>)> {
        let [attention_output, output] = self.ends();
        let residual = pass.sequences.select(&x, queries)?;
        let (attended, attention_backward) = self.attend(x, queries, pass)?;
        let sum = self.close(attended, attention_output, &residual, pass)?;
        drop(residual);
        let (middle, attention_norm_backward) = self.attention_norm.forward(sum)?;
        let (contracted, feed_forward_backward) = self.feed_forward(middle.clone(), pass)?;
        let sum = self.close(contracted, output, &middle, pass)?;
        drop(middle);
        let (y, output_norm_backward) = self.output_norm.forward(sum)?;
        let backward: Backward<'a> = Box::new(move |gradient, gradients| {
            let of_sum = output_norm_backward(&gradient, gradients)?.into_tensor();
            let of_block = feed_forward_backward(&of_sum, gradients)?;
            let of_middle = nn::add_in_place(of_block, &of_sum)?.into_tensor();
            let of_sum = attention_norm_backward(&of_middle, gradients)?.into_tensor();
            let of_x = attention_backward(&of_sum, gradients)?;
            Ok(pass.sequences.add(of_x, &of_sum, queries)?.into_tensor())
        });
        Ok((y, backward))
    }

    fn forward_pre_norm<'a>(
        &'a self,
        x: Tensor,
        queries: Queries,
        pass: Pass<'a>,
    ) -> Result<(Tensor, Backward<'a>)> {
        let [attention_output, output] = self.ends();
        let residual = pass.sequences.select(&x, queries)?;
        let (normed, attention_norm_backward) = self.attention_norm.forward(x)?;
        let (attended, attention_backward) = self.attend(normed, queries, pass)?;
        let middle = self.close(attended, attention_output, &residual, pass)?;
        drop(residual);
        let (normed, output_norm_backward) = self.output_norm.forward(middle.clone())?;
        let (contracted, feed_forward_backward) = self.feed_forward(normed, pass)?;
        let y = self.close(contracted, output, &middle, pass)?;
        let backward: Backward<'a> = Box::new(move |gradient, gradients| {
            let of_normed = feed_forward_backward(&gradient, gradients)?.into_tensor();
            let of_middle = output_norm_backward(&of_normed, gradients)?;
            let of_middle = nn::add_in_place(of_middle, &gradient)?.into_tensor();
            let of_normed = attention_backward(&of_middle, gradients)?.into_tensor();
            let of_x = attention_norm_backward(&of_normed, gradients)?;
            Ok(pass.sequences.add(of_x, &of_middle, queries)?.into_tensor())
        });
        Ok((y, backward))
    }

    /// The last linear layer of either sub-layer, with the dropout behind it.
    fn ends(&self) -> [(&Linear, Site); 2] {
        [
            (&self.attention_output, Site::AttentionOutput),
            (&self.output, Site::Output),
        ]
    }

    /// The end of a sub-layer: residual + dropout(product + bias).
    fn close(
        &self,
        product: Owned,
        (linear, site): (&Linear, Site),
        residual: &Tensor,
        pass: Pass<'_>,
    ) -> Result<Tensor> {
        let dropout = self.dropout(site, pass);
        let sum = nn::bias_dropout_residual(product, &linear.bias.value, residual, dropout)?;
        Ok(sum.into_tensor())
    }

    /// Self-attention up to the product of the output layer, without its bias; and the way back,
    /// from the gradient of the sum that closes the sub-layer.
    fn attend<'a>(
        &'a self,
        x: Tensor,
        queries: Queries,
        pass: Pass<'a>,
    ) -> Result<(
        Owned,
        impl FnOnce(&Tensor, &mut Gradients) -> Result<Owned> + Send + 'a,
    )> {
        let (sequences, shape) = (pass.sequences, self.shape);
        let dropout = self.dropout(Site::Attention, pass);
        let qkv = self.qkv.forward(&x)?;
        let context = nn::attention(&qkv, sequences, queries, shape, dropout)?;
        let product = self.attention_output.product(&context)?;
        let backward = move |gradient: &Tensor, gradients: &mut Gradients| {
            let of_output = nn::dropout(gradient, self.dropout(Site::AttentionOutput, pass))?;
            let of_context = self
                .attention_output
                .backward(&context, &of_output, gradients)?;
            drop((context, of_output));
            let of_context = of_context.into_tensor();
            let of_qkv =
                nn::attention_backward(&qkv, sequences, queries, shape, dropout, &of_context)?;
            drop((qkv, of_context));
            self.qkv.backward(&x, &of_qkv, gradients)
        };
        Ok((product, backward))
    }

    /// The feed-forward block up to its second product, without the bias; and the way back, from
    /// the gradient of the sum that closes the sub-layer.
    fn feed_forward<'a>(
        &'a self,
        x: Tensor,
        pass: Pass<'a>,
    ) -> Result<(
        Owned,
        impl FnOnce(&Tensor, &mut Gradients) -> Result<Owned> + Send + 'a,
    )> {
        let (product, bias) = (self.intermediate.product(&x)?, &self.intermediate.bias);
        let (activated, expanded) = nn::bias_activation(product, &bias.value, self.activation)?;
        let product = self.output.product(&activated)?;
        let backward = move |gradient: &Tensor, gradients: &mut Gradients| {
            let of_output = nn::dropout(gradient, self.dropout(Site::Output, pass))?;
            let (activated, derivative) = nn::bias_activation_backward(expanded, self.activation)?;
            let of_activated = self.output.backward(&activated, &of_output, gradients)?;
            drop((activated, of_output));
            let of_expanded = nn::multiply_in_place(of_activated, &derivative)?.into_tensor();
            drop(derivative);
            self.intermediate.backward(&x, &of_expanded, gradients)
        };
        Ok((product, backward))
    }
}

impl Block for TransformerBlock {
    fn forward<'a>(
        &'a self,
        x: Tensor,
        queries: Queries,
        pass: Pass<'a>,
    ) -> Result<(Tensor, Backward<'a>)> {
        match self.pre_norm {
            true => self.forward_pre_norm(x, queries, pass),
            false => self.forward_post_norm(x, queries, pass),
        }
    }

    fn infer(&self, x: Tensor, queries: Queries, pass: Pass<'_>) -> Result<Tensor> {
        let pass = Pass {
            dropout: None,
            ..pass
        };
        let norm_if = |here: bool, norm: &LayerNorm, x: Tensor| match here {
            true => Ok(norm.forward(x)?.0),
            false => Ok(x),
        };
        let [attention_output, output] = self.ends();
        let residual = pass.sequences.select(&x, queries)?;
        let input = norm_if(self.pre_norm, &self.attention_norm, x)?;
        let qkv = self.qkv.forward(&input)?;
        let context = nn::attention(&qkv, pass.sequences, queries, self.shape, None)?;
        drop((input, qkv));
        let attended = self.attention_output.product(&context)?;
        let middle = self.close(attended, attention_output, &residual, pass)?;
        drop((residual, context));
        let middle = norm_if(!self.pre_norm, &self.attention_norm, middle)?;
        let input = norm_if(self.pre_norm, &self.output_norm, middle.clone())?;
        let (product, bias) = (self.intermediate.product(&input)?, &self.intermediate.bias);
        let activated = nn::bias_activation_in_place(product, &bias.value, self.activation)?;
        let contracted = self.output.product(&activated.into_tensor())?;
        let y = self.close(contracted, output, &middle, pass)?;
        norm_if(!self.pre_norm, &self.output_norm, y)
    }
}
