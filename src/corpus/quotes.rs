//! Quotes in a table, held to the rule: a field that begins with `"` ends with one, and inner ones are doubled (RFC 4180).
//!
//! A table written without quoting breaks it as soon as a text begins with a quote, and readers that put up with it glue rows
//! together without a word.

use std::fmt;
use std::io::{self, Read};

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
    pub line: u64,
    /// In words, with the line where the field begins.
    pub found: String,
}

impl fmt::Display for QuoteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.found)
    }
}

impl std::error::Error for QuoteFault {}

/// Passes bytes on and fails with a [`QuoteFault`] inside an [`io::ErrorKind::InvalidData`] where quotes break the rule.
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
    pub fn new(reader: R, delimiter: Option<u8>) -> Self {
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
