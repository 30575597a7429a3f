//! JSON lines: a table with an object in each line, which has a `text` and a `label`.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::labels::{self, RowLabels};
use super::lines::{Lines, too_long_text};
use super::table::{IDX, category, number, open_without_mark};
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
    pub fn open(path: &Path, before: usize, options: &ReadOptions) -> Result<Self> {
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

    fn parse(&self) -> Result<Review> {
        let row: Row = serde_json::from_str(&with_json_numbers(&self.line))
            .map_err(|e| self.bad(e.to_string(), "one JSON object per line"))?;
        if let Some(key) = row.twice {
            let found = format!("two keys for {key:?} that differ in case");
            return Err(self.bad(found, "one of them: give the other one another name"));
        }
        let Scalar::Text(text) = row.text else {
            let expected = "{\"text\": ..., \"label\": ...}";
            return Err(self.bad("no string `text`".into(), expected));
        };
        if let Some((found, expected)) = too_long_text(&text) {
            return Err(self.bad(found, expected));
        }
        let label = match &row.label {
            Scalar::Text(word) => self.labels.of_word(word),
            Scalar::Whole(number) => self.labels.of_number(*number),
            Scalar::Bool(truth) => self.labels.of_word(&truth.to_string()),
            _ => None,
        };
        let label =
            label.ok_or_else(|| self.bad(format!("label {}", row.label), labels::EXPECTED))?;
        let idx = match &row.idx {
            Scalar::Null => number(self.lines.path(), self.before + self.row)?,
            Scalar::Whole(n) if i32::try_from(*n).is_ok() => *n as i32,
            other => return Err(self.bad(format!("idx {other}"), IDX)),
        };
        Ok(Review {
            text,
            label,
            idx,
            category: match row.category {
                Scalar::Null => None,
                Scalar::Text(word) => category(word),
                other => return Err(self.bad(format!("category {other}"), "a string")),
            },
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
    category: Scalar,
    /// A key that is there in two spellings.
    twice: Option<&'static str>,
}

/// The keys that are read, in the order of [`Row::value`].
const KEYS: [&str; 4] = ["text", "label", "idx", "category"];

impl Row {
    /// The value of a key by its place in [`KEYS`].
    fn value(&mut self, key: usize) -> &mut Scalar {
        match key {
            0 => &mut self.text,
            1 => &mut self.label,
            2 => &mut self.idx,
            _ => &mut self.category,
        }
    }
}

/// A key that is read, by its place in [`KEYS`], with its spelling where that has other case; none for every other key.
struct Key(Option<(usize, Option<String>)>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> std::result::Result<Key, E> {
        let is = |name: &&str| key.trim().eq_ignore_ascii_case(name);
        let place = KEYS.iter().position(is);
        Ok(Key(place.map(|at| {
            (at, (key != KEYS[at]).then(|| key.to_string()))
        })))
    }
}

/// The line with the `NaN`, `Infinity` and `-Infinity` that Python's `json` writes, which are not JSON, in an object each: they
/// may stand in keys that nobody reads, and are named where somebody does.
fn with_json_numbers(line: &str) -> Cow<'_, str> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !(line.contains("NaN") || line.contains("Infinity")) {
        return Cow::Borrowed(line);
    }
    let mut json = String::with_capacity(line.len() + 16);
    let (mut rest, mut in_string) = (line, false);
    while let Some(c) = rest.chars().next() {
        let word = WORDS.iter().find(|word| rest.starts_with(**word));
        let length = match (in_string, c, word) {
            (true, '\\', _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (false, _, Some(word)) => {
                json.push_str(&format!("{{\"{word}\":0}}"));
                rest = &rest[word.len()..];
                continue;
            }
            _ => c.len_utf8(),
        };
        in_string ^= c == '"';
        json.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Cow::Owned(json)
}

/// A value of which only strings and whole numbers matter.
#[derive(Default)]
enum Scalar {
    /// Also a key that is absent.
    #[default]
    Null,
    Text(String),
    Whole(i64),
    Bool(bool),
    /// In words.
    Other(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Whole(n) => n.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
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
        let mut spellings: [Option<Option<String>>; KEYS.len()] = Default::default();
        while let Some(Key(key)) = map.next_key()? {
            let Some((at, spelling)) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *row.value(at) = map.next_value()?;
            if spellings[at].get_or_insert_with(|| spelling.clone()) != &spelling {
                row.twice = Some(KEYS[at]);
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
        Ok(Scalar::Bool(value))
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
        let mut only = None;
        let mut keys = 0;
        while let Some((key, _)) = map.next_entry::<Cow<'_, str>, IgnoredAny>()? {
            keys += 1;
            // As `with_json_numbers` writes it.
            only = matches!(&*key, "NaN" | "Infinity" | "-Infinity").then(|| key.into_owned());
        }
        let number = only.filter(|_| keys == 1);
        Ok(Scalar::Other(number.unwrap_or_else(|| "an object".into())))
    }
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
                "two keys for \"text\"",
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
