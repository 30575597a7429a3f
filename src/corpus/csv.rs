//! CSV and TSV: a table with a header, which has a column `text` and a column `label`.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::columns::{Columns, IDX, category, number};
use super::guards::{
    LONGEST_ROW, Lines, Meter, QuoteFault, Quotes, invalid_utf8, open_without_mark, too_long_text,
};
use super::labels::{self, RowLabels};
use super::{ReadOptions, Review};
use crate::error::{Error, Result};
use crate::files::open_file;

/// Most bytes of a header: the csv crate keeps it four times, with a number for each field.
const LONGEST_HEADER: u64 = 1 << 20;
const NO_HEADER: &str = "a first line of more than 1 MiB: does it name the columns?";
const OPEN_QUOTE: &str = "a row of more than 16 MiB: is a quote left open?";

/// The rows of a CSV or TSV file with a header.
pub(super) struct Csv {
    path: PathBuf,
    reader: csv::Reader<Meter<Quotes<Box<dyn BufRead + Send>>>>,
    delimiter: u8,
    /// Whether quotes hold a field together.
    quoted: bool,
    columns: Columns,
    labels: RowLabels,
    record: ByteRecord,
    /// Rows so far, and the number of rows before this file.
    row: usize,
    before: usize,
    done: bool,
}

impl Csv {
    /// Open a file of fields cut at `delimiter` and, unless the options say otherwise, quoted by
    /// `"`; `before` rows came before it in the split.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] when the header lacks `text` or `label` or names one
    /// twice.
    pub(crate) fn open(
        path: &Path,
        delimiter: u8,
        before: usize,
        options: &ReadOptions,
    ) -> Result<Self> {
        let quoted = !options.no_quotes;
        let bytes = Quotes::new(open_without_mark(path)?, quoted.then_some(delimiter));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(quoted)
            .from_reader(Meter::new(bytes, LONGEST_HEADER, NO_HEADER));
        let header = match reader.byte_headers() {
            Ok(header) => header.clone(),
            Err(e) => return Err(csv_error(path, 0, e)),
        };
        let names: Vec<Cow<'_, str>> = header.iter().map(String::from_utf8_lossy).collect();
        let of_another_delimiter = names.len() == 1 && names[0].contains([';', '\t', ',', '|']);
        let hint = match (of_another_delimiter, delimiter) {
            (false, _) => "",
            (true, b'\t') => ", with a tab between fields",
            (true, _) => ", with a comma between fields",
        };
        let columns = Columns::find(path, "line 1", &names, hint)?;
        Ok(Self {
            path: path.into(),
            reader,
            delimiter,
            quoted,
            columns,
            labels: RowLabels::words(&options.label_map),
            record: ByteRecord::new(),
            row: 0,
            before,
            done: false,
        })
    }

    /// Whether there is a column `category`.
    pub(crate) fn has_categories(&self) -> bool {
        self.columns.category.is_some()
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
        self.refuse_glued_rows()?;
        let text = self.field(self.columns.text)?.to_string();
        if let Some((found, expected)) = too_long_text(&text) {
            return Err(self.bad(found, expected));
        }
        let word = self.field(self.columns.label)?;
        let label = self
            .labels
            .of_word(word)
            .ok_or_else(|| self.bad(format!("label {word:?}"), labels::EXPECTED))?;
        let idx = match self.columns.idx {
            None => None,
            Some(column) => {
                let word = self.field(column)?;
                let number = word.trim().parse().map_err(|_| format!("idx {word:?}"));
                Some(number.map_err(|found| self.bad(found, IDX))?)
            }
        };
        Ok(Some(Review {
            text,
            label,
            idx: match idx {
                Some(idx) => idx,
                None => number(&self.path, self.before + self.row)?,
            },
            category: match self.columns.category {
                None => None,
                Some(column) => category(self.field(column)?),
            },
        }))
    }

    /// Refuse a row of several lines each of which is a row by itself: a table without quoting,
    /// whose texts happen to begin and to end with a quote, reads so.
    fn refuse_glued_rows(&self) -> Result<()> {
        if !self.quoted || memchr::memchr(b'\n', self.record.as_slice()).is_none() {
            return Ok(());
        }
        let mut whole = Vec::new();
        for (i, field) in self.record.iter().enumerate() {
            if i > 0 {
                whole.push(self.delimiter);
            }
            whole.extend_from_slice(field);
        }
        let is_row = |line: &[u8]| {
            let mut fields = line.split(|b| *b == self.delimiter);
            let label = fields.clone().nth(self.columns.label);
            let word = label.and_then(|label| std::str::from_utf8(label).ok());
            fields.by_ref().count() == self.record.len()
                && word.is_some_and(|word| self.labels.of_word(word).is_some())
        };
        let lines: Vec<&[u8]> = whole.split(|b| *b == b'\n').collect();
        if !lines.iter().all(|line| is_row(line)) {
            return Ok(());
        }
        let found = format!(
            "{} lines that are one row if quotes hold fields together, and as many rows if they \
             are part of the texts",
            lines.len()
        );
        let expected = "--no-quotes for the second reading; for the first, a table in which line \
                        ends are not followed by what looks like a row";
        Err(self.bad(found, expected))
    }

    fn field(&self, column: usize) -> Result<&str> {
        let bytes = self
            .record
            .get(column)
            .expect("the csv crate gives every row as many fields as the header");
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

fn csv_error(path: &Path, row: usize, e: csv::Error) -> Error {
    let line = e.position().map(csv::Position::line);
    let place = match line {
        Some(line) => format!("row {row} at line {line}"),
        None => format!("row {row}"),
    };
    match e.into_kind() {
        csv::ErrorKind::Io(source) if source.kind() == ErrorKind::InvalidData => {
            let fault = source
                .get_ref()
                .and_then(|e| e.downcast_ref::<QuoteFault>());
            match fault {
                Some(fault) => Error::malformed(
                    path,
                    format!("line {}", fault.line),
                    &fault.found,
                    "fields that are quoted whole, with quotes inside them doubled; --no-quotes \
                     where quotes are part of the texts",
                ),
                None => {
                    Error::malformed(path, place, source, "a review of a size that people write")
                }
            }
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

/// The error for the first byte of the file that is not valid UTF-8.
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
