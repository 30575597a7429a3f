//! The first token's states: arrays in the original's order, or a self-describing table.
//!
//! `.npy`: train layers in order, test layers in order (float32, rows × hidden), train labels, test labels (int64).
//! `.safetensors`: the same under `train.layer_5`, …, `train.label`. `.parquet`, `.arrow`: a row per review with
//! `split`, `row`, `idx`, `label` and a `layer_5`, … column of fixed-size lists.

use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::{Format, Job, SPLITS};
use crate::artifact::AtomicFile;
use crate::artifact::npy::{DType, Header, NpyWriter};
use crate::error::{Error, Result};
use crate::feature_extraction::{Sentence, Sink};

/// Write the run's file.
pub(super) fn write(job: &Job<'_>) -> Result<()> {
    match job.format()? {
        Format::Npy => write_npy(job),
        Format::Safetensors => write_safetensors(job),
        Format::Parquet | Format::Arrow => write_table(job),
    }
}

fn write_npy(job: &Job<'_>) -> Result<()> {
    let file = AtomicFile::create(&job.run.out, job.config.overwrite)?;
    let layers = job.config.layers.len();
    let mut headers = Vec::new();
    for split in job.splits {
        headers.extend((0..layers).map(|_| Header::new(DType::F32, [job.rows(split), job.hidden()])));
    }
    headers.extend(job.splits.iter().map(|split| Header::new(DType::I64, [job.rows(split)])));
    let mut writer = NpyWriter::new(&job.run.out, file, &headers)?;
    for (s, split) in job.splits.iter().enumerate() {
        let mut sink = NpySink { writer: &mut writer, layers: &job.config.layers, first: s * layers, labels: 2 * layers + s };
        job.extract(split, &mut sink)?;
    }
    writer.finish()?.commit()
}

/// Puts each row at its place in every array of one split.
struct NpySink<'a> {
    writer: &'a mut NpyWriter<AtomicFile>,
    layers: &'a [usize],
    first: usize,
    labels: usize,
}

/// The states of the first token at `layer`.
fn first_token<'a>(sentence: &'a Sentence<'_>, layer: usize) -> Result<&'a [f32]> {
    let found = sentence.layers.iter().find(|(l, _)| *l == layer);
    let states = found.and_then(|(_, states)| states.row(0).to_slice().map(<[f32]>::to_vec));
    match found {
        Some((_, view)) if states.is_some() => Ok(&view.as_slice().unwrap_or_default()[..view.ncols()]),
        _ => Err(Error::Mismatch(format!("layer {layer} was not computed"))),
    }
}
