//! Peak memory does not grow with the number of rows, though what comes out does.

use std::fmt::Write;
use std::fs;

use super::common::Workspace;

/// Runs `line` with few and with many rows for `{}`, each `runs` times, and requires that the peak
/// rises by less than `mib`. The least peak of some runs counts: what threads happen to do at the
/// same time only adds to it.
#[track_caller]
fn stays(w: &Workspace, line: &str, [few, many]: [usize; 2], runs: usize, mib: f64) {
    let peak = |rows: usize| {
        let line = line.replace("{}", &rows.to_string());
        let least = (0..runs).map(|_| w.watch(&line).peak).min().unwrap();
        least as f64 / 1024.0
    };
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
    // The larger table has 44 MB of text, which become 240 MB of numbers; memory that threads keep
    // for themselves varies by some MB.
    let line = "flue-cls-prepare -q --threads 2 -c tiny-camembert --data {} {}.datasets";
    stays(&w, line, [10_000, 100_000], 1, 20.0);
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
        stays(&w, &line, [200, 700], 1, 48.0);
    }
    // As many cosines in both: up to 16 MiB of them are kept for each layer, so that the quartiles
    // of small studies are exact.
    let line = "study layers -q --threads 2 --data data --checkpoint tiny-camembert --cosine-sentences 50 --trace-sentences {} \
                --erank-sentences {} --measure-sentences {} --out {}.study";
    stays(&w, line, [200, 700], 1, 16.0);
}

/// Rows so short that what is kept for each of them is seen: 90,000 rows more, of one word.
///
/// Measured in this way, the preparation takes no more than 6 bytes a row, which are blocks that its
/// threads keep for themselves, the study 42 to 46 and `data-cls` 53 to 55. The test notices what
/// takes some 10 bytes a row more.
#[test]
fn little_is_kept_for_a_short_row() {
    const ROWS: [usize; 2] = [10_000, 100_000];
    const NOISE: usize = 16;
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
    // What a row takes on the disk. The file of a dataset is mapped, and opening it looks into every
    // batch: the pages around count, though the system may take them back at any time.
    const MAPPED: usize = 43;
    for (line, known) in [
        // Nothing stays in the preparation.
        (
            "flue-cls-prepare -q --overwrite --no-pad --data {}.csv -c tiny-camembert {}.datasets",
            0,
        ),
        // Only the file.
        (
            "study layers -q --overwrite --data {}.datasets --checkpoint tiny-camembert --out {}.study --no-measures \
             --cosine-sentences 4 --trace-sentences 4 --erank-sentences 4",
            MAPPED,
        ),
        // Also the label of each row, which stands at the end of the output.
        (
            "data-cls -q --overwrite --data {}.datasets --checkpoint tiny-camembert --layers 1 --tokens cls --out {}.npy",
            MAPPED + 8,
        ),
    ] {
        let bytes = (ROWS[1] - ROWS[0]) * (known + NOISE);
        let mib = bytes as f64 / f64::from(1 << 20);
        stays(&w, &format!("{line} --threads 1"), ROWS, 3, mib);
    }
}
