//! The test server and Python's `huggingface_hub`: it speaks the hub's protocol, and both sides
//! share one cache.
//!
//! These run with both Pythons of [`crate::python`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flue_study::hub::FlueCls;
use tempfile::TempDir;

use crate::hub::{MODEL, hub_in, offline, online, served};
use crate::hub_server::HubServer;
use crate::python::pythons;

/// Run a script with a cache in `home`; what it prints.
fn script(python: &Path, home: &Path, server: &HubServer, offline: bool, script: &str) -> String {
    let output = Command::new(python)
        .args(["-c", script])
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", &server.url)
        .env("HF_HUB_OFFLINE", if offline { "1" } else { "0" })
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Both versions of the package: 0.36 reads the one variable, 2.4 the other.
#[test]
#[ignore = "needs the Pythons of .ci/run"]
fn certificates_that_one_side_believes_the_other_does() {
    for python in pythons() {
        let server = HubServer::start_https();
        server.put(
            MODEL,
            &[("config.json", b"{}"), ("model.safetensors", &[7; 5000])],
        );
        let authority = crate::common::fixtures().join("hub/authority.pem");
        let authority = authority.to_str().unwrap();
        let d = TempDir::new().unwrap();
        let source = format!(
            "import os\nfor n in ('REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE'): os.environ[n] = {authority:?}\n{SNAPSHOT}"
        );
        let folder = script(&python, d.path(), &server, false, &source);
        assert!(Path::new(&folder).join("config.json").is_file());
        for name in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            let d = TempDir::new().unwrap();
            let found = online(&d, &server, &[(name, authority)]).checkpoint("owner/model");
            assert!(found.unwrap().join("config.json").is_file(), "{name}");
        }
    }
}

const SNAPSHOT: &str = "from huggingface_hub import snapshot_download as s\n\
                        print(s('owner/model', allow_patterns=['*.json', 'model.safetensors']))";

#[test]
#[ignore = "needs the Pythons of .ci/run"]
fn a_model_that_one_side_downloaded_the_other_uses() {
    for python in pythons() {
        let (server, weights) = served();
        let d = TempDir::new().unwrap();
        let folder = script(&python, d.path(), &server, false, SNAPSHOT);
        let folder = PathBuf::from(folder);
        assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
        let found = hub_in(d.path(), offline(), &[]).checkpoint("owner/model");
        assert_eq!(found.unwrap(), folder);
        let d = TempDir::new().unwrap();
        let folder = online(&d, &server, &[]).checkpoint("owner/model").unwrap();
        let same = script(&python, d.path(), &server, true, SNAPSHOT);
        assert_eq!(PathBuf::from(same), folder);
    }
}

#[test]
#[ignore = "needs the Pythons of .ci/run"]
fn the_corpus_that_one_side_downloaded_the_other_uses() {
    for python in pythons() {
        let server = HubServer::start();
        let files: [(&str, &[u8]); 3] = [
            ("CLS/test/0000.parquet", &[3; 2000]),
            ("CLS/train/0000.parquet", &[1; 2000]),
            ("README.md", b"x"),
        ];
        server.put("datasets/GETALP/flue", &files);
        let source = "from huggingface_hub import snapshot_download as s\n\
                  print(s('GETALP/flue', repo_type='dataset', revision='refs/convert/parquet', allow_patterns=['CLS/**']))";
        let d = TempDir::new().unwrap();
        let folder = script(&python, d.path(), &server, false, source);
        let FlueCls::Parquet(found) = hub_in(d.path(), offline(), &[]).flue_cls().unwrap() else {
            panic!("not Parquet");
        };
        assert!(
            found.iter().all(|(_, path)| path.starts_with(&folder)),
            "{found:?}"
        );
        let d = TempDir::new().unwrap();
        online(&d, &server, &[]).flue_cls().unwrap();
        let again = PathBuf::from(script(&python, d.path(), &server, true, source));
        assert!(again.join("CLS/train/0000.parquet").is_file());
    }
}

/// What the library makes of every kind of answer.
#[test]
#[ignore = "needs the Pythons of .ci/run"]
fn the_server_speaks_the_protocol_of_the_hub() {
    for python in pythons() {
        let (server, weights) = served();
        server.rename("models/old-name", MODEL);
        server.put(
            "datasets/a/b",
            &[("x/1", b"1"), ("x/2", b"2"), ("x/3", b"3")],
        );
        let source = r"
from huggingface_hub import HfApi, hf_hub_download, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError
api = HfApi()
print(api.model_info('owner/model').sha)
print(sorted(s.rfilename for s in api.dataset_info('a/b').siblings))
print([e.path for e in api.list_repo_tree('a/b', 'x', repo_type='dataset', recursive=True)])
facts = get_hf_file_metadata(hf_hub_url('owner/model', 'model.safetensors'))
print(facts.size, len(facts.etag), facts.commit_hash)
print(len(open(hf_hub_download('old-name', 'model.safetensors'), 'rb').read()))
for error, args in [(RepositoryNotFoundError, ('a/absent', 'x')), (EntryNotFoundError, ('owner/model', 'absent'))]:
    try: hf_hub_download(*args)
    except error: print(error.__name__)
try: hf_hub_download('owner/model', 'config.json', revision='v9')
except RevisionNotFoundError: print('revision')
";
        let d = TempDir::new().unwrap();
        let said = script(&python, d.path(), &server, false, source);
        let lines: Vec<_> = said.lines().collect();
        let commit = crate::hub_server::COMMIT;
        assert_eq!(lines[0], commit);
        assert_eq!(lines[1], "['x/1', 'x/2', 'x/3']");
        assert_eq!(lines[2], "['x/1', 'x/2', 'x/3']");
        assert_eq!(lines[3], format!("{} 64 {commit}", weights.len()));
        assert_eq!(lines[4], weights.len().to_string());
        assert_eq!(
            lines[5..7],
            ["RepositoryNotFoundError", "EntryNotFoundError"]
        );
        assert_eq!(lines[7], "revision");
        server.require_token("hf_right");
        let source = "from huggingface_hub import hf_hub_download\n\
                  from huggingface_hub.errors import GatedRepoError\n\
                  try: hf_hub_download('owner/model', 'vocab.json')\n\
                  except GatedRepoError: print('gated')\n\
                  print(open(hf_hub_download('owner/model', 'vocab.json', token='hf_right')).read())";
        let said = script(&python, d.path(), &server, false, source);
        assert_eq!(said, "gated\n{}");
    }
}
