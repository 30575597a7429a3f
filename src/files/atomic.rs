//! Files and folders that appear whole or not at all, each written by one run at a time.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::{NamedTempFile, TempDir};

use super::lock::OutputLock;
use super::names::{
    ASIDE, UNDER_WAY, folder_of, make_folder_of, manifest_beside, name_of, prefix, temporary,
};
use super::occupied::{Kind, check, clear, remove};
use super::presence::{entries, is_taken};
use crate::error::{Error, Result};

/// Take the lock of an output, put back what a killed run had moved aside, and remove what killed
/// runs left.
fn claim(target: &Path, overwrite: bool, kind: Kind) -> Result<OutputLock> {
    check(target, overwrite, kind)?;
    make_folder_of(target)?;
    OutputLock::require_no_shards(target)?;
    let lock = OutputLock::acquire(target)?;
    if lock.is_held() {
        clear(target)?;
        clear(&manifest_beside(target))?;
    }
    check(target, overwrite, kind)?;
    Ok(lock)
}

/// The error for an output whose name was taken while it was made: `made`, which holds it, is given
/// a name beside it.
fn appeared(target: &Path, made: &Path) -> Error {
    let kept = || -> Result<PathBuf> {
        let temporary = name_of(made)?;
        let random = temporary
            .strip_prefix(&prefix(target)?)
            .and_then(|n| n.strip_suffix(UNDER_WAY));
        let kept = format!("{}.{}", name_of(target)?, random.unwrap_or("new"));
        let kept = target.with_file_name(kept);
        fs::rename(made, &kept).map_err(Error::io(&kept, "rename"))?;
        Ok(kept)
    };
    let kept = kept().unwrap_or_else(|_| made.to_path_buf());
    Error::Mismatch(format!(
        "{} has appeared since the run began, and stays; what was made is in {}: give it another name",
        target.display(),
        kept.display()
    ))
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
    overwrite: bool,
    /// Released last.
    lock: Option<OutputLock>,
}

impl AtomicFile {
    /// Start writing what will be `path`. Missing parent folders are made.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when `path` exists and `overwrite` is false; [`Error::Mismatch`]
    /// when it is a folder; [`Error::OutputBusy`] when another run is writing it; [`Error::Io`]
    /// when its folder is not writable.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let lock = claim(path.as_ref(), overwrite, Kind::File)?;
        Self::begin(path.as_ref(), overwrite, Some(lock))
    }

    /// As [`AtomicFile::create`] for a small file that is written at once and that several runs may
    /// write: whoever comes last prevails.
    ///
    /// # Errors
    /// [`Error::Io`] when its folder is not writable.
    pub(crate) fn replace(path: impl AsRef<Path>) -> Result<Self> {
        make_folder_of(path.as_ref())?;
        Self::begin(path.as_ref(), true, None)
    }

    /// As [`AtomicFile::replace`], but whoever comes first prevails: see
    /// [`commit_first`](Self::commit_first).
    ///
    /// # Errors
    /// [`Error::Io`] when its folder is not writable.
    pub(crate) fn first(path: &Path) -> Result<Self> {
        make_folder_of(path)?;
        Self::begin(path, false, None)
    }

    fn begin(target: &Path, overwrite: bool, lock: Option<OutputLock>) -> Result<Self> {
        let file = temporary(target, UNDER_WAY, "create", |b, at| b.tempfile_in(at))?;
        Ok(Self {
            target: target.to_path_buf(),
            writer: BufWriter::with_capacity(1 << 18, file),
            overwrite,
            lock,
        })
    }

    /// Write JSON on indented lines.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn write_json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer_pretty(&mut self.writer, value)
            .map_err(|e| Error::io(&self.target, "write")(e.into()))
    }

    /// Flush, sync and rename to the final name. A manifest that stands beside an output which is
    /// replaced goes first: it must never speak of another file than its own.
    ///
    /// # Errors
    /// [`Error::Io`], on a full disk for instance; the previous file, if any, is then intact.
    /// [`Error::Mismatch`] when a file that may not be replaced has appeared meanwhile; it says
    /// where what was written is.
    pub fn commit(self) -> Result<()> {
        let (target, overwrite) = (self.target.clone(), self.overwrite);
        let (file, _lock) = self.complete()?;
        let stale = manifest_beside(&target);
        if _lock.is_some() && overwrite && is_taken(&stale)? {
            fs::remove_file(&stale).map_err(Error::io(&stale, "remove"))?;
            sync_folder(folder_of(&target));
        }
        let named = match overwrite {
            true => file.persist(&target),
            false => file.persist_noclobber(&target),
        };
        match named {
            Ok(_) => {}
            Err(e) if !overwrite && e.error.kind() == io::ErrorKind::AlreadyExists => {
                let kept = e.file.into_temp_path().keep();
                return Err(match kept {
                    Ok(temporary) => appeared(&target, &temporary),
                    Err(e) => not_renamed(&target)(e.error),
                });
            }
            Err(e) => return Err(not_renamed(&target)(e.error)),
        }
        sync_folder(folder_of(&target));
        Ok(())
    }

    /// As [`commit`](Self::commit); what has come before stays, and what was written goes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn commit_first(self) -> Result<()> {
        let target = self.target.clone();
        match self.complete()?.0.persist_noclobber(&target) {
            Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => {
                Err(not_renamed(&target)(e.error))
            }
            _ => Ok(()),
        }
    }

    /// The file with everything in it and on the disk, under its temporary name.
    fn complete(self) -> Result<(NamedTempFile, Option<OutputLock>)> {
        let target = &self.target;
        let file = self.writer.into_inner().map_err(|e| Error::Io {
            path: target.clone(),
            action: "write",
            source: e.into_error(),
        })?;
        file.as_file()
            .sync_all()
            .map_err(Error::io(target, "write"))?;
        if file.path().exists() {
            as_usual(file.path())?;
        }
        Ok((file, self.lock))
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
    overwrite: bool,
    /// Released last.
    _lock: OutputLock,
}

impl AtomicDir {
    /// Start filling what will be the folder `path`. Missing parent folders are made.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when `path` exists and `overwrite` is false; [`Error::Mismatch`]
    /// when it is a device; [`Error::OutputBusy`] when another run is writing it; [`Error::Io`]
    /// when its folder is not writable.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let target = path.as_ref().to_path_buf();
        let lock = claim(&target, overwrite, Kind::Folder)?;
        let temporary = temporary(&target, UNDER_WAY, "create the folder", |b, at| {
            b.tempdir_in(at)
        })?;
        Ok(Self {
            target,
            temporary,
            overwrite,
            _lock: lock,
        })
    }

    /// The temporary folder: write here.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Where the folder will be.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Sync all files and give the folder its final name. What stood there before is exchanged with
    /// it in one step where the system can, else moved aside first, and removed last.
    ///
    /// # Errors
    /// [`Error::Io`]; the previous folder, if any, is then in its place. [`Error::Mismatch`] when
    /// something that may not be replaced has appeared meanwhile; it says where what was made is.
    pub(crate) fn commit(self) -> Result<()> {
        let Self {
            target,
            temporary,
            overwrite,
            _lock,
        } = self;
        if !temporary.path().is_dir() {
            return Err(not_renamed(&target)(io::ErrorKind::NotFound.into()));
        }
        complete_tree(temporary.path())?;
        match rename_to_new(temporary.path(), &target) {
            Ok(()) => {
                let _ = temporary.keep();
            }
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(not_renamed(&target)(e));
            }
            Err(_) if !overwrite => return Err(appeared(&target, &temporary.keep())),
            Err(_) => match exchange(temporary.path(), &target) {
                // The temporary name now leads to what was there before, which may be a file or a
                // link. The output is complete even when that cannot be removed.
                Ok(()) => {
                    let old = temporary.keep();
                    if let Err(e) = remove(&old) {
                        tracing::warn!("{}: cannot remove the old output: {e}", old.display());
                    }
                }
                Err(_) => move_aside_and_rename(temporary, &target)?,
            },
        }
        sync_folder(folder_of(&target));
        Ok(())
    }
}

/// Give `from` a name that nothing has; [`io::ErrorKind::AlreadyExists`] when something has it.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems that cannot do it in one step, and old kernels.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return Ok(other?),
        }
    }
    match fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
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

/// Two renames where [`exchange`] is not possible. A run killed between them leaves the old output
/// aside, and [`clear`] puts it back.
fn move_aside_and_rename(made: TempDir, target: &Path) -> Result<()> {
    let aside = temporary(target, ASIDE, "move aside", |b, at| b.tempdir_in(at))?;
    let old = aside.path().join("old");
    fs::rename(target, &old).map_err(Error::io(target, "move aside"))?;
    if let Err(source) = fs::rename(made.path(), target) {
        if fs::rename(&old, target).is_err() {
            // Better aside than lost.
            let _ = aside.keep();
        }
        return Err(not_renamed(target)(source));
    }
    let _ = made.keep();
    Ok(())
}

/// Bring every file of a folder to the disk, and the names of all, with the usual permissions.
fn complete_tree(folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        let kind = fs::symlink_metadata(&path)
            .map_err(Error::io(&path, "read"))?
            .file_type();
        if kind.is_dir() {
            complete_tree(&path)?;
        } else if kind.is_file() {
            as_usual(&path)?;
            File::open(&path)
                .and_then(|f| f.sync_all())
                .map_err(Error::io(&path, "write"))?;
        }
    }
    as_usual(folder)?;
    sync_folder(folder);
    Ok(())
}

/// Bring the names in a folder to the disk, where the file system can.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Give a file or a folder the permissions that any new one gets, whatever it was made by: a
/// temporary file, which is private to its owner, or a copy. A folder keeps the bit that makes what
/// is put into it belong to its group.
#[cfg(unix)]
fn as_usual(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    const SET_GROUP: u32 = 0o2000;
    let found = fs::metadata(path).map_err(Error::io(path, "read"))?;
    let mode = match found.is_dir() {
        true => (0o777 & !umask()) | (found.permissions().mode() & SET_GROUP),
        false => 0o666 & !umask(),
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(Error::io(path, "set permissions of"))
}

#[cfg(not(unix))]
fn as_usual(_: &Path) -> Result<()> {
    Ok(())
}

/// What the process withholds from new files. Asking the system for it would change it for a
/// moment, for all threads.
#[cfg(unix)]
fn umask() -> u32 {
    use std::sync::OnceLock;
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let value = status.lines().find_map(|l| l.strip_prefix("Umask:"));
        u32::from_str_radix(value.unwrap_or("0022").trim(), 8).unwrap_or(0o022)
    })
}

#[cfg(test)]
mod tests;
