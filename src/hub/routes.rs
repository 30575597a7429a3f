//! The way a request takes: through which proxy, in the variables that Python's `requests` reads.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

use super::certificates;
use crate::error::{Error, Result};

/// The seconds that `HF_HUB_DOWNLOAD_TIMEOUT` may ask for: up to a day.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=86_400;

/// One pool of connections for each proxy.
pub(super) struct Routes {
    direct: Agent,
    /// Through the proxies for `http` and `https` addresses.
    proxied: [Option<Agent>; 2],
    exceptions: Vec<Exception>,
}

impl Routes {
    /// The routes in the environment that `variable` looks up. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Usage`] for a proxy that is none, [`Error::Io`] and [`Error::Malformed`] for certificates that cannot be read.
    pub fn new(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let text = |name: &str| {
            [name.to_ascii_lowercase(), name.to_owned()]
                .iter()
                .find_map(|n| variable(n)?.into_string().ok())
                .filter(|v| !v.is_empty())
        };
        let seconds = match variable("HF_HUB_DOWNLOAD_TIMEOUT").filter(|v| !v.is_empty()) {
            None => 10,
            Some(word) => word
                .to_str()
                .and_then(|w| w.trim().parse().ok())
                .ok_or_else(|| {
                    let word = word.to_string_lossy().into_owned();
                    Error::Usage(format!(
                        "HF_HUB_DOWNLOAD_TIMEOUT={word}: expected a whole number of seconds"
                    ))
                })?,
        };
        let patience = Duration::from_secs(seconds.clamp(*SECONDS.start(), *SECONDS.end()));
        let roots = certificates::believed(variable)?;
        let proxied = |name: &str| -> Result<Option<Agent>> {
            let Some(address) = text(name).or_else(|| text("ALL_PROXY")) else {
                return Ok(None);
            };
            let proxy = Proxy::new(&address).map_err(|_| {
                Error::Usage(format!(
                    "{name} does not hold the address of a proxy such as http://host:3128"
                ))
            })?;
            Ok(Some(agent(patience, roots.clone(), Some(proxy))))
        };
        Ok(Self {
            direct: agent(patience, roots.clone(), None),
            proxied: [proxied("HTTP_PROXY")?, proxied("HTTPS_PROXY")?],
            exceptions: text("NO_PROXY")
                .unwrap_or_default()
                .split(',')
                .filter_map(Exception::parse)
                .collect(),
        })
    }

    /// Whom to ask for `url`.
    pub fn agent(&self, url: &str) -> &Agent {
        let uri = url.parse::<Uri>().unwrap_or_default();
        let https = uri.scheme_str() == Some("https");
        match &self.proxied[usize::from(https)] {
            Some(agent) if !self.exceptions.iter().any(|e| e.holds(&uri)) => agent,
            _ => &self.direct,
        }
    }
}

fn agent(patience: Duration, roots: RootCerts, proxy: Option<Proxy>) -> Agent {
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
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .proxy(proxy)
        .build()
        .new_agent()
}

/// An entry of `NO_PROXY`: what is asked directly.
enum Exception {
    All,
    /// A host with those below it, or a host with its port.
    Host(String),
    /// Addresses that begin with the same bits.
    Network(IpAddr, u32),
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().trim_start_matches('.').to_ascii_lowercase();
        if let Some((address, bits)) = entry.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse())
        {
            return Some(Self::Network(address, bits));
        }
        match entry.as_str() {
            "" => None,
            "*" => Some(Self::All),
            _ => Some(match entry.parse() {
                Ok(address) => Self::Network(address, u32::MAX),
                Err(_) => Self::Host(entry),
            }),
        }
    }

    fn holds(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        match self {
            Self::All => true,
            Self::Host(name) => {
                let below = host.strip_suffix(name.as_str());
                let with_port = uri
                    .port()
                    .is_some_and(|port| *name == format!("{host}:{port}"));
                with_port || below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Network(network, bits) => host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|address| begin_alike(*network, address, *bits)),
        }
    }
}

/// Whether the first `most` bits of two addresses of one kind are the same.
fn begin_alike(a: IpAddr, b: IpAddr, most: u32) -> bool {
    let (difference, bits) = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits() ^ b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits(), 128),
        _ => return false,
    };
    let after = bits - most.min(bits);
    difference.checked_shr(after).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_names_hosts_their_parts_and_networks() {
        let holds = |entry: &str, url: &str| {
            Exception::parse(entry).is_some_and(|e| e.holds(&url.parse().unwrap()))
        };
        for (entry, url) in [
            ("*", "http://a.test/x"),
            (" .Test", "http://a.test/x"),
            ("a.test", "https://A.test:8/"),
            ("a.test:8", "https://a.test:8/"),
            ("127.0.0.0/8", "http://127.9.9.9:80/"),
            ("10.0.0.1/32", "http://10.0.0.1/"),
            ("0.0.0.0/0", "http://10.0.0.1/"),
            ("10.0.0.1", "http://10.0.0.1:99/"),
            ("10.0.0.1:99", "http://10.0.0.1:99/"),
            ("::1", "http://[::1]:8/"),
            ("fd00::/8", "http://[fd12::3]/"),
        ] {
            assert!(holds(entry, url), "{entry} {url}");
        }
        for (entry, url) in [
            ("", "http://a.test/"),
            ("test", "http://a.contest/"),
            ("a.test:8", "http://a.test:9/"),
            ("127.0.0.0/8", "http://128.0.0.1/"),
            ("127.0.0.0/8", "http://127.test/"),
            ("10.0.0.0/31", "http://10.0.0.2/"),
            ("::1", "http://[::2]/"),
            ("0.0.0.0/0", "http://[::1]/"),
        ] {
            assert!(!holds(entry, url), "{entry} {url}");
        }
    }

    #[test]
    fn no_timeout_is_too_long() {
        let of = |seconds: &'static str| {
            Routes::new(&|name| (name == "HF_HUB_DOWNLOAD_TIMEOUT").then(|| seconds.into()))
        };
        for seconds in [
            "18446744073709551615",
            "4611686018427387904",
            "0",
            " 7 ",
            "",
        ] {
            assert!(of(seconds).is_ok(), "{seconds}");
        }
        for seconds in ["x", "-1", "1.5"] {
            let error = of(seconds).err().unwrap().to_string();
            assert!(error.contains(&format!("TIMEOUT={seconds}")), "{error}");
        }
    }
}
