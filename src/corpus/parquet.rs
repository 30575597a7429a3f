//! Parquet files with a column `text` and a column `label`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::{Columns, IDX, category, number};
use super::guards::too_long_text;
use super::labels::{self, RowLabels};
use super::{ReadOptions, Review};
use crate::artifact::{ParquetFile, features, rows_at_a_time};
use crate::error::{Error, Result, contain};

const REMEDY: &str = "a sound Parquet file: make it again";

/// The rows of a Parquet file.
pub(super) struct Parquet {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    schema: SchemaRef,
    columns: Columns,
    labels: RowLabels,
    ready: VecDeque<Review>,
    /// Rows so far, and the number of rows before this file.
    row: usize,
    before: usize,
    done: bool,
}

/// The number of rows that the footer of a Parquet file declares.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is not a Parquet file.
pub(super) fn rows(path: &Path) -> Result<u64> {
    let builder = builder(path, ParquetFile::open(path)?)?;
    Ok(builder.metadata().file_metadata().num_rows().max(0) as u64)
}

/// Whether a Parquet file has a column `category`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is not a Parquet file or lacks `text` or `label`.
pub(super) fn has_categories(path: &Path) -> Result<bool> {
    let builder = builder(path, ParquetFile::open(path)?)?;
    Ok(columns(path, builder.schema())?.category.is_some())
}

fn columns(path: &Path, schema: &Schema) -> Result<Columns> {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    Columns::find(path, "the schema", &names, "")
}

fn builder(path: &Path, file: ParquetFile) -> Result<ParquetRecordBatchReaderBuilder<ParquetFile>> {
    contain(|| ParquetRecordBatchReaderBuilder::try_new(file))
        .and_then(|opened| opened.map_err(|e| e.to_string()))
        .map_err(|e| Error::malformed(path, "the footer", e, REMEDY))
}

impl Parquet {
    /// Open a file; `before` rows came before it in the split. The names of the classes are those
    /// that `datasets` keeps in the schema's metadata.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] when it is not a Parquet file or lacks `text` or
    /// `label`; [`Error::Mismatch`] when its classes are others than FLUE's.
    pub(crate) fn open(path: &Path, before: usize, options: &ReadOptions) -> Result<Self> {
        let file = ParquetFile::open(path)?;
        let builder = builder(path, file.clone())?;
        let schema = builder.schema().clone();
        let columns = columns(path, &schema)?;
        let label = schema.field(columns.label).name();
        let labels = match features::class_names(path, &schema, label)? {
            Some(names) => RowLabels::declared(path.display(), &names, &options.label_map)?,
            None => RowLabels::words(&options.label_map),
        };
        let others = columns.idx.into_iter().chain(columns.category);
        let wanted = [columns.text, columns.label].into_iter().chain(others);
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let rows = rows_at_a_time(path, &file, builder.metadata(), &mask)?;
        let builder = builder.with_projection(mask).with_batch_size(rows);
        let batches = contain(|| builder.build())
            .and_then(|built| built.map_err(|e| e.to_string()))
            .map_err(|e| Error::malformed(path, "", e, REMEDY))?;
        Ok(Self {
            path: path.into(),
            batches,
            schema,
            columns,
            labels,
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
        let texts = self.column(batch, self.columns.text, &DataType::LargeUtf8)?;
        let texts = texts.as_string::<i64>();
        let labels = LabelColumn::of(self.label_column(batch)?);
        let other = |column: Option<usize>, to| {
            let column = column.map(|column| self.column(batch, column, to));
            column.transpose()
        };
        let idx = other(self.columns.idx, &DataType::Int64)?;
        let categories = other(self.columns.category, &DataType::Utf8)?;
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
            let label = labels
                .class(&self.labels, row)
                .map_err(|word| bad(format!("label {word}"), labels::EXPECTED))?;
            let idx = match &idx {
                None => number(&self.path, self.before + self.row)?,
                Some(idx) => {
                    let value = idx.is_valid(row);
                    let value = value.then(|| idx.as_primitive::<Int64Type>().value(row));
                    let words = || value.map_or("idx null".into(), |n| format!("idx {n}"));
                    let small = value.and_then(|n| i32::try_from(n).ok());
                    small.ok_or_else(|| bad(words(), IDX))?
                }
            };
            let category = categories.as_ref().and_then(|column| {
                let words = column.as_string::<i32>();
                words.is_valid(row).then(|| words.value(row))
            });
            self.ready.push_back(Review {
                text: texts.value(row).into(),
                label,
                idx,
                category: category.and_then(self::category),
            });
        }
        Ok(())
    }

    /// The labels as whole numbers or as words.
    fn label_column(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let field = self.schema.field(self.columns.label);
        let stored = field.data_type();
        if stored.is_floating() {
            let found = format!("numbers of the floating-point type {stored}");
            let place = format!("column `{}`", field.name());
            return Err(Error::malformed(&self.path, place, found, labels::EXPECTED));
        }
        let to = match stored.is_integer() {
            true => DataType::Int64,
            false => DataType::Utf8,
        };
        self.column(batch, self.columns.label, &to)
    }

    /// A column of the schema in the batch, cast to `to`: strings and dictionaries of strings,
    /// integers of any width.
    fn column(&self, batch: &RecordBatch, column: usize, to: &DataType) -> Result<ArrayRef> {
        let name = self.schema.field(column).name();
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

/// The labels of a batch.
enum LabelColumn {
    Numbers(ArrayRef),
    Words(ArrayRef),
}

impl LabelColumn {
    fn of(column: ArrayRef) -> Self {
        match column.data_type() {
            DataType::Int64 => Self::Numbers(column),
            _ => Self::Words(column),
        }
    }

    /// The class of a row, or what stands there.
    fn class(&self, labels: &RowLabels, row: usize) -> std::result::Result<i64, String> {
        let (Self::Numbers(column) | Self::Words(column)) = self;
        if column.is_null(row) {
            return Err("null".into());
        }
        match self {
            Self::Numbers(column) => {
                let number = column.as_primitive::<Int64Type>().value(row);
                labels.of_number(number).ok_or_else(|| number.to_string())
            }
            Self::Words(column) => {
                let word = column.as_string::<i32>().value(row);
                labels.of_word(word).ok_or_else(|| format!("{word:?}"))
            }
        }
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
