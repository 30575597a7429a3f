//! Folders of every age, opened as transformers opens them: `make_folders.py` says how the fixtures
//! are made.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use flue_study::tokenization::{Encoding, Side, Tokenizer, Transformers5};
use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{differing_under_5, folder, lines, open};

/// A folder: a base, files in addition, and keys of `tokenizer.json` that are replaced.
#[derive(Deserialize)]
struct Described {
    name: String,
    base: String,
    files: Map<String, Value>,
    keys: Map<String, Value>,
}

/// What a version of transformers makes of a folder: an error, or these.
#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    #[serde(default)]
    length: usize,
    pad: Option<u32>,
    #[serde(default)]
    cases: Vec<Case>,
}

/// A text, the length at which it is cut and up to which it is filled, its ids and their mask.
type Case = (String, Option<usize>, Vec<u32>, Option<Vec<u8>>);

impl Described {
    fn build(&self) -> TempDir {
        let built = super::copy(&self.base);
        let write = |name: &str, value: &Value| {
            fs::write(built.path().join(name), value.to_string()).unwrap();
        };
        for (name, value) in &self.files {
            write(name, value);
        }
        if !self.keys.is_empty() {
            let text = fs::read_to_string(built.path().join("tokenizer.json")).unwrap();
            let mut json: Value = serde_json::from_str(&text).unwrap();
            for (key, value) in &self.keys {
                json[key] = value.clone();
            }
            write("tokenizer.json", &json);
        }
        built
    }
}

fn described() -> Vec<Described> {
    let text = fs::read_to_string(folder().join("folders.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn answers(version: &str) -> HashMap<String, Answer> {
    let answers: Vec<(String, Answer)> = lines(&folder().join(format!("folders-{version}.jsonl")));
    answers.into_iter().collect()
}

/// A row as it is stored: cut, filled up, with its mask.
fn row(tokenizer: &dyn Tokenizer, text: &str, length: Option<usize>) -> (Vec<u32>, Vec<u8>) {
    let encoding = tokenizer.encode(text, length).unwrap();
    let aligned = tokenizer.encode_aligned(text, length).unwrap();
    assert_eq!(aligned.encoding, encoding, "{text:?}");
    let mut ids = encoding.ids;
    let mut mask = vec![1; ids.len()];
    let fill = length.map_or(0, |length| length - ids.len());
    let (pad, none) = (vec![tokenizer.pad_token_id(); fill], vec![0; fill]);
    match tokenizer.padding_side() {
        Side::Right => (ids.extend(pad), mask.extend(none)),
        Side::Left => {
            (ids, mask) = ([pad, ids].concat(), [none, mask].concat());
            ((), ())
        }
    };
    (ids, mask)
}

fn compare(name: &str, folder: &Path, answer: &Answer) {
    let tokenizer = open(folder);
    assert_eq!(tokenizer.vocab_size(), answer.length, "{name}");
    assert_eq!(Some(tokenizer.pad_token_id()), answer.pad, "{name}");
    assert!(answer.cases.len() > 10, "{name}");
    for (text, length, ids, mask) in &answer.cases {
        let (got, got_mask) = row(tokenizer.as_ref(), text, *length);
        assert_eq!(&got, ids, "{name}: {text:?} at {length:?}");
        if let Some(mask) = mask {
            assert_eq!(&got_mask, mask, "{name}: {text:?} at {length:?}");
        }
    }
}

#[test]
fn folders_of_every_age_have_the_ids_of_the_release_that_opens_them() {
    let (four, five) = (answers("4.57.1"), answers("5.24.0"));
    let mut only_five = 0;
    for described in described() {
        let name = &described.name;
        let built = described.build();
        match (&four[name].error, &five[name].error) {
            (None, _) => compare(name, built.path(), &four[name]),
            (Some(_), None) => {
                only_five += 1;
                compare(name, built.path(), &five[name]);
            }
            (Some(error), Some(_)) => panic!("{name} is opened by none: {error}"),
        }
    }
    assert!(only_five > 3, "{only_five}");
}

#[test]
fn what_transformers_5_changes_is_found_row_by_row() {
    let (four, five) = (answers("4.57.1"), answers("5.24.0"));
    let (mut same, mut different) = (0, 0);
    for described in described() {
        let name = &described.name;
        let (four, five) = (&four[name], &five[name]);
        if four.error.is_some() || five.error.is_some() {
            continue;
        }
        let built = described.build();
        let tokenizer = open(built.path());
        let pairs = || four.cases.iter().zip(&five.cases);
        match tokenizer.under_transformers_5().unwrap() {
            Transformers5::Same => {
                for (one, other) in pairs() {
                    assert_eq!(one, other, "{name}");
                    same += 1;
                }
            }
            Transformers5::Other(other_ids) => {
                for (one, other) in pairs() {
                    let (text, length) = (one.0.as_str(), one.1);
                    let encoding: Encoding = tokenizer.encode(text, length).unwrap();
                    let found = other_ids.differing(&[text], &[encoding], length).unwrap();
                    assert_eq!(found, [one != other], "{name}: {text:?} at {length:?}");
                    different += usize::from(found[0]);
                }
            }
            Transformers5::CannotOpen => panic!("{name}"),
        }
    }
    assert!(same > 300 && different > 50, "{same} {different}");
}

#[test]
fn what_transformers_5_changes_in_the_family_is_found() {
    type Case = (String, String, Vec<u32>);
    let changed: Vec<Case> = differing_under_5("camembert");
    let cases: Vec<Case> = lines(&folder().join("camembert_cases-4.57.1.jsonl"));
    let mut found = 0;
    for name in ["camembert", "xlm-roberta", "roberta"] {
        let tokenizer = open(&folder().join(name));
        let of_this = |cases: &[Case]| -> Vec<String> {
            let of_this = cases.iter().filter(|case| case.0 == name);
            of_this.map(|case| case.1.clone()).collect()
        };
        let (texts, changed) = (of_this(&cases), of_this(&changed));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let encodings = tokenizer.encode_batch(&texts, None).unwrap();
        let Transformers5::Other(other) = tokenizer.under_transformers_5().unwrap() else {
            panic!("{name} is built anew");
        };
        let differing = other.differing(&texts, &encodings, None).unwrap();
        for (text, differs) in texts.iter().zip(differing) {
            let want = changed.iter().any(|changed| changed == text);
            assert_eq!(differs, want, "{name}: {text:?}");
            found += usize::from(differs);
        }
    }
    assert_eq!(found, changed.len());
}
