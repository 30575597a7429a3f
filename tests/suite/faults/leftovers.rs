//! What killed runs left goes with the next run; what others left stays.

use std::fs;
use std::path::Path;

use flue_study::files::{AtomicDir, OutputLock};

use super::kills::names;
use crate::common::Workspace;

/// Leave what a run that was killed while it made `output` leaves.
fn killed(output: &Path) {
    let under_way = AtomicDir::create(output, true).unwrap();
    fs::write(under_way.path().join("half"), "").unwrap();
    std::mem::forget(under_way);
    // That lock is this process's as long as it lives: another file takes its place.
    let name = output.file_name().unwrap().to_string_lossy();
    let lock = output.with_file_name(format!(".{name}.lock"));
    fs::remove_file(&lock).unwrap();
    fs::write(lock, "process 1 on another machine").unwrap();
}

fn prepared() -> Workspace {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    w
}

#[test]
fn seeds_and_finetune_remove_what_killed_runs_left() {
    let w = prepared();
    let line = "flue-cls-finetune -q -a 8 -b 8 -d data -c tiny-camembert -s out";
    fs::create_dir(w.path("out")).unwrap();
    for left in [
        "out/seed-1",
        "out/seed-7",
        "out/summary.json",
        "out.prepared",
    ] {
        killed(&w.path(left));
    }
    w.run(&format!("{line} --seeds 1 --resume"));
    assert_eq!(names(&w.path("out")), ["seed-1", "summary.json"]);
    assert_eq!(names(&w.path("")), ["cache", "data", "out"]);
    killed(&w.path("out.prepared"));
    w.run(&format!("{line} --overwrite"));
    assert_eq!(names(&w.path("")), ["cache", "data", "out"]);
}

#[test]
fn what_others_keep_beside_checkpoints_stays() {
    let w = prepared();
    let line = "flue-cls-finetune -q -a 8 -b 8 --save-steps 1 -d data -c tiny-camembert -s out";
    fs::create_dir(w.path("out.checkpoints")).unwrap();
    fs::write(w.path("out.checkpoints/thesis.tex"), "mine").unwrap();
    w.run(line);
    w.run(&format!("{line} --overwrite"));
    assert_eq!(names(&w.path("out.checkpoints")), ["thesis.tex"]);
    fs::remove_file(w.path("out.checkpoints/thesis.tex")).unwrap();
    w.run(&format!("{line} --overwrite"));
    assert!(!w.path("out.checkpoints").exists());
}

#[test]
fn seeds_are_the_only_run_in_their_folder() {
    let w = prepared();
    let line = "flue-cls-finetune -q -a 8 -b 8 -d data -c tiny-camembert --seeds 7,8 --resume -s";
    fs::create_dir_all(w.path("top/out")).unwrap();
    for folder in ["top/out", "top/new"] {
        let lock = OutputLock::acquire(&w.path(folder)).unwrap();
        let name = folder.rsplit('/').next().unwrap();
        for save in [folder, &format!("top/../top/./{name}")] {
            w.fails(&format!("{line} {save}"), 1, &["is being written by"]);
        }
        drop(lock);
    }
    let lock = OutputLock::acquire(&w.path("top/out")).unwrap();
    let here = line.replace("-d data", "-d ../../data");
    let mut command = w.command(&format!("{here} ."));
    let output = command.current_dir(w.path("top/out")).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("is being written by"), "{log}");
    drop(lock);
    w.run(&format!("{line} top/out"));
    assert_eq!(
        names(&w.path("top/out")),
        ["seed-7", "seed-8", "summary.json"]
    );
    assert_eq!(names(&w.path("top")), ["out"]);
}
