//! What stands where an output is to go: what may not be replaced, and what killed runs left beside
//! it.

use std::fs;
use std::io;
use std::path::Path;

use super::lock::OutputLock;
use super::names::{
    ASIDE, UNDER_WAY, folder_of, host, manifest_beside, name_of, parts, require_name, shards_of,
    temporary, unfit,
};
use super::presence::{found, is_taken, names};
use crate::error::{Error, Result};

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// Refuse an output whose name is taken by what may not be replaced. Called before any work is
/// begun, and again by whoever writes the output. What a killed run left beside an output that
/// stays is removed.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`; with it [`Error::Mismatch`] for a folder in the
/// place of a file, and for a device; [`Error::Mismatch`] for a name that is too long or not text,
/// from which no others can be derived.
pub(crate) fn check(path: &Path, overwrite: bool, kind: Kind) -> Result<()> {
    require_name(path)?;
    match found(path, fs::symlink_metadata(path))? {
        None => Ok(()),
        Some(_) if !overwrite => {
            for output in [path, &shards_of(path)] {
                if let Err(e) = tidy(output) {
                    tracing::warn!("what killed runs left stays: {e}");
                }
            }
            Err(Error::OutputExists(path.to_path_buf()))
        }
        Some(found) if found.is_dir() && kind == Kind::File => {
            Err(unfit(path, "is a folder, and a file is to be written"))
        }
        Some(found) if !(found.is_file() || found.is_dir() || found.is_symlink()) => {
            let why = "is a device, not a file or a folder that may be replaced";
            Err(unfit(path, why))
        }
        Some(_) => Ok(()),
    }
}

/// Put back what a killed run had moved aside and remove what killed runs left. The caller holds
/// the lock of `target`: nobody works on what lies about under its name. What cannot be removed
/// stays, with a warning.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read or an old output cannot be put back.
pub(crate) fn clear(target: &Path) -> Result<()> {
    let folder = folder_of(target);
    let output = name_of(target)?;
    for name in names(folder)? {
        let path = folder.join(&name);
        match parts(&name, &output) {
            // The lock is held on every machine: whoever moved it aside is gone.
            Some((_, ASIDE)) => put_back(&path, target)?,
            Some((machine, _)) if machine == host() => {}
            _ => continue,
        }
        remove_left(&path);
    }
    Ok(())
}

/// Remove what a killed run left in `folder` under names that begin with `prefix`. The caller holds
/// a lock that keeps others from making such.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read.
pub(crate) fn remove_leftovers(folder: &Path, prefix: &str) -> Result<()> {
    for name in names(folder)? {
        if name.starts_with(prefix) {
            remove_left(&folder.join(name));
        }
    }
    Ok(())
}

fn remove_left(path: &Path) {
    tracing::debug!("removing {}, which a killed run left", path.display());
    if let Err(e) = remove(path) {
        tracing::warn!(
            "{}: cannot remove what a killed run left: {e}",
            path.display()
        );
    }
}

/// Give an old output its name back, unless a complete one has it.
fn put_back(aside: &Path, target: &Path) -> Result<()> {
    let old = aside.join("old");
    if is_taken(target)? || !is_taken(&old)? {
        return Ok(());
    }
    fs::rename(&old, target).map_err(Error::io(&old, "put back"))?;
    tracing::warn!(
        "{}: put back, a run that was replacing it was killed",
        target.display()
    );
    Ok(())
}

/// [`clear`] for an output that is refused because it exists, if nobody is writing it.
fn tidy(target: &Path) -> Result<()> {
    let beside = manifest_beside(target);
    let mut derived = Vec::new();
    for output in [target, &beside] {
        let name = name_of(output)?;
        derived.push((format!(".{name}.lock"), name));
    }
    let is_left = |name: &String| {
        let mut derived = derived.iter();
        derived.any(|(lock, output)| name == lock || parts(name, output).is_some())
    };
    if names(folder_of(target))?.iter().any(is_left)
        && let Ok(lock) = OutputLock::acquire(target)
        && lock.is_held()
    {
        clear(target)?;
        clear(&beside)?;
    }
    Ok(())
}

/// Remove a folder with all that it holds. It loses its name first: half gone under its name it
/// might be taken for whole.
///
/// # Errors
/// [`Error::Io`] when it cannot be renamed. What cannot be removed after that stays, with a
/// warning.
pub(crate) fn remove_at_once(folder: &Path) -> Result<()> {
    let aside = temporary(folder, UNDER_WAY, "rename", |b, at| b.tempdir_in(at))?;
    fs::rename(folder, aside.path().join("old")).map_err(Error::io(folder, "rename"))?;
    let path = aside.path().to_path_buf();
    if let Err(e) = aside.close() {
        tracing::warn!("{}: cannot be removed: {e}", path.display());
    }
    Ok(())
}

/// Remove a file, a link or a folder.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
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
        assert!(refusal(&own, false, Kind::Folder).contains("exists already"));
        check(&own, true, Kind::Folder).unwrap();
        assert!(refusal(&own, true, Kind::File).contains("is a folder"));
        assert!(refusal(Path::new("/dev/null"), true, Kind::File).contains("is a device"));
        for nameless in [".", "..", "/", "a/.."] {
            let message = refusal(Path::new(nameless), true, Kind::Folder);
            assert!(message.contains("not a name"), "{message}");
        }
        let message = refusal(&d.path().join("x".repeat(241)), false, Kind::Folder);
        assert!(message.contains("is longer than"), "{message}");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let name = std::ffi::OsStr::from_bytes(b"\xe9.npy");
            assert!(refusal(Path::new(name), false, Kind::File).contains("not valid UTF-8"));
        }
        fs::write(d.path().join("a.npy"), "").unwrap();
        check(&d.path().join("a.npy"), true, Kind::File).unwrap();
    }

    #[test]
    fn an_old_output_that_cannot_be_put_back_stays_where_it_is() {
        let d = tempfile::tempdir().unwrap();
        let aside = d.path().join("aside");
        fs::create_dir_all(aside.join("old")).unwrap();
        let error = put_back(&aside, &d.path().join("gone/out")).unwrap_err();
        assert!(error.to_string().contains("aside/old"), "{error}");
        assert!(aside.join("old").is_dir());
    }
}
