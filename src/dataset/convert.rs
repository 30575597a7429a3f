//! Data that cannot be read in place (Parquet, other integer types, fixed-size lists, no attention
//! mask) is read batch by batch and written once, with the usual types, to a nameless temporary
//! file, which is mapped in its stead.

use std::fs::File;
use std::io::{BufWriter, Seek};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int8Array, LargeListArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns;
use super::ipc::StreamFile;
use crate::artifact::{ParquetFile, rows_at_a_time};
use crate::error::{Error, Result, contain, interrupt};

const REMEDY: &str = "a sound Parquet file: make it again";

/// Most values of a list of fixed size: a row that is null takes as many.
const LONGEST_FIXED: i32 = 1 << 16;

/// What a file may grow to when it is written with the usual types: so many times its size, or this
/// much if that is more. Token ids take a third of it and more in Parquet; columns of one value
/// nothing at all.
const MOST_TIMES: u64 = 200;
const MOST_FROM_LITTLE: u64 = 1 << 30;

/// Whether every column that the programs read can be read in place.
pub(super) fn is_native(schema: &Schema) -> bool {
    let has = |name: &str| schema.field_with_name(name).is_ok();
    let typed = schema
        .fields()
        .iter()
        .all(|field| columns::is_native(field.name(), field.data_type()));
    typed && (has("attention_mask") || !has("input_ids"))
}

/// Write `batches` (each with words for its place) with the usual types to a temporary file and map
/// it.
///
/// # Errors
/// [`Error::Malformed`] with `path` and the place for a value that does not fit; [`Error::Io`] when
/// the temporary folder (`TMPDIR`) is full.
pub(super) fn rewrite(
    path: &Path,
    schema: &Schema,
    batches: impl Iterator<Item = Result<(String, RecordBatch)>>,
) -> Result<StreamFile> {
    let (target, wanted) = target_schema(path, schema)?;
    let target = Arc::new(target);
    let temporary = std::env::temp_dir();
    let file = tempfile::tempfile().map_err(Error::io(&temporary, "create a file in"))?;
    let failed = |e: arrow::error::ArrowError| Error::Io {
        path: temporary.clone(),
        action: "write a temporary file in",
        source: std::io::Error::other(e),
    };
    let size = std::fs::metadata(path)
        .map_err(Error::io(path, "read"))?
        .len();
    let most = size.saturating_mul(MOST_TIMES).max(MOST_FROM_LITTLE);
    let mut written = 0;
    let mut writer = StreamWriter::try_new(BufWriter::new(file), &target).map_err(failed)?;
    for batch in batches {
        interrupt::check()?;
        let (place, batch) = batch?;
        let arrays = wanted
            .iter()
            .map(|name| convert(path, &place, &batch, name))
            .collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(target.clone(), arrays)
            .map_err(|e| Error::malformed(path, &place, e, "columns of equal length"))?;
        written += batch.get_array_memory_size() as u64;
        if written > most {
            let found = format!("more than {most} bytes of values in a file of {size}");
            return Err(Error::malformed(path, &place, found, "a file of real data"));
        }
        writer.write(&batch).map_err(failed)?;
    }
    let buffered = writer.into_inner().map_err(failed)?;
    let mut file: File = buffered.into_inner().map_err(|e| Error::Io {
        path: temporary.clone(),
        action: "write a temporary file in",
        source: e.into_error(),
    })?;
    file.rewind()
        .map_err(Error::io(&temporary, "read a file in"))?;
    StreamFile::map_own(path, file)
}

/// The type that a column of this name is rewritten to.
fn target_type(name: &str) -> DataType {
    let list = |item| DataType::LargeList(Arc::new(Field::new("item", item, true)));
    match name {
        "text" | "category" => DataType::LargeUtf8,
        "label" => DataType::Int64,
        "idx" => DataType::Int32,
        "input_ids" => list(DataType::Int32),
        _ => list(DataType::Int8),
    }
}

/// The rewritten schema (with the metadata of the old one) and its column names.
fn target_schema(path: &Path, schema: &Schema) -> Result<(Schema, Vec<&'static str>)> {
    let has = |name: &str| columns::has(schema, name);
    let wanted: Vec<&'static str> = columns::NAMES
        .into_iter()
        .filter(|&name| has(name) || (name == "attention_mask" && has("input_ids")))
        .collect();
    for field in schema.fields() {
        let (name, found) = (field.name(), field.data_type());
        if columns::is_read(name, found) && !is_convertible(name, found) {
            let place = format!("column `{name}`");
            let expected = match (name.as_str(), found) {
                ("label", DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                    "class numbers: use `class_encode_column(\"label\")` of datasets, or save the \
                     rows as CSV, JSON lines or Parquet, in which words are read"
                        .into()
                }
                _ => target_type(name).to_string(),
            };
            return Err(Error::malformed(path, place, found, expected));
        }
    }
    let fields: Vec<Field> = wanted
        .iter()
        .map(|name| Field::new(*name, target_type(name), true))
        .collect();
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    Ok((schema, wanted))
}

fn is_convertible(name: &str, data_type: &DataType) -> bool {
    match (name, data_type) {
        ("text", DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => true,
        ("category", _) => true,
        ("label", DataType::Boolean) => true,
        ("label" | "idx", other) => other.is_integer(),
        (
            "input_ids" | "token_type_ids" | "attention_mask",
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, ..=LONGEST_FIXED),
        ) => item.data_type().is_integer() || *item.data_type() == DataType::Boolean,
        _ => false,
    }
}

/// One column with its usual type; a mask of ones where the data has none.
fn convert(path: &Path, place: &str, batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..Default::default()
    };
    let bad = |e: String| {
        let place = format!("{place}, column `{name}`");
        match name {
            "idx" => Error::malformed(path, place, e, "whole numbers of 32 bits"),
            _ => Error::malformed(path, place, e, target_type(name)),
        }
    };
    let cast = |array: &ArrayRef, to: &str| {
        contain(|| cast_with_options(array, &target_type(to), &options))
            .and_then(|cast| cast.map_err(|e| e.to_string()))
            .map_err(bad)
    };
    match batch.column_by_name(name) {
        Some(array) => cast(array, name),
        None => {
            let ids = batch.column_by_name("input_ids").ok_or_else(|| {
                Error::malformed(path, place, "no column `input_ids`", "lists of token ids")
            })?;
            let ids = cast(ids, "input_ids")?;
            Ok(Arc::new(ones_like(ids.as_list::<i64>())))
        }
    }
}

fn ones_like(ids: &LargeListArray) -> LargeListArray {
    let ones = Int8Array::from(vec![1i8; ids.values().len()]);
    let item = Arc::new(Field::new("item", DataType::Int8, true));
    LargeListArray::new(
        item,
        ids.offsets().clone(),
        Arc::new(ones),
        ids.nulls().cloned(),
    )
}

/// The schema of a Parquet file, its metadata included, and its rows by batches, each with words
/// for its place.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::Malformed`] when it is damaged.
pub(super) fn read_parquet(path: &Path) -> Result<(SchemaRef, Batches)> {
    read_columns(path, columns::projection)
}

/// The schema of a Parquet file and its record batches with all columns, each batch with words for
/// its place.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::Malformed`] when it is damaged or its rows
/// would take too much memory.
pub(crate) fn read_table(path: &Path) -> Result<(SchemaRef, Batches)> {
    read_columns(path, |schema| (0..schema.fields().len()).collect())
}

/// Record batches in their order, each with words for its place.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<(String, RecordBatch)>>>;

fn read_columns(
    path: &Path,
    wanted: impl FnOnce(&Schema) -> Vec<usize>,
) -> Result<(SchemaRef, Batches)> {
    let damaged = |place: &str, e: String| Error::malformed(path, place, e, REMEDY);
    let file = ParquetFile::open(path)?;
    let builder = contain(|| ParquetRecordBatchReaderBuilder::try_new(file.clone()))
        .and_then(|opened| opened.map_err(|e| e.to_string()))
        .map_err(|e| damaged("the footer", e))?;
    let schema = builder.schema().clone();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted(&schema));
    let rows = rows_at_a_time(path, &file, builder.metadata(), &mask)?;
    let builder = builder.with_projection(mask).with_batch_size(rows);
    let mut reader = contain(|| builder.build())
        .and_then(|built| built.map_err(|e| e.to_string()))
        .map_err(|e| damaged("", e))?;
    let path = path.to_path_buf();
    let mut row = 0;
    let next = move || match contain(|| reader.next()) {
        Ok(batch) => batch.map(|batch| batch.map_err(|e| e.to_string())),
        Err(e) => Some(Err(e)),
    };
    // Nothing is read after an error: the reader may be in any state.
    let batches = fused(next).map(move |batch| {
        let first = row;
        match batch {
            Ok(batch) => {
                row += batch.num_rows();
                let place = format!("rows {first} to {}", row.saturating_sub(1));
                Ok((place, batch))
            }
            Err(e) => {
                let place = format!("rows from {first}");
                Err(Error::malformed(&path, place, e, REMEDY))
            }
        }
    });
    Ok((schema, Box::new(batches)))
}

/// What `next` gives, up to the first error.
fn fused<T>(
    mut next: impl FnMut() -> Option<std::result::Result<T, String>>,
) -> impl Iterator<Item = std::result::Result<T, String>> {
    let mut failed = false;
    std::iter::from_fn(move || {
        let item = if failed { None } else { next() };
        failed |= item.as_ref().is_some_and(|item| item.is_err());
        item
    })
}
