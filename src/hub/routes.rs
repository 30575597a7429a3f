//! The route that a request takes: its timeouts, the proxy it goes through, and the certificates
//! that are trusted on the way.
//!
//! The variables are those that Python's `requests` and `httpx` read. Of certificates,
//! huggingface_hub 0.36 knows the first two and otherwise trusts Mozilla's, which it carries along;
//! huggingface_hub 2.4 knows the last two and otherwise trusts the system's. Here the first
//! variable that is set counts, and without one both stores do: behind a proxy whose certificate
//! only the system knows, and on a machine that has no store.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::settings::Variables;
use crate::error::{Error, Result};
use crate::files::read_bytes;

/// The seconds that `HF_HUB_DOWNLOAD_TIMEOUT` may ask for: up to a day.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=86_400;
/// The largest file of certificates: Mozilla's has some 200 kB.
const LARGEST_FILE: u64 = 1 << 24;

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
    /// [`Error::Usage`] for what is not the address of a proxy or a number of seconds,
    /// [`Error::Io`] and [`Error::Malformed`] for certificates that cannot be read.
    pub(crate) fn new(variable: &Variables) -> Result<Self> {
        let text = |name: &str| {
            [name.to_ascii_lowercase(), name.to_owned()]
                .iter()
                .find_map(|n| variable(n)?.into_string().ok())
                .filter(|v| !v.is_empty())
        };
        let patience = patience(variable)?;
        let roots = trusted(variable, load_native_certs)?;
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
    pub(crate) fn agent(&self, url: &str) -> &Agent {
        let uri = url.parse::<Uri>().unwrap_or_default();
        let https = uri.scheme_str() == Some("https");
        match &self.proxied[usize::from(https)] {
            Some(agent) if !self.exceptions.iter().any(|e| e.holds(&uri)) => agent,
            _ => &self.direct,
        }
    }
}

/// How long a server may take to accept a connection.
fn patience(variable: &Variables) -> Result<Duration> {
    let Some(word) = variable("HF_HUB_DOWNLOAD_TIMEOUT").filter(|v| !v.is_empty()) else {
        return Ok(Duration::from_secs(10));
    };
    let seconds = word.to_str().and_then(|w| w.trim().parse::<u64>().ok());
    let seconds = seconds.ok_or_else(|| {
        let word = word.to_string_lossy();
        Error::Usage(format!(
            "HF_HUB_DOWNLOAD_TIMEOUT={word}: expected a whole number of seconds"
        ))
    })?;
    let seconds = seconds.clamp(*SECONDS.start(), *SECONDS.end());
    Ok(Duration::from_secs(seconds))
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

/// An entry of `NO_PROXY`: what is asked directly. ureq reads that variable too, but knows neither
/// ports nor networks.
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

/// What a variable may name.
#[derive(Clone, Copy)]
enum Names {
    File,
    Folders,
    Either,
}

/// The variables that name certificates, in their order.
const CERTIFICATES: [(&str, Names); 4] = [
    ("REQUESTS_CA_BUNDLE", Names::Either),
    ("CURL_CA_BUNDLE", Names::Either),
    ("SSL_CERT_FILE", Names::File),
    ("SSL_CERT_DIR", Names::Folders),
];

/// The certificates that are trusted in the environment that `variable` looks up: those that it
/// names, else those of the `system` together with Mozilla's.
fn trusted(
    variable: &dyn Fn(&str) -> Option<OsString>,
    system: impl FnOnce() -> CertificateResult,
) -> Result<RootCerts> {
    let named = CERTIFICATES.into_iter().find_map(|(name, what)| {
        let value = variable(name).filter(|v| !v.is_empty())?;
        Some((name, what, value))
    });
    let Some((name, what, value)) = named else {
        return Ok(without_variable(system()));
    };
    let path = PathBuf::from(&value);
    let found = match what {
        Names::Folders => of_folders(name, std::env::split_paths(&value).collect())?,
        Names::Either if path.is_dir() => of_folders(name, vec![path])?,
        Names::File | Names::Either => of_file(name, &path)?,
    };
    Ok(RootCerts::new_with_certs(&found))
}

fn without_variable(system: CertificateResult) -> RootCerts {
    for error in &system.errors {
        tracing::debug!("the system's certificates: {error}");
    }
    if system.certs.is_empty() {
        return RootCerts::WebPki;
    }
    let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let all = system.certs.iter().chain(mozilla);
    let all: Vec<_> = all.map(|der| owned(der)).collect();
    RootCerts::new_with_certs(&all)
}

fn owned(der: &[u8]) -> Certificate<'static> {
    Certificate::from_der(der).to_owned()
}

/// The certificates of a file.
fn of_file(name: &str, file: &Path) -> Result<Vec<Certificate<'static>>> {
    let expected = format!("certificates in PEM: {name} names a file of them");
    let wrong = |found: String| Error::malformed(file, "", found, &expected);
    if file.is_dir() {
        return Err(wrong("a folder, which SSL_CERT_DIR may name".into()));
    }
    let bytes = read_bytes(file, LARGEST_FILE)?;
    let mut found = Vec::new();
    for item in parse_pem(&bytes) {
        if let PemItem::Certificate(one) = item.map_err(|e| wrong(e.to_string()))? {
            found.push(one);
        }
    }
    match found.is_empty() {
        true => Err(wrong("none".into())),
        false => Ok(found),
    }
}

/// The certificates of all files in these folders, whatever their names: OpenSSL looks only at
/// those that `openssl rehash` named.
fn of_folders(name: &str, folders: Vec<PathBuf>) -> Result<Vec<Certificate<'static>>> {
    let (mut found, mut problem) = (Vec::new(), None);
    for folder in folders.iter().filter(|f| !f.as_os_str().is_empty()) {
        let CertificateResult { certs, errors, .. } = load_certs_from_paths(None, Some(folder));
        found.extend(certs.iter().map(|c| owned(c)));
        for error in errors {
            tracing::debug!("{name}: {error}");
            problem.get_or_insert(error.to_string());
        }
    }
    if found.is_empty() {
        let first = folders.into_iter().next().unwrap_or_else(|| name.into());
        let found = problem.map_or("none".into(), |problem| format!("none ({problem})"));
        let expected = format!("certificates in PEM: {name} names a folder of files of them");
        return Err(Error::malformed(first, "", found, expected));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
