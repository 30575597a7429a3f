//! Files and folders that appear whole or not at all, each written by one run at a time.
//!
//! What is under way lies beside the output as `.NAME.MACHINE.RANDOM.tmp`. A killed run leaves it there, and the next run
//! that writes the same output on the same machine removes it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use super::lock::{OutputLock, host};
use super::occupied::{Kind, check};
use crate::error::{Error, Result};

/// The ending of what is under way.
const UNDER_WAY: &str = ".tmp";
/// The ending of a folder that holds, as `old`, an output about to be replaced.
const ASIDE: &str = ".old";

/// The folder that holds `path`, made if it is absent.
fn parent_of(path: &Path) -> Result<PathBuf> {
    let parent = folder_of(path);
    fs::create_dir_all(&parent).map_err(Error::io(&parent, "create the folder"))?;
    Ok(parent)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// `.NAME.MACHINE.` in front of the random part of a temporary name, so that a left-over tells whose it was.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.{}.", host())
}

/// Take the lock of an output, put back what a killed run had moved aside, and remove what killed runs left.
fn claim(target: &Path, overwrite: bool, kind: Kind) -> Result<(PathBuf, OutputLock)> {
    check(target, overwrite, kind)?;
    let parent = parent_of(target)?;
    let lock = OutputLock::acquire(target)?;
    if lock.is_held() {
        clear_leftovers(target, &parent)?;
        clear_leftovers(&manifest_beside(target), &parent)?;
    }
    check(target, overwrite, kind)?;
    Ok((parent, lock))
}

/// The manifest of a single file stands beside it, and is written under the lock of the file.
fn manifest_beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!("{name}.manifest.json"))
}

/// The caller holds the lock of `target`: nobody works on what lies about under its name.
fn clear_leftovers(target: &Path, parent: &Path) -> Result<()> {
    let prefix = prefix(target);
    let random = |name: &str, ending: &str| {
        let middle = name
            .strip_prefix(&prefix)
            .and_then(|n| n.strip_suffix(ending));
        middle.is_some_and(|m| !m.is_empty() && m.chars().all(|c| c.is_ascii_alphanumeric()))
    };
    for entry in fs::read_dir(parent)
        .map_err(Error::io(parent, "read"))?
        .flatten()
    {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if random(&name, ASIDE) {
            let old = path.join("old");
            if fs::symlink_metadata(target).is_err() && fs::rename(&old, target).is_ok() {
                tracing::warn!(
                    "{}: put back, a run that was replacing it was killed",
                    target.display()
                );
            }
        } else if !random(&name, UNDER_WAY) {
            continue;
        }
        tracing::debug!("removing {}, which a killed run left", path.display());
        remove(&path).map_err(Error::io(&path, "remove"))?;
    }
    Ok(())
}

/// Remove a file, a link or a folder.
fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// A rename that failed; the usual reason has words of its own.
fn not_renamed(target: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io {
        path: target.into(),
        action: "rename",
        source: if source.kind() == io::ErrorKind::NotFound {
            let words = "its folder was removed while the run was writing into it";
            io::Error::new(io::ErrorKind::NotFound, words)
        } else {
            source
        },
    }
}

/// A buffered file that takes its final name only when [`commit`](AtomicFile::commit) is called.
/// Dropped before that, it leaves nothing.
pub struct AtomicFile {
    target: PathBuf,
    writer: BufWriter<NamedTempFile>,
    /// Released last.
    _lock: Option<OutputLock>,
}

impl AtomicFile {
    /// Start writing what will be `path`. Missing parent folders are made.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when `path` exists and `overwrite` is false; [`Error::Mismatch`] when it is a folder;
    /// [`Error::OutputBusy`] when another run is writing it; [`Error::Io`] when its folder is not writable.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let (parent, lock) = claim(path.as_ref(), overwrite, Kind::File)?;
        Self::begin(path.as_ref(), &parent, Some(lock))
    }

    /// As [`AtomicFile::create`] for a small file that is written at once and that several runs may write: whoever comes
    /// last prevails.
    ///
    /// # Errors
    /// [`Error::Io`] when its folder is not writable.
    pub fn replace(path: impl AsRef<Path>) -> Result<Self> {
        let parent = parent_of(path.as_ref())?;
        Self::begin(path.as_ref(), &parent, None)
    }

    fn begin(target: &Path, parent: &Path, lock: Option<OutputLock>) -> Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(&prefix(target))
            .suffix(UNDER_WAY)
            .tempfile_in(parent)
            .map_err(Error::io(target, "create"))?;
        Ok(Self {
            target: target.to_path_buf(),
            writer: BufWriter::with_capacity(1 << 18, file),
            _lock: lock,
        })
    }

    /// Where the file will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Flush, sync and rename to the final name.
    ///
    /// # Errors
    /// [`Error::Io`], on a full disk for instance; the previous file, if any, is then intact.
    pub fn commit(self) -> Result<()> {
        let Self {
            target,
            writer,
            _lock,
        } = self;
        let file = writer.into_inner().map_err(|e| Error::Io {
            path: target.clone(),
            action: "write",
            source: e.into_error(),
        })?;
        file.as_file()
            .sync_all()
            .map_err(Error::io(&target, "write"))?;
        if file.path().exists() {
            set_default_mode(file.path(), 0o666)?;
        }
        file.persist(&target)
            .map_err(|e| not_renamed(&target)(e.error))?;
        sync_folder(&folder_of(&target));
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.writer.seek(pos)
    }
}

/// A folder that is filled under a temporary name beside its final one and renamed when complete.
/// Dropped before that, it leaves nothing.
pub struct AtomicDir {
    target: PathBuf,
    temporary: TempDir,
    /// Released last.
    _lock: OutputLock,
}

impl AtomicDir {
    /// Start filling what will be the folder `path`. Missing parent folders are made.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when `path` exists and `overwrite` is false; [`Error::Mismatch`] when it is a device;
    /// [`Error::OutputBusy`] when another run is writing it; [`Error::Io`] when its folder is not writable.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let target = path.as_ref().to_path_buf();
        let (parent, lock) = claim(&target, overwrite, Kind::Folder)?;
        let temporary = tempfile::Builder::new()
            .prefix(&prefix(&target))
            .suffix(UNDER_WAY)
            .tempdir_in(&parent)
            .map_err(Error::io(&target, "create the folder"))?;
        Ok(Self {
            target,
            temporary,
            _lock: lock,
        })
    }

    /// The temporary folder: write here.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Where the folder will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Sync all files and give the folder its final name. What stood there before is exchanged with it in one step where the
    /// system can, else moved aside first, and removed last.
    ///
    /// # Errors
    /// [`Error::Io`]; the previous folder, if any, is then in its place.
    pub fn commit(self) -> Result<()> {
        let Self {
            target,
            temporary,
            _lock,
        } = self;
        if !temporary.path().is_dir() {
            return Err(not_renamed(&target)(io::ErrorKind::NotFound.into()));
        }
        set_default_mode(temporary.path(), 0o777)?;
        sync_tree(temporary.path())?;
        if fs::symlink_metadata(&target).is_err() {
            fs::rename(temporary.path(), &target).map_err(not_renamed(&target))?;
            let _ = temporary.keep();
        } else {
            match exchange(temporary.path(), &target) {
                // The temporary name now leads to what was there before, which may be a file or a link.
                Ok(()) => {
                    let old = temporary.keep();
                    remove(&old).map_err(Error::io(&old, "remove"))?;
                }
                Err(_) => move_aside_and_rename(temporary, &target)?,
            }
        }
        sync_folder(&folder_of(&target));
        Ok(())
    }
}

/// Swap two names in one step.
#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Two renames where [`exchange`] is not possible. A run killed between them leaves the old output aside, and
/// [`clear_leftovers`] puts it back.
fn move_aside_and_rename(temporary: TempDir, target: &Path) -> Result<()> {
    let aside = tempfile::Builder::new()
        .prefix(&prefix(target))
        .suffix(ASIDE)
        .tempdir_in(folder_of(target))
        .map_err(Error::io(target, "move aside"))?;
    let old = aside.path().join("old");
    fs::rename(target, &old).map_err(Error::io(target, "move aside"))?;
    if let Err(source) = fs::rename(temporary.path(), target) {
        if fs::rename(&old, target).is_err() {
            // Better aside than lost.
            let _ = aside.keep();
        }
        return Err(not_renamed(target)(source));
    }
    let _ = temporary.keep();
    Ok(())
}

/// Bring every file of a folder to the disk, and the names of all.
fn sync_tree(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let path = entry.map_err(Error::io(folder, "read"))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else if path.is_file() {
            File::open(&path)
                .and_then(|f| f.sync_all())
                .map_err(Error::io(&path, "write"))?;
        }
    }
    sync_folder(folder);
    Ok(())
}

/// Bring the names in a folder to the disk, where the file system can.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Temporary files are private to their owner; outputs take the usual permissions of new files.
#[cfg(unix)]
fn set_default_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::OnceLock;
    static UMASK: OnceLock<u32> = OnceLock::new();
    let umask = *UMASK.get_or_init(|| {
        let line = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let value = line
            .lines()
            .find_map(|l| l.strip_prefix("Umask:"))
            .map(str::trim)
            .unwrap_or("0022")
            .to_owned();
        u32::from_str_radix(&value, 8).unwrap_or(0o022)
    });
    fs::set_permissions(path, fs::Permissions::from_mode(mode & !umask))
        .map_err(Error::io(path, "set permissions of"))
}

#[cfg(not(unix))]
fn set_default_mode(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
