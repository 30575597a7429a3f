//! The names that stand beside an output, all derived from its own: its lock, its manifest, its
//! parts, and what is under way.
//!
//! What is under way lies beside the output `NAME` as `.NAME.MACHINE.RANDOM.tmp`, an old output
//! that is about to be replaced in a folder `.NAME.MACHINE.RANDOM.old`. So a left-over tells whose
//! it was.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::Builder;

use crate::error::{Error, Result};

/// The ending of what is under way.
pub(super) const UNDER_WAY: &str = ".tmp";
/// The ending of a folder that holds, as `old`, an output about to be replaced.
pub(super) const ASIDE: &str = ".old";
/// The random part of a name, in characters.
const RANDOM: usize = 6;
/// The longest name that file systems take.
const LONGEST_NAME: usize = 255;

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Make the folder that holds `path` if it is absent.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn make_folder_of(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder"))
}

/// The path with `ending` behind its last name: `out` and `.shards` give `out.shards`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    // Names such as `..`, which no output can take, stay what they are.
    let mut name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Where the manifest of a single file stands, which is written under the lock of the file.
pub(crate) fn manifest_beside(target: &Path) -> PathBuf {
    beside(target, ".manifest.json")
}

/// The folder in which the parts of an output wait.
pub(crate) fn shards_of(target: &Path) -> PathBuf {
    beside(target, ".shards")
}

/// The last name of a path.
///
/// # Errors
/// [`Error::Mismatch`] for a path without one, such as `..`.
pub(crate) fn name_of(path: &Path) -> Result<Cow<'_, str>> {
    match path.file_name() {
        Some(name) => Ok(name.to_string_lossy()),
        None => Err(unfit(path, "is not a name that an output can take")),
    }
}

/// Refuse a name from which the others could not be derived.
///
/// # Errors
/// [`Error::Mismatch`] for one that is too long or not text, and for none.
pub(super) fn require_name(path: &Path) -> Result<()> {
    // That of a manifest under way is the longest.
    let derived = prefix(&manifest_beside(Path::new("x")))?.len() + RANDOM + UNDER_WAY.len();
    let most = LONGEST_NAME + 1 - derived;
    match path.file_name().map(|name| (name.to_str(), name.len())) {
        Some((Some(_), length)) if length <= most => Ok(()),
        Some((Some(_), _)) => {
            let why =
                format!("is longer than {most} bytes, which leaves no room for those beside it");
            Err(unfit(path, &why))
        }
        Some((None, _)) => Err(unfit(path, "is not valid UTF-8")),
        None => name_of(path).map(drop),
    }
}

/// An output that cannot be called or stand where `path` says.
pub(super) fn unfit(path: &Path, why: &str) -> Error {
    Error::Mismatch(format!("{} {why}: choose another name", path.display()))
}

/// `.NAME` and an ending, beside the output.
pub(super) fn hidden(path: &Path, ending: &str) -> Result<PathBuf> {
    Ok(path.with_file_name(format!(".{}{ending}", name_of(path)?)))
}

/// `.NAME.MACHINE.` in front of the random part of a temporary name.
pub(super) fn prefix(path: &Path) -> Result<String> {
    Ok(format!(".{}.{}.", name_of(path)?, host()))
}

/// Make a temporary file or folder for the output `target`, beside it; `action` is what an error
/// says of it.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn temporary<R>(
    target: &Path,
    ending: &str,
    action: &'static str,
    make: impl FnOnce(&Builder<'_, '_>, &Path) -> io::Result<R>,
) -> Result<R> {
    let prefix = prefix(target)?;
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(ending).rand_bytes(RANDOM);
    make(&builder, folder_of(target)).map_err(Error::io(target, action))
}

/// The machine and the ending of a temporary name that belongs to the output `NAME`.
pub(super) fn parts<'n>(temporary: &'n str, name: &str) -> Option<(&'n str, &'static str)> {
    let rest = temporary.strip_prefix(&format!(".{name}."))?;
    let ending = [UNDER_WAY, ASIDE].into_iter().find(|e| rest.ends_with(e))?;
    let (machine, random) = rest.strip_suffix(ending)?.split_once('.')?;
    let plain = |text: &str, dash: bool| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || (dash && c == '-');
        !text.is_empty() && text.chars().all(allowed)
    };
    (plain(machine, true) && plain(random, false)).then_some((machine, ending))
}

/// This machine's name, as far as it can be part of a file name.
pub(super) fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.trim().chars().take(40).map(allowed).collect();
    if name.is_empty() {
        "local".into()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_an_output_are_made_of_its_own() {
        let shards = |path: &str| shards_of(Path::new(path));
        assert_eq!(shards("a/out"), Path::new("a/out.shards"));
        assert_eq!(shards("a/out/"), Path::new("a/out.shards"));
        assert_eq!(folder_of(Path::new("out")), Path::new("."));
        assert_eq!(
            hidden(Path::new("a/out"), ".lock").unwrap(),
            Path::new("a/.out.lock")
        );
        for nameless in ["..", "/", ""] {
            let message = name_of(Path::new(nameless)).unwrap_err().to_string();
            assert!(message.contains("not a name"), "{message}");
        }
    }

    #[test]
    fn only_names_of_the_output_are_its_left_overs() {
        let of = |name: &'static str| parts(name, "out");
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
    fn the_longest_name_leaves_room_for_those_derived_from_it() {
        let d = tempfile::tempdir().unwrap();
        let target = |length: usize| d.path().join("x".repeat(length));
        let most = (1..=LONGEST_NAME)
            .rev()
            .find(|&n| require_name(&target(n)).is_ok())
            .unwrap();
        let manifest = manifest_beside(&target(most));
        let file = temporary(&manifest, UNDER_WAY, "create", |b, at| b.tempfile_in(at));
        assert_eq!(
            file.unwrap().path().file_name().unwrap().len(),
            LONGEST_NAME
        );
    }
}
