//! `unsafe` stands where it pays, nowhere else: in the kernels of `nn`, in a setting of the
//! allocator for their tensors, and in one memory map of a file of our own. Clippy's
//! `undocumented_unsafe_blocks` asks each of them for its argument.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::layering::sources;

/// The files that may hold `unsafe`.
const ALLOWED: [&str; 5] = [
    "cli/process.rs",
    "dataset/ipc.rs",
    "nn/cpu/attention.rs",
    "nn/cpu/embedding.rs",
    "nn/cpu/linear.rs",
];

/// Whether the code of a file, comments aside, says `unsafe`.
fn is_unsafe(code: &str) -> bool {
    code.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .any(|word| word == "unsafe")
}

#[test]
fn unsafe_stands_in_the_listed_files_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let found: BTreeSet<String> = files
        .iter()
        .filter(|file| is_unsafe(&fs::read_to_string(file).unwrap()))
        .map(|file| {
            file.strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(found, ALLOWED.map(str::to_owned).into());
}

#[test]
fn comments_and_longer_words_do_not_count() {
    assert!(is_unsafe("let x = unsafe { y };"));
    assert!(!is_unsafe("// unsafe\nlet unsafe_code = 1; // unsafe"));
}
