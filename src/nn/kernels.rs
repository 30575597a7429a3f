//! The kernels: one function each, which checks its shapes and dispatches once on the backend of
//! its input. A device that gets kernels of its own gets an arm in each `match` here, and a folder
//! beside `cpu`.

use candle_core::{DType, Tensor, Var};

use super::options::{Activation, AdamWStep, AttentionShape, CrossEntropy, Dropout};
use super::owned::{GradientSlot, Owned};
use super::sequences::{Queries, Sequences};
use super::{cpu, plain};
use crate::error::{Error, Result};

/// Who computes.
enum Backend {
    /// Vectorised loops, in f32.
    Cpu,
    /// candle's operations: any device, any type of floating-point number.
    Plain,
}

impl Backend {
    /// The one for a tensor that lives where `x` does.
    fn of(x: &Tensor) -> Self {
        match x.device().is_cpu() && x.dtype() == DType::F32 {
            true => Self::Cpu,
            false => Self::Plain,
        }
    }
}

/// Require that a tensor has these dimensions.
fn expect_dims(what: &str, t: &Tensor, dims: &[usize]) -> Result<()> {
    let found = t.dims();
    if found == dims {
        return Ok(());
    }
    let message = format!("{what} of shape {found:?} where {dims:?} is needed");
    Err(Error::Mismatch(message))
}

/// x·Wᵀ: `x` (T, I) and `weight` (O, I), as `torch.nn.Linear` stores it, give (T, O).
///
/// # Errors
/// [`Error::Mismatch`] when the shapes do not fit; a candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn linear_no_bias(x: &Tensor, weight: &Tensor) -> Result<Owned> {
    expect_dims("a weight", weight, &[weight.dim(0)?, x.dim(1)?])?;
    match Backend::of(x) {
        Backend::Cpu => cpu::linear_no_bias(x, weight),
        Backend::Plain => Ok(Owned::new(x.matmul(&weight.t()?)?)),
    }
}

/// The gradient of [`linear_no_bias`] with respect to `x` (T, I), from `gradient` (T, O).
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn linear_backward(weight: &Tensor, gradient: &Tensor) -> Result<Owned> {
    expect_dims("a weight", weight, &[gradient.dim(1)?, weight.dim(1)?])?;
    match Backend::of(gradient) {
        Backend::Cpu => cpu::linear_backward(weight, gradient),
        Backend::Plain => Ok(Owned::new(gradient.matmul(weight)?)),
    }
}

/// Add the gradient of the weight, gᵀ·x (O, I), to `slot`.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn weight_backward(x: &Tensor, gradient: &Tensor, slot: &mut GradientSlot) -> Result<()> {
    expect_dims("a gradient", gradient, &[x.dim(0)?, gradient.dim(1)?])?;
    match Backend::of(x) {
        Backend::Cpu => cpu::weight_backward(x, gradient, slot),
        Backend::Plain => slot.add(Owned::new(gradient.t()?.matmul(x)?)),
    }
}

/// x + b, written over `x` (T, O); `bias` (O).
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn add_bias(x: Owned, bias: &Tensor) -> Result<Owned> {
    expect_dims("a bias", bias, &[x.tensor().dim(1)?])?;
    match Backend::of(x.tensor()) {
        Backend::Cpu => cpu::add_bias(x, bias),
        Backend::Plain => Ok(Owned::new(x.tensor().broadcast_add(bias)?)),
    }
}

/// The gradient of a bias: the sum of `gradient` (T, O) over its rows.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_backward(gradient: &Tensor) -> Result<Owned> {
    match Backend::of(gradient) {
        Backend::Cpu => cpu::bias_backward(gradient),
        Backend::Plain => Ok(Owned::new(gradient.sum(0)?)),
    }
}

/// Layer normalisation (Ba, Kiros and Hinton 2016) as `torch.nn.LayerNorm`:
/// γ·(x − mean)/√(variance + ε) + β over the last dimension. `x` (T, H); `gamma`, `beta` (H).
///
/// Returns the value, and for the backward pass the mean of each row and the reciprocal of its
/// standard deviation (T, 2).
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn layer_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor)> {
    expect_dims("the gamma of a layer norm", gamma, &[x.dim(1)?])?;
    expect_dims("the beta of a layer norm", beta, &[x.dim(1)?])?;
    match Backend::of(x) {
        Backend::Cpu => cpu::layer_norm(x, gamma, beta, epsilon),
        Backend::Plain => plain::layer_norm_with_statistics(x, gamma, beta, epsilon),
    }
}

/// The gradients of [`layer_norm`]: (of `x`, of `gamma`, of `beta`). `statistics` is what it
/// returned for `x`.
///
/// With x̂ the normalised row and h = g·γ: ∂x = rstd·(h − mean(h) − x̂·mean(h·x̂)); ∂γ = Σ g·x̂;
/// ∂β = Σ g.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn layer_norm_backward(
    x: &Tensor,
    statistics: &Tensor,
    gamma: &Tensor,
    epsilon: f64,
    gradient: &Tensor,
) -> Result<[Owned; 3]> {
    expect_dims("the gradient of a layer norm", gradient, x.dims())?;
    expect_dims(
        "the statistics of a layer norm",
        statistics,
        &[x.dim(0)?, 2],
    )?;
    match Backend::of(x) {
        Backend::Cpu => cpu::layer_norm_backward(x, statistics, gamma, gradient),
        Backend::Plain => plain::layer_norm_backward(x, gamma, epsilon, gradient),
    }
}

/// f(x + bias), and x + bias, which is written over `x` and which the backward pass needs.
/// `x` (T, I); `bias` (I).
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_activation(x: Owned, bias: &Tensor, f: Activation) -> Result<(Tensor, Owned)> {
    expect_dims("a bias", bias, &[x.tensor().dim(1)?])?;
    match Backend::of(x.tensor()) {
        Backend::Cpu => cpu::bias_activation(x, bias, f),
        Backend::Plain => plain::bias_activation(x.tensor(), bias, f),
    }
}

/// f(x + bias) alone, written over `x`, for when no backward pass follows. `x` (T, I); `bias` (I).
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_activation_in_place(x: Owned, bias: &Tensor, f: Activation) -> Result<Owned> {
    expect_dims("a bias", bias, &[x.tensor().dim(1)?])?;
    match Backend::of(x.tensor()) {
        Backend::Cpu => cpu::bias_activation_in_place(x, bias, f),
        Backend::Plain => Ok(Owned::new(plain::bias_activation(x.tensor(), bias, f)?.0)),
    }
}

/// What the backward pass of [`bias_activation`] needs, in one pass over `u` = x + bias (T, I):
/// f(u), computed again rather than kept, and f′(u), which is written over `u`. The gradient of x
/// is `gradient` · f′(u).
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_activation_backward(u: Owned, f: Activation) -> Result<(Tensor, Tensor)> {
    match Backend::of(u.tensor()) {
        Backend::Cpu => cpu::bias_activation_backward(u, f),
        Backend::Plain => plain::activation_backward(u.tensor(), f),
    }
}

/// The end of a sub-layer: residual + dropout(x + bias), written over `x`. `x`, `residual` (T, H);
/// `bias` (H).
///
/// The gradient of `x`, and summed over rows that of the bias, is [`dropout`] of the gradient of
/// the sum; that of the residual is the gradient itself.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn bias_dropout_residual(
    x: Owned,
    bias: &Tensor,
    residual: &Tensor,
    dropout: Option<Dropout>,
) -> Result<Owned> {
    expect_dims("a bias", bias, &[x.tensor().dim(1)?])?;
    expect_dims("a residual", residual, x.tensor().dims())?;
    match Backend::of(x.tensor()) {
        Backend::Cpu => cpu::bias_dropout_residual(x, bias, residual, dropout),
        Backend::Plain => {
            plain::bias_dropout_residual(x.tensor(), bias, residual, dropout).map(Owned::new)
        }
    }
}

/// Dropout on `x` (T, H). What it does to values is what its backward pass does to their gradient.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn dropout(x: &Tensor, dropout: Option<Dropout>) -> Result<Tensor> {
    let Some(dropout) = dropout else {
        return Ok(x.clone());
    };
    match Backend::of(x) {
        Backend::Cpu => cpu::dropout(x, dropout),
        Backend::Plain => plain::dropout(x, dropout),
    }
}

/// Scaled dot-product attention (Vaswani et al. 2017) in which each sequence attends to itself
/// only: softmax(q·kᵀ/√d)·v for every sequence and head, with dropout on the probabilities.
///
/// `qkv` (T, 3H) holds queries, keys and values side by side. Returns a row of H, heads side by
/// side, for each of `queries`.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn attention(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: Queries,
    shape: AttentionShape,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let dims = [sequences.num_tokens(), 3 * shape.hidden()];
    expect_dims("queries, keys and values", qkv, &dims)?;
    match Backend::of(qkv) {
        Backend::Cpu => cpu::attention(qkv, sequences, queries, shape, dropout),
        Backend::Plain => plain::attention(qkv, sequences, queries, shape, dropout),
    }
}

/// The gradient of [`attention`] with respect to `qkv`, from that of its result.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn attention_backward(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: Queries,
    shape: AttentionShape,
    dropout: Option<Dropout>,
    gradient: &Tensor,
) -> Result<Tensor> {
    let dims = [sequences.num_tokens(), 3 * shape.hidden()];
    expect_dims("queries, keys and values", qkv, &dims)?;
    let dims = [sequences.num_rows(queries), shape.hidden()];
    expect_dims("the gradient of attention", gradient, &dims)?;
    match Backend::of(qkv) {
        Backend::Cpu => cpu::attention_backward(qkv, sequences, queries, shape, dropout, gradient),
        Backend::Plain => {
            plain::attention_backward(qkv, sequences, queries, shape, dropout, gradient)
        }
    }
}

/// The sum over the tables of the row that each token names: `tables[i]` (Vᵢ, H) with `ids[i]` (T),
/// u32, give (T, H).
///
/// # Errors
/// [`Error::Mismatch`] unless there is one list of ids a table, all of T, and on the CPU for an id
/// outside its table; a candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn embedding_sum(tables: &[&Tensor], ids: &[&Tensor]) -> Result<Tensor> {
    let (Some(first), Some(tokens)) = (tables.first(), ids.first()) else {
        return Err(Error::Mismatch("a sum of no embeddings".into()));
    };
    if tables.len() != ids.len() {
        let (n, m) = (tables.len(), ids.len());
        let message = format!("{n} embedding tables and {m} lists of ids");
        return Err(Error::Mismatch(message));
    }
    for (table, ids) in tables.iter().zip(ids) {
        expect_dims("an embedding table", table, &[table.dim(0)?, first.dim(1)?])?;
        expect_dims("a list of ids", ids, tokens.dims())?;
    }
    match Backend::of(first) {
        Backend::Cpu => cpu::embedding_sum(tables, ids),
        Backend::Plain => plain::embedding_sum(tables, ids),
    }
}

/// Add the gradient of one table (`rows`, H) to `slot`, from that of the sum (T, H): rows of the
/// same id add up. The row `padding` gets nothing, as `torch.nn.Embedding(padding_idx)` has it.
/// Several uses of one table are given as several lists of ids.
///
/// # Errors
/// As [`embedding_sum`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn embedding_sum_backward(
    gradient: &Tensor,
    ids: &[&Tensor],
    rows: usize,
    padding: Option<u32>,
    slot: &mut GradientSlot,
) -> Result<()> {
    for ids in ids {
        expect_dims("a list of ids", ids, &[gradient.dim(0)?])?;
    }
    match Backend::of(gradient) {
        Backend::Cpu => cpu::embedding_sum_backward(gradient, ids, rows, padding, slot),
        Backend::Plain => slot.add(plain::embedding_sum_backward(gradient, ids, rows, padding)?),
    }
}

/// Cross-entropy of `logits` (B, C) against one label a row, as `torch.nn.CrossEntropyLoss`;
/// computed in f64, on the device of the logits.
///
/// # Errors
/// [`Error::Mismatch`] when a label is not below C or their number is not B.
#[tracing::instrument(level = "trace", skip_all)]
pub fn cross_entropy(logits: &Tensor, labels: &[u32]) -> Result<CrossEntropy> {
    let (rows, classes) = logits.dims2()?;
    if rows != labels.len() || labels.iter().any(|&l| l as usize >= classes) {
        return Err(Error::Mismatch(format!(
            "labels {labels:?} do not fit logits of {rows} rows and {classes} classes"
        )));
    }
    match Backend::of(logits) {
        Backend::Cpu => cpu::cross_entropy(logits, labels),
        Backend::Plain => plain::cross_entropy(logits, labels),
    }
}

/// a + b, written over `a`. Same shapes.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn add_in_place(a: Owned, b: &Tensor) -> Result<Owned> {
    expect_dims("a term", b, a.tensor().dims())?;
    match Backend::of(a.tensor()) {
        Backend::Cpu => cpu::add_in_place(a, b),
        Backend::Plain => Ok(Owned::new((a.tensor() + b)?)),
    }
}

/// a · b element by element, written over `a`. Same shapes.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn multiply_in_place(a: Owned, b: &Tensor) -> Result<Owned> {
    expect_dims("a factor", b, a.tensor().dims())?;
    match Backend::of(a.tensor()) {
        Backend::Cpu => cpu::multiply_in_place(a, b),
        Backend::Plain => Ok(Owned::new(a.tensor().mul(b)?)),
    }
}

impl GradientSlot {
    /// Add a gradient.
    ///
    /// # Errors
    /// As [`add_in_place`].
    pub fn add(&mut self, gradient: Owned) -> Result<()> {
        *self = Self::Partial(match std::mem::take(self) {
            Self::Partial(sum) => add_in_place(sum, gradient.tensor())?,
            Self::Empty | Self::Stale(_) => gradient,
        });
        Ok(())
    }
}

impl Sequences {
    /// `x` (T, H) with `part` added to the rows that belong to `queries`, written over `x`: the
    /// backward pass of [`select`](Self::select) where `x` is the gradient that came by another
    /// way.
    ///
    /// # Errors
    /// As [`add_in_place`].
    pub(crate) fn add(&self, x: Owned, part: &Tensor, queries: Queries) -> Result<Owned> {
        if queries == Queries::All {
            return add_in_place(x, part);
        }
        let dims = [self.num_rows(queries), x.tensor().dim(1)?];
        expect_dims("rows of first tokens", part, &dims)?;
        match Backend::of(x.tensor()) {
            Backend::Cpu => cpu::add_to_first_rows(x, part, self),
            Backend::Plain => plain::add_to_first_rows(x.tensor(), part, self),
        }
    }
}

/// Σ x² in f64 over a tensor; 0 for an empty one.
///
/// # Errors
/// A candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn sum_of_squares(x: &Owned) -> Result<f64> {
    match Backend::of(x.tensor()) {
        Backend::Cpu => cpu::sum_of_squares(x.tensor()),
        Backend::Plain => plain::sum_of_squares(x.tensor()),
    }
}

/// One AdamW update of `parameter` in place: `torch.optim.AdamW` (Loshchilov and Hutter 2019).
///
/// p ← p(1 − lr·wd); m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²;
/// p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε).
/// `moments` holds m and v, shaped like the parameter.
///
/// # Errors
/// As [`linear_no_bias`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn adamw_step(
    parameter: &Var,
    gradient: &Owned,
    moments: &[Var; 2],
    step: &AdamWStep,
) -> Result<()> {
    expect_dims("a gradient", gradient.tensor(), parameter.dims())?;
    for moment in moments {
        expect_dims("a moment", moment, parameter.dims())?;
    }
    match Backend::of(parameter) {
        Backend::Cpu => cpu::adamw_step(parameter, gradient.tensor(), moments, step),
        Backend::Plain => plain::adamw_step(parameter, gradient.tensor(), moments, step),
    }
}
