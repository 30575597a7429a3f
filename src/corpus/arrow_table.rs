//! Parquet files with a column `text` and a column `label`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::lines::too_long_text;
use super::table::number;
use super::{Review, label};
use crate::artifact::{ParquetFile, rows_at_a_time};
use crate::error::{Error, Result, contain};

const REMEDY: &str = "a sound Parquet file: make it again";

/// The rows of a Parquet file.
pub(super) struct Parquet {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    ready: VecDeque<Review>,
    /// Rows so far, and the number of rows before this file.
    row: usize,
    before: usize,
    done: bool,
}

/// The number of rows that the footer of a Parquet file declares.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is no Parquet file.
pub(super) fn rows(path: &Path) -> Result<u64> {
    let builder = builder(path, ParquetFile::open(path)?)?;
    Ok(builder.metadata().file_metadata().num_rows().max(0) as u64)
}

fn builder(path: &Path, file: ParquetFile) -> Result<ParquetRecordBatchReaderBuilder<ParquetFile>> {
    contain(|| ParquetRecordBatchReaderBuilder::try_new(file))
        .and_then(|opened| opened.map_err(|e| e.to_string()))
        .map_err(|e| Error::malformed(path, "the footer", e, REMEDY))
}

impl Parquet {
    /// Open a file; `before` rows came before it in the split.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] when it is no Parquet file or lacks `text` or `label`.
    pub fn open(path: &Path, before: usize) -> Result<Self> {
        let file = ParquetFile::open(path)?;
        let builder = builder(path, file.clone())?;
        let schema = builder.schema().clone();
        let position = |name: &str| schema.index_of(name).ok();
        let (Some(text), Some(label)) = (position("text"), position("label")) else {
            let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let found = format!("columns {}", names.join(", "));
            let expected = "columns `text` and `label`";
            return Err(Error::malformed(path, "the schema", found, expected));
        };
        let wanted = [Some(text), Some(label), position("idx")];
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.into_iter().flatten());
        let rows = rows_at_a_time(path, &file, builder.metadata(), &mask)?;
        let builder = builder.with_projection(mask).with_batch_size(rows);
        let batches = contain(|| builder.build())
            .and_then(|built| built.map_err(|e| e.to_string()))
            .map_err(|e| Error::malformed(path, "", e, REMEDY))?;
        Ok(Self {
            path: path.into(),
            batches,
            ready: VecDeque::new(),
            row: 0,
            before,
            done: false,
        })
    }

    fn fill(&mut self) -> Result<()> {
        while self.ready.is_empty() && !self.done {
            let next = contain(|| self.batches.next().transpose());
            let batch = next.and_then(|batch| batch.map_err(|e| e.to_string()));
            let batch = batch.map_err(|e| {
                let place = format!("rows from {}", self.row + 1);
                Error::malformed(&self.path, place, e, REMEDY)
            })?;
            match batch {
                None => self.done = true,
                Some(batch) => self.take(&batch)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let texts = self.column(batch, "text", &DataType::LargeUtf8)?;
        let words = match batch.column_by_name("label") {
            Some(column) if column.data_type().is_floating() => None,
            _ => Some(self.column(batch, "label", &DataType::Utf8)?),
        };
        let idx = match batch.column_by_name("idx") {
            None => None,
            Some(_) => Some(self.column(batch, "idx", &DataType::Int64)?),
        };
        let texts = texts.as_string::<i64>();
        for row in 0..batch.num_rows() {
            self.row += 1;
            let bad = |found: String, expected: &str| {
                let place = format!("row {}", self.row);
                Error::malformed(&self.path, place, found, expected)
            };
            if texts.is_null(row) {
                return Err(bad("text null".into(), "a string"));
            }
            if let Some((found, expected)) = too_long_text(texts.value(row)) {
                return Err(bad(found, expected));
            }
            let word = match &words {
                Some(words) if words.is_null(row) => "null",
                Some(words) => words.as_string::<i32>().value(row),
                None => "of a floating-point type",
            };
            let label = label::parse_label(word)
                .ok_or_else(|| bad(format!("label {word}"), label::EXPECTED))?;
            let idx = match &idx {
                None => number(self.before + self.row),
                Some(idx) => idx
                    .is_valid(row)
                    .then(|| idx.as_primitive::<Int64Type>().value(row))
                    .and_then(|n| i32::try_from(n).ok())
                    .ok_or_else(|| bad("an idx that is no int32".into(), "a whole number"))?,
            };
            self.ready.push_back(Review {
                text: texts.value(row).into(),
                label,
                idx,
                category: None,
            });
        }
        Ok(())
    }

    /// A column of the batch cast to `to`: strings and dictionaries of strings, integers of any width.
    fn column(&self, batch: &RecordBatch, name: &str, to: &DataType) -> Result<ArrayRef> {
        let place = format!("column `{name}`");
        let missing = || Error::malformed(&self.path, &place, "nothing", to);
        let column = batch.column_by_name(name).ok_or_else(missing)?;
        let options = CastOptions {
            safe: false,
            ..Default::default()
        };
        contain(|| cast_with_options(column, to, &options))
            .and_then(|cast| cast.map_err(|e| e.to_string()))
            .map_err(|e| Error::malformed(&self.path, &place, e, to))
    }
}

impl Iterator for Parquet {
    type Item = Result<Review>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(e) = self.fill() {
            self.done = true;
            self.ready.clear();
            return Some(Err(e));
        }
        self.ready.pop_front().map(Ok)
    }
}
