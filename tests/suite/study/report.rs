//! What the report says of the published figures.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::Workspace;

/// A model as the tests make it up.
#[derive(Clone, Copy)]
struct Model<'a> {
    /// The folder of its results.
    folder: &'a str,
    checkpoint: &'a str,
    hidden: u32,
    /// Where its weights, or those it was fine-tuned from, were read.
    source: &'a str,
    data: &'a str,
    /// Rows and epochs of fine-tuning.
    training: (u32, u32),
}

const FLAUBERT: &str = "hf://flaubert/flaubert_base_cased/";
const CAMEMBERT: &str = "hf://camembert-base/";

const fn model<'a>(folder: &'a str, checkpoint: &'a str, source: &'a str) -> Model<'a> {
    Model {
        folder,
        checkpoint,
        hidden: 768,
        source,
        data: "flue.datasets",
        training: (5000, 1),
    }
}

const ORIGINALS: [Model<'_>; 4] = [
    model("flaubert_raw", "flaubert/flaubert_base_cased", FLAUBERT),
    model("flaubert_ft_1", "./flaubert_base_cased_1", FLAUBERT),
    model("camembert_raw", "camembert-base", CAMEMBERT),
    model("camembert_ft_1", "./camembert_base_1", CAMEMBERT),
];

fn write_json(path: &Path, value: Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}

/// The manifest of a dataset: of FLUE CLS where `source` is null.
fn write_data(folder: &Path, source: Value, train: u32) {
    let splits = json!({"train": {"rows": train}, "test": {"rows": 5999}});
    let manifest = json!({"program": "flue-cls-prepare", "version": "0", "config": {"data": source}, "inputs": {},
        "results": {"splits": splits}});
    write_json(&folder.join("manifest.json"), manifest);
}

/// Results as `study layers` leaves them for a model, with made-up figures, and the manifest of its
/// fine-tuning.
fn write_run(w: &Workspace, model: Model<'_>) {
    let folder = w.path("results").join(model.folder);
    let config = format!("{}config.json", model.source);
    let inputs = json!({&config: "digest"});
    let tuned = model.folder.contains("ft");
    if tuned {
        let (rows, epochs) = model.training;
        let settings = json!({"num_train": rows, "arguments": {"num_train_epochs": epochs}});
        let manifest = json!({"program": "flue-cls-finetune", "version": "0", "config": settings, "inputs": inputs});
        write_json(&w.path(model.checkpoint).join("manifest.json"), manifest);
    }
    fs::create_dir_all(&folder).unwrap();
    let mut tables = [
        String::from("layer,count,mean,variance,min,q1,median,q3,max\n"),
        String::from("sentence,layer,trace\n"),
        String::from("layer,erank\n"),
    ];
    for layer in 0..13 {
        tables[0] += &format!("{layer},9,0.3,0.01,-0.2,0.2,0.{},0.4,0.9\n", 20 + layer);
        tables[1] += &format!("0,{layer},{}\n1,{layer},{}\n", 10 + layer, 20 + layer);
        tables[2] += &format!("{layer},{}\n", 500 - 10 * layer);
    }
    for (stem, text) in ["cosine", "trace", "erank"].iter().zip(tables) {
        fs::write(folder.join(format!("{stem}.csv")), text).unwrap();
    }
    let family = model.folder.split('_').next().unwrap();
    let manifest = json!({
        "program": "study layers", "version": "0",
        "config": {"data": model.data, "checkpoint": model.checkpoint, "found": {"model_type": family, "hidden_size": model.hidden,
            "num_layers": 12, "sentences": {"cosine": 50, "trace": 100, "erank": 10}}},
        "inputs": if tuned { json!({"camembert_base_1/config.json": "digest"}) } else { inputs },
    });
    write_json(&folder.join("manifest.json"), manifest);
}

#[test]
fn published_figures_stand_beside_those_of_the_original_models_only() {
    let w = Workspace::new();
    write_data(&w.path("flue.datasets"), Value::Null, 5997);
    write_data(&w.path("part.datasets"), Value::Null, 5000);
    write_data(&w.path("other.datasets"), "reviews.csv".into(), 5997);
    for original in ORIGINALS {
        write_run(&w, original);
    }
    let page = |more: &str| {
        w.run(&format!("study report --overwrite {more}"));
        fs::read_to_string(w.path("results/report.html")).unwrap()
    };
    let beside = page("");
    // three marks for each of the four, and the figures in words
    assert_eq!(beside.matches("<title>published, ").count(), 12);
    assert_eq!(beside.matches("diamonds: published").count(), 6);
    assert!(beside.contains("published: 0.20 → 0.75") && beside.contains("published: 434 → 208"));
    assert!(!beside.contains("cannot be compared"));
    let french = page("--lang fr");
    assert!(french.contains("publié : 0,20 → 0,75"));
    assert!(french.contains("<title>publié, affiné, 1 époque: 0,75</title>"));

    let [raw, tuned] = [ORIGINALS[2], ORIGINALS[3]];
    let tiny = "tiny-camembert/";
    let others = [
        // a tiny model, and one of the true size, under the true name; weights of another
        // repository
        Model { hidden: 48, ..raw },
        Model {
            source: "./camembert-base/",
            ..raw
        },
        Model {
            source: tiny,
            ..raw
        },
        Model {
            source: FLAUBERT,
            ..raw
        },
        Model {
            source: tiny,
            ..tuned
        },
        // fine-tuned otherwise, on other reviews
        Model {
            training: (500, 1),
            ..tuned
        },
        Model {
            training: (5000, 2),
            ..tuned
        },
        Model {
            data: "part.datasets",
            ..raw
        },
        Model {
            data: "other.datasets",
            ..raw
        },
        Model {
            data: "absent.datasets",
            ..tuned
        },
    ];
    for (i, other) in others.into_iter().enumerate() {
        write_run(&w, other);
        let apart = page("");
        assert!(
            !apart.contains("<title>published") && !apart.contains("diamonds"),
            "{i}"
        );
        assert!(
            apart.contains("cannot be compared") && apart.contains(">1807<"),
            "{i}"
        );
        write_run(
            &w,
            if other.folder == raw.folder {
                raw
            } else {
                tuned
            },
        );
    }
    // the other name of the same repository
    let source = "hf://almanach/camembert-base/";
    write_run(&w, Model { source, ..raw });
    assert!(page("").contains("published: 434 → 208"));
}
