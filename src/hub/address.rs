//! Addresses: where a redirect leads, which belong together, and what of one may be shown.

use ureq::http::Uri;

/// An address without its query, which may hold a signature.
pub(super) fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

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
    fn the_next_page_is_found() {
        let link = "<https://h/api?cursor=2>; rel=\"next\"";
        assert_eq!(next_page(link).as_deref(), Some("https://h/api?cursor=2"));
        assert_eq!(next_page("<https://h/>; rel=\"prev\""), None);
    }
}
