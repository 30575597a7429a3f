//! Disks that are full or read-only, a folder that disappears, a clock that jumps.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{Workspace, wait_for};
use crate::hub::served;
use crate::steps::preloaded;

/// The four programs on small work, each writing `OUT` (with the ending that it wants).
const LINES: [&str; 4] = [
    "flue-cls-prepare -q -c tiny-camembert --data sample OUT.datasets",
    "flue-cls-finetune -q -a 8 -b 8 -d data -c tiny-camembert -s OUT.model",
    "data-cls -q --force --limit 40 --data data --checkpoint tiny-camembert --out OUT.npy",
    "study layers -q --data data --checkpoint tiny-camembert --out OUT.study --cosine-sentences 4 --trace-sentences 4 \
     --erank-sentences 4",
];

fn prepared() -> Workspace {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    w
}

/// Run `command` by `sh` in the script `script`, where `"$@"` stands for it.
fn by_shell(command: &Command, before: &[&str], script: &str) -> Output {
    let mut shell = Command::new(before[0]);
    shell.args(&before[1..]).args(["sh", "-c", script, "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell.output().unwrap()
}

/// What lets this user mount a disk that nobody else sees.
fn mounting() -> &'static [&'static str] {
    const WAYS: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-r", "-m"]];
    let works = |way: &&&[&str]| {
        let mut command = Command::new(way[0]);
        command
            .args(&way[1..])
            .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|s| s.success())
    };
    let found = WAYS.iter().find(works);
    found.expect("no small disk can be mounted: this is not root, and there are no user namespaces")
}

/// The program failed with these words and without a panic.
#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}

#[test]
#[ignore = "mounts a disk: needs root or user namespaces"]
fn a_full_disk_is_named_and_leaves_the_old_output() {
    let way = mounting();
    let w = prepared();
    fs::create_dir(w.path("disk")).unwrap();
    for line in LINES {
        let line = format!("{} --overwrite", line.replace("OUT", "disk/out"));
        let out = line
            .split(' ')
            .find(|word| word.starts_with("disk/"))
            .unwrap();
        let script = format!(
            "mount -t tmpfs -o size=32k tmpfs disk && echo mine > {out} && \"$@\"; status=$?; ls -A disk; cat {out}; exit $status"
        );
        let output = by_shell(&w.command(&line), way, &script);
        refused(&output, &["disk/", "No space left", "free some space"]);
        let left = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = out.strip_prefix("disk/").unwrap();
        // What was computed so far stays beside it.
        let state = ["checkpoints", "shards"].map(|kind| format!("{name}.{kind}\n"));
        let left = left.replace(&state[0], "").replace(&state[1], "");
        assert_eq!(left, format!("{name}\nmine\n"), "{line}");
    }
}

/// A limit on the size of a file makes writes fail everywhere, for every user: after any number of
/// bytes.
#[test]
fn a_write_that_fails_anywhere_leaves_nothing() {
    let w = prepared();
    for line in LINES {
        let line = line.replace("OUT", "out");
        for blocks in [0, 1, 3, 9, 30] {
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
            let output = by_shell(&w.command(&line), &["env"], &script);
            refused(&output, &["out", "File too large"]);
            let left: Vec<_> = fs::read_dir(w.path("."))
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .filter(|n| !["data", "cache"].contains(&n.as_str()))
                .filter(|n| !n.ends_with(".checkpoints") && !n.ends_with(".shards"))
                .collect();
            assert!(left.is_empty(), "{line} with {blocks}: {left:?}");
        }
        w.run(&line);
        w.clear(&["data", "cache"]);
    }
}

#[test]
#[ignore = "mounts a disk: needs root or user namespaces"]
fn a_read_only_place_is_refused_before_the_work() {
    let way = mounting();
    let w = prepared();
    fs::create_dir(w.path("disk")).unwrap();
    for line in LINES {
        let script = "mount -t tmpfs tmpfs disk && mount -o remount,ro disk && exec \"$@\"";
        let output = by_shell(&w.command(&line.replace("OUT", "disk/out")), way, script);
        refused(&output, &["disk/out", "Read-only", "name a place"]);
    }
}

#[test]
#[ignore = "mounts a disk: needs root or user namespaces"]
fn a_full_cache_is_named_and_what_came_is_resumed() {
    let way = mounting();
    let w = Workspace::new();
    let (server, weights) = served();
    fs::create_dir(w.path("disk")).unwrap();
    let mut command = w.command("flue-cls-finetune -q --data sample -c owner/model -s out");
    command
        .env("HF_HOME", w.path("disk"))
        .env("HF_HUB_OFFLINE", "0")
        .env("HF_ENDPOINT", &server.url)
        .env("NO_PROXY", "*");
    let script = "mount -t tmpfs -o size=300k tmpfs disk && \"$@\"; status=$?; \
                  find disk -name '*.incomplete' -size +100k; find disk -name model.safetensors; \
                  mount -o remount,size=1m disk; \"$@\"; find disk -name model.safetensors; exit $status";
    let output = by_shell(&command, way, script);
    refused(&output, &["disk/hub", "No space left", "free some space"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].ends_with(".incomplete") && lines[1].ends_with("model.safetensors"));
    let store = server.requests("GET /store/");
    assert!(store.last().unwrap().contains(" from "), "{store:?}");
    assert_eq!(weights.len(), 500_000);
    assert!(!w.path("out").exists());
}

#[test]
fn a_folder_removed_under_the_run_is_named() {
    type Begun = fn(&Path) -> bool;
    let w = prepared();
    // Before these exist the run would just make the folder again.
    let begun: [(&str, Begun); 2] = [
        (LINES[1], |results| {
            fs::read_dir(results).is_ok_and(|found| found.count() >= 2)
        }),
        (LINES[3], |results| {
            let shard = "out.study.shards/00000-of-00001.partial/sentences.rows";
            results.join(shard).exists()
        }),
    ];
    for (line, begun) in begun {
        let line = line.replace("OUT", "results/out").replace("-a 8", "-a 300");
        let line = line.replace("--cosine-sentences 4", "--cosine-sentences 300");
        let child = w.command(&line).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("begin", || begun(&w.path("results")));
        // The run may make a file between the removal of the others and that of the folder.
        wait_for("end of the folder", || {
            fs::remove_dir_all(w.path("results")).is_ok()
        });
        let output = child.wait_with_output().unwrap();
        refused(&output, &["results/", "out"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            text.contains("removed") || text.contains("No such file"),
            "{text}"
        );
        let _ = fs::remove_dir_all(w.path("results"));
    }
}

/// Durations come from a clock that cannot jump, and no figure from the time of day: with a
/// calendar that swings by twelve years from one call to the next, the outputs are the same.
#[test]
fn a_clock_that_jumps_changes_nothing() {
    const CLOCK: &str = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <time.h>
        int clock_gettime(clockid_t id, struct timespec *t) {
            static int (*real)(clockid_t, struct timespec *);
            static unsigned calls;
            if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
            int status = real(id, t);
            if (id == CLOCK_REALTIME) t->tv_sec += calls++ % 2 ? 400000000L : -400000000L;
            return status;
        }"#;
    let w = prepared();
    let clock = preloaded(&w.path("."), "clock.c", CLOCK);
    for line in LINES {
        w.run(&line.replace("OUT", "steady"));
        let mut command = w.command(&line.replace("OUT", "jumping"));
        let output = command.env("LD_PRELOAD", &clock).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {text}");
    }
    for file in [
        "datasets/train/data-00000-of-00001.arrow",
        "model/model.safetensors",
        "npy",
        "study/cosine.csv",
    ] {
        let read = |name: &str| fs::read(w.path(&format!("{name}.{file}"))).unwrap();
        assert!(read("steady") == read("jumping"), "{file}");
    }
    let results = fs::read_to_string(w.path("jumping.model/all_results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let seconds = results["train_runtime"].as_f64().unwrap();
    assert!((0.0..3600.0).contains(&seconds), "{seconds}");
}
