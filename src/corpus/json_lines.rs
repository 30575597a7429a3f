//! JSON lines: a table with an object in each line, which has a `text` and a `label`.

use std::fmt;
use std::io::BufRead;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lines::{Lines, too_long_text};
use super::table::{number, open_without_mark};
use super::{Review, label};
use crate::error::{Error, Result};

/// The rows of a file with a JSON object per line.
pub(super) struct JsonLines {
    lines: Lines<Box<dyn BufRead + Send>>,
    line: String,
    row: usize,
    before: usize,
    done: bool,
}

impl JsonLines {
    /// Open a file; `before` rows came before it in the split.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path, before: usize) -> Result<Self> {
        Ok(Self {
            lines: Lines::new(path, open_without_mark(path)?),
            line: String::new(),
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

    fn parse(&self) -> Result<Review> {
        let row: Row = serde_json::from_str(&self.line)
            .map_err(|e| self.bad(e.to_string(), "one JSON object per line"))?;
        let Scalar::Text(text) = row.text else {
            let expected = "{\"text\": ..., \"label\": ...}";
            return Err(self.bad("no string `text`".into(), expected));
        };
        if let Some((found, expected)) = too_long_text(&text) {
            return Err(self.bad(found, expected));
        }
        let label = match &row.label {
            Scalar::Text(word) => label::parse_label(word),
            Scalar::Whole(n @ (0 | 1)) => Some(*n),
            _ => None,
        };
        let label =
            label.ok_or_else(|| self.bad(format!("label {}", row.label), label::EXPECTED))?;
        let idx = match &row.idx {
            Scalar::Null => Some(number(self.before + self.row)),
            Scalar::Whole(n) => i32::try_from(*n).ok(),
            _ => None,
        };
        let idx = idx.ok_or_else(|| self.bad(format!("idx {}", row.idx), "a whole number"))?;
        Ok(Review {
            text,
            label,
            idx,
            category: None,
        })
    }

    fn bad(&self, found: String, expected: &str) -> Error {
        let place = format!("row {} at line {}", self.row, self.lines.number());
        Error::malformed(self.lines.path(), place, found, expected)
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

/// What is read of an object; all other keys are passed over, whatever they hold, without taking memory.
#[derive(Default)]
struct Row {
    text: Scalar,
    label: Scalar,
    idx: Scalar,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Text,
    Label,
    Idx,
    #[serde(other)]
    Other,
}

/// A value of which only strings and whole numbers matter.
#[derive(Default)]
enum Scalar {
    /// Also a key that is absent.
    #[default]
    Null,
    Text(String),
    Whole(i64),
    /// In words.
    Other(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Whole(n) => n.fmt(f),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    /// Of a key that is there twice the last value counts, as in Python.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Row, A::Error> {
        let mut row = Row::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Text => row.text = map.next_value()?,
                Key::Label => row.label = map.next_value()?,
                Key::Idx => row.idx = map.next_value()?,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(row)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Scalar, E> {
        Ok(i64::try_from(value).map_or_else(|_| Scalar::Other(value.to_string()), Scalar::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Other(format!("{value:?}")))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an array".into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Review>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, text).unwrap();
        JsonLines::open(&path, 10).unwrap().collect()
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
    fn values_of_another_kind_are_named() {
        for (line, words) in [
            (r#"{"text": 1, "label": 0}"#, "found no string `text`"),
            (r#"{"text": ["x"], "label": 0}"#, "found no string `text`"),
            (r#"{"text": "x", "label": 1.0}"#, "found label 1.0,"),
            (r#"{"text": "x", "label": 2}"#, "found label 2,"),
            (r#"{"text": "x", "label": true}"#, "found label true,"),
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
            (r#"[{"text": "x", "label": 0}]"#, "expected a JSON object"),
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
