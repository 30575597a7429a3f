//! What a server says: the addresses it names, the headers it sends, and its refusals in words.

use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::Body;
use ureq::http::{HeaderMap, Response, Uri};

use super::settings::Settings;
use crate::error::Error;

/// Characters of the server's own words that are passed on.
const LONGEST: usize = 300;
/// The longest wait that a server may ask for with `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A branch or a tag as one segment of an address, percent-encoded as Python's `quote` does it.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The name of a file as the segments of an address; see [`segment`].
pub(super) fn segments(path: &str) -> String {
    const BUT_SLASHES: &AsciiSet = &RESERVED.remove(b'/');
    utf8_percent_encode(path, BUT_SLASHES).to_string()
}

/// An address as it may be shown: without its query, which may hold a signature, and without a
/// password.
pub(super) fn shown(url: &str) -> String {
    let bare = without_query(url);
    let Some((scheme, rest)) = bare.split_once("://") else {
        return bare.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Whether two addresses have the same host and port.
pub(super) fn same_host(a: &str, b: &str) -> bool {
    let host = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        Some(uri.authority()?.as_str().to_ascii_lowercase())
    };
    host(a).is_some_and(|found| Some(found) == host(b))
}

/// Whether they also have the same scheme: a token that goes to a host over `https` does not go to
/// it in the clear.
pub(super) fn same_origin(a: &str, b: &str) -> bool {
    let scheme = |url: &str| url.split_once("://").map(|(s, _)| s.to_ascii_lowercase());
    same_host(a, b) && scheme(a) == scheme(b)
}

/// `location` as an address of its own, seen from `url`.
pub(super) fn absolute(url: &str, location: &str) -> String {
    // A path may hold an address in its query.
    let begins_with_scheme = location
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric()));
    if begins_with_scheme {
        return location.to_owned();
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{host}{location}");
    }
    let folder = without_query(rest)
        .rsplit_once('/')
        .map_or(host, |(folder, _)| folder);
    format!("{scheme}://{folder}/{location}")
}

/// The value of a header, when it is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The address behind `rel="next"` in the `Link` header.
pub(super) fn next_page(headers: &HeaderMap) -> Option<String> {
    header(headers, "link")?.split(',').find_map(|part| {
        let (address, relation) = part.split_once(';')?;
        let address = address.trim().trim_matches(['<', '>']);
        relation.contains("next").then(|| address.to_owned())
    })
}

/// The wait that `Retry-After` asks for: seconds, or a date, which is compared with the server's
/// own `Date` because the clock here may differ (RFC 9110, section 10.2.3). A date that has passed
/// asks for none.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = header(headers, "retry-after")?.trim();
    let date = |text| httpdate::parse_http_date(text).ok();
    let wait = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = header(headers, "date").and_then(date);
            date(asked)?
                .duration_since(now.unwrap_or_else(SystemTime::now))
                .unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// An [`Error::Network`] about `url`, which is shown without what it may hold of secrets.
pub(super) fn network(url: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::Network {
        url: shown(url),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

/// The error for an answer of `url` that gives nothing: by `X-Error-Code` where the hub itself
/// speaks (as `hf_raise_for_status` in `huggingface_hub` reads it), else by its status.
pub(super) fn refusal(settings: &Settings, url: &str, response: &Response<Body>) -> Error {
    let code = header(response.headers(), "x-error-code").unwrap_or_default();
    let says = header(response.headers(), "x-error-message").unwrap_or_default();
    let status = response.status().as_u16();
    let login = if settings.token.is_some() {
        "the token that was sent has no right to it"
    } else {
        "no token was sent: set HF_TOKEN or log in with `hf auth login`"
    };
    let at_hub = same_origin(url, &settings.endpoint);
    let (mut problem, remedy) = match (status, code) {
        (429, _) => (
            "too many requests".to_owned(),
            "wait some minutes, or log in for a larger allowance".to_owned(),
        ),
        (_, "GatedRepo") => (
            "access to this repository is restricted".into(),
            format!("accept its conditions on its page at the hub; {login}"),
        ),
        (404, "RevisionNotFound") => (
            "there is no branch, tag or commit of that name".into(),
            "check --revision, if you gave one".into(),
        ),
        (404, "EntryNotFound") => (
            "the repository has no such file".into(),
            "check the name of the repository and the revision".into(),
        ),
        (_, "DisabledRepo") => (
            "this repository has been switched off".into(),
            "choose another one".into(),
        ),
        (401, _) if at_hub && says.contains("Invalid credentials") => (
            "the token that was sent is not valid".into(),
            "set HF_TOKEN to a new one, or log in again with `hf auth login`".into(),
        ),
        (401 | 404, _) if at_hub => (
            "there is no such repository, or it is private".into(),
            format!("check its name; {login}"),
        ),
        (403, _) if at_hub => ("access is forbidden".into(), login.into()),
        (status, _) => (
            format!("the server answers with status {status}"),
            settings.no_answer(),
        ),
    };
    if !says.is_empty() {
        let says: String = says.chars().take(LONGEST).collect();
        problem += &format!(" (the server says: {says})");
    }
    network(url, problem, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_as_a_browser_reads_them() {
        let url = "https://hub.test/a/resolve/main/x?q=1";
        assert_eq!(absolute(url, "https://cdn.test/y"), "https://cdn.test/y");
        assert_eq!(absolute(url, "/b/x"), "https://hub.test/b/x");
        assert_eq!(
            absolute(url, "/b?u=http://c"),
            "https://hub.test/b?u=http://c"
        );
        assert_eq!(absolute(url, "//cdn.test/y"), "https://cdn.test/y");
        assert_eq!(absolute(url, "z"), "https://hub.test/a/resolve/main/z");
        assert!(
            same_host("http://H:1/x", "http://h:1/y") && !same_host("http://h:1", "http://h:2")
        );
        assert!(same_origin("https://h/x", "HTTPS://H/y") && !same_origin("http://h", "https://h"));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        assert_eq!(
            shown("https://me:pass@h:1/x?Signature=s#f"),
            "https://h:1/x"
        );
        assert_eq!(shown("http://a/b@c"), "http://a/b@c");
        assert_eq!(shown("http://me@h"), "http://h");
        let e = network("http://me:pass@cdn/x?Signature=secret", "p", "r");
        assert_eq!(e.to_string(), "http://cdn/x: p: r");
        assert_eq!(segment("refs/pr/1 #?%é"), "refs%2Fpr%2F1%20%23%3F%25%C3%A9");
        assert_eq!(segments("a b/c#1"), "a%20b/c%231");
    }

    fn headers(values: &[(&'static str, &str)]) -> HeaderMap {
        let parsed = values.iter().map(|(name, value)| {
            let name = ureq::http::HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        parsed.collect()
    }

    #[test]
    fn the_next_page_is_found() {
        let of = |link: &str| next_page(&headers(&[("link", link)]));
        let found = of("<https://h/api?cursor=2>; rel=\"next\"");
        assert_eq!(found.as_deref(), Some("https://h/api?cursor=2"));
        assert_eq!(of("<https://h/>; rel=\"prev\""), None);
    }

    #[test]
    fn a_server_asks_for_a_wait_in_seconds_or_by_a_date() {
        let asked = |values: &[(&'static str, &str)]| {
            let wait = retry_after(&headers(values));
            wait.map(|wait| wait.as_secs())
        };
        let by_date = |date| {
            let now = ("date", "Tue, 24 Nov 2026 04:00:00 GMT");
            asked(&[("retry-after", date), now])
        };
        assert_eq!(asked(&[("retry-after", " 7 ")]), Some(7));
        assert_eq!(by_date("Tue, 24 Nov 2026 04:00:05 GMT"), Some(5));
        assert_eq!(by_date("Tuesday, 24-Nov-26 04:01:00 GMT"), Some(60));
        assert_eq!(by_date("Tue, 24 Nov 2026 03:59:00 GMT"), Some(0));
        assert_eq!(by_date("Wed, 25 Nov 2026 04:00:00 GMT"), Some(120));
        assert_eq!(asked(&[("retry-after", "4294967296")]), Some(120));
        // Without the server's date the clock here counts, which is past this one.
        assert_eq!(
            asked(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Some(0)
        );
        for nothing in ["soon", "-1", ""] {
            assert_eq!(asked(&[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(asked(&[]), None);
    }
}
