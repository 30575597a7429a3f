//! What is there, and how much room is left. That the system could not tell is an error, not a no:
//! a wrong answer would change what an output holds.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Whether `path` leads to a file.
///
/// # Errors
/// [`Error::Io`] when the system does not tell.
pub(crate) fn is_file(path: &Path) -> Result<bool> {
    Ok(found(path, fs::metadata(path))?.is_some_and(|m| m.is_file()))
}

/// Whether `path` leads to a folder.
///
/// # Errors
/// [`Error::Io`] when the system does not tell.
pub(crate) fn is_dir(path: &Path) -> Result<bool> {
    Ok(found(path, fs::metadata(path))?.is_some_and(|m| m.is_dir()))
}

/// Whether the name `path` is taken, be it by a link that leads nowhere.
///
/// # Errors
/// [`Error::Io`] when the system does not tell.
pub(crate) fn is_taken(path: &Path) -> Result<bool> {
    Ok(found(path, fs::symlink_metadata(path))?.is_some())
}

/// What a folder holds, by name.
///
/// # Errors
/// [`Error::Io`] for a folder that is not there or cannot be read to its end.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder, "read"))?;
    let mut paths = entries
        .map(|entry| Ok(entry.map_err(Error::io(folder, "read"))?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// What a folder holds, by name, but what is hidden: names that begin with a dot, as those of what
/// is under way do.
///
/// # Errors
/// As [`entries`].
pub(crate) fn visible(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(folder)?;
    let hidden = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with('.'))
    };
    paths.retain(|path| !hidden(path));
    Ok(paths)
}

/// The names of what is in a folder, sorted; none where there is no folder.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be read: it is not empty.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let name = |path: PathBuf| {
        let name = path.file_name().expect("what a folder holds has a name");
        name.to_string_lossy().into_owned()
    };
    match entries(folder) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        paths => Ok(paths?.into_iter().map(name).collect()),
    }
}

/// What the system answered, or none where nothing is there.
pub(super) fn found(path: &Path, answer: io::Result<Metadata>) -> Result<Option<Metadata>> {
    match answer {
        Ok(metadata) => Ok(Some(metadata)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Error::io(path, "look at")(e)),
    }
}

/// Refuse to begin what would need `bytes` more than the disk of `path` has free, and say what else
/// there is to do (`otherwise`, which may be empty). The folder of `path` need not exist yet. Where
/// the system does not tell how much is free, nothing is refused.
///
/// # Errors
/// [`Error::Io`] that says how much is needed and how much there is.
pub(crate) fn require_space(path: &Path, bytes: u64, otherwise: &str) -> Result<()> {
    match free_space(path) {
        Some(free) if free < bytes => Err(Error::Io {
            path: path.to_path_buf(),
            action: "write",
            source: io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "this needs {} of disk and {} are free{otherwise}",
                    gigabytes(bytes),
                    gigabytes(free)
                ),
            ),
        }),
        _ => Ok(()),
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

/// Bytes that this user may still write where `path` is or will be.
#[cfg(unix)]
fn free_space(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let existing = absolute.ancestors().find(|p| p.exists())?;
    let disk = rustix::fs::statvfs(existing).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
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

    #[test]
    fn a_folder_is_listed_in_order_and_one_that_cannot_be_read_is_not_empty() {
        let d = tempfile::tempdir().unwrap();
        for name in ["b", "a", "c"] {
            fs::write(d.path().join(name), "").unwrap();
        }
        assert_eq!(names(d.path()).unwrap(), ["a", "b", "c"]);
        assert_eq!(entries(d.path()).unwrap()[0], d.path().join("a"));
        let absent = d.path().join("absent");
        assert!(names(&absent).unwrap().is_empty() && entries(&absent).is_err());
        assert!(names(&d.path().join("a")).is_err());
    }

    #[test]
    fn more_than_the_disk_has_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/yet/there.npy");
        require_space(&path, 1, "").unwrap();
        let e = require_space(&path, u64::MAX, " (or not)").unwrap_err();
        assert!(e.to_string().contains("are free (or not)"), "{e}");
        assert!(!folder.path().join("not").exists());
    }
}
