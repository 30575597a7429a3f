//! The FLUE CLS corpus: the Parquet conversion of `GETALP/flue` at the hub, else the Webis archive it was made from.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::client::{Client, Follow, network};
use super::lock;
use super::repository::{Repository, make_parent};
use super::settings::Settings;
use super::transfer::{Remote, transfer};
use crate::error::{Error, Result, interrupt};

const DATASET: &str = "GETALP/flue";
const CONFIG: &str = "CLS";
/// The branch that the hub writes its Parquet conversions to.
const CONVERSION: &str = "refs/convert/parquet";
/// The record of the Webis CLS-10 corpus (Prettenhofer and Stein, 2010) at Zenodo.
const RECORD: &str = "3251672";
const ARCHIVE: &str = "cls-acl10-unprocessed.tar.gz";
/// The length of the archive in bytes, as the record gives it.
const ARCHIVE_SIZE: u64 = 314_687_066;
/// No French file of the archive is near this long: what is longer is no corpus.
const LARGEST_REVIEW_FILE: u64 = 1 << 30;
/// The beginning of the name under which the archive is unpacked.
const UNPACKING: &str = ".zenodo.";

/// Where the reviews of FLUE CLS lie on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlueCls {
    /// Parquet files with their split (`train`, `test`), in order.
    Parquet(Vec<(String, PathBuf)>),
    /// A folder that holds `cls-acl10-unprocessed/fr/{books,dvd,music}/{train,test}.review`.
    Webis(PathBuf),
}

/// The Parquet files of one configuration of a dataset: from the cache when they are all there, else downloaded.
pub(super) fn parquet(
    settings: &Settings,
    client: Option<&Client>,
    dataset: &str,
    config: &str,
) -> Result<Option<Vec<(String, PathBuf)>>> {
    let repository = Repository::dataset(settings, dataset, CONVERSION);
    if let Some(found) = cached_parquet(&repository, config)? {
        return Ok(Some(found));
    }
    let Some(client) = client else {
        return Ok(None);
    };
    let mut files: Vec<String> = repository
        .list_folder(client, config)?
        .into_iter()
        .filter(|f| f.ends_with(".parquet"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::with_capacity(files.len());
    for file in &files {
        let path = repository.fetch(client, file)?;
        found.push((split_of(file), path));
    }
    // The list is written last: the next run knows from it that nothing is missing.
    let list = list_of(&repository, config);
    make_parent(&list)?;
    fs::write(&list, files.join("\n")).map_err(Error::io(&list, "write"))?;
    Ok(Some(found))
}

/// The files in the cache, if a list from an earlier run or, without one, the usual names say that all are there.
fn cached_parquet(
    repository: &Repository<'_>,
    config: &str,
) -> Result<Option<Vec<(String, PathBuf)>>> {
    let Some(snapshot) = repository.snapshot() else {
        return Ok(None);
    };
    let names: Vec<String> = match fs::read_to_string(list_of(repository, config)) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(_) => ["train", "test"]
            .iter()
            .map(|split| format!("{config}/{split}/0000.parquet"))
            .collect(),
    };
    let found: Vec<_> = names
        .iter()
        .map(|name| (split_of(name), snapshot.join(name)))
        .collect();
    let whole = !found.is_empty() && found.iter().all(|(_, path)| path.is_file());
    Ok(whole.then_some(found))
}

fn list_of(repository: &Repository<'_>, config: &str) -> PathBuf {
    repository.folder().join(format!(".flue-study-{config}"))
}

/// `CLS/train/0000.parquet` is of `train`; so is `CLS/flue-train.parquet`.
fn split_of(file: &str) -> String {
    let parts: Vec<&str> = file.split('/').collect();
    if parts.len() > 2 {
        let folder = parts[parts.len() - 2];
        return folder.strip_prefix("partial-").unwrap_or(folder).to_owned();
    }
    let name = parts.last().copied().unwrap_or_default();
    ["train", "test", "validation"]
        .into_iter()
        .find(|split| name.contains(split))
        .unwrap_or("train")
        .to_owned()
}

/// The French part of the Webis archive: unpacked by an earlier run, else downloaded and unpacked.
pub(super) fn webis(
    settings: &Settings,
    client: Option<&Client>,
    zenodo: &str,
) -> Result<Option<PathBuf>> {
    let folder = settings.own_cache.join(format!("zenodo-{RECORD}"));
    if folder.join("cls-acl10-unprocessed").is_dir() {
        return Ok(Some(folder));
    }
    let Some(client) = client else {
        return Ok(None);
    };
    let url = format!("{zenodo}/records/{RECORD}/files/{ARCHIVE}?download=1");
    let archive = settings
        .own_cache
        .join(format!("zenodo-{RECORD}-{ARCHIVE}"));
    make_parent(&archive)?;
    let _lock = lock::wait_for(&archive.with_extension("lock"))?;
    lock::clear_leftovers(&settings.own_cache, UNPACKING);
    if folder.join("cls-acl10-unprocessed").is_dir() {
        return Ok(Some(folder));
    }
    if !archive.is_file() {
        let inspect = || -> Result<Remote> {
            let answer = client.head(&url, Follow::Everywhere)?;
            let described = Remote::from_headers(&url, answer.headers());
            if described.size.is_some_and(|size| size != ARCHIVE_SIZE) {
                tracing::warn!(
                    "{ARCHIVE} at Zenodo is not as long as it was ({ARCHIVE_SIZE} bytes)"
                );
            }
            // A changed ETag is no digest here: only the length is checked, and the archive's own checksum.
            Ok(Remote {
                sha256: None,
                ..described
            })
        };
        transfer(client, &inspect()?, &archive, ARCHIVE, &inspect)?;
    }
    unpack(&archive, &folder).inspect_err(|_| {
        let _ = fs::remove_file(&archive);
    })?;
    let _ = fs::remove_file(&archive);
    Ok(Some(folder))
}

/// Unpack the French reviews of `archive` into `folder`, which appears when all six files are there.
fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let file = File::open(archive).map_err(Error::io(archive, "read"))?;
    let parent = folder.parent().unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(UNPACKING)
        .tempdir_in(parent)
        .map_err(Error::io(parent, "create a folder in"))?;
    let broken = |e: std::io::Error| {
        Error::malformed(
            archive,
            "",
            e,
            "a gzip'ed tar archive; it is removed, run again",
        )
    };
    let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(file));
    let mut found = 0;
    for entry in tar.entries().map_err(broken)? {
        interrupt::check()?;
        let mut entry = entry.map_err(broken)?;
        let Some(name) = french(&entry.path().map_err(broken)?) else {
            continue;
        };
        if !entry.header().entry_type().is_file() || entry.size() > LARGEST_REVIEW_FILE {
            continue;
        }
        let path = temporary.path().join(&name);
        make_parent(&path)?;
        let mut out = File::create(&path).map_err(Error::io(&path, "create"))?;
        let mut buffer = vec![0u8; 1 << 17];
        loop {
            let n = entry.read(&mut buffer).map_err(broken)?;
            if n == 0 {
                break;
            }
            out.write_all(&buffer[..n])
                .map_err(Error::io(&path, "write"))?;
        }
        found += 1;
    }
    if found < 6 {
        return Err(Error::malformed(
            archive,
            "",
            format!("{found} French review files"),
            "train.review and test.review for books, dvd and music",
        ));
    }
    let full = temporary.keep();
    fs::rename(&full, folder).map_err(Error::io(folder, "rename"))
}

/// `cls-acl10-unprocessed/fr/CATEGORY/SPLIT.review` for a French review file of the archive, wherever it lies in it.
fn french(path: &Path) -> Option<PathBuf> {
    let parts: Vec<&str> = path.iter().filter_map(|p| p.to_str()).collect();
    let [.., language, category, file] = parts.as_slice() else {
        return None;
    };
    let wanted = *language == "fr"
        && ["books", "dvd", "music"].contains(category)
        && ["train.review", "test.review"].contains(file);
    wanted.then(|| {
        PathBuf::from("cls-acl10-unprocessed/fr")
            .join(category)
            .join(file)
    })
}

/// FLUE CLS from the cache, the hub, or Zenodo, in this order.
pub(super) fn find(settings: &Settings, client: Option<&Client>, zenodo: &str) -> Result<FlueCls> {
    let at_hub = parquet(settings, client, DATASET, CONFIG);
    if let Ok(Some(files)) = at_hub {
        return Ok(FlueCls::Parquet(files));
    }
    if let Err(e @ (Error::Interrupted { .. } | Error::Io { .. })) = at_hub {
        return Err(e);
    }
    let hub_says = match at_hub {
        Err(e) => e.to_string(),
        Ok(_) => format!("{DATASET} has no Parquet conversion of {CONFIG}"),
    };
    if client.is_some() {
        tracing::warn!("{hub_says}; taking the Webis archive from Zenodo instead");
    }
    match webis(settings, client, zenodo) {
        Ok(Some(folder)) => Ok(FlueCls::Webis(folder)),
        Ok(None) => Err(Error::NotFound {
            what: "FLUE CLS".into(),
            remedy: format!(
                "it is not in the cache {} nor in {}, and the network was not asked because of {}. Run once with a \
                 connection, or pass --data with a Webis CLS-10 tree, its .tar.gz, or `sample`",
                settings.cache.display(),
                settings.own_cache.display(),
                settings.offline_because
            ),
        }),
        Err(Error::Network {
            url,
            problem,
            remedy,
        }) => Err(network(
            &url,
            format!("{problem} (and before: {hub_says})"),
            format!("{remedy}; or pass --data with a local copy"),
        )),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_read_from_the_path() {
        assert_eq!(split_of("CLS/test/0000.parquet"), "test");
        assert_eq!(split_of("CLS/partial-train/0001.parquet"), "train");
        assert_eq!(split_of("CLS/flue-test.parquet"), "test");
    }

    #[test]
    fn only_french_review_files_leave_the_archive() {
        let path = |p: &str| french(Path::new(p));
        assert_eq!(
            path("cls-acl10-unprocessed/fr/dvd/test.review"),
            Some("cls-acl10-unprocessed/fr/dvd/test.review".into())
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
}
