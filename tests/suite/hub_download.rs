//! Downloads from a hub on the loopback address: what is fetched, and what happens when the network
//! fails.

use std::fs;
use std::path::Path;
use std::time::Duration;

use flue_study::error::Error;
use flue_study::hub::{FlueCls, HubOptions};
use tempfile::TempDir;

use crate::hub::{MODEL, hub_in, message, offline, online, served};
use crate::hub_server::{COMMIT, Fault, HubServer};

#[test]
fn only_what_is_needed_is_downloaded_once_and_laid_out_as_python_does() {
    let (server, weights) = served();
    let d = TempDir::new().unwrap();
    let hub = online(&d, &server, &[]);
    let folder = hub.checkpoint("owner/model").unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "vocab.json"
        ]
    );
    let repository = d.path().join("hub/models--owner--model");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(
        fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    let link = fs::read_link(folder.join("model.safetensors")).unwrap();
    let digest = crate::hub_server::sha256(&weights);
    assert_eq!(link, Path::new("../../blobs").join(digest));
    assert!(server.requests("pytorch_model.bin").is_empty());
    let before = server.requests("").len();
    assert_eq!(hub.checkpoint("owner/model").unwrap(), folder);
    assert_eq!(server.requests("").len(), before, "the cache comes first");
}

#[test]
fn a_tokenizer_comes_without_weights() {
    let (server, _) = served();
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).tokenizer("owner/model").unwrap();
    assert!(folder.join("tokenizer.json").is_file() && folder.join("config.json").is_file());
    assert!(!folder.join("model.safetensors").exists());
    let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    assert!(
        folder.join("model.safetensors").is_file(),
        "what is missing is added"
    );
}

#[test]
fn shards_follow_their_index() {
    let server = HubServer::start();
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    server.put(
        MODEL,
        &[
            ("config.json", b"{}"),
            ("model.safetensors.index.json", index),
            ("model-1.safetensors", &[1; 5000]),
            ("model-2.safetensors", &[2; 5000]),
        ],
    );
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    assert_eq!(
        fs::read(folder.join("model-2.safetensors")).unwrap(),
        [2; 5000]
    );
}

#[test]
fn a_renamed_repository_is_followed() {
    let (server, _) = served();
    server.rename("models/old-name", MODEL);
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).checkpoint("old-name").unwrap();
    assert!(
        folder.starts_with(d.path().join("hub/models--old-name")),
        "{folder:?}"
    );
}

#[test]
fn a_cut_download_is_resumed_where_it_stopped() {
    let (server, weights) = served();
    server.fail("/store/", 1, Fault::Cut(200_000));
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
    let requests = server.requests("GET /store/");
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[1].contains("from 200000"), "{requests:?}");
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let (server, weights) = served();
    server.fail("/store/", 1, Fault::Cut(1000));
    server.fail("/store/", 1, Fault::IgnoreRange);
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
}

#[test]
fn what_an_earlier_run_left_is_taken_up_even_when_it_is_spoiled() {
    let (server, weights) = served();
    let digest = crate::hub_server::sha256(&weights);
    for (spoiled, downloads) in [(false, 1), (true, 2)] {
        let d = TempDir::new().unwrap();
        let blobs = d.path().join("hub/models--owner--model/blobs");
        fs::create_dir_all(&blobs).unwrap();
        let mut part = weights[..123_456].to_vec();
        part[7] ^= u8::from(spoiled);
        fs::write(blobs.join(format!("{digest}.incomplete")), part).unwrap();
        let before = server.requests("GET /store/").len();
        let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
        assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
        let requests = server.requests("GET /store/");
        assert_eq!(requests.len() - before, downloads, "{requests:?}");
        assert!(requests[before].contains("from 123456"), "{requests:?}");
    }
}

#[test]
fn a_wrong_content_is_never_kept() {
    let (server, _) = served();
    server.fail("/store/", 9, Fault::Spoil);
    let d = TempDir::new().unwrap();
    let text = message(online(&d, &server, &[]).checkpoint("owner/model"));
    assert!(
        text.contains("SHA-256") && !text.contains("secret"),
        "{text}"
    );
    let repository = d.path().join("hub/models--owner--model");
    let link = repository
        .join("snapshots")
        .join(COMMIT)
        .join("model.safetensors");
    assert!(!link.exists());
    let left: Vec<_> = fs::read_dir(repository.join("blobs"))
        .unwrap()
        .map(|e| fs::metadata(e.unwrap().path()).unwrap().len())
        .collect();
    assert!(left.iter().all(|&n| n < 1000), "{left:?}");
}

#[test]
fn a_busy_server_is_waited_for() {
    let (server, _) = served();
    server.fail("/api/", 1, Fault::Status(429, &[("Retry-After", "1")]));
    server.fail("/api/", 1, Fault::Status(503, &[]));
    server.fail("config.json", 1, Fault::Slow(Duration::from_millis(300)));
    let d = TempDir::new().unwrap();
    let start = std::time::Instant::now();
    online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    assert_eq!(server.requests("/api/").len(), 3);
    assert!(
        start.elapsed() >= Duration::from_secs(1),
        "Retry-After was not kept"
    );
}

#[test]
fn a_refusal_is_put_in_words() {
    let (server, _) = served();
    let d = TempDir::new().unwrap();
    let text = message(online(&d, &server, &[]).checkpoint("owner/absent"));
    assert!(
        text.contains("owner/absent") && text.contains("no such repository"),
        "{text}"
    );
    let other = HubOptions {
        revision: Some("v9".into()),
        ..Default::default()
    };
    let variables = [("HF_ENDPOINT", server.url.as_str())];
    let text = message(hub_in(d.path(), other, &variables).checkpoint("owner/model"));
    assert!(
        text.contains("revision/v9") && text.contains("--revision"),
        "{text}"
    );
    server.put(
        "models/owner/flax",
        &[("config.json", b"{}"), ("flax_model.msgpack", b"x")],
    );
    let text = message(online(&d, &server, &[]).checkpoint("owner/flax"));
    assert!(text.contains("no weights"), "{text}");
    let nobody = [("HF_ENDPOINT", "http://127.0.0.1:9")];
    let hub = hub_in(d.path(), HubOptions::default(), &nobody);
    assert!(matches!(
        hub.checkpoint("owner/x"),
        Err(Error::Network { .. })
    ));
}

#[test]
fn a_token_opens_a_gated_repository_and_stays_with_the_hub() {
    let (server, _) = served();
    server.require_token("hf_right");
    let d = TempDir::new().unwrap();
    let text = message(online(&d, &server, &[]).checkpoint("owner/model"));
    assert!(
        text.contains("restricted") && text.contains("HF_TOKEN"),
        "{text}"
    );
    let text = message(online(&d, &server, &[("HF_TOKEN", "hf_wrong")]).checkpoint("owner/model"));
    assert!(
        text.contains("no right") && !text.contains("hf_wrong"),
        "{text}"
    );
    online(&d, &server, &[("HF_TOKEN", "hf_right")])
        .checkpoint("owner/model")
        .unwrap();
    let store = server.requests("/store/");
    assert!(
        !store.is_empty() && store.iter().all(|r| !r.contains("token")),
        "{store:?}"
    );
}

#[test]
fn many_runs_may_download_the_same_file() {
    let (server, weights) = served();
    let d = TempDir::new().unwrap();
    std::thread::scope(|s| {
        for _ in 0..6 {
            s.spawn(|| {
                let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
                assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
            });
        }
    });
    assert_eq!(server.requests("GET /store/").len(), 1);
}

// ---------------------------------------------------------- the corpus

const ZENODO: &str = "/records/3251672/files/cls-acl10-unprocessed.tar.gz";

/// An archive with the six French files and their German namesakes, and a link under a name if one
/// is given.
fn archive(link: Option<&str>) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for language in ["de", "fr"] {
        for category in ["books", "dvd", "music"] {
            for split in ["train", "test"] {
                let mut header = tar::Header::new_gnu();
                let text = format!("{language} {category} {split}");
                header.set_size(text.len() as u64);
                header.set_mode(0o644);
                let path = format!("cls-acl10-unprocessed/{language}/{category}/{split}.review");
                tar.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
        }
    }
    if let Some(path) = link {
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, path, "/etc/passwd").unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn flue_comes_as_parquet_and_then_from_the_cache() {
    let server = HubServer::start();
    server.put(
        "datasets/GETALP/flue",
        &[
            ("CLS/test/0000.parquet", &[3; 2000]),
            ("CLS/train/0000.parquet", &[1; 2000]),
            ("CLS/train/0001.parquet", &[2; 2000]),
            ("PAWS-X/train/0000.parquet", &[9; 2000]),
        ],
    );
    let d = TempDir::new().unwrap();
    let FlueCls::Parquet(files) = online(&d, &server, &[]).flue_cls().unwrap() else {
        panic!("not Parquet");
    };
    let splits: Vec<_> = files.iter().map(|(s, _)| s.as_str()).collect();
    assert_eq!(splits, ["test", "train", "train"]);
    assert_eq!(fs::read(&files[2].1).unwrap(), [2; 2000]);
    assert!(server.requests("PAWS").is_empty());
    let again = hub_in(d.path(), offline(), &[]).flue_cls().unwrap();
    assert_eq!(again, FlueCls::Parquet(files.clone()));
    // What is in the cache needs no network, nor settings for one.
    let again = online(&d, &server, &[("HTTP_PROXY", "http://[")]).flue_cls();
    assert_eq!(again.unwrap(), FlueCls::Parquet(files));
    let missing = hub_in(d.path(), offline(), &[]).dataset_parquet("GETALP/flue", "PAWS-X");
    let text = missing.unwrap_err().to_string();
    assert!(
        text.contains("PAWS-X") && text.contains("--offline"),
        "{text}"
    );
}

#[test]
fn without_parquet_the_french_part_of_the_archive_is_taken() {
    let server = HubServer::start();
    server.file(
        ZENODO,
        &archive(Some("cls-acl10-unprocessed/fr/books/link")),
    );
    server.fail(ZENODO, 1, Fault::Slow(Duration::ZERO));
    server.fail(ZENODO, 1, Fault::Cut(100));
    let d = TempDir::new().unwrap();
    let hub = online(&d, &server, &[("ZENODO_ENDPOINT", &server.url)]);
    let FlueCls::Webis(folder) = hub.flue_cls().unwrap() else {
        panic!("not the archive");
    };
    let french = folder.join("cls-acl10-unprocessed/fr");
    let read = |file: &str| fs::read_to_string(french.join(file)).unwrap();
    assert_eq!(read("books/train.review"), "fr books train");
    assert_eq!(read("music/test.review"), "fr music test");
    assert!(!folder.join("cls-acl10-unprocessed/de").exists());
    let requests = server.requests("GET /records");
    assert!(
        requests.len() == 2 && requests[1].contains("from 100"),
        "{requests:?}"
    );
    let again = hub_in(d.path(), offline(), &[]).flue_cls().unwrap();
    assert_eq!(again, FlueCls::Webis(folder.clone()));
    let left: Vec<_> = fs::read_dir(folder.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    assert_eq!(left, ["zenodo-3251672"], "the archive is not kept");
}

#[test]
fn a_broken_or_hostile_archive_leaves_nothing() {
    let server = HubServer::start();
    let whole = archive(None);
    let linked = archive(Some("cls-acl10-unprocessed/fr/books/train.review"));
    for (bytes, complaint) in [
        (&whole[..whole.len() / 2], "download it again"),
        (&linked[..], "no link"),
    ] {
        server.file(ZENODO, bytes);
        let d = TempDir::new().unwrap();
        let hub = online(&d, &server, &[("ZENODO_ENDPOINT", &server.url)]);
        let text = hub.flue_cls().unwrap_err().to_string();
        assert!(
            text.contains("tar.gz") && text.contains(complaint),
            "{text}"
        );
        let own = d.path().join("flue-study");
        assert!(fs::read_dir(own).unwrap().all(|e| {
            let name = e.unwrap().file_name().into_string().unwrap();
            name.ends_with(".lock")
        }));
    }
}

#[test]
fn when_both_sources_fail_the_message_names_both() {
    let server = HubServer::start();
    let d = TempDir::new().unwrap();
    let hub = online(&d, &server, &[("ZENODO_ENDPOINT", &server.url)]);
    let text = hub.flue_cls().unwrap_err().to_string();
    assert!(
        text.contains("3251672") && text.contains("GETALP/flue"),
        "{text}"
    );
    let text = hub_in(d.path(), offline(), &[]).flue_cls().unwrap_err();
    assert!(text.to_string().contains("--data"), "{text}");
}
