//! The picture of a run: losses and the learning rate by update.

use serde_json::Value;

use super::{TrainingArguments, basename};
use crate::plotting::{Axis, Labels, LineChart, LineSeries};
use crate::training::{LogEntry, TrainerState};

/// The picture of a run that began with `checkpoint`. The learning rate is drawn as a share of its highest, so that it fits the
/// axis of the losses.
pub(super) fn of(
    checkpoint: &str,
    arguments: &TrainingArguments,
    state: &TrainerState,
) -> LineChart {
    let highest = arguments.learning_rate;
    let rates = points(&state.log_history, "learning_rate");
    let shares = rates.into_iter().map(|(step, rate)| (step, rate / highest));
    let rate = format!("learning rate / {highest:e}");
    let evaluations = during_training(state);
    let all = [
        (
            "training loss".to_owned(),
            points(&state.log_history, "loss"),
            false,
        ),
        (
            "evaluation loss".into(),
            points(evaluations, "eval_loss"),
            false,
        ),
        (
            "evaluation accuracy".into(),
            points(evaluations, "eval_accuracy"),
            false,
        ),
        (rate, shares.collect(), true),
    ];
    LineChart {
        labels: Labels {
            title: format!("{}: fine-tuning", basename(checkpoint)),
            subtitle: format!(
                "training loss: mean of every {} updates",
                state.logging_steps
            ),
            x: "update".into(),
            y: "loss (nats), accuracy, share".into(),
        },
        series: all
            .into_iter()
            .filter(|(_, points, _)| !points.is_empty())
            .map(|(name, points, dashed)| LineSeries {
                // A lone dot is read off the legend.
                name: match points[..] {
                    [(_, value)] => format!("{name} {value:.3}"),
                    _ => name,
                },
                points,
                dashed,
                band: Vec::new(),
            })
            .collect(),
        axis: Axis::Linear,
    }
}

/// The log without the evaluation at its end where others came before: that one may be of weights of an earlier update.
fn during_training(state: &TrainerState) -> &[LogEntry] {
    let log = &state.log_history;
    let last = log.len().saturating_sub(1);
    if state.evaluated_step > 0 {
        &log[..last]
    } else {
        log
    }
}

/// (update, value) of every entry that has `key`.
fn points(log: &[LogEntry], key: &str) -> Vec<(f64, f64)> {
    let number = |entry: &LogEntry, key: &str| entry.get(key).and_then(Value::as_f64);
    log.iter()
        .filter_map(|entry| Some((number(entry, "step")?, number(entry, key)?)))
        .collect()
}
