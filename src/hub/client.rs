//! Requests to the hub: redirects, token, proxies, patience with a busy server, and refusals in words.

use std::io::Read;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::{Agent, Body, Proxy};

use super::address::{absolute, bare, next_page, same_host, same_origin};
use super::patience::{retry_after, sleep};
use super::settings::Settings;
use crate::error::{Error, Result, interrupt};

/// How often a request is sent before the last failure is reported.
const TRIES: u32 = 5;
/// The wait after the first failure; it doubles after each.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Redirects followed for one request.
const REDIRECTS: usize = 10;
/// The largest listing or JSON answer that is read.
const LARGEST_LISTING: u64 = 64 << 20;

/// Which redirects are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// Those that stay on the same host: a renamed repository. The others are handed back.
    SameHost,
    /// All of them.
    Everywhere,
}

/// One connection pool per kind of proxy, and the settings that all requests share.
pub(super) struct Client {
    settings: Settings,
    direct: Agent,
    /// Through the proxies for `http` and `https` addresses.
    proxied: [Option<Agent>; 2],
    no_proxy: Vec<String>,
}

impl Client {
    /// A client in the given environment. Nothing is sent yet.
    pub fn new(
        settings: &Settings,
        variable: &dyn Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self> {
        let text = |name: &str| {
            [name.to_ascii_lowercase(), name.to_owned()]
                .iter()
                .find_map(|n| variable(n)?.into_string().ok())
                .filter(|v| !v.is_empty())
        };
        let seconds = variable("HF_HUB_DOWNLOAD_TIMEOUT")
            .and_then(|v| v.to_str()?.parse().ok())
            .unwrap_or(10);
        let patience = Duration::from_secs(seconds.max(1));
        let proxied = |name: &str| -> Result<Option<Agent>> {
            let Some(address) = text(name).or_else(|| text("ALL_PROXY")) else {
                return Ok(None);
            };
            let proxy = Proxy::new(&address).map_err(|_| {
                Error::Usage(format!(
                    "{name} does not hold the address of a proxy such as http://host:3128"
                ))
            })?;
            Ok(Some(agent(patience, Some(proxy))))
        };
        Ok(Self {
            direct: agent(patience, None),
            proxied: [proxied("HTTP_PROXY")?, proxied("HTTPS_PROXY")?],
            no_proxy: text("NO_PROXY")
                .unwrap_or_default()
                .split(',')
                .map(|host| host.trim().trim_start_matches('.').to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect(),
            settings: settings.clone(),
        })
    }

    /// Ask for the headers only.
    pub fn head(&self, url: &str, follow: Follow) -> Result<Response<Body>> {
        self.patiently(url, || self.send(true, url, None, follow))
    }

    /// Ask for the content from byte `from` on. `token` is sent to the hub's own host only.
    pub fn get(&self, url: &str, from: u64) -> Result<Response<Body>> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        self.patiently(url, || {
            self.send(false, url, range.as_deref(), Follow::Everywhere)
        })
    }

    /// Ask for a JSON answer; also the address of its next page, when there is one.
    pub fn json<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<(T, Option<String>)> {
        let response = self.get(url, 0)?;
        let next = header(response.headers(), "link").and_then(next_page);
        let mut text = Vec::new();
        response
            .into_body()
            .into_with_config()
            .limit(LARGEST_LISTING)
            .reader()
            .read_to_end(&mut text)
            .map_err(|e| {
                network(
                    url,
                    format!("the answer broke off: {e}"),
                    "try again later".into(),
                )
            })?;
        let value = serde_json::from_slice(&text).map_err(|e| {
            network(
                url,
                format!("the answer is not the JSON of a hub ({e})"),
                "check HF_ENDPOINT".into(),
            )
        })?;
        Ok((value, next))
    }

    /// Send until an answer comes that waiting does not change.
    fn patiently(
        &self,
        url: &str,
        send: impl Fn() -> std::result::Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        let mut wait = FIRST_WAIT;
        for attempt in 1..=TRIES {
            interrupt::check()?;
            let (problem, asked) = match send() {
                Ok(response) => {
                    let status = response.status();
                    let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                    if !busy || attempt == TRIES {
                        return self.accept(url, response);
                    }
                    (
                        format!("status {}", status.as_u16()),
                        retry_after(response.headers()),
                    )
                }
                Err(e) if attempt == TRIES => {
                    return Err(network(url, in_words(&e), self.no_answer()));
                }
                Err(e) => (in_words(&e), None),
            };
            let pause = asked.unwrap_or(wait);
            tracing::warn!(
                "{}: {problem}; trying again in {:.1} s",
                bare(url),
                pause.as_secs_f64()
            );
            sleep(pause)?;
            wait *= 2;
        }
        Err(network(url, "no answer".into(), self.no_answer()))
    }

    /// One request and the redirects that `follow` allows.
    fn send(
        &self,
        head: bool,
        url: &str,
        range: Option<&str>,
        follow: Follow,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let agent = self.agent(&url);
            let mut request = if head {
                agent.head(&url)
            } else {
                agent.get(&url)
            };
            if let Some(range) = range {
                request = request.header("Range", range);
            }
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
                    if follow == Follow::SameHost && !same_host(&next, &url) {
                        return Ok(response);
                    }
                    url = next;
                }
                _ => return Ok(response),
            }
        }
        Err(ureq::Error::TooManyRedirects)
    }

    fn agent(&self, url: &str) -> &Agent {
        let uri = url.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let host = host.to_ascii_lowercase();
        let with_port = uri.as_ref().and_then(Uri::authority).map(|a| a.as_str());
        let bypass = self.no_proxy.iter().any(|suffix| {
            suffix == "*"
                || host == *suffix
                || with_port == Some(suffix)
                || host.ends_with(&format!(".{suffix}"))
        });
        let https = uri.as_ref().and_then(Uri::scheme_str) == Some("https");
        match &self.proxied[usize::from(https)] {
            Some(agent) if !bypass => agent,
            _ => &self.direct,
        }
    }

    fn no_answer(&self) -> String {
        format!(
            "check the connection, HF_ENDPOINT and HTTPS_PROXY, or work with --offline on what the cache {} holds",
            self.settings.cache.display()
        )
    }

    /// The response when it is a success or a redirect, else what the hub refuses, in words.
    fn accept(&self, url: &str, response: Response<Body>) -> Result<Response<Body>> {
        let status = response.status();
        // The caller of a download sees by its length that nothing comes after what it has.
        let nothing_more = status == StatusCode::RANGE_NOT_SATISFIABLE;
        if status.is_success() || status.is_redirection() || nothing_more {
            return Ok(response);
        }
        let code = header(response.headers(), "x-error-code").unwrap_or_default();
        let login = if self.settings.token.is_some() {
            "the token that was sent has no right to it"
        } else {
            "no token was sent: set HF_TOKEN or log in with `hf auth login`"
        };
        let (problem, remedy) = match (status.as_u16(), code) {
            (_, "GatedRepo") => (
                "access to this repository is restricted".to_owned(),
                format!("accept its conditions on its page at the hub; {login}"),
            ),
            (404, "RevisionNotFound") => (
                format!(
                    "there is no branch, tag or commit `{}`",
                    self.settings.revision
                ),
                "check --revision".into(),
            ),
            (404, "EntryNotFound") => (
                "the repository has no such file".into(),
                "check the name of the repository and the revision".into(),
            ),
            (401 | 404, "RepoNotFound") | (401 | 404, _) => (
                "there is no such repository, or it is private".into(),
                format!("check its name; {login}"),
            ),
            (403, _) => ("access is forbidden".into(), login.into()),
            (429, _) => (
                "too many requests".into(),
                "wait some minutes, or log in for a larger allowance".into(),
            ),
            (status, _) => (
                format!("the server answers with status {status}"),
                self.no_answer(),
            ),
        };
        Err(network(url, problem, remedy))
    }
}

fn agent(patience: Duration, proxy: Option<Proxy>) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // A compressed answer could be neither resumed nor checked against its length.
        .accept_encoding("identity")
        .user_agent(concat!("flue-study/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience * 3))
        .timeout_per_read(Some(patience * 3))
        .proxy(proxy)
        .build()
        .new_agent()
}

/// The value of a header, when it is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An [`Error::Network`] about `url`, shown without its query, which may hold a signature.
pub(super) fn network(url: &str, problem: String, remedy: String) -> Error {
    Error::Network {
        url: bare(url).to_owned(),
        problem,
        remedy,
    }
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host is not known".into(),
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_never_reaches_a_message() {
        let e = network("http://cdn/x?Signature=secret", "p".into(), "r".into());
        assert_eq!(e.to_string(), "http://cdn/x: p: r");
    }
}
