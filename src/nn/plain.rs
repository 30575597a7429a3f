//! The kernels in ordinary candle operations: the path of every device that has none of its own,
//! and the slow reference that the others are tested against. Their values can be differentiated by
//! candle's autograd, through [`vjp`].

use candle_core::{D, DType, Tensor, Var};

use super::options::{Activation, AdamWStep, AttentionShape, CrossEntropy, Dropout};
use super::owned::Owned;
use super::sequences::{Queries, Sequences};
use crate::error::{Error, Result};

/// The product of `gradient` with the Jacobian of `f` at `inputs`, by candle's autograd: one
/// gradient per input.
///
/// # Errors
/// A candle error, or [`Error::Mismatch`] when an input receives no gradient, which means that an
/// operation without a backward pass was used.
pub(crate) fn vjp(
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
pub(crate) fn layer_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normalised = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?;
    Ok(normalised.broadcast_mul(gamma)?.broadcast_add(beta)?)
}

/// See [`super::layer_norm`].
///
/// # Errors
/// A candle error.
pub(super) fn layer_norm_with_statistics(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor)> {
    let mean = x.mean_keepdim(D::Minus1)?;
    let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim(D::Minus1)?;
    let statistics = Tensor::cat(&[&mean, &(variance + epsilon)?.sqrt()?.recip()?], 1)?;
    Ok((layer_norm(x, gamma, beta, epsilon)?, statistics))
}

/// See [`super::layer_norm_backward`].
///
/// # Errors
/// A candle error.
pub(super) fn layer_norm_backward(
    x: &Tensor,
    gamma: &Tensor,
    epsilon: f64,
    gradient: &Tensor,
) -> Result<[Owned; 3]> {
    let f = |v: &[Tensor]| layer_norm(&v[0], &v[1], &v[2], epsilon);
    let gradients = vjp(&[x, gamma, &gamma.zeros_like()?], gradient, f)?;
    let gradients: [Tensor; 3] = gradients.try_into().expect("a gradient for each input");
    Ok(gradients.map(Owned::new))
}

/// See [`super::bias_activation`]; `u` already holds the bias.
///
/// # Errors
/// A candle error.
pub(crate) fn activation(u: &Tensor, f: Activation) -> Result<Tensor> {
    Ok(match f {
        Activation::Gelu => u.gelu_erf()?,
        // candle's own has the derivative 1 at 0, torch's and the kernels' 0.
        Activation::Relu => {
            let zeros = u.zeros_like()?;
            u.gt(&zeros)?.where_cond(u, &zeros)?
        }
    })
}

/// See [`super::bias_activation`].
///
/// # Errors
/// A candle error.
pub(super) fn bias_activation(x: &Tensor, bias: &Tensor, f: Activation) -> Result<(Tensor, Owned)> {
    let u = x.broadcast_add(bias)?;
    Ok((activation(&u, f)?, Owned::new(u)))
}

/// See [`super::bias_activation_backward`].
///
/// # Errors
/// A candle error.
pub(super) fn activation_backward(u: &Tensor, f: Activation) -> Result<(Tensor, Tensor)> {
    let value = activation(u, f)?;
    let derivative = vjp(&[u], &value.ones_like()?, |x| activation(&x[0], f))?.remove(0);
    Ok((value, derivative))
}

/// See [`super::dropout`]. The mask is drawn on the CPU: Philox takes integer operations that
/// candle lacks.
///
/// # Errors
/// A candle error.
pub(crate) fn dropout(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let mask = dropout.mask(0, rows, width, x.device())?;
    Ok(x.mul(&mask.to_dtype(x.dtype())?)?)
}

/// See [`super::bias_dropout_residual`].
///
/// # Errors
/// A candle error.
pub(crate) fn bias_dropout_residual(
    x: &Tensor,
    bias: &Tensor,
    residual: &Tensor,
    with: Option<Dropout>,
) -> Result<Tensor> {
    let x = x.broadcast_add(bias)?;
    let x = match with {
        None => x,
        Some(with) => dropout(&x, with)?,
    };
    Ok((x + residual)?)
}

/// Softmax over the last dimension, shifted by the row's maximum; unlike
/// `candle_nn::ops::softmax_last_dim` it can be differentiated.
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
pub(crate) fn attention(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: Queries,
    shape: AttentionShape,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let (heads, hidden) = (shape.heads, shape.hidden());
    let mut outputs = Vec::with_capacity(sequences.bounds().len());
    for pair in sequences.bounds().windows(2) {
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
    sequences.select(&Tensor::cat(&outputs, 0)?, queries)
}

/// See [`super::attention_backward`].
///
/// # Errors
/// A candle error.
pub(super) fn attention_backward(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: Queries,
    shape: AttentionShape,
    dropout: Option<Dropout>,
    gradient: &Tensor,
) -> Result<Tensor> {
    let f = |x: &[Tensor]| attention(&x[0], sequences, queries, shape, dropout);
    Ok(vjp(&[qkv], gradient, f)?.remove(0))
}

/// See [`Sequences::add`], for the first tokens.
///
/// # Errors
/// A candle error.
pub(super) fn add_to_first_rows(x: &Tensor, part: &Tensor, sequences: &Sequences) -> Result<Owned> {
    Ok(Owned::new(x.index_add(sequences.first_rows(), part, 0)?))
}

/// See [`super::embedding_sum`].
///
/// # Errors
/// A candle error.
pub(super) fn embedding_sum(tables: &[&Tensor], ids: &[&Tensor]) -> Result<Tensor> {
    let mut sum = tables[0].index_select(ids[0], 0)?;
    for (table, ids) in tables.iter().zip(ids).skip(1) {
        sum = (sum + table.index_select(ids, 0)?)?;
    }
    Ok(sum)
}

/// See [`super::embedding_sum_backward`]; the sum for all lists of ids.
///
/// # Errors
/// A candle error.
pub(super) fn embedding_sum_backward(
    gradient: &Tensor,
    ids: &[&Tensor],
    rows: usize,
    padding: Option<u32>,
) -> Result<Owned> {
    let shape = (rows, gradient.dim(1)?);
    let mut table = Tensor::zeros(shape, gradient.dtype(), gradient.device())?;
    for ids in ids {
        let gradient = match padding {
            None => gradient.clone(),
            Some(padding) => {
                let keep = ids.ne(padding)?.to_dtype(gradient.dtype())?;
                gradient.broadcast_mul(&keep.unsqueeze(1)?)?
            }
        };
        table = table.index_add(ids, &gradient, 0)?;
    }
    Ok(Owned::new(table))
}

/// See [`super::cross_entropy`].
///
/// # Errors
/// A candle error.
pub(super) fn cross_entropy(logits: &Tensor, labels: &[u32]) -> Result<CrossEntropy> {
    let ((rows, classes), device) = (logits.dims2()?, logits.device());
    // Metal has no wider numbers than f32.
    let wide = if device.is_metal() {
        DType::F32
    } else {
        DType::F64
    };
    let labels = Tensor::new(labels, device)?.unsqueeze(1)?;
    let logits_wide = logits.to_dtype(wide)?;
    let shifted = logits_wide.broadcast_sub(&logits_wide.max_keepdim(1)?)?;
    let exps = shifted.exp()?;
    let sum = exps.sum_keepdim(1)?;
    let per_row = (sum.log()? - shifted.gather(&labels, 1)?)?.squeeze(1)?;
    let targets = labels.broadcast_eq(&Tensor::arange(0, classes as u32, device)?.unsqueeze(0)?)?;
    let gradient = (exps.broadcast_div(&sum)? - targets.to_dtype(wide)?)?;
    Ok(CrossEntropy {
        loss: (per_row.sum_all()? / rows.max(1) as f64)?,
        gradient: (gradient / rows.max(1) as f64)?.to_dtype(logits.dtype())?,
        per_row,
    })
}

/// See [`super::sum_of_squares`].
///
/// # Errors
/// A candle error.
pub(super) fn sum_of_squares(x: &Tensor) -> Result<f64> {
    let sum = x.to_dtype(DType::F32)?.sqr()?.sum_all()?;
    Ok(sum.to_scalar::<f32>()?.into())
}

/// See [`super::adamw_step`].
///
/// # Errors
/// A candle error.
pub(super) fn adamw_step(
    parameter: &Var,
    gradient: &Tensor,
    [m, v]: &[Var; 2],
    s: &AdamWStep,
) -> Result<()> {
    let (correction1, correction2) = s.bias_corrections();
    let [p, old_m, old_v] = [parameter, m, v].map(Var::as_detached_tensor);
    let g = (gradient * s.gradient_scale)?;
    m.set(&((old_m * s.beta1)? + (&g * (1.0 - s.beta1))?)?)?;
    v.set(&((old_v * s.beta2)? + (g.sqr()? * (1.0 - s.beta2))?)?)?;
    let [m, v] = [m, v].map(Var::as_detached_tensor);
    let denominator = ((v.sqrt()? / correction2)? + s.epsilon)?;
    let update = (m.div(&denominator)? * (s.learning_rate / correction1))?;
    parameter.set(&((p * (1.0 - s.learning_rate * s.weight_decay))? - update)?)?;
    Ok(())
}
