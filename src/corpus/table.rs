//! Tables with a column `text` and a column `label` in CSV and TSV.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::lines::{LONGEST_ROW, Lines, invalid_utf8, too_long_text};
use super::meter::Meter;
use super::{Review, label};
use crate::error::{Error, Result, open_file};

/// Most bytes of a header: the csv crate keeps it four times, with a number for each field.
const LONGEST_HEADER: u64 = 1 << 20;
const NO_HEADER: &str = "a first line of more than 1 MiB: does it name the columns?";
const OPEN_QUOTE: &str = "a row of more than 16 MiB: is a quote left open?";

/// Where the columns stand in a CSV file.
struct Columns {
    text: usize,
    label: usize,
    idx: Option<usize>,
}

/// The rows of a CSV or TSV file with a header.
pub(super) struct Csv {
    path: PathBuf,
    reader: csv::Reader<Meter<Box<dyn BufRead + Send>>>,
    columns: Columns,
    record: ByteRecord,
    /// Rows so far, and the number of rows before this file.
    row: usize,
    before: usize,
    done: bool,
}

impl Csv {
    /// Open a file of fields cut at `delimiter` and quoted by `"`; `before` rows came before it in the split.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] when the header lacks `text` or `label`.
    pub fn open(path: &Path, delimiter: u8, before: usize) -> Result<Self> {
        let bytes = Meter::new(open_without_mark(path)?, LONGEST_HEADER, NO_HEADER);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(bytes);
        let header = match reader.byte_headers() {
            Ok(header) => header.clone(),
            Err(e) => return Err(csv_error(path, 0, e)),
        };
        let find = |name: &str| {
            header
                .iter()
                .position(|h| h.trim_ascii() == name.as_bytes())
        };
        let need = |name: &str| {
            find(name).ok_or_else(|| {
                let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
                let found = format!("columns {}", names.join(", "));
                let of_another_delimiter =
                    names.len() == 1 && names[0].contains([';', '\t', ',', '|']);
                let expected = match (of_another_delimiter, delimiter) {
                    (false, _) => "columns `text` and `label`",
                    (true, b'\t') => "columns `text` and `label`, with a tab between fields",
                    (true, _) => "columns `text` and `label`, with a comma between fields",
                };
                Error::malformed(path, "line 1", found, expected)
            })
        };
        let columns = Columns {
            text: need("text")?,
            label: need("label")?,
            idx: find("idx"),
        };
        Ok(Self {
            path: path.into(),
            reader,
            columns,
            record: ByteRecord::new(),
            row: 0,
            before,
            done: false,
        })
    }

    fn next_review(&mut self) -> Result<Option<Review>> {
        if self.done {
            return Ok(None);
        }
        self.reader.get_mut().refill(LONGEST_ROW as u64, OPEN_QUOTE);
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|e| csv_error(&self.path, self.row + 1, e))? {
            return Ok(None);
        }
        self.row += 1;
        let text = self.field(self.columns.text)?.to_string();
        if let Some((found, expected)) = too_long_text(&text) {
            return Err(self.bad(found, expected));
        }
        let label_word = self.field(self.columns.label)?;
        let label = label::parse_label(label_word)
            .ok_or_else(|| self.bad(format!("label {label_word:?}"), label::EXPECTED))?;
        let idx = match self.columns.idx {
            None => number(self.before + self.row),
            Some(column) => {
                let word = self.field(column)?;
                word.trim()
                    .parse()
                    .map_err(|_| self.bad(format!("idx {word:?}"), "a whole number"))?
            }
        };
        Ok(Some(Review {
            text,
            label,
            idx,
            category: None,
        }))
    }

    fn field(&self, column: usize) -> Result<&str> {
        let bytes = self.record.get(column).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| first_invalid_byte(&self.path))
    }

    fn bad(&self, found: String, expected: &str) -> Error {
        let line = self.record.position().map_or(0, csv::Position::line);
        let place = format!("row {} at line {line}", self.row);
        Error::malformed(&self.path, place, found, expected)
    }
}

impl Iterator for Csv {
    type Item = Result<Review>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_review();
        self.done |= next.is_err();
        next.transpose()
    }
}

/// A buffered file, after its byte order mark if it has one.
pub(super) fn open_without_mark(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let file = open_file(path)?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let start = reader.fill_buf().map_err(Error::io(path, "read"))?;
    if start.starts_with("\u{feff}".as_bytes()) {
        reader.consume(3);
    } else if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        let expected = "UTF-8 text: convert the file first, with iconv -f UTF-16 for instance";
        return Err(Error::malformed(path, "byte 0", "UTF-16", expected));
    }
    Ok(Box::new(reader))
}

/// A row's number as `idx`; the column is an int32.
pub(super) fn number(row: usize) -> i32 {
    i32::try_from(row).unwrap_or(i32::MAX)
}

fn csv_error(path: &Path, row: usize, e: csv::Error) -> Error {
    let line = e.position().map(csv::Position::line);
    let place = match line {
        Some(line) => format!("row {row} at line {line}"),
        None => format!("row {row}"),
    };
    match e.into_kind() {
        csv::ErrorKind::Io(source) if source.kind() == ErrorKind::InvalidData => {
            Error::malformed(path, place, source, "a review of a size that people write")
        }
        csv::ErrorKind::Io(source) => Error::io(path, "read")(source),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => Error::malformed(
            path,
            place,
            format!("{len} fields"),
            format!("{expected_len}, as in the header: quote fields that hold the delimiter"),
        ),
        other => Error::malformed(path, place, format!("{other:?}"), "a row of fields"),
    }
}

/// The error for the first byte of the file that is no UTF-8.
fn first_invalid_byte(path: &Path) -> Error {
    let file = match open_file(path) {
        Ok(file) => file,
        Err(e) => return e,
    };
    let mut lines = Lines::new(path, BufReader::new(file));
    let mut line = String::new();
    loop {
        line.clear();
        match lines.read(&mut line) {
            Ok(true) => {}
            Ok(false) => return invalid_utf8(path, 0),
            Err(e) => return e,
        }
    }
}
