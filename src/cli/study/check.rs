//! The command line of `study check`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::super::options::CommonArgs;
use super::super::program::{download, print, to_json};
use crate::error::Error;
use crate::pipelines::check::{Check, Config, Expected, Outcome, Summary, run};
use crate::pipelines::download;

/// Hold this build against what others published of camembert-base, flaubert_base_cased and FLUE
/// CLS
///
/// Prints a line for each value: what it is, what was expected, what was found, and whether they
/// agree. What is neither in the cache nor to be had from the network is said in its line. Exit
/// status 1 when anything disagrees or could not be checked.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Check the values in this file of JSON instead of the published ones
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,

    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    /// Check and print; nothing is left to print.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let config = Config {
            expected: self.expected.clone(),
            device: common.device.clone(),
            hub: common.hub(),
        };
        if common.download_only {
            return download(common, needs(&config)?);
        }
        let summary = run(&config)?;
        print(&match self.json {
            true => to_json(&summary)?,
            false => lines(&summary),
        })?;
        match (summary.disagreed, summary.not_checked) {
            (0, 0) => Ok(String::new()),
            (disagreed, not_checked) => Err(Error::Mismatch(format!(
                "of {} values {disagreed} do not agree and {not_checked} could not be checked",
                summary.checks.len()
            ))
            .into()),
        }
    }
}

/// What the values are of.
fn needs(config: &Config) -> Result<download::Config> {
    let values = config.values()?;
    let of = |weights: bool| {
        let needed = values.iter().filter_map(Expected::checkpoint);
        let names = needed.filter(|(_, w)| *w == weights);
        names.map(|(name, _)| name.to_owned()).collect()
    };
    let reviews = values.iter().any(|v| matches!(v, Expected::Rows { .. }));
    Ok(download::Config {
        checkpoints: of(true),
        tokenizers: of(false),
        source: reviews.then_some(None),
        ..Default::default()
    })
}

/// A line for each check.
fn lines(summary: &Summary) -> String {
    let lines: Vec<String> = summary.checks.iter().map(line).collect();
    lines.join("\n")
}

fn line(check: &Check) -> String {
    let (what, expected) = (&check.what, words(&check.expected));
    let found = words(&check.found);
    let difference = check
        .difference
        .map(|d| format!(" (largest difference {d:.1e})"));
    let difference = difference.unwrap_or_default();
    match check.outcome {
        Outcome::Agreed => {
            format!("{what}: expected {expected}, found {found}: agreed{difference}")
        }
        Outcome::Disagreed => {
            format!("{what}: expected {expected}, found {found}: DISAGREED{difference}")
        }
        Outcome::NotChecked => {
            let problem = check.problem.as_deref().unwrap_or("nothing was found");
            format!("{what}: expected {expected}, NOT CHECKED: {problem}")
        }
    }
}

/// A value as it is read best: states with the digits that are published, ids with spaces.
fn words(value: &Value) -> String {
    let joined = |values: &[Value], between: &str| {
        let words: Vec<String> = values.iter().map(words).collect();
        words.join(between)
    };
    match value {
        Value::Array(rows) if rows.iter().any(Value::is_array) => joined(rows, " / "),
        Value::Array(numbers) => joined(numbers, " "),
        Value::Object(rows) => {
            let words = rows.iter().map(|(split, n)| format!("{split} {n}"));
            words.collect::<Vec<_>>().join(", ")
        }
        Value::Number(n) if n.is_f64() => format!("{:.4}", n.as_f64().unwrap_or(f64::NAN)),
        Value::Null => "nothing".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::words;

    #[test]
    fn values_are_words() {
        assert_eq!(words(&json!([5, 121, 6])), "5 121 6");
        assert_eq!(
            words(&json!([[-0.02541, 1.0], [0.5, -2.0]])),
            "-0.0254 1.0000 / 0.5000 -2.0000"
        );
        assert_eq!(
            words(&json!({"train": 5997, "test": 5999})),
            "train 5997, test 5999"
        );
    }
}
