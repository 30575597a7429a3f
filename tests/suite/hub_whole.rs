//! What is in the cache is of one commit and whole, whatever happens at the hub and on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flue_study::hub::HubOptions;
use tempfile::TempDir;

use crate::common::{Workspace, wait_for};
use crate::hub::{MODEL, hub_in, message, offline, online, served};
use crate::hub_network::connected;
use crate::hub_server::{COMMIT, Fault, HubServer, sha256};

/// The commit after [`COMMIT`].
const NEXT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// A server with a model and the settings of its tokenizer.
fn with_settings() -> HubServer {
    let (server, _) = served();
    server.put(MODEL, &[("tokenizer_config.json", b"{}")]);
    server
}

#[test]
fn all_files_are_of_the_commit_that_was_listed() {
    let server = with_settings();
    let d = TempDir::new().unwrap();
    online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    let asked = server.requests("/resolve/");
    let pinned = format!("/resolve/{COMMIT}/");
    assert!(
        asked.len() > 4 && asked.iter().all(|r| r.contains(&pinned)),
        "{asked:?}"
    );
    // A mirror that moves on in between and answers for another commit.
    let d = TempDir::new().unwrap();
    let listed = online(&d, &server, &[]).tokenizer("owner/model").unwrap();
    server.commit(NEXT);
    let hub = online(&d, &server, &[]);
    let folder = hub.checkpoint("owner/model").unwrap();
    assert!(listed.ends_with(COMMIT) && folder.ends_with(NEXT));
    assert!(folder.join("tokenizer_config.json").is_file() && folder.join("config.json").is_file());
}

#[test]
fn a_file_that_changes_during_its_download_is_not_kept() {
    let (server, _) = served();
    server.fail("model.safetensors", 1, Fault::None);
    server.fail("model.safetensors", 1, Fault::Length(400_000));
    server.fail("/store/", 1, Fault::Cut(100_000));
    let d = TempDir::new().unwrap();
    let text = message(online(&d, &server, &[]).checkpoint("owner/model"));
    assert!(text.contains("changed during its download"), "{text}");
    let blobs = d.path().join("hub/models--owner--model/blobs");
    let sizes = fs::read_dir(blobs)
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len());
    assert!(sizes.max().unwrap() < 1000);
    online(&d, &server, &[]).checkpoint("owner/model").unwrap();
}

#[test]
fn an_update_that_fails_leaves_the_old_commit_in_use() {
    let server = with_settings();
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).tokenizer("owner/model").unwrap();
    server.commit(NEXT);
    server.fail("tokenizer.json", 99, Fault::Status(403, &[]));
    message(online(&d, &server, &[]).checkpoint("owner/model"));
    let hub = hub_in(d.path(), offline(), &[]);
    assert_eq!(hub.tokenizer("owner/model").unwrap(), folder);
}

#[test]
fn a_tokenizer_without_its_settings_is_not_taken_for_whole() {
    let server = with_settings();
    server.fail("tokenizer_config.json", 1, Fault::Status(404, &[]));
    let d = TempDir::new().unwrap();
    message(online(&d, &server, &[]).tokenizer("owner/model"));
    let folder = online(&d, &server, &[]).tokenizer("owner/model").unwrap();
    assert!(folder.join("tokenizer_config.json").is_file());
    // The same for one file that somebody removed.
    fs::remove_file(folder.join("tokenizer_config.json")).unwrap();
    let before = server.requests("").len();
    online(&d, &server, &[]).tokenizer("owner/model").unwrap();
    assert!(folder.join("tokenizer_config.json").is_file());
    assert_eq!(
        server.requests("").len(),
        before + 2,
        "{:?}",
        server.requests("")
    );
}

/// `AutoModel.from_pretrained` fetches a model without its tokenizer.
#[test]
fn a_model_that_python_cached_alone_gets_its_tokenizer() {
    let server = with_settings();
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    let tokenizer = ["tokenizer.json", "tokenizer_config.json", "vocab.json"];
    for file in tokenizer {
        fs::remove_file(folder.join(file)).unwrap();
    }
    let hub = hub_in(d.path(), offline(), &[]);
    assert_eq!(hub.checkpoint("owner/model").unwrap(), folder);
    server.commit(NEXT);
    // The commit of the cache is gone from the hub: what is there is used.
    assert_eq!(
        online(&d, &server, &[]).checkpoint("owner/model").unwrap(),
        folder
    );
    server.commit(COMMIT);
    assert_eq!(
        online(&d, &server, &[]).checkpoint("owner/model").unwrap(),
        folder
    );
    assert!(tokenizer.iter().all(|f| folder.join(f).is_file()));
}

#[test]
fn others_may_read_the_cache() {
    let server = with_settings();
    let w = Workspace::new();
    let line = "data-cls -q --data x --checkpoint owner/model --out o.npy --download-only";
    let program = connected(&w, &server, line);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "umask 022; exec \"$0\" \"$@\""])
        .arg(program.get_program());
    shell.args(program.get_args()).current_dir(w.path("."));
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap());
    }
    assert!(shell.stdout(Stdio::null()).status().unwrap().success());
    let mut folders = vec![w.path("cache/hub/models--owner--model")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let meta = fs::metadata(entry.path()).unwrap();
            assert_eq!(
                meta.permissions().mode() & 0o444,
                0o444,
                "{:?}",
                entry.path()
            );
            folders.extend(meta.is_dir().then(|| entry.path()));
        }
    }
}

#[test]
fn a_mirror_with_all_files_on_one_host_serves() {
    let (server, weights) = served();
    server.keep_files_on_one_host();
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
}

#[test]
fn names_of_files_and_revisions_are_encoded() {
    let server = HubServer::start();
    let index = r#"{"weight_map": {"a": "model 1#é?%.safetensors"}}"#;
    server.put(
        MODEL,
        &[
            ("config.json", b"{}"),
            ("model.safetensors.index.json", index.as_bytes()),
            ("model 1#é?%.safetensors", &[7; 5000]),
        ],
    );
    let d = TempDir::new().unwrap();
    let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
    let shard = fs::read(folder.join("model 1#é?%.safetensors")).unwrap();
    assert_eq!(shard, [7; 5000]);
    let options = HubOptions {
        revision: Some("main#x".into()),
        ..Default::default()
    };
    let endpoint = [("HF_ENDPOINT", server.url.as_str())];
    let text = message(hub_in(d.path(), options, &endpoint).checkpoint("owner/model"));
    assert!(
        text.contains("main%23x") && text.contains("no branch"),
        "{text}"
    );
}

#[test]
fn what_the_hub_says_is_passed_on() {
    let (server, _) = served();
    let expired = Fault::Status(401, &[("X-Error-Message", "Invalid credentials in header")]);
    server.fail("/api/", 1, expired);
    let d = TempDir::new().unwrap();
    let text = message(online(&d, &server, &[("HF_TOKEN", "hf_old")]).checkpoint("owner/model"));
    assert!(
        text.contains("not valid") && text.contains("in header"),
        "{text}"
    );
    assert!(!text.contains("hf_old"), "{text}");
    let zenodo = HubServer::start();
    zenodo.fail("/records/", 99, Fault::Status(404, &[]));
    let text = online(&d, &server, &[("ZENODO_ENDPOINT", &zenodo.url)])
        .flue_cls()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("status 404") && text.contains("--data"),
        "{text}"
    );
}

/// Start `line` against `server`, send SIGINT when the longest file of the model has `size` bytes,
/// and wait.
fn interrupted(w: &Workspace, server: &HubServer, size: u64) -> (Option<i32>, Duration) {
    let line = "data-cls -q --data x --checkpoint owner/model --out o.npy --download-only";
    let mut child = connected(w, server, line).spawn().unwrap();
    let blobs = w.path("cache/hub/models--owner--model/blobs");
    wait_for("bytes", || longest(&blobs) == Some(size));
    let start = Instant::now();
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    (child.wait().unwrap().code(), start.elapsed())
}

/// The size of the longest file of a folder.
pub fn longest(folder: &Path) -> Option<u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.metadata().map_or(0, |m| m.len())).max()
}

#[test]
fn a_signal_does_not_wait_for_a_silent_server() {
    let (server, _) = served();
    let silence = Duration::from_secs(25);
    server.fail("/store/", 1, Fault::Stall(300_000, silence));
    let w = Workspace::new();
    let (code, time) = interrupted(&w, &server, 300_000);
    assert_eq!(code, Some(130));
    assert!(time < silence / 2, "{time:?}");
    server.fail("/api/", 1, Fault::Slow(silence));
    let line = "data-cls -q --data x --checkpoint owner/model --out o.npy --download-only";
    let before = server.requests("/api/").len();
    let mut child = connected(&w, &server, line).spawn().unwrap();
    wait_for("request", || server.requests("/api/").len() > before);
    let start = Instant::now();
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < silence / 2);
}

/// The signal mostly comes while the digest is computed.
#[test]
fn a_signal_after_the_last_byte_loses_nothing() {
    const SIZE: usize = 150_000_000;
    let server = HubServer::start();
    let weights = vec![3; SIZE];
    server.put(
        MODEL,
        &[("config.json", b"{}"), ("model.safetensors", &weights)],
    );
    let w = Workspace::new();
    let (code, _) = interrupted(&w, &server, SIZE as u64);
    let repository = w.path("cache/hub/models--owner--model");
    let digest = sha256(&weights);
    let (blob, part) = (digest.clone(), format!("{digest}.incomplete"));
    let length =
        |name: &str| fs::metadata(repository.join("blobs").join(name)).map_or(0, |m| m.len());
    match code {
        Some(0) => assert_eq!(length(&blob), SIZE as u64),
        _ => assert_eq!(
            (code, length(&part).max(length(&blob))),
            (Some(130), SIZE as u64)
        ),
    }
}

#[test]
fn a_download_shows_its_size_and_speed() {
    let server = with_settings();
    let w = Workspace::new();
    let line = "data-cls --data x --checkpoint owner/model --out o.npy --download-only";
    let output = connected(&w, &server, line).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let words = "download model.safetensors: 500.00 kB/500.00 kB, 0 s, ";
    assert!(said.contains(words) && said.contains("B/s"), "{said}");
}
