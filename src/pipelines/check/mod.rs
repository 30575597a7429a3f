//! `study check`: what this build makes of the published checkpoints and of FLUE CLS, beside what
//! others published of them.
//!
//! The values are data (`published.json`); any others can be given, so that a laboratory can hold a
//! build against its own.

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use serde_json::{Value, json};

use crate::corpus::{Corpus, ReadOptions, Source};
use crate::device::on_worker;
use crate::error::{Error, Result, interrupt};
use crate::hub::{Hub, HubOptions};
use crate::models::Input;
use crate::models::checkpoint::load_encoder;
use crate::nn::Queries;
use crate::tokenization::{self, TokenizerOptions};

mod expected;

use expected::States;

pub(crate) use expected::Expected;

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// A file of expected values; without one, those that come with the program.
    pub(crate) expected: Option<PathBuf>,
    /// Device by name.
    pub(crate) device: Option<String>,
    /// Where checkpoints and the corpus are looked up.
    pub(crate) hub: HubOptions,
}

impl Config {
    /// The values to check.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] for a file that does not hold such values.
    pub(crate) fn values(&self) -> Result<Vec<Expected>> {
        match &self.expected {
            Some(file) => expected::read(file),
            None => Ok(expected::published()),
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// What was found is what was expected.
    Agreed,
    /// It is something else.
    Disagreed,
    /// Nothing was found: a file or the connection is missing.
    NotChecked,
}

/// One value beside the one that was expected.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) what: String,
    /// Who published the expected value.
    pub(crate) source: Option<String>,
    /// Ids, rows of states, or numbers of rows by split.
    pub(crate) expected: Value,
    /// The same of this build; null where nothing could be checked.
    pub(crate) found: Value,
    /// How this ended.
    pub(crate) outcome: Outcome,
    /// Of states, the largest difference.
    pub(crate) difference: Option<f64>,
    /// Why nothing could be checked.
    pub(crate) problem: Option<String>,
}

/// All checks.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Checks that agreed.
    pub(crate) agreed: usize,
    /// Checks that did not.
    pub(crate) disagreed: usize,
    /// Values that could not be checked.
    pub(crate) not_checked: usize,
    /// Each of them, in the order of the expected values.
    pub(crate) checks: Vec<Check>,
}

/// Check every value. One that cannot be checked does not end the others.
///
/// # Errors
/// Those of [`Config::values`] and of the device; [`Error::Interrupted`].
pub(crate) fn run(config: &Config) -> Result<Summary> {
    let values = config.values()?;
    let device = crate::device::select(config.device.as_deref())?;
    let hub = Hub::new(config.hub.clone());
    let mut checks = Vec::with_capacity(values.len());
    for value in &values {
        interrupt::check()?;
        let found = match value {
            Expected::States(s) => {
                states(s, &hub, &device).map(|(found, difference)| (found, Some(difference)))
            }
            Expected::Tokens {
                checkpoint, text, ..
            } => tokens(checkpoint, text, &hub).map(|ids| (ids, None)),
            Expected::Rows { rows, .. } => count(rows.keys(), &hub).map(|rows| (rows, None)),
        };
        checks.push(match found {
            Ok((found, difference)) => compare(value, found, difference),
            Err(e @ Error::Interrupted { .. }) => return Err(e),
            Err(e) => Check {
                problem: Some(e.to_string()),
                ..unchecked(value)
            },
        });
    }
    let number = |outcome| checks.iter().filter(|c| c.outcome == outcome).count();
    Ok(Summary {
        agreed: number(Outcome::Agreed),
        disagreed: number(Outcome::Disagreed),
        not_checked: number(Outcome::NotChecked),
        checks,
    })
}

fn unchecked(value: &Expected) -> Check {
    Check {
        what: value.what(),
        source: value.source().map(str::to_owned),
        expected: value.expected(),
        found: Value::Null,
        outcome: Outcome::NotChecked,
        difference: None,
        problem: None,
    }
}

fn compare(value: &Expected, found: Value, difference: Option<f64>) -> Check {
    let check = unchecked(value);
    let agrees = match (value, difference) {
        (Expected::States(s), Some(difference)) => difference <= s.tolerance,
        _ => check.expected == found,
    };
    Check {
        found,
        difference,
        outcome: match agrees {
            true => Outcome::Agreed,
            false => Outcome::Disagreed,
        },
        ..check
    }
}

/// The ids of a text.
fn tokens(checkpoint: &str, text: &str, hub: &Hub) -> Result<Value> {
    let folder = hub.tokenizer(checkpoint)?;
    let tokenizer = tokenization::from_pretrained(&folder, &TokenizerOptions::default())?;
    Ok(json!(tokenizer.encode(text, None)?.ids))
}

/// The rows of these splits of FLUE CLS.
fn count<'a>(splits: impl Iterator<Item = &'a String>, hub: &Hub) -> Result<Value> {
    let corpus = Corpus::open(&Source::Flue, hub, &ReadOptions::default())?;
    let mut rows = serde_json::Map::new();
    for split in splits {
        let mut number = 0u64;
        let there = corpus.split_names().contains(&split.as_str());
        for review in there.then(|| corpus.reviews(split)).into_iter().flatten() {
            review?;
            number += 1;
            if number.is_multiple_of(1000) {
                interrupt::check()?;
            }
        }
        rows.insert(split.clone(), json!(number));
    }
    Ok(Value::Object(rows))
}

/// The numbers of this build in the places of `expected.values`, and the largest difference.
fn states(expected: &States, hub: &Hub, device: &Device) -> Result<(Value, f64)> {
    let folder = hub.checkpoint(&expected.checkpoint)?;
    let encoder = load_encoder(&folder, device)?;
    let padding = encoder.config().pad_token_id;
    let seen = expected.ids.iter().filter(|&&id| id != padding).count();
    let ids = &expected.ids[..seen];
    if ids.len() < expected.values.len() {
        let (found, wanted) = (ids.len(), expected.values.len());
        return Err(Error::Mismatch(format!(
            "{found} tokens that are not padding, but states of {wanted} are expected"
        )));
    }
    let columns: Vec<u32> = (0..ids.len() as u32).collect();
    let bounds = [0, ids.len()];
    let input = Input {
        ids,
        columns: &columns,
        token_type_ids: None,
        bounds: &bounds,
    };
    let layer = expected.layer.unwrap_or(encoder.config().num_layers);
    let states = on_worker(|| -> Result<Vec<Vec<f32>>> {
        let mut states = Vec::new();
        let mut keep = |number: usize, x: &Tensor| {
            if number == layer {
                states = x.to_dtype(DType::F32)?.to_vec2()?;
            }
            Ok(())
        };
        encoder.hidden_states(&input, layer, Queries::All, &mut keep)?;
        Ok(states)
    })?;
    let first = states
        .into_iter()
        .zip(&expected.values)
        .map(|(mut row, wanted)| {
            if row.len() < wanted.len() {
                let (found, wanted) = (row.len(), wanted.len());
                return Err(Error::Mismatch(format!(
                    "states of {found} numbers, but {wanted} are expected"
                )));
            }
            row.truncate(wanted.len());
            Ok(row)
        });
    let first = first.collect::<Result<Vec<_>>>()?;
    let difference = largest_difference(&expected.values, &first);
    Ok((json!(first), difference))
}

/// The largest difference between expected and found numbers; infinite where one is not a number.
fn largest_difference(expected: &[Vec<f64>], found: &[Vec<f32>]) -> f64 {
    let pairs = expected.iter().flatten().zip(found.iter().flatten());
    let differences = pairs.map(|(want, got)| match (f64::from(*got) - want).abs() {
        difference if difference.is_nan() => f64::INFINITY,
        difference => difference,
    });
    differences.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::largest_difference;

    #[test]
    fn what_is_not_a_number_never_agrees() {
        let expected = [vec![0.0, 1.0], vec![2.0]];
        let found = |x: f32| [vec![0.0, 1.25], vec![x]];
        assert_eq!(largest_difference(&expected, &found(2.125)), 0.25);
        assert_eq!(
            largest_difference(&expected, &found(f32::NAN)),
            f64::INFINITY
        );
    }
}
