//! One repository at one revision: its place in the cache, its files at the hub, and the fetching of a file.
//!
//! The cache has the layout of `huggingface_hub`: `models--owner--name/{blobs,refs,snapshots}`, where a snapshot holds
//! relative links to blobs named by their ETag. Files that Python fetched are used here and the other way round; both
//! take the same lock while they download.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use hf_hub::api::RepoInfo;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::address::absolute;
use super::client::{Client, Follow, header, network};
use super::lock;
use super::settings::Settings;
use super::transfer::{Remote, transfer};
use crate::error::{Error, Result, read_text};

/// The pages of a listing that are read; a hub puts up to 1,000 entries on each.
const MOST_PAGES: usize = 1000;

/// A model or a dataset of the hub at a branch, tag or commit.
pub(super) struct Repository<'a> {
    settings: &'a Settings,
    repo: Repo,
}

impl<'a> Repository<'a> {
    /// The model `name` at the revision of the settings.
    pub fn model(settings: &'a Settings, name: &str) -> Self {
        Self::new(settings, name, RepoType::Model, &settings.revision)
    }

    /// The dataset `name` at `revision`.
    pub fn dataset(settings: &'a Settings, name: &str, revision: &str) -> Self {
        Self::new(settings, name, RepoType::Dataset, revision)
    }

    fn new(settings: &'a Settings, name: &str, kind: RepoType, revision: &str) -> Self {
        let repo = Repo::with_revision(name.into(), kind, revision.into());
        Self { settings, repo }
    }

    fn cached(&self) -> CacheRepo {
        Cache::new(self.settings.cache.clone()).repo(self.repo.clone())
    }

    /// The repository's folder in the cache.
    pub fn folder(&self) -> PathBuf {
        self.settings.cache.join(self.repo.folder_name())
    }

    /// The folder of the commit that the revision stood for when it was last asked for, if it is in the cache.
    pub fn snapshot(&self) -> Option<PathBuf> {
        let revision = self.repo.revision();
        let noted = read_text(&self.folder().join("refs").join(revision)).ok();
        let commit = match &noted {
            Some(commit) => commit.trim(),
            None if is_commit(revision) => revision,
            None => return None,
        };
        if !is_commit(commit) {
            return None;
        }
        let folder = self.cached().pointer_path(commit);
        folder.is_dir().then_some(folder)
    }

    /// The commit and the names of all files, as the hub lists them.
    ///
    /// # Errors
    /// [`Error::Network`] with what the hub refuses.
    pub fn list(&self, client: &Client) -> Result<RepoInfo> {
        let url = format!("{}/api/{}", self.settings.endpoint, self.repo.api_url());
        let (info, _): (RepoInfo, _) = client.json(&url)?;
        if !is_commit(&info.sha) {
            return Err(network(
                &url,
                "the answer names no commit".into(),
                "check HF_ENDPOINT".into(),
            ));
        }
        Ok(info)
    }

    /// The files of a dataset under `folder`.
    ///
    /// # Errors
    /// [`Error::Network`] with what the hub refuses.
    pub fn list_folder(&self, client: &Client, folder: &str) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Entry {
            path: String,
            r#type: String,
        }
        let kind = match self.repo.url().starts_with("datasets/") {
            true => "",
            false => "models/",
        };
        let first = format!(
            "{}/api/{kind}{}/tree/{}/{folder}?recursive=true",
            self.settings.endpoint,
            self.repo.url(),
            self.repo.url_revision(),
        );
        let (mut url, mut files) = (first.clone(), Vec::new());
        for _ in 0..MOST_PAGES {
            let (entries, next): (Vec<Entry>, _) = client.json(&url)?;
            files.extend(
                entries
                    .into_iter()
                    .filter(|e| e.r#type == "file")
                    .map(|e| e.path),
            );
            match next {
                Some(next) => url = absolute(&url, &next),
                None => return Ok(files),
            }
        }
        Err(network(
            &first,
            format!("the listing does not end after {MOST_PAGES} pages"),
            "check HF_ENDPOINT".into(),
        ))
    }

    /// Bring `file` into the cache, resumed and checked; the path of its link in the snapshot.
    ///
    /// # Errors
    /// [`Error::Network`] when the hub refuses or the content is wrong, [`Error::Io`] when the cache cannot be written.
    pub fn fetch(&self, client: &Client, file: &str) -> Result<PathBuf> {
        let url = format!(
            "{}/{}/resolve/{}/{file}",
            self.settings.endpoint,
            self.repo.url(),
            self.repo.url_revision(),
        );
        if !is_plain(file) {
            return Err(network(
                &url,
                "the name of the file leaves its folder".into(),
                "do not use this repository".into(),
            ));
        }
        let remote = self.inspect(client, &url)?;
        let commit = remote.commit.clone().unwrap_or_default();
        let link = self.cached().pointer_path(&commit).join(file);
        if !link.is_file() {
            let blob = self.cached().blob_path(&remote.etag);
            let _lock = self.lock(&remote.etag)?;
            if !blob.is_file() {
                make_parent(&blob)?;
                transfer(client, &remote, &blob, file, &|| self.inspect(client, &url))?;
            }
            self.link(&blob, &link)?;
        }
        if self.repo.revision() != commit {
            let noted = self.folder().join("refs").join(self.repo.revision());
            make_parent(&noted)?;
            replace(&noted, &commit)?;
        }
        Ok(link)
    }

    /// What the hub says of a file before it is fetched.
    fn inspect(&self, client: &Client, url: &str) -> Result<Remote> {
        let response = client.head(url, Follow::SameHost)?;
        let headers = response.headers();
        let remote = Remote::from_headers(url, headers);
        let known = remote.commit.as_deref().is_some_and(is_commit);
        if !known || !is_plain(&remote.etag) || remote.etag.contains('/') {
            let missing = if known { "ETag" } else { "X-Repo-Commit" };
            return Err(network(
                url,
                format!("the answer lacks the header {missing} of a hub"),
                "check HF_ENDPOINT and the proxy".into(),
            ));
        }
        Ok(match header(headers, "location") {
            Some(location) => Remote {
                url: absolute(url, location),
                ..remote
            },
            None => remote,
        })
    }

    /// The lock that Python takes as well while it writes the same blob.
    fn lock(&self, etag: &str) -> Result<File> {
        let path = self
            .settings
            .cache
            .join(".locks")
            .join(self.repo.folder_name())
            .join(format!("{etag}.lock"));
        lock::wait_for(&path)
    }

    /// A relative link from the snapshot to the blob; a copy where there are no links.
    fn link(&self, blob: &Path, link: &Path) -> Result<()> {
        make_parent(link)?;
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

/// The shards that an index names, sorted.
///
/// # Errors
/// [`Error::Malformed`] when it is not an index or names a file outside its folder.
pub(super) fn shards(index: &Path) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = read_text(index)?;
    let parsed: Index = serde_json::from_str(&text).map_err(|e| {
        Error::malformed(
            index,
            format!("line {}", e.line()),
            e,
            "an index with a `weight_map`",
        )
    })?;
    let mut files: Vec<String> = parsed.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    match files.iter().find(|f| !is_plain(f)) {
        Some(bad) => Err(Error::malformed(
            index,
            "weight_map",
            format!("`{bad}`"),
            "names of files in the same folder",
        )),
        None => Ok(files),
    }
}

/// Whether a name stays inside the folder it is joined to.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.contains('\\')
        && Path::new(name)
            .components()
            .all(|c| matches!(c, Component::Normal(_)))
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(super) fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(Error::io(parent, "create the folder")),
        None => Ok(()),
    }
}

/// Put `content` in the place of a small file, all at once.
fn replace(path: &Path, content: &str) -> Result<()> {
    if read_text(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary =
        tempfile::NamedTempFile::new_in(folder).map_err(Error::io(folder, "create a file in"))?;
    fs::write(temporary.path(), content).map_err(Error::io(path, "write"))?;
    temporary
        .persist(path)
        .map(drop)
        .map_err(|e| Error::io(path, "rename")(e.error))
}
