//! JSON lines: a table with an object in each line, which has a `text` and a `label`.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::columns::{IDX, category, find_column, number};
use super::guards::{Lines, open_without_mark, too_long_text};
use super::labels::{self, RowLabels};
use super::{ReadOptions, Review};
use crate::error::{Error, Result};

/// The rows of a file with a JSON object per line.
pub(super) struct JsonLines {
    lines: Lines<Box<dyn BufRead + Send>>,
    line: String,
    labels: RowLabels,
    row: usize,
    before: usize,
    done: bool,
}

impl JsonLines {
    /// Open a file; `before` rows came before it in the split.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn open(path: &Path, before: usize, options: &ReadOptions) -> Result<Self> {
        Ok(Self {
            lines: Lines::new(path, open_without_mark(path)?),
            line: String::new(),
            labels: RowLabels::words(&options.label_map),
            row: 0,
            before,
            done: false,
        })
    }

    fn next_review(&mut self) -> Result<Option<Review>> {
        while !self.done {
            self.line.clear();
            if !self.lines.read(&mut self.line)? {
                return Ok(None);
            }
            if !self.line.trim().is_empty() {
                self.row += 1;
                return self.parse().map(Some);
            }
        }
        Ok(None)
    }

    /// The review of a line. Of a key that is there twice the last value counts, as in Python.
    fn parse(&self) -> Result<Review> {
        let mut row: Map<String, Value> = serde_json::from_str(&with_json_numbers(&self.line))
            .map_err(|e| self.bad(e.to_string(), "one JSON object per line"))?;
        let text = match self.take(&mut row, "text")? {
            Value::String(text) => text,
            _ => {
                let expected = "{\"text\": ..., \"label\": ...}";
                return Err(self.bad("no string `text`".into(), expected));
            }
        };
        if let Some((found, expected)) = too_long_text(&text) {
            return Err(self.bad(found, expected));
        }
        let found = self.take(&mut row, "label")?;
        let label = match &found {
            Value::String(word) => self.labels.of_word(word),
            Value::Number(number) => number.as_i64().and_then(|n| self.labels.of_number(n)),
            Value::Bool(truth) => self.labels.of_word(&truth.to_string()),
            _ => None,
        };
        let Some(label) = label else {
            return Err(self.bad(format!("label {}", in_words(&found)), labels::EXPECTED));
        };
        let idx = match self.take(&mut row, "idx")? {
            Value::Null => number(self.lines.path(), self.before + self.row)?,
            found => {
                let small = found.as_i64().and_then(|n| i32::try_from(n).ok());
                small.ok_or_else(|| self.bad(format!("idx {}", in_words(&found)), IDX))?
            }
        };
        let category = match self.take(&mut row, "category")? {
            Value::Null => None,
            Value::String(word) => category(&word),
            other => return Err(self.bad(format!("category {}", in_words(&other)), "a string")),
        };
        Ok(Review {
            text,
            label,
            idx,
            category,
        })
    }

    /// The value of the key `name`, whatever its case; null where there is none.
    fn take(&self, row: &mut Map<String, Value>, name: &str) -> Result<Value> {
        let keys: Vec<&String> = row.keys().collect();
        let found = find_column(self.lines.path(), &self.place(), &keys, name)?;
        let key = found.map(|at| keys[at].clone());
        Ok(key.map_or(Value::Null, |key| row[&key].take()))
    }

    fn place(&self) -> String {
        format!("row {} at line {}", self.row, self.lines.number())
    }

    fn bad(&self, found: String, expected: &str) -> Error {
        Error::malformed(self.lines.path(), self.place(), found, expected)
    }
}

impl Iterator for JsonLines {
    type Item = Result<Review>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_review();
        self.done |= next.is_err();
        next.transpose()
    }
}

/// The line with the `NaN`, `Infinity` and `-Infinity` that Python's `json` writes, which are not
/// JSON, in an object each: they may stand in keys that nobody reads, and are named where somebody
/// does.
fn with_json_numbers(line: &str) -> Cow<'_, str> {
    static STRING_OR_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r#""(?:[^"\\]|\\.)*"|(-?Infinity|NaN)"#;
        Regex::new(pattern).expect("the pattern is constant")
    });
    if !(line.contains("NaN") || line.contains("Infinity")) {
        return Cow::Borrowed(line);
    }
    STRING_OR_NUMBER.replace_all(line, |found: &Captures<'_>| match found.get(1) {
        Some(number) => format!("{{\"{}\":0}}", number.as_str()),
        None => found[0].to_owned(),
    })
}

/// A value that is not what it should be.
fn in_words(value: &Value) -> String {
    let Value::Object(object) = value else {
        return match value {
            Value::Array(_) => "an array".into(),
            other => other.to_string(),
        };
    };
    // As `with_json_numbers` writes them.
    let is_number = |key: &&str| object.len() == 1 && object.contains_key(*key);
    let mut numbers = ["NaN", "Infinity", "-Infinity"].into_iter();
    numbers.find(is_number).unwrap_or("an object").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Review>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, text).unwrap();
        JsonLines::open(&path, 10, &ReadOptions::default())
            .unwrap()
            .collect()
    }

    #[test]
    fn other_keys_are_passed_over_and_of_two_equal_ones_the_last_counts() {
        let text = r#"{"a": [0, {"text": 1}], "text": "x", "label": 0, "text": "y\n", "label": "pos", "b": null}"#;
        let review = read(text).pop().unwrap().unwrap();
        assert_eq!(
            (review.text.as_str(), review.label, review.idx),
            ("y\n", 1, 11)
        );
        let review = read(r#"{"label": 1, "text": "", "idx": -3}"#).pop();
        assert_eq!(review.unwrap().unwrap().idx, -3);
    }

    #[test]
    fn numbers_of_python_may_stand_where_nobody_reads() {
        let line = r#"{"a": NaN, "Text": "NaN \" Infinity é\\", "b": [-Infinity, {"c":Infinity}], "LABEL": true, "Category": "dvd"}"#;
        let review = read(line).pop().unwrap().unwrap();
        assert_eq!(review.text, "NaN \" Infinity é\\");
        assert_eq!((review.label, review.category.as_deref()), (1, Some("dvd")));
    }

    #[test]
    fn values_of_another_kind_are_named() {
        for (line, words) in [
            (r#"{"text": 1, "label": 0}"#, "found no string `text`"),
            (r#"{"text": ["x"], "label": 0}"#, "found no string `text`"),
            (r#"{"text": "x", "label": 1.0}"#, "found label 1.0,"),
            (r#"{"text": "x", "label": 2}"#, "found label 2,"),
            (r#"{"text": "x", "label": NaN}"#, "found label NaN,"),
            (
                r#"{"text": Infinity, "label": 1}"#,
                "found no string `text`",
            ),
            (
                r#"{"text": "x", "label": 0, "idx": -Infinity}"#,
                "found idx -Infinity,",
            ),
            (
                r#"{"text": "x", "label": 0, "a": NaNa}"#,
                "one JSON object per line",
            ),
            (
                r#"{"text": "x", "Text": "y", "label": 0}"#,
                "found the columns `text` and `Text`, expected one column `text`",
            ),
            (
                r#"{"text": "x", "label": 0, "category": 3}"#,
                "found category 3,",
            ),
            (
                r#"{"text": "x", "label": {"a": [1]}}"#,
                "found label an object,",
            ),
            (r#"{"text": "x", "label": [0]}"#, "found label an array,"),
            (
                r#"{"text": "x", "label": "maybe"}"#,
                "found label \"maybe\",",
            ),
            (r#"{"text": "x"}"#, "found label null,"),
            (
                r#"{"text": "x", "label": 0, "idx": 3000000000}"#,
                "found idx 3000000000,",
            ),
            (
                r#"{"text": "x", "label": 0, "idx": 18446744073709551615}"#,
                "found idx 18446744073709551615,",
            ),
            (r#"[{"text": "x", "label": 0}]"#, "one JSON object per line"),
            (r#"{"text": "x", "label": 0"#, "one JSON object per line"),
        ] {
            let error = read(line).pop().unwrap().unwrap_err().to_string();
            assert!(
                error.contains("t.jsonl, row 1 at line 1: ") && error.contains(words),
                "{line}: {error}"
            );
        }
    }
}
