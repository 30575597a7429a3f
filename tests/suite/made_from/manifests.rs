//! What stands in the manifests, and under which names.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{copy, cut, json, reviews};
use crate::common::Workspace;

/// The names of what was read; every one has its SHA-256.
fn inputs(manifest: &Value) -> BTreeSet<String> {
    let inputs = manifest["inputs"].as_object().unwrap();
    for (name, digest) in inputs {
        assert_eq!(digest.as_str().unwrap().len(), 64, "{name}");
    }
    inputs.keys().cloned().collect()
}

fn names(parts: &[&[&str]]) -> BTreeSet<String> {
    parts.concat().iter().map(|name| name.to_string()).collect()
}

#[test]
fn every_output_names_what_it_was_made_from() {
    let w = reviews();
    copy(&w, "models/tiny-camembert", "model");
    cut(&w, "model");
    w.run("flue-cls-prepare -q -c model --data rows --no-pad data");
    w.run("flue-cls-finetune -q -a 8 -b 8 -d data -c model -s tuned");
    w.run("data-cls -q --data data --checkpoint model --layers 5,12 --out npy/camembert_raw.npy");
    w.run("data-cls -q --data data --checkpoint tuned --layers 5,12 --out npy/camembert_ft.npy");
    let few = "-q --data data --out";
    w.run(&format!("study layers {few} results/camembert_raw --checkpoint model --cosine-sentences 4 --trace-sentences 4 --erank-sentences 4"));
    w.run(&format!(
        "study compare {few} results/compare --checkpoint model --other tuned"
    ));
    w.run(&format!(
        "study convergence {few} results/convergence --checkpoint tuned"
    ));
    w.run("study cls -q --npy npy --out results/cls --epochs 1");
    w.run("study cone -q --npy npy --out results/cone");
    w.run("study export -q --results results --out tables");
    w.run("study report -q --results results --out report.html");

    let model = [
        "model/config.json",
        "model/model.safetensors.index.json",
        "model/model-00001-of-00002.safetensors",
        "model/model-00002-of-00002.safetensors",
    ];
    let tokenizer = [
        "model/special_tokens_map.json",
        "model/tokenizer.json",
        "model/tokenizer_config.json",
    ];
    let tuned = ["tuned/config.json", "tuned/model.safetensors"];
    let test = [
        "data/dataset_dict.json",
        "data/test/data-00000-of-00001.arrow",
        "data/test/dataset_info.json",
        "data/test/state.json",
    ];
    let train = [
        "data/train/data-00000-of-00001.arrow",
        "data/train/dataset_info.json",
        "data/train/state.json",
    ];
    let arrays = [
        "npy/camembert_ft.npy",
        "npy/camembert_ft.npy.manifest.json",
        "npy/camembert_raw.npy",
        "npy/camembert_raw.npy.manifest.json",
    ];
    let reviews = ["rows/test.csv", "rows/train.csv", "model/config.json"];
    let cases: [(&str, &[&[&str]]); 9] = [
        ("data/manifest.json", &[&reviews, &tokenizer]),
        ("tuned/manifest.json", &[&model, &tokenizer, &train, &test]),
        (
            "npy/camembert_raw.npy.manifest.json",
            &[&model, &train, &test],
        ),
        (
            "npy/camembert_ft.npy.manifest.json",
            &[&tuned, &train, &test],
        ),
        ("results/camembert_raw/manifest.json", &[&model, &test]),
        ("results/compare/manifest.json", &[&model, &tuned, &test]),
        ("results/convergence/manifest.json", &[&tuned, &test]),
        ("results/cls/manifest.json", &[&arrays]),
        ("results/cone/manifest.json", &[&arrays]),
    ];
    for (manifest, expected) in cases {
        assert_eq!(
            inputs(&json(&w.path(manifest))),
            names(expected),
            "{manifest}"
        );
    }
    let tables = inputs(&json(&w.path("tables/manifest.json")));
    for table in ["cls/treillis", "camembert_raw/cosine", "compare/comparison"] {
        assert!(
            tables.contains(&format!("results/{table}.parquet")),
            "{table}"
        );
    }
    let page = fs::read_to_string(w.path("report.html")).unwrap();
    assert!(page.contains("results/cone/cone.csv"));
}

/// A checkpoint of the hub in the cache `cache`.
fn cached(w: &Workspace, cache: &str, commit: &str) {
    let folder = format!("{cache}/hub/models--owner--model");
    copy(
        w,
        "models/tiny-camembert",
        &format!("{folder}/snapshots/{commit}"),
    );
    let refs = w.path(&format!("{folder}/refs"));
    fs::create_dir(&refs).unwrap();
    fs::write(refs.join("main"), commit).unwrap();
}

#[test]
fn shards_of_machines_with_caches_of_their_own_fit_together() {
    let w = reviews();
    // The later commit changed none of the files.
    let commits = ["1", "2"].map(|digit| digit.repeat(40));
    cached(&w, "one", &commits[0]);
    cached(&w, "two", &commits[1]);
    let run = |line: &str, cache: &str| {
        let mut command = w.command(line);
        let output = command.env("HF_HOME", w.path(cache)).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{log}");
    };
    let prepare = "flue-cls-prepare -q -c owner/model --data rows --no-pad";
    let states = "data-cls -q --data data --checkpoint owner/model --layers 2 --out x.npy";
    let layers = "study layers -q --data data --checkpoint owner/model --out layers";
    for (i, cache) in ["one", "two"].into_iter().enumerate() {
        run(&format!("{prepare} --shard {i}/2 data"), cache);
    }
    w.run("flue-cls-prepare -q --merge data");
    for line in [states, layers] {
        for (i, cache) in ["one", "two"].into_iter().enumerate() {
            run(&format!("{line} --shard {i}/2"), cache);
        }
        run(&format!("{line} --merge"), "two");
    }
    for manifest in ["data", "x.npy", "layers"] {
        let path = match manifest {
            "x.npy" => w.path("x.npy.manifest.json"),
            folder => w.path(folder).join("manifest.json"),
        };
        let manifest = json(&path);
        assert!(inputs(&manifest).contains("hf://owner/model/config.json"));
        let here = w.path("").display().to_string();
        assert!(!manifest.to_string().contains(here.trim_end_matches('/')));
        let commit = manifest["commits"]["owner/model"].as_str().unwrap();
        assert!(commits.iter().any(|known| known == commit));
    }
}
