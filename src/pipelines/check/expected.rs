//! Values to hold a build against, as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::files::read_json;

/// A value that is expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Expected {
    /// Hidden states of an encoder.
    States(States),
    /// The ids of a text.
    Tokens {
        /// A folder or a name on the hub.
        checkpoint: String,
        /// The text.
        text: String,
        /// All its ids, special tokens included.
        ids: Vec<u32>,
        /// Who published them.
        source: Option<String>,
    },
    /// The rows of FLUE CLS.
    Rows {
        /// The number of rows of each split.
        rows: BTreeMap<String, u64>,
        /// Who published them.
        source: Option<String>,
    },
}

/// The first numbers of the first tokens at one layer of an encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct States {
    /// A folder or a name on the hub.
    pub(crate) checkpoint: String,
    /// The input, special tokens included. As many at its end are padding as there are ids of
    /// padding: what FlauBERT makes of ids without a mask.
    pub(crate) ids: Vec<u32>,
    /// The layer, 0 for the embeddings; the last without it.
    pub(crate) layer: Option<usize>,
    /// The first numbers of each of the first tokens.
    pub(crate) values: Vec<Vec<f64>>,
    /// The largest difference that still agrees.
    pub(crate) tolerance: f64,
    /// Who published them.
    pub(crate) source: Option<String>,
}

impl Expected {
    /// What is looked at, in words.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::States(s) => {
                let layer = s
                    .layer
                    .map_or("last layer".into(), |n| format!("layer {n}"));
                let width = s.values.iter().map(Vec::len).max().unwrap_or(0);
                let tokens = s.values.len();
                let ids = s.ids.len();
                format!(
                    "{}, {layer}, first {width} numbers of the first {tokens} of {ids} tokens",
                    s.checkpoint
                )
            }
            Self::Tokens {
                checkpoint, text, ..
            } => format!("{checkpoint}, ids of {text:?}"),
            Self::Rows { .. } => "FLUE CLS, rows".into(),
        }
    }

    /// Who published it.
    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            Self::States(States { source, .. })
            | Self::Tokens { source, .. }
            | Self::Rows { source, .. } => source.as_deref(),
        }
    }

    /// The value itself.
    pub(crate) fn expected(&self) -> Value {
        match self {
            Self::States(s) => json!(s.values),
            Self::Tokens { ids, .. } => json!(ids),
            Self::Rows { rows, .. } => json!(rows),
        }
    }

    /// The checkpoint that is needed, and whether its weights are.
    pub(crate) fn checkpoint(&self) -> Option<(&str, bool)> {
        match self {
            Self::States(s) => Some((&s.checkpoint, true)),
            Self::Tokens { checkpoint, .. } => Some((checkpoint, false)),
            Self::Rows { .. } => None,
        }
    }
}

/// The values that come with the program.
pub(super) fn published() -> Vec<Expected> {
    serde_json::from_str(include_str!("published.json")).expect("a test reads it")
}

/// The values in `file`.
pub(super) fn read(file: &Path) -> Result<Vec<Expected>> {
    let expected = "a list of objects of the kinds states, tokens and rows (see the README)";
    let values: Vec<Expected> = read_json(file, expected)?;
    for (number, value) in (1..).zip(&values) {
        let wrong = |found: &str, expected: &str| {
            Err(Error::malformed(
                file,
                format!("value {number}"),
                found,
                expected,
            ))
        };
        match value {
            Expected::States(s) if !(s.tolerance >= 0.0 && s.tolerance.is_finite()) => {
                return wrong("a tolerance below 0", "a number of at least 0");
            }
            Expected::States(s) if s.values.iter().all(Vec::is_empty) => {
                return wrong("no number", "the first numbers of the first tokens");
            }
            Expected::Rows { rows, .. } if rows.is_empty() => {
                return wrong("no split", "the number of rows of a split");
            }
            _ => {}
        }
    }
    match values.is_empty() {
        true => Err(Error::malformed(file, "", "no value", expected)),
        false => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values_are_those_of_the_peers_tests() {
        let all = published();
        let kinds = |of: fn(&Expected) -> bool| all.iter().filter(|e| of(e)).count();
        assert_eq!(kinds(|e| matches!(e, Expected::States(_))), 2);
        assert_eq!(kinds(|e| matches!(e, Expected::Tokens { .. })), 3);
        for value in &all {
            assert!(value.source().is_some());
            if let Expected::States(s) = value {
                assert_eq!((s.values.len(), s.tolerance, s.layer), (3, 1e-4, None));
                assert!(s.values.iter().all(|row| row.len() == 3));
            }
        }
        assert_eq!(all[5].expected(), json!({"train": 5997, "test": 5999}));
        // What the states are of is what the first sentence gives.
        assert_eq!(
            all[0].expected(),
            json!([5, 121, 11, 660, 16, 730, 25543, 110, 83, 6])
        );
        assert!(matches!(&all[3], Expected::States(s) if json!(s.ids) == all[0].expected()));
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_place() {
        let d = tempfile::tempdir().unwrap();
        let file = d.path().join("expected.json");
        let states = |more: &str| {
            format!(
                r#"[{{"kind": "states", "checkpoint": "c", "ids": [0], "tolerance": 1e-4{more}}}]"#
            )
        };
        for (text, words) in [
            ("{", "line 1"),
            ("[]", "no value"),
            (r#"[{"kind": "weather"}]"#, "weather"),
            (
                r#"[{"kind": "rows", "rows": {"test": 1}, "more": 1}]"#,
                "more",
            ),
            (r#"[{"kind": "rows", "rows": {}}]"#, "value 1"),
            (&states(""), "values"),
            (&states(r#", "values": [[]]"#), "no number"),
            (&states(r#", "values": [[1]], "layers": 2"#), "layers"),
        ] {
            std::fs::write(&file, text).unwrap();
            let message = read(&file).unwrap_err().to_string();
            assert!(
                message.contains("expected.json") && message.contains(words),
                "{message}"
            );
        }
        std::fs::write(&file, states(r#", "values": [[1, 2], [3]], "layer": 0"#)).unwrap();
        assert_eq!(
            read(&file).unwrap()[0].expected(),
            json!([[1.0, 2.0], [3.0]])
        );
    }
}
