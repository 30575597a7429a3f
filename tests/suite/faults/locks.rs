//! Two runs that write the same output.

use std::fs;
use std::process::Stdio;

use flue_study::files::OutputLock;

use crate::common::{Workspace, wait_for};

#[test]
fn every_program_refuses_an_output_that_another_run_is_writing() {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    for (line, out) in [
        (
            "flue-cls-prepare -q -c tiny-camembert --data sample out",
            "out",
        ),
        (
            "flue-cls-finetune -q -a 8 -b 8 -d data -c tiny-camembert -s out",
            "out",
        ),
        (
            "data-cls -q --limit 4 --data data --checkpoint tiny-camembert --out out.npy",
            "out.npy",
        ),
        (
            "study layers -q --data data --checkpoint tiny-camembert --out out --cosine-sentences 2 --trace-sentences 2 \
             --erank-sentences 2 --no-measures",
            "out",
        ),
        (
            "data-cls -q --limit 4 --data data --checkpoint tiny-camembert --out out.npy",
            "out.npy.shards",
        ),
        (
            "study layers -q --data data --checkpoint tiny-camembert --out out --cosine-sentences 2 --trace-sentences 2 \
             --erank-sentences 2 --no-measures",
            "out.shards",
        ),
        ("study pipeline -q --sample --out out", "out"),
    ] {
        let lock = OutputLock::acquire(&w.path(out)).unwrap();
        let process = format!("process {}", std::process::id());
        w.fails(
            &format!("{line} --overwrite"),
            1,
            &["is being written by", &process],
        );
        drop(lock);
        if line.contains("pipeline") {
            continue;
        }
        w.run(line);
        assert!(w.path(out.trim_end_matches(".shards")).exists());
        w.clear(&["data", "cache"]);
    }
}

#[test]
fn a_run_under_way_keeps_the_second_out_until_it_ends() {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    let line = "flue-cls-finetune -q -b 8 -d data -c tiny-camembert -s out";
    let mut command = w.command(&format!("{line} -a all -n 50"));
    let mut first = command.stdout(Stdio::null()).spawn().unwrap();
    let signed = || fs::read_to_string(w.path(".out.lock")).is_ok_and(|text| !text.is_empty());
    wait_for("lock", signed);
    let process = format!("process {} on ", first.id());
    w.fails(
        &format!("{line} -a 8"),
        1,
        &["out is being written by", &process],
    );
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(w.path(".out.lock").exists());
    w.run(&format!("{line} -a 8"));
    assert!(!w.path(".out.lock").exists());
}

#[test]
fn the_tasks_of_a_job_do_not_hinder_each_other() {
    let w = Workspace::new();
    let line = "flue-cls-prepare -q -c tiny-camembert --data sample out --shard";
    let tasks: Vec<_> = (0..4)
        .map(|i| {
            let mut command = w.command(&format!("{line} {i}/4"));
            let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for task in tasks {
        let output = task.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
    w.run("flue-cls-prepare -q --merge out");
    let _lock = OutputLock::acquire(&w.path("out.shards/00001-of-00004")).unwrap();
    w.fails(
        &format!("{line} 1/4 --overwrite"),
        1,
        &["00001-of-00004 is being written"],
    );
    w.run(&format!("{line} 2/4 --overwrite"));
}
