//! The error type of the whole library, the flag that a signal raises, and reading whole files within a bound.
//!
//! Messages are for people: they name the file, the place in it and the remedy. The programs print them on one line.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

mod contain;
pub mod interrupt;
mod reading;

pub use contain::contain;
pub use reading::{read_bytes, read_text, utf8};

/// The result of every fallible function of the library.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, with what a user needs to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read, write or rename something.
    #[error("{}: cannot {action}: {source}{}", path.display(), remedy(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase: "read", "create the folder".
        action: &'static str,
        /// The system's own words.
        source: io::Error,
    },

    /// A file was read but does not hold what it must.
    #[error("{}{}: found {found}, expected {expected}", path.display(), in_place(place))]
    Malformed {
        /// The file or folder.
        path: PathBuf,
        /// Where in it: "row 12", "line 3", "byte 8000", a tensor's or a key's name. Empty for the whole file.
        place: String,
        /// What stands there.
        found: String,
        /// What should stand there, and what to do when that is not plain.
        expected: String,
    },

    /// Something that was asked for is nowhere to be found.
    #[error("{what} not found: {remedy}")]
    NotFound {
        /// What was looked for, with its name.
        what: String,
        /// Where it was looked for and what to do.
        remedy: String,
    },

    /// A server refused, broke off or never answered.
    #[error("{url}: {problem}: {remedy}")]
    Network {
        /// The address, without its query.
        url: String,
        /// What happened, in words.
        problem: String,
        /// What to do about it.
        remedy: String,
    },

    /// The output is there already and may not be replaced.
    #[error("{} exists already: pass --overwrite to replace it, or choose another name", .0.display())]
    OutputExists(PathBuf),

    /// Another run is writing the same output.
    #[error("{} is being written by {holder}: wait for its end, or choose another name", path.display())]
    OutputBusy {
        /// The output.
        path: PathBuf,
        /// Who is writing it: "process 1234 on node7".
        holder: String,
    },

    /// Two inputs that must fit together do not (a model and a dataset, a shape and a configuration).
    #[error("{0}")]
    Mismatch(String),

    /// Options or arguments that make no sense: the programs leave with status 2.
    #[error("{0}")]
    Usage(String),

    /// A signal asked the run to stop; what was complete has been kept.
    #[error(
        "stopped by {}: what is complete stays; the same command goes on with it, flue-cls-finetune with --resume",
        interrupt::name(*.signal)
    )]
    Interrupted {
        /// The number of the signal: 2 for SIGINT, 15 for SIGTERM.
        signal: i32,
    },

    /// A computation failed inside one of the numeric libraries.
    #[error("{context}: {source}{}", remedy(source.as_ref()))]
    Compute {
        /// What was being computed.
        context: String,
        /// The library's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
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

fn in_place(place: &str) -> String {
    if place.is_empty() {
        String::new()
    } else {
        format!(", {place}")
    }
}

/// Words from a file that a stranger may have written, fit for a terminal: a line of moderate length, control
/// characters escaped.
fn one_line(words: &str) -> String {
    const LONGEST: usize = 1000;
    let mut line = String::with_capacity(words.len().min(LONGEST));
    for (i, c) in words.chars().enumerate() {
        match c {
            _ if i == LONGEST => {
                line.push('…');
                break;
            }
            '\n' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
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
    pub fn malformed(
        path: impl AsRef<Path>,
        place: impl Display,
        found: impl Display,
        expected: impl Display,
    ) -> Error {
        Error::Malformed {
            path: path.as_ref().to_path_buf(),
            place: one_line(&place.to_string()),
            found: one_line(&found.to_string()),
            expected: one_line(&expected.to_string()),
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

    /// The exit status of a program that ends with this error: 2 for wrong usage, 128 + signal, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
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

    #[test]
    fn exit_status_follows_the_kind() {
        assert_eq!(Error::Usage("x".into()).exit_status(), 2);
        assert_eq!(Error::Interrupted { signal: 2 }.exit_status(), 130);
        assert_eq!(Error::Interrupted { signal: 15 }.exit_status(), 143);
        assert_eq!(Error::Mismatch("x".into()).exit_status(), 1);
    }
}
