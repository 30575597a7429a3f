//! `--warmup-steps`, `--logging-steps`, `--eval-steps` and `--save-steps` as shares of the run.

use std::fs;

use serde_json::{Value, json};

use super::{json as read, prepared};
use crate::common::Workspace;

/// What a run left that does not depend on its speed: weights, log and state.
fn outcome(w: &Workspace, out: &str) -> (Vec<u8>, Vec<Value>) {
    let weights = fs::read(w.path(out).join("model.safetensors")).unwrap();
    let mut log = read(w, &format!("{out}/trainer_state.json"))["log_history"].clone();
    let entries = log.as_array_mut().unwrap();
    for entry in entries.iter_mut() {
        let entry = entry.as_object_mut().unwrap();
        entry.retain(|key, _| !key.ends_with("_runtime") && !key.ends_with("_per_second"));
    }
    (weights, entries.clone())
}

#[test]
fn shares_do_what_the_numbers_of_updates_do_that_they_stand_for() {
    let w = prepared("tiny-camembert");
    // 10 updates. 0.25 of them are 3, as Trainer rounds.
    let line =
        "flue-cls-finetune -q -a 40 -b 16 -n 2 -d data -c tiny-camembert --eval-strategy steps";
    w.run(&format!(
        "{line} --warmup-steps 0.21 --logging-steps 0.25 --eval-steps 0.4 --save-steps 0.2 -s shares"
    ));
    w.run(&format!(
        "{line} --warmup-steps 3 --logging-steps 3 --eval-steps 4 --save-steps 2 -s counts"
    ));
    let (weights, log) = outcome(&w, "shares");
    assert!((weights, &log) == (outcome(&w, "counts").0, &outcome(&w, "counts").1));
    let rates: Vec<f64> = log
        .iter()
        .filter_map(|e| e["learning_rate"].as_f64())
        .collect();
    assert_eq!(rates.len(), 3);
    assert!((rates[0] - 5e-5 * 2.0 / 3.0).abs() < 1e-12, "{rates:?}");
    for out in ["shares", "counts"] {
        let state = read(&w, &format!("{out}/trainer_state.json"));
        let steps = ["logging_steps", "eval_steps", "save_steps", "max_steps"];
        assert_eq!(steps.map(|key| state[key].as_u64().unwrap()), [3, 4, 2, 10]);
    }
    let arguments = |out: &str| {
        let all = read(&w, &format!("{out}/training_args.json"));
        let keys = ["warmup_steps", "logging_steps", "eval_steps", "save_steps"];
        Value::from(keys.map(|key| all[key].clone()).to_vec())
    };
    assert_eq!(arguments("shares"), json!([0.21, 0.25, 0.4, 0.2]));
    assert_eq!(arguments("counts"), json!([3, 3, 4, 2]));
    // What transformers 4 called it.
    let short = "flue-cls-finetune -q -a 40 -b 16 -n 2 -d data -c tiny-camembert";
    w.run(&format!("{short} --warmup-ratio 0.21 -s ratio"));
    w.run(&format!("{short} --warmup-steps 3.0 -s whole"));
    assert!(outcome(&w, "ratio") == outcome(&w, "whole"));
}

#[test]
fn an_interruption_changes_nothing_where_updates_are_shares() {
    let w = prepared("tiny-camembert");
    let line = "flue-cls-finetune -q -a 160 -b 16 --learning-rate 1e-3 -d data -c tiny-camembert --warmup-steps 0.3 \
                --save-steps 0.11 --logging-steps 0.13 --eval-strategy steps --eval-steps 0.17 --resume -s OUT";
    w.killed_and_run_again(line, "whole", "killed", 6);
    assert!(outcome(&w, "whole") == outcome(&w, "killed"));
}

#[test]
fn what_is_neither_a_number_nor_a_share_is_refused() {
    let w = Workspace::new();
    for option in [
        "--warmup-steps",
        "--logging-steps",
        "--eval-steps",
        "--save-steps",
    ] {
        for value in ["1.5", "-1", "-0.1", "nan", "inf", "ten"] {
            let line = format!(
                "flue-cls-finetune -q -c tiny-camembert --eval-strategy steps {option} {value}"
            );
            w.fails(&line, 2, &[option, value, "a share of the run"]);
        }
    }
    for (options, words) in [
        (
            "--logging-steps 0",
            "--logging-steps 0: expected at least 1",
        ),
        (
            "--eval-strategy steps --eval-steps 0.0",
            "--eval-steps 0: expected at least 1",
        ),
        ("--warmup-ratio 1", "from 0 to below 1"),
        ("--warmup-ratio 0.1 --warmup-steps 5", "--warmup-steps"),
    ] {
        let line = format!("flue-cls-finetune -q -c tiny-camembert {options}");
        w.fails(&line, 2, &[words]);
    }
}
