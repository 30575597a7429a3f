//! Whether something is there, where a wrong answer would change what an output holds: that the system could not tell is an
//! error, not a no.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::{Error, Result};

/// Whether `path` leads to a file.
///
/// # Errors
/// [`Error::Io`] when the system does not tell.
pub fn is_file(path: &Path) -> Result<bool> {
    Ok(found(path, fs::metadata(path))?.is_some_and(|m| m.is_file()))
}

/// Whether `path` leads to a folder.
///
/// # Errors
/// [`Error::Io`] when the system does not tell.
pub fn is_dir(path: &Path) -> Result<bool> {
    Ok(found(path, fs::metadata(path))?.is_some_and(|m| m.is_dir()))
}

/// Whether the name `path` is taken, be it by a link that leads nowhere.
///
/// # Errors
/// [`Error::Io`] when the system does not tell.
pub fn is_taken(path: &Path) -> Result<bool> {
    Ok(found(path, fs::symlink_metadata(path))?.is_some())
}

/// The names of what is in a folder, in any order; none where there is no folder.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be read: it is not empty.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io(folder, "read"))?,
    };
    entries
        .map(|entry| {
            let name = entry.map_err(Error::io(folder, "read"))?.file_name();
            Ok(name.to_string_lossy().into_owned())
        })
        .collect()
}

fn found(path: &Path, answer: io::Result<Metadata>) -> Result<Option<Metadata>> {
    match answer {
        Ok(metadata) => Ok(Some(metadata)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Error::io(path, "look at")(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_at_is_not_absent() {
        let d = tempfile::tempdir().unwrap();
        let file = d.path().join("a");
        fs::write(&file, "").unwrap();
        assert!(is_file(&file).unwrap() && is_taken(&file).unwrap() && !is_dir(&file).unwrap());
        assert!(is_dir(d.path()).unwrap() && !is_file(d.path()).unwrap());
        for absent in ["b", "a/b"] {
            let path = d.path().join(absent);
            assert!(!is_file(&path).unwrap() && !is_dir(&path).unwrap());
            assert!(!is_taken(&path).unwrap());
        }
        // No user may look at a name that is longer than names can be.
        let path = d.path().join("n".repeat(5000));
        assert!(!path.exists());
        for answer in [is_file(&path), is_dir(&path), is_taken(&path)] {
            let message = answer.unwrap_err().to_string();
            assert!(message.contains("cannot look at"), "{message}");
        }
    }
}
