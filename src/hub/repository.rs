//! One repository at one revision: its place in the cache, its files at the hub, and the fetching of a file.
//!
//! The cache has the layout of `huggingface_hub`: `models--owner--name/{blobs,refs,snapshots}`, where a snapshot holds
//! relative links to blobs named by their ETag, and `.no_exist` empty files for those that a commit does not have. Files that
//! Python fetched are used here and the other way round; both take the same lock while they download.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use hf_hub::api::RepoInfo;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::address::{absolute, segment, segments};
use super::client::{Ask, Client, header, network};
use super::settings::{Settings, is_plain};
use super::transfer::{Remote, transfer};
use crate::error::{Error, Result};
use crate::files::{make_folder_of, read_json, read_text, wait_for_lock};

/// The pages of a listing that are read; a hub puts up to 1,000 entries on each.
const MOST_PAGES: usize = 1000;
/// The files that are taken from it.
const MOST_FILES: usize = 100_000;

/// A model or a dataset of the hub at a branch, tag or commit.
pub(super) struct Repository<'a> {
    settings: &'a Settings,
    repo: Repo,
    /// "models" or "datasets", as the API calls them.
    kind: &'static str,
}

impl<'a> Repository<'a> {
    /// The model `name` at the revision of the settings.
    pub fn model(settings: &'a Settings, name: &str) -> Self {
        let repo = Repo::with_revision(name.into(), RepoType::Model, settings.revision.clone());
        Self {
            settings,
            repo,
            kind: "models",
        }
    }

    /// The dataset `name` at `revision`.
    pub fn dataset(settings: &'a Settings, name: &str, revision: &str) -> Self {
        let repo = Repo::with_revision(name.into(), RepoType::Dataset, revision.into());
        Self {
            settings,
            repo,
            kind: "datasets",
        }
    }

    fn cached(&self) -> CacheRepo {
        Cache::new(self.settings.cache.clone()).repo(self.repo.clone())
    }

    /// The repository's folder in the cache.
    pub fn folder(&self) -> PathBuf {
        self.settings.cache.join(self.repo.folder_name())
    }

    /// The folder of a commit's files in the cache.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.cached().pointer_path(commit)
    }

    /// The commit that the revision stood for when it was last asked for, if it is in the cache.
    pub fn commit(&self) -> Option<String> {
        let revision = self.repo.revision();
        let noted = read_text(&self.folder().join("refs").join(revision)).ok();
        let commit = match &noted {
            Some(commit) => commit.trim(),
            None => revision,
        };
        (is_commit(commit) && self.snapshot(commit).is_dir()).then(|| commit.to_owned())
    }

    /// The commit that the revision stands for, or `commit` itself, and the names of all files, as the hub lists them.
    ///
    /// # Errors
    /// [`Error::Network`] with what the hub refuses.
    pub fn list(&self, client: &Client, commit: Option<&str>) -> Result<RepoInfo> {
        let url = self.api("revision", commit.unwrap_or(self.repo.revision()));
        let (info, _): (RepoInfo, _) = client.json(&url)?;
        if !is_commit(&info.sha) || commit.is_some_and(|commit| commit != info.sha) {
            return Err(network(
                &url,
                "the answer does not name the commit".into(),
                "check HF_ENDPOINT".into(),
            ));
        }
        Ok(info)
    }

    /// An address of the API.
    fn api(&self, verb: &str, revision: &str) -> String {
        let name = self.repo.url();
        let name = name.strip_prefix("datasets/").unwrap_or(&name);
        format!(
            "{}/api/{}/{name}/{verb}/{}",
            self.settings.endpoint,
            self.kind,
            segment(revision)
        )
    }

    /// The files under `folder` at a commit whose names end in `ending`.
    ///
    /// # Errors
    /// [`Error::Network`] with what the hub refuses.
    pub fn list_folder(
        &self,
        client: &Client,
        commit: &str,
        folder: &str,
        ending: &str,
    ) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Entry {
            path: String,
            r#type: String,
        }
        let first = format!(
            "{}/{}?recursive=true",
            self.api("tree", commit),
            segments(folder)
        );
        let (mut url, mut files) = (first.clone(), Vec::new());
        for _ in 0..MOST_PAGES {
            let (entries, next): (Vec<Entry>, _) = client.json(&url)?;
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
            "check HF_ENDPOINT".into(),
        ))
    }

    /// Bring `file` of a commit into the cache, resumed and checked; the path of its link in the snapshot.
    ///
    /// # Errors
    /// [`Error::Network`] when the hub refuses or the content is wrong, [`Error::Io`] when the cache cannot be written.
    pub fn fetch(&self, client: &Client, commit: &str, file: &str) -> Result<PathBuf> {
        let url = format!(
            "{}/{}/resolve/{commit}/{}",
            self.settings.endpoint,
            self.repo.url(),
            segments(file),
        );
        if !is_plain(file) {
            return Err(network(
                &url,
                "the name of the file leaves its folder".into(),
                "do not use this repository".into(),
            ));
        }
        let link = self.snapshot(commit).join(file);
        // What a commit holds does not change.
        if link.is_file() {
            return Ok(link);
        }
        let inspect = || inspect(client, &url, commit);
        let remote = inspect()?;
        let blob = self.cached().blob_path(&remote.etag);
        let _lock = self.lock(&remote.etag)?;
        if !blob.is_file() {
            make_folder_of(&blob)?;
            transfer(client, &remote, &blob, file, &inspect)?;
        }
        self.link(&blob, &link)?;
        Ok(link)
    }

    /// Note which commit the revision stands for: when all that is wanted of it is there, so that an update which fails leaves
    /// the old one in use.
    ///
    /// # Errors
    /// [`Error::Io`] when the cache cannot be written.
    pub fn note(&self, commit: &str) -> Result<()> {
        if self.repo.revision() == commit {
            return Ok(());
        }
        let noted = self.folder().join("refs").join(self.repo.revision());
        make_folder_of(&noted)?;
        replace(&noted, commit)
    }

    /// Note files that a commit does not have, as Python does, so that nobody need ask for them again.
    pub fn note_absent<'f>(&self, commit: &str, files: impl Iterator<Item = &'f str>) {
        for file in files {
            let path = self.absent(commit, file);
            // Without the note the next run asks again.
            let _ = make_folder_of(&path).map(|()| File::create(&path));
        }
    }

    /// Whether the commit is known not to have this file.
    pub fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absent(commit, file).is_file()
    }

    fn absent(&self, commit: &str, file: &str) -> PathBuf {
        self.folder().join(".no_exist").join(commit).join(file)
    }

    /// The lock that Python takes as well while it writes the same blob.
    fn lock(&self, etag: &str) -> Result<File> {
        let path = self
            .settings
            .cache
            .join(".locks")
            .join(self.repo.folder_name())
            .join(format!("{etag}.lock"));
        wait_for_lock(&path)
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

/// What the hub says of a file of `commit` before it is fetched.
fn inspect(client: &Client, url: &str, commit: &str) -> Result<Remote> {
    let response = client.ask(Ask::Description, url)?;
    let headers = response.headers();
    let remote = Remote::from_headers(url, headers);
    let wrong = |problem: &str| {
        Err(network(
            url,
            problem.into(),
            "check HF_ENDPOINT and the proxy".into(),
        ))
    };
    match header(headers, "x-repo-commit") {
        None => return wrong("the answer lacks the header X-Repo-Commit of a hub"),
        Some(found) if found != commit => return wrong("the answer is of another commit"),
        Some(_) if !is_plain(&remote.etag) || remote.etag.contains('/') => {
            return wrong("the answer lacks the header ETag of a hub");
        }
        Some(_) => {}
    }
    Ok(match header(headers, "location") {
        Some(location) => Remote {
            url: absolute(url, location),
            ..remote
        },
        None => remote,
    })
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
    let parsed: Index = read_json(index, "an index with a `weight_map`")?;
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
