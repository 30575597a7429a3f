//! The folder that fine-tuning leaves.

use std::path::Path;

use serde_json::{Value, json};

use super::results::{self, Results};
use super::{Config, chart};
use crate::error::Result;
use crate::files::{AtomicDir, write_json};
use crate::models::SequenceClassifier;
use crate::models::checkpoint::save_classifier;
use crate::plotting;
use crate::tokenization;
use crate::training::TrainOutput;

/// The figures of a run.
pub(super) const RESULTS: &str = "all_results.json";

/// What made the folder.
pub(super) const MANIFEST: &str = "manifest.json";

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
    let results = results::to_json(output, results, config.arguments.seed)?;
    write_json(&dir.path().join(RESULTS), &results)?;
    let picture = chart::of(&config.checkpoint, &config.arguments, &output.state);
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
