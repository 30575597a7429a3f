//! The error type of the whole library, the flag that a signal raises, and reading whole files within a bound.
//!
//! Messages are for people: they name the file, the place in it and the remedy, on one line.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

mod contain;
pub mod interrupt;
pub mod presence;
mod reading;
mod words;

pub use contain::contain;
pub use reading::{open_file, read_bytes, read_text, utf8};
use words::shortened;

/// The result of every fallible function of the library.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, with what a user needs to mend it. Displayed it is one line, whatever a file that it speaks of holds.
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
        /// Where in it: "row 12", "line 3", "byte 8000", a tensor's or a key's name. Empty for the whole file.
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

    /// Two inputs that must fit together do not (a model and a dataset, a shape and a configuration).
    Mismatch(String),

    /// Options or arguments that make no sense: the programs leave with status 2.
    Usage(String),

    /// One setting that makes no sense; a program calls it by the name of its option and leaves with status 2.
    Setting {
        /// Its name as a field: "max_length".
        name: &'static str,
        /// What is wrong with its value, and what it takes.
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
    pub fn malformed(
        path: impl AsRef<Path>,
        place: impl Display,
        found: impl Display,
        expected: impl Display,
    ) -> Error {
        Error::Malformed {
            path: path.as_ref().to_path_buf(),
            place: shortened(place),
            found: shortened(found),
            expected: shortened(expected),
        }
    }

    /// An [`Error::Setting`].
    pub fn setting(name: &'static str, problem: impl Display) -> Error {
        Error::Setting {
            name,
            problem: shortened(problem),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_status_follows_the_kind() {
        assert_eq!(Error::Usage("x".into()).exit_status(), 2);
        assert_eq!(Error::Interrupted { signal: 2 }.exit_status(), 130);
        assert_eq!(Error::Interrupted { signal: 15 }.exit_status(), 143);
        assert_eq!(Error::Mismatch("x".into()).exit_status(), 1);
    }
}
