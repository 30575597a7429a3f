//! The states of a pass, cut into sentences.

use candle_core::{CpuStorage, Storage, Tensor};
use ndarray::{ArrayView2, Axis};

use super::{Sentence, Sink, Tokens};
use crate::batching::PackedBatch;
use crate::error::{Error, Result};

/// Hand the sentences of `batch` to `sink`. `states` are (layer, states): (B, H) for
/// [`Tokens::Cls`], else (T, H), which are cut without copying them.
pub(super) fn hand_over(
    batch: &PackedBatch,
    states: &[(usize, Tensor)],
    tokens: Tokens,
    sink: &mut dyn Sink,
) -> Result<()> {
    let storages: Vec<_> = states
        .iter()
        .map(|(layer, t)| (*layer, t.storage_and_layout()))
        .collect();
    let mut layers: Vec<(usize, ArrayView2<'_, f32>)> = Vec::with_capacity(storages.len());
    for (layer, (storage, layout)) in &storages {
        let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
            (&**storage, layout.contiguous_offsets())
        else {
            return Err(Error::Mismatch(
                "hidden states are not f32 on the CPU".into(),
            ));
        };
        let shape = layout.shape().dims2()?;
        let view = ArrayView2::from_shape(shape, &values[start..end]);
        layers.push((*layer, view.map_err(Error::compute("hidden states"))?));
    }
    let mut means = Vec::new();
    for (i, &row) in batch.rows.iter().enumerate() {
        let (from, to) = (batch.bounds[i], batch.bounds[i + 1]);
        let (first, end) = match tokens {
            Tokens::Cls => (i, i + 1),
            Tokens::All | Tokens::Mean => (from, to),
        };
        let mut own: Vec<_> = layers
            .iter()
            .map(|(layer, view)| (*layer, rows_of(view, first, end)))
            .collect();
        if tokens == Tokens::Mean {
            means = own.iter().map(|(_, view)| mean(view)).collect::<Vec<_>>();
            for ((_, view), mean) in own.iter_mut().zip(&means) {
                let one = ArrayView2::from_shape((1, mean.len()), mean);
                *view = one.map_err(Error::compute("hidden states"))?;
            }
        }
        sink.sentence(&Sentence { row, layers: &own })?;
    }
    drop(means);
    Ok(())
}

fn rows_of<'a>(view: &ArrayView2<'a, f32>, first: usize, end: usize) -> ArrayView2<'a, f32> {
    let (_, tail) = view.split_at(Axis(0), first);
    tail.split_at(Axis(0), end - first).0
}

/// The mean of the rows, added up in f64.
fn mean(view: &ArrayView2<'_, f32>) -> Vec<f32> {
    let mut sums = vec![0f64; view.ncols()];
    for row in view.rows() {
        for (s, x) in sums.iter_mut().zip(row) {
            *s += f64::from(*x);
        }
    }
    let count = view.nrows() as f64;
    sums.into_iter().map(|s| (s / count) as f32).collect()
}
