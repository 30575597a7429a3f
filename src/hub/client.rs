//! Requests to the hub: redirects, token, and patience with a busy server.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use ureq::Body;
use ureq::http::{HeaderMap, Response, StatusCode};

use super::Watch;
use super::address::{absolute, next_page, same_host, same_origin, shown};
use super::patience::{Blocks, in_background, retry_after, sleep};
use super::refusal::refusal;
use super::routes::Routes;
use super::settings::Settings;
use crate::error::{Error, Result};

/// How often a request is sent before the last failure is reported.
const TRIES: u32 = 5;
/// The wait after the first failure; it doubles after each.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Redirects followed for one request.
const REDIRECTS: usize = 10;
/// The largest listing or JSON answer that is read.
const LARGEST_LISTING: u64 = 64 << 20;

/// What helps against a certificate that nobody vouches for, such as that of a company's proxy.
const BELIEVE: &str = "name a file of the certificates to believe in SSL_CERT_FILE, or a folder of them in SSL_CERT_DIR";

/// What is wanted of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The headers, of the hub itself: a redirect that tells them, to where a file lies, is handed back.
    Description,
    /// The headers, wherever redirects lead.
    Headers,
    /// The content from this byte on, wherever redirects lead.
    Content(u64),
}

/// Sends requests with what the settings say.
pub(super) struct Client(Arc<Inner>);

struct Inner {
    settings: Settings,
    routes: Routes,
    watch: Option<Watch>,
}

type Sent = std::result::Result<Response<Body>, ureq::Error>;

impl Client {
    /// A client in the environment that `variable` looks up. Nothing is sent yet.
    ///
    /// # Errors
    /// Those of [`Routes::new`].
    pub fn new(
        settings: &Settings,
        watch: Option<Watch>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            settings: settings.clone(),
            routes: Routes::new(variable)?,
            watch,
        })))
    }

    /// Whom to tell of the bytes of `name` that arrive, `from` of `size` being there.
    pub fn watch(&self, name: &str, from: u64, size: Option<u64>) -> Box<dyn FnMut(u64)> {
        match self.0.watch {
            Some(watch) => watch(name, from, size.unwrap_or(0)),
            None => Box::new(|_| {}),
        }
    }

    /// Ask until an answer comes that waiting does not change.
    ///
    /// # Errors
    /// [`Error::Network`] when there is none, or it is a refusal; [`Error::Interrupted`].
    pub fn ask(&self, what: Ask, url: &str) -> Result<Response<Body>> {
        let settings = &self.0.settings;
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
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
                        true => BELIEVE.into(),
                        false => settings.no_answer(),
                    };
                    return Err(network(url, problem, remedy));
                }
                Err(e) => (in_words(&e), None),
            };
            pause(url, &problem, asked.unwrap_or(wait))?;
            wait *= 2;
        }
        Err(network(url, "no answer".into(), settings.no_answer()))
    }

    /// Ask for a JSON answer; also the address of its next page, when there is one.
    ///
    /// # Errors
    /// As [`Self::ask`]; [`Error::Network`] when it is something else.
    pub fn json<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<(T, Option<String>)> {
        let mut attempt = 1;
        let (text, next) = loop {
            let response = self.ask(Ask::Content(0), url)?;
            let next = header(response.headers(), "link").and_then(next_page);
            match whole(response)? {
                Ok(text) => break (text, next),
                Err(e) => {
                    let problem = format!("the answer broke off: {e}");
                    if attempt == TRIES {
                        return Err(network(url, problem, "try again later".into()));
                    }
                    pause(url, &problem, FIRST_WAIT * attempt)?;
                    attempt += 1;
                }
            }
        };
        let value = serde_json::from_slice(&text).map_err(|e| {
            network(
                url,
                format!("the answer is not the JSON of a hub ({e})"),
                "check HF_ENDPOINT".into(),
            )
        })?;
        Ok((value, next))
    }
}

impl Inner {
    /// One request and the redirects that it follows.
    fn send(&self, what: Ask, url: &str) -> Sent {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let agent = self.routes.agent(&url);
            let mut request = match what {
                Ask::Content(_) => agent.get(&url),
                Ask::Description | Ask::Headers => agent.head(&url),
            };
            if let Ask::Content(from @ 1..) = what {
                request = request.header("Range", format!("bytes={from}-"));
            }
            // The token is for the hub's own host.
            if let (Some(token), true) = (
                &self.settings.token,
                same_origin(&url, &self.settings.endpoint),
            ) {
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

/// Whether a status gives what was asked for. That nothing comes after the byte that was asked for is an answer as well: the
/// caller sees by the length that it has everything.
fn answers(what: Ask, status: StatusCode) -> bool {
    match (what, status.as_u16()) {
        (Ask::Description, 300..=399) | (_, 200) => true,
        (Ask::Content(from), 206 | 416) => from > 0,
        (Ask::Headers | Ask::Description, _) => status.is_success(),
        _ => false,
    }
}

/// Say what went wrong and wait.
fn pause(url: &str, problem: &str, time: Duration) -> Result<()> {
    let seconds = time.as_secs_f64();
    tracing::warn!("{}: {problem}; trying again in {seconds:.1} s", shown(url));
    sleep(time)
}

/// The bytes of a listing, or what broke it off.
fn whole(response: Response<Body>) -> Result<std::io::Result<Vec<u8>>> {
    let (blocks, mut text) = (Blocks::of(response, LARGEST_LISTING)?, Vec::new());
    loop {
        match blocks.next()? {
            Ok(block) if block.is_empty() => return Ok(Ok(text)),
            Ok(block) => text.extend(block),
            Err(e) => return Ok(Err(e)),
        }
    }
}

/// The value of a header, when it is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An [`Error::Network`] about `url`, shown without what it may hold of secrets.
pub(super) fn network(url: &str, problem: String, remedy: String) -> Error {
    Error::Network {
        url: shown(url),
        problem,
        remedy,
    }
}

/// Whether a failure stays the same however often one tries.
fn is_final(error: &ureq::Error) -> bool {
    use ureq::Error as E;
    match error {
        E::BadUri(_) | E::Http(_) | E::Rustls(_) | E::Tls(_) | E::TooManyRedirects => true,
        // What rustls says of a certificate.
        E::Io(e) => e.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host is not known".into(),
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "this is no address".into(),
        ureq::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_never_reaches_a_message() {
        let e = network(
            "http://me:pass@cdn/x?Signature=secret",
            "p".into(),
            "r".into(),
        );
        assert_eq!(e.to_string(), "http://cdn/x: p: r");
    }

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
