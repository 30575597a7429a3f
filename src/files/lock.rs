//! Locks: of an output, which one run writes while the others are refused, and of a file in a
//! cache, for which they wait.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::names::{hidden, host, make_folder_of, shards_of};
use crate::error::{Error, Result, interrupt};

/// The sole right to write one output, kept until it is dropped.
///
/// It is a lock on the file `.NAME.lock` beside the output, which says who holds it and is removed
/// at the end. A file that a killed run left there holds nobody up. Where the file system has no
/// locks a warning says so and the run goes on.
pub struct OutputLock {
    path: PathBuf,
    /// None where there are no locks.
    file: Option<File>,
}

/// The lock files that this process holds, as the system knows them.
static HELD: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<HashSet<Identity>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OutputLock {
    /// Take the lock of `output`, whose folder must exist.
    ///
    /// # Errors
    /// [`Error::OutputBusy`] when another run holds it; [`Error::Io`] when the folder is not
    /// writable.
    pub fn acquire(output: &Path) -> Result<Self> {
        let path = lock_of(output)?;
        loop {
            let mut file = open(&path).map_err(|e| match e.kind() {
                // What stands in the way is named itself.
                _ if fs::symlink_metadata(&path).is_ok() => Error::io(&path, "open")(e),
                _ => Error::io(output, "create")(e),
            })?;
            match file.try_lock() {
                // Its former holder may have removed it between the two calls: then it keeps nobody
                // out.
                Ok(()) if !is_at(&file, &path) => continue,
                Ok(()) => {
                    sign(&mut file);
                    held()
                        .get_or_insert_default()
                        .extend(file.metadata().ok().map(|m| identity(&m)));
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

    /// Take the lock of all that is computed for `output` before it is written, its folder
    /// `OUT.shards`. The folder of `output` is made if it is absent.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); [`Error::OutputBusy`] also when another run is writing
    /// `output` itself.
    pub(crate) fn of_shards(output: &Path) -> Result<Self> {
        make_folder_of(output)?;
        let lock = Self::acquire(&shards_of(output))?;
        require_free(output, output)?;
        Ok(lock)
    }

    /// Require that no other run is computing the parts of `output`.
    ///
    /// # Errors
    /// [`Error::OutputBusy`].
    pub(super) fn require_no_shards(output: &Path) -> Result<()> {
        require_free(&shards_of(output), output)
    }

    /// Whether the lock really keeps others out, so that what lies about belongs to nobody.
    pub(super) fn is_held(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        // Removed while it is still held: whoever opened it before finds that it is gone.
        let Some(file) = &self.file else {
            return;
        };
        if let (Some(held), Ok(meta)) = (&mut *held(), file.metadata()) {
            held.remove(&identity(&meta));
        }
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `.NAME.lock` beside the output.
fn lock_of(output: &Path) -> Result<PathBuf> {
    hidden(output, ".lock")
}

/// Open a lock file, made if it is absent. It may be another user's, whom this one may only read: a
/// lock needs no more.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = match no_links(&mut options).open(path) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied && path.is_file() => {
            no_links(OpenOptions::new().read(true)).open(path)?
        }
        other => other?,
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("this is not a lock file: remove it")),
    }
}

/// What stands under the name of a lock file may not lead elsewhere.
#[cfg(unix)]
fn no_links(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
}

#[cfg(not(unix))]
fn no_links(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Require that no other process holds the lock of `locked`, on which a run that writes `output`
/// works as well.
fn require_free(locked: &Path, output: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let Ok(mut file) = no_links(options.read(true)).open(lock_of(locked)?) else {
        return Ok(());
    };
    let ours = file.metadata().is_ok_and(|meta| {
        let held = held();
        held.as_ref().is_some_and(|h| h.contains(&identity(&meta)))
    });
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) if !ours => Err(Error::OutputBusy {
            path: output.into(),
            holder: holder(&mut file),
        }),
        _ => Ok(()),
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

/// What tells two files apart, whatever they are called.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(file: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Lock files are not removed there.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Identity {}

/// Whether `path` still leads to `file`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => identity(&a) == identity(&b),
        _ => false,
    }
}

/// Wait for the lock file `path`, which lasts until the value is dropped, however its holder ends,
/// and stays where it is: other programs may take the same. A signal ends the wait. Where the file
/// system has no locks the caller goes on without, as Python does.
///
/// # Errors
/// [`Error::Io`] when the file cannot be made; [`Error::Interrupted`].
pub(crate) fn wait_for_lock(path: &Path) -> Result<File> {
    const PAUSE: Duration = Duration::from_millis(50);
    make_folder_of(path)?;
    let file = File::create(path).map_err(Error::io(path, "create"))?;
    let mut waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !waiting {
                    tracing::info!("waiting: another process is fetching the same file");
                    waiting = true;
                }
                interrupt::check()?;
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::Error(e)) => {
                tracing::warn!(
                    "{}: no locks there ({e}); do not download the same file twice at a time",
                    path.display()
                );
                return Ok(file);
            }
        }
    }
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

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_lock_is_not_followed() {
        let d = tempfile::tempdir().unwrap();
        let precious = d.path().join("precious");
        fs::write(&precious, "x").unwrap();
        std::os::unix::fs::symlink(&precious, d.path().join(".out.lock")).unwrap();
        let error = OutputLock::acquire(&d.path().join("out")).err().unwrap();
        assert!(error.to_string().contains(".out.lock"), "{error}");
        assert_eq!(fs::read_to_string(precious).unwrap(), "x");
    }

    #[test]
    fn whoever_writes_an_output_keeps_its_shards_off_and_the_other_way_round() {
        let d = tempfile::tempdir().unwrap();
        let out = d.path().join("out");
        // Another process is one whose locks this one does not know of.
        let foreign = |name: &str| {
            let file = File::create(d.path().join(name)).unwrap();
            file.lock().unwrap();
            file
        };
        let theirs = foreign(".out.lock");
        assert!(matches!(
            OutputLock::of_shards(&out),
            Err(Error::OutputBusy { .. })
        ));
        drop(theirs);
        let shards = OutputLock::of_shards(&out).unwrap();
        OutputLock::require_no_shards(&out).unwrap();
        drop(shards);
        let _theirs = foreign(".out.shards.lock");
        assert!(matches!(
            OutputLock::require_no_shards(&out),
            Err(Error::OutputBusy { .. })
        ));
    }

    #[test]
    fn what_a_killed_run_left_holds_nobody_up() {
        let d = tempfile::tempdir().unwrap();
        fs::write(d.path().join(".out.lock"), "process 1 on another machine").unwrap();
        OutputLock::acquire(&d.path().join("out")).unwrap();
    }

    #[test]
    fn a_lock_of_the_cache_is_waited_for_and_stays() {
        let d = tempfile::tempdir().unwrap();
        let path = d.path().join(".locks/a.lock");
        let held = wait_for_lock(&path).unwrap();
        std::thread::scope(|s| {
            let other = s.spawn(|| wait_for_lock(&path).map(drop));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            drop(held);
            other.join().unwrap().unwrap();
        });
        assert!(path.is_file());
    }
}
