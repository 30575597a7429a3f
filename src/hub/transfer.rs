//! The transfer of one file: what the server says of it, and its bytes, resumed after a cut and
//! checked against the size and the SHA-256 that were announced.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode};

use super::answer::{absolute, header, network};
use super::client::{Ask, Blocks, Client, sleep};
use super::settings::is_plain;
use crate::error::{Error, Result, interrupt};
use crate::files::{beside, sha256_file};

/// How often a broken download is resumed without any progress in between.
const TRIES: u32 = 5;

/// A file as the server describes it.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    /// Where its bytes are.
    pub(crate) url: String,
    /// The name of its blob: a SHA-256 for large files, a Git hash for others.
    pub(crate) etag: String,
    /// Its length in bytes, where it is told.
    pub(crate) size: Option<u64>,
    /// Its digest in hexadecimal, where it is told.
    pub(crate) sha256: Option<String>,
}

impl Remote {
    /// What the hub says of the file at `url`, which belongs to `commit`, before it is fetched.
    ///
    /// # Errors
    /// [`Error::Network`] when the hub refuses, or when what answers in its place is not a hub.
    pub(crate) fn at_hub(client: &Client, url: &str, commit: &str) -> Result<Self> {
        let response = client.ask(Ask::Description, url)?;
        let headers = response.headers();
        let mut remote = Self::from_headers(url, headers);
        let problem = match header(headers, "x-repo-commit") {
            None => "the answer lacks the header X-Repo-Commit of a hub",
            Some(found) if found != commit => "the answer is about another commit",
            Some(_) if !is_plain(&remote.etag) || remote.etag.contains('/') => {
                "the answer lacks the header ETag of a hub"
            }
            Some(_) => {
                if let Some(location) = header(headers, "location") {
                    remote.url = absolute(url, location);
                }
                return Ok(remote);
            }
        };
        Err(network(url, problem, "check HF_ENDPOINT and the proxy"))
    }

    /// What any other server says of the file at `url`. An ETag is no digest there: only the length
    /// can be checked.
    ///
    /// # Errors
    /// [`Error::Network`] when the server refuses.
    pub(crate) fn elsewhere(client: &Client, url: &str) -> Result<Self> {
        let answer = client.ask(Ask::Headers, url)?;
        Ok(Self {
            sha256: None,
            ..Self::from_headers(url, answer.headers())
        })
    }

    fn from_headers(url: &str, headers: &HeaderMap) -> Self {
        let number = |name: &str| header(headers, name)?.trim().parse::<u64>().ok();
        let linked = header(headers, "x-linked-etag");
        let etag = linked.or_else(|| header(headers, "etag"));
        let etag = etag
            .unwrap_or_default()
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_owned();
        let redirected = header(headers, "location").is_some();
        let own_length = number("content-length").filter(|_| !redirected);
        Self {
            url: url.to_owned(),
            size: number("x-linked-size").or(own_length),
            sha256: is_sha256(&etag).then(|| etag.to_ascii_lowercase()),
            etag,
        }
    }

    /// Whether `other` speaks of the same bytes.
    fn is_same(&self, other: &Self) -> bool {
        (&self.etag, self.size, &self.sha256) == (&other.etag, other.size, &other.sha256)
    }
}

/// Download `remote` to `target`, resuming `TARGET.incomplete` where an earlier attempt stopped.
/// `name` is what the log calls it; `again` asks the server once more, because an address may have
/// expired. The caller holds the lock of `target`.
///
/// # Errors
/// [`Error::Network`] when the connection keeps failing, or the content is not what was announced
/// or changes meanwhile; [`Error::Io`] when the disk refuses.
pub(super) fn transfer(
    client: &Client,
    remote: &Remote,
    target: &Path,
    name: &str,
    again: &dyn Fn() -> Result<Remote>,
) -> Result<()> {
    let partial = beside(target, ".incomplete");
    let mut remote = remote.clone();
    let (mut failures, mut spoiled) = (0, false);
    loop {
        interrupt::check()?;
        let before = length(&partial);
        let outcome = receive(client, &remote, &partial, name);
        let problem = match outcome {
            Ok(()) => match verify(&remote, &partial) {
                Ok(()) => break,
                Err(e @ Error::Network { .. }) => {
                    remove(&partial)?;
                    // One more attempt from the first byte: a proxy may have answered in place of
                    // the hub.
                    if !std::mem::replace(&mut spoiled, true) {
                        continue;
                    }
                    return Err(e);
                }
                Err(e) => return Err(e),
            },
            Err(e @ Error::Network { .. }) => e,
            Err(e) => return Err(e),
        };
        failures = if length(&partial) > before {
            1
        } else {
            failures + 1
        };
        if failures >= TRIES {
            return Err(problem);
        }
        tracing::warn!("{problem}; resuming");
        sleep(Duration::from_millis(500 * u64::from(failures)))?;
        let now = again()?;
        if !now.is_same(&remote) {
            remove(&partial)?;
            return Err(network(
                &now.url,
                "the file was changed during its download",
                "run again",
            ));
        }
        remote = now;
    }
    let file = File::open(&partial).map_err(Error::io(&partial, "read"))?;
    file.sync_all().map_err(Error::io(&partial, "write"))?;
    fs::rename(&partial, target).map_err(Error::io(target, "rename"))
}

/// Append what is missing to the partial file.
fn receive(client: &Client, remote: &Remote, partial: &Path, name: &str) -> Result<()> {
    let size = remote.size;
    let mut from = length(partial);
    // Without a length nothing would tell whether the part is of this file.
    if from > 0 && remote.size.is_none_or(|size| from > size) {
        remove(partial)?;
        from = 0;
    }
    if from > 0 && remote.size == Some(from) {
        return Ok(());
    }
    let response = client.ask(Ask::Content(from), &remote.url)?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(());
    }
    let resumed = response.status() == StatusCode::PARTIAL_CONTENT
        && header(response.headers(), "content-range")
            .is_some_and(|range| range.starts_with(&format!("bytes {from}-")));
    if !resumed {
        from = 0;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(partial)
        .map_err(Error::io(partial, "create"))?;
    file.set_len(from).map_err(Error::io(partial, "write"))?;
    file.seek(SeekFrom::Start(from))
        .map_err(Error::io(partial, "write"))?;
    let mut watch = client.watch(name, from, size);
    let (blocks, mut done) = (Blocks::of(response, u64::MAX)?, from);
    loop {
        let block = blocks.next()?.map_err(|e| {
            network(
                &remote.url,
                format!("the connection broke at byte {done}: {e}"),
                "run again to resume",
            )
        })?;
        file.write_all(&block)
            .map_err(Error::io(partial, "write"))?;
        done += block.len() as u64;
        watch(block.len() as u64);
        if block.is_empty() || size.is_some_and(|size| done > size) {
            break;
        }
    }
    match size {
        Some(size) if done < size => Err(network(
            &remote.url,
            format!("the connection closed at byte {done} of {size}"),
            "run again to resume",
        )),
        _ => Ok(()),
    }
}

/// Compare with the announced size and digest.
fn verify(remote: &Remote, partial: &Path) -> Result<()> {
    let wrong = |what: &str, found: String, expected: &str| {
        network(
            &remote.url,
            format!("the download has the {what} {found}, where {expected} was announced"),
            "nothing was kept; try again, without the proxy if there is one",
        )
    };
    let found = length(partial);
    if let Some(size) = remote.size.filter(|size| *size != found) {
        return Err(wrong("size", found.to_string(), &size.to_string()));
    }
    if let Some(digest) = &remote.sha256 {
        let found = sha256_file(partial)?;
        if found != *digest {
            return Err(wrong("SHA-256", found, digest));
        }
    }
    Ok(())
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

/// Remove what is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, "remove")(e)),
        _ => Ok(()),
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
