//! The Webis CLS-10 corpus (Prettenhofer and Stein, 2010): its archive fetched from Zenodo, and only the French files
//! taken out of it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::client::{Ask, Client};
use super::settings::Settings;
use super::transfer::{Remote, transfer};
use crate::error::{Error, Result, interrupt};
use crate::files::{make_folder_of, open_file, remove_leftovers, wait_for_lock};

/// The categories in the order in which FLUE reads them.
pub const CATEGORIES: [&str; 3] = ["books", "dvd", "music"];
/// The splits that FLUE keeps; the tree also has `unlabeled.review`.
pub const SPLITS: [&str; 2] = ["train", "test"];
/// The name of the tree's root.
pub const ROOT: &str = "cls-acl10-unprocessed";

/// The record of the corpus at Zenodo.
pub(super) const RECORD: &str = "3251672";
const ARCHIVE: &str = "cls-acl10-unprocessed.tar.gz";
/// The length of the archive in bytes, as the record gives it.
const ARCHIVE_SIZE: u64 = 314_687_066;
/// The beginning of the name under which the archive is unpacked.
const UNPACKING: &str = ".zenodo.";

/// The French files have some 5 MB each, the whole archive expands to about 1 GB.
const LARGEST_MEMBER: u64 = 1 << 28;
const MOST_BYTES: u64 = 1 << 33;
/// What helps against a damaged archive.
const SOUND: &str = "a sound tar archive: download it again";

/// The file of a category and a split in the folder `fr`.
pub fn file(fr: &Path, category: &str, split: &str) -> PathBuf {
    fr.join(category).join(format!("{split}.review"))
}

/// The folder around the French part of the tree: unpacked by an earlier run, else downloaded and unpacked; `None` when
/// it is not there and there is no client.
pub(super) fn find(
    settings: &Settings,
    connect: &dyn Fn() -> Result<Client>,
    zenodo: &str,
) -> Result<Option<PathBuf>> {
    let folder = settings.own_cache.join(format!("zenodo-{RECORD}"));
    if folder.join(ROOT).is_dir() {
        return Ok(Some(folder));
    }
    if settings.offline {
        return Ok(None);
    }
    let archive = settings
        .own_cache
        .join(format!("zenodo-{RECORD}-{ARCHIVE}"));
    make_folder_of(&archive)?;
    let _lock = wait_for_lock(&archive.with_extension("lock"))?;
    remove_leftovers(&settings.own_cache, UNPACKING)?;
    if folder.join(ROOT).is_dir() {
        return Ok(Some(folder));
    }
    if !archive.is_file() {
        download(&connect()?, zenodo, &archive)?;
    }
    unpack_to(&archive, &folder).inspect_err(|e| {
        if matches!(e, Error::Malformed { .. }) {
            tracing::warn!("{} is removed", archive.display());
            let _ = fs::remove_file(&archive);
        }
    })?;
    let _ = fs::remove_file(&archive);
    Ok(Some(folder))
}

/// Fetch the archive from the record.
fn download(client: &Client, zenodo: &str, archive: &Path) -> Result<()> {
    let url = format!("{zenodo}/records/{RECORD}/files/{ARCHIVE}?download=1");
    let inspect = || -> Result<Remote> {
        let answer = client.ask(Ask::Headers, &url)?;
        let described = Remote::from_headers(&url, answer.headers());
        if described.size.is_some_and(|size| size != ARCHIVE_SIZE) {
            tracing::warn!("{ARCHIVE} at Zenodo is not as long as it was ({ARCHIVE_SIZE} bytes)");
        }
        // An ETag is no digest here: only the length is checked, and the archive's own checksum.
        Ok(Remote {
            size: described.size.or(Some(ARCHIVE_SIZE)),
            sha256: None,
            ..described
        })
    };
    transfer(client, &inspect()?, archive, ARCHIVE, &inspect)
}

/// Unpack `archive` as the tree in `folder`, which appears when all six files are there.
fn unpack_to(archive: &Path, folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(UNPACKING)
        .tempdir_in(parent)
        .map_err(Error::io(parent, "create a folder in"))?;
    unpack(archive, &temporary.path().join(ROOT).join("fr"))?;
    let full = temporary.keep();
    fs::rename(&full, folder).map_err(Error::io(folder, "rename"))
}

/// Take the six French labelled files of an archive of Webis CLS-10, compressed unless it is called `.tar`, to the folder
/// `fr`, wherever they lie in it. Nothing else is taken; of two members with one name the last one stays.
///
/// # Errors
/// [`Error::Malformed`] when the archive is damaged, expands beyond reason, holds a link in a file's place or lacks one of
/// the files; [`Error::Io`]; [`Error::Interrupted`].
pub fn unpack(archive: &Path, fr: &Path) -> Result<()> {
    let opened = open_file(archive)?;
    let opened = BufReader::with_capacity(1 << 18, opened);
    if archive.extension().is_some_and(|e| e == "tar") {
        members(archive, opened, fr)?;
    } else {
        members(archive, MultiGzDecoder::new(opened), fr)?;
    }
    let files = CATEGORIES.map(|category| SPLITS.map(|split| (category, split)));
    match files
        .into_iter()
        .flatten()
        .find(|(category, split)| !file(fr, category, split).is_file())
    {
        None => Ok(()),
        Some((category, split)) => Err(Error::malformed(
            archive,
            "",
            format!("no fr/{category}/{split}.review"),
            format!("the archive {ARCHIVE}, whole"),
        )),
    }
}

/// The wanted members of a tar archive, which ends at [`MOST_BYTES`] at the latest.
fn members(archive: &Path, reader: impl Read, fr: &Path) -> Result<()> {
    let damaged = |e: io::Error| Error::malformed(archive, "", e, SOUND);
    let mut tar = tar::Archive::new(reader.take(MOST_BYTES));
    // Raw: a header that prolongs the next one's name is a member that nobody wants, not something to hold in memory.
    let taken = tar
        .entries()
        .map_err(damaged)?
        .raw(true)
        .try_for_each(|entry| {
            interrupt::check()?;
            let mut entry = entry.map_err(damaged)?;
            let name = entry.path().map_err(damaged)?.into_owned();
            let Some(target) = wanted(&name) else {
                return Ok(());
            };
            let refused = |found: String, expected: &str| {
                Err(Error::malformed(archive, name.display(), found, expected))
            };
            let (kind, size) = (entry.header().entry_type(), entry.size());
            match () {
                () if !kind.is_file() => refused(
                    format!("a member of type {kind:?}"),
                    "a plain file, no link",
                ),
                () if size > LARGEST_MEMBER => {
                    refused(format!("{size} bytes"), "a review file of at most 256 MiB")
                }
                () => copy(archive, &mut entry, &fr.join(target)),
            }
        });
    let mut rest = tar.into_inner();
    if taken.is_ok() {
        // The digest of what is compressed stands behind the end of the tar archive.
        drain(&mut rest).map_err(damaged)?;
    }
    if rest.limit() == 0 {
        return Err(Error::malformed(archive, "", "more than 8 GiB", SOUND));
    }
    taken
}

/// Read to the end.
fn drain(reader: &mut impl Read) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 17];
    while reader.read(&mut buffer)? > 0 {}
    Ok(())
}

/// The bytes of a member to a file.
fn copy(archive: &Path, member: &mut impl Read, target: &Path) -> Result<()> {
    make_folder_of(target)?;
    let mut out = File::create(target).map_err(Error::io(target, "create"))?;
    let mut buffer = vec![0; 1 << 17];
    loop {
        let n = member
            .read(&mut buffer)
            .map_err(|e| Error::malformed(archive, "", e, SOUND))?;
        if n == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..n])
            .map_err(Error::io(target, "write"))?;
    }
}

/// `books/train.review` for a member `.../fr/books/train.review`.
fn wanted(member: &Path) -> Option<PathBuf> {
    CATEGORIES
        .iter()
        .flat_map(|category| SPLITS.map(|split| file(Path::new(""), category, split)))
        .find(|file| member.ends_with(Path::new("fr").join(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar archive of these members: kind, name, content.
    fn archive(members: &[(tar::EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (kind, name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_path(name).unwrap();
            header.set_cksum();
            archive.append(&header, *content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// What becomes of an archive: the error, if any, and the files taken out.
    fn taken(archive: impl Read) -> (Option<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let error = members(Path::new("a.tar"), archive, folder.path()).err();
        let files = CATEGORIES
            .iter()
            .flat_map(|category| SPLITS.map(|split| file(folder.path(), category, split)))
            .filter_map(|path| fs::read_to_string(path).ok())
            .collect();
        (error.map(|e| e.to_string()), files)
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const NAME: &str = "fr/dvd/train.review";

    #[test]
    fn only_french_review_files_leave_the_archive() {
        let path = |p: &str| wanted(Path::new(p));
        assert_eq!(
            path("cls-acl10-unprocessed/fr/dvd/test.review"),
            Some("dvd/test.review".into())
        );
        for other in [
            "cls-acl10-unprocessed/de/dvd/test.review",
            "cls-acl10-unprocessed/fr/dvd/unlabeled.review",
            "fr/../../dvd/test.review",
            "test.review",
        ] {
            assert_eq!(path(other), None, "{other}");
        }
    }

    #[test]
    fn a_member_that_is_too_large_or_a_link_is_refused() {
        let mut header = tar::Header::new_gnu();
        header.set_size(LARGEST_MEMBER + 1);
        header.set_path(NAME).unwrap();
        header.set_cksum();
        let (error, files) = taken(header.as_bytes().as_slice());
        assert!(error.unwrap().contains("at most 256 MiB") && files.is_empty());
        for kind in [
            tar::EntryType::Symlink,
            tar::EntryType::Link,
            tar::EntryType::Directory,
        ] {
            let (error, files) = taken(archive(&[(kind, NAME, b"")]).as_slice());
            assert!(error.unwrap().contains("no link") && files.is_empty());
        }
    }

    #[test]
    fn a_changed_byte_of_a_compressed_archive_is_noticed() {
        use flate2::{Compression, write::GzEncoder};
        let d = tempfile::tempdir().unwrap();
        let names = CATEGORIES.map(|c| SPLITS.map(|s| file(Path::new("fr"), c, s)));
        let names = names.as_flattened().iter().map(|n| n.to_str().unwrap());
        let members: Vec<_> = names.map(|n| (FILE, n, b"some words".as_slice())).collect();
        // Stored, so that a byte can change without any other.
        let mut packed = GzEncoder::new(Vec::new(), Compression::none());
        packed.write_all(&archive(&members)).unwrap();
        let mut packed = packed.finish().unwrap();
        let path = d.path().join("a.tar.gz");
        fs::write(&path, &packed).unwrap();
        unpack(&path, &d.path().join("whole")).unwrap();
        let at = packed.windows(4).position(|part| part == b"some").unwrap();
        packed[at] = b'S';
        fs::write(&path, &packed).unwrap();
        let error = unpack(&path, &d.path().join("changed")).unwrap_err();
        assert!(error.to_string().contains("download it again"), "{error}");
    }

    #[test]
    fn of_two_members_with_one_name_the_last_stays() {
        let bytes = archive(&[(FILE, NAME, b"first"), (FILE, NAME, b"2nd")]);
        assert_eq!(taken(bytes.as_slice()), (None, vec!["2nd".into()]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("six.tar");
        fs::write(&path, archive(&[(FILE, NAME, b"".as_slice()); 6])).unwrap();
        let error = unpack(&path, &folder.path().join("fr")).unwrap_err();
        assert!(error.to_string().contains("no fr/books/train.review"));
    }

    /// The tar crate holds the content of such a member in memory, as the name of the next.
    #[test]
    fn a_name_of_any_length_is_a_member_that_nobody_wants() {
        let mut header = tar::Header::new_gnu();
        for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
            header.set_entry_type(kind);
            header.set_size(1 << 40);
            header.set_path("././@LongLink").unwrap();
            header.set_cksum();
            let endless = header.as_bytes().as_slice().chain(io::repeat(b'x'));
            let (error, files) = taken(endless.take(MOST_BYTES / 64));
            assert!(error.is_some() && files.is_empty());
            let name = [
                b"30 path=fr/books/train.review\n",
                [b'x'; 1 << 16].as_slice(),
            ]
            .concat();
            let prolonged = archive(&[(kind, "././@LongLink", &name), (FILE, NAME, b"text")]);
            assert_eq!(taken(prolonged.as_slice()), (None, vec!["text".into()]));
        }
    }
}
