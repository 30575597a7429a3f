//! `study check`: what this build makes of the published checkpoints and of FLUE CLS, beside what others published of them.
//!
//! The values are data (`published.json`); any others can be given, so that a laboratory can hold a build against its own.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use crate::corpus::{Corpus, ReadOptions, Source};
use crate::error::{Error, Result, interrupt};
use crate::hub::{Hub, HubOptions};
use crate::tokenization::{self, TokenizerOptions};

mod expected;
mod states;

pub use expected::Expected;

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// A file of expected values; without one, those that come with the program.
    pub expected: Option<PathBuf>,
    /// Device by name.
    pub device: Option<String>,
    /// Where checkpoints and the corpus are looked up.
    pub hub: HubOptions,
}

impl Config {
    /// The values to check.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] for a file that does not hold such values.
    pub fn values(&self) -> Result<Vec<Expected>> {
        match &self.expected {
            Some(file) => expected::read(file),
            None => Ok(expected::published()),
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What was found is what was expected.
    Agreed,
    /// It is something else.
    Disagreed,
    /// Nothing was found: a file or the connection is missing.
    NotChecked,
}

/// One value beside the one that was expected.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// Who published the expected value.
    pub source: Option<String>,
    /// Ids, rows of states, or numbers of rows by split.
    pub expected: Value,
    /// The same of this build; null where nothing could be checked.
    pub found: Value,
    /// How this ended.
    pub outcome: Outcome,
    /// Of states, the largest difference.
    pub difference: Option<f64>,
    /// Why nothing could be checked.
    pub problem: Option<String>,
}

/// All checks.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Checks that agreed.
    pub agreed: usize,
    /// Checks that did not.
    pub disagreed: usize,
    /// Values that could not be checked.
    pub not_checked: usize,
    /// Each of them, in the order of the expected values.
    pub checks: Vec<Check>,
}

/// Check every value. One that cannot be checked does not end the others.
///
/// # Errors
/// Those of [`Config::values`] and of the device; [`Error::Interrupted`].
pub fn run(config: &Config) -> Result<Summary> {
    let values = config.values()?;
    let device = crate::device::select(config.device.as_deref())?;
    let hub = Hub::new(config.hub.clone());
    let mut checks = Vec::with_capacity(values.len());
    for value in &values {
        interrupt::check()?;
        let found = match value {
            Expected::States(s) => {
                states::find(s, &hub, &device).map(|(found, difference)| (found, Some(difference)))
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
