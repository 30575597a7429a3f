//! A module imports only from lower floors, and only what the table of the design names; siblings never see each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// (module, what it may import). A floor's modules see none of their own floor.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("rng", &["error"]),
    ("artifact", &["error"]),
    ("hub", &["error"]),
    ("device", &["error"]),
    ("linalg", &["error"]),
    ("progress", &[]),
    ("corpus", &["error", "hub", "artifact"]),
    ("tokenization", &["error"]),
    ("dataset", &["error", "artifact"]),
    ("metrics", &["error", "rng"]),
    ("plotting", &["error", "artifact"]),
    ("nn", &["error", "rng", "device"]),
    (
        "models",
        &[
            "error", "rng", "artifact", "hub", "device", "linalg", "progress", "nn",
        ],
    ),
    ("batching", &["error", "rng", "device", "dataset"]),
    ("analysis", &["error", "rng", "linalg", "metrics"]),
    ("training", FLOORS_0_TO_3),
    ("feature_extraction", FLOORS_0_TO_3),
    ("pipelines", FLOORS_0_TO_4),
    ("cli", &["error", "device", "progress", "pipelines"]),
];

const FLOORS_0_TO_4: &[&str] = &[
    "error",
    "rng",
    "artifact",
    "hub",
    "device",
    "linalg",
    "progress",
    "corpus",
    "tokenization",
    "dataset",
    "metrics",
    "plotting",
    "nn",
    "models",
    "batching",
    "analysis",
    "training",
    "feature_extraction",
];

const FLOORS_0_TO_3: &[&str] = FLOORS_0_TO_4.split_at(16).0;

/// The Rust files below a folder.
pub fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            sources(&entry.path(), found);
        } else if entry.path().extension().is_some_and(|e| e == "rs") {
            found.push(entry.path());
        }
    }
}

/// The top-level modules that the code of a file names behind `crate::`, also in `crate::{a, b::c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let code: String = code
        .lines()
        .map(|l| l.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n");
    let name = |s: &str| {
        s.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => {
                    found.insert(name(item.trim()));
                    item.clear();
                    continue;
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            item.push(c);
        }
        found.insert(name(item.trim()));
    }
    found.remove("");
    found
}

#[test]
fn every_import_goes_down_the_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "only {} files were found", files.len());
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().to_path_buf();
        let first = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        if first == "lib.rs" {
            continue;
        }
        let code = fs::read_to_string(&file).unwrap();
        if first == "bin" {
            let lines = code.lines().count();
            if lines > 40 || code.replace("flue_study::cli", "").contains("flue_study::") {
                wrong.push(format!(
                    "{}: a program only calls cli ({lines} lines)",
                    relative.display()
                ));
            }
            continue;
        }
        let Some(allowed) = allowed.get(first.as_str()) else {
            wrong.push(format!(
                "{}: {first} is not a module of the design",
                relative.display()
            ));
            continue;
        };
        seen.insert(first.clone());
        for import in imports(&code) {
            if import != first && !allowed.contains(&import.as_str()) {
                wrong.push(format!(
                    "{}: {first} may not import {import}",
                    relative.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        seen.len(),
        MAY_IMPORT.len(),
        "modules without a file: {seen:?}"
    );
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::a::{b, c};\nuse crate::{d, e::{f, g}, h};\n// crate::no\nfn x() { crate::i::j() }";
    let found: Vec<String> = imports(code).into_iter().collect();
    assert_eq!(found, ["a", "d", "e", "h", "i"]);
}
