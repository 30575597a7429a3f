//! `all_results.json`: the figures of a run, over all rows and by category, and how sure one can be of them.

use serde_json::{Map, Value, json};

use crate::dataset::Categories;
use crate::error::Result;
use crate::metrics::{ConfusionMatrix, Interval, bootstrap_interval, wilson_interval};
use crate::rng::Stream;
use crate::training::{Evaluation, TrainOutput};

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

/// Trainer's figures, then those of [`figures`] under `eval_` names, then the same by category under `eval_by_category`.
pub(super) fn to_json(output: &TrainOutput, results: &Results<'_>, seed: u64) -> Result<Value> {
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

/// Accuracy and macro-F1 of some rows of an evaluation, with 95 % intervals: Wilson's of the accuracy, the bootstrap's (over
/// rows) of the macro-F1.
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
