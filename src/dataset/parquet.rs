//! Reading `data-*.parquet` as record batches.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns;
use crate::error::{Error, Result};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 1000;

/// The schema of a Parquet file, its metadata included, and its rows by batches, each with words for its place.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::Malformed`] when it is damaged.
pub(super) fn read(
    path: &Path,
) -> Result<(
    SchemaRef,
    impl Iterator<Item = Result<(String, RecordBatch)>>,
)> {
    let damaged = |place: String, e: String| {
        Error::malformed(path, place, e, "a sound Parquet file: make it again")
    };
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|e| damaged("the footer".into(), e.to_string()))?;
    let schema = builder.schema().clone();
    let wanted = columns::projection(&schema);
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| damaged(String::new(), e.to_string()))?;
    let path = path.to_path_buf();
    let mut row = 0;
    let batches = reader.map(move |batch| {
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
    Ok((schema, batches))
}
