//! Evaluations during training, the best model, early stopping, and that an interruption changes
//! none of them.

use std::fs;

use serde_json::Value;

use super::{json, prepared};
use crate::common::Workspace;

/// The evaluations in the log, without their speed, and the one after training last.
fn evaluations(w: &Workspace, out: &str) -> Vec<Value> {
    let state = json(w, &format!("{out}/trainer_state.json"));
    let log = state["log_history"].as_array().unwrap();
    let timeless = |entry: &Value| {
        let mut entry = entry.clone();
        for key in [
            "eval_runtime",
            "eval_samples_per_second",
            "eval_steps_per_second",
        ] {
            entry.as_object_mut().unwrap().remove(key).unwrap();
        }
        entry
    };
    let found = log.iter().filter(|e| e["eval_loss"].is_number());
    found.map(timeless).collect()
}

fn steps(evaluations: &[Value]) -> Vec<u64> {
    let step = |e: &Value| e["step"].as_u64().unwrap();
    evaluations.iter().map(step).collect()
}

fn weights(w: &Workspace, out: &str) -> Vec<u8> {
    fs::read(w.path(out).join("model.safetensors")).unwrap()
}

#[test]
fn evaluations_come_when_asked_for_and_change_nothing() {
    let w = prepared("tiny-camembert");
    let line = "flue-cls-finetune -q -a 40 -b 24 -n 2 -d data -c tiny-camembert";
    w.run(&format!("{line} -s plain"));
    w.run(&format!("{line} --eval-strategy epoch -s epoch"));
    w.run(&format!(
        "{line} --eval-strategy steps --eval-steps 4 -s steps"
    ));
    w.run(&format!(
        "{line} --eval-strategy steps --logging-steps 3 -s logged"
    ));
    assert_eq!(steps(&evaluations(&w, "plain")), [10]);
    assert_eq!(steps(&evaluations(&w, "epoch")), [5, 10, 10]);
    assert_eq!(steps(&evaluations(&w, "steps")), [4, 8, 10]);
    assert_eq!(steps(&evaluations(&w, "logged")), [3, 6, 9, 10]);
    for out in ["epoch", "steps", "logged"] {
        assert!(weights(&w, "plain") == weights(&w, out), "{out}");
    }
    let epoch = evaluations(&w, "epoch");
    assert_eq!(epoch[1]["eval_loss"], epoch[2]["eval_loss"]);
    assert!(epoch[0]["eval_f1"].is_number() && epoch[0]["eval_accuracy"].is_number());
    let state = json(&w, "epoch/trainer_state.json");
    assert!(state["best_metric"].is_number() && state["best_model_checkpoint"].is_null());
    assert!(json(&w, "plain/trainer_state.json")["best_metric"].is_null());
}

#[test]
fn the_best_model_is_the_one_that_is_left() {
    let w = prepared("tiny-camembert");
    // So high a rate that the loss goes up and down.
    let line = "flue-cls-finetune -q -a 80 -b 48 -n 2 --learning-rate 3e-3 -d data -c tiny-camembert \
                --eval-strategy steps --eval-steps 2";
    for (metric, key, sign) in [("loss", "eval_loss", -1.0), ("f1", "eval_f1", 1.0)] {
        w.run(&format!(
            "{line} --load-best-model-at-end --metric-for-best-model {metric} -s {metric}"
        ));
        let all = evaluations(&w, metric);
        let (last, during) = all.split_last().unwrap();
        let value = |e: &Value| e[key].as_f64().unwrap();
        let best = during
            .iter()
            .map(|e| sign * value(e))
            .fold(f64::MIN, f64::max)
            * sign;
        let first = during.iter().find(|e| value(e) == best).unwrap();
        let state = json(&w, &format!("{metric}/trainer_state.json"));
        assert_eq!(state["best_metric"], best);
        assert_eq!(state["best_global_step"], first["step"]);
        assert!(
            first["step"] != 20,
            "the last is the best: this shows nothing"
        );
        let folder = state["best_model_checkpoint"].as_str().unwrap();
        assert!(folder.ends_with(&format!("best-{}", first["step"])));
        assert_eq!(last["eval_loss"], first["eval_loss"]);
        assert!(!w.path(&format!("{metric}.checkpoints")).exists());
    }
    // The weights are those after that update.
    w.run(&format!("{line} -s last"));
    assert!(weights(&w, "last") != weights(&w, "loss"));
}

#[test]
fn training_stops_when_evaluations_no_longer_get_better() {
    let w = prepared("tiny-camembert");
    let line = "flue-cls-finetune -q -a 80 -b 48 -n 4 --learning-rate 3e-3 -d data -c tiny-camembert \
                --eval-strategy steps --eval-steps 2";
    w.run(&format!("{line} -s whole"));
    w.run(&format!("{line} --early-stopping-patience 2 -s early"));
    let (whole, early) = (evaluations(&w, "whole"), evaluations(&w, "early"));
    let losses: Vec<f64> = whole
        .iter()
        .map(|e| e["eval_loss"].as_f64().unwrap())
        .collect();
    let (mut best, mut waited, mut end) = (f64::MAX, 0, 0);
    for (i, loss) in losses.iter().enumerate() {
        (best, waited) = if *loss < best {
            (*loss, 0)
        } else {
            (best, waited + 1)
        };
        if waited == 2 {
            end = 2 * (i as u64 + 1);
            break;
        }
    }
    assert!((1..40).contains(&end), "this run never gets worse");
    assert_eq!(*steps(&early).last().unwrap(), end);
    assert_eq!(early[..early.len() - 1], whole[..early.len() - 1]);
    let state = json(&w, "early/trainer_state.json");
    assert_eq!(state["global_step"], end);
    assert_eq!(state["max_steps"], 40);
}

#[test]
fn an_interruption_changes_neither_evaluations_nor_the_best_model() {
    let w = prepared("tiny-camembert");
    let line = "flue-cls-finetune -q -a 160 -b 24 --learning-rate 3e-3 -d data -c tiny-camembert --save-steps 3 \
                --eval-strategy steps --eval-steps 2 --load-best-model-at-end --early-stopping-patience 8 \
                --resume -s OUT";
    w.killed_and_run_again(line, "whole", "killed", 10);
    assert!(weights(&w, "whole") == weights(&w, "killed"));
    assert_eq!(evaluations(&w, "whole"), evaluations(&w, "killed"));
    let best = |out: &str| json(&w, &format!("{out}/trainer_state.json"))["best_metric"].clone();
    assert_eq!(best("whole"), best("killed"));
}

/// Also in the middle of an epoch, between two evaluations and between two lines of the log.
#[test]
fn an_interruption_changes_nothing_where_gradients_accumulate_over_grouped_rows() {
    let w = prepared("tiny-flaubert");
    let line = "flue-cls-finetune -q -a 100 -b 24 -n 2 -d data -c tiny-flaubert --save-steps 3 --logging-steps 4 \
                --per-device-train-batch-size 3 --gradient-accumulation-steps 2 --group-by-length \
                --eval-strategy epoch --learning-rate 1e-3 --weight-decay 0.01 --resume -s OUT";
    w.killed_and_run_again(line, "whole", "killed", 10);
    assert!(weights(&w, "whole") == weights(&w, "killed"));
    assert_eq!(evaluations(&w, "whole"), evaluations(&w, "killed"));
    assert_eq!(steps(&evaluations(&w, "whole")), [17, 34, 34]);
    let losses = |out: &str| {
        let state = json(&w, &format!("{out}/trainer_state.json"));
        let log = state["log_history"].as_array().unwrap().clone();
        let training = |e: &Value| e["loss"].is_number();
        log.into_iter().filter(training).collect::<Vec<_>>()
    };
    assert_eq!(losses("whole").len(), 8);
    assert_eq!(losses("whole"), losses("killed"));
}

#[test]
fn options_that_need_evaluations_are_refused_without_them() {
    let w = Workspace::new();
    for (options, words) in [
        ("--load-best-model-at-end", "--eval-strategy"),
        ("--early-stopping-patience 2", "--eval-strategy"),
        (
            "--eval-strategy epoch --eval-steps 5",
            "--eval-strategy steps",
        ),
        ("--eval-strategy steps --eval-steps 0", "--eval-steps 0"),
    ] {
        let line = format!("flue-cls-finetune -q -c tiny-camembert {options}");
        w.fails(&line, 2, &[words]);
    }
}
