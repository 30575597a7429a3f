//! A program watched from inside by a small library that is loaded before it (`steps.c`): every
//! call by which it changes a file is a step. So a test can kill it at any step, the same one each
//! time, and ask for its peak of memory.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::common::{Workspace, show};

/// What nobody can catch.
pub const SIGKILL: i32 = 9;

/// What a program says at its end.
pub struct Watched {
    /// Its steps.
    pub steps: usize,
    /// The most memory that was resident at a time, in KiB.
    pub peak: u64,
}

/// Build a library of C that is loaded before a program, by `LD_PRELOAD`. The package needs a C
/// compiler anyway.
pub fn preloaded(folder: &Path, name: &str, source: &str) -> PathBuf {
    if !cfg!(target_os = "linux") {
        panic!("this test needs Linux");
    }
    let (code, library) = (folder.join(name), folder.join(name).with_extension("so"));
    std::fs::write(&code, source).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]);
    let built = cc.arg(&library).arg(&code).arg("-ldl").status();
    assert!(built.unwrap().success(), "cc does not build {name}");
    library
}

static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let made = TempDir::new_in(folder).unwrap();
    let built = preloaded(made.path(), "steps.c", include_str!("steps.c"));
    // In one step, as the tests of another process may be using it.
    let library = folder.join("steps.so");
    std::fs::rename(built, &library).unwrap();
    library
});

impl Workspace {
    fn watched(&self, line: &str, step: usize, signal: i32) -> Command {
        let mut command = self.command(line);
        command
            .env("LD_PRELOAD", LIBRARY.as_path())
            .env("KILL_AT", step.to_string())
            .env("KILL_WITH", signal.to_string());
        command
    }

    /// Run to the end and require success.
    pub fn watch(&self, line: &str) -> Watched {
        let output = self.watched(line, 0, SIGKILL).output().unwrap();
        assert!(output.status.success(), "{line}\n{}", show(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        let numbers = said.lines().last().and_then(|last| {
            let (steps, peak) = last.strip_prefix("steps ")?.split_once(", peak ")?;
            let peak = peak.strip_suffix(" KiB")?.parse().ok()?;
            Some((steps.parse().ok()?, peak))
        });
        let (steps, peak) = numbers.unwrap_or_else(|| panic!("{line}: no steps in {said}"));
        Watched { steps, peak }
    }

    /// Run until the program gets `signal` before so many steps, of which the first is 1, or until
    /// its end where it takes fewer.
    pub fn kill_at(&self, line: &str, step: usize, signal: i32) -> ExitStatus {
        let output = self.killed_at(line, step, signal);
        if output.status.code().is_some_and(|code| code != 0) {
            // Shown where the test fails.
            eprintln!("{line}\n{}", show(&output));
        }
        output.status
    }

    fn killed_at(&self, line: &str, step: usize, signal: i32) -> Output {
        let mut command = self.watched(line, step, signal);
        command.stdout(Stdio::null()).output().unwrap()
    }

    /// Run `line` once into `whole`, which stands for its `OUT`, and then into `out`, again and
    /// again from what was left, killed `kills` times at steps of all its parts, and to its end.
    /// Where a run came to its end before that step, `out` is removed.
    pub fn killed_and_run_again(&self, line: &str, whole: &str, out: &str, kills: usize) {
        let steps = self.watch(&line.replace("OUT", whole)).steps;
        let line = line.replace("OUT", out);
        let out = self.path(out);
        let mut killed = 0;
        for round in 0.. {
            assert!(round < 20 * kills, "only {killed} kills of {line}");
            let output = self.killed_at(&line, spread(round, kills, steps), SIGKILL);
            let said = String::from_utf8_lossy(&output.stderr);
            // The run before was killed behind its last step, when all was in its place.
            let was_complete = said.contains("exists already");
            if output.status.success() || was_complete {
                assert!(out.exists(), "{line} left nothing");
                remove(&out);
                continue;
            }
            assert_eq!(output.status.code(), None, "{line}\n{}", show(&output));
            killed += 1;
            if killed == kills {
                break;
            }
        }
        self.run(&line);
    }
}

/// The step of a round, of so many: rounds that follow each other are at different parts, and
/// `rounds` of them are spread evenly over 1 to `steps`.
pub fn spread(round: usize, rounds: usize, steps: usize) -> usize {
    // A prime that divides no number of rounds here, so that each part has its turn.
    const STRIDE: usize = 37;
    1 + round * STRIDE % rounds * steps / rounds
}

/// Remove a file or a folder that may be there.
pub fn remove(path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}
