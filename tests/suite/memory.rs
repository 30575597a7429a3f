//! Peak memory does not grow with the number of rows, though what comes out does.

use std::fmt::Write;
use std::fs;

use super::common::Workspace;

/// Runs `line` with few and with many rows for `{}` and requires that the peak rises by less than `mib`.
#[track_caller]
fn stays(w: &Workspace, line: &str, few: usize, many: usize, mib: f64) {
    let peak = |rows: usize| w.watch(&line.replace("{}", &rows.to_string())).peak as f64 / 1024.0;
    let (a, b) = (peak(few), peak(many));
    println!("{line}: {a:.1} MiB at {few}, {b:.1} MiB at {many}");
    assert!(b < a + mib, "{line}: {a:.1} MiB, then {b:.1} MiB");
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
    let line = "flue-cls-prepare -q --threads 2 -c tiny-camembert --data {} {}.datasets";
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
            "data-cls -q --threads 2 --data data --checkpoint tiny-camembert --limit {{}} --layers all --tokens {tokens} \
             --out {{}}.{ending}"
        );
        stays(&w, &line, 200, 700, 48.0);
    }
    // As many cosines in both: up to 16 MiB of them are kept for each layer, so that the quartiles of small studies are exact.
    let line = "study layers -q --threads 2 --data data --checkpoint tiny-camembert --cosine-sentences 50 --trace-sentences {} \
                --erank-sentences {} --measure-sentences {} --out {}.study";
    stays(&w, line, 200, 700, 16.0);
}

/// Rows so short that whatever is kept for each of them is seen: 90,000 rows more, of two tokens between
/// their marks. What is not kept for a row varies by less than one MiB from run to run with one thread.
#[test]
fn little_is_kept_for_a_short_row() {
    const ROWS: [usize; 2] = [10_000, 100_000];
    /// Bytes for a row, above what a run is known to keep: half are the noise.
    const MARGIN: usize = 24;
    let w = Workspace::new();
    for rows in ROWS {
        let folder = w.path(&format!("{rows}.csv"));
        fs::create_dir(&folder).unwrap();
        let mut table = String::from("label,text\n");
        for row in 0..rows {
            writeln!(table, "{},bon", row % 2).unwrap();
        }
        fs::write(folder.join("test.csv"), table).unwrap();
        fs::write(folder.join("train.csv"), "label,text\n1,bien\n0,mal\n").unwrap();
    }
    // A row of a dataset takes 43 bytes on the disk. Its file is mapped, and so these are resident once they were read.
    const MAPPED: usize = 43;
    for (line, known) in [
        // Nothing stays in the preparation.
        (
            "flue-cls-prepare -q --no-pad --data {}.csv -c tiny-camembert {}.datasets",
            0,
        ),
        // Beside the file, 3 bytes a row.
        (
            "study layers -q --data {}.datasets --checkpoint tiny-camembert --out {}.study --no-measures \
             --cosine-sentences 4 --trace-sentences 4 --erank-sentences 4",
            MAPPED,
        ),
        // Beside the file, the 8 bytes of a label.
        (
            "data-cls -q --data {}.datasets --checkpoint tiny-camembert --layers 1 --tokens cls --out {}.npy",
            MAPPED + 8,
        ),
    ] {
        let bytes = (ROWS[1] - ROWS[0]) * (known + MARGIN);
        let mib = bytes as f64 / f64::from(1 << 20);
        stays(&w, &format!("{line} --threads 1"), ROWS[0], ROWS[1], mib);
    }
}
