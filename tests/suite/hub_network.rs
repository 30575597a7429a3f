//! Proxies, secrets, lying and silent servers, and several programs at one cache.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flue_study::hub::{FlueCls, HubOptions};
use tempfile::TempDir;

use crate::common::{Workspace, wait_for};
use crate::hub::{MODEL, hub_in, message, online, served};
use crate::hub_server::{COMMIT, Fault, HubServer};
use crate::hub_whole::longest;

/// A proxy on the loopback address that tunnels as `CONNECT` asks; the targets it was asked for,
/// and the credentials.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = log.clone();
            std::thread::spawn(move || tunnel(stream, &log));
        }
    });
    (address, asked)
}

fn tunnel(mut client: TcpStream, log: &Mutex<Vec<String>>) {
    let (mut text, mut byte) = (Vec::new(), [0u8; 1]);
    while !text.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let target = text.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push(text);
    let Ok(mut server) = TcpStream::connect(target) else {
        return;
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
}

#[test]
fn the_proxy_is_used_but_where_no_proxy_says_otherwise() {
    let (server, _) = served();
    let (address, asked) = proxy();
    let with = format!("http://me:swordfish@{address}");
    let host = server.url.trim_start_matches("http://").to_owned();
    let variables = |name: &'static str, value: &str| {
        let d = TempDir::new().unwrap();
        let set = [
            ("HF_ENDPOINT", server.url.as_str()),
            (name, &with),
            ("NO_PROXY", value),
        ];
        hub_in(d.path(), HubOptions::default(), &set)
            .checkpoint("owner/model")
            .unwrap();
        std::mem::take(&mut *asked.lock().unwrap())
    };
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let asked = variables(name, "elsewhere.test");
        assert!(
            asked[0].starts_with(&format!("CONNECT {host} ")),
            "{name}: {asked:?}"
        );
        // me:swordfish
        assert!(asked[0].contains("Basic bWU6c3dvcmRmaXNo"), "{asked:?}");
    }
    for (name, no) in [
        ("HTTPS_PROXY", ""),
        ("HTTP_PROXY", "*"),
        ("HTTP_PROXY", "a.test, 127.0.0.1"),
    ] {
        assert!(variables(name, no).is_empty(), "{name} {no}");
    }
    // A port of its own: the hub is asked directly, the store behind it is not.
    let asked = variables("HTTP_PROXY", &host);
    let to_hub = format!("CONNECT {host} ");
    assert!(
        !asked.is_empty() && !asked.iter().any(|a| a.starts_with(&to_hub)),
        "{asked:?}"
    );
}

#[test]
fn a_proxy_that_is_away_is_named_without_its_password() {
    let d = TempDir::new().unwrap();
    let (server, _) = served();
    let nobody = [
        ("HF_ENDPOINT", server.url.as_str()),
        ("HTTP_PROXY", "http://me:swordfish@127.0.0.1:9"),
    ];
    let text = message(hub_in(d.path(), HubOptions::default(), &nobody).checkpoint("owner/model"));
    assert!(
        text.contains("HTTPS_PROXY") && !text.contains("swordfish"),
        "{text}"
    );
    let bad = [("HTTP_PROXY", "http://me:swordfish@[")];
    let text = message(hub_in(d.path(), HubOptions::default(), &bad).checkpoint("owner/model"));
    assert!(
        text.contains("HTTP_PROXY") && !text.contains("swordfish"),
        "{text}"
    );
}

#[test]
fn a_private_repository_opens_with_the_token_of_a_login() {
    let (server, _) = served();
    server.hide_behind("hf_right");
    let d = TempDir::new().unwrap();
    let text = message(online(&d, &server, &[]).checkpoint("owner/model"));
    assert!(
        text.contains("private") && text.contains("HF_TOKEN"),
        "{text}"
    );
    let file = d.path().join("login");
    fs::write(&file, "hf_right\n").unwrap();
    let path = [("HF_TOKEN_PATH", file.to_str().unwrap())];
    online(&d, &server, &path)
        .checkpoint("owner/model")
        .unwrap();
}

#[test]
fn a_length_that_is_not_the_announced_one_is_refused() {
    for length in [400_000, 600_000] {
        let (server, _) = served();
        server.fail("model.safetensors", 99, Fault::Length(length));
        let d = TempDir::new().unwrap();
        let text = message(online(&d, &server, &[]).checkpoint("owner/model"));
        assert!(text.contains(&length.to_string()), "{text}");
        let link = format!("hub/models--owner--model/snapshots/{COMMIT}/model.safetensors");
        assert!(!d.path().join(link).exists());
    }
}

#[test]
fn a_server_that_falls_silent_is_left_and_asked_again() {
    let (server, weights) = served();
    server.fail("/store/", 1, Fault::Stall(1234, Duration::from_secs(20)));
    let d = TempDir::new().unwrap();
    let hub = online(&d, &server, &[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]);
    let folder = hub.checkpoint("owner/model").unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
    let requests = server.requests("GET /store/");
    assert!(requests[1].contains("from 1234"), "{requests:?}");
}

#[test]
fn a_server_that_stays_busy_is_given_up_in_words() {
    let (server, _) = served();
    server.fail("/api/", 99, Fault::Status(429, &[("Retry-After", "0")]));
    let d = TempDir::new().unwrap();
    let text = message(online(&d, &server, &[]).checkpoint("owner/model"));
    assert!(
        text.contains("too many requests") && text.contains("wait"),
        "{text}"
    );
    assert_eq!(server.requests("/api/").len(), 5);
    let (server, _) = served();
    server.fail("/api/", 99, Fault::Status(500, &[("Retry-After", "0")]));
    let text = message(online(&d, &server, &[]).checkpoint("owner/model"));
    assert!(
        text.contains("status 500") && text.contains("--offline"),
        "{text}"
    );
}

#[test]
fn a_listing_of_many_pages_is_read_to_its_end_if_it_has_one_and_may_not_lead_out() {
    let server = HubServer::start();
    let names: Vec<String> = (0..5)
        .map(|i| format!("CLS/train/000{i}.parquet"))
        .collect();
    let files: Vec<_> = names.iter().map(|n| (n.as_str(), n.as_bytes())).collect();
    server.put("datasets/GETALP/flue", &files);
    let d = TempDir::new().unwrap();
    let FlueCls::Parquet(found) = online(&d, &server, &[]).flue_cls().unwrap() else {
        panic!("not Parquet");
    };
    assert_eq!(found.len(), 5);
    server.put("datasets/a/b", &[("CLS/../../../evil.parquet", b"x")]);
    let text = online(&d, &server, &[])
        .dataset_parquet("a/b", "CLS")
        .unwrap_err();
    assert!(text.to_string().contains("leaves its folder"), "{text}");
    server.put("datasets/a/endless", &[("CLS/0.parquet", b"x")]);
    let text = online(&d, &server, &[])
        .dataset_parquet("a/endless", "CLS")
        .unwrap_err();
    assert!(text.to_string().contains("does not end"), "{text}");
}

// ---------------------------------------------------------- the programs

/// A repository with the weights and the tokenizer of tiny-camembert.
fn with_tiny_model(server: &HubServer) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny-camembert");
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        server.put(MODEL, &[(&name, &fs::read(entry.path()).unwrap())]);
    }
}

pub fn connected(w: &Workspace, server: &HubServer, line: &str) -> Command {
    let mut command = w.command(line);
    command
        .env("HF_HUB_OFFLINE", "0")
        .env("HF_ENDPOINT", &server.url)
        .env("NO_PROXY", "*");
    command
}

#[test]
fn what_one_node_downloaded_another_uses_offline() {
    let server = HubServer::start();
    with_tiny_model(&server);
    let w = Workspace::new();
    let line = "flue-cls-finetune -q -a 8 -b 8 --data sample -c owner/model -s out";
    w.fails(
        &format!("{line} --offline"),
        1,
        &["owner/model", "--offline"],
    );
    for (program, weights) in [
        (
            "flue-cls-prepare -q --data sample -c owner/model data",
            false,
        ),
        (line, true),
    ] {
        let output = connected(&w, &server, &format!("{program} --download-only"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            text.contains("models--owner--model") && text.contains("sample"),
            "{text}"
        );
        assert_eq!(server.requests("model.safetensors").is_empty(), !weights);
    }
    assert!(!w.path("out").exists() && !w.path("data").exists());
    let requests = server.requests("").len();
    w.run(&format!("{line} --offline"));
    assert_eq!(server.requests("").len(), requests);
    // Folders that are still to be made are nothing to fetch.
    for program in [
        "data-cls --flaubert-raw owner/model --camembert-raw owner/model",
        "study raw --flaubert owner/model --camembert owner/model",
        "study pipeline --data sample --flaubert owner/model --camembert ./mine",
        "study cone",
    ] {
        let output = connected(&w, &server, &format!("{program} --download-only"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let both = format!("{line} --offline --download-only");
    w.fails(&both, 2, &["--download-only", "--offline"]);
}

#[test]
fn several_programs_download_the_same_file_once() {
    let server = HubServer::start();
    with_tiny_model(&server);
    server.fail("/store/", 1, Fault::Slow(Duration::from_millis(500)));
    let w = Workspace::new();
    let line = "flue-cls-finetune -q --data sample -c owner/model --download-only";
    let runs: Vec<_> = (0..4)
        .map(|_| {
            connected(&w, &server, line)
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let mut files = server.requests("GET /store/");
    let all = files.len();
    files.sort();
    files.dedup();
    assert_eq!(all, files.len(), "{files:?}");
}

#[test]
fn a_download_that_is_killed_is_taken_up_by_the_next_run() {
    let (server, weights) = served();
    server.fail("/store/", 1, Fault::Stall(300_000, Duration::from_secs(20)));
    let w = Workspace::new();
    let line = "data-cls -q --data x --checkpoint owner/model --out o.npy --download-only";
    let mut first = connected(&w, &server, line).spawn().unwrap();
    let blobs = w.path("cache/hub/models--owner--model/blobs");
    wait_for("bytes", || longest(&blobs) == Some(300_000));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(connected(&w, &server, line).status().unwrap().success());
    let store = server.requests("GET /store/");
    assert!(store.last().unwrap().contains("from 300000"), "{store:?}");
    let link = format!("cache/hub/models--owner--model/snapshots/{COMMIT}/model.safetensors");
    assert_eq!(fs::read(w.path(&link)).unwrap(), weights);
}

#[test]
fn a_token_reaches_no_log_no_error_and_no_file() {
    let server = HubServer::start();
    with_tiny_model(&server);
    server.require_token("hf_secretsecret");
    server.fail("/api/", 1, Fault::Status(503, &[]));
    server.fail("/store/", 1, Fault::Cut(100));
    let w = Workspace::new();
    let line = "flue-cls-finetune -vv -a 8 -b 8 --data sample -c owner/model -s out";
    let mut said = String::new();
    for (token, succeeds) in [("hf_secretwrong", false), ("hf_secretsecret", true)] {
        let mut command = connected(&w, &server, line);
        let output = command.env("HF_TOKEN", token).output().unwrap();
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), succeeds, "{said}");
    }
    assert!(
        said.contains("trying again") && said.contains("resuming"),
        "{said}"
    );
    assert!(!said.contains("hf_secret"), "{said}");
    let mut folders = vec![w.path(".")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            let found = bytes.windows(9).any(|part| part == b"hf_secret");
            assert!(!found, "{}", entry.path().display());
            files += 1;
        }
    }
    assert!(files > 10);
}

// ------------------------------------------------------- certificates

/// What comes of asking a hub whose certificate no store vouches for, with these variables.
fn over_https(set: &[(&str, &str)]) -> Result<(), String> {
    let server = HubServer::start_https();
    server.put(
        MODEL,
        &[("config.json", b"{}"), ("model.safetensors", &[7; 5000])],
    );
    let d = TempDir::new().unwrap();
    let result = online(&d, &server, set).checkpoint("owner/model");
    result.map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn the_certificates_of_a_file_or_folder_are_believed() {
    let d = TempDir::new().unwrap();
    let authority = crate::common::fixtures().join("hub/authority.pem");
    let file = authority.to_str().unwrap();
    let folder = d.path().join("certificates");
    fs::create_dir(&folder).unwrap();
    // As `openssl rehash` would name it, and as a person would.
    fs::copy(&authority, folder.join("authority.crt")).unwrap();
    let folder = folder.to_str().unwrap();
    let folders = format!("{}:{folder}", d.path().join("absent").display());
    for set in [
        ("SSL_CERT_FILE", file),
        ("SSL_CERT_DIR", folder),
        ("SSL_CERT_DIR", &folders),
        ("REQUESTS_CA_BUNDLE", file),
        ("REQUESTS_CA_BUNDLE", folder),
        ("CURL_CA_BUNDLE", file),
    ] {
        assert_eq!(over_https(&[set]), Ok(()), "{set:?}");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let text = over_https(&[]).unwrap_err();
    assert!(
        text.contains("UnknownIssuer") && text.contains("SSL_CERT_FILE"),
        "{text}"
    );
    // Another authority's file, by a variable that comes first: the server's own certificate is no
    // authority.
    let fixture = |name: &str| crate::common::fixtures().join("hub").join(name);
    let (authority, other) = (fixture("authority.pem"), fixture("server.pem"));
    let (authority, other) = (authority.to_str().unwrap(), other.to_str().unwrap());
    let text =
        over_https(&[("SSL_CERT_FILE", authority), ("REQUESTS_CA_BUNDLE", other)]).unwrap_err();
    assert!(text.contains("certificate"), "{text}");
    let text = over_https(&[("SSL_CERT_FILE", other), ("SSL_CERT_DIR", authority)]).unwrap_err();
    assert!(text.contains("certificate"), "{text}");
    let both = [("REQUESTS_CA_BUNDLE", authority), ("SSL_CERT_FILE", other)];
    assert_eq!(over_https(&both), Ok(()));
}
