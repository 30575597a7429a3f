//! Sums of embeddings: word, position and type of each token.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::{GradientSlot, cpu};
use crate::error::{Error, Result};

/// The sum over the tables of the row that each token names: `tables[i]` (Vᵢ, H) with `ids[i]` (T) give (T, H).
///
/// # Errors
/// [`Error::Mismatch`] for an id outside its table, and unless there is one list of ids a table, all of T; a candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn embedding_sum(tables: &[&Tensor], ids: &[&[u32]]) -> Result<Tensor> {
    let (Some(first), Some(tokens)) = (tables.first(), ids.first().map(|i| i.len())) else {
        return Err(Error::Mismatch(
            "an embedding needs at least one table".into(),
        ));
    };
    if tables.len() != ids.len() || ids.iter().any(|i| i.len() != tokens) {
        return Err(Error::Mismatch(format!(
            "{} embedding tables and {} lists of ids, the first of {tokens} tokens",
            tables.len(),
            ids.len()
        )));
    }
    let width = first.dim(1)?;
    for (table, ids) in tables.iter().zip(ids) {
        let rows = table.dim(0)?;
        if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
            return Err(Error::Mismatch(format!(
                "id {id} is outside an embedding table of {rows} rows"
            )));
        }
    }
    if !cpu::applies(first) {
        return gather_sum(tables, ids, first.device());
    }
    let mut out = vec![0f32; tokens * width];
    for (table, ids) in tables.iter().zip(ids) {
        cpu::with(table, |table| {
            cpu::for_blocks(&mut out, width, |start, block| {
                for (row, &id) in block.chunks_exact_mut(width).zip(&ids[start..]) {
                    cpu::add_assign(row, &table[id as usize * width..][..width]);
                }
            })
        })?;
    }
    Ok(Tensor::from_vec(out, (tokens, width), first.device())?)
}

fn gather_sum(tables: &[&Tensor], ids: &[&[u32]], device: &Device) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for (table, ids) in tables.iter().zip(ids) {
        let rows = table.index_select(&Tensor::new(*ids, device)?, 0)?;
        sum = Some(match sum {
            Some(s) => (s + rows)?,
            None => rows,
        });
    }
    sum.ok_or_else(|| Error::Mismatch("an embedding needs at least one table".into()))
}

/// Add the gradient of one table (V, H) to `slot`, from that of the sum (T, H): rows of the same id add up. The row
/// `padding` gets nothing, as `torch.nn.Embedding(padding_idx)` has it. Several uses of one table are given as several `ids`.
///
/// # Errors
/// [`Error::Mismatch`] for an id outside the table; a candle error.
#[tracing::instrument(level = "trace", skip_all)]
pub fn embedding_sum_backward(
    gradient: &Tensor,
    ids: &[&[u32]],
    rows: usize,
    padding: Option<u32>,
    slot: &mut GradientSlot,
) -> Result<()> {
    let width = gradient.dim(1)?;
    if !cpu::applies(gradient) {
        let mut table = Tensor::zeros((rows, width), gradient.dtype(), gradient.device())?;
        for ids in ids {
            let keep: Vec<f32> = ids
                .iter()
                .map(|&id| if Some(id) == padding { 0.0 } else { 1.0 })
                .collect();
            let keep = Tensor::from_vec(keep, (ids.len(), 1), gradient.device())?
                .to_dtype(gradient.dtype())?;
            table = table.index_add(
                &Tensor::new(*ids, gradient.device())?,
                &gradient.broadcast_mul(&keep)?,
                0,
            )?;
        }
        return slot.add(table);
    }
    if ids
        .iter()
        .any(|ids| ids.iter().any(|&id| id as usize >= rows))
    {
        let message = format!("an id is outside an embedding table of {rows} rows");
        return Err(Error::Mismatch(message));
    }
    let (sum, add) = slot.memory((rows, width).into(), gradient.device())?;
    cpu::with(gradient, |g| {
        cpu::with_mut(&sum, |table| {
            if !add {
                table.par_chunks_mut(1 << 16).for_each(|t| t.fill(0.0));
            }
            add_rows(table, g, ids, width, padding);
        })
    })??;
    *slot = GradientSlot::Partial(sum);
    Ok(())
}

/// Add row t of `g` to the row `ids[t]` of `table`, for every list of ids.
fn add_rows(table: &mut [f32], g: &[f32], ids: &[&[u32]], width: usize, padding: Option<u32>) {
    // Each thread owns a range of columns and takes the tokens in order: no races, and always the same sums.
    let lanes = width
        .div_ceil(rayon::current_num_threads().max(1))
        .next_multiple_of(16);
    let target = Columns(table.as_mut_ptr());
    (0..width).into_par_iter().step_by(lanes).for_each(|from| {
        let count = lanes.min(width - from);
        let target = &target;
        for ids in ids {
            for (t, &id) in ids.iter().enumerate() {
                if Some(id) == padding {
                    continue;
                }
                // SAFETY: `id < rows`, as the caller has checked, and no other thread has these columns.
                let row = unsafe {
                    std::slice::from_raw_parts_mut(target.0.add(id as usize * width + from), count)
                };
                cpu::add_assign(row, &g[t * width + from..][..count]);
            }
        }
    });
}

/// A table of which every thread writes its own columns.
struct Columns(*mut f32);
// SAFETY: the ranges of columns are disjoint.
unsafe impl Sync for Columns {}
