//! Peak memory does not grow with the number of rows, though what comes out does.

use std::fmt::Write;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::common::Workspace;

/// The peak of resident memory of a run, in MiB (`VmHWM`, which only rises: its last value before the end).
fn peak(w: &Workspace, line: &str) -> f64 {
    let mut command = w.command(line);
    command.env("RAYON_NUM_THREADS", "2");
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut kib = 0.0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        if let Some(number) = line.and_then(|l| l.split_whitespace().next()) {
            kib = number.parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success() && kib > 0.0, "{line}");
    kib / 1024.0
}

/// Runs `line` with few and with many rows for `{}` and requires that the peak rises by less than `mib`.
#[track_caller]
fn stays(w: &Workspace, line: &str, few: usize, many: usize, mib: f64) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let [a, b] = [few, many].map(|rows| peak(w, &line.replace("{}", &rows.to_string())));
    println!("{line}: {a:.0} MiB at {few}, {b:.0} MiB at {many}");
    assert!(b < a + mib, "{line}: {a:.0} MiB, then {b:.0} MiB");
}

#[test]
fn preparing_keeps_no_rows() {
    let w = Workspace::new();
    for rows in [10_000, 100_000] {
        let mut table = String::from("label,text\n");
        for row in 0..rows {
            let words = "un livre que je relis ".repeat(20);
            writeln!(table, "{},\"{words}{row}\"", row % 2).unwrap();
        }
        let folder = w.path(&rows.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("train.csv"), &table).unwrap();
        fs::write(folder.join("test.csv"), "label,text\n1,bien\n0,mal\n").unwrap();
    }
    // The larger table has 44 MB of text, which become 240 MB of numbers; memory that threads keep for themselves varies by some MB.
    let line = "flue-cls-prepare -q -c tiny-camembert --data {} {}.datasets";
    stays(&w, line, 10_000, 100_000, 20.0);
}

#[test]
fn extracting_and_studying_keep_no_states() {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    // Of 1,000 reviews more, the states of all tokens and layers have 300 MB.
    for ending in ["npy", "safetensors", "arrow", "parquet"] {
        let tokens = if ending == "npy" { "cls" } else { "all" };
        let line = format!(
            "data-cls -q --data data --checkpoint tiny-camembert --limit {{}} --layers all --tokens {tokens} \
             --out {{}}.{ending}"
        );
        stays(&w, &line, 200, 700, 48.0);
    }
    // As many cosines in both: up to 16 MiB of them are kept for each layer, so that the quartiles of small studies are exact.
    let line = "study layers -q --data data --checkpoint tiny-camembert --cosine-sentences 50 --trace-sentences {} \
                --erank-sentences {} --measure-sentences {} --out {}.study";
    stays(&w, line, 200, 700, 16.0);
}
