//! The lock of a file in the cache, which one process writes while the others wait.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::client::sleep;
use crate::error::{Error, Result};

/// Wait for the lock `path`, which lasts until the value is dropped, however its holder ends. A
/// signal ends the wait. Where the file system has no locks the caller goes on without, as Python
/// does.
///
/// # Errors
/// [`Error::Io`] when the file cannot be made; [`Error::Interrupted`].
pub(super) fn wait_for(path: &Path) -> Result<File> {
    make_parent(path)?;
    let file = File::create(path).map_err(Error::io(path, "create"))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => {
                if !told {
                    tracing::info!("waiting: another process is downloading the same file");
                    told = true;
                }
                sleep(Duration::from_millis(100))?;
            }
            Err(fs::TryLockError::Error(e)) => {
                tracing::warn!(
                    "{}: no locks there ({e}); do not download the same file twice at a time",
                    path.display()
                );
                return Ok(file);
            }
        }
    }
}

/// Remove the entries of `folder` whose names begin with `prefix`: what killed runs left, while the
/// lock is held.
pub(super) fn clear_leftovers(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Create the folder that `path` lies in.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(Error::io(parent, "create the folder")),
        None => Ok(()),
    }
}
