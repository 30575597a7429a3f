//! What goes to stderr: a log for files and terminals, and never the end of a run.

use std::process::Stdio;

use crate::common::Workspace;

const PREPARE: &str = "flue-cls-prepare -c tiny-camembert --data sample --no-pad out.datasets";

#[test]
fn a_log_that_nobody_reads_any_more_does_not_end_a_run() {
    let w = Workspace::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = w.command(PREPARE);
    let output = command.stderr(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"{"));
    assert!(w.path("out.datasets/dataset_dict.json").is_file());
}

#[test]
fn a_log_in_a_file_has_no_colours_and_no_spaces_at_its_ends() {
    let w = Workspace::new();
    let mut command = w.command(PREPARE);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    let output = command.stdout(Stdio::null()).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("INFO tokenize train: 3600 rows, "), "{log}");
    assert!(!log.contains('\u{1b}'), "{log:?}");
    assert!(log.lines().all(|line| line.trim_end() == line), "{log:?}");
}
