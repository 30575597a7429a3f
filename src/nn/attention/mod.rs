//! Scaled dot-product attention (Vaswani et al. 2017) over packed sequences: each attends to itself only.
//!
//! Work is cut into (sequence, head) pairs. Scores exist for a block of queries at a time, so memory is linear in the
//! length of a sequence; the backward pass computes the probabilities again (as Dao et al. 2022 do).

use candle_core::Tensor;
use rayon::prelude::*;

use super::{Dropout, Queries, cpu, plain};
use crate::error::{Error, Result};
use unit::{SCRATCH, Shared, Unit, backward_unit, forward_unit};

mod unit;
mod view;

/// The heads of an attention layer.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Number of heads, A.
    pub heads: usize,
    /// Size of a head, H / A.
    pub head_size: usize,
}

impl AttentionShape {
    /// H.
    pub fn hidden(self) -> usize {
        self.heads * self.head_size
    }

    /// What scores are multiplied by: 1/√(head size).
    pub fn scale(self) -> f64 {
        1.0 / (self.head_size as f64).sqrt()
    }
}

/// softmax(q·kᵀ/√d)·v for every sequence and head, with dropout on the probabilities.
///
/// `qkv` (T, 3H) holds queries, keys and values side by side. Returns a row of H, heads side by side, for each of `queries`.
///
/// # Errors
/// [`Error::Mismatch`] when the bounds or the width do not fit `qkv`; a candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn attention(
    qkv: &Tensor,
    queries: Queries<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    if !cpu::applies(qkv) {
        return plain::attention(qkv, queries, shape, dropout);
    }
    let (rows, hidden) = (queries.rows(), shape.hidden());
    check(qkv, queries, shape)?;
    let mut out = vec![0f32; rows * hidden];
    let target = Shared(out.as_mut_ptr());
    cpu::with(qkv, |qkv| {
        units(queries, shape.heads)
            .into_par_iter()
            .for_each(|unit| {
                SCRATCH.with_borrow_mut(|scratch| {
                    forward_unit(qkv, unit, shape, dropout, scratch, &target)
                });
            })
    })?;
    Ok(Tensor::from_vec(out, (rows, hidden), qkv.device())?)
}

/// The gradient of [`attention`] with respect to `qkv`, from that of its result.
///
/// # Errors
/// As [`attention`].
#[tracing::instrument(level = "trace", skip_all)]
pub fn attention_backward(
    qkv: &Tensor,
    queries: Queries<'_>,
    shape: AttentionShape,
    dropout: Option<Dropout>,
    gradient: &Tensor,
) -> Result<Tensor> {
    if !cpu::applies(qkv) {
        let mut g = plain::vjp(&[qkv], gradient, |x| {
            plain::attention(&x[0], queries, shape, dropout)
        })?;
        return Ok(g.remove(0));
    }
    let (rows, width) = qkv.dims2()?;
    check(qkv, queries, shape)?;
    let expected = (queries.rows(), shape.hidden());
    if gradient.dims2()? != expected {
        let dims = gradient.dims();
        return Err(Error::Mismatch(format!(
            "a gradient of {dims:?} where {expected:?} attended"
        )));
    }
    let mut out = vec![0f32; rows * width];
    let target = Shared(out.as_mut_ptr());
    cpu::with(qkv, |qkv| {
        cpu::with(gradient, |gradient| {
            units(queries, shape.heads)
                .into_par_iter()
                .for_each(|unit| {
                    SCRATCH.with_borrow_mut(|s| {
                        backward_unit(qkv, gradient, unit, shape, dropout, s, &target)
                    });
                })
        })
    })??;
    Ok(Tensor::from_vec(out, (rows, width), qkv.device())?)
}

/// Require what the units take for granted: sequences one after another that fill `qkv` (T, 3H).
fn check(qkv: &Tensor, queries: Queries<'_>, shape: AttentionShape) -> Result<()> {
    let (tokens, width) = qkv.dims2()?;
    let bounds = queries.bounds();
    if width == 3 * shape.hidden() && bounds.is_sorted() && bounds.last() == Some(&tokens) {
        return Ok(());
    }
    Err(Error::Mismatch(format!(
        "attention of {} heads of {} over {tokens} rows of {width} cut at {bounds:?}",
        shape.heads, shape.head_size
    )))
}

/// All units, the longest first so that the threads end together.
fn units(queries: Queries<'_>, heads: usize) -> Vec<Unit> {
    let pairs = queries.bounds().windows(2).enumerate();
    let mut units: Vec<Unit> = pairs
        .flat_map(|(i, b)| {
            let length = b[1] - b[0];
            let (queries, row) = match queries {
                Queries::All(_) => (length, b[0]),
                Queries::First(_) => (length.min(1), i),
            };
            (0..heads).map(move |head| Unit {
                start: b[0],
                length,
                queries,
                row,
                head,
            })
        })
        .collect();
    units.sort_by_key(|u| std::cmp::Reverse(u.length));
    units
}
