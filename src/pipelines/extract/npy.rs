//! `.npy` as the original leaves it: arrays stored one after another.
//!
//! Train layers in order, test layers in order (float32, rows × hidden), train labels, test labels (int64).

use super::{Job, Tokens};
use crate::artifact::AtomicFile;
use crate::artifact::npy::{DType, Header, NpyWriter};
use crate::error::{Error, Result};
use crate::feature_extraction::{Sentence, Sink};

/// Write the run's file.
pub(super) fn write(job: &Job<'_>) -> Result<()> {
    debug_assert_eq!(job.config.tokens, Tokens::Cls);
    let file = AtomicFile::create(&job.run.out, job.config.overwrite)?;
    let layers = job.config.layers.len();
    let mut headers = Vec::new();
    for split in job.splits {
        headers
            .extend((0..layers).map(|_| Header::new(DType::F32, [job.rows(split), job.hidden()])));
    }
    headers.extend(
        job.splits
            .iter()
            .map(|split| Header::new(DType::I64, [job.rows(split)])),
    );
    let mut writer = NpyWriter::new(&job.run.out, file, &headers)?;
    for (s, split) in job.splits.iter().enumerate() {
        let (first, labels) = (s * layers, 2 * layers + s);
        job.extract(
            split,
            &mut NpySink {
                writer: &mut writer,
                layers: &job.config.layers,
                first,
                labels,
            },
        )?;
    }
    writer.finish()?.commit()
}

/// Puts each row at its place in the arrays of one split: layers from array `first` on, labels in array `labels`.
struct NpySink<'a> {
    writer: &'a mut NpyWriter<AtomicFile>,
    layers: &'a [usize],
    first: usize,
    labels: usize,
}

impl Sink for NpySink<'_> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        for (i, &layer) in self.layers.iter().enumerate() {
            let values = states(sentence, layer)?;
            self.writer
                .write(self.first + i, sentence.row * values.len(), values)?;
        }
        self.writer
            .write(self.labels, sentence.row, &[sentence.label])
    }
}

/// All states of a sentence at `layer`, row by row.
pub(super) fn states<'a>(sentence: &Sentence<'a>, layer: usize) -> Result<&'a [f32]> {
    let found = sentence
        .layers
        .iter()
        .find(|(l, _)| *l == layer)
        .and_then(|(_, states)| states.to_slice());
    found.ok_or_else(|| Error::Mismatch(format!("layer {layer} was not computed")))
}
