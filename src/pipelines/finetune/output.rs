//! The folder that fine-tuning leaves: the model, Trainer's records, the figures of the run with
//! how sure one can be of them, and its picture.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Config, TrainingArguments, basename};
use crate::dataset::Categories;
use crate::error::Result;
use crate::files::{AtomicDir, write_json};
use crate::metrics::{ConfusionMatrix, Interval, bootstrap_interval, wilson_interval};
use crate::models::SequenceClassifier;
use crate::models::checkpoint::save_classifier;
use crate::plotting::{self, Axis, Labels, LineChart, LineSeries};
use crate::rng::Stream;
use crate::tokenization;
use crate::training::{Evaluation, LogEntry, TrainOutput, TrainerState};

/// The figures of a run.
pub(super) const RESULTS: &str = "all_results.json";

/// What made the folder.
pub(super) const MANIFEST: &str = "manifest.json";

/// Samples drawn for the interval of a macro-F1.
const RESAMPLES: usize = 1000;

/// The evaluation at the end of a run.
pub(super) struct Results<'a> {
    /// The answers.
    pub(super) evaluation: &'a Evaluation,
    /// The rows of the split that were evaluated.
    pub(super) rows: &'a [usize],
    /// The categories of the rows of the split, where the data has categories.
    pub(super) categories: Option<Categories>,
}

/// Leave in `dir` what `save_pretrained` would, with Trainer's records and a picture of the run.
pub(super) fn write(
    config: &Config,
    dir: &AtomicDir,
    checkpoint: &Path,
    model: &dyn SequenceClassifier,
    output: &TrainOutput,
    results: &Results<'_>,
) -> Result<()> {
    save_classifier(model, dir.path())?;
    tokenization::save(checkpoint, dir.path())?;
    write_json(&dir.path().join("trainer_state.json"), &json!(output.state))?;
    write_json(
        &dir.path().join("training_args.json"),
        &json!(config.arguments),
    )?;
    let results = all_results(output, results, config.arguments.seed)?;
    write_json(&dir.path().join(RESULTS), &results)?;
    let picture = picture(&config.checkpoint, &config.arguments, &output.state);
    plotting::save(&picture, dir.path(), "training")
}

/// What the manifest says of the configuration.
pub(super) fn settings(config: &Config) -> Value {
    json!({
        "checkpoint": config.checkpoint,
        "datasets": config.datasets,
        "label_map": config.reading.label_map,
        "no_quotes": config.reading.no_quotes,
        "num_train": config.num_train,
        "num_test": config.num_test,
        "dropout": config.dropout,
        "arguments": config.arguments,
    })
}

/// Trainer's figures, then those of [`figures`] under `eval_` names, then the same by category
/// under `eval_by_category`.
fn all_results(output: &TrainOutput, results: &Results<'_>, seed: u64) -> Result<Value> {
    let evaluation = results.evaluation;
    let all: Vec<usize> = (0..evaluation.labels.len()).collect();
    let mut json = json!(evaluation.record());
    for (key, value) in figures(evaluation, &all, seed)? {
        json[format!("eval_{key}")] = value;
    }
    if let Some(categories) = &results.categories {
        let mut parts = Map::new();
        for (place, category) in categories.names().iter().enumerate() {
            let own = |&row: &usize| categories.place(results.rows[row]) == Some(place);
            let rows: Vec<usize> = all.iter().copied().filter(own).collect();
            if !rows.is_empty() {
                let mut part = Map::from_iter([("samples".into(), json!(rows.len()))]);
                part.extend(figures(evaluation, &rows, seed)?);
                parts.insert(category.clone(), part.into());
            }
        }
        json["eval_by_category"] = parts.into();
    }
    for (key, value) in [
        ("epoch", output.state.epoch),
        ("train_loss", output.train_loss),
        ("train_runtime", output.train_runtime),
        ("train_samples_per_second", output.train_samples_per_second),
        ("train_steps_per_second", output.train_steps_per_second),
    ] {
        json[key] = json!(value);
    }
    Ok(json)
}

/// Accuracy and macro-F1 of some rows of an evaluation, with 95 % intervals: Wilson's of the
/// accuracy, the bootstrap's (over rows) of the macro-F1.
fn figures(
    evaluation: &Evaluation,
    rows: &[usize],
    seed: u64,
) -> Result<impl Iterator<Item = (String, Value)>> {
    let of =
        |classes: &[u32]| -> Vec<usize> { rows.iter().map(|&r| classes[r] as usize).collect() };
    let (truth, predicted) = (of(&evaluation.labels), of(&evaluation.predictions));
    let classes = truth.iter().chain(&predicted).max().map_or(0, |c| c + 1);
    let confusion = ConfusionMatrix::of(classes, &truth, &predicted)?;
    let mut failure = Ok(());
    let mut stream = Stream::new(seed, "bootstrap of the macro-F1");
    let f1: Interval = bootstrap_interval(rows.len(), RESAMPLES, &mut stream, |drawn| {
        let mut matrix = ConfusionMatrix::new(classes);
        for &row in drawn {
            if let Err(error) = matrix.add(truth[row], predicted[row]) {
                failure = Err(error);
            }
        }
        matrix.macro_f1()
    });
    failure?;
    let accuracy = wilson_interval(confusion.correct(), confusion.total());
    Ok([
        ("accuracy", json!(confusion.accuracy())),
        ("accuracy_interval", json!(accuracy)),
        ("f1", json!(confusion.macro_f1())),
        ("f1_interval", json!(f1)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value)))
}

/// The picture of a run that began with `checkpoint`. The learning rate is drawn as a share of its
/// highest, so that it fits the axis of the losses.
fn picture(checkpoint: &str, arguments: &TrainingArguments, state: &TrainerState) -> LineChart {
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

/// The log without the evaluation at its end where others came before: that one may be of weights
/// of an earlier update.
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
