//! The error type of the whole library, the flag that a signal raises, and the panics of decoders
//! over damaged data.
//!
//! Messages are for people: they name the file, the place in it and the remedy, on one line. They
//! know nothing of command lines: a program adds the option that helps.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub(crate) mod interrupt;

/// Characters of a message, and of a part of it that a file may have written.
const LONGEST: usize = 8000;
const LONGEST_PART: usize = 1000;

/// The result of every fallible function of the library.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, with what a user needs to mend it. Displayed it is one line, whatever a file
/// that it speaks of holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read, write or rename something.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase: "read", "create the folder".
        action: &'static str,
        /// The system's own words.
        source: io::Error,
    },

    /// A file was read but does not hold what it must.
    Malformed {
        /// The file or folder.
        path: PathBuf,
        /// Where in it: "row 12", "line 3", "byte 8000", a tensor's or a key's name. Empty for the
        /// whole file.
        place: String,
        /// What stands there.
        found: String,
        /// What should stand there, and what to do when that is not plain.
        expected: String,
    },

    /// Something that was asked for is nowhere to be found.
    NotFound {
        /// What was looked for, with its name.
        what: String,
        /// Where it was looked for and what to do.
        remedy: String,
    },

    /// A server refused, broke off or never answered.
    Network {
        /// The address, without its query.
        url: String,
        /// What happened, in words.
        problem: String,
        /// What to do about it.
        remedy: String,
    },

    /// The output is there already and may not be replaced.
    OutputExists(PathBuf),

    /// Another run is writing the same output.
    OutputBusy {
        /// The output.
        path: PathBuf,
        /// Who is writing it: "process 1234 on node7".
        holder: String,
    },

    /// Two inputs that must fit together do not (a model and a dataset, a shape and a
    /// configuration).
    Mismatch(String),

    /// Settings that make no sense: the programs leave with status 2.
    Usage(String),

    /// One setting that makes no sense; a program calls it by the name of its option and leaves
    /// with status 2.
    Setting {
        /// Its name as a field: "max_length".
        name: &'static str,
        /// What it was set to; empty where that would say nothing.
        value: String,
        /// Why that cannot be, and what can.
        problem: String,
    },

    /// A signal asked the run to stop; what was complete has been kept.
    Interrupted {
        /// The number of the signal: 2 for SIGINT, 15 for SIGTERM.
        signal: i32,
    },

    /// A computation failed inside one of the numeric libraries.
    Compute {
        /// What was being computed.
        context: String,
        /// The library's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An [`Error::Io`] for `path`; made for `map_err(Error::io(path, "read"))`.
    pub fn io(path: impl AsRef<Path>, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io {
            path,
            action,
            source,
        }
    }

    /// An [`Error::Malformed`]: what stands at `place` in `path`, and what should.
    pub(crate) fn malformed(
        path: impl AsRef<Path>,
        place: impl Display,
        found: impl Display,
        expected: impl Display,
    ) -> Error {
        Error::Malformed {
            path: path.as_ref().to_path_buf(),
            place: one_line(place, LONGEST_PART),
            found: one_line(found, LONGEST_PART),
            expected: one_line(expected, LONGEST_PART),
        }
    }

    /// An [`Error::Setting`].
    pub(crate) fn setting(name: &'static str, value: impl Display, problem: impl Display) -> Error {
        Error::Setting {
            name,
            value: one_line(value, LONGEST_PART),
            problem: one_line(problem, LONGEST_PART),
        }
    }

    /// An [`Error::Compute`]; made for `map_err(Error::compute("attention"))`.
    pub fn compute<E>(context: impl Display) -> impl FnOnce(E) -> Error
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let context = context.to_string();
        move |source| Error::Compute {
            context,
            source: source.into(),
        }
    }

    /// The exit status of a program that ends with this error: 2 for wrong usage, 128 + signal,
    /// else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Setting { .. } => 2,
            Error::Interrupted { signal } => 128u8.saturating_add(*signal as u8),
            _ => 1,
        }
    }
}

impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        Error::Compute {
            context: "tensor operation".into(),
            source: Box::new(source),
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self {
            Self::Io {
                path,
                action,
                source,
            } => {
                let remedy = remedy(source);
                format!("{}: cannot {action}: {source}{remedy}", path.display())
            }
            Self::Malformed {
                path,
                place,
                found,
                expected,
            } => {
                let comma = if place.is_empty() { "" } else { ", " };
                let path = path.display();
                format!("{path}{comma}{place}: found {found}, expected {expected}")
            }
            Self::NotFound { what, remedy } => format!("{what} not found: {remedy}"),
            Self::Network {
                url,
                problem,
                remedy,
            } => format!("{url}: {problem}: {remedy}"),
            Self::OutputExists(path) => format!("{} exists already", path.display()),
            Self::OutputBusy { path, holder } => format!(
                "{} is being written by {holder}: wait for it to end, or choose another name",
                path.display()
            ),
            Self::Mismatch(message) | Self::Usage(message) => message.clone(),
            Self::Setting {
                name,
                value,
                problem,
            } => {
                let space = if value.is_empty() { "" } else { " " };
                format!("{name}{space}{value}: {problem}")
            }
            Self::Interrupted { signal } => format!(
                "stopped by {}: what is complete stays",
                interrupt::name(*signal)
            ),
            Self::Compute { context, source } => {
                format!("{context}: {source}{}", remedy(source.as_ref()))
            }
        };
        f.write_str(&one_line(message, LONGEST))
    }
}

/// Words that a stranger's file may have written, as one line: no character that moves the cursor
/// or the direction of the text, and no more than so many characters.
fn one_line(words: impl Display, most: usize) -> String {
    let words = words.to_string();
    let mut chars = words.chars();
    let mut line = String::new();
    for c in chars.by_ref().take(most) {
        match c {
            '\n' => line.push(' '),
            c if c.is_control() || turns(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// Whether a character ends the line or turns the direction in which what follows is shown (Unicode
/// annex 9).
fn turns(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What helps against failures of the disk that a program's reader can mend, however deep a library
/// has wrapped them.
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

thread_local! {
    /// Whether a panic of this thread is caught.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Run `f`, which hands a stranger's bytes to a library that takes numbers in them for granted
/// (pages of Parquet, tables of a tokenizer); a panic of that library comes back as words. What `f`
/// was at work on must not be used again after a panic.
///
/// # Errors
/// The message of the panic.
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> std::result::Result<R, String> {
    let before = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    CONTAINED.set(before);
    result.map_err(|panic| damaged(&*panic))
}

/// Whether this thread is inside [`contain`]: a panic needs no report then.
pub(crate) fn is_contained() -> bool {
    CONTAINED.get()
}

fn damaged(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("damaged data ({})", message.unwrap_or("no more is known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_status_follows_the_kind() {
        assert_eq!(Error::Usage("x".into()).exit_status(), 2);
        assert_eq!(Error::setting("x", 0, "y").exit_status(), 2);
        assert_eq!(Error::Interrupted { signal: 2 }.exit_status(), 130);
        assert_eq!(Error::Interrupted { signal: 15 }.exit_status(), 143);
        assert_eq!(Error::Mismatch("x".into()).exit_status(), 1);
    }

    #[test]
    fn a_panic_comes_back_as_words_and_nothing_else_changes() {
        assert_eq!(contain(|| 3), Ok(3));
        let n = 7;
        let error = contain(|| assert!(n < 5, "{n} is too much")).unwrap_err();
        assert_eq!(error, "damaged data (7 is too much)");
        assert_eq!(contain(|| contain(|| panic!("inner")).is_err()), Ok(true));
        assert!(!is_contained());
    }

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
            Error::setting("x", bad(), bad()),
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
        assert!(long.chars().count() == LONGEST + 1 && long.ends_with("é…"));
    }
}
