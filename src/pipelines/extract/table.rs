//! `.parquet` and `.arrow` (an Arrow IPC file): a record per review or per token.
//!
//! Columns `split`, `row`, `idx`, `label`, `category` (null where the data has none); for tokens
//! `position`, `token_id`, `start` and `end` (first and last character of the token in the text,
//! exclusive; null where the checkpoint's tokenizer does not give these tokens); then `layer_5`, …
//! as fixed-size lists of float32 or float16. The schema's metadata key `flue_study` says what made
//! it.

use std::iter::repeat_n;
use std::sync::Arc;

use arrow::array::{
    ArrayData, ArrayRef, FixedSizeListArray, Int32Array, Int64Array, RecordBatch, StringArray,
    make_array,
};
use arrow::buffer::MutableBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::options::{Format, StorageType};
use super::{Job, SPLITS, Stored, Tokens, Writer, failed};
use crate::error::{Error, Result};
use crate::files::AtomicFile;

/// Bytes of states that are gathered before they are written.
const BATCH_BYTES: usize = 4 << 20;
/// Encoded bytes of a row group of a Parquet file, which is kept in memory until it is complete.
const ROW_GROUP_BYTES: usize = 32 << 20;

enum File {
    Parquet(Box<ArrowWriter<AtomicFile>>),
    Arrow(Box<FileWriter<AtomicFile>>),
}

/// Records gathered column by column, written when there are enough.
pub(super) struct TableFile<'a> {
    job: &'a Job<'a>,
    schema: SchemaRef,
    file: File,
    columns: Columns,
}

/// The columns of the records that wait.
#[derive(Default)]
struct Columns {
    splits: Vec<&'static str>,
    rows: Vec<i64>,
    idx: Vec<i32>,
    labels: Vec<i64>,
    categories: Vec<Option<String>>,
    positions: Vec<i32>,
    token_ids: Vec<i32>,
    starts: Vec<Option<i32>>,
    ends: Vec<Option<i32>>,
    layers: Vec<MutableBuffer>,
}

/// A number of a state.
fn item(job: &Job<'_>) -> FieldRef {
    let dtype = match job.config.dtype {
        StorageType::F16 => DataType::Float16,
        StorageType::F32 | StorageType::BF16 => DataType::Float32,
    };
    Arc::new(Field::new("item", dtype, false))
}

fn schema(job: &Job<'_>) -> SchemaRef {
    let mut fields = vec![
        Field::new("split", DataType::Utf8, false),
        Field::new("row", DataType::Int64, false),
        Field::new("idx", DataType::Int32, false),
        Field::new("label", DataType::Int64, false),
        Field::new("category", DataType::Utf8, true),
    ];
    if job.config.tokens == Tokens::All {
        fields.push(Field::new("position", DataType::Int32, false));
        fields.push(Field::new("token_id", DataType::Int32, false));
        fields.push(Field::new("start", DataType::Int32, true));
        fields.push(Field::new("end", DataType::Int32, true));
    }
    for layer in &job.layers {
        let list = DataType::FixedSizeList(item(job), job.hidden() as i32);
        fields.push(Field::new(format!("layer_{layer}"), list, false));
    }
    let metadata: std::collections::HashMap<_, _> =
        [("flue_study".to_owned(), job.describe().to_string())].into();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// zstd; the bytes of floats, which do not repeat, are split into streams that compress instead.
/// Not those of half floats, which DuckDB would not read then.
fn properties(job: &Job<'_>) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(3).map_err(Error::compute("zstd"))?;
    let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(level));
    let encoding = match job.config.dtype {
        StorageType::F32 => Encoding::BYTE_STREAM_SPLIT,
        StorageType::F16 | StorageType::BF16 => Encoding::PLAIN,
    };
    for layer in &job.layers {
        let path: parquet::schema::types::ColumnPath =
            vec![format!("layer_{layer}"), "list".into(), "item".into()].into();
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, encoding);
    }
    Ok(properties.build())
}

impl<'a> TableFile<'a> {
    pub(crate) fn create(job: &'a Job<'a>) -> Result<Self> {
        let schema = schema(job);
        let out = &job.run.out;
        let file = AtomicFile::create(out, job.overwrite)?;
        let file = match job.format()? {
            Format::Parquet => {
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(job)?));
                File::Parquet(Box::new(writer.map_err(|e| failed(out, e))?))
            }
            _ => File::Arrow(Box::new(
                FileWriter::try_new(file, &schema).map_err(|e| failed(out, e))?,
            )),
        };
        Ok(Self {
            job,
            schema,
            file,
            columns: Columns::new(job.layers.len()),
        })
    }

    fn flush(&mut self) -> Result<()> {
        if self.columns.rows.is_empty() {
            return Ok(());
        }
        let empty = Columns::new(self.job.layers.len());
        let columns = std::mem::replace(&mut self.columns, empty);
        let out = &self.job.run.out;
        let arrays = columns.arrays(self.job)?;
        let batch =
            RecordBatch::try_new(self.schema.clone(), arrays).map_err(|e| failed(out, e))?;
        match &mut self.file {
            File::Parquet(file) => file
                .write(&batch)
                .and_then(|()| match file.in_progress_size() {
                    size if size >= ROW_GROUP_BYTES => file.flush(),
                    _ => Ok(()),
                })
                .map_err(|e| failed(out, e)),
            File::Arrow(file) => file.write(&batch).map_err(|e| failed(out, e)),
        }
    }
}

impl Columns {
    fn new(layers: usize) -> Self {
        Self {
            layers: (0..layers).map(|_| MutableBuffer::new(0)).collect(),
            ..Self::default()
        }
    }

    fn arrays(self, job: &Job<'_>) -> Result<Vec<ArrayRef>> {
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.splits)),
            Arc::new(Int64Array::from(self.rows)),
            Arc::new(Int32Array::from(self.idx)),
            Arc::new(Int64Array::from(self.labels)),
            Arc::new(StringArray::from(self.categories)),
        ];
        if job.config.tokens == Tokens::All {
            arrays.push(Arc::new(Int32Array::from(self.positions)));
            arrays.push(Arc::new(Int32Array::from(self.token_ids)));
            arrays.push(Arc::new(Int32Array::from(self.starts)));
            arrays.push(Arc::new(Int32Array::from(self.ends)));
        }
        let item = item(job);
        for buffer in self.layers {
            let out = &job.run.out;
            let values = ArrayData::builder(item.data_type().clone())
                .len(buffer.len() / job.config.dtype.size())
                .add_buffer(buffer.into())
                .build()
                .map_err(|e| failed(out, e))?;
            let list = FixedSizeListArray::try_new(
                item.clone(),
                job.hidden() as i32,
                make_array(values),
                None,
            );
            arrays.push(Arc::new(list.map_err(|e| failed(out, e))?));
        }
        Ok(arrays)
    }
}

impl Writer for TableFile<'_> {
    fn row(&mut self, stored: &Stored<'_>) -> Result<()> {
        let (columns, count) = (&mut self.columns, stored.records);
        columns.splits.extend(repeat_n(SPLITS[stored.split], count));
        columns.rows.extend(repeat_n(stored.row as i64, count));
        columns.idx.extend(repeat_n(stored.idx, count));
        columns.labels.extend(repeat_n(stored.label, count));
        let category = stored.category.map(str::to_string);
        columns.categories.extend(repeat_n(category, count));
        if self.job.config.tokens == Tokens::All {
            columns.positions.extend(0..count as i32);
            let ids = stored.token_ids.iter().map(|&id| id as i32);
            columns.token_ids.extend(ids);
            let end = |e: usize| (0..count).map(move |i| stored.spans.map(|s| s[i][e]));
            columns.starts.extend(end(0));
            columns.ends.extend(end(1));
        }
        let layers = columns.layers.len();
        for (i, column) in columns.layers.iter_mut().enumerate() {
            column.extend_from_slice(stored.layer(i, layers));
        }
        let bytes: usize = columns.layers.iter().map(MutableBuffer::len).sum();
        if bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush()?;
        let out = &self.job.run.out;
        let file = match self.file {
            File::Parquet(file) => file.into_inner().map_err(|e| failed(out, e))?,
            File::Arrow(mut file) => {
                file.finish().map_err(|e| failed(out, e))?;
                file.into_inner().map_err(|e| failed(out, e))?
            }
        };
        file.commit()
    }
}
