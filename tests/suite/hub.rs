//! Names become folders without the network: local, compiled in, from the cache that Python fills.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use flue_study::hub::{Hub, HubOptions};
use tempfile::TempDir;

use crate::hub_server::{COMMIT, HubServer};

/// A hub object whose environment holds only what is given, with a cache of its own.
pub fn hub_in(home: &Path, options: HubOptions, variables: &[(&str, &str)]) -> Hub {
    let mut held: Vec<(String, OsString)> = vec![("HF_HOME".into(), home.into())];
    held.extend(
        variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), OsString::from(v))),
    );
    Hub::with_environment(options, move |name| {
        held.iter()
            .rev()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.clone())
    })
}

pub fn offline() -> HubOptions {
    HubOptions {
        offline: true,
        ..Default::default()
    }
}

/// A repository in the cache as Python's `from_pretrained` leaves it: with notes of what the commit
/// does not have.
fn cached(home: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let absent = home.join(format!(
        "hub/models--{}/.no_exist/{COMMIT}",
        name.replace('/', "--")
    ));
    fs::create_dir_all(&absent).unwrap();
    for file in [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    ] {
        fs::write(absent.join(file), "").unwrap();
    }
    let folder = home
        .join("hub")
        .join(format!("models--{}", name.replace('/', "--")));
    let snapshot = folder.join("snapshots").join(COMMIT);
    for part in ["blobs", "refs"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(folder.join("refs/main"), COMMIT).unwrap();
    for (i, (file, content)) in files.iter().enumerate() {
        let blob = format!("blob{i}");
        fs::write(folder.join("blobs").join(&blob), content).unwrap();
        std::os::unix::fs::symlink(Path::new("../../blobs").join(&blob), snapshot.join(file))
            .unwrap();
    }
    snapshot
}

pub fn message(result: flue_study::error::Result<PathBuf>) -> String {
    result.unwrap_err().to_string()
}

pub const MODEL: &str = "models/owner/model";

/// A server with one model, whose weights are large enough to come from the store.
pub fn served() -> (HubServer, Vec<u8>) {
    let weights: Vec<u8> = (0..500_000u32).map(|i| ((i * 7919) >> 5) as u8).collect();
    let server = HubServer::start();
    server.put(
        MODEL,
        &[
            ("config.json", b"{}"),
            ("model.safetensors", &weights),
            ("pytorch_model.bin", b"never wanted"),
            ("tf_model.h5", b"never wanted"),
            ("tokenizer.json", b"{\"t\": 1}"),
            ("vocab.json", b"{}"),
        ],
    );
    (server, weights)
}

pub fn online(d: &TempDir, server: &HubServer, more: &[(&str, &str)]) -> Hub {
    let mut variables = vec![("HF_ENDPOINT", server.url.as_str()), ("NO_PROXY", "*")];
    variables.extend_from_slice(more);
    hub_in(d.path(), HubOptions::default(), &variables)
}

#[test]
fn a_folder_is_itself_and_must_hold_a_configuration() {
    let d = TempDir::new().unwrap();
    let hub = hub_in(d.path(), offline(), &[]);
    let folder = d.path().join("mine");
    fs::create_dir(&folder).unwrap();
    let name = folder.to_str().unwrap();
    let text = message(hub.checkpoint(name));
    assert!(text.contains("mine/config.json not found"), "{text}");
    assert_eq!(hub.tokenizer(name).unwrap(), folder);
    fs::write(folder.join("config.json"), "{}").unwrap();
    assert_eq!(hub.checkpoint(name).unwrap(), folder);
}

#[test]
fn the_tiny_checkpoints_are_always_there() {
    let d = TempDir::new().unwrap();
    let hub = hub_in(d.path(), offline(), &[]);
    for name in ["tiny-camembert", "tiny-flaubert"] {
        let folder = hub.checkpoint(name).unwrap();
        assert!(folder.starts_with(d.path()) && folder.join("model.safetensors").is_file());
        assert_eq!(hub.tokenizer(name).unwrap(), folder);
    }
}

#[test]
fn what_python_cached_is_used_without_a_request() {
    let d = TempDir::new().unwrap();
    let whole = [
        ("config.json", "{}"),
        ("pytorch_model.bin", "x"),
        ("tokenizer.json", "{}"),
    ];
    let snapshot = cached(d.path(), "camembert-base", &whole);
    // An endpoint that nobody listens at: any request would fail.
    let nowhere = [("HF_ENDPOINT", "http://127.0.0.1:9")];
    let hub = hub_in(d.path(), HubOptions::default(), &nowhere);
    assert_eq!(hub.checkpoint("camembert-base").unwrap(), snapshot);
    assert_eq!(hub.tokenizer("camembert-base").unwrap(), snapshot);
    let pinned = HubOptions {
        revision: Some(COMMIT.into()),
        offline: true,
        ..Default::default()
    };
    let hub = hub_in(d.path(), pinned, &[]);
    assert_eq!(hub.checkpoint("camembert-base").unwrap(), snapshot);
}

#[test]
fn what_is_missing_offline_is_named_with_the_remedy() {
    let d = TempDir::new().unwrap();
    let hub = hub_in(d.path(), offline(), &[]);
    let text = message(hub.checkpoint("flaubert/flaubert_base_cased"));
    for words in [
        "checkpoint `flaubert/flaubert_base_cased` not found",
        "no such folder",
        "hub/models--flaubert--flaubert_base_cased holds nothing for revision main",
        "--offline",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let hub = hub_in(d.path(), HubOptions::default(), &[("HF_HUB_OFFLINE", "1")]);
    cached(d.path(), "a/b", &[("config.json", "{}")]);
    let text = message(hub.checkpoint("a/b"));
    assert!(
        text.contains("holds no weights") && text.contains("HF_HUB_OFFLINE"),
        "{text}"
    );
    let index = r#"{"weight_map": {"w": "model-1.safetensors"}}"#;
    cached(
        d.path(),
        "a/c",
        &[
            ("config.json", "{}"),
            ("model.safetensors.index.json", index),
        ],
    );
    let text = message(hub.checkpoint("a/c"));
    assert!(
        text.contains("lacks the shard model-1.safetensors"),
        "{text}"
    );
    let text = message(hub.checkpoint("./absent"));
    assert!(text.contains("not the name of a repository"), "{text}");
}

#[test]
fn an_index_may_not_lead_out_of_its_folder() {
    let d = TempDir::new().unwrap();
    let index = r#"{"weight_map": {"w": "../../secret.safetensors"}}"#;
    let files = [
        ("config.json", "{}"),
        ("model.safetensors.index.json", index),
    ];
    cached(d.path(), "a/b", &files);
    let text = message(hub_in(d.path(), offline(), &[]).checkpoint("a/b"));
    assert!(text.contains("../../secret.safetensors"), "{text}");
}

#[test]
fn a_short_file_of_the_cache_that_is_huge_is_not_read_whole() {
    let d = TempDir::new().unwrap();
    let files = [
        ("config.json", "{}"),
        ("model.safetensors.index.json", "{}"),
    ];
    let snapshot = cached(d.path(), "a/b", &files);
    let message = || message(hub_in(d.path(), offline(), &[]).checkpoint("a/b"));
    let grow = |path: PathBuf| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    grow(snapshot.join("model.safetensors.index.json"));
    let text = message();
    assert!(
        text.contains("index.json") && text.contains("more than 8388608 bytes"),
        "{text}"
    );
    grow(snapshot.join("../../refs/main"));
    let text = message();
    assert!(text.contains("holds nothing"), "{text}");
}
