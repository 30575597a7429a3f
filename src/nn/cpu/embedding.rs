//! Sums of embeddings.

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use super::{ValuesMut, add_assign, for_blocks, id_values, values};
use crate::error::{Error, Result};
use crate::nn::owned::GradientSlot;

fn check_ids(ids: &[u32], rows: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= rows) {
        None => Ok(()),
        Some(id) => Err(Error::Mismatch(format!(
            "id {id} is outside an embedding table of {rows} rows"
        ))),
    }
}

pub(in crate::nn) fn embedding_sum(tables: &[&Tensor], ids: &[&Tensor]) -> Result<Tensor> {
    let (tokens, width) = (ids[0].dim(0)?, tables[0].dim(1)?);
    let mut out = vec![0f32; tokens * width];
    for (table, ids) in tables.iter().zip(ids) {
        let (rows, table, ids) = (table.dim(0)?, values(table)?, id_values(ids)?);
        check_ids(&ids, rows)?;
        let (table, ids) = (&*table, &*ids);
        for_blocks(&mut out, width, |start, block| {
            for (row, &id) in block.chunks_exact_mut(width).zip(&ids[start..]) {
                add_assign(row, &table[id as usize * width..][..width]);
            }
        });
    }
    Ok(Tensor::from_vec(out, (tokens, width), tables[0].device())?)
}

pub(in crate::nn) fn embedding_sum_backward(
    gradient: &Tensor,
    ids: &[&Tensor],
    rows: usize,
    padding: Option<u32>,
    slot: &mut GradientSlot,
) -> Result<()> {
    let width = gradient.dim(1)?;
    let ids: Vec<_> = ids.iter().map(|t| id_values(t)).collect::<Result<_>>()?;
    for ids in &ids {
        check_ids(ids, rows)?;
    }
    let ids: Vec<&[u32]> = ids.iter().map(|ids| &**ids).collect();
    let shape = (rows, width).into();
    let (mut sum, add) = slot.memory(shape, DType::F32, gradient.device())?;
    {
        let mut table = ValuesMut::of_owned(&mut sum)?;
        if !add {
            table.par_chunks_mut(1 << 16).for_each(|t| t.fill(0.0));
        }
        add_rows(&mut table, &values(gradient)?, &ids, width, padding);
    }
    *slot = GradientSlot::Partial(sum);
    Ok(())
}

/// Add row t of `g` to the row `ids[t]` of `table`, for every list of ids.
fn add_rows(table: &mut [f32], g: &[f32], ids: &[&[u32]], width: usize, padding: Option<u32>) {
    // Each thread owns a range of columns and takes the tokens in order: no races, and always the
    // same sums.
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
                // SAFETY: `id < rows`, as the caller has checked, and no other thread has these
                // columns.
                let row = unsafe {
                    std::slice::from_raw_parts_mut(target.0.add(id as usize * width + from), count)
                };
                add_assign(row, &g[t * width + from..][..count]);
            }
        }
    });
}

/// A table of which every thread writes its own columns.
struct Columns(*mut f32);
// SAFETY: the ranges of columns are disjoint.
unsafe impl Sync for Columns {}
