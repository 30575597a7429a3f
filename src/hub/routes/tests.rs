//! Proxies and their exceptions, timeouts, and the certificates of every variable.

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
    trusted(&variable, no_store)
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
    for (i, (first, _)) in CERTIFICATES.iter().enumerate().take(3) {
        for (second, _) in &CERTIFICATES[i + 1..] {
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
fn without_a_variable_the_system_and_mozilla_are_trusted() {
    let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS.len();
    assert!(mozilla > 100);
    let system = || {
        let d = tempfile::tempdir().unwrap();
        std::fs::write(d.path().join("ca.pem"), PEM).unwrap();
        load_certs_from_paths(Some(&d.path().join("ca.pem")), None)
    };
    let found = ders(trusted(&|_| None, system).unwrap());
    assert_eq!((found.len(), &found[0][..]), (mozilla + 1, &[0; 3][..]));
    assert!(matches!(
        trusted(&|_| None, no_store).unwrap(),
        RootCerts::WebPki
    ));
}
