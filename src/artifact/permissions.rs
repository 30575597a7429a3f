//! Outputs take the permissions that any new file or folder gets, whatever they were made by: a temporary file, which is private
//! to its owner, or a copy.

use std::path::Path;

use crate::error::Result;

/// Give a file or a folder the usual permissions of a new one. A folder keeps the bit that makes what is put into it belong to its
/// group.
///
/// # Errors
/// [`crate::error::Error::Io`].
#[cfg(unix)]
pub(super) fn as_usual(path: &Path) -> Result<()> {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use crate::error::Error;

    const SET_GROUP: u32 = 0o2000;
    let found = fs::metadata(path).map_err(Error::io(path, "read"))?;
    let mode = match found.is_dir() {
        true => (0o777 & !umask()) | (found.permissions().mode() & SET_GROUP),
        false => 0o666 & !umask(),
    };
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::io(path, "set permissions of"))
}

/// What the process withholds from new files. Asking the system for it would change it for a moment, for all threads.
#[cfg(unix)]
fn umask() -> u32 {
    use std::sync::OnceLock;
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let value = status.lines().find_map(|l| l.strip_prefix("Umask:"));
        u32::from_str_radix(value.unwrap_or("0022").trim(), 8).unwrap_or(0o022)
    })
}

/// See the other.
#[cfg(not(unix))]
pub(super) fn as_usual(_: &Path) -> Result<()> {
    Ok(())
}
