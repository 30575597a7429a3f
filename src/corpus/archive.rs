//! The archive of Webis CLS-10 (`cls-acl10-unprocessed.tar.gz`): read once, only the French files taken out.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tempfile::TempDir;

use super::meter::Meter;
use super::tree::{self, CATEGORIES, SPLITS};
use crate::error::{Error, Result, interrupt};

/// The French files have some 5 MB each, the whole archive expands to about 1 GB.
const LARGEST_MEMBER: u64 = 1 << 28;
const MOST_BYTES: u64 = 1 << 33;

/// Whether `path` has the name of a tar archive, compressed or not.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".tar.gz", ".tgz", ".tar"]
        .iter()
        .any(|e| name.ends_with(e))
}

/// Take the French labelled files of the archive to a temporary folder, which lasts as long as the value returned.
///
/// # Errors
/// [`Error::Malformed`] when the archive is damaged or lacks one of the files; [`Error::Io`].
pub(super) fn extract(path: &Path) -> Result<TempDir> {
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    let reader = BufReader::with_capacity(1 << 18, file);
    let folder = tempfile::tempdir().map_err(Error::io(
        std::env::temp_dir(),
        "create a temporary folder in",
    ))?;
    if path.extension().is_some_and(|e| e == "tar") {
        unpack(path, reader, folder.path())?;
    } else {
        unpack(path, MultiGzDecoder::new(reader), folder.path())?;
    }
    for category in CATEGORIES {
        for split in SPLITS {
            if !tree::file(folder.path(), category, split).is_file() {
                return Err(Error::malformed(
                    path,
                    "",
                    format!("no fr/{category}/{split}.review"),
                    "the archive cls-acl10-unprocessed.tar.gz, whole",
                ));
            }
        }
    }
    Ok(folder)
}

fn unpack(path: &Path, reader: impl Read, folder: &Path) -> Result<()> {
    let damaged =
        |e: io::Error| Error::malformed(path, "", e, "a sound tar archive: download it again");
    let mut archive = tar::Archive::new(Meter::new(
        reader,
        MOST_BYTES,
        "it expands to more than 8 GiB",
    ));
    // Raw: a header that prolongs the next one's name is a member that nobody wants, not something to hold in memory.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        interrupt::check()?;
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.into_owned();
        let Some(target) = wanted(&name) else {
            continue;
        };
        let refused =
            |found: String, expected: &str| Error::malformed(path, name.display(), found, expected);
        if !entry.header().entry_type().is_file() {
            let found = format!("a member of type {:?}", entry.header().entry_type());
            return Err(refused(found, "a plain file, no link"));
        }
        if entry.size() > LARGEST_MEMBER {
            let found = format!("{} bytes", entry.size());
            return Err(refused(found, "a review file of at most 256 MiB"));
        }
        let target = folder.join(target);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::io(parent, "create the folder"))?;
        }
        let mut file = File::create(&target).map_err(Error::io(&target, "create"))?;
        io::copy(&mut entry, &mut file)
            .map_err(|e| refused(e.to_string(), "a sound tar archive: download it again"))?;
    }
    Ok(())
}

/// `books/train.review` for a member `.../fr/books/train.review`.
fn wanted(member: &Path) -> Option<PathBuf> {
    CATEGORIES
        .iter()
        .flat_map(|category| SPLITS.map(|split| tree::file(Path::new(""), category, split)))
        .find(|file| member.ends_with(Path::new("fr").join(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_too_large_is_refused() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(LARGEST_MEMBER + 1);
        header.set_path("fr/dvd/train.review").unwrap();
        header.set_cksum();
        archive.get_mut().extend_from_slice(header.as_bytes());
        let bytes = archive.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let error = unpack(Path::new("a.tar"), &bytes[..], folder.path()).unwrap_err();
        assert!(error.to_string().contains("at most 256 MiB"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
