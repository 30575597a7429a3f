//! One repository at one revision: its place in the cache, the list of its files at the hub, and
//! the fetching of a file.
//!
//! The cache has the layout of `huggingface_hub`: `models--owner--name/{blobs,refs,snapshots}`,
//! where a snapshot holds relative links to blobs named by their ETag, and `.no_exist` empty files
//! for those that a commit does not have. Files that Python fetched are used here and the other way
//! round; both take the same lock while they download.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use hf_hub::api::RepoInfo;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::answer::{absolute, network, segment, segments};
use super::client::Client;
use super::settings::is_plain;
use super::transfer::{Remote, transfer};
use crate::error::{Error, Result};
use crate::files::{make_folder_of, read_text, wait_for_lock};

/// The pages of a listing that are read; a hub puts up to 1,000 entries on each.
const MOST_PAGES: usize = 1000;
/// The files that are taken from it.
const MOST_FILES: usize = 100_000;

/// Whether `name` can be a repository: `owner/name` or `name`, as the hub allows them. Other names
/// are folders.
pub(crate) fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        part.len() <= 96
            && part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && !part.ends_with(['.', '-'])
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    name.split('/').count() <= 2
        && name.split('/').all(is_part)
        && !name.contains("--")
        && !name.contains("..")
}

/// A model or a dataset of the hub at a branch, tag or commit.
pub(super) struct Repository<'a> {
    client: &'a Client,
    repo: Repo,
    /// What the API calls its kind, and its name there.
    kind: &'static str,
    name: &'a str,
}

impl<'a> Repository<'a> {
    /// The model `name` at the revision of the settings.
    pub(crate) fn model(client: &'a Client, name: &'a str) -> Self {
        let revision = client.settings().revision.clone();
        Self {
            client,
            repo: Repo::with_revision(name.into(), RepoType::Model, revision),
            kind: "models",
            name,
        }
    }

    /// The dataset `name` at `revision`.
    pub(crate) fn dataset(client: &'a Client, name: &'a str, revision: &str) -> Self {
        Self {
            client,
            repo: Repo::with_revision(name.into(), RepoType::Dataset, revision.into()),
            kind: "datasets",
            name,
        }
    }

    fn cached(&self) -> CacheRepo {
        Cache::new(self.client.settings().cache.clone()).repo(self.repo.clone())
    }

    /// The repository's folder in the cache.
    pub(crate) fn folder(&self) -> PathBuf {
        let cache = &self.client.settings().cache;
        cache.join(self.repo.folder_name())
    }

    /// The folder of a commit's files in the cache.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.cached().pointer_path(commit)
    }

    /// The commit that the revision stood for when it was last asked for, if it is in the cache.
    pub(crate) fn commit(&self) -> Option<String> {
        let revision = self.repo.revision();
        let noted = read_text(&self.folder().join("refs").join(revision)).ok();
        let commit = match &noted {
            Some(commit) => commit.trim(),
            None => revision,
        };
        (is_commit(commit) && self.snapshot(commit).is_dir()).then(|| commit.to_owned())
    }

    /// Note which commit the revision stands for: when all that is wanted of it is there, so that
    /// an update which fails leaves the old one in use.
    ///
    /// # Errors
    /// [`Error::Io`] when the cache cannot be written.
    pub(crate) fn note(&self, commit: &str) -> Result<()> {
        if self.repo.revision() == commit {
            return Ok(());
        }
        let noted = self.folder().join("refs").join(self.repo.revision());
        make_folder_of(&noted)?;
        replace(&noted, commit)
    }

    /// Note files that a commit does not have, as Python does, so that nobody need ask for them
    /// again.
    pub(crate) fn note_absent<'f>(&self, commit: &str, files: impl Iterator<Item = &'f str>) {
        for file in files {
            let path = self.absent(commit, file);
            // Without the note the next run asks again.
            let _ = make_folder_of(&path).map(|()| File::create(&path));
        }
    }

    /// Whether the commit is known not to have this file.
    pub(crate) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absent(commit, file).is_file()
    }

    fn absent(&self, commit: &str, file: &str) -> PathBuf {
        self.folder().join(".no_exist").join(commit).join(file)
    }

    /// The commit that the revision stands for, or `commit` itself, and the names of all files, as
    /// the hub lists them.
    ///
    /// # Errors
    /// [`Error::Network`] with what the hub refuses.
    pub(crate) fn list(&self, commit: Option<&str>) -> Result<RepoInfo> {
        let url = self.api("revision", commit.unwrap_or(self.repo.revision()));
        let (info, _): (RepoInfo, _) = self.client.json(&url)?;
        if !is_commit(&info.sha) || commit.is_some_and(|commit| commit != info.sha) {
            let problem = "the answer does not name the commit";
            return Err(network(&url, problem, "check HF_ENDPOINT"));
        }
        Ok(info)
    }

    /// The files under `folder` at a commit whose names end in `ending`.
    ///
    /// # Errors
    /// [`Error::Network`] with what the hub refuses.
    pub(crate) fn list_folder(
        &self,
        commit: &str,
        folder: &str,
        ending: &str,
    ) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Entry {
            path: String,
            r#type: String,
        }
        let tree = self.api("tree", commit);
        let first = format!("{tree}/{}?recursive=true", segments(folder));
        let (mut url, mut files) = (first.clone(), Vec::new());
        for _ in 0..MOST_PAGES {
            let (entries, next): (Vec<Entry>, _) = self.client.json(&url)?;
            let wanted = entries
                .into_iter()
                .filter(|e| e.r#type == "file" && e.path.ends_with(ending));
            files.extend(wanted.map(|e| e.path));
            match next {
                _ if files.len() > MOST_FILES => break,
                Some(next) => url = absolute(&url, &next),
                None => return Ok(files),
            }
        }
        Err(network(
            &first,
            format!("the listing does not end after {MOST_PAGES} pages or {MOST_FILES} files"),
            "check HF_ENDPOINT",
        ))
    }

    /// An address of the API.
    fn api(&self, verb: &str, revision: &str) -> String {
        let (endpoint, revision) = (&self.client.settings().endpoint, segment(revision));
        format!(
            "{endpoint}/api/{}/{}/{verb}/{revision}",
            self.kind, self.name
        )
    }

    /// Bring `file` of a commit into the cache, resumed and checked; the path of its link in the
    /// snapshot.
    ///
    /// # Errors
    /// [`Error::Network`] when the hub refuses or the content is wrong, [`Error::Io`] when the
    /// cache cannot be written.
    pub(crate) fn fetch(&self, commit: &str, file: &str) -> Result<PathBuf> {
        let (endpoint, name) = (&self.client.settings().endpoint, self.repo.url());
        let url = format!("{endpoint}/{name}/resolve/{commit}/{}", segments(file));
        if !is_plain(file) {
            return Err(network(
                &url,
                "the name of the file leaves its folder",
                "do not use this repository",
            ));
        }
        let link = self.snapshot(commit).join(file);
        // What a commit holds does not change.
        if link.is_file() {
            return Ok(link);
        }
        let describe = || Remote::at_hub(self.client, &url, commit);
        let remote = describe()?;
        let blob = self.cached().blob_path(&remote.etag);
        let _lock = self.lock(&remote.etag)?;
        if !blob.is_file() {
            make_folder_of(&blob)?;
            transfer(self.client, &remote, &blob, file, &describe)?;
        }
        self.link(&blob, &link)?;
        Ok(link)
    }

    /// The lock that Python takes as well while it writes the same blob.
    fn lock(&self, etag: &str) -> Result<File> {
        let locks = self.client.settings().cache.join(".locks");
        let of_repository = locks.join(self.repo.folder_name());
        wait_for_lock(&of_repository.join(format!("{etag}.lock")))
    }

    /// A relative link from the snapshot to the blob; a copy where there are no links.
    fn link(&self, blob: &Path, link: &Path) -> Result<()> {
        make_folder_of(link)?;
        let depth = link
            .strip_prefix(self.folder())
            .map_or(0, |inner| inner.components().count());
        let mut target: PathBuf = std::iter::repeat_n("..", depth.saturating_sub(1)).collect();
        target.push("blobs");
        target.push(blob.file_name().unwrap_or_default());
        // A link whose blob was removed stands in the way.
        let _ = fs::remove_file(link);
        #[cfg(unix)]
        let linked = std::os::unix::fs::symlink(&target, link);
        #[cfg(not(unix))]
        let linked = Err::<(), _>(std::io::Error::other("no links"));
        match linked {
            Err(_) if !link.is_file() => fs::copy(blob, link)
                .map(drop)
                .map_err(Error::io(link, "write")),
            _ => Ok(()),
        }
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Put `content` in the place of a small file, all at once.
pub(super) fn replace(path: &Path, content: &str) -> Result<()> {
    if read_text(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Others may share the cache: the usual permissions of a new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder
        .tempfile_in(folder)
        .map_err(Error::io(folder, "create a file in"))?;
    fs::write(temporary.path(), content).map_err(Error::io(path, "write"))?;
    temporary
        .persist(path)
        .map(drop)
        .map_err(|e| Error::io(path, "rename")(e.error))
}

/// Where a file of a snapshot came from, by the parts of its path from the repository's folder on,
/// `models--OWNER--NAME/snapshots/COMMIT/FILE`: the repository as the hub addresses it, the commit
/// and the file.
pub(super) fn of_snapshot(parts: &[&str]) -> Option<(String, String, String)> {
    let [folder, "snapshots", commit, file @ ..] = parts else {
        return None;
    };
    let (kind, name) = match folder.strip_prefix("models--") {
        Some(name) => ("", name),
        None => ("datasets/", folder.strip_prefix("datasets--")?),
    };
    let repository = format!("{kind}{}", name.replace("--", "/"));
    (is_commit(commit) && !file.is_empty())
        .then(|| (repository, (*commit).to_owned(), file.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories() {
        for good in ["camembert-base", "flaubert/flaubert_base_cased", "a/b.c"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in [
            "", "./x", "/abs", "a/b/c", "a//b", "a--b", "../x", "a/b.", "x y", "~/m",
        ] {
            assert!(!is_repository(bad), "{bad}");
        }
    }
}
