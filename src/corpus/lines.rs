//! Lines of a text file with Python's universal newlines: `\n`, `\r\n` and a lone `\r` all end a line.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Most bytes of one line, row or item: what is longer would fill the memory and is no review.
pub(super) const LONGEST_ROW: usize = 1 << 24;
/// Most bytes of a review, several novels long: a tokenizer may take more than a hundred times as many.
const LONGEST_TEXT: usize = 1 << 22;

/// A reader of lines that checks UTF-8 and knows where it is.
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
    pub fn new(path: &Path, reader: R) -> Self {
        Self {
            path: path.into(),
            reader,
            bytes: Vec::new(),
            offset: 0,
            number: 0,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the line that was read last, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Append the next line to `line`, with `\n` in place of whatever ended it; false at the end of the file.
    ///
    /// # Errors
    /// [`Error::Io`] when reading fails; [`Error::Malformed`] with the byte offset for invalid UTF-8.
    pub fn read(&mut self, line: &mut String) -> Result<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

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
        use std::io::Read;
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
}
