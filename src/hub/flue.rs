//! The FLUE CLS corpus: the Parquet conversion of `GETALP/flue` at the hub, else the Webis archive it was made from.

use std::path::PathBuf;

use super::client::{Client, network};
use super::repository::{Repository, replace};
use super::settings::Settings;
use super::webis;
use crate::error::{Error, Result};
use crate::files::{presence, read_text};

const DATASET: &str = "GETALP/flue";
const CONFIG: &str = "CLS";
/// The branch that the hub writes its Parquet conversions to.
const CONVERSION: &str = "refs/convert/parquet";
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
    connect: &dyn Fn() -> Result<Client>,
    dataset: &str,
    config: &str,
) -> Result<Option<Vec<(String, PathBuf)>>> {
    let repository = Repository::dataset(settings, dataset, CONVERSION);
    if let Some(found) = cached_parquet(&repository, config)? {
        return Ok(Some(found));
    }
    if settings.offline {
        return Ok(None);
    }
    let client = &connect()?;
    let commit = repository.list(client, None)?.sha;
    let mut files = repository.list_folder(client, &commit, config, ".parquet")?;
    files.sort();
    if files.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::with_capacity(files.len());
    for file in &files {
        let path = repository.fetch(client, &commit, file)?;
        found.push((split_of(file), path));
    }
    // The next run knows from the list that nothing is missing.
    let list = list_of(&repository, config);
    replace(&list, &format!("{commit}\n{}", files.join("\n")))?;
    repository.note(&commit)?;
    Ok(Some(found))
}

/// The files in the cache, if a list of the same commit from an earlier run or, without one, the usual names say that all are there. A
/// folder that holds others too, which another program left, is not of these: a split may have any number of files.
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

/// FLUE CLS from the cache, the hub, or Zenodo, in this order.
pub(super) fn find(
    settings: &Settings,
    connect: &dyn Fn() -> Result<Client>,
    zenodo: &str,
) -> Result<FlueCls> {
    let at_hub = parquet(settings, connect, DATASET, CONFIG);
    if let Ok(Some(files)) = at_hub {
        return Ok(FlueCls::Parquet(files));
    }
    if let Err(e @ (Error::Interrupted { .. } | Error::Io { .. } | Error::Usage(_))) = at_hub {
        return Err(e);
    }
    let hub_says = match at_hub {
        Err(e) => e.to_string(),
        Ok(_) => format!("{DATASET} has no Parquet conversion of {CONFIG}"),
    };
    if !settings.offline {
        tracing::warn!("{hub_says}; taking the Webis archive from Zenodo instead");
    }
    match webis::find(settings, connect, zenodo) {
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

    /// Another program's cache has no list: of a train split in two files the first was once taken for all.
    #[test]
    fn the_usual_names_are_not_trusted_beside_others() {
        let folder = tempfile::tempdir().unwrap();
        let options = crate::hub::HubOptions {
            offline: true,
            cache_dir: Some(folder.path().into()),
            ..Default::default()
        };
        let settings = Settings::resolve(&options, &|_| None).unwrap();
        let repository = Repository::dataset(&settings, "a/b", CONVERSION);
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
}
