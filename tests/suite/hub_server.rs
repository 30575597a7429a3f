//! A hub on the loopback address: listings, files, redirects to a second address, ranges, tokens,
//! and faults on demand.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::common::fixtures;

/// The commit that every repository stands at in the beginning.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The branches that every repository has, as addresses spell them.
const REVISIONS: [&str; 2] = ["main", "refs%2Fconvert%2Fparquet"];

/// How an answer goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Not this time.
    None,
    /// This status instead of the answer, with these headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// The connection closes after so many bytes of the body.
    Cut(usize),
    /// Nothing comes for so long after so many bytes of the body; then the connection closes.
    Stall(usize, Duration),
    /// The file is announced with another length than it has.
    Length(usize),
    /// The first byte of the body is changed.
    Spoil,
    /// The whole file comes whatever range was asked for.
    IgnoreRange,
    /// A pause before the answer.
    Slow(Duration),
}

#[derive(Default)]
struct State {
    /// The commit that every repository stands at.
    commit: String,
    /// http or https.
    scheme: &'static str,
    /// Large files lie on the hub's own host.
    one_host: bool,
    /// `models/owner/name` or `datasets/owner/name`, then file name and content.
    repositories: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Files at addresses of their own, as Zenodo has them.
    files: BTreeMap<String, Vec<u8>>,
    /// An old name and the repository it became.
    renamed: BTreeMap<String, String>,
    /// The token that all repositories ask for.
    token: Option<String>,
    /// Whether they are not even named to those without it.
    private: bool,
    /// Part of a path, how often, and what goes wrong there.
    faults: Vec<(String, usize, Fault)>,
    /// Every request: "GET /path range authorization".
    log: Vec<String>,
}

/// A hub and, at another port, the store that large files are redirected to.
pub struct HubServer {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl HubServer {
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Over https, with a certificate that only the authority in `tests/fixtures/hub/authority.pem`
    /// vouches for.
    pub fn start_https() -> Self {
        let pem = |name: &str| fixtures().join("hub").join(name);
        let chain = CertificateDer::pem_file_iter(pem("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(pem("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap();
        Self::start_with(Some(Arc::new(config)))
    }

    fn start_with(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", hub.local_addr().unwrap());
        let store_url = format!("{scheme}://{}", store.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            commit: COMMIT.into(),
            scheme,
            ..State::default()
        }));
        for listener in [hub, store] {
            let (state, store_url, tls) = (state.clone(), store_url.clone(), tls.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (state, store_url) = (state.clone(), store_url.clone());
                    let tls = tls.clone();
                    std::thread::spawn(move || match tls {
                        None => answer(stream, &state, &store_url),
                        Some(config) => {
                            let connection = rustls::ServerConnection::new(config).unwrap();
                            let stream = rustls::StreamOwned::new(connection, stream);
                            answer(stream, &state, &store_url);
                        }
                    });
                }
            });
        }
        Self { url, state }
    }

    /// Add files to a repository such as `models/owner/name`.
    pub fn put(&self, repository: &str, files: &[(&str, &[u8])]) -> &Self {
        let mut state = self.state.lock().unwrap();
        let held = state.repositories.entry(repository.into()).or_default();
        for (name, content) in files {
            held.insert((*name).into(), content.to_vec());
        }
        drop(state);
        self
    }

    /// Serve a file at `path`.
    pub fn file(&self, path: &str, content: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.files.insert(path.into(), content.to_vec());
    }

    /// All repositories move on to another commit; those before it are gone.
    pub fn commit(&self, commit: &str) {
        self.state.lock().unwrap().commit = commit.into();
    }

    /// Redirect to large files with an address on the hub's own host, as some mirrors do.
    pub fn keep_files_on_one_host(&self) {
        self.state.lock().unwrap().one_host = true;
    }

    pub fn rename(&self, old: &str, new: &str) {
        let mut state = self.state.lock().unwrap();
        state.renamed.insert(old.into(), new.into());
    }

    pub fn require_token(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.into());
    }

    /// As [`Self::require_token`], for repositories that strangers must not know of.
    pub fn hide_behind(&self, token: &str) {
        let mut state = self.state.lock().unwrap();
        (state.token, state.private) = (Some(token.into()), true);
    }

    /// The next `times` requests whose path contains `path` go wrong.
    pub fn fail(&self, path: &str, times: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.faults.push((path.into(), times, fault));
    }

    /// The requests so far that contain `part`.
    pub fn requests(&self, part: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .log
            .iter()
            .filter(|r| r.contains(part))
            .cloned()
            .collect()
    }
}

struct Request {
    head: bool,
    /// The address of the server as the client sees it.
    host: String,
    path: String,
    from: Option<usize>,
    token: Option<String>,
}

fn read_request(stream: &mut impl Read, scheme: &str) -> Option<Request> {
    let mut text = Vec::new();
    let mut byte = [0u8; 1];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&text).ok()?;
    let value = |name: &str| {
        let found = request
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(found.value).into_owned())
    };
    let range = value("range").and_then(|r| {
        let from = r.strip_prefix("bytes=")?.split('-').next()?.to_owned();
        from.parse().ok()
    });
    Some(Request {
        head: request.method == Some("HEAD"),
        host: format!("{scheme}://{}", value("host").unwrap_or_default()),
        path: request.path?.to_owned(),
        from: range,
        token: value("authorization").and_then(|a| a.strip_prefix("Bearer ").map(str::to_owned)),
    })
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: headers
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            body: body.into(),
        }
    }
}

fn answer(mut stream: impl Read + Write, state: &Mutex<State>, store: &str) {
    let scheme = state.lock().unwrap().scheme;
    let Some(mut request) = read_request(&mut stream, scheme) else {
        return;
    };
    let fault = {
        let mut state = state.lock().unwrap();
        let method = if request.head { "HEAD" } else { "GET" };
        let from = request.from.map_or(String::new(), |f| format!(" from {f}"));
        let token = request
            .token
            .as_ref()
            .map_or(String::new(), |t| format!(" token {t}"));
        state
            .log
            .push(format!("{method} {}{from}{token}", request.path));
        let entry = state
            .faults
            .iter_mut()
            .find(|(path, times, _)| *times > 0 && request.path.contains(path.as_str()));
        entry.map(|(_, times, fault)| {
            *times -= 1;
            fault.clone()
        })
    };
    let (mut cut, mut stall) = (None, Duration::ZERO);
    let reply = match fault {
        Some(Fault::Status(status, headers)) => Reply::new(status, headers, ""),
        other => {
            match &other {
                Some(Fault::IgnoreRange) => request.from = None,
                Some(Fault::Slow(pause)) => std::thread::sleep(*pause),
                Some(Fault::Cut(bytes)) => cut = Some(*bytes),
                Some(Fault::Stall(bytes, pause)) => (cut, stall) = (Some(*bytes), *pause),
                _ => {}
            }
            let mut reply = route(&request, &state.lock().unwrap(), store);
            if matches!(other, Some(Fault::Spoil)) && !reply.body.is_empty() {
                reply.body[0] ^= 0xff;
            }
            if let Some(Fault::Length(length)) = other {
                reply.headers.retain(|(name, _)| name != "X-Linked-Size");
                reply
                    .headers
                    .push(("X-Linked-Size".into(), length.to_string()));
            }
            reply
        }
    };
    let mut text = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n", reply.body.len());
    let _ = stream.write_all(text.as_bytes());
    if !request.head {
        let body = &reply.body[..cut.unwrap_or(reply.body.len()).min(reply.body.len())];
        let _ = stream.write_all(body);
    }
    let _ = stream.flush();
    std::thread::sleep(stall);
}

/// The answer of the hub's API, of its files, or of the store behind it.
fn route(request: &Request, state: &State, store: &str) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    if let Some(digest) = path.strip_prefix("/store/") {
        if request.token.is_some() {
            return Reply::new(400, &[], "the store must not see the token");
        }
        let all = state.repositories.values().flat_map(|files| files.values());
        return match all.into_iter().find(|content| sha256(content) == digest) {
            Some(content) => ranged(request, content, &[("ETag", &format!("\"{digest}\""))]),
            None => Reply::new(404, &[], ""),
        };
    }
    if let Some(content) = state.files.get(path) {
        return ranged(request, content, &[]);
    }
    for (old, new) in &state.renamed {
        let from = [format!("/api/{old}/"), format!("/{}/", bare(old))];
        let to = [format!("/api/{new}/"), format!("/{}/", bare(new))];
        for (from, to) in from.iter().zip(&to) {
            if let Some(rest) = path.strip_prefix(from.as_str()) {
                return Reply::new(307, &[("Location", &format!("{to}{rest}"))], "moved");
            }
        }
    }
    let Some((repository, files)) = state.repositories.iter().find(|(name, _)| {
        path == format!("/api/{name}")
            || path.starts_with(&format!("/api/{name}/"))
            || path.starts_with(&format!("/{}/", bare(name)))
    }) else {
        return Reply::new(401, &[("X-Error-Code", "RepoNotFound")], "");
    };
    if state.token.is_some() && state.token != request.token {
        if state.private {
            return Reply::new(401, &[("X-Error-Code", "RepoNotFound")], "");
        }
        let code = [("X-Error-Code", "GatedRepo")];
        return Reply::new(if request.token.is_some() { 403 } else { 401 }, &code, "");
    }
    let api = format!("/api/{repository}");
    if path == api {
        return listing(request, "revision/main", files, &state.commit);
    }
    let api = api + "/";
    if let Some(rest) = path.strip_prefix(&api) {
        return listing(request, rest, files, &state.commit);
    }
    let rest = &path[bare(repository).len() + 2..];
    let Some((revision, file)) = rest
        .strip_prefix("resolve/")
        .and_then(|r| r.split_once('/'))
    else {
        return Reply::new(404, &[], "");
    };
    if revision != state.commit && !REVISIONS.contains(&revision) {
        return Reply::new(404, &[("X-Error-Code", "RevisionNotFound")], "");
    }
    let store = if state.one_host { &request.host } else { store };
    match files.get(&*percent_decode_str(file).decode_utf8_lossy()) {
        None => Reply::new(404, &[("X-Error-Code", "EntryNotFound")], ""),
        Some(content) => resolve(request, content, store, &state.commit),
    }
}

/// A repository without its kind as the hub's addresses have it: models bare, datasets with
/// `datasets/`.
fn bare(repository: &str) -> &str {
    repository.strip_prefix("models/").unwrap_or(repository)
}

/// Entries of a folder in one answer.
const PAGE: usize = 2;

/// What the API says of a repository, or of a folder in it, page by page.
fn listing(
    request: &Request,
    rest: &str,
    files: &BTreeMap<String, Vec<u8>>,
    commit: &str,
) -> Reply {
    let json = [("Content-Type", "application/json")];
    if let Some(revision) = rest.strip_prefix("revision/") {
        if revision != commit && !REVISIONS.contains(&revision) {
            return Reply::new(404, &[("X-Error-Code", "RevisionNotFound")], "");
        }
        let siblings: Vec<_> = files
            .keys()
            .map(|f| serde_json::json!({ "rfilename": f }))
            .collect();
        let body = serde_json::json!({ "id": "x", "sha": commit, "siblings": siblings, "private": false, "tags": [] });
        return Reply::new(200, &json, body.to_string());
    }
    let folder = rest
        .strip_prefix("tree/")
        .and_then(|r| r.split_once('/'))
        .map_or("", |(_, f)| f);
    let entries: Vec<_> = files
        .iter()
        .filter(|(name, _)| folder.is_empty() || name.starts_with(&format!("{folder}/")))
        .map(|(name, content)| {
            let digest = sha256(content);
            let (oid, size) = (&digest[..40], content.len());
            let mut entry =
                serde_json::json!({ "type": "file", "path": name, "size": size, "oid": oid });
            if size > LARGEST_SMALL_FILE {
                entry["lfs"] =
                    serde_json::json!({ "oid": digest, "size": size, "pointerSize": 130 });
            }
            entry
        })
        .collect();
    if entries.is_empty() {
        return Reply::new(404, &[("X-Error-Code", "EntryNotFound")], "");
    }
    let query = request.path.split_once("cursor=").map_or("0", |(_, q)| q);
    let from: usize = query.parse().unwrap_or(0);
    let page: Vec<_> = entries.iter().skip(from).take(PAGE).cloned().collect();
    let mut reply = Reply::new(200, &json, serde_json::Value::from(page).to_string());
    let endless = request.path.contains("/endless/");
    if endless || from + PAGE < entries.len() {
        let path = request.path.split("&cursor=").next().unwrap_or_default();
        let joint = if path.contains('?') { '&' } else { '?' };
        let next = format!(
            "<{}{path}{joint}cursor={}>; rel=\"next\"",
            request.host,
            from + PAGE
        );
        reply.headers.push(("Link".into(), next));
    }
    reply
}

/// In bytes: what is larger lies in the store.
const LARGEST_SMALL_FILE: usize = 1000;

/// A small file comes at once, a large one from the store.
fn resolve(request: &Request, content: &[u8], store: &str, commit: &str) -> Reply {
    let digest = sha256(content);
    if content.len() <= LARGEST_SMALL_FILE {
        let etag = format!("\"{}\"", &digest[..40]);
        return ranged(
            request,
            content,
            &[("ETag", &etag), ("X-Repo-Commit", commit)],
        );
    }
    Reply::new(
        302,
        &[
            (
                "Location",
                &format!("{store}/store/{digest}?signature=secret"),
            ),
            ("X-Linked-Etag", &format!("\"{digest}\"")),
            ("X-Linked-Size", &content.len().to_string()),
            ("ETag", "\"of-the-redirect\""),
            ("X-Repo-Commit", commit),
        ],
        "elsewhere",
    )
}

fn ranged(request: &Request, content: &[u8], headers: &[(&str, &str)]) -> Reply {
    match request.from {
        Some(from) if from >= content.len() => Reply::new(416, headers, ""),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            let mut reply = Reply::new(206, headers, &content[from..]);
            reply.headers.push(("Content-Range".into(), range));
            reply
        }
        None => Reply::new(200, headers, content),
    }
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
