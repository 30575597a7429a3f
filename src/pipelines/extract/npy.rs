//! `.npy` as the original leaves it: arrays stored one after another.
//!
//! Train layers in order, test layers in order (float32 or float16, rows × hidden), train labels, test labels (int64).

use super::Job;
use super::assembly::{Stored, Writer};
use super::storage::StorageType;
use crate::artifact::npy::{DType, Header, NpyWriter};
use crate::error::Result;
use crate::files::AtomicFile;

/// The file, with every row put at its place in the arrays of its split.
pub(super) struct NpyFile {
    writer: NpyWriter<AtomicFile>,
    layers: usize,
    hidden: usize,
}

impl NpyFile {
    pub fn create(job: &Job<'_>) -> Result<Self> {
        let file = AtomicFile::create(&job.run.out, job.overwrite)?;
        let dtype = match job.config.dtype {
            StorageType::F16 => DType::F16,
            StorageType::F32 | StorageType::BF16 => DType::F32,
        };
        let mut headers = Vec::new();
        for split in job.splits {
            let states = Header::new(dtype, [job.rows(split), job.hidden()]);
            headers.extend(std::iter::repeat_n(states, job.layers.len()));
        }
        for split in job.splits {
            headers.push(Header::new(DType::I64, [job.rows(split)]));
        }
        Ok(Self {
            writer: NpyWriter::new(&job.run.out, file, &headers)?,
            layers: job.layers.len(),
            hidden: job.hidden(),
        })
    }
}

impl Writer for NpyFile {
    fn row(&mut self, stored: &Stored<'_>) -> Result<()> {
        let first = stored.split * self.layers;
        for i in 0..self.layers {
            let bytes = stored.layer(i, self.layers);
            self.writer
                .write_bytes(first + i, stored.row * self.hidden, bytes)?;
        }
        self.writer
            .write(2 * self.layers + stored.split, stored.row, &[stored.label])
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.writer.finish()?.commit()
    }
}
