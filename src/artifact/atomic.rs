//! Files and folders that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Result};

/// The folder that holds `path`, made if it is absent.
fn parent_of(path: &Path) -> Result<PathBuf> {
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent).map_err(Error::io(&parent, "create the folder"))?;
    Ok(parent)
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && fs::symlink_metadata(path).is_ok() {
        return Err(Error::OutputExists(path.to_path_buf()));
    }
    Ok(())
}

/// `.NAME.` in front of the random part of a temporary name, so that a left-over tells whose it was.
fn prefix(path: &Path) -> String {
    format!(
        ".{}.",
        path.file_name()
            .map(|n| n.to_string_lossy())
            .unwrap_or_default()
    )
}

/// A buffered file that takes its final name only when [`commit`](AtomicFile::commit) is called.
/// Dropped before that, it leaves nothing.
pub struct AtomicFile {
    target: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

impl AtomicFile {
    /// Start writing what will be `path`. Missing parent folders are made.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when `path` exists and `overwrite` is false; [`Error::Io`] when its folder is not writable.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let target = path.as_ref().to_path_buf();
        refuse_existing(&target, overwrite)?;
        let parent = parent_of(&target)?;
        let file = tempfile::Builder::new()
            .prefix(&prefix(&target))
            .suffix(".tmp")
            .tempfile_in(&parent)
            .map_err(Error::io(&target, "create"))?;
        Ok(Self {
            target,
            writer: BufWriter::with_capacity(1 << 18, file),
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
        let Self { target, writer } = self;
        let file = writer.into_inner().map_err(|e| Error::Io {
            path: target.clone(),
            action: "write",
            source: e.into_error(),
        })?;
        file.as_file()
            .sync_all()
            .map_err(Error::io(&target, "write"))?;
        set_default_mode(file.path(), 0o666)?;
        file.persist(&target).map_err(|e| Error::Io {
            path: target,
            action: "rename",
            source: e.error,
        })?;
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.writer.write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, pos: SeekFrom) -> std::io::Result<u64> {
        self.writer.seek(pos)
    }
}

/// A folder that is filled under a temporary name beside its final one and renamed when complete.
/// Dropped before that, it leaves nothing.
pub struct AtomicDir {
    target: PathBuf,
    temporary: TempDir,
}

impl AtomicDir {
    /// Start filling what will be the folder `path`. Missing parent folders are made.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when `path` exists and `overwrite` is false; [`Error::Io`] when its folder is not writable.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let target = path.as_ref().to_path_buf();
        refuse_existing(&target, overwrite)?;
        let parent = parent_of(&target)?;
        let temporary = tempfile::Builder::new()
            .prefix(&prefix(&target))
            .suffix(".tmp")
            .tempdir_in(&parent)
            .map_err(Error::io(&target, "create the folder"))?;
        Ok(Self { target, temporary })
    }

    /// The temporary folder: write here.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Where the folder will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Give the folder its final name. What stood there is moved aside first and removed last.
    ///
    /// # Errors
    /// [`Error::Io`]; the previous folder, if any, is then back in its place.
    pub fn commit(self) -> Result<()> {
        let Self { target, temporary } = self;
        set_default_mode(temporary.path(), 0o777)?;
        for entry in fs::read_dir(temporary.path())
            .map_err(Error::io(&target, "read"))?
            .flatten()
        {
            if entry.path().is_file() {
                File::open(entry.path())
                    .and_then(|f| f.sync_all())
                    .map_err(Error::io(entry.path(), "write"))?;
            }
        }
        if fs::symlink_metadata(&target).is_err() {
            let full = temporary.keep();
            return fs::rename(&full, &target).map_err(Error::io(&target, "rename"));
        }
        let parent = parent_of(&target)?;
        let aside = tempfile::Builder::new()
            .prefix(&prefix(&target))
            .suffix(".old")
            .tempdir_in(&parent)
            .map_err(Error::io(&target, "move aside"))?;
        let old = aside.path().join("old");
        fs::rename(&target, &old).map_err(Error::io(&target, "move aside"))?;
        if let Err(source) = fs::rename(temporary.path(), &target) {
            let _ = fs::rename(&old, &target);
            return Err(Error::Io {
                path: target,
                action: "rename",
                source,
            });
        }
        let _ = temporary.keep();
        Ok(())
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
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_on_commit_and_is_not_replaced_unasked() {
        let d = tempfile::tempdir().unwrap();
        let path = d.path().join("a/b.txt");
        let mut f = AtomicFile::create(&path, false).unwrap();
        f.write_all(b"one").unwrap();
        assert!(!path.exists());
        f.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(matches!(
            AtomicFile::create(&path, false),
            Err(Error::OutputExists(_))
        ));
        let mut f = AtomicFile::create(&path, true).unwrap();
        f.write_all(b"two").unwrap();
        drop(f);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_appears_only_on_commit_and_replaces_the_old_one_whole() {
        let d = tempfile::tempdir().unwrap();
        let path = d.path().join("out");
        for (text, stale) in [("one", false), ("two", true)] {
            let dir = AtomicDir::create(&path, true).unwrap();
            fs::write(dir.path().join(text), text).unwrap();
            assert_eq!(path.exists(), stale);
            dir.commit().unwrap();
        }
        assert!(path.join("two").exists() && !path.join("one").exists());
        drop(AtomicDir::create(&path, true).unwrap());
        assert_eq!(fs::read_dir(d.path()).unwrap().count(), 1);
    }
}
