//! Running the real programs in a fresh folder, and comparing floats.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A temporary folder in which the programs are run.
pub struct Workspace(TempDir);

impl Workspace {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    /// Remove everything but what is named.
    pub fn clear(&self, keep: &[&str]) {
        for entry in std::fs::read_dir(self.0.path()).unwrap().flatten() {
            if keep.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            if entry.path().is_dir() {
                std::fs::remove_dir_all(entry.path()).unwrap();
            } else {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    /// The program, its arguments cut at spaces, run here; offline and with a cache of its own.
    pub fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let program = match words.next().unwrap() {
            "flue-cls-prepare" => env!("CARGO_BIN_EXE_flue-cls-prepare"),
            "flue-cls-finetune" => env!("CARGO_BIN_EXE_flue-cls-finetune"),
            "data-cls" => env!("CARGO_BIN_EXE_data-cls"),
            "study" => env!("CARGO_BIN_EXE_study"),
            other => panic!("no program {other}"),
        };
        let mut command = Command::new(program);
        command.args(words).current_dir(self.0.path());
        command
            .env("HF_HOME", self.0.path().join("cache"))
            .env("HF_HUB_OFFLINE", "1");
        command
    }

    /// Run and require success; the standard output.
    pub fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line}\n{}", show(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Run and require the given exit status and words in the message on stderr, and no panic; the
    /// message.
    pub fn fails(&self, line: &str, status: i32, words: &[&str]) -> String {
        let output = self.command(line).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{line}\n{}",
            show(&output)
        );
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!message.contains("panicked"), "{line}\n{message}");
        for word in words {
            assert!(message.contains(word), "{line}: no {word:?} in\n{message}");
        }
        message
    }
}

/// Wait for what a program brings about; fail where that does not happen in two minutes.
#[track_caller]
pub fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(120), "no {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn show(output: &Output) -> String {
    format!(
        "status {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The folder of committed fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The folder of real files beside the repository, for tests that are ignored unless asked for.
pub fn real() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real");
    assert!(path.is_dir(), "{} is not there", path.display());
    path
}

/// Require `|got - want| <= atol + rtol * |want|` everywhere; says where the largest difference is.
#[track_caller]
pub fn assert_close(got: &[f32], want: &[f32], atol: f32, rtol: f32) {
    assert_eq!(got.len(), want.len(), "lengths differ");
    let excess = |i: usize| (got[i] - want[i]).abs() - rtol * want[i].abs();
    let worst = (0..got.len()).max_by(|&a, &b| excess(a).total_cmp(&excess(b)));
    if let Some(i) = worst {
        assert!(
            excess(i) <= atol,
            "at {i}: got {}, want {} (atol {atol}, rtol {rtol})",
            got[i],
            want[i]
        );
    }
}
