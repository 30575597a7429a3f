//! The archive of Webis CLS-10 (`cls-acl10-unprocessed.tar.gz`) as a user names it: read once, only the French files
//! taken out.

use std::path::Path;

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::hub::flue;

/// Whether `path` has the name of a tar archive, compressed or not.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".tar.gz", ".tgz", ".tar"]
        .iter()
        .any(|e| name.ends_with(e))
}

/// Take the French labelled files of the archive to a temporary folder, which lasts as long as the value returned.
///
/// # Errors
/// Those of [`flue::unpack`].
pub(super) fn extract(path: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir().map_err(Error::io(
        std::env::temp_dir(),
        "create a temporary folder in",
    ))?;
    flue::unpack(path, folder.path())?;
    Ok(folder)
}
