//! The folder that fine-tuning leaves.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Config, chart};
use crate::artifact::{AtomicDir, Manifest};
use crate::error::{Error, Result};
use crate::metrics::{ConfusionMatrix, Interval, bootstrap_interval, wilson_interval};
use crate::models::SequenceClassifier;
use crate::models::checkpoint::save_classifier;
use crate::plotting;
use crate::rng::Stream;
use crate::tokenization::TOKENIZER_FILES;
use crate::training::{Evaluation, TrainOutput};

/// The figures of a run.
pub(super) const RESULTS: &str = "all_results.json";

/// What made the folder.
pub(super) const MANIFEST: &str = "manifest.json";

/// Samples drawn for the interval of the macro-F1.
const RESAMPLES: usize = 1000;

/// Leave the folder that `save_pretrained` would, with Trainer's records and a picture of the run.
pub(super) fn write(
    config: &Config,
    checkpoint: &Path,
    save: &Path,
    model: &dyn SequenceClassifier,
    output: &TrainOutput,
    evaluation: &Evaluation,
) -> Result<()> {
    let dir = AtomicDir::create(save, config.overwrite)?;
    save_classifier(model, dir.path())?;
    for name in TOKENIZER_FILES {
        let from = checkpoint.join(name);
        if from.is_file() {
            fs::copy(&from, dir.path().join(name)).map_err(Error::io(&from, "copy"))?;
        }
    }
    write_json(&dir.path().join("trainer_state.json"), &json!(output.state))?;
    write_json(
        &dir.path().join("training_args.json"),
        &json!(config.arguments),
    )?;
    let results = results(output, evaluation, config.arguments.seed)?;
    write_json(&dir.path().join(RESULTS), &results)?;
    let picture = chart::of(&config.checkpoint, &config.arguments, &output.state);
    plotting::save(&picture, dir.path(), "training")?;
    let mut manifest = Manifest::new("flue-cls-finetune", settings(config));
    manifest.add_input(&checkpoint.join("config.json"))?;
    manifest.write(&dir.path().join(MANIFEST))?;
    dir.commit()
}

/// What the manifest says of the configuration.
pub(super) fn settings(config: &Config) -> Value {
    json!({
        "checkpoint": config.checkpoint,
        "datasets": config.datasets,
        "num_train": config.num_train,
        "num_test": config.num_test,
        "dropout": config.dropout,
        "arguments": config.arguments,
    })
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(Error::compute(path.display()))?;
    fs::write(path, text + "\n").map_err(Error::io(path, "write"))
}

/// Trainer's figures, the macro-F1, and 95 % intervals: Wilson's of the accuracy, the bootstrap's (over rows) of the macro-F1.
fn results(output: &TrainOutput, evaluation: &Evaluation, seed: u64) -> Result<Value> {
    let confusion = evaluation.confusion()?;
    let accuracy = wilson_interval(confusion.correct(), confusion.total());
    let mut results = json!(evaluation.record());
    for (key, value) in [
        ("eval_accuracy_interval", json!(accuracy)),
        ("eval_f1", json!(confusion.macro_f1())),
        ("eval_f1_interval", json!(f1_interval(evaluation, seed)?)),
        ("epoch", json!(output.state.epoch)),
        ("train_loss", json!(output.train_loss)),
        ("train_runtime", json!(output.train_runtime)),
        (
            "train_samples_per_second",
            json!(output.train_samples_per_second),
        ),
        (
            "train_steps_per_second",
            json!(output.train_steps_per_second),
        ),
    ] {
        results[key] = value;
    }
    Ok(results)
}

fn f1_interval(evaluation: &Evaluation, seed: u64) -> Result<Interval> {
    let class = |c: &u32| *c as usize;
    let truth: Vec<usize> = evaluation.labels.iter().map(class).collect();
    let predicted: Vec<usize> = evaluation.predictions.iter().map(class).collect();
    let classes = truth.iter().chain(&predicted).max().map_or(0, |c| c + 1);
    let mut failure = Ok(());
    let mut stream = Stream::new(seed, "bootstrap of the macro-F1");
    let interval = bootstrap_interval(truth.len(), RESAMPLES, &mut stream, |drawn| {
        let mut matrix = ConfusionMatrix::new(classes);
        for &row in drawn {
            if let Err(error) = matrix.add(truth[row], predicted[row]) {
                failure = Err(error);
            }
        }
        matrix.macro_f1()
    });
    failure.map(|()| interval)
}
