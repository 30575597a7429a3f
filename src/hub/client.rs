//! Requests: redirects, the token, and patience with a busy or a silent server.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use super::answer::{
    absolute, header, network, next_page, refusal, retry_after, same_host, same_origin, shown,
};
use super::routes::Routes;
use super::settings::{Settings, Variables, Watch};
use crate::error::{Error, Result, interrupt};

/// How often a request is sent before the last failure is reported.
const TRIES: u32 = 5;
/// The wait after the first failure; it doubles after each.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Redirects followed for one request.
const REDIRECTS: usize = 10;
/// The largest listing or JSON answer that is read.
const LARGEST_LISTING: u64 = 64 << 20;
/// The time between two looks at the signals.
const TICK: Duration = Duration::from_millis(50);
/// Bytes of a body that are read at a time, and how many such blocks may wait.
const BLOCK: usize = 1 << 17;
const BLOCKS: usize = 4;

/// What helps against a certificate that nobody vouches for, such as that of a company's proxy.
const TRUST: &str = "name a file of the certificates to trust in SSL_CERT_FILE, or a folder of \
                     them in SSL_CERT_DIR";

/// What is wanted of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The headers, of the hub itself: a redirect that tells them, to where a file lies, is handed
    /// back.
    Description,
    /// The headers, wherever redirects lead.
    Headers,
    /// The content from this byte on, wherever redirects lead.
    Content(u64),
}

/// Sends requests with what the settings say. A clone shares the connections.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    settings: Settings,
    variables: Arc<Variables>,
    watch: Option<Watch>,
    /// Made for the first request: what the cache holds needs no settings for the network.
    routes: OnceLock<Routes>,
}

impl Client {
    /// A client in the environment that `variables` looks up. Nothing is read or sent yet.
    pub(crate) fn new(settings: Settings, variables: Arc<Variables>, watch: Option<Watch>) -> Self {
        Self(Arc::new(Inner {
            settings,
            variables,
            watch,
            routes: OnceLock::new(),
        }))
    }

    /// The settings that it asks by.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whom to tell of the bytes of `name` that arrive, when `from` of `size` are there.
    pub(crate) fn watch(&self, name: &str, from: u64, size: Option<u64>) -> Box<dyn FnMut(u64)> {
        match self.0.watch {
            Some(watch) => watch(name, from, size.unwrap_or(0)),
            None => Box::new(|_| {}),
        }
    }

    /// Ask until an answer comes that waiting does not change.
    ///
    /// # Errors
    /// [`Error::Network`] when there is none, or it is a refusal; [`Error::Interrupted`]; before
    /// the first request those of [`Routes::new`].
    pub(crate) fn ask(&self, what: Ask, url: &str) -> Result<Response<Body>> {
        if self.0.routes.get().is_none() {
            let routes = Routes::new(&*self.0.variables)?;
            self.0.routes.get_or_init(|| routes);
        }
        let settings = &self.0.settings;
        let (mut attempt, mut wait) = (1, FIRST_WAIT);
        loop {
            let (inner, address) = (self.0.clone(), url.to_owned());
            let (problem, asked) = match in_background(move || inner.send(what, &address))? {
                Ok(response) => {
                    let status = response.status();
                    let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                    if !busy || attempt == TRIES {
                        return if answers(what, status) {
                            Ok(response)
                        } else {
                            Err(refusal(settings, url, &response))
                        };
                    }
                    let asked = retry_after(response.headers());
                    (format!("status {}", status.as_u16()), asked)
                }
                Err(e) if attempt == TRIES || is_final(&e) => {
                    let problem = in_words(&e);
                    let remedy = match problem.contains("certificate") {
                        true => TRUST.into(),
                        false => settings.no_answer(),
                    };
                    return Err(network(url, problem, remedy));
                }
                Err(e) => (in_words(&e), None),
            };
            pause(url, &problem, asked.unwrap_or(wait))?;
            (attempt, wait) = (attempt + 1, wait * 2);
        }
    }

    /// Ask for a JSON answer; also the address of its next page, when there is one.
    ///
    /// # Errors
    /// As [`Self::ask`]; [`Error::Network`] when it is something else.
    pub(crate) fn json<T: DeserializeOwned>(&self, url: &str) -> Result<(T, Option<String>)> {
        let mut attempt = 1;
        loop {
            let response = self.ask(Ask::Content(0), url)?;
            let next = next_page(response.headers());
            let problem = match read_all(response)? {
                Ok(text) => {
                    let value = serde_json::from_slice(&text).map_err(|e| {
                        let problem = format!("the answer is not the JSON of a hub ({e})");
                        network(url, problem, "check HF_ENDPOINT")
                    })?;
                    return Ok((value, next));
                }
                Err(e) => format!("the answer broke off: {e}"),
            };
            if attempt == TRIES {
                return Err(network(url, problem, "try again later"));
            }
            pause(url, &problem, FIRST_WAIT * attempt)?;
            attempt += 1;
        }
    }
}

impl Inner {
    /// One request and the redirects that it follows.
    fn send(&self, what: Ask, url: &str) -> std::result::Result<Response<Body>, ureq::Error> {
        let routes = self.routes.get().expect("made before the first request");
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let agent = routes.agent(&url);
            let mut request = match what {
                Ask::Content(_) => agent.get(&url),
                Ask::Description | Ask::Headers => agent.head(&url),
            };
            if let Ask::Content(from @ 1..) = what {
                request = request.header("Range", format!("bytes={from}-"));
            }
            // The token is for the hub's own host.
            if let Some(token) = &self.settings.token
                && same_origin(&url, &self.settings.endpoint)
            {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call()?;
            let location = header(response.headers(), "location").map(|l| absolute(&url, l));
            match location {
                Some(next) if response.status().is_redirection() => {
                    let told = response.headers().contains_key("x-linked-etag");
                    if what == Ask::Description && (told || !same_host(&next, &url)) {
                        return Ok(response);
                    }
                    url = next;
                }
                _ => return Ok(response),
            }
        }
        Err(ureq::Error::TooManyRedirects)
    }
}

/// Whether a status gives what was asked for. That nothing comes after the byte that was asked for
/// is an answer as well: the caller sees by the length that it has everything.
fn answers(what: Ask, status: StatusCode) -> bool {
    match (what, status.as_u16()) {
        (Ask::Description, 300..=399) | (_, 200) => true,
        (Ask::Content(from), 206 | 416) => from > 0,
        (Ask::Headers | Ask::Description, _) => status.is_success(),
        _ => false,
    }
}

/// Whether a failure stays the same however often one tries.
fn is_final(error: &ureq::Error) -> bool {
    use ureq::Error as E;
    match error {
        E::BadUri(_) | E::Http(_) | E::Rustls(_) | E::Tls(_) | E::TooManyRedirects => true,
        // What rustls says of a certificate.
        E::Io(e) => e.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host is not known".into(),
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "this is not an address".into(),
        ureq::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

/// Say what went wrong and wait.
fn pause(url: &str, problem: &str, time: Duration) -> Result<()> {
    let seconds = time.as_secs_f64();
    tracing::warn!("{}: {problem}; trying again in {seconds:.1} s", shown(url));
    sleep(time)
}

/// Wait, and give up at once when a signal asks to stop.
pub(super) fn sleep(pause: Duration) -> Result<()> {
    let end = Instant::now() + pause;
    loop {
        interrupt::check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}

/// What `work` returns, which runs in a thread of its own: a server that has fallen silent holds
/// nobody up who wants to stop.
fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (done, result) = sync_channel(1);
    spawn(move || {
        // Nobody waits any more after a signal.
        let _ = done.send(work());
    })?;
    next_of(&result)?.ok_or_else(|| Error::io("the network", "ask")(io::Error::other("no answer")))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("hub".into())
        .spawn(work)
        .map(drop)
        .map_err(Error::io("the network", "start a thread for"))
}

/// The next value; `None` when there will be no more.
fn next_of<T>(values: &Receiver<T>) -> Result<Option<T>> {
    loop {
        interrupt::check()?;
        match values.recv_timeout(TICK) {
            Ok(value) => return Ok(Some(value)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The body of an answer, block by block.
pub(super) struct Blocks(Receiver<io::Result<Vec<u8>>>);

impl Blocks {
    /// Begin to read `response`, of which at most `limit` bytes come.
    ///
    /// # Errors
    /// [`Error::Io`] when there can be no thread for it.
    pub(crate) fn of(response: Response<Body>, limit: u64) -> Result<Self> {
        let (blocks, receiver) = sync_channel(BLOCKS);
        spawn(move || {
            let body = response.into_body().into_with_config();
            let mut reader = body.limit(limit).reader();
            loop {
                let mut block = vec![0; BLOCK];
                let read = reader.read(&mut block).map(|n| {
                    block.truncate(n);
                    block
                });
                let last = read.as_ref().map_or(true, Vec::is_empty);
                if blocks.send(read).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self(receiver))
    }

    /// The next block, empty at the end of the body.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; inside, what became of the connection.
    pub(crate) fn next(&self) -> Result<io::Result<Vec<u8>>> {
        let broken = || Err(io::Error::other("no more comes"));
        Ok(next_of(&self.0)?.unwrap_or_else(broken))
    }
}

/// The bytes of a listing, or what broke it off.
fn read_all(response: Response<Body>) -> Result<io::Result<Vec<u8>>> {
    let (blocks, mut text) = (Blocks::of(response, LARGEST_LISTING)?, Vec::new());
    loop {
        match blocks.next()? {
            Ok(block) if block.is_empty() => return Ok(Ok(text)),
            Ok(block) => text.extend(block),
            Err(e) => return Ok(Err(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_counts_as_content() {
        let ok = |what, status: u16| answers(what, StatusCode::from_u16(status).unwrap());
        assert!(ok(Ask::Content(0), 200) && ok(Ask::Content(7), 200) && ok(Ask::Content(7), 206));
        assert!(ok(Ask::Content(7), 416) && ok(Ask::Description, 302) && ok(Ask::Headers, 204));
        for status in [204, 206, 300, 302, 304, 401, 416, 500] {
            assert!(!ok(Ask::Content(0), status), "{status}");
        }
        assert!(!ok(Ask::Headers, 302) && !ok(Ask::Description, 404));
    }
}
