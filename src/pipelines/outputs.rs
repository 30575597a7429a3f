//! Where a program writes: an output that replaces a folder must not take along what the run reads,
//! and a folder that a run fills with several outputs has one lock for all of it and is cleared of
//! what killed runs left there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{AtomicDir, OutputLock, folder_of, name_of, names};

/// Whether an output may be the very folder that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Same {
    /// It is read before it is replaced, and its user named it twice.
    Replaced,
    /// What is in it would be lost.
    Refused,
}

/// Refuse an output in which an input lies. Called where the options are checked; names that lead
/// nowhere, such as those of the hub, are passed over.
///
/// # Errors
/// [`Error::Usage`] that names both; [`Error::Io`] when the output cannot be looked at.
pub(crate) fn keep_inputs<P: AsRef<Path>>(
    output: &Path,
    inputs: impl IntoIterator<Item = P>,
    same: Same,
) -> Result<()> {
    if output.file_name().is_none() {
        // `.` and `..` are no names that an output can take, and are refused as such.
        return Ok(());
    }
    // By their true names: a link or `..` may hide that one is in the other.
    let folder = match fs::canonicalize(output) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        folder => folder.map_err(Error::io(output, "look at"))?,
    };
    for input in inputs {
        let input = input.as_ref();
        let Ok(found) = fs::canonicalize(input) else {
            continue;
        };
        if found.starts_with(&folder) && (found != folder || same == Same::Refused) {
            return Err(Error::Usage(format!(
                "{} would be deleted with {}, which this run replaces: choose another output",
                input.display(),
                output.display()
            )));
        }
    }
    Ok(())
}

/// Take the lock of a folder, which need not exist yet, by the one name that all paths to it share:
/// `.` and `../study` may be the same.
///
/// # Errors
/// [`Error::OutputBusy`] when another run holds it; [`Error::Io`] when there is no place for a
/// lock.
pub(super) fn lock(folder: &Path) -> Result<OutputLock> {
    let name = true_name(folder)?;
    match OutputLock::acquire(&name) {
        // The folder may be the user's and what holds it somebody else's.
        Err(Error::Io { .. }) if name.is_dir() => OutputLock::acquire(&name.join("run")),
        lock => lock,
    }
}

fn true_name(folder: &Path) -> Result<PathBuf> {
    match fs::canonicalize(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let parent = folder_of(folder);
            fs::create_dir_all(parent).map_err(Error::io(parent, "create the folder"))?;
            match folder.file_name() {
                Some(name) => {
                    let parent = fs::canonicalize(parent).map_err(Error::io(parent, "look at"))?;
                    Ok(parent.join(name))
                }
                // `new/..` is there as soon as `new` is.
                None => fs::canonicalize(folder).map_err(Error::io(folder, "look at")),
            }
        }
        name => name.map_err(Error::io(folder, "look at")),
    }
}

/// Remove what killed runs left beside `output`, which this run does not make: its lock and what
/// was under way. The caller holds a lock that keeps others from making it.
///
/// # Errors
/// [`Error::OutputBusy`]; [`Error::Io`] when it cannot be removed.
pub(super) fn sweep(output: &Path) -> Result<()> {
    let name = name_of(output)?;
    let prefix = format!(".{name}.");
    if names(folder_of(output))?
        .iter()
        .any(|n| n.starts_with(&prefix))
    {
        // Begun and given up, an output takes along what was left of it.
        drop(AtomicDir::create(output, true)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_in_the_output_are_refused_by_whatever_name() {
        let d = tempfile::tempdir().unwrap();
        let at = |name: &str| d.path().join(name);
        fs::create_dir_all(at("out/sub")).unwrap();
        fs::create_dir_all(at("output")).unwrap();
        let keep = |output: &str, input: &str, same| keep_inputs(&at(output), [at(input)], same);
        for input in ["out/sub", "output/../out/sub", "out/sub/../sub"] {
            let message = keep("out", input, Same::Replaced).unwrap_err().to_string();
            assert!(message.contains(input), "{message}");
            assert!(message.contains("choose another output"), "{message}");
        }
        keep("out", "out", Same::Replaced).unwrap();
        assert!(keep("out", "out/sub/..", Same::Refused).is_err());
        for (output, input) in [
            ("out/sub", "out"),
            ("out", "output"),
            ("new", "out"),
            ("out", "no"),
        ] {
            keep(output, input, Same::Refused).unwrap();
        }
        keep(".", "out", Same::Refused).unwrap_err();
        keep_inputs(Path::new("."), ["src"], Same::Refused).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("out"), at("link")).unwrap();
            assert!(keep("out", "link/sub", Same::Replaced).is_err());
        }
    }

    #[test]
    fn one_folder_has_one_lock_by_whatever_name() {
        let d = tempfile::tempdir().unwrap();
        let at = |name: &str| d.path().join(name);
        // Not there yet, then there.
        for _ in 0..2 {
            let held = lock(&at("new/out")).unwrap();
            let error = lock(&at("new/../new/out")).err().unwrap();
            assert!(matches!(error, Error::OutputBusy { .. }), "{error}");
            drop(held);
            fs::create_dir_all(at("new/out")).unwrap();
        }
        drop(lock(&at("newer/..")).unwrap());
        assert!(at("newer").is_dir());
        let held = lock(&at("new/out/.")).unwrap();
        assert!(OutputLock::acquire(&at("new/out")).is_err());
        drop(held);
        assert_eq!(names(&at("new")).unwrap(), ["out"]);
    }

    #[test]
    fn what_killed_runs_left_goes_and_nothing_else() {
        let d = tempfile::tempdir().unwrap();
        let out = d.path().join("out");
        fs::create_dir(&out).unwrap();
        let under_way = AtomicDir::create(&out, true).unwrap();
        fs::write(under_way.path().join("a"), "").unwrap();
        let left = under_way.path().to_path_buf();
        // As a kill leaves it: neither is dropped.
        let lock = d.path().join(".out.lock");
        std::mem::forget(under_way);
        fs::remove_file(&lock).unwrap();
        fs::write(&lock, "process 1").unwrap();
        fs::write(d.path().join(".output.lock"), "").unwrap();
        sweep(&d.path().join("other")).unwrap();
        assert!(left.exists() && lock.exists());
        sweep(&out).unwrap();
        let left = names(d.path()).unwrap();
        assert_eq!(left, [".output.lock", "out"]);
    }
}
