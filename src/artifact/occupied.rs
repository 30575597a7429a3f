//! What may not be replaced by an output: anything without `--overwrite`, and with it a folder by a file, or a device.

use std::fs;
use std::path::Path;

use super::leftovers::{longest_name, tidy};
use crate::error::{Error, Result};

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// Refuse an output whose name is taken by what may not be replaced. Called before any work is begun, and again by whoever
/// writes the output. What a killed run left beside an output that stays is removed.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`; with it [`Error::Mismatch`] for a folder in the place of a file, and for a device;
/// [`Error::Mismatch`] for a name that is too long or no text, from which no others can be derived.
pub fn check(path: &Path, overwrite: bool, kind: Kind) -> Result<()> {
    let shown = path.display();
    let refuse = |why: &str| {
        Err(Error::Mismatch(format!(
            "{shown} {why}: choose another name"
        )))
    };
    match path.file_name() {
        None => return refuse("is no name that an output can take"),
        Some(name) if name.to_str().is_none() => return refuse("is no UTF-8 text"),
        Some(name) if name.len() > longest_name() => {
            return refuse(&format!(
                "is longer than {} bytes, and names beside it would be too long",
                longest_name()
            ));
        }
        Some(_) => {}
    }
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(_) if !overwrite => {
            tidy(path);
            Err(Error::OutputExists(path.to_path_buf()))
        }
        Ok(found) if found.is_dir() && kind == Kind::File => {
            refuse("is a folder, and a file is to be written")
        }
        Ok(found) if !(found.is_file() || found.is_dir() || found.is_symlink()) => {
            refuse("is a device, not a file or a folder that may be replaced")
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_to_be_replaced_is() {
        let d = tempfile::tempdir().unwrap();
        let own = d.path().join("thesis");
        check(&own, false, Kind::Folder).unwrap();
        fs::create_dir(&own).unwrap();
        let refusal = |path: &Path, overwrite, kind| {
            let e = check(path, overwrite, kind).unwrap_err();
            e.to_string()
        };
        assert!(refusal(&own, false, Kind::Folder).contains("pass --overwrite"));
        check(&own, true, Kind::Folder).unwrap();
        assert!(refusal(&own, true, Kind::File).contains("is a folder"));
        assert!(refusal(Path::new("/dev/null"), true, Kind::File).contains("is a device"));
        for nameless in [".", "..", "/", "a/.."] {
            let message = refusal(Path::new(nameless), true, Kind::Folder);
            assert!(message.contains("no name"), "{message}");
        }
        let message = refusal(&d.path().join("x".repeat(241)), false, Kind::Folder);
        assert!(message.contains("is longer than"), "{message}");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let name = std::ffi::OsStr::from_bytes(b"\xe9.npy");
            assert!(refusal(Path::new(name), false, Kind::File).contains("no UTF-8"));
        }
        fs::write(d.path().join("a.npy"), "").unwrap();
        check(&d.path().join("a.npy"), true, Kind::File).unwrap();
    }
}
