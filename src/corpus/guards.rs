//! What guards the readers of text files that a stranger wrote: the encoding, the length of lines
//! and rows, and the rule of quotes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::open_file;

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

/// Most bytes of one line, row or item: what is longer would fill the memory and is no review.
pub(super) const LONGEST_ROW: usize = 1 << 24;
/// Most bytes of a review, several novels long: a tokenizer may take more than a hundred times as
/// many.
const LONGEST_TEXT: usize = 1 << 22;

/// Lines of a text file with Python's universal newlines (`\n`, `\r\n` and a lone `\r` all end a
/// line), each checked for UTF-8 and known by its place.
pub(super) struct Lines<R> {
    path: PathBuf,
    reader: R,
    bytes: Vec<u8>,
    /// Offset in the file of the next byte to read.
    offset: u64,
    /// Number of the last line, from 1.
    number: usize,
}

impl<R: BufRead> Lines<R> {
    /// Lines of `reader`; `path` serves for messages.
    pub(crate) fn new(path: &Path, reader: R) -> Self {
        Self {
            path: path.into(),
            reader,
            bytes: Vec::new(),
            offset: 0,
            number: 0,
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Append the next line to `line`, with `\n` in place of whatever ended it; false at the end of
    /// the file.
    ///
    /// # Errors
    /// [`Error::Io`] when reading fails; [`Error::Malformed`] with the byte offset for invalid
    /// UTF-8.
    pub(crate) fn read(&mut self, line: &mut String) -> Result<bool> {
        self.bytes.clear();
        let start = self.offset;
        let ended = self.fill()?;
        if self.bytes.is_empty() && !ended {
            return Ok(false);
        }
        self.number += 1;
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => line.push_str(text),
            Err(e) => return Err(invalid_utf8(&self.path, start + e.valid_up_to() as u64)),
        }
        if ended {
            line.push('\n');
        }
        Ok(true)
    }

    /// Bytes up to the end of a line, without it; false when the file ended first.
    fn fill(&mut self) -> Result<bool> {
        loop {
            let chunk = self
                .reader
                .fill_buf()
                .map_err(Error::io(&self.path, "read"))?;
            if chunk.is_empty() {
                return Ok(false);
            }
            if self.bytes.len() > LONGEST_ROW {
                let place = format!("line {}", self.number + 1);
                return Err(too_long(&self.path, place));
            }
            let end = chunk.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let Some(end) = end else {
                self.bytes.extend_from_slice(chunk);
                let n = chunk.len();
                self.skip(n);
                continue;
            };
            self.bytes.extend_from_slice(&chunk[..end]);
            let carriage_return = chunk[end] == b'\r';
            self.skip(end + 1);
            if carriage_return {
                let next = self
                    .reader
                    .fill_buf()
                    .map_err(Error::io(&self.path, "read"))?;
                if next.first() == Some(&b'\n') {
                    self.skip(1);
                }
            }
            return Ok(true);
        }
    }

    fn skip(&mut self, n: usize) {
        self.reader.consume(n);
        self.offset += n as u64;
    }
}

/// The error for a line or a row of more than [`LONGEST_ROW`] bytes.
pub(super) fn too_long(path: &Path, place: String) -> Error {
    let found = format!("more than {LONGEST_ROW} bytes without an end");
    Error::malformed(path, place, found, "reviews of a size that people write")
}

/// What is found and what is expected where a review is too long to be tokenized.
pub(super) fn too_long_text(text: &str) -> Option<(String, &'static str)> {
    let found = || format!("a text of {} bytes", text.len());
    (text.len() > LONGEST_TEXT).then(|| (found(), "a review of at most 4 MiB"))
}

/// The error for invalid UTF-8 at a byte of a file.
pub(super) fn invalid_utf8(path: &Path, offset: u64) -> Error {
    let expected = "UTF-8 text: convert the file first, with iconv for instance";
    Error::malformed(path, format!("byte {offset}"), "invalid UTF-8", expected)
}

/// A reader that gives so many bytes and then fails with [`io::ErrorKind::InvalidData`]: what a
/// stranger wrote may expand, or run on, without end.
pub(super) struct Meter<R> {
    reader: R,
    left: u64,
    /// What is too long then, with its remedy.
    complaint: &'static str,
}

impl<R> Meter<R> {
    /// Read `limit` bytes of `reader`; after them the error says `complaint`.
    pub(crate) fn new(reader: R, limit: u64, complaint: &'static str) -> Self {
        Self {
            reader,
            left: limit,
            complaint,
        }
    }

    /// Start counting anew, up to another limit.
    pub(crate) fn refill(&mut self, limit: u64, complaint: &'static str) {
        (self.left, self.complaint) = (limit, complaint);
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, self.complaint)),
        }
        Ok(n)
    }
}

/// Where the last byte stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the beginning of a field.
    Start,
    /// In a field without quotes, where a quote is a character like any other.
    Plain,
    /// Between quotes.
    Inside,
    /// After a quote between quotes: the end of the field, or the first of two.
    Quote,
}

/// What is wrong with the quotes of a table.
#[derive(Debug)]
pub(super) struct QuoteFault {
    /// The line where it shows, from 1.
    pub(crate) line: u64,
    /// In words, with the line where the field begins.
    pub(crate) found: String,
}

impl fmt::Display for QuoteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.found)
    }
}

impl std::error::Error for QuoteFault {}

/// A reader of a table that holds its quotes to the rule: a field that begins with `"` ends with
/// one, and inner ones are doubled (RFC 4180). It fails with a [`QuoteFault`] inside an
/// [`io::ErrorKind::InvalidData`].
///
/// A table written without quoting breaks the rule as soon as a text begins with a quote, and
/// readers that put up with it glue rows together without a word.
pub(super) struct Quotes<R> {
    reader: R,
    /// None where quotes mean nothing.
    delimiter: Option<u8>,
    at: At,
    line: u64,
    /// The line where the last quoted field began.
    opened: u64,
}

impl<R> Quotes<R> {
    /// Watch the quotes of a table with this delimiter; without one nothing is watched.
    pub(crate) fn new(reader: R, delimiter: Option<u8>) -> Self {
        Self {
            reader,
            delimiter,
            at: At::Start,
            line: 1,
            opened: 1,
        }
    }

    fn fault(&self, found: String) -> io::Error {
        let line = self.line;
        io::Error::new(io::ErrorKind::InvalidData, QuoteFault { line, found })
    }

    fn step(&mut self, byte: u8, delimiter: u8) -> io::Result<()> {
        let ends = byte == delimiter || matches!(byte, b'\n' | b'\r');
        self.at = match (self.at, byte) {
            (At::Start, b'"') => {
                self.opened = self.line;
                At::Inside
            }
            (At::Inside, b'"') => At::Quote,
            (At::Quote, b'"') | (At::Inside, _) => At::Inside,
            (At::Start | At::Plain | At::Quote, _) if ends => At::Start,
            (At::Start | At::Plain, _) => At::Plain,
            (At::Quote, _) => {
                let opened = self.opened;
                return Err(self.fault(format!(
                    "text after the closing quote of a field that begins in line {opened}"
                )));
            }
        };
        self.line += u64::from(byte == b'\n');
        Ok(())
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        let Some(delimiter) = self.delimiter else {
            return Ok(n);
        };
        if n == 0 && !buffer.is_empty() && self.at == At::Inside {
            let opened = self.opened;
            return Err(self.fault(format!(
                "the end of the file inside a quoted field that begins in line {opened}"
            )));
        }
        for &byte in &buffer[..n] {
            self.step(byte, delimiter)?;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], capacity: usize) -> Result<Vec<String>> {
        let mut lines = Lines::new(Path::new("f"), BufReader::with_capacity(capacity, bytes));
        let mut out = Vec::new();
        loop {
            let mut line = String::new();
            if !lines.read(&mut line)? {
                return Ok(out);
            }
            out.push(line);
        }
    }

    #[test]
    fn every_line_end_counts_at_any_boundary_of_the_buffer() {
        for capacity in 1..8 {
            let lines = all("a\r\nb\rc\n\r\r\né".as_bytes(), capacity).unwrap();
            assert_eq!(lines, ["a\n", "b\n", "c\n", "\n", "\n", "é"], "{capacity}");
        }
        assert!(all(b"", 4).unwrap().is_empty());
        assert_eq!(all(b"a\n", 4).unwrap(), ["a\n"]);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let endless = BufReader::with_capacity(1 << 20, std::io::repeat(b'x').take(1 << 40));
        let mut lines = Lines::new(Path::new("f"), endless);
        let error = lines.read(&mut String::new()).unwrap_err().to_string();
        assert!(error.starts_with("f, line 1: found more than"), "{error}");
    }

    #[test]
    fn invalid_utf8_is_named_by_its_byte() {
        let error = all(b"ab\ncd\xffe\n", 3).unwrap_err().to_string();
        assert!(
            error.starts_with("f, byte 5: found invalid UTF-8"),
            "{error}"
        );
    }

    #[test]
    fn it_fails_past_its_limit_unless_it_is_refilled() {
        let mut meter = Meter::new(io::repeat(0), 9, "a header");
        let mut buffer = [0; 8];
        assert_eq!(meter.read(&mut buffer).unwrap(), 8);
        meter.refill(10, "enough");
        assert_eq!(meter.read(&mut buffer).unwrap(), 8);
        assert_eq!(meter.read(&mut buffer).unwrap_err().to_string(), "enough");
    }

    /// The fault of a table, read a few bytes at a time.
    fn fault(text: &str, delimiter: Option<u8>) -> Option<String> {
        let mut faults = [1, 2, 7, 64].map(|size| {
            let mut quotes = Quotes::new(text.as_bytes(), delimiter);
            let mut buffer = vec![0; size];
            loop {
                match quotes.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(e) => return Some(e.to_string()),
                }
            }
        });
        assert!(
            faults.windows(2).all(|pair| pair[0] == pair[1]),
            "{faults:?}"
        );
        faults[0].take()
    }

    #[test]
    fn what_follows_the_rule_passes() {
        for text in [
            "",
            "a,b\n\"x, y\",1\r\n\"two \"\"words\"\"\",0\n",
            "\"\",\"\"\n\"a\nb\",1",
            "he said \"yes\",1\nd\"\"e,\"\"",
            "\"a\"\r\"b\"\r",
        ] {
            assert_eq!(fault(text, Some(b',')), None, "{text:?}");
        }
        assert_eq!(fault("\"a\" b\t1\n\"", None), None);
    }

    #[test]
    fn what_breaks_it_is_named_by_its_line() {
        for (text, want) in [
            (
                "a\tb\n\"x\" y\t1\n",
                "line 2: text after the closing quote of a field that begins in line 2",
            ),
            (
                "a\tb\n\"x\t1\ny \"z\" z\t0\n",
                "line 3: text after the closing quote of a field that begins in line 2",
            ),
            (
                "a\tb\n\"x\" \t1\n",
                "line 2: text after the closing quote of a field that begins in line 2",
            ),
            (
                "a\tb\nx\t1\n\"y\t0\nz\t1\n",
                "line 5: the end of the file inside a quoted field that begins in line 3",
            ),
        ] {
            assert_eq!(fault(text, Some(b'\t')).as_deref(), Some(want), "{text:?}");
        }
    }
}
