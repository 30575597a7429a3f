//! What killed runs leave beside an output, and how the next run tells it from everything else.
//!
//! What is under way lies beside the output as `.NAME.MACHINE.RANDOM.tmp`, an old output that is about to be replaced in a
//! folder `.NAME.MACHINE.RANDOM.old`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::Builder;

use super::lock::{OutputLock, host};
use crate::error::{Error, Result};

/// The ending of what is under way.
pub(super) const UNDER_WAY: &str = ".tmp";
/// The ending of a folder that holds, as `old`, an output about to be replaced.
pub(super) const ASIDE: &str = ".old";
/// The random part of a name, in characters.
const RANDOM: usize = 6;
/// The longest name that file systems take.
const LONGEST_NAME: usize = 255;

/// The folder of an output.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The name of an output, which [`super::check`] has found to be text.
pub(super) fn name_of(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// `.NAME.MACHINE.` in front of the random part of a temporary name, so that a left-over tells whose it was.
pub(super) fn prefix(path: &Path) -> String {
    format!(".{}.{}.", name_of(path), host())
}

/// Makes temporary files and folders for the output `target`.
pub(super) fn temporary<R>(
    target: &Path,
    ending: &str,
    make: impl FnOnce(&Builder<'_, '_>) -> io::Result<R>,
) -> io::Result<R> {
    let prefix = prefix(target);
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(ending).rand_bytes(RANDOM);
    make(&builder)
}

/// The manifest of a single file stands beside it, and is written under the lock of the file.
pub fn manifest_beside(target: &Path) -> PathBuf {
    target.with_file_name(format!("{}.manifest.json", name_of(target)))
}

/// The folder in which the parts of an output wait.
pub(super) fn shards_of(target: &Path) -> PathBuf {
    target.with_file_name(format!("{}.shards", name_of(target)))
}

/// How many bytes the name of an output may have, so that the names derived from it fit as well.
pub(super) fn longest_name() -> usize {
    let longest = manifest_beside(Path::new("x"));
    LONGEST_NAME + 1 - prefix(&longest).len() - RANDOM - UNDER_WAY.len()
}

/// Put back what a killed run had moved aside and remove what killed runs left. The caller holds the lock of `target`: nobody
/// works on what lies about under its name. What cannot be removed stays, with a warning.
///
/// # Errors
/// [`Error::Io`] when an old output cannot be put back.
pub(super) fn clear(target: &Path) -> Result<()> {
    let folder = folder_of(target);
    let entries = fs::read_dir(&folder).map_err(Error::io(&folder, "read"))?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        match of_target(&name, target) {
            // The lock is held on every machine: whoever moved it aside is gone.
            Some((_, ASIDE)) => {
                put_back(&path, target)?;
            }
            Some((machine, _)) if machine == host() => {}
            _ => continue,
        }
        tracing::debug!("removing {}, which a killed run left", path.display());
        if let Err(e) = remove(&path) {
            tracing::warn!(
                "{}: cannot remove what a killed run left: {e}",
                path.display()
            );
        }
    }
    Ok(())
}

/// The machine and the ending of a temporary name that belongs to `target`.
fn of_target<'n>(name: &'n str, target: &Path) -> Option<(&'n str, &'static str)> {
    let rest = name.strip_prefix(&format!(".{}.", name_of(target)))?;
    let ending = [UNDER_WAY, ASIDE].into_iter().find(|e| rest.ends_with(e))?;
    let (machine, random) = rest.strip_suffix(ending)?.split_once('.')?;
    let plain = |text: &str, dash: bool| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || (dash && c == '-');
        !text.is_empty() && text.chars().all(allowed)
    };
    (plain(machine, true) && plain(random, false)).then_some((machine, ending))
}

/// Give an old output its name back, unless a complete one has it.
fn put_back(aside: &Path, target: &Path) -> Result<()> {
    let old = aside.join("old");
    if fs::symlink_metadata(target).is_ok() || fs::symlink_metadata(&old).is_err() {
        return Ok(());
    }
    fs::rename(&old, target).map_err(Error::io(&old, "put back"))?;
    tracing::warn!(
        "{}: put back, a run that was replacing it was killed",
        target.display()
    );
    Ok(())
}

/// [`clear`] for an output that is refused because it exists, and for its parts, if nobody is writing them.
pub(super) fn tidy(target: &Path) {
    tidy_one(target);
    tidy_one(&shards_of(target));
}

fn tidy_one(target: &Path) {
    let folder = folder_of(target);
    let is_of = |name: &str, output: &Path| {
        of_target(name, output).is_some() || name == format!(".{}.lock", name_of(output))
    };
    let beside = manifest_beside(target);
    let left = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            is_of(&name, target) || is_of(&name, &beside)
        });
    if left
        && let Ok(lock) = OutputLock::acquire(target)
        && lock.is_held()
    {
        let _ = clear(target).and_then(|()| clear(&beside));
    }
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
    fn only_names_of_the_target_are_its_left_overs() {
        let of = |name: &'static str| of_target(name, Path::new("a/out"));
        assert_eq!(of(".out.vm-1.aB3xyz.tmp"), Some(("vm-1", ".tmp")));
        assert_eq!(of(".out.other.aB3xyz.old"), Some(("other", ".old")));
        for other in [
            ".out.b.vm.aB3xyz.tmp",
            ".out.tmp",
            ".out.vm..tmp",
            ".out.vm.aB3xyz",
            "out.vm.aB3xyz.tmp",
            ".out.v_m.aB3xyz.tmp",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
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

    #[test]
    fn the_longest_name_leaves_room_for_those_derived_from_it() {
        let d = tempfile::tempdir().unwrap();
        let target = d.path().join("x".repeat(longest_name()));
        let file = temporary(&manifest_beside(&target), UNDER_WAY, |b| {
            b.tempfile_in(d.path())
        });
        assert_eq!(
            file.unwrap().path().file_name().unwrap().len(),
            LONGEST_NAME
        );
    }
}
