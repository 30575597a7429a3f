//! `study compare` and `study convergence` against transformers, SciPy and NumPy, on tiny
//! checkpoints.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{Workspace, fixtures};

/// A CSV file: its first line, and its other columns by the words of its first `keys` columns.
fn table(path: &Path, keys: usize) -> (String, HashMap<String, Vec<String>>) {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines();
    let header = lines.next().unwrap().to_string();
    let rows = lines.map(|line| {
        let words: Vec<String> = line.split(',').map(String::from).collect();
        (words[..keys].join(","), words[keys..].to_vec())
    });
    (header, rows.collect())
}

/// Numbers agree to `tolerance`, other words exactly; ours may have further columns.
#[track_caller]
fn assert_agree(ours: &Path, golden: &Path, keys: usize, tolerance: f64) {
    let ((header, ours), (expected, golden)) = (table(ours, keys), table(golden, keys));
    assert!(header.starts_with(&expected), "{header}");
    assert_eq!(ours.len(), golden.len());
    for (key, want) in golden {
        for (got, want) in ours[&key].iter().zip(&want) {
            match (got.parse::<f64>(), want.parse::<f64>()) {
                (Ok(a), Ok(b)) => assert!((a - b).abs() < tolerance, "{key}: {a} {b}"),
                _ => assert_eq!(got, want, "{key}"),
            }
        }
    }
}

fn data(model: &str) -> String {
    let path = fixtures().join(format!("study/beyond/{model}.datasets"));
    path.display().to_string()
}

fn checkpoint(model: &str) -> String {
    fixtures().join("models").join(model).display().to_string()
}

#[test]
fn convergence_agrees_with_transformers_and_scipy() {
    let w = Workspace::new();
    for model in ["camembert", "flaubert"] {
        let line = format!(
            "study convergence --data {} --checkpoint {} --out {model} -b 7",
            data(model),
            checkpoint(model)
        );
        let summary: Value = serde_json::from_str(&w.run(&line)).unwrap();
        assert_eq!(summary["sentences"], 30);
        assert_eq!(summary["last_layer"].as_array().unwrap().len(), 3);
        let golden = fixtures().join("study/beyond").join(model);
        for (stem, keys) in [("sentences", 1), ("convergence", 3)] {
            let file = format!("{stem}.csv");
            assert_agree(&w.path(model).join(&file), &golden.join(&file), keys, 1e-5);
            assert!(w.path(model).join(format!("{stem}.parquet")).is_file());
        }
        let cosines = fs::read_to_string(w.path(model).join("cosines.csv")).unwrap();
        assert_eq!(cosines.lines().count(), 1 + 30 * 3);
        for stem in [
            "convergence",
            "convergence_lengths",
            "convergence_categories",
        ] {
            assert!(
                w.path(model).join(format!("{stem}.svg")).is_file(),
                "{stem}"
            );
        }
    }
    let some = format!(
        "study convergence --data {} --checkpoint {} --out some --sentences 12",
        data("camembert"),
        checkpoint("camembert")
    );
    w.run(&some);
    assert_eq!(table(&w.path("some/sentences.csv"), 1).1.len(), 12);
    // the token types that FlauBERT was fine-tuned with are part of what it answers
    let without = format!(
        "study convergence --data {} --checkpoint {} --out without --no-token-type-ids",
        data("flaubert"),
        checkpoint("flaubert")
    );
    w.run(&without);
    let confidence =
        |folder: &str| table(&w.path(folder).join("sentences.csv"), 1).1["0"][4].clone();
    assert_ne!(confidence("without"), confidence("flaubert"));
}

#[test]
fn convergence_asks_for_a_trained_head() {
    let w = Workspace::new();
    let line = format!(
        "study convergence --data {} --checkpoint tiny-camembert --out x",
        data("camembert")
    );
    w.fails(&line, 1, &["classification head", "fine-tuned"]);
    assert!(!w.path("x").exists());
    // A trained head that gives no class.
    let from = std::path::PathBuf::from(checkpoint("camembert"));
    let folder = w.path("several");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(&from).unwrap().flatten() {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let config = folder.join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["problem_type"] = "multi_label_classification".into();
    fs::write(&config, json.to_string()).unwrap();
    let line = format!(
        "study convergence --data {} --checkpoint ./several --out x",
        data("camembert")
    );
    w.fails(&line, 1, &["multi_label_classification", "several"]);
}

#[test]
fn comparison_agrees_with_numpy() {
    let w = Workspace::new();
    for (model, other) in [
        ("camembert", "roberta-relu-bin"),
        ("flaubert", "flaubert-pre-norm-sharded"),
    ] {
        let line = format!(
            "study compare --data {} --checkpoint {} --other {} --out {model}",
            data(model),
            checkpoint(model),
            checkpoint(other)
        );
        let summary: Value = serde_json::from_str(&w.run(&line)).unwrap();
        assert_eq!(summary["layers"].as_array().unwrap().len(), 3);
        let golden = fixtures().join("study/beyond").join(model);
        assert_agree(
            &w.path(model).join("comparison.csv"),
            &golden.join("comparison.csv"),
            2,
            1e-5,
        );
        let (header, rows) = table(&w.path(model).join("comparison.csv"), 2);
        assert_eq!(header, "layer_a,layer_b,cka,low,high");
        for words in rows.values() {
            let [value, low, high] = [0, 1, 2].map(|i| words[i].parse::<f64>().unwrap());
            assert!(low <= value && value <= high && high <= 1.0, "{words:?}");
        }
        assert!(w.path(model).join("comparison_same_layer.png").is_file());
    }
    // a model is wholly like itself
    let line = format!(
        "study compare --data {} --checkpoint {1} --other {1} --out same",
        data("camembert"),
        checkpoint("camembert")
    );
    let summary: Value = serde_json::from_str(&w.run(&line)).unwrap();
    for layer in summary["layers"].as_array().unwrap() {
        assert!((layer["cka"].as_f64().unwrap() - 1.0).abs() < 1e-12);
    }
}

/// The rows and the names of the columns of a Parquet file.
fn parquet(path: &Path) -> (usize, Vec<String>) {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let fields = reader.schema().fields().iter();
    let columns = fields.map(|f| f.name().clone()).collect();
    (
        reader.build().unwrap().map(|b| b.unwrap().num_rows()).sum(),
        columns,
    )
}

#[test]
fn export_gathers_the_tables_of_all_runs() {
    let w = Workspace::new();
    w.fails("study export", 1, &["results"]);
    for (out, model) in [("a", "camembert"), ("b", "flaubert")] {
        let (data, checkpoint) = (data(model), checkpoint(model));
        w.run(&format!(
            "study layers --data {data} --checkpoint {checkpoint} --out results/{out}"
        ));
    }
    let (data, checkpoint) = (data("camembert"), checkpoint("camembert"));
    w.run(&format!(
        "study convergence --data {data} --checkpoint {checkpoint} --out results/c"
    ));
    let summary: Value = serde_json::from_str(&w.run("study export")).unwrap();
    let tables = w.path("results/tables");
    let (rows, columns) = parquet(&tables.join("layers_cosine.parquet"));
    assert_eq!(
        (rows, summary["tables"]["layers_cosine"].as_u64()),
        (6, Some(6))
    );
    assert_eq!(
        columns.join(","),
        "run,layer,count,mean,variance,min,q1,median,q3,max"
    );
    // two studies leave a table of this name: they are not mixed
    assert_eq!(
        parquet(&tables.join("layers_sentences.parquet")).0,
        2 * 30 * 3
    );
    assert_eq!(parquet(&tables.join("convergence_sentences.parquet")).0, 30);
    w.fails("study export", 1, &["tables", "--overwrite"]);
    // what was exported before is not exported again
    w.run("study export --overwrite");
    assert_eq!(parquet(&tables.join("layers_cosine.parquet")).0, 6);
    // a table of another version is refused, and nothing is replaced
    fs::copy(
        w.path("results/a/trace.parquet"),
        w.path("results/b/cosine.parquet"),
    )
    .unwrap();
    w.fails(
        "study export --overwrite",
        1,
        &["b/cosine.parquet", "columns"],
    );
    assert_eq!(parquet(&tables.join("layers_cosine.parquet")).0, 6);
}
