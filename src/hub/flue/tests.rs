//! Parquet files in a cache that another program filled, and archives that nobody should trust.

use std::sync::Arc;

use super::*;
use crate::hub::settings::{HubOptions, Settings};

#[test]
fn splits_are_read_from_the_path() {
    assert_eq!(split_of("CLS/test/0000.parquet"), "test");
    assert_eq!(split_of("CLS/partial-train/0001.parquet"), "train");
    assert_eq!(split_of("CLS/flue-test.parquet"), "test");
}

/// Another program's cache has no list: of a train split in two files the first was once taken for
/// all.
#[test]
fn the_usual_names_are_not_trusted_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let options = HubOptions {
        offline: true,
        cache_dir: Some(folder.path().into()),
        ..Default::default()
    };
    let settings = Settings::resolve(&options, &|_| None).unwrap();
    let client = Client::new(settings, Arc::new(|_: &str| None), None);
    let repository = Repository::dataset(&client, "a/b", CONVERSION);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let write = |path: PathBuf, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(repository.folder().join("refs").join(CONVERSION), commit);
    let file = |name: &str| repository.snapshot(commit).join("default").join(name);
    write(file("train/0000.parquet"), "");
    assert_eq!(cached_parquet(&repository, "default").unwrap(), None);
    write(file("test/0000.parquet"), "");
    let found = cached_parquet(&repository, "default").unwrap().unwrap();
    assert_eq!(found.len(), 2);
    write(file("train/0001.parquet"), "");
    assert_eq!(cached_parquet(&repository, "default").unwrap(), None);
    let names = ["train/0000", "train/0001", "test/0000"];
    let names = names.map(|n| format!("default/{n}.parquet")).join("\n");
    write(
        list_of(&repository, "default"),
        &format!("{commit}\n{names}"),
    );
    let found = cached_parquet(&repository, "default").unwrap().unwrap();
    assert_eq!(found.len(), 3);
}

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
        .flat_map(|category| SPLITS.map(|split| review_file(folder.path(), category, split)))
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
    let names = CATEGORIES.map(|c| SPLITS.map(|s| review_file(Path::new("fr"), c, s)));
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
