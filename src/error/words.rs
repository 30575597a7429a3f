//! Errors in words: one line of moderate length that is safe to show on a terminal, with the remedy where there is one.

use std::fmt::{self, Display, Write};
use std::io;

use super::{Error, interrupt};

/// Characters of a message, and of a part of it that a file may have written.
const LONGEST: usize = 8000;
const LONGEST_PART: usize = 1000;

/// Writes what it is given as one line: no character that moves the cursor or the direction of the text, no more than `left`
/// characters.
struct Line<'a, W> {
    to: &'a mut W,
    left: usize,
}

impl<W: Write> Write for Line<'_, W> {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        for c in words.chars() {
            match self.left {
                0 => return Ok(()),
                1 => self.to.write_char('…')?,
                _ if c == '\n' => self.to.write_char(' ')?,
                _ if c.is_control() || turns(c) => write!(self.to, "{}", c.escape_unicode())?,
                _ => self.to.write_char(c)?,
            }
            self.left -= 1;
        }
        Ok(())
    }
}

/// Whether a character ends the line or turns the direction in which what follows is shown (Unicode annex 9).
fn turns(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A part of a message that may come from a file which a stranger wrote: a line of moderate length.
pub(super) fn shortened(part: impl Display) -> String {
    let mut line = String::new();
    let mut to = Line {
        to: &mut line,
        left: LONGEST_PART + 1,
    };
    // A string takes everything.
    let _ = write!(to, "{part}");
    line
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = &mut Line {
            to: f,
            left: LONGEST,
        };
        match self {
            Self::Io {
                path,
                action,
                source,
            } => {
                let remedy = remedy(source);
                write!(
                    line,
                    "{}: cannot {action}: {source}{remedy}",
                    path.display()
                )
            }
            Self::Malformed {
                path,
                place,
                found,
                expected,
            } => {
                let comma = if place.is_empty() { "" } else { ", " };
                let path = path.display();
                write!(
                    line,
                    "{path}{comma}{place}: found {found}, expected {expected}"
                )
            }
            Self::NotFound { what, remedy } => write!(line, "{what} not found: {remedy}"),
            Self::Network {
                url,
                problem,
                remedy,
            } => write!(line, "{url}: {problem}: {remedy}"),
            Self::OutputExists(path) => write!(
                line,
                "{} exists already: pass --overwrite to replace it, or choose another name",
                path.display()
            ),
            Self::OutputBusy { path, holder } => write!(
                line,
                "{} is being written by {holder}: wait for its end, or choose another name",
                path.display()
            ),
            Self::Mismatch(words) | Self::Usage(words) => line.write_str(words),
            Self::Setting { name, problem } => write!(line, "{name}: {problem}"),
            Self::Interrupted { signal } => write!(
                line,
                "stopped by {}: what is complete stays; the same command goes on with it, flue-cls-finetune with --resume",
                interrupt::name(*signal)
            ),
            Self::Compute { context, source } => {
                write!(line, "{context}: {source}{}", remedy(source.as_ref()))
            }
        }
    }
}

/// What helps against failures of the disk that a program's reader can mend, however deep a library has wrapped them.
fn remedy(error: &(dyn std::error::Error + 'static)) -> &'static str {
    let mut next = Some(error);
    while let Some(error) = next {
        let system = error.downcast_ref::<io::Error>();
        match system.map(io::Error::kind) {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                return ": free some space there, or name another place, and run again";
            }
            Some(io::ErrorKind::ReadOnlyFilesystem) => return ": name a place that can be written",
            _ => {}
        }
        next = match system.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_file_place_and_remedy() {
        let e = Error::malformed(
            "a/b.csv",
            "row 3",
            "label \"maybe\"",
            "negative or positive",
        );
        assert_eq!(
            e.to_string(),
            "a/b.csv, row 3: found label \"maybe\", expected negative or positive"
        );
        let e = Error::malformed("a/b.csv", "", "nothing", "rows");
        assert_eq!(e.to_string(), "a/b.csv: found nothing, expected rows");
    }

    #[test]
    fn what_a_file_says_stays_on_its_line() {
        let e = Error::malformed("a", "key \u{1b}[2J", "x\ny", "é".repeat(2000));
        let message = e.to_string();
        assert!(
            message.starts_with("a, key \\u{1b}[2J: found x y, expected é"),
            "{message}"
        );
        assert!(message.ends_with("é…"), "{message}");
    }

    #[test]
    fn a_full_disk_has_a_remedy_however_deep_it_is_wrapped() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let arrow = arrow::error::ArrowError::IoError("x".into(), full);
        let e = Error::io("a/b", "write")(io::Error::other(arrow));
        assert!(e.to_string().contains("free some space"), "{e}");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let e = Error::compute("a/b")(parquet::errors::ParquetError::External(full.into()));
        assert!(e.to_string().contains("free some space"), "{e}");
        let e = Error::io("a/b", "write")(io::ErrorKind::NotFound.into());
        assert!(!e.to_string().contains("free some space"), "{e}");
    }

    /// What names and files say may hold anything.
    #[test]
    fn every_kind_of_message_is_one_line_without_control_characters() {
        let bad = || "a\n\u{1b}[2J\u{202e}\r".to_string();
        let errors = [
            Error::io(bad(), "read")(io::Error::other(bad())),
            Error::NotFound {
                what: bad(),
                remedy: bad(),
            },
            Error::Network {
                url: bad(),
                problem: bad(),
                remedy: bad(),
            },
            Error::OutputExists(bad().into()),
            Error::OutputBusy {
                path: bad().into(),
                holder: bad(),
            },
            Error::Mismatch(bad()),
            Error::Usage(bad()),
            Error::compute(bad())(io::Error::other(bad())),
        ];
        for e in errors {
            let message = e.to_string();
            assert!(message.contains("a \\u{1b}[2J\\u{202e}\\u{d}"), "{message}");
            assert!(
                !message.contains(|c: char| c.is_control() || turns(c)),
                "{message}"
            );
        }
        let long = Error::Mismatch("é".repeat(1 << 20)).to_string();
        assert!(long.chars().count() == LONGEST && long.ends_with("é…"));
    }
}
