//! Addresses: where a redirect leads, which belong together, and what of one may be shown.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;

/// An address as it may be shown: without its query, which may hold a signature, and without a password.
pub(super) fn shown(url: &str) -> String {
    let bare = bare(url);
    let Some((scheme, rest)) = bare.split_once("://") else {
        return bare.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// What stands before the query.
fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// A branch or a tag as one segment of an address, and the name of a file as several: percent-encoded as Python's `quote` does.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// See [`segment`].
pub(super) fn segments(path: &str) -> String {
    const BUT_SLASHES: &AsciiSet = &RESERVED.remove(b'/');
    utf8_percent_encode(path, BUT_SLASHES).to_string()
}

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(uri.authority()?.as_str().to_ascii_lowercase())
}

/// Host and scheme: a token that goes to `https` does not go to the same host in the clear.
pub(super) fn same_origin(a: &str, b: &str) -> bool {
    let scheme = |url: &str| url.split_once("://").map(|(s, _)| s.to_ascii_lowercase());
    same_host(a, b) && scheme(a) == scheme(b)
}

/// Whether two addresses have the same host and port.
pub(super) fn same_host(a: &str, b: &str) -> bool {
    host_of(a).is_some_and(|h| Some(h) == host_of(b))
}

/// `location` as an address of its own, seen from `url`.
pub(super) fn absolute(url: &str, location: &str) -> String {
    // A path may hold an address in its query.
    if location
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return location.to_owned();
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    if let Some(other) = location.strip_prefix("//") {
        return format!("{scheme}://{other}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{host}{location}");
    }
    let folder = bare(rest)
        .rsplit_once('/')
        .map_or(host, |(folder, _)| folder);
    format!("{scheme}://{folder}/{location}")
}

/// The address behind `rel="next"` in a `Link` header.
pub(super) fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, relation) = part.split_once(';')?;
        relation.contains("next").then(|| {
            address
                .trim()
                .trim_start_matches('<')
                .trim_end_matches('>')
                .to_owned()
        })
    })
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
        assert_eq!(segment("refs/pr/1 #?%é"), "refs%2Fpr%2F1%20%23%3F%25%C3%A9");
        assert_eq!(segments("a b/c#1"), "a%20b/c%231");
    }

    #[test]
    fn the_next_page_is_found() {
        let link = "<https://h/api?cursor=2>; rel=\"next\"";
        assert_eq!(next_page(link).as_deref(), Some("https://h/api?cursor=2"));
        assert_eq!(next_page("<https://h/>; rel=\"prev\""), None);
    }
}
