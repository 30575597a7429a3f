//! The two classification heads, on the first token of each sequence.
//!
//! References: transformers' `RobertaClassificationHead` and `XLMSequenceSummary` (`summary_type` "first").

use candle_core::Tensor;

use super::layer::{Drop, HEAD_SITE};
use super::modules::Linear;
use super::parameters::Gradients;
use crate::error::Result;
use crate::nn::{self, Dropout};

/// A classification head.
#[derive(Debug)]
pub enum Head {
    /// Dropout, linear, tanh, dropout, linear.
    Roberta {
        /// H to H.
        dense: Linear,
        /// H to C.
        out_proj: Linear,
    },
    /// Dropout, linear, perhaps tanh, dropout.
    Summary {
        /// H to C.
        summary: Linear,
    },
}

/// What the backward pass of a head needs.
pub struct HeadTape {
    /// The input of the first linear layer.
    input: Tensor,
    /// tanh's output, where there is one.
    tanh: Option<Tensor>,
    /// The input of the last linear layer of RoBERTa's head.
    last_input: Option<Tensor>,
}

/// Dropout on a (B, ·) tensor; the same function serves both passes.
fn dropped(x: &Tensor, p: f64, site: u32, drop: Drop<'_>) -> Result<Tensor> {
    nn::bias_dropout_residual_backward(
        x,
        drop.seed
            .and_then(|seed| Dropout::new(p, HEAD_SITE + site, seed)),
    )
}

/// g·(1 − y²), the gradient through y = tanh(x).
fn tanh_backward(y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    Ok((gradient - gradient.mul(&y.sqr()?)?)?)
}

impl Head {
    /// Logits (B, C) from the first tokens' states (B, H).
    pub(super) fn forward(&self, first: &Tensor, drop: Drop<'_>) -> Result<(Tensor, HeadTape)> {
        let config = drop.config;
        let input = dropped(first, config.head_dropout, 0, drop)?;
        match self {
            Self::Roberta { dense, out_proj } => {
                let tanh = dense.forward(&input)?.tanh()?;
                let last_input = dropped(&tanh, config.head_dropout, 1, drop)?;
                let logits = out_proj.forward(&last_input)?;
                Ok((
                    logits,
                    HeadTape {
                        input,
                        tanh: Some(tanh),
                        last_input: Some(last_input),
                    },
                ))
            }
            Self::Summary { summary } => {
                let x = summary.forward(&input)?;
                let tanh = if config.summary_tanh {
                    Some(x.tanh()?)
                } else {
                    None
                };
                let logits = dropped(
                    tanh.as_ref().unwrap_or(&x),
                    config.summary_last_dropout,
                    1,
                    drop,
                )?;
                Ok((
                    logits,
                    HeadTape {
                        input,
                        tanh,
                        last_input: None,
                    },
                ))
            }
        }
    }

    /// The gradient of the first tokens' states from that of the logits; adds those of the parameters.
    pub(super) fn backward(
        &self,
        tape: HeadTape,
        drop: Drop<'_>,
        gradient: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let config = drop.config;
        let through_tanh = |g: Tensor| match &tape.tanh {
            Some(y) => tanh_backward(y, &g),
            None => Ok(g),
        };
        let of_input = match self {
            Self::Roberta { dense, out_proj } => {
                let last_input = tape.last_input.as_ref();
                let last_input = last_input.expect("RoBERTa's head keeps the input of out_proj");
                let of_last = out_proj.backward(last_input, gradient, gradients)?;
                let of_dense = through_tanh(dropped(&of_last, config.head_dropout, 1, drop)?)?;
                dense.backward(&tape.input, &of_dense, gradients)?
            }
            Self::Summary { summary } => {
                let of_summary =
                    through_tanh(dropped(gradient, config.summary_last_dropout, 1, drop)?)?;
                summary.backward(&tape.input, &of_summary, gradients)?
            }
        };
        dropped(&of_input, config.head_dropout, 0, drop)
    }
}
