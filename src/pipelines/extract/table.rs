//! `.parquet` and `.arrow` (an Arrow IPC file): a record per review or, with `--tokens all`, per token.
//!
//! Columns `split`, `row`, `idx`, `label`; for tokens `position` and `token_id`; then `layer_5`, … as fixed-size lists of
//! float32. The schema's metadata key `flue_study` says what made it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::npy::states;
use super::{Format, Job, SPLITS, Tokens};
use crate::artifact::AtomicFile;
use crate::error::{Error, Result};
use crate::feature_extraction::{Sentence, Sink};

/// Bytes of states that are gathered before they are written.
const BATCH_BYTES: usize = 16 << 20;

/// Write the run's file.
pub(super) fn write(job: &Job<'_>) -> Result<()> {
    let mut sink = TableSink::new(job)?;
    for (split, name) in job.splits.iter().zip(SPLITS) {
        sink.split = name;
        job.extract(split, &mut sink)?;
        sink.flush()?;
    }
    sink.finish()
}

enum Writer {
    Parquet(Box<ArrowWriter<AtomicFile>>),
    Arrow(Box<FileWriter<AtomicFile>>),
}

/// Records gathered column by column, written when there are enough.
struct TableSink<'a> {
    job: &'a Job<'a>,
    schema: SchemaRef,
    writer: Writer,
    split: &'static str,
    rows: Vec<i64>,
    idx: Vec<i32>,
    labels: Vec<i64>,
    positions: Vec<i32>,
    token_ids: Vec<i32>,
    layers: Vec<Vec<f32>>,
}

impl<'a> TableSink<'a> {
    fn new(job: &'a Job<'a>) -> Result<Self> {
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let mut fields = vec![
            Field::new("split", DataType::Utf8, false),
            Field::new("row", DataType::Int64, false),
            Field::new("idx", DataType::Int32, false),
            Field::new("label", DataType::Int64, false),
        ];
        if job.config.tokens == Tokens::All {
            fields.push(Field::new("position", DataType::Int32, false));
            fields.push(Field::new("token_id", DataType::Int32, false));
        }
        for layer in &job.config.layers {
            let list = DataType::FixedSizeList(item.clone(), job.hidden() as i32);
            fields.push(Field::new(format!("layer_{layer}"), list, false));
        }
        let metadata: std::collections::HashMap<_, _> =
            [("flue_study".to_owned(), job.describe().to_string())].into();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let file = AtomicFile::create(&job.run.out, job.config.overwrite)?;
        let failed = |e| failed(job, e);
        let writer = match job.format()? {
            Format::Parquet => {
                let level = ZstdLevel::try_new(3).map_err(Error::compute("zstd"))?;
                // Floats do not repeat: their bytes are split into streams that compress instead.
                let mut properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level));
                for layer in &job.config.layers {
                    let path: parquet::schema::types::ColumnPath =
                        vec![format!("layer_{layer}"), "list".into(), "item".into()].into();
                    properties = properties
                        .set_column_dictionary_enabled(path.clone(), false)
                        .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT);
                }
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties.build()));
                Writer::Parquet(Box::new(writer.map_err(|e| failed(e.to_string()))?))
            }
            _ => Writer::Arrow(Box::new(
                FileWriter::try_new(file, &schema).map_err(|e| failed(e.to_string()))?,
            )),
        };
        let layers = vec![Vec::new(); job.config.layers.len()];
        Ok(Self {
            job,
            schema,
            writer,
            split: SPLITS[0],
            rows: vec![],
            idx: vec![],
            labels: vec![],
            positions: vec![],
            token_ids: vec![],
            layers,
        })
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let count = self.rows.len();
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![self.split; count])),
            Arc::new(Int64Array::from(std::mem::take(&mut self.rows))),
            Arc::new(Int32Array::from(std::mem::take(&mut self.idx))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.labels))),
        ];
        if self.job.config.tokens == Tokens::All {
            columns.push(Arc::new(Int32Array::from(std::mem::take(
                &mut self.positions,
            ))));
            columns.push(Arc::new(Int32Array::from(std::mem::take(
                &mut self.token_ids,
            ))));
        }
        for layer in &mut self.layers {
            let values = Arc::new(Float32Array::from(std::mem::take(layer)));
            let list =
                FixedSizeListArray::try_new(item.clone(), self.job.hidden() as i32, values, None);
            columns.push(Arc::new(list.map_err(|e| failed(self.job, e.to_string()))?));
        }
        let written = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| e.to_string())
            .and_then(|batch| match &mut self.writer {
                Writer::Parquet(w) => w.write(&batch).map_err(|e| e.to_string()),
                Writer::Arrow(w) => w.write(&batch).map_err(|e| e.to_string()),
            });
        written.map_err(|e| failed(self.job, e))
    }

    fn finish(self) -> Result<()> {
        let job = self.job;
        let file = match self.writer {
            Writer::Parquet(w) => w.into_inner().map_err(|e| failed(job, e.to_string()))?,
            Writer::Arrow(mut w) => {
                w.finish().map_err(|e| failed(job, e.to_string()))?;
                w.into_inner().map_err(|e| failed(job, e.to_string()))?
            }
        };
        file.commit()
    }
}

fn failed(job: &Job<'_>, message: String) -> Error {
    Error::Io {
        path: job.run.out.clone(),
        action: "write",
        source: std::io::Error::other(message),
    }
}

impl Sink for TableSink<'_> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        let all = self.job.config.tokens == Tokens::All;
        let count = if all { sentence.token_ids.len() } else { 1 };
        self.rows
            .extend(std::iter::repeat_n(sentence.row as i64, count));
        self.idx.extend(std::iter::repeat_n(sentence.idx, count));
        self.labels
            .extend(std::iter::repeat_n(sentence.label, count));
        if all {
            self.positions.extend(0..count as i32);
            self.token_ids
                .extend(sentence.token_ids.iter().map(|&id| id as i32));
        }
        let hidden = self.job.hidden();
        for (layer, column) in self.job.config.layers.iter().zip(&mut self.layers) {
            column.extend_from_slice(&states(sentence, *layer)?[..count * hidden]);
        }
        let bytes = self.rows.len() * hidden * 4 * self.layers.len().max(1);
        if bytes >= BATCH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }
}
