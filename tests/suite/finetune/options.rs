//! `--group-by-length`, `--freeze`, `--seeds`, and the figures and the picture that a run leaves.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{QUICK, json, prepared};

#[test]
fn grouping_by_length_changes_the_order_and_nothing_else() {
    let w = prepared("tiny-camembert");
    let line = format!(
        "flue-cls-finetune {QUICK} -d data -c tiny-camembert --per-device-train-batch-size 2"
    );
    let tokens = |options: &str, out: &str| {
        let output = w
            .command(&format!("{line} {options} -s {out}").replace(" -q", " -v"))
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        log.lines()
            .filter_map(|l| serde_json::from_str::<Value>(&l[l.find('{')?..]).ok())
            .filter_map(|update| update["tokens"].as_u64())
            .collect::<Vec<_>>()
    };
    let (random, grouped) = (tokens("", "a"), tokens("--group-by-length", "b"));
    assert_eq!(random.len(), 20);
    assert_eq!(random.iter().sum::<u64>(), grouped.iter().sum::<u64>());
    // 40 rows in batches of 2 are sorted in parts of 5 batches; the first row of a part may be
    // exchanged for the longest.
    let sorted = |t: &[u64]| {
        t.chunks(5)
            .all(|part| part[1..].is_sorted_by(|a, b| a >= b))
    };
    assert!(sorted(&grouped) && !sorted(&random), "{grouped:?}");
    w.fails(
        &format!("{line} --group-by-length --data-order sequential -s c"),
        2,
        &["--group-by-length", "shuffled"],
    );
}

#[test]
fn frozen_weights_stay_as_they_are() {
    for checkpoint in ["tiny-camembert", "tiny-flaubert"] {
        let w = prepared(checkpoint);
        let line =
            format!("flue-cls-finetune {QUICK} --weight-decay 0.1 -d data -c {checkpoint} -s out");
        w.run(&format!("{line} --freeze 3"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let before = fs::read(
            root.join("models")
                .join(checkpoint)
                .join("model.safetensors"),
        );
        let (before, after) = (
            before.unwrap(),
            fs::read(w.path("out/model.safetensors")).unwrap(),
        );
        let before = safetensors::SafeTensors::deserialize(&before).unwrap();
        let after = safetensors::SafeTensors::deserialize(&after).unwrap();
        let (mut kept, mut changed) = (0, 0);
        for (name, tensor) in after.tensors() {
            let Ok(old) = before.tensor(&name) else {
                continue;
            };
            let same = old.data() == tensor.data();
            let number = name.split('.').find_map(|p| p.parse::<usize>().ok());
            if name.contains("embeddings") || number.is_some_and(|layer| layer < 3) {
                assert!(same, "{name} has changed");
                kept += 1;
            } else if number.is_some() && name.ends_with("weight") {
                assert!(!same, "{name} is as before");
                changed += 1;
            }
        }
        assert!(kept > 30 && changed > 30, "{kept} {changed}");
        w.fails(
            &format!("{line} --freeze 13 --overwrite"),
            2,
            &["--freeze 13", "12 encoder layers"],
        );
    }
}

#[test]
fn layers_computed_again_give_the_same_weights() {
    for checkpoint in ["tiny-camembert", "tiny-flaubert"] {
        let w = prepared(checkpoint);
        let weights = |options: &str, out: &str| {
            w.run(&format!(
                "flue-cls-finetune {QUICK} {options} -d data -c {checkpoint} -s {out}"
            ));
            let log = json(&w, &format!("{out}/trainer_state.json"))["log_history"].clone();
            let losses: Vec<Value> = log.as_array().unwrap()[..5]
                .iter()
                .map(|entry| entry["loss"].clone())
                .collect();
            let weights = fs::read(w.path(out).join("model.safetensors")).unwrap();
            (losses, weights)
        };
        let kept = weights("", "a");
        assert!(
            kept == weights("--gradient-checkpointing", "b"),
            "{checkpoint}"
        );
        let frozen = weights("--freeze 2", "c");
        assert!(
            frozen == weights("--freeze 2 --gradient-checkpointing", "d"),
            "{checkpoint}"
        );
    }
}

#[test]
fn the_results_hold_intervals_and_a_picture_is_left() {
    let w = prepared("tiny-camembert");
    let line = format!("flue-cls-finetune {QUICK} -d data -c tiny-camembert");
    let printed: Value = serde_json::from_str(&w.run(&format!("{line} -s out"))).unwrap();
    assert!(
        printed["eval_f1"].is_null(),
        "the printed keys are Trainer's"
    );
    let results = json(&w, "out/all_results.json");
    for (key, interval) in [
        ("eval_accuracy", "eval_accuracy_interval"),
        ("eval_f1", "eval_f1_interval"),
    ] {
        let value = results[key].as_f64().unwrap();
        let ends = ["low", "high"].map(|end| results[interval][end].as_f64().unwrap());
        assert!((0.0..=value).contains(&ends[0]), "{results}");
        assert!((value..=1.0).contains(&ends[1]), "{results}");
        assert!(ends[0] < ends[1], "{results}");
    }
    // The categories share the rows out among them, and their accuracies make up the whole.
    let parts = results["eval_by_category"].as_object().unwrap();
    let names: Vec<&str> = parts.keys().map(String::as_str).collect();
    assert_eq!(names, ["books", "dvd", "music"]);
    let (mut samples, mut right) = (0.0, 0.0);
    for part in parts.values() {
        let of = |key: &str| part[key].as_f64().unwrap();
        samples += of("samples");
        right += of("samples") * of("accuracy");
        for (key, interval) in [("accuracy", "accuracy_interval"), ("f1", "f1_interval")] {
            let end = |end: &str| part[interval][end].as_f64().unwrap();
            assert!(end("low") <= of(key) && of(key) <= end("high"), "{part}");
        }
    }
    assert_eq!(samples, 24.0);
    let accuracy = results["eval_accuracy"].as_f64().unwrap();
    assert!((right / samples - accuracy).abs() < 1e-12, "{results}");
    let classes = &json(&w, "out/config.json")["id2label"];
    assert_eq!(
        (&classes["0"], &classes["1"]),
        (&"negative".into(), &"positive".into())
    );
    let svg = fs::read_to_string(w.path("out/training.svg")).unwrap();
    for word in ["training loss", "evaluation loss", "learning rate / 5e-5"] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(
        fs::read(w.path("out/training.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
    // The same seed draws the same samples.
    w.run(&format!("{line} -s again"));
    let again = json(&w, "again/all_results.json");
    assert_eq!(again["eval_f1_interval"], results["eval_f1_interval"]);
}

#[test]
fn several_seeds_are_the_single_runs_and_their_mean() {
    let w = prepared("tiny-camembert");
    let line = format!("flue-cls-finetune {QUICK} -d data -c tiny-camembert");
    let printed: Value =
        serde_json::from_str(&w.run(&format!("{line} --seeds 1,2,3 -s out"))).unwrap();
    assert_eq!(printed, json(&w, "out/summary.json"));
    w.run(&format!("{line} --seed 2 -s alone"));
    let weights = |out: &str| fs::read(w.path(out).join("model.safetensors")).unwrap();
    assert!(weights("alone") == weights("out/seed-2"));
    assert!(weights("out/seed-1") != weights("out/seed-2"));
    for key in ["eval_loss", "eval_accuracy", "eval_f1", "train_loss"] {
        let values = [1, 2, 3].map(|seed| {
            json(&w, &format!("out/seed-{seed}/all_results.json"))[key]
                .as_f64()
                .unwrap()
        });
        let mean = values.iter().sum::<f64>() / 3.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0;
        let of = |what: &str| printed[key][what].as_f64().unwrap();
        assert!((of("mean") - mean).abs() < 1e-12);
        assert!((of("std") - variance.sqrt()).abs() < 1e-12);
    }
    // What is complete is kept, what is absent is made, and other settings are not mixed in.
    w.fails(
        &format!("{line} --seeds 1,2,3 -s out"),
        1,
        &["out", "--overwrite"],
    );
    let time = |seed: u64| {
        let path = w.path(&format!("out/seed-{seed}/model.safetensors"));
        fs::metadata(path).unwrap().modified().unwrap()
    };
    let before = time(1);
    fs::remove_dir_all(w.path("out/seed-3")).unwrap();
    let again: Value =
        serde_json::from_str(&w.run(&format!("{line} --seeds 1,2,3 --resume -s out"))).unwrap();
    assert_eq!(time(1), before);
    assert_eq!(again["eval_loss"], printed["eval_loss"]);
    w.fails(
        &format!("{line} --seeds 1,2,3 --resume --learning-rate 1e-3 -s out"),
        1,
        &["seed-1", "--learning-rate 0.00005, not 0.001"],
    );
    w.fails(&format!("{line} --seeds 1,1 -s twice"), 2, &["1", "twice"]);
    w.fails(&format!("{line} --seeds 1 --seed 2 -s x"), 2, &["--seed"]);
}
