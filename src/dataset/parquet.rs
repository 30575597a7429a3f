//! Reading `data-*.parquet` as record batches.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns;
use crate::artifact::{ParquetFile, rows_at_a_time};
use crate::error::{Error, Result, contain};

/// The schema of a Parquet file, its metadata included, and its rows by batches, each with words for its place.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::Malformed`] when it is damaged.
pub(super) fn read(path: &Path) -> Result<(SchemaRef, Batches)> {
    read_columns(path, columns::projection)
}

/// The schema of a Parquet file and its record batches with all columns, each batch with words for its place.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::Malformed`] when it is damaged or its rows would take too much memory.
pub fn read_table(path: &Path) -> Result<(SchemaRef, Batches)> {
    read_columns(path, |schema| (0..schema.fields().len()).collect())
}

/// Record batches in their order, each with words for its place.
pub type Batches = Box<dyn Iterator<Item = Result<(String, RecordBatch)>>>;

fn read_columns(
    path: &Path,
    wanted: impl FnOnce(&Schema) -> Vec<usize>,
) -> Result<(SchemaRef, Batches)> {
    let damaged = |place: String, e: String| {
        Error::malformed(path, place, e, "a sound Parquet file: make it again")
    };
    let file = ParquetFile::open(path)?;
    let builder = contain(|| ParquetRecordBatchReaderBuilder::try_new(file.clone()))
        .and_then(|opened| opened.map_err(|e| e.to_string()))
        .map_err(|e| damaged("the footer".into(), e))?;
    let schema = builder.schema().clone();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted(&schema));
    let rows = rows_at_a_time(path, &file, builder.metadata(), &mask)?;
    let builder = builder.with_projection(mask).with_batch_size(rows);
    let mut reader = contain(|| builder.build())
        .and_then(|built| built.map_err(|e| e.to_string()))
        .map_err(|e| damaged(String::new(), e))?;
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
                let remedy = "a sound Parquet file: make it again";
                Err(Error::malformed(&path, place, e, remedy))
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
