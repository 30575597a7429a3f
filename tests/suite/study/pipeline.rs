//! `study pipeline`: what it leaves for the notebooks, and what the probes see.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Workspace;
use crate::python::python;

/// Accuracies by model and layer.
fn accuracies(path: &Path) -> HashMap<String, String> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| line.rsplit_once(',').map(|(k, v)| (k.into(), v.into()));
    text.lines().skip(1).filter_map(row).collect()
}

/// The programs know every option of the commands that the report names.
fn commands(w: &Workspace) {
    let page = fs::read_to_string(w.path("study-sample/report.html")).unwrap();
    let (_, text) = page.split_once("<pre tabindex=\"0\">").unwrap();
    let (text, _) = text.split_once("</pre>").unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_study")).parent().unwrap();
    for line in text.lines() {
        let script = format!("\"$0\"/{line} --help");
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(programs)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("Usage:"),
            "{line}\n{log}"
        );
    }
    // All that the page shows was made by one.
    assert_eq!(text.lines().count(), 1);
    assert!(text.starts_with("study pipeline "), "{text}");
}

/// A pipeline over sixty reviews a split, in `study-sample`.
fn studied() -> Workspace {
    let w = Workspace::new();
    let rows: String = (0..60)
        .map(|i| format!("\"avis {i} : {}\",{}\n", ["nul", "bon"][i % 2], i % 2))
        .collect();
    fs::create_dir(w.path("rows")).unwrap();
    for split in ["train", "test"] {
        let file = w.path("rows").join(format!("{split}.csv"));
        fs::write(file, format!("text,label\n{rows}")).unwrap();
    }
    w.run(
        "study pipeline -q --data rows --flaubert tiny-flaubert --camembert tiny-camembert -a 16 -b 8 \
         --cosine-sentences 5 --trace-sentences 5 --erank-sentences 5 --out study-sample",
    );
    w
}

#[test]
fn probes_see_all_layers_and_the_notebooks_their_five() {
    let w = studied();
    let all = accuracies(&w.path("study-sample/results/cls/treillis.csv"));
    assert_eq!(all.len(), 4 * 13);
    // the embedding of the first token is the same for all reviews, and half of these are positive
    assert_eq!(all["camembert_raw,0"], "0.5");
    for table in ["logistic", "probes", "classes"] {
        let text =
            fs::read_to_string(w.path(&format!("study-sample/results/cls/{table}.csv"))).unwrap();
        assert_eq!(text.lines().count(), 4 * 13 + 1, "{table}");
    }

    // the files of the notebooks are those of data-cls, and give the same probes
    w.run(
        "data-cls -q --data study-sample/camembert-tokens.datasets --checkpoint study-sample/camembert_base_1 --layers 5,7,9,11,12 \
         -b 32 --out own.npy",
    );
    let read = |name: &str| fs::read(w.path(name)).unwrap();
    assert!(read("own.npy") == read("study-sample/numpy_save/camembert_ft.npy"));
    let manifest = |name: &str| {
        let text = fs::read_to_string(w.path(name)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        (value["config"]["layers"].clone(), value["inputs"].clone())
    };
    let (layers, inputs) = manifest("own.npy.manifest.json");
    let selected = manifest("study-sample/numpy_save/camembert_ft.npy.manifest.json");
    assert_eq!(selected.0, layers);
    assert_eq!(
        selected.1.as_object().unwrap().len(),
        inputs.as_object().unwrap().len()
    );
    w.run("study cls -q --npy study-sample/numpy_save --out five");
    let five = accuracies(&w.path("five/treillis.csv"));
    assert_eq!(five.len(), 4 * 5);
    for (key, accuracy) in five {
        assert_eq!(all[&key], accuracy, "{key}");
    }

    commands(&w);

    let line = "study pipeline -q --data rows --flaubert tiny-flaubert --camembert tiny-camembert -a 16 -b 8 --overwrite \
                --layers 5,13 --out study-sample";
    w.fails(line, 2, &["layer 13", "flaubert_raw.npy"]);
}

/// The examples of the README, and what the notebooks do, in Python.
#[test]
#[ignore = "needs the Pythons of .ci/run"]
fn the_notebooks_run_on_what_the_pipeline_leaves() {
    let w = studied();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python("FLUE_STUDY_PYTHON"))
        .arg(here.join("tests/suite/study/notebooks.py"))
        .args([here.join("README.md"), w.path("")])
        .env("MPLCONFIGDIR", w.path("matplotlib"))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let pictures = String::from_utf8(output.stdout).unwrap();
    let cones = "cone_camembert_ft.png\ncone_camembert_raw.png\ncone_flaubert_ft.png\ncone_flaubert_raw.png";
    assert_eq!(
        pictures.trim(),
        format!("{cones}\nconvergence.png\ncosine.png")
    );
}
