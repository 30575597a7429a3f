//! The programs beside both generations of Python's libraries: the same ids, the same folders.
//!
//! `FLUE_STUDY_PYTHON` names a Python with transformers 4.57.1, `FLUE_STUDY_PYTHON_5` one with 5.24
//! (`.ci/python-4.txt` and `.ci/python-5.txt` list what else they have); torch is not needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Workspace, fixtures};

/// The Python that a variable names.
pub fn python(variable: &str) -> PathBuf {
    let python = std::env::var_os(variable).map(PathBuf::from);
    python.unwrap_or_else(|| panic!("{variable} names no Python (.ci/run makes one)"))
}

/// Both Pythons, for tests that are ignored unless asked for.
pub fn pythons() -> [PathBuf; 2] {
    ["FLUE_STUDY_PYTHON", "FLUE_STUDY_PYTHON_5"].map(python)
}

/// What `tests/fixtures/python/check.py` finds in a folder of prepared data.
fn check(w: &Workspace, python: &Path, data: &str, checkpoint: &Path) -> Value {
    let output = Command::new(python)
        .arg(fixtures().join("python/check.py"))
        .args([w.path(data).as_path(), checkpoint])
        .env("HF_HOME", w.path("python-cache"))
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Texts that nobody wrote: words of the sample between characters of every kind.
fn odd_texts(count: usize) -> Vec<String> {
    const ODD: [&str; 40] = [
        " ",
        "  ",
        "\u{a0}",
        "\u{2009}",
        "\u{202f}",
        "\u{3000}",
        "\t",
        "\u{ad}",
        "\u{200b}",
        "\u{feff}",
        "é",
        "e\u{301}",
        "ǅ",
        "ﬁ",
        "ß",
        "İ",
        "œ",
        "…",
        "’",
        "'",
        "\"",
        "«",
        "»",
        "--",
        "—",
        "%",
        "1 000,50",
        "3.14",
        "http://a.b",
        "<s>",
        "</s>",
        "<pad>",
        "<mask>",
        "😀",
        "👩\u{200d}👩",
        "中文",
        "العربية",
        "\u{1d54f}",
        "&amp;",
        "!?!",
    ];
    const WORDS: [&str; 8] = [
        "un",
        "très",
        "L'",
        "aujourd'hui",
        "bon",
        "LIVRE",
        "n°",
        "c'est-à-dire",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let mut text = || {
        let parts = next(24);
        let part = |_| match next(5) {
            0 | 1 => ODD[next(ODD.len())],
            2 => " ",
            _ => WORDS[next(WORDS.len())],
        };
        (0..parts).map(part).collect()
    };
    (0..count).map(|_| text()).collect()
}

#[test]
#[ignore = "needs the Pythons of .ci/run"]
fn both_generations_read_our_folders_and_give_the_same_ids() {
    let pythons = pythons();
    let w = Workspace::new();
    let mut lines = String::new();
    for (i, text) in odd_texts(2000).iter().enumerate() {
        lines += &format!("{}\n", json!({"text": text, "label": i % 2}));
    }
    fs::write(w.path("train.jsonl"), lines).unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for model in ["tiny-camembert", "tiny-flaubert"] {
        for (source, data) in [("sample", "sample"), ("train.jsonl", "odd")] {
            let data = format!("{model}-{data}");
            w.run(&format!(
                "flue-cls-prepare -q -c {model} --data {source} {data}"
            ));
            for python in &pythons {
                let found = check(&w, python, &data, &models.join(model));
                let rows = found["rows"].as_u64().unwrap();
                assert!(rows >= 2000, "{found}");
                assert_eq!(found["differing"], json!([]), "{model}, {data}: {found}");
            }
        }
    }
}
