//! Room on the disk.

use std::path::Path;

use crate::error::{Error, Result};

/// Refuse to begin what would need `bytes` more than the disk of `path` has free, and say what else there is to do (`otherwise`,
/// which may be empty). The folder of `path` need not exist yet.
/// Where the system does not tell how much is free, nothing is refused.
///
/// # Errors
/// [`Error::Io`] that says how much is needed and how much there is.
pub fn require_space(path: &Path, bytes: u64, otherwise: &str) -> Result<()> {
    match free_space(path) {
        Some(free) if free < bytes => Err(Error::Io {
            path: path.to_path_buf(),
            action: "write",
            source: std::io::Error::new(
                std::io::ErrorKind::StorageFull,
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
    fn more_than_the_disk_has_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/yet/there.npy");
        require_space(&path, 1, "").unwrap();
        let e = require_space(&path, u64::MAX, " (or not)").unwrap_err();
        assert!(e.to_string().contains("are free (or not)"), "{e}");
        assert!(!folder.path().join("not").exists());
    }
}
