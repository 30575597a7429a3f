//! Random texts through the true vocabularies, here and in transformers: texts that nobody chose.
//!
//! `FLUE_TEXTS` says how many, of each tokenizer; 2,000 by default.

use std::path::{Path, PathBuf};
use std::process::Command;

use flue_study::tokenization::flaubert::FlaubertTokenizer;
use flue_study::tokenization::{TokenizerOptions, Transformers5};
use serde_json::Value;
use tempfile::TempDir;

use super::{Case, check, folder, lines, open};
use crate::common::real;
use crate::python::{python, pythons};

fn count() -> usize {
    std::env::var("FLUE_TEXTS").map_or(2000, |n| n.parse().unwrap())
}

/// Run one of the scripts beside the fixtures, which ends with what it writes: cases of
/// `tokenizer`.
fn made(python: &Path, script: &[&str], tokenizer: &Path, seed: u32, out: &Path) {
    let output = Command::new(python)
        .current_dir(folder())
        .args(script)
        .arg(out)
        .args(["-n", &count().to_string(), "-s", &seed.to_string(), "-t"])
        .arg(tokenizer)
        .env("HF_HUB_OFFLINE", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
}

/// Ids, punctuation and Moses' tokens of FlauBERT.
#[test]
#[ignore = "needs the Pythons of .ci/run and the real files of ../shared/real"]
fn every_stage_of_flaubert_agrees_on_random_texts() {
    let d = TempDir::new().unwrap();
    let (tokenizer, out) = (real().join("flaubert_base_uncased"), d.path().join("cases"));
    let python = python("FLUE_STUDY_PYTHON");
    made(&python, &["make_cases.py", "random"], &tokenizer, 101, &out);
    let options = TokenizerOptions::default();
    let cases: Vec<Case> = lines(&out);
    assert_eq!(cases.len(), count());
    check(
        &FlaubertTokenizer::open(&tokenizer, &options).unwrap(),
        &cases,
    );
}

/// The ids are those of 4.57, and every text to which 5.24 gives others is told.
#[test]
#[ignore = "needs the Pythons of .ci/run and the real files of ../shared/real"]
fn what_transformers_5_changes_is_told_on_random_texts() {
    let d = TempDir::new().unwrap();
    let pythons = pythons();
    for (model, script, seed) in [
        ("camembert-base", &["make_camembert.py"][..], 77),
        ("flaubert_base_uncased", &["make_cases.py", "random"], 78),
    ] {
        let files: [PathBuf; 2] = [4, 5].map(|n| d.path().join(format!("{model}-{n}")));
        for (python, file) in pythons.iter().zip(&files) {
            made(python, script, &real().join(model), seed, file);
        }
        let [four, five] = files.map(|file| lines::<Vec<Value>>(&file));
        assert_eq!([four.len(), five.len()], [count(); 2]);
        let ids = |case: &[Value]| serde_json::from_value::<Vec<u32>>(case[1].clone()).unwrap();
        let tokenizer = open(&real().join(model));
        let other = tokenizer.under_transformers_5().unwrap();
        let mut differing = 0;
        for (one, two) in four.iter().zip(&five) {
            let text = one[0].as_str().unwrap();
            assert_eq!(two[0], text);
            let ours = tokenizer.encode(text, None).unwrap();
            assert_eq!(ours.ids, ids(one), "{model}: {text:?}");
            let differs = ours.ids != ids(two);
            differing += usize::from(differs);
            let told = match &other {
                Transformers5::Other(other) => other.differing(&[text], &[ours], None).unwrap()[0],
                _ => false,
            };
            assert_eq!(told, differs, "{model}: {text:?}");
        }
        // 5.0 saved this CamemBERT with steps of its own, which 5.24 drops.
        assert_eq!(differing > 0, model == "camembert-base", "{differing}");
    }
}
