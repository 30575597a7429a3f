//! The program `study` from end to end, on tiny checkpoints.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use flue_study::artifact::npy::{DType, Header, NpyWriter};
use flue_study::files::AtomicFile;
use flue_study::rng::Stream;
use serde_json::Value;

use crate::common::{Workspace, fixtures};

/// A CSV file: its first line, and its numbers by the words of its first `keys` columns.
fn table(path: &Path, keys: usize) -> (String, HashMap<String, Vec<f64>>) {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines();
    let header = lines.next().unwrap().to_string();
    let rows = lines
        .map(|line| {
            let words: Vec<&str> = line.split(',').collect();
            let numbers = words[keys..].iter().map(|w| w.parse().unwrap()).collect();
            (words[..keys].join(","), numbers)
        })
        .collect();
    (header, rows)
}

/// `measures.csv`: its first line, and value, low and high by "layer,measure".
fn measures(path: &Path) -> (String, HashMap<String, Vec<f64>>) {
    table(path, 2)
}

#[track_caller]
fn assert_tables_agree(ours: &Path, golden: &Path, keys: usize) {
    let ((header, ours), (expected, golden)) = (table(ours, keys), table(golden, keys));
    assert_eq!(header, expected);
    assert_eq!(ours.len(), golden.len());
    for (key, want) in golden {
        for (got, want) in ours[&key].iter().zip(&want) {
            let error = (got - want).abs() / want.abs().max(1e-3);
            assert!(error < 1e-4, "{header} at {key}: {got}, {want}");
        }
    }
}

/// `study layers` of a tiny model with the sizes of its golden tables, into `out`.
fn layers_command(model: &str, out: &str, more: &str) -> String {
    let (data, checkpoint) = (
        fixtures().join(format!("study/layers/{model}.datasets")),
        fixtures().join(format!("models/{model}")),
    );
    format!(
        "study layers --data {} --checkpoint {} --out {out} --cosine-sentences 8 --trace-sentences 12 --erank-sentences 5 {more}",
        data.display(),
        checkpoint.display()
    )
}

const TABLES: [(&str, usize); 4] = [
    ("cosine", 1),
    ("cosine_variance", 2),
    ("trace", 2),
    ("erank", 1),
];

#[test]
fn layers_agree_with_transformers_and_numpy() {
    let w = Workspace::new();
    for model in ["camembert", "flaubert"] {
        let summary = w.run(&layers_command(model, model, ""));
        let summary: Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["sentences"], 12);
        assert_eq!(summary["model_type"], model);
        assert_eq!(summary["layers"].as_array().unwrap().len(), 3);
        let golden = fixtures().join("study/layers").join(model);
        for (stem, keys) in TABLES {
            let file = format!("{stem}.csv");
            assert_tables_agree(&w.path(model).join(&file), &golden.join(&file), keys);
            assert!(w.path(model).join(format!("{stem}.parquet")).is_file());
        }
        for stem in ["cosine", "trace", "erank"] {
            let png = fs::read(w.path(model).join(format!("{stem}.png"))).unwrap();
            assert!(png.starts_with(b"\x89PNG"));
            let svg = fs::read_to_string(w.path(model).join(format!("{stem}.svg"))).unwrap();
            assert!(svg.contains("layer</text>") && svg.contains("sentences"));
        }
        let (header, measures) = measures(&w.path(model).join("measures.csv"));
        assert_eq!(header, "layer,measure,value,low,high");
        assert_eq!(measures.len(), 3 * 19);
        // the effective rank of all 12 sentences, where erank.csv has that of 5
        assert!((2.0..16.0).contains(&measures["2,erank"][0]));
        assert!(measures["0,cosine"][1] < measures["0,cosine"][0]);
        assert!(measures["0,baseline"][1].is_nan());
        for measure in ["iso_score", "intrinsic_dimension", "corpus_trace"] {
            let [value, low, high] = measures[&format!("2,{measure}")][..] else {
                panic!("{measure}")
            };
            assert!(
                low < value && value < high,
                "{measure}: {low} {value} {high}"
            );
        }
        for (stem, rows) in [("sentences", 36), ("leading", 15), ("cka", 6)] {
            let text = fs::read_to_string(w.path(model).join(format!("{stem}.csv"))).unwrap();
            assert_eq!(text.lines().count(), rows + 1, "{stem}");
        }
        let manifest = fs::read_to_string(w.path(model).join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["config"]["cosine_sentences"], "8");
        assert_eq!(manifest["inputs"].as_object().unwrap().len(), 6);
    }
}

#[test]
fn the_batch_size_changes_no_table_and_an_output_is_not_replaced_unasked() {
    let w = Workspace::new();
    w.run(&layers_command("flaubert", "one", "-b 1"));
    w.run(&layers_command("flaubert", "five", "-b 5"));
    for (stem, keys) in TABLES {
        let file = format!("{stem}.csv");
        assert_tables_agree(
            &w.path("five").join(&file),
            &w.path("one").join(&file),
            keys,
        );
    }
    w.run(&layers_command("flaubert", "none", "--no-measures"));
    assert!(!w.path("none/measures.csv").exists() && w.path("one/measures.csv").exists());
    let before = fs::read(w.path("one/cosine.csv")).unwrap();
    w.fails(
        &layers_command("flaubert", "one", ""),
        1,
        &["one", "--overwrite"],
    );
    assert_eq!(fs::read(w.path("one/cosine.csv")).unwrap(), before);
    let all = "--cosine-sentences all --overwrite";
    let line = layers_command("flaubert", "one", all).replace("--cosine-sentences 8", "");
    w.run(&line);
    let pairs = |folder: &str| table(&w.path(folder).join("cosine.csv"), 1).1["0"][0];
    assert!(pairs("one") > pairs("five"));
    // more sentences than there are: all of them
    let line = layers_command("flaubert", "many", "").replace("sentences 12", "sentences 5000");
    w.run(&line);
    assert_eq!(table(&w.path("many/trace.csv"), 2).1.len(), 12 * 3);
}

#[test]
fn raw_and_fine_tuning_study_both_models_under_the_originals_names() {
    let w = Workspace::new();
    for model in ["camembert", "flaubert"] {
        let data = fixtures().join(format!("study/layers/{model}.datasets"));
        let link = w.path(&format!("{model}-tokens.datasets"));
        std::os::unix::fs::symlink(data, link).unwrap();
    }
    let model = |name: &str| fixtures().join("models").join(name).display().to_string();
    let (flaubert, camembert) = (model("flaubert"), model("camembert"));
    w.run(&format!(
        "study raw --flaubert {flaubert} --camembert {camembert}"
    ));
    for (folder, checkpoint) in [
        ("flaubert_base_cased_2", flaubert),
        ("camembert_base_2", camembert),
    ] {
        std::os::unix::fs::symlink(checkpoint, w.path(folder)).unwrap();
    }
    let summary = w.run("study fine-tuning -n 2");
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary[1]["checkpoint"], "./camembert_base_2");
    for folder in [
        "flaubert_raw",
        "camembert_raw",
        "flaubert_ft_2",
        "camembert_ft_2",
    ] {
        assert!(
            w.path("results").join(folder).join("cosine.csv").is_file(),
            "{folder}"
        );
    }
    let report = w.run("study report");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["models"].as_array().unwrap().len(), 4);
    let page = fs::read_to_string(w.path("results/report.html")).unwrap();
    // for each family three statistics, six further measures, and the likeness of layers of each
    // model
    assert_eq!(page.matches("<svg").count(), 2 * (3 + 6 + 2));
    assert!(page.contains(">fine-tuned, 2 epochs</text>"));
    assert_self_contained(&page, &w.path("results"));
    w.fails("study report", 1, &["report.html", "--overwrite"]);
    w.run("study report --overwrite");
}

/// The page asks the network for nothing, and every file it links to is there.
#[track_caller]
fn assert_self_contained(page: &str, folder: &Path) {
    for loads in ["src=", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
    for link in page.split("href=\"").skip(1) {
        let target = link.split('"').next().unwrap();
        match target.strip_prefix('#') {
            Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{id}"),
            None => assert!(folder.join(target).is_file(), "{target}"),
        }
    }
}

/// The four files of `data-cls`, of `layers` layers: two clouds, the farther apart the higher the
/// layer.
pub(super) fn write_arrays(folder: &Path, layers: usize) {
    const ROWS: usize = 120;
    const HIDDEN: usize = 32;
    for (k, name) in [
        "flaubert_raw",
        "flaubert_ft",
        "camembert_raw",
        "camembert_ft",
    ]
    .iter()
    .enumerate()
    {
        let mut random = Stream::new(k as u64, "clouds");
        let path = folder.join(format!("{name}.npy"));
        let mut headers = vec![Header::new(DType::F32, [ROWS, HIDDEN]); 2 * layers];
        headers.extend(vec![Header::new(DType::I64, [ROWS]); 2]);
        let file = AtomicFile::create(&path, false).unwrap();
        let mut npy = NpyWriter::new(&path, file, &headers).unwrap();
        for split in 0..2 {
            let labels: Vec<i64> = (0..ROWS).map(|_| random.below(2) as i64).collect();
            for layer in 0..layers {
                let shift = 0.2 * layer as f64;
                let mut value = |i: usize| {
                    let side = 2.0 * labels[i / HIDDEN] as f64 - 1.0;
                    (random.normal() + shift * side) as f32
                };
                let values: Vec<f32> = (0..ROWS * HIDDEN).map(&mut value).collect();
                npy.write(split * layers + layer, 0, &values).unwrap();
            }
            npy.write(2 * layers + split, 0, &labels).unwrap();
        }
        npy.finish().unwrap().commit().unwrap();
    }
}

#[test]
fn probes_and_cones_of_four_models() {
    let w = Workspace::new();
    write_arrays(&w.path("numpy_save"), 5);
    let summary: Value = serde_json::from_str(&w.run("study cls")).unwrap();
    assert_eq!(summary["probes"].as_array().unwrap().len(), 20);
    let (header, accuracy) = table(&w.path("results/cls/treillis.csv"), 2);
    assert_eq!(header, "model,layer,accuracy");
    for model in [
        "flaubert_raw",
        "flaubert_ft",
        "camembert_raw",
        "camembert_ft",
    ] {
        // no cloud at the lowest layer stored, two far ones at the highest
        let at = |layer| accuracy[&format!("{model},{layer}")][0];
        assert!(at(5) < 0.65, "{model} {}", at(5));
        // FlauBERT's 30 epochs are few for 120 rows, and its small steps at layer 12 after
        // fine-tuning come nowhere
        let (far, high) = match model {
            "flaubert_ft" => (11, 0.65),
            "flaubert_raw" => (12, 0.65),
            _ => (12, 0.9),
        };
        assert!(at(far) > high, "{model} {}", at(far));
    }
    // Between two far clouds cosines are lower than within either; without clouds they are alike.
    let (header, classes) = table(&w.path("results/cls/classes.csv"), 2);
    assert_eq!(
        header,
        "model,layer,within_negative,within_positive,between,silhouette"
    );
    assert_eq!(classes.len(), 20);
    for (layer, apart) in [(5, false), (12, true)] {
        let [negative, positive, between, silhouette] =
            classes[&format!("camembert_raw,{layer}")][..]
        else {
            panic!("four figures");
        };
        assert_eq!(negative.min(positive) - between > 0.1, apart, "{layer}");
        assert_eq!(silhouette > 0.1, apart, "{layer}");
    }
    let (header, logistic) = table(&w.path("results/cls/logistic.csv"), 2);
    assert_eq!(
        header,
        "model,layer,rows,accuracy,accuracy_low,accuracy_high,macro_f1,strength,validation_accuracy,train_accuracy,\
         control_accuracy,control_train_accuracy,selectivity"
    );
    assert_eq!(logistic.len(), 20);
    for model in ["flaubert_raw", "camembert_ft"] {
        let far = &logistic[&format!("{model},12")];
        let [accuracy, control, selectivity] = [far[1], far[8], far[10]];
        assert!(accuracy > 0.95 && (0.3..0.7).contains(&control), "{far:?}");
        assert!((selectivity - (accuracy - control)).abs() < 1e-8);
        // what it can tell by chance alone it tells no better than the control
        assert!(logistic[&format!("{model},5")][10] < 0.3);
    }
    let (_, curves) = table(&w.path("results/cls/curves.csv"), 3);
    assert_eq!(curves.len(), 10 * 30 + 2 * (4 * 200 + 60));
    assert!(w.path("results/cls/treillis.png").is_file());
    assert!(w.path("results/cls/curves_camembert_ft_loss.svg").is_file());
    // the same seed gives the same table, whatever the number of threads
    w.run("study cls --threads 1 --out again");
    for table in ["treillis.csv", "logistic.csv"] {
        assert_eq!(
            fs::read(w.path("again").join(table)).unwrap(),
            fs::read(w.path("results/cls").join(table)).unwrap()
        );
    }
    w.run("study cls --no-logistic --epochs 1 --out original");
    assert!(w.path("original/treillis.csv").is_file());
    assert!(!w.path("original/logistic.csv").exists());

    let summary: Value = serde_json::from_str(&w.run("study cone")).unwrap();
    assert_eq!(summary["cones"][3]["layer"], 12);
    let text = fs::read_to_string(w.path("results/cone/cone.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "model,split,row,label,cosine");
    assert_eq!(lines.len(), 1 + 4 * 240);
    assert!(lines[1].starts_with("flaubert_raw,train,0,") && lines[1].ends_with(",1"));
    assert!(lines[121].starts_with("flaubert_raw,test,0,"));

    w.run("study report");
    let page = fs::read_to_string(w.path("results/report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 4 + 4 + 4);
    assert_self_contained(&page, &w.path("results"));
}

#[test]
fn other_layers_must_be_named() {
    let w = Workspace::new();
    write_arrays(&w.path("arrays"), 3);
    w.fails("study cls --npy arrays", 2, &["3 layers", "--layers"]);
    w.fails(
        "study cls --npy arrays --layers 1,2",
        2,
        &["flaubert_raw.npy", "--layers"],
    );
    w.run("study cls --npy arrays --layers 0,6,12 --epochs 2");
    let (_, accuracy) = table(&w.path("results/cls/treillis.csv"), 2);
    assert!(accuracy.contains_key("camembert_ft,6"));
    // the manifest that data-cls leaves beside its file says it too
    for name in [
        "flaubert_raw",
        "flaubert_ft",
        "camembert_raw",
        "camembert_ft",
    ] {
        fs::write(
            w.path(&format!("arrays/{name}.npy.manifest.json")),
            r#"{"program": "data-cls", "version": "0", "config": {"layers": [2, 4, 8]}, "inputs": {}}"#,
        )
        .unwrap();
    }
    w.run("study cone --npy arrays");
    let summary = w.run("study cls --npy arrays --epochs 1 --out manifest");
    assert!(summary.contains("\"layer\":8"), "{summary}");
}

#[test]
fn bad_input_ends_with_a_message_and_leaves_nothing() {
    let w = Workspace::new();
    w.fails(
        "study cls --npy nowhere",
        1,
        &["nowhere", "data-cls", "--npy"],
    );
    w.fails("study report --results nowhere", 1, &["nowhere"]);
    fs::create_dir(w.path("empty")).unwrap();
    w.fails("study report --results empty", 1, &["empty", "study raw"]);
    w.fails(
        "study layers --data a --checkpoint b --out c --cosine-sentences 0",
        2,
        &["above 0"],
    );
    w.fails("study layers --data a --out c", 2, &["--checkpoint"]);
    w.fails("study everything", 2, &["everything"]);
    let line = layers_command("camembert", "out", "").replace("camembert.datasets", "absent");
    w.fails(&line, 1, &["absent"]);

    fs::create_dir(w.path("arrays")).unwrap();
    fs::write(w.path("arrays/flaubert_raw.npy"), b"\x93NUMPY\x01\x00").unwrap();
    w.fails("study cls --npy arrays", 1, &["flaubert_raw.npy", "byte 8"]);
    let labels_only = fixtures().join("study/arrays.npy");
    fs::copy(labels_only, w.path("arrays/flaubert_raw.npy")).unwrap();
    w.fails(
        "study cone --npy arrays --layers 0,1,2",
        1,
        &["flaubert_raw.npy", "array"],
    );

    fs::create_dir_all(w.path("results/cls")).unwrap();
    fs::write(w.path("results/cls/treillis.csv"), "model,layer\na,1\n").unwrap();
    w.fails("study report", 1, &["treillis.csv", "line 1", "accuracy"]);
    fs::write(
        w.path("results/cls/treillis.csv"),
        "model,layer,accuracy\na,1,high\n",
    )
    .unwrap();
    w.fails("study report", 1, &["treillis.csv", "line 2", "high"]);
    for output in ["out", "c", "results/cone", "results/report.html", "nowhere"] {
        assert!(!w.path(output).exists(), "{output}");
    }
    // nothing half-written stays behind either
    let left = fs::read_dir(w.path("results")).unwrap().count();
    assert_eq!(left, 1);
}
