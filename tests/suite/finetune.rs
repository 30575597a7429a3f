//! `flue-cls-finetune` on the shipped sample: what it leaves, that it is reproducible, and that it
//! survives being killed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use super::common::Workspace;

mod evaluations;
mod options;
mod shares;

const QUICK: &str = "-a 40 -b 24 --logging-steps 1 -q";

fn prepared(checkpoint: &str) -> Workspace {
    let w = Workspace::new();
    w.run(&format!(
        "flue-cls-prepare -c {checkpoint} --data sample -q data"
    ));
    w
}

fn json(w: &Workspace, path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(w.path(path)).unwrap()).unwrap()
}

#[test]
fn it_leaves_what_save_pretrained_and_trainer_leave() {
    for (checkpoint, tokenizer) in [
        ("tiny-camembert", "tokenizer.json"),
        ("tiny-flaubert", "merges.txt"),
    ] {
        let w = prepared(checkpoint);
        let printed: Value = serde_json::from_str(&w.run(&format!(
            "flue-cls-finetune {QUICK} -d data -c {checkpoint} -s out"
        )))
        .unwrap();
        for key in [
            "eval_loss",
            "eval_accuracy",
            "eval_runtime",
            "eval_samples_per_second",
            "eval_steps_per_second",
            "epoch",
        ] {
            assert!(printed[key].is_number(), "{key} in {printed}");
        }
        for file in [
            "config.json",
            "model.safetensors",
            "training_args.json",
            "manifest.json",
            tokenizer,
        ] {
            assert!(w.path("out").join(file).is_file(), "{file}");
        }
        let log = json(&w, "out/trainer_state.json")["log_history"]
            .as_array()
            .unwrap()
            .clone();
        let losses: Vec<f64> = log.iter().filter_map(|e| e["loss"].as_f64()).collect();
        assert_eq!(losses.len(), 5);
        assert!(losses.iter().all(|l| l.is_finite() && *l > 0.0));
        assert_eq!(log[4]["step"], 5);
        assert_eq!(log[0]["learning_rate"], 5e-5);
        let results = json(&w, "out/all_results.json");
        let mean = losses.iter().sum::<f64>() / 5.0;
        assert!((results["train_loss"].as_f64().unwrap() - mean).abs() < 1e-9);
        assert_eq!(results["eval_accuracy"], printed["eval_accuracy"]);
        assert!(!w.path("out.checkpoints").exists());
        // What was left is a checkpoint like any other.
        w.run(&format!(
            "flue-cls-finetune {QUICK} -d data -c ./out -s again"
        ));
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_whatever_the_threads() {
    for checkpoint in ["tiny-camembert", "tiny-flaubert"] {
        let w = prepared(checkpoint);
        let weights = |options: &str, out: &str| {
            w.run(&format!(
                "flue-cls-finetune {QUICK} {options} -d data -c {checkpoint} -s {out}"
            ));
            fs::read(w.path(out).join("model.safetensors")).unwrap()
        };
        let first = weights("", "a");
        assert!(first == weights("", "b"), "two runs differ");
        for threads in 1..=3 {
            let same = first == weights(&format!("--threads {threads}"), &format!("t{threads}"));
            assert!(same, "{checkpoint}: {threads} threads differ from all");
        }
        assert!(
            first != weights("--seed 43", "d"),
            "another seed changes nothing"
        );
        let types = first != weights("--no-token-type-ids", "e");
        assert_eq!(types, checkpoint == "tiny-flaubert", "token types");
    }
}

#[test]
fn accumulation_gives_the_update_of_the_large_batch() {
    let w = prepared("tiny-camembert");
    let losses = |options: &str, out: &str| {
        w.run(&format!(
            "flue-cls-finetune {QUICK} --dropout 0 --data-order sequential {options} -d data -c tiny-camembert -s {out}"
        ));
        let state = json(&w, &format!("{out}/trainer_state.json"));
        state["log_history"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| e["loss"].as_f64())
            .collect::<Vec<_>>()
    };
    let whole = losses("", "a");
    let parts = losses(
        "--per-device-train-batch-size 4 --gradient-accumulation-steps 2",
        "b",
    );
    assert_eq!(whole.len(), parts.len());
    for (a, b) in whole.iter().zip(parts) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn killed_twenty_times_and_resumed_it_ends_bit_equal() {
    let w = prepared("tiny-camembert");
    let line =
        "flue-cls-finetune -a 160 -b 8 --save-steps 2 -q -d data -c tiny-camembert --resume -s OUT";
    w.killed_and_run_again(line, "whole", "killed", 20);
    let weights = |out: &str| fs::read(w.path(out).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("killed"), "the weights differ");
    let log = |out: &str| {
        json(&w, &format!("{out}/trainer_state.json"))["log_history"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(log("whole"), log("killed"));
}

#[cfg(unix)]
#[test]
fn a_signal_saves_the_state_and_sets_the_exit_status() {
    let w = prepared("tiny-camembert");
    let line = "flue-cls-finetune -a all -b 8 -n 3 -q -d data -c tiny-camembert -s out";
    let mut child = w
        .command(&line.replace(" -q", " -v"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("\"step\":5,") {
        assert!(said.read_line(&mut log).unwrap() > 0, "{log}");
    }
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    said.read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{log}");
    assert!(log.contains("stopped by SIGTERM: ") && log.contains("--resume"));
    // The log tells how far it came, not how far it was to come.
    let last = log.rsplit("train: ").next().unwrap();
    let steps = last.split(" steps").next().unwrap();
    let (done, all) = steps.split_once('/').unwrap();
    let done: u32 = done.parse().unwrap();
    assert!((5..1350).contains(&done) && all == "1350", "{log}");
    assert!(!w.path("out").exists());
    assert_eq!(fs::read_dir(w.path("out.checkpoints")).unwrap().count(), 1);
    let begun = ["out.checkpoints holds the state", "--resume"];
    w.fails(&line.replace("-n 3", "-n 1"), 1, &begun);
    // Other settings are refused rather than mixed.
    for (option, words) in [
        ("--seed 1", "--seed 42, not 1"),
        ("--dropout 0.3", "another --dropout"),
        ("--freeze 2", "another --freeze"),
    ] {
        let wrong = format!("{line} --resume {option}");
        w.fails(&wrong, 1, &["checkpoint-", words, "--resume"]);
    }
    let fewer = format!("{line} --resume").replace("-a all", "-a 40");
    w.fails(&fewer, 1, &["checkpoint-", "with -a 3600, not 40"]);
    w.run("flue-cls-prepare -c tiny-camembert --data sample --max-length 40 -q other");
    let other = format!("{line} --resume").replace("-d data", "-d other");
    w.fails(&other, 1, &["checkpoint-", "-d (the rows of train)"]);
}

#[test]
fn wrong_requests_are_refused_and_leave_nothing() {
    let w = prepared("tiny-camembert");
    let one = |rest: &str| format!("flue-cls-finetune -q -a 8 -b 8 {rest}");
    let more = one("-d data -c tiny-camembert -s out").replace("-a 8", "-a 100000");
    w.fails(&more, 1, &["100000 rows", "train", "all"]);
    w.fails(&one("-d absent -c tiny-camembert -s out"), 1, &["absent"]);
    w.fails(
        &one("-d data -c tiny-flaubert -s out"),
        1,
        &[
            "data",
            "another tokenizer",
            "prepare it with this checkpoint",
        ],
    );
    w.fails(
        &one("-d data -c absent-checkpoint -s out"),
        1,
        &["absent-checkpoint"],
    );
    fs::create_dir(w.path("there")).unwrap();
    w.fails(
        &one("-d data -c tiny-camembert -s there"),
        1,
        &["there", "--overwrite"],
    );
    assert_eq!(fs::read_dir(w.path("there")).unwrap().count(), 0);
    for folder in [".", ".."] {
        let line = one(&format!(
            "-d data -c tiny-camembert --overwrite -s {folder}"
        ));
        w.fails(&line, 1, &["not a name", "choose another name"]);
    }

    // A checkpoint of an unknown kind, one cut short, and one whose folder was only half written.
    w.run(&one("-d data -c tiny-camembert -s good"));
    for (file, change, words) in [
        ("config.json", "unknown", ["config.json", "model_type"]),
        (
            "model.safetensors",
            "cut",
            ["model.safetensors", "complete"],
        ),
        ("model.safetensors", "gone", ["broken", "model.safetensors"]),
        ("config.json", "gone", ["broken", "config.json"]),
    ] {
        let _ = fs::remove_dir_all(w.path("broken"));
        fs::create_dir(w.path("broken")).unwrap();
        for entry in fs::read_dir(w.path("good")).unwrap().flatten() {
            fs::copy(entry.path(), w.path("broken").join(entry.file_name())).unwrap();
        }
        let path = w.path("broken").join(file);
        match change {
            "unknown" => {
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, text.replace("\"camembert\"", "\"gpt2\"")).unwrap();
            }
            "cut" => {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
            }
            _ => fs::remove_file(&path).unwrap(),
        }
        w.fails(&one("-d data -c ./broken -s out"), 1, &words);
    }
    // A data folder whose Arrow file was cut short.
    let shard = w.path("data/train/data-00000-of-00001.arrow");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    w.fails(
        &one("-d data -c tiny-camembert -s out"),
        1,
        &["data-00000-of-00001.arrow"],
    );
    assert!(!w.path("out").exists());
}
