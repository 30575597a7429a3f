//! Data sets: the Parquet files that the hub keeps of each, and FLUE CLS, which is also to be had
//! as the archive it was made from, Webis CLS-10 (Prettenhofer and Stein, 2010) at Zenodo.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::answer::network;
use super::client::Client;
use super::repository::{Repository, replace};
use super::transfer::{Remote, transfer};
use crate::error::{Error, Result, interrupt};
use crate::files::{
    make_folder_of, open_file, presence, read_text, remove_leftovers, wait_for_lock,
};

const DATASET: &str = "GETALP/flue";
const CONFIG: &str = "CLS";
/// The branch that the hub writes its Parquet conversions to.
const CONVERSION: &str = "refs/convert/parquet";

/// The categories in the order in which FLUE reads them.
pub(crate) const CATEGORIES: [&str; 3] = ["books", "dvd", "music"];
/// The splits that FLUE keeps; the tree also has `unlabeled.review`.
pub(crate) const SPLITS: [&str; 2] = ["train", "test"];
/// The name of the root of the Webis tree.
pub(crate) const ROOT: &str = "cls-acl10-unprocessed";

/// The record of the corpus at Zenodo.
const RECORD: &str = "3251672";
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

/// Where the reviews of FLUE CLS lie on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlueCls {
    /// Parquet files with their split (`train`, `test`), in order.
    Parquet(Vec<(String, PathBuf)>),
    /// A folder that holds `cls-acl10-unprocessed/fr/{books,dvd,music}/{train,test}.review`.
    Webis(PathBuf),
}

/// FLUE CLS from the cache, the hub, or Zenodo, in this order.
///
/// # Errors
/// Those of [`super::Hub::flue_cls`].
pub(super) fn find(client: &Client) -> Result<FlueCls> {
    let settings = client.settings();
    let hub_says = match parquet(client, DATASET, CONFIG) {
        Ok(Some(files)) => return Ok(FlueCls::Parquet(files)),
        Ok(None) => format!("{DATASET} has no Parquet conversion of {CONFIG}"),
        Err(e @ (Error::Interrupted { .. } | Error::Io { .. } | Error::Usage(_))) => return Err(e),
        Err(e) => e.to_string(),
    };
    if !settings.offline {
        tracing::warn!("{hub_says}; taking the Webis archive from Zenodo instead");
    }
    match webis(client) {
        Ok(Some(folder)) => Ok(FlueCls::Webis(folder)),
        Ok(None) => Err(Error::NotFound {
            what: "FLUE CLS".into(),
            remedy: format!(
                "it is not in the cache {} nor in {}, and the network was not asked because of \
                 {}. Run once with a connection, or pass --data with a Webis CLS-10 tree, its \
                 .tar.gz, or `sample`",
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

/// The Parquet files of one configuration of a dataset with their splits: from the cache when they
/// are all there, else downloaded. `None` when neither has them.
///
/// # Errors
/// Those of [`super::Hub::dataset_parquet`].
pub(super) fn parquet(
    client: &Client,
    dataset: &str,
    config: &str,
) -> Result<Option<Vec<(String, PathBuf)>>> {
    let repository = Repository::dataset(client, dataset, CONVERSION);
    if let Some(found) = cached_parquet(&repository, config)? {
        return Ok(Some(found));
    }
    if client.settings().offline {
        return Ok(None);
    }
    let commit = repository.list(None)?.sha;
    let mut files = repository.list_folder(&commit, config, ".parquet")?;
    files.sort();
    if files.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::with_capacity(files.len());
    for file in &files {
        found.push((split_of(file), repository.fetch(&commit, file)?));
    }
    // The next run knows from the list that nothing is missing.
    let list = list_of(&repository, config);
    replace(&list, &format!("{commit}\n{}", files.join("\n")))?;
    repository.note(&commit)?;
    Ok(Some(found))
}

/// The files in the cache, if a list of the same commit from an earlier run or, without one, the
/// usual names say that all are there. A folder that holds others too, which another program left,
/// does not count: a split may have any number of files.
fn cached_parquet(
    repository: &Repository<'_>,
    config: &str,
) -> Result<Option<Vec<(String, PathBuf)>>> {
    let Some(commit) = repository.commit() else {
        return Ok(None);
    };
    let snapshot = repository.snapshot(&commit);
    let list = list_of(repository, config);
    let list = match presence::is_file(&list)? {
        true => read_text(&list)?,
        false => String::new(),
    };
    let names: Vec<String> = match list.split_once('\n') {
        Some((of, names)) if of == commit => names.lines().map(str::to_owned).collect(),
        _ => {
            let usual = ["train", "test"].map(|split| format!("{config}/{split}/0000.parquet"));
            for split in presence::names(&snapshot.join(config))? {
                let folder = snapshot.join(config).join(&split);
                if !presence::is_dir(&folder)? {
                    return Ok(None);
                }
                for name in presence::names(&folder)? {
                    if !usual.contains(&format!("{config}/{split}/{name}")) {
                        return Ok(None);
                    }
                }
            }
            usual.to_vec()
        }
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

/// The file of a category and a split in the folder `fr`.
pub(crate) fn review_file(fr: &Path, category: &str, split: &str) -> PathBuf {
    fr.join(category).join(format!("{split}.review"))
}

/// The folder around the French part of the Webis tree: unpacked by an earlier run, else downloaded
/// and unpacked; `None` when it is not there and the network may not be asked.
fn webis(client: &Client) -> Result<Option<PathBuf>> {
    let settings = client.settings();
    let own = |name: String| settings.own_cache.join(name);
    let folder = own(format!("zenodo-{RECORD}"));
    if folder.join(ROOT).is_dir() {
        return Ok(Some(folder));
    }
    if settings.offline {
        return Ok(None);
    }
    let archive = own(format!("zenodo-{RECORD}-{ARCHIVE}"));
    make_folder_of(&archive)?;
    let _lock = wait_for_lock(&archive.with_extension("lock"))?;
    remove_leftovers(&settings.own_cache, UNPACKING)?;
    if folder.join(ROOT).is_dir() {
        return Ok(Some(folder));
    }
    if !archive.is_file() {
        download(client, &archive)?;
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
fn download(client: &Client, archive: &Path) -> Result<()> {
    let zenodo = &client.settings().zenodo;
    let url = format!("{zenodo}/records/{RECORD}/files/{ARCHIVE}?download=1");
    let describe = || -> Result<Remote> {
        let mut described = Remote::elsewhere(client, &url)?;
        if *described.size.get_or_insert(ARCHIVE_SIZE) != ARCHIVE_SIZE {
            tracing::warn!("{ARCHIVE} at Zenodo is not as long as it was ({ARCHIVE_SIZE} bytes)");
        }
        Ok(described)
    };
    transfer(client, &describe()?, archive, ARCHIVE, &describe)
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

/// Take the six French labelled files of an archive of Webis CLS-10, compressed unless it is called
/// `.tar`, to the folder `fr`, wherever they lie in it. Nothing else is taken; of two members with
/// one name the last one stays.
///
/// # Errors
/// [`Error::Malformed`] when the archive is damaged, expands beyond reason, holds a link in a
/// file's place or lacks one of the files; [`Error::Io`]; [`Error::Interrupted`].
pub(crate) fn unpack(archive: &Path, fr: &Path) -> Result<()> {
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
        .find(|(category, split)| !review_file(fr, category, split).is_file())
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
    // Raw: a header that prolongs the next one's name is a member that nobody wants, not something
    // to hold in memory.
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
        io::copy(&mut rest, &mut io::sink()).map_err(damaged)?;
    }
    if rest.limit() == 0 {
        return Err(Error::malformed(archive, "", "more than 8 GiB", SOUND));
    }
    taken
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
        .flat_map(|category| SPLITS.map(|split| review_file(Path::new(""), category, split)))
        .find(|file| member.ends_with(Path::new("fr").join(file)))
}

/// Where a file came from, by the parts of its path from the record's folder on,
/// `zenodo-RECORD/cls-acl10-unprocessed/FILE`: `zenodo:RECORD/cls-acl10-unprocessed/FILE`.
pub(super) fn of_record(parts: &[&str]) -> Option<String> {
    let [folder, ROOT, file @ ..] = parts else {
        return None;
    };
    let record = folder.strip_prefix("zenodo-").filter(|r| *r == RECORD)?;
    (!file.is_empty()).then(|| format!("zenodo:{record}/{ROOT}/{}", file.join("/")))
}

#[cfg(test)]
mod tests;
