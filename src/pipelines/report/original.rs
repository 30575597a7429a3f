//! Whether what was studied is what the original study looked at, so that its published figures may stand beside ours.
//!
//! A name proves nothing: a folder can be called anything. What counts is where the weights were read from, as manifests keep it
//! with their digests: from a repository of the hub, through its cache.

use std::path::Path;

use serde_json::Value;

use super::results::{Run, source_manifest};
use crate::artifact::Manifest;
use crate::error::Result;

/// A model of the original study.
struct Original {
    family: &'static str,
    /// The names that its repository has on the hub.
    repositories: &'static [&'static str],
    model_type: &'static str,
}

const ORIGINALS: [Original; 2] = [
    Original {
        family: "flaubert",
        repositories: &["flaubert/flaubert_base_cased"],
        model_type: "flaubert",
    },
    Original {
        family: "camembert",
        repositories: &["camembert-base", "almanach/camembert-base"],
        model_type: "camembert",
    },
];

/// Hidden size and layers of both.
const SHAPE: [u64; 2] = [768, 12];
/// Rows of FLUE CLS.
const ROWS: [(&str, u64); 2] = [("train", 5997), ("test", 5999)];
/// How the published models were fine-tuned: rows and epochs.
const TRAINING: [u64; 2] = [5000, 1];

/// Whether every run is of one of the original's models on FLUE CLS, and there is one.
///
/// # Errors
/// Those of reading the manifests beside what was studied.
pub(super) fn are_original(runs: &[Run]) -> Result<bool> {
    for run in runs {
        if !is_original(run)? {
            return Ok(false);
        }
    }
    Ok(!runs.is_empty())
}

/// Whether a run is of one of the original's models on FLUE CLS: its size, and weights from its repository, or fine-tuned from these
/// as the original did it.
fn is_original(run: &Run) -> Result<bool> {
    let original = ORIGINALS.iter().find(|o| Some(o.family) == run.family);
    let (Some(original), Some(manifest)) = (original, &run.manifest) else {
        return Ok(false);
    };
    let found = |key: &str| manifest.config.pointer(&format!("/found/{key}"));
    let shape = ["hidden_size", "num_layers"].map(|k| found(k).and_then(Value::as_u64));
    if shape != SHAPE.map(Some) || found("model_type") != Some(&original.model_type.into()) {
        return Ok(false);
    }
    let folder = |key: &str| manifest.config.get(key).and_then(Value::as_str);
    let beside = |key: &str| match folder(key) {
        Some(folder) => source_manifest(&Path::new(folder).join("manifest.json")),
        None => Ok(None),
    };
    if !beside("data")?.is_some_and(|data| is_flue(&data)) {
        return Ok(false);
    }
    Ok(match &run.stage[..] {
        "raw" => comes_from(manifest, original),
        "ft" | "ft_1" => beside("checkpoint")?.is_some_and(|tuned| {
            let number = |pointer: &str| tuned.config.pointer(pointer).and_then(Value::as_u64);
            let training = ["/num_train", "/arguments/num_train_epochs"].map(number);
            training == TRAINING.map(Some) && comes_from(&tuned, original)
        }),
        _ => false,
    })
}

/// Whether the dataset that a manifest tells of is FLUE CLS, whole.
fn is_flue(data: &Manifest) -> bool {
    let rows = |split: &str| data.results.pointer(&format!("/splits/{split}/rows"));
    data.config.get("data").is_some_and(Value::is_null)
        && ROWS
            .iter()
            .all(|(split, n)| rows(split) == Some(&(*n).into()))
}

/// Whether the checkpoint that a program read came from one of the repositories. Only what lies in the hub's cache has such a name in
/// a manifest.
fn comes_from(manifest: &Manifest, original: &Original) -> bool {
    let is_read = |repository: &&str| {
        let config = format!("hf://{repository}/config.json");
        manifest.inputs.contains_key(&config)
    };
    original.repositories.iter().any(is_read)
}
