//! The download of one file: resumed after a cut, checked against the size and the SHA-256 that the hub gives.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use ureq::http::{HeaderMap, StatusCode};

use super::client::{Client, header, network};
use super::patience::sleep;
use crate::error::{Error, Result, interrupt};

/// How often a broken download is taken up again without any progress in between.
const TRIES: u32 = 5;
/// The time between two lines about a long download.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A file as the hub describes it.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    /// Where its bytes are.
    pub url: String,
    /// The name of its blob: a SHA-256 for large files, a Git hash for others.
    pub etag: String,
    /// The commit that the revision stands for, from a hub.
    pub commit: Option<String>,
    /// Its length in bytes, where it is told.
    pub size: Option<u64>,
    /// Its digest in hexadecimal, where it is told.
    pub sha256: Option<String>,
}

impl Remote {
    /// The description in the headers of an answer.
    pub fn from_headers(url: &str, headers: &HeaderMap) -> Self {
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
            commit: header(headers, "x-repo-commit").map(str::to_owned),
            size: number("x-linked-size").or(own_length),
            sha256: is_sha256(&etag).then(|| etag.to_ascii_lowercase()),
            etag,
        }
    }
}

/// Download `remote` to `target`, taking up `TARGET.incomplete` where an earlier attempt stopped. `name` is what the log
/// calls it; `again` asks the hub anew when the address has expired. The caller holds the lock of `target`.
///
/// # Errors
/// [`Error::Network`] when the connection keeps failing or the content is not what was announced; [`Error::Io`] when
/// the disk refuses.
pub(super) fn transfer(
    client: &Client,
    remote: &Remote,
    target: &Path,
    name: &str,
    again: &dyn Fn() -> Result<Remote>,
) -> Result<()> {
    let partial = incomplete(target);
    let mut remote = remote.clone();
    let (mut failures, mut spoiled) = (0, false);
    loop {
        interrupt::check()?;
        let before = length(&partial);
        let outcome = receive(client, &remote, &partial, name);
        let problem = match outcome {
            Ok(()) => match verify(&remote, &partial) {
                Ok(()) => break,
                // One more attempt from the first byte: a proxy may have answered in place of the hub.
                Err(_) if !spoiled => {
                    spoiled = true;
                    remove(&partial)?;
                    continue;
                }
                Err(e) => {
                    remove(&partial)?;
                    return Err(e);
                }
            },
            Err(e @ (Error::Io { .. } | Error::Interrupted { .. })) => return Err(e),
            Err(e) => e,
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
        remote = again()?;
    }
    let file = File::open(&partial).map_err(Error::io(&partial, "read"))?;
    file.sync_all().map_err(Error::io(&partial, "write"))?;
    fs::rename(&partial, target).map_err(Error::io(target, "rename"))
}

/// Append what is missing to the partial file.
fn receive(client: &Client, remote: &Remote, partial: &Path, name: &str) -> Result<()> {
    let mut from = length(partial);
    // Without a length nothing would tell whether the part is of this file.
    if from > 0 && remote.size.is_none_or(|size| from > size) {
        remove(partial)?;
        from = 0;
    }
    if from > 0 && remote.size == Some(from) {
        return Ok(());
    }
    let response = client.get(&remote.url, from)?;
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
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))
        .map_err(Error::io(partial, "write"))?;
    let mut log = Log::new(name, from, remote.size);
    let mut reader = response.into_body().into_reader();
    let mut buffer = vec![0u8; 1 << 17];
    loop {
        interrupt::check()?;
        let n = reader.read(&mut buffer).map_err(|e| {
            network(
                &remote.url,
                format!("the connection broke at byte {}: {e}", log.done),
                "run again to resume".into(),
            )
        })?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n])
            .map_err(Error::io(partial, "write"))?;
        log.advance(n as u64);
        if remote.size.is_some_and(|size| log.done > size) {
            break;
        }
    }
    match remote.size {
        Some(size) if log.done < size => Err(network(
            &remote.url,
            format!("the connection closed at byte {} of {size}", log.done),
            "run again to resume".into(),
        )),
        _ => Ok(()),
    }
}

/// Compare with the announced size and digest.
fn verify(remote: &Remote, partial: &Path) -> Result<()> {
    let wrong = |what: &str, found: String, expected: &str| {
        network(
            &remote.url,
            format!("what was downloaded has the {what} {found}, announced was {expected}"),
            "nothing was kept; try again, without the proxy if there is one".into(),
        )
    };
    let found = length(partial);
    if let Some(size) = remote.size.filter(|size| *size != found) {
        return Err(wrong("size", found.to_string(), &size.to_string()));
    }
    if let Some(digest) = &remote.sha256 {
        let found = sha256(partial)?;
        if found != *digest {
            return Err(wrong("SHA-256", found, digest));
        }
    }
    Ok(())
}

/// SHA-256 of a file, in hexadecimal.
fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path, "read"))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0u8; 1 << 17]);
    loop {
        interrupt::check()?;
        let n = file.read(&mut buffer).map_err(Error::io(path, "read"))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// `NAME.incomplete` beside the target, as Python calls it.
fn incomplete(target: &Path) -> std::path::PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".incomplete");
    target.with_file_name(name)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(Error::io(path, "remove"))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Lines with size and speed.
struct Log<'a> {
    name: &'a str,
    from: u64,
    done: u64,
    size: Option<u64>,
    start: Instant,
    last: Instant,
}

impl<'a> Log<'a> {
    fn new(name: &'a str, from: u64, size: Option<u64>) -> Self {
        let total = size.map_or("size unknown".into(), megabytes);
        match from {
            0 => tracing::info!("downloading {name} ({total})"),
            _ => tracing::info!("resuming {name} at {} ({total})", megabytes(from)),
        }
        let now = Instant::now();
        Self {
            name,
            from,
            done: from,
            size,
            start: now,
            last: now,
        }
    }

    fn advance(&mut self, n: u64) {
        self.done += n;
        if self.last.elapsed() < LINE_EVERY {
            return;
        }
        self.last = Instant::now();
        let speed = (self.done - self.from) as f64 / self.start.elapsed().as_secs_f64().max(1e-3);
        let left = self.size.map_or(String::new(), |size| {
            format!(
                " of {}, {:.0} s left",
                megabytes(size),
                size.saturating_sub(self.done) as f64 / speed.max(1.0)
            )
        });
        tracing::info!(
            "{}: {}{left}, {}/s",
            self.name,
            megabytes(self.done),
            megabytes(speed as u64)
        );
    }
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
