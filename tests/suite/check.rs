//! `study check` at the hub of the tests, with expected values that transformers gave.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use candle_core::{DType, Device, Tensor, safetensors};
use serde_json::{Value, json};

use crate::common::{Workspace, fixtures};
use crate::hub_network::connected;
use crate::hub_server::{Fault, HubServer};

/// The files of a folder, as those of a repository.
fn put(server: &HubServer, repository: &str, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        server.put(repository, &[(&name, &fs::read(entry.path()).unwrap())]);
    }
}

/// A hub with encoders and tokenizers that transformers was run on, and a small FLUE CLS; the
/// expected values.
fn hub(w: &Workspace) -> (HubServer, Vec<Value>) {
    let server = HubServer::start();
    let mut values = Vec::new();
    for name in ["camembert", "flaubert"] {
        let folder = fixtures().join("models").join(name);
        put(&server, &format!("models/tiny/{name}"), &folder);
        let expected: HashMap<String, Tensor> =
            safetensors::load(folder.join("expected-4.57.1.safetensors"), &Device::Cpu).unwrap();
        // The first row: 7 tokens, and padding behind them.
        let ids = expected["ids"].to_dtype(DType::U32).unwrap();
        let ids: Vec<u32> = ids.get(0).unwrap().to_vec1().unwrap();
        for (layer, key) in [(Some(1), "hidden.1"), (None, "hidden.2")] {
            let rows = expected[key].get(0).unwrap().to_vec2::<f32>().unwrap();
            let first: Vec<&[f32]> = rows[..3].iter().map(|row| &row[..3]).collect();
            values.push(json!({"kind": "states", "checkpoint": format!("tiny/{name}"), "ids": ids, "layer": layer,
                               "values": first, "tolerance": 1e-5, "source": "transformers 4.57.1"}));
        }
        let folder = fixtures().join("tokenization").join(name);
        let repository = format!("tiny/{name}-tokens");
        put(&server, &format!("models/{repository}"), &folder);
        values.push(json!({"kind": "tokens", "checkpoint": repository, "text": "le", "ids": ids_of(name, "le")}));
    }
    values.push(json!({"kind": "rows", "rows": {"train": 3, "test": 2}}));
    fs::create_dir(w.path("reviews")).unwrap();
    fs::write(
        w.path("reviews/train.csv"),
        "text,label\nbon,1\nmauvais,0\nbien,1\n",
    )
    .unwrap();
    fs::write(w.path("reviews/test.csv"), "text,label\nnul,0\nbeau,1\n").unwrap();
    w.run("flue-cls-prepare -q -c tiny-camembert --data reviews --format parquet flue");
    for split in ["train", "test"] {
        let file = w.path(&format!("flue/{split}/data-00000-of-00001.parquet"));
        let name = format!("CLS/{split}/0000.parquet");
        server.put("datasets/GETALP/flue", &[(&name, &fs::read(file).unwrap())]);
    }
    (server, values)
}

/// The ids of `text` that the Python class gave (`tests/fixtures/tokenization/make_cases.py`).
fn ids_of(family: &str, text: &str) -> Value {
    let cases =
        fs::read_to_string(fixtures().join(format!("tokenization/{family}_cases-4.57.1.jsonl")))
            .unwrap();
    let mut cases = cases
        .lines()
        .map(|line| serde_json::from_str::<Vec<Value>>(line).unwrap());
    let found = match family {
        "camembert" => cases
            .find(|case| case[0] == "camembert" && case[1] == text)
            .unwrap()
            .swap_remove(2),
        _ => cases.find(|case| case[0] == text).unwrap().swap_remove(1),
    };
    assert!(found.is_array());
    found
}

fn check(
    w: &Workspace,
    server: &HubServer,
    values: &[Value],
    options: &str,
) -> (Option<i32>, String, String) {
    fs::write(
        w.path("expected.json"),
        Value::from(values.to_vec()).to_string(),
    )
    .unwrap();
    let line = format!("study check -q --expected expected.json {options}");
    let Output {
        status,
        stdout,
        stderr,
    } = connected(w, server, &line).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn every_value_that_the_peers_gave_agrees() {
    let w = Workspace::new();
    let (server, values) = hub(&w);
    let (status, lines, said) = check(&w, &server, &values, "");
    assert_eq!((status, said.as_str()), (Some(0), ""), "{lines}");
    assert_eq!(lines.lines().count(), values.len());
    assert!(
        lines.lines().all(|line| line.contains(": agreed")),
        "{lines}"
    );
    let last = lines.lines().last().unwrap();
    assert_eq!(
        last,
        "FLUE CLS, rows: expected test 2, train 3, found test 2, train 3: agreed"
    );
    // From now on the network is not needed.
    let before = server.requests("").len();
    let (status, printed, _) = check(&w, &server, &values, "--offline --json");
    assert_eq!((status, server.requests("").len()), (Some(0), before));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["agreed"], values.len());
    let states = &printed["checks"][0];
    assert_eq!(states["outcome"], "agreed");
    assert!(states["difference"].as_f64().unwrap() < 1e-5 && states["found"][2][2].is_number());
}

#[test]
fn what_disagrees_or_is_missing_is_said_in_its_line_and_ends_in_1() {
    let w = Workspace::new();
    let (server, mut values) = hub(&w);
    let moved = values[0]["values"][1][2].as_f64().unwrap() + 0.5;
    values[0]["values"][1][2] = json!(moved);
    values[2]["ids"] = json!([5, 9, 6]);
    values[6]["rows"]["validation"] = json!(7);
    values.push(json!({"kind": "tokens", "checkpoint": "tiny/absent", "text": "le", "ids": [1]}));
    let mut wide = values[3].clone();
    wide["values"][0] = json!(vec![0.0; 17]);
    values.push(wide);
    let (status, lines, said) = check(&w, &server, &values, "");
    assert_eq!(status, Some(1));
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 9, "{lines:?}");
    let disagreed = [0, 2, 6];
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(line.contains("DISAGREED"), disagreed.contains(&i), "{line}");
        assert_eq!(line.contains("NOT CHECKED"), i > 6, "{line}");
    }
    assert!(
        lines[0].contains("DISAGREED (largest difference 5.0e-1)"),
        "{}",
        lines[0]
    );
    assert!(
        lines[2].contains("expected 5 9 6, found 5 138 6"),
        "{}",
        lines[2]
    );
    assert!(lines[6].contains("validation 0"), "{}", lines[6]);
    assert!(lines[7].contains("tiny/absent"), "{}", lines[7]);
    assert!(lines[8].contains("states of 16 numbers"), "{}", lines[8]);
    let words = "of 9 values 3 do not agree and 2 could not be checked";
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_hub_that_does_not_answer_is_said_once_a_line() {
    let w = Workspace::new();
    let (server, values) = hub(&w);
    server.fail("", 99, Fault::Status(404, &[]));
    let (status, lines, _) = check(&w, &server, &values[..3], "");
    assert_eq!(status, Some(1));
    assert_eq!(lines.matches("NOT CHECKED").count(), 3, "{lines}");
    // Without a network and without a cache, the values that come with the program.
    let offline = w.command("study check -q").output().unwrap();
    assert_eq!(offline.status.code(), Some(1));
    let lines = String::from_utf8(offline.stdout).unwrap();
    assert_eq!(lines.matches("NOT CHECKED").count(), 6, "{lines}");
    for words in [
        "camembert-base, last layer",
        "-0.0254 0.0235 0.1027 / 0.0606",
        "test 5999, train 5997",
    ] {
        assert!(lines.contains(words), "no {words} in {lines}");
    }
    w.fails("study check -q --expected absent.json", 1, &["absent.json"]);
}

#[test]
fn what_is_checked_can_be_fetched_first() {
    let w = Workspace::new();
    let (server, values) = hub(&w);
    let (status, printed, said) = check(&w, &server, &values, "--download-only");
    assert_eq!(status, Some(0), "{said}");
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["checkpoints"].as_object().unwrap().len(), 4);
    assert_eq!(printed["data"].as_array().unwrap().len(), 2);
    let before = server.requests("").len();
    assert_eq!(check(&w, &server, &values, "--offline").0, Some(0));
    assert_eq!(server.requests("").len(), before);
}

/// The true tokenizer of camembert-base gives the ids that transformers publishes: the part of the
/// check that needs no weights.
#[test]
#[ignore = "needs the real files of ../shared/real"]
fn the_true_tokenizer_gives_the_published_ids() {
    let real = crate::common::real();
    let w = Workspace::new();
    let server = HubServer::start();
    put(
        &server,
        "models/camembert-base",
        &real.join("camembert-base"),
    );
    let output = connected(&w, &server, "study check -q").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let agreed: Vec<&str> = lines.lines().filter(|l| l.ends_with(": agreed")).collect();
    assert_eq!(agreed.len(), 3, "{lines}");
    assert!(
        agreed
            .iter()
            .all(|line| line.starts_with("camembert-base, ids of")),
        "{lines}"
    );
}
