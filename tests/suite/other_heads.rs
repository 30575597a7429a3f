//! Checkpoints with a head for another task, through the programs.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor, safetensors};

use crate::common::Workspace;

/// A prepared workspace with the tiny checkpoint in `plain`, and the same with these tensors and
/// this class in `other`.
fn with_head(checkpoint: &str, class: &str, head: &[(&str, &[usize])]) -> Workspace {
    let w = Workspace::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(checkpoint);
    for folder in ["plain", "other"] {
        fs::create_dir(w.path(folder)).unwrap();
        for entry in fs::read_dir(&from).unwrap().flatten() {
            fs::copy(entry.path(), w.path(folder).join(entry.file_name())).unwrap();
        }
    }
    let weights = w.path("other/model.safetensors");
    let mut all: HashMap<String, Tensor> = safetensors::load(&weights, &Device::Cpu).unwrap();
    for (name, shape) in head {
        let values = Tensor::rand(-1f32, 1.0, *shape, &Device::Cpu).unwrap();
        all.insert((*name).to_owned(), values);
    }
    safetensors::save(&all, &weights).unwrap();
    let config = w.path("other/config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    json["architectures"] = serde_json::json!([class]);
    json["id2label"] = serde_json::json!({"0": "O", "1": "PER", "2": "LOC"});
    json["label2id"] = serde_json::json!({"O": 0, "PER": 1, "LOC": 2});
    fs::write(&config, json.to_string()).unwrap();
    w.run("flue-cls-prepare -c ./plain --data sample -q data");
    w
}

/// Run and require success; what stands on stderr.
fn log_of(w: &Workspace, line: &str) -> String {
    let output = w.command(line).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}\n{log}");
    log
}

#[test]
fn the_programs_use_the_encoder_and_say_what_they_leave_out() {
    let camembert: (_, _, &[(&str, &[usize])], _) = (
        "tiny-camembert",
        "CamembertForTokenClassification",
        &[("classifier.weight", &[3, 48]), ("classifier.bias", &[3])],
        "a head for token classification (classifier.bias, classifier.weight) is not used",
    );
    let flaubert: (_, _, &[(&str, &[usize])], _) = (
        "tiny-flaubert",
        "FlaubertForMultipleChoice",
        &[
            ("sequence_summary.summary.weight", &[2, 48]),
            ("sequence_summary.summary.bias", &[2]),
            ("logits_proj.weight", &[1, 2]),
            ("logits_proj.bias", &[1]),
        ],
        "a head for multiple choice (logits_proj.bias, logits_proj.weight, sequence_summary.summary.bias, \
         sequence_summary.summary.weight) is not used",
    );
    for (checkpoint, class, head, words) in [camembert, flaubert] {
        let w = with_head(checkpoint, class, head);
        let extract = |from: &str| {
            let line = format!(
                "data-cls --limit 4 --layers 0,12 --data data --checkpoint ./{from} --out {from}.npy"
            );
            log_of(&w, &line)
        };
        assert!(!extract("plain").contains("is not used"));
        let log = extract("other");
        assert!(log.contains("WARN") && log.contains(words), "{log}");
        let states = |from: &str| fs::read(w.path(&format!("{from}.npy"))).unwrap();
        assert!(states("plain") == states("other"), "{class}");
        let line = "study layers --data data --sentences 4 --checkpoint ./other --out layers";
        assert!(log_of(&w, line).contains(words));
        // Fine-tuning starts a head anew, the same as where there was none, with the classes of the
        // data.
        let train = |from: &str| {
            let line = format!("flue-cls-finetune -a 16 -b 8 -d data -c ./{from} -s tuned-{from}");
            log_of(&w, &line)
        };
        let (plain, other) = (train("plain"), train("other"));
        assert!(!plain.contains("is not used"), "{plain}");
        let anew = format!("{words}; the head that classifies sequences starts anew");
        assert!(other.contains(&anew), "{other}");
        let weights =
            |from: &str| fs::read(w.path(&format!("tuned-{from}/model.safetensors"))).unwrap();
        assert!(weights("plain") == weights("other"), "{class}");
        let config = fs::read_to_string(w.path("tuned-other/config.json")).unwrap();
        assert!(
            config.contains("ForSequenceClassification") && !config.contains("PER"),
            "{config}"
        );
        let line = "study convergence --data data --sentences 4 --checkpoint ./other --out c";
        let task = words.split(" (").next().unwrap();
        w.fails(
            line,
            1,
            &[task, "no trained classification head", "fine-tuned"],
        );
        assert!(!w.path("c").exists());
    }
}
