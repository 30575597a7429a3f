//! One run at a time writes an output: an advisory lock beside it, which the system drops when its holder ends, however it
//! ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The sole right to write one output, kept until it is dropped.
///
/// It is a lock on the file `.NAME.lock` beside the output, which says who holds it and is removed at the end. A file that a
/// killed run left there holds nobody up. Where the file system has no locks a warning says so and the run goes on.
pub struct OutputLock {
    path: PathBuf,
    /// None where there are no locks.
    file: Option<File>,
}

impl OutputLock {
    /// Take the lock of `output`, whose folder must exist.
    ///
    /// # Errors
    /// [`Error::OutputBusy`] when another run holds it; [`Error::Io`] when the folder is not writable.
    pub fn acquire(output: &Path) -> Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(".lock");
        let path = output.with_file_name(name);
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(Error::io(output, "create"))?;
            match file.try_lock() {
                // Its former holder may have removed it between the two calls: then it keeps nobody out.
                Ok(()) if !is_at(&file, &path) => continue,
                Ok(()) => {
                    sign(&mut file);
                    let file = Some(file);
                    return Ok(Self { path, file });
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::OutputBusy {
                        path: output.into(),
                        holder: holder(&mut file),
                    });
                }
                Err(TryLockError::Error(e)) => {
                    tracing::warn!(
                        "{}: its file system has no locks ({e}); nothing keeps another run from writing it too",
                        output.display()
                    );
                    let _ = fs::remove_file(&path);
                    return Ok(Self { path, file: None });
                }
            }
        }
    }

    /// Take the lock of all that is computed for `output` before it is written, its folder `OUT.shards`. The folder of `output` is
    /// made if it is absent.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn of_shards(output: &Path) -> Result<Self> {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(".shards");
        let work = output.with_file_name(name);
        if let Some(parent) = work.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(Error::io(parent, "create the folder"))?;
        }
        Self::acquire(&work)
    }

    /// Whether the lock really keeps others out, so that what lies about belongs to nobody.
    pub(super) fn is_held(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        // Removed while it is still held: whoever opened it before finds that it is gone.
        if self.file.is_some() && cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
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

/// Say in the file who holds it. It is for people only, so a full disk does not matter.
fn sign(file: &mut File) {
    let _ = file.set_len(0);
    let _ = writeln!(file, "process {} on {}", std::process::id(), host());
}

/// What the holder wrote.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.take(200).read_to_string(&mut text);
    match text.trim() {
        "" => "another run".into(),
        words => words.into(),
    }
}

/// Whether `path` still leads to `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Lock files are not removed there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_with_the_name_of_the_first() {
        let d = tempfile::tempdir().unwrap();
        let out = d.path().join("out.datasets");
        let lock = OutputLock::acquire(&out).unwrap();
        let Err(e) = OutputLock::acquire(&out) else {
            panic!("locked twice");
        };
        let words = format!("process {}", std::process::id());
        assert!(e.to_string().contains(&words), "{e}");
        OutputLock::acquire(&d.path().join("other")).unwrap();
        drop(lock);
        assert_eq!(fs::read_dir(d.path()).unwrap().count(), 0);
        OutputLock::acquire(&out).unwrap();
    }

    #[test]
    fn one_of_many_has_it_at_any_time() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let d = tempfile::tempdir().unwrap();
        let out = d.path().join("out");
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(_lock) = OutputLock::acquire(&out) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            taken.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
        assert_eq!(fs::read_dir(d.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_holds_nobody_up() {
        let d = tempfile::tempdir().unwrap();
        fs::write(d.path().join(".out.lock"), "process 1 on another machine").unwrap();
        OutputLock::acquire(&d.path().join("out")).unwrap();
    }
}
