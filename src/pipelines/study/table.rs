//! A table, written as CSV and as Parquet at once, row by row.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
    Text,
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Integer(i64),
    Float(f64),
    Text(&'a str),
}

impl From<usize> for Cell<'_> {
    fn from(value: usize) -> Self {
        Cell::Integer(value as i64)
    }
}
impl From<u64> for Cell<'_> {
    fn from(value: u64) -> Self {
        Cell::Integer(value as i64)
    }
}
impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Cell::Integer(value)
    }
}
impl From<f64> for Cell<'_> {
    fn from(value: f64) -> Self {
        Cell::Float(value)
    }
}
impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Cell::Text(value)
    }
}

/// Rows held back before they go to Parquet.
const GROUP: usize = 1 << 16;

/// `STEM.csv` and `STEM.parquet`, growing row by row in bounded memory.
///
/// Floats have 9 significant digits in the CSV, as C's `%.9g` writes them (`nan` where there is no
/// value), and all their digits in the Parquet file (null where there is no value).
pub(super) struct TableWriter {
    csv_path: PathBuf,
    csv: csv::Writer<BufWriter<File>>,
    parquet_path: PathBuf,
    parquet: ArrowWriter<File>,
    schema: Arc<Schema>,
    columns: Vec<Builder>,
    waiting: usize,
}

enum Builder {
    Integer(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
}

impl Builder {
    fn as_dyn(&mut self) -> &mut dyn ArrayBuilder {
        match self {
            Builder::Integer(b) => b,
            Builder::Float(b) => b,
            Builder::Text(b) => b,
        }
    }
}

impl TableWriter {
    /// Start both files in `folder`, with these columns.
    pub(crate) fn create(folder: &Path, stem: &str, columns: &[(&str, Kind)]) -> Result<Self> {
        let (csv_path, parquet_path) = (
            folder.join(format!("{stem}.csv")),
            folder.join(format!("{stem}.parquet")),
        );
        let create = |path: &Path| File::create(path).map_err(Error::io(path, "create"));
        let mut csv = csv::Writer::from_writer(BufWriter::new(create(&csv_path)?));
        csv.write_record(columns.iter().map(|c| c.0))
            .map_err(|e| Error::io(&csv_path, "write")(e.into()))?;
        let fields: Vec<Field> = columns
            .iter()
            .map(|&(name, kind)| match kind {
                Kind::Integer => Field::new(name, DataType::Int64, false),
                Kind::Float => Field::new(name, DataType::Float64, true),
                Kind::Text => Field::new(name, DataType::Utf8, false),
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let parquet =
            ArrowWriter::try_new(create(&parquet_path)?, schema.clone(), Some(properties))
                .map_err(Error::compute(parquet_path.display()))?;
        let columns = columns
            .iter()
            .map(|(_, kind)| match kind {
                Kind::Integer => Builder::Integer(Int64Builder::new()),
                Kind::Float => Builder::Float(Float64Builder::new()),
                Kind::Text => Builder::Text(StringBuilder::new()),
            })
            .collect();
        Ok(Self {
            csv_path,
            csv,
            parquet_path,
            parquet,
            schema,
            columns,
            waiting: 0,
        })
    }

    /// Add a row: one cell per column, of its type.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for other cells; [`Error::Compute`] when a file cannot be written.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        if cells.len() != self.columns.len() {
            return Err(self.wrong_row(cells));
        }
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Builder::Integer(b), Cell::Integer(v)) => b.append_value(*v),
                (Builder::Float(b), Cell::Float(v)) => b.append_option((!v.is_nan()).then_some(*v)),
                (Builder::Text(b), Cell::Text(v)) => b.append_value(v),
                _ => return Err(self.wrong_row(cells)),
            }
        }
        let words = cells.iter().map(|cell| match cell {
            Cell::Integer(v) => v.to_string(),
            Cell::Float(v) => significant(*v),
            Cell::Text(v) => (*v).to_string(),
        });
        self.csv
            .write_record(words)
            .map_err(|e| Error::io(&self.csv_path, "write")(e.into()))?;
        self.waiting += 1;
        if self.waiting == GROUP {
            self.write_group()?;
        }
        Ok(())
    }

    fn wrong_row(&self, cells: &[Cell<'_>]) -> Error {
        Error::Mismatch(format!(
            "{}: the row {cells:?} does not have its columns",
            self.csv_path.display()
        ))
    }

    fn write_group(&mut self) -> Result<()> {
        let arrays = self
            .columns
            .iter_mut()
            .map(|b| b.as_dyn().finish())
            .collect();
        self.waiting = 0;
        let context = || self.parquet_path.display();
        let batch =
            RecordBatch::try_new(self.schema.clone(), arrays).map_err(Error::compute(context()))?;
        self.parquet
            .write(&batch)
            .map_err(Error::compute(context()))
    }

    /// Complete both files.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Compute`] when they cannot be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.write_group()?;
        self.csv
            .flush()
            .map_err(Error::io(&self.csv_path, "write"))?;
        let context = self.parquet_path.display().to_string();
        self.parquet.close().map_err(Error::compute(context))?;
        Ok(())
    }
}

/// A number with 9 significant digits, as C's and Python's `%.9g`.
pub(super) fn significant(value: f64) -> String {
    const DIGITS: i32 = 9;
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{value:.*e}", DIGITS as usize - 1);
    let parts = scientific.split_once('e');
    let (mantissa, exponent) = parts.expect("this format has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
    let trim = |digits: &str| match digits.contains('.') {
        true => digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_string(),
        false => digits.to_string(),
    };
    if (-4..DIGITS).contains(&exponent) {
        trim(&format!("{value:.*}", (DIGITS - 1 - exponent) as usize))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_digits_as_c_writes_them() {
        // '%.9g' % v in Python
        for (value, words) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.123456789012, "-0.123456789"),
            (1807.25, "1807.25"),
            (0.000123456789012, "0.000123456789"),
            (1.5e-5, "1.5e-05"),
            (123456789.4, "123456789"),
            (1234567894.0, "1.23456789e+09"),
            (999999999.6, "1e+09"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(significant(value), words);
        }
    }

    #[test]
    fn both_files_hold_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let columns = [
            ("layer", Kind::Integer),
            ("value", Kind::Float),
            ("name", Kind::Text),
        ];
        let mut table = TableWriter::create(folder.path(), "t", &columns).unwrap();
        table
            .row(&[Cell::Integer(1), Cell::Float(1.0 / 3.0), Cell::Text("a, b")])
            .unwrap();
        table
            .row(&[Cell::Integer(2), Cell::Float(f64::NAN), Cell::Text("c")])
            .unwrap();
        table
            .row(&[Cell::Integer(3), Cell::Float(f64::INFINITY), Cell::Text("")])
            .unwrap();
        assert!(table.row(&[Cell::Integer(1)]).is_err());
        table.finish().unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join("t.csv")).unwrap(),
            "layer,value,name\n1,0.333333333,\"a, b\"\n2,nan,c\n3,inf,\n"
        );
        let file = File::open(folder.path().join("t.parquet")).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        let batch = reader.map(|b| b.unwrap()).next().unwrap();
        assert_eq!(batch.num_rows(), 3);
        let values = batch
            .column(1)
            .as_any()
            .downcast_ref::<arrow::array::Float64Array>()
            .unwrap();
        let want = [Some(1.0 / 3.0), None, Some(f64::INFINITY)];
        assert_eq!(values.iter().collect::<Vec<_>>(), want);
    }
}
