//! An encoder over a split: each sentence's hidden states go to a sink, one sentence at a time, in row order.
//!
//! Batches are packed, so nothing is computed for padding and rows need no sorting. At any time the states of one batch
//! exist, whatever the number of rows.

use std::collections::BTreeSet;

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use ndarray::ArrayView2;

use crate::batching::PackedBatch;
use crate::dataset::Split;
use crate::device::on_worker;
use crate::error::{Error, Result, interrupt};
use crate::models::{Encoder, Input};
use crate::progress::Progress;

/// One sentence with the hidden states that were asked for.
pub struct Sentence<'a> {
    /// Its row in the split, from 0.
    pub row: usize,
    /// Its `idx` column.
    pub idx: i32,
    /// Its label.
    pub label: i64,
    /// Its text.
    pub text: &'a str,
    /// The tokens that are not padding, special ones included.
    pub token_ids: &'a [u32],
    /// (layer, states of shape (tokens, hidden size)), by increasing layer.
    pub layers: &'a [(usize, ArrayView2<'a, f32>)],
}

/// What takes the sentences: a statistic, or a file.
pub trait Sink {
    /// Called once per sentence, in row order.
    ///
    /// # Errors
    /// An error ends the extraction.
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()>;
}

/// What to extract.
#[derive(Debug, Clone)]
pub struct ExtractOptions {
    /// Layers, 0 (embeddings) to n. Nothing is computed above the highest.
    pub layers: Vec<usize>,
    /// Rows computed together. It changes memory and speed, not the states.
    pub batch_size: usize,
    /// Only the first rows; `None` for all.
    pub limit: Option<usize>,
}

/// Run `encoder` over the rows of `split`, without dropout and from ids and mask alone, and hand every sentence to `sink`.
///
/// # Errors
/// [`Error::Mismatch`] when the data does not fit the model, [`Error::Interrupted`] after a signal, what reading a
/// row, the encoder or the sink gives.
pub fn extract(
    encoder: &dyn Encoder,
    split: &Split,
    options: &ExtractOptions,
    sink: &mut dyn Sink,
) -> Result<()> {
    let rows = options.limit.map_or(split.len(), |n| n.min(split.len()));
    let layers: BTreeSet<usize> = options.layers.iter().copied().collect();
    let Some(&last) = layers.last() else {
        return Err(Error::Usage("no layer was asked for".into()));
    };
    if rows > 0 {
        encoder
            .config()
            .check_first_token(split.example(0)?.input_ids, split.folder())?;
    }
    let mut progress = Progress::new(
        format!("hidden states of {}", split.name()),
        rows as u64,
        "rows",
    );
    for start in (0..rows).step_by(options.batch_size.max(1)) {
        interrupt::check()?;
        let numbers: Vec<usize> = (start..rows.min(start + options.batch_size.max(1))).collect();
        let batch = PackedBatch::gather(split, &numbers)?;
        let input = Input {
            ids: &batch.ids,
            columns: &batch.columns,
            token_type_ids: None,
            bounds: &batch.bounds,
        };
        let states = on_worker(|| wanted_states(encoder, &input, &layers, last))?;
        hand_over(split, &batch, &states, encoder.config().hidden_size, sink)?;
        progress.advance(numbers.len() as u64);
    }
    Ok(())
}

/// The states of `layers`, as f32 on the CPU.
fn wanted_states(
    encoder: &dyn Encoder,
    input: &Input<'_>,
    layers: &BTreeSet<usize>,
    last: usize,
) -> Result<Vec<(usize, Tensor)>> {
    let mut states = Vec::with_capacity(layers.len());
    encoder.hidden_states(input, last, &mut |layer, tensor| {
        if layers.contains(&layer) {
            let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            states.push((layer, tensor.contiguous()?));
        }
        Ok(())
    })?;
    Ok(states)
}

/// Cut the states of a batch into sentences, without copying them.
fn hand_over(
    split: &Split,
    batch: &PackedBatch,
    states: &[(usize, Tensor)],
    hidden: usize,
    sink: &mut dyn Sink,
) -> Result<()> {
    let storages: Vec<_> = states
        .iter()
        .map(|(layer, t)| (*layer, t.storage_and_layout()))
        .collect();
    let mut slices: Vec<(usize, &[f32])> = Vec::with_capacity(storages.len());
    for (layer, (storage, layout)) in &storages {
        let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
            (&**storage, layout.contiguous_offsets())
        else {
            return Err(Error::Mismatch(
                "hidden states are not f32 on the CPU".into(),
            ));
        };
        slices.push((*layer, &values[start..end]));
    }
    for (i, &row) in batch.rows.iter().enumerate() {
        let (from, to) = (batch.bounds[i], batch.bounds[i + 1]);
        let layers = slices
            .iter()
            .map(|(layer, values)| {
                let view = ArrayView2::from_shape(
                    (to - from, hidden),
                    &values[from * hidden..to * hidden],
                );
                Ok((*layer, view.map_err(Error::compute("hidden states"))?))
            })
            .collect::<Result<Vec<_>>>()?;
        let example = split.example(row)?;
        sink.sentence(&Sentence {
            row,
            idx: example.idx,
            label: example.label,
            text: example.text,
            token_ids: &batch.ids[from..to],
            layers: &layers,
        })?;
    }
    Ok(())
}
