//! Whose certificates are believed: those of the files and folders that variables name, else the system's and Mozilla's.
//!
//! huggingface_hub 0.36 reads the first two variables and otherwise believes Mozilla's certificates, which it carries along;
//! huggingface_hub 2.4 reads the last two and otherwise believes the system's. The first that is set counts here, and without
//! one both stores do: behind a proxy whose certificate only the system knows, and on a machine that has no store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::error::{Error, Result};
use crate::files::read_bytes;

/// What a variable may name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    File,
    Folders,
    Either,
}

/// The variables, in their order.
const VARIABLES: [(&str, Names); 4] = [
    ("REQUESTS_CA_BUNDLE", Names::Either),
    ("CURL_CA_BUNDLE", Names::Either),
    ("SSL_CERT_FILE", Names::File),
    ("SSL_CERT_DIR", Names::Folders),
];

/// The largest file of certificates: that of Mozilla has some 200 kB.
const LARGEST_FILE: u64 = 1 << 24;

/// The certificates that are believed in the environment that `variable` looks up.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`] when a variable names what cannot be read or holds no certificate.
pub(super) fn believed(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<RootCerts> {
    certificates(variable, load_native_certs)
}

fn certificates(
    variable: &dyn Fn(&str) -> Option<OsString>,
    system: impl FnOnce() -> CertificateResult,
) -> Result<RootCerts> {
    let named = VARIABLES.into_iter().find_map(|(name, what)| {
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

/// The system's certificates and those of Mozilla that come with the program.
fn without_variable(system: CertificateResult) -> RootCerts {
    for error in &system.errors {
        tracing::debug!("the system's certificates: {error}");
    }
    if system.certs.is_empty() {
        return RootCerts::WebPki;
    }
    let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let all: Vec<_> = system
        .certs
        .iter()
        .chain(mozilla)
        .map(|c| owned(c))
        .collect();
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

/// The certificates of all files in these folders, whatever their names: OpenSSL looks only at those that `openssl rehash` named.
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
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const OTHER: &str = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n";

    fn no_store() -> CertificateResult {
        CertificateResult::default()
    }

    fn with(set: &[(&str, &Path)]) -> Result<RootCerts> {
        let variable = |name: &str| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, path)| path.as_os_str().to_owned())
        };
        certificates(&variable, no_store)
    }

    fn ders(roots: RootCerts) -> Vec<Vec<u8>> {
        match roots {
            RootCerts::Specific(all) => all.iter().map(|c| c.der().to_vec()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_read_or_refused_by_its_variable() {
        let d = tempfile::tempdir().unwrap();
        let file = d.path().join("ca.pem");
        for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
            let _ = std::fs::remove_file(&file);
            let refusal = || with(&[(name, &file)]).unwrap_err().to_string();
            assert!(refusal().contains("ca.pem: cannot read"), "{}", refusal());
            std::fs::write(&file, "no certificate").unwrap();
            let message = refusal();
            assert!(
                message.contains("found none") && message.contains(name),
                "{message}"
            );
            std::fs::write(&file, PEM.repeat(2)).unwrap();
            assert_eq!(ders(with(&[(name, &file)]).unwrap()), [[0; 3], [0; 3]]);
        }
        let message = with(&[("SSL_CERT_FILE", d.path())])
            .unwrap_err()
            .to_string();
        assert!(message.contains("SSL_CERT_DIR"), "{message}");
    }

    #[test]
    fn folders_give_the_certificates_of_all_their_files() {
        let d = tempfile::tempdir().unwrap();
        let (a, b) = (d.path().join("a"), d.path().join("b"));
        for folder in [&a, &b] {
            std::fs::create_dir(folder).unwrap();
        }
        let both = PathBuf::from(std::env::join_paths([&a, &b]).unwrap());
        let message = with(&[("SSL_CERT_DIR", &both)]).unwrap_err().to_string();
        assert!(
            message.contains("/a") && message.contains("SSL_CERT_DIR"),
            "{message}"
        );
        std::fs::write(a.join("4bcd7a2c.0"), PEM).unwrap();
        std::fs::write(a.join("readme"), "no certificate").unwrap();
        std::fs::write(b.join("mine.crt"), OTHER).unwrap();
        let found = ders(with(&[("SSL_CERT_DIR", &both)]).unwrap());
        assert_eq!(found, [[0, 0, 0], [4, 16, 65]]);
        assert_eq!(ders(with(&[("REQUESTS_CA_BUNDLE", &a)]).unwrap()), [[0; 3]]);
        let absent = d.path().join("absent");
        let message = with(&[("SSL_CERT_DIR", &absent)]).unwrap_err().to_string();
        assert!(message.contains("No such file"), "{message}");
    }

    #[test]
    fn the_first_variable_that_is_set_counts() {
        let d = tempfile::tempdir().unwrap();
        let (file, other) = (d.path().join("ca.pem"), d.path().join("other.pem"));
        std::fs::write(&file, PEM).unwrap();
        std::fs::write(&other, OTHER).unwrap();
        for (i, (first, _)) in VARIABLES.iter().enumerate().take(3) {
            for (second, _) in &VARIABLES[i + 1..] {
                let found = with(&[(second, &other), (first, &file)]).unwrap();
                assert_eq!(ders(found), [[0; 3]], "{first} before {second}");
            }
        }
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let d = tempfile::tempdir().unwrap();
        let file = d.path().join("ca.pem");
        std::fs::write(&file, PEM).unwrap();
        let empty = Path::new("");
        let found = with(&[("REQUESTS_CA_BUNDLE", empty), ("SSL_CERT_FILE", &file)]);
        assert_eq!(ders(found.unwrap()), [[0; 3]]);
    }

    #[test]
    fn without_a_variable_the_system_and_mozilla_are_believed() {
        let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS.len();
        assert!(mozilla > 100);
        let system = || {
            let d = tempfile::tempdir().unwrap();
            std::fs::write(d.path().join("ca.pem"), PEM).unwrap();
            load_certs_from_paths(Some(&d.path().join("ca.pem")), None)
        };
        let found = ders(certificates(&|_| None, system).unwrap());
        assert_eq!((found.len(), &found[0][..]), (mozilla + 1, &[0; 3][..]));
        assert!(matches!(
            certificates(&|_| None, no_store).unwrap(),
            RootCerts::WebPki
        ));
    }
}
