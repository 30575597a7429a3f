//! `.safetensors`, written as a stream: the header is known before the first state is.
//!
//! Tensors `train.layer_5`, … (records × hidden, float32), `train.label`, `train.idx` (one per row); with
//! `--tokens all` also `train.token_ids` (one per record) and `train.bounds` (rows + 1, the first record of each row).

use std::io::{Seek, SeekFrom, Write};

use serde_json::{Map, Value, json};

use super::npy::states;
use super::{Job, SPLITS, Tokens};
use crate::artifact::AtomicFile;
use crate::dataset::Split;
use crate::error::{Error, Result};
use crate::feature_extraction::{Sentence, Sink};

/// Write the run's file.
pub(super) fn write(job: &Job<'_>) -> Result<()> {
    let mut layout = Layout::default();
    for (split, name) in job.splits.iter().zip(SPLITS) {
        layout.plan(job, split, name)?;
    }
    let mut file = AtomicFile::create(&job.run.out, job.config.overwrite)?;
    let header = layout.header(job);
    let io = |e| Error::Io {
        path: job.run.out.clone(),
        action: "write",
        source: e,
    };
    file.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| file.write_all(&header))
        .map_err(io)?;
    let start = 8 + header.len() as u64;
    for (split, name) in job.splits.iter().zip(SPLITS) {
        job.extract(
            split,
            &mut TensorSink {
                job,
                layout: &layout,
                file: &mut file,
                start,
                name,
                records: 0,
            },
        )?;
    }
    file.commit()
}

/// Where each tensor lies behind the header.
#[derive(Default)]
struct Layout {
    tensors: Vec<(String, &'static str, Vec<usize>, u64)>,
    end: u64,
}

impl Layout {
    fn add(&mut self, name: String, dtype: &'static str, shape: Vec<usize>) {
        let size = if dtype == "I64" { 8 } else { 4 };
        let bytes = size * shape.iter().product::<usize>() as u64;
        self.tensors.push((name, dtype, shape, self.end));
        self.end += bytes;
    }

    fn plan(&mut self, job: &Job<'_>, split: &Split, name: &str) -> Result<()> {
        let rows = job.rows(split);
        let all = job.config.tokens == Tokens::All;
        let mut records = rows;
        if all {
            records = 0;
            for row in 0..rows {
                records += split
                    .example(row)?
                    .attention_mask
                    .iter()
                    .filter(|m| **m != 0)
                    .count();
            }
        }
        // The widest type first keeps every tensor aligned.
        self.add(format!("{name}.label"), "I64", vec![rows]);
        if all {
            self.add(format!("{name}.bounds"), "I64", vec![rows + 1]);
            self.add(format!("{name}.token_ids"), "I64", vec![records]);
        }
        self.add(format!("{name}.idx"), "I64", vec![rows]);
        for layer in &job.config.layers {
            self.add(
                format!("{name}.layer_{layer}"),
                "F32",
                vec![records, job.hidden()],
            );
        }
        if !self.end.is_multiple_of(8) {
            self.add(format!("{name}.padding"), "F32", vec![1]);
        }
        Ok(())
    }

    fn header(&self, job: &Job<'_>) -> Vec<u8> {
        let mut json = Map::new();
        json.insert(
            "__metadata__".into(),
            json!({"flue_study": job.describe().to_string()}),
        );
        for (i, (name, dtype, shape, from)) in self.tensors.iter().enumerate() {
            let to = self.tensors.get(i + 1).map_or(self.end, |next| next.3);
            json.insert(
                name.clone(),
                json!({"dtype": dtype, "shape": shape, "data_offsets": [from, to]}),
            );
        }
        let mut text = Value::Object(json).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        text
    }

    fn offset(&self, name: &str) -> Option<u64> {
        self.tensors.iter().find(|t| t.0 == name).map(|t| t.3)
    }
}

/// Writes the rows of one split at their places.
struct TensorSink<'a> {
    job: &'a Job<'a>,
    layout: &'a Layout,
    file: &'a mut AtomicFile,
    start: u64,
    name: &'static str,
    records: usize,
}

impl TensorSink<'_> {
    fn put(&mut self, tensor: &str, at: usize, bytes: &[u8]) -> Result<()> {
        let Some(offset) = self.layout.offset(&format!("{}.{tensor}", self.name)) else {
            return Ok(());
        };
        let position = SeekFrom::Start(self.start + offset + at as u64);
        let written = self
            .file
            .seek(position)
            .and_then(|_| self.file.write_all(bytes));
        written.map_err(|source| Error::Io {
            path: self.job.run.out.clone(),
            action: "write",
            source,
        })
    }
}

impl Sink for TensorSink<'_> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        let (row, hidden, all) = (
            sentence.row,
            self.job.hidden(),
            self.job.config.tokens == Tokens::All,
        );
        let count = if all { sentence.token_ids.len() } else { 1 };
        self.put("label", row * 8, &sentence.label.to_le_bytes())?;
        self.put("idx", row * 8, &i64::from(sentence.idx).to_le_bytes())?;
        if all {
            if row == 0 {
                self.put("bounds", 0, &0i64.to_le_bytes())?;
            }
            self.put(
                "bounds",
                (row + 1) * 8,
                &((self.records + count) as i64).to_le_bytes(),
            )?;
            let ids: Vec<u8> = sentence
                .token_ids
                .iter()
                .flat_map(|&id| i64::from(id).to_le_bytes())
                .collect();
            self.put("token_ids", self.records * 8, &ids)?;
        }
        for &layer in &self.job.config.layers {
            let values = &states(sentence, layer)?[..count * hidden];
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.put(&format!("layer_{layer}"), self.records * hidden * 4, &bytes)?;
        }
        self.records += count;
        Ok(())
    }
}
