//! Every measure that `study layers` writes, against the authors' packages, SciPy and NumPy, on
//! tiny checkpoints; `tests/fixtures/study/layer_measures.py` says from where each comes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Workspace, fixtures};

/// A CSV file: the numbers of each row by the words of its first two columns.
fn rows(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let row = |line: &str| {
        let words: Vec<&str> = line.split(',').collect();
        let numbers = words[2..].iter().map(|w| w.parse().unwrap());
        (words[..2].join(","), numbers.collect())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn every_measure_equals_that_of_another_implementation() {
    let w = Workspace::new();
    for model in ["camembert", "flaubert"] {
        let data = fixtures().join(format!("study/beyond/{model}.datasets"));
        w.run(&format!(
            "study layers --data {} --checkpoint {} --out {model} --sentences 30",
            data.display(),
            fixtures().join("models").join(model).display()
        ));
        let golden = |stem: &str| {
            let folder = fixtures().join("study/layer_measures").join(model);
            rows(&folder.join(format!("{stem}.csv")))
        };
        let mut ours = rows(&w.path(model).join("measures.csv"));
        // Before any layer a token at its place is one point in all sentences: scikit-dimension
        // counts such twins, TwoNN here does not.
        ours.remove("0,intrinsic_dimension").unwrap();
        let want = golden("measures");
        // none is left out, here or there
        assert!(ours.keys().eq(want.keys()), "{:?}", ours.keys());
        for (key, want) in want {
            let (got, want) = (ours[&key][0], want[0]);
            let error = (got - want).abs() / want.abs().max(0.1);
            assert!(error < 1e-4, "{model} {key}: {got} {want}");
        }
        // 400 replicates place an end of the interval with a standard error of 3 % of its width,
        // and there are dozens of ends
        for (key, ends) in golden("intervals") {
            for (got, want) in ours[&key][1..].iter().zip(&ends) {
                let error = (got - want).abs() / (ends[1] - ends[0]);
                assert!(error < 0.25, "{model} {key}: {got} {want}");
            }
        }
        let likeness = rows(&w.path(model).join("cka.csv"));
        let want = golden("cka");
        assert!(likeness.keys().eq(want.keys()));
        for (key, want) in want {
            let got = likeness[&key][0];
            assert!((got - want[0]).abs() < 1e-5, "{model} {key}: {got}");
        }
    }
}

#[test]
fn one_option_sets_all_sizes_and_each_has_its_own() {
    let w = Workspace::new();
    let data = fixtures().join("study/beyond/camembert.datasets");
    let checkpoint = fixtures().join("models/camembert");
    for (out, more, want) in [
        ("a", "--sentences 4 --trace-sentences 6", [4, 6, 4, 4]),
        ("b", "--sentences all --erank-sentences 3", [30, 30, 3, 30]),
        ("c", "--cosine-sentences 7", [7, 30, 10, 30]),
    ] {
        w.run(&format!(
            "study layers --data {} --checkpoint {} --out {out} {more}",
            data.display(),
            checkpoint.display()
        ));
        let manifest = fs::read_to_string(w.path(out).join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let found = &manifest["config"]["found"];
        let sizes = ["cosine", "trace", "erank", "measures"].map(|k| &found["sentences"][k]);
        assert_eq!(sizes.map(|s| s.as_u64().unwrap()), want, "{more}");
        // few pairs are kept as they are, so that quartiles are exact
        assert_eq!(found["cosine_error_bound"], 0.0);
    }
}

/// Of one sentence nothing can be said about others: its figures stand there without an interval,
/// `nan` in the tables, null in JSON, a dash or nothing in the report.
#[test]
fn one_sentence_has_figures_and_no_interval() {
    let w = Workspace::new();
    for model in ["camembert", "flaubert"] {
        let data = fixtures().join(format!("study/beyond/{model}.datasets"));
        let checkpoint = fixtures().join("models").join(model);
        let (data, checkpoint) = (data.display(), checkpoint.display());
        let out = format!("results/{model}_raw");
        let inputs = format!("--data {data} --checkpoint {checkpoint}");
        w.run(&format!("study layers {inputs} --out {out} --sentences 1"));
        let found = rows(&w.path(&out).join("measures.csv"));
        assert_eq!(found.len(), 3 * 19);
        for (key, values) in &found {
            assert!(
                values[1].is_nan() && values[2].is_nan(),
                "{model} {key}: {values:?}"
            );
            // fewer than ten tokens have no intrinsic dimension either
            if key.ends_with("intrinsic_dimension") {
                continue;
            }
            let of_many =
                key.contains("baseline") || key.contains("adjusted") || key.contains("leading");
            assert_eq!(values[0].is_nan(), of_many, "{model} {key}: {values:?}");
        }
        for (key, values) in rows(&w.path(&out).join("cka.csv")) {
            assert!(values[0].is_finite(), "{model} {key}: {values:?}");
            assert!(
                values[1].is_nan() && values[2].is_nan(),
                "{model} {key}: {values:?}"
            );
        }
        let compared = w.run(&format!(
            "study compare {inputs} --other {checkpoint} --out results/compare_{model} --sentences 1"
        ));
        let compared: Value = serde_json::from_str(&compared).unwrap();
        assert_eq!(compared["layers"][2]["cka"], 1.0);
        assert_eq!(
            compared["layers"][2]["interval"],
            json!({"low": null, "high": null})
        );
        let classified = w.run(&format!(
            "study convergence {inputs} --out results/convergence_{model} --sentences 1"
        ));
        let classified: Value = serde_json::from_str(&classified).unwrap();
        for found in classified["last_layer"].as_array().unwrap() {
            assert_eq!(found["spearman"], Value::Null);
            assert_eq!(found["interval"], json!({"low": null, "high": null}));
        }
    }
    w.run("study report --results results --out page.html");
    let page = fs::read_to_string(w.path("page.html")).unwrap();
    for word in ["NaN", "nan<", "inf<"] {
        assert!(!page.contains(word), "{word}");
    }
}
