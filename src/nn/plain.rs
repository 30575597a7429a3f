//! The layers in ordinary candle operations: the path of every device but the CPU, and the slow reference that the
//! fast path is tested against. All of them can be differentiated by candle's autograd, through [`vjp`].

use candle_core::{D, Tensor, Var};

use super::{Activation, AttentionShape, Dropout, Queries};
use crate::error::{Error, Result};

/// The product of `gradient` with the Jacobian of `f` at `inputs`, by candle's autograd: one gradient per input.
///
/// # Errors
/// A candle error, or [`Error::Mismatch`] when an input receives no gradient, which means that an operation
/// without a backward pass was used.
pub fn vjp(
    inputs: &[&Tensor],
    gradient: &Tensor,
    f: impl FnOnce(&[Tensor]) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let variables = inputs
        .iter()
        .map(|t| Var::from_tensor(&t.detach()))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let value = f(&tensors)?;
    let gradients = value.mul(gradient)?.sum_all()?.backward()?;
    let of = |v: &Var| {
        gradients
            .get(v)
            .cloned()
            .ok_or_else(|| Error::Mismatch("an input received no gradient".into()))
    };
    variables.iter().map(of).collect()
}

/// See [`super::layer_norm`].
///
/// # Errors
/// A candle error.
pub fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, epsilon: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normalised = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?;
    Ok(normalised.broadcast_mul(gamma)?.broadcast_add(beta)?)
}

/// See [`super::bias_activation`]; `u` already holds the bias.
///
/// # Errors
/// A candle error.
pub fn activation(u: &Tensor, f: Activation) -> Result<Tensor> {
    Ok(match f {
        Activation::Gelu => u.gelu_erf()?,
        // candle's own has the derivative 1 at 0, torch's and the kernels' 0.
        Activation::Relu => {
            let zeros = u.zeros_like()?;
            u.gt(&zeros)?.where_cond(u, &zeros)?
        }
    })
}

/// See [`super::bias_dropout_residual`].
///
/// # Errors
/// A candle error.
pub fn bias_dropout_residual(
    x: &Tensor,
    bias: &Tensor,
    residual: &Tensor,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let x = x.broadcast_add(bias)?;
    let x = match dropout {
        None => x,
        Some(d) => {
            let (rows, width) = x.dims2()?;
            x.mul(&d.mask(0, rows, width, x.device())?.to_dtype(x.dtype())?)?
        }
    };
    Ok((x + residual)?)
}

/// Softmax over the last dimension, shifted by the row's maximum; unlike `candle_nn::ops::softmax_last_dim` it can be
/// differentiated.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let shifted = scores
        .broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?
        .exp()?;
    Ok(shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?)
}

/// See [`super::attention`].
///
/// # Errors
/// A candle error.
pub fn attention(
    qkv: &Tensor,
    queries: Queries<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let (heads, hidden) = (shape.heads, shape.hidden());
    let mut outputs = Vec::with_capacity(queries.bounds().len());
    for pair in queries.bounds().windows(2) {
        let (start, length) = (pair[0], pair[1] - pair[0]);
        let part = |i: usize| -> Result<Tensor> {
            let x = qkv
                .narrow(0, start, length)?
                .narrow(1, i * hidden, hidden)?;
            Ok(x.reshape((length, heads, shape.head_size))?
                .transpose(0, 1)?
                .contiguous()?)
        };
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let scores = (q.matmul(&k.t()?)? * shape.scale())?;
        let mut weights = softmax(&scores)?;
        if let Some(d) = dropout {
            let mask = d
                .mask(start * heads, length * heads, length, qkv.device())?
                .to_dtype(qkv.dtype())?;
            weights = weights.mul(&mask.reshape((length, heads, length))?.transpose(0, 1)?)?;
        }
        outputs.push(
            weights
                .matmul(&v)?
                .transpose(0, 1)?
                .reshape((length, hidden))?,
        );
    }
    queries.of(&Tensor::cat(&outputs, 0)?)
}
