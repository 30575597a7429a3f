//! Where a file of a cache came from, by its place there: a name that is the same on every machine.

use std::path::{Component, Path};

use super::webis;

/// The source of a file that lies in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `hf://OWNER/NAME/FILE`, `hf://datasets/OWNER/NAME/FILE` or `zenodo:RECORD/FILE`.
    pub name: String,
    /// The repository and its commit, where it is one of the hub.
    pub commit: Option<(String, String)>,
}

/// The origin of a file by its path: in the hub's cache `.../models--OWNER--NAME/snapshots/COMMIT/FILE`, in our own
/// `.../zenodo-RECORD/cls-acl10-unprocessed/FILE`; none for any other.
pub fn origin(file: &Path) -> Option<Origin> {
    let mut parts = Vec::new();
    for part in file.components() {
        if let Component::Normal(name) = part {
            parts.push(name.to_str()?);
        }
    }
    // The last place that looks like one of a cache: what is above it may be anything.
    (0..parts.len())
        .rev()
        .find_map(|at| snapshot(&parts[at..]).or_else(|| record(&parts[at..])))
}

/// `models--OWNER--NAME/snapshots/COMMIT/FILE`.
fn snapshot(parts: &[&str]) -> Option<Origin> {
    let [folder, "snapshots", commit, file @ ..] = parts else {
        return None;
    };
    let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    let (kind, repository) = match folder.strip_prefix("models--") {
        Some(name) => ("", name),
        None => ("datasets/", folder.strip_prefix("datasets--")?),
    };
    if !is_commit || file.is_empty() {
        return None;
    }
    let repository = format!("{kind}{}", repository.replace("--", "/"));
    Some(Origin {
        name: format!("hf://{repository}/{}", file.join("/")),
        commit: Some((repository, (*commit).to_owned())),
    })
}

/// `zenodo-RECORD/cls-acl10-unprocessed/FILE`.
fn record(parts: &[&str]) -> Option<Origin> {
    let [folder, root, file @ ..] = parts else {
        return None;
    };
    let record = folder.strip_prefix("zenodo-")?;
    let known = record == webis::RECORD && *root == webis::ROOT && !file.is_empty();
    known.then(|| Origin {
        name: format!("zenodo:{record}/{root}/{}", file.join("/")),
        commit: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_cache_are_named_by_their_source_and_no_others() {
        let commit = "1".repeat(40);
        let of = |path: &str| origin(Path::new(&path.replace("COMMIT", &commit)));
        let hub = |path: &str, name: &str, repository: &str| {
            let found = of(path).unwrap();
            assert_eq!(found.name, name);
            assert_eq!(found.commit, Some((repository.into(), commit.clone())));
        };
        hub(
            "/c/hub/models--a--b/snapshots/COMMIT/config.json",
            "hf://a/b/config.json",
            "a/b",
        );
        hub(
            "c/models--camembert-base/snapshots/COMMIT/config.json",
            "hf://camembert-base/config.json",
            "camembert-base",
        );
        hub(
            "/c/datasets--GETALP--flue/snapshots/COMMIT/CLS/train/0000.parquet",
            "hf://datasets/GETALP/flue/CLS/train/0000.parquet",
            "datasets/GETALP/flue",
        );
        let review = "/c/flue-study/zenodo-3251672/cls-acl10-unprocessed/fr/dvd/test.review";
        let found = of(review).unwrap();
        assert_eq!(
            found.name,
            "zenodo:3251672/cls-acl10-unprocessed/fr/dvd/test.review"
        );
        assert_eq!(found.commit, None);
        for other in [
            "camembert-base/config.json",
            "/c/models--camembert-base/snapshots/main/config.json",
            "/c/models--camembert-base/snapshots/COMMIT",
            "/c/camembert-base/snapshots/COMMIT/config.json",
            "/c/zenodo-1/cls-acl10-unprocessed/fr/dvd/test.review",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
