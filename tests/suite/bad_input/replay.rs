//! What the fuzz targets read: every seed is read without an error, and every input that was once a
//! finding is answered with a value or a message.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/readers.rs"]
mod readers;

use readers::{READERS, Reader};

/// The inputs in a folder of a reader.
fn inputs(kind: &str, reader: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let entries = fs::read_dir(folder.join(kind).join(reader));
    let mut paths: Vec<_> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    paths.sort();
    paths
}

fn run(reader: Reader, path: &Path) -> flue_study::error::Result<()> {
    reader(&fs::read(path).unwrap())
}

#[test]
fn seeds_are_read() {
    for (name, reader) in READERS {
        let seeds = inputs("seeds", name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        for seed in seeds {
            if let Err(e) = run(*reader, &seed) {
                panic!("{}: {e}", seed.display());
            }
        }
    }
}

/// A panic fails the test, an abort or a hang ends it; [`readers`] checks that errors name the
/// file.
#[test]
fn findings_are_answered() {
    let mut answered = 0;
    for (name, reader) in READERS {
        for finding in inputs("findings", name) {
            println!("{}", finding.display());
            let _ = run(*reader, &finding);
            answered += 1;
        }
    }
    assert!(answered > 0, "no finding was kept");
}
