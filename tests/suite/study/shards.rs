//! `study layers` in shards, merged, and killed on its way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::common::Workspace;

const TABLES: [&str; 8] = [
    "cosine",
    "cosine_variance",
    "trace",
    "erank",
    "measures",
    "sentences",
    "leading",
    "cka",
];

fn prepared() -> Workspace {
    let w = Workspace::new();
    w.run("flue-cls-prepare -c tiny-camembert --data sample -q --no-pad d.datasets");
    w
}

const LINE: &str = "study layers -q --data d.datasets --checkpoint tiny-camembert --cosine-sentences 150 \
    --trace-sentences 300 --erank-sentences 300";

/// The cells of a Parquet table, which has all digits, by column.
fn cells(path: &Path) -> BTreeMap<String, Vec<String>> {
    use parquet::record::RowAccessor;
    let file = fs::File::open(path).unwrap();
    let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in reader {
        let row = row.unwrap();
        for (i, (name, field)) in row.get_column_iter().enumerate() {
            let words = match row.get_double(i) {
                Ok(value) => format!("{value:e}"),
                Err(_) => field.to_string(),
            };
            columns.entry(name.clone()).or_default().push(words);
        }
    }
    columns
}

/// Counts and names agree exactly, floats to 1e-9 relative.
fn assert_same_tables(a: &Path, b: &Path) {
    for table in TABLES {
        let name = format!("{table}.parquet");
        let (a, b) = (cells(&a.join(&name)), cells(&b.join(&name)));
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        for (column, want) in &a {
            let got = &b[column];
            assert_eq!(got.len(), want.len(), "{table} {column}");
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                let close = match (got.parse::<f64>(), want.parse::<f64>()) {
                    (Ok(got), Ok(want)) => (got - want).abs() <= 1e-9 * want.abs().max(1e-6),
                    _ => got == want,
                };
                assert!(close, "{table} {column} row {i}: {got} and {want}");
            }
        }
    }
}

#[test]
fn four_shards_merged_equal_one_run() {
    let w = prepared();
    w.run(&format!("{LINE} --out one"));
    assert!(!w.path("one.shards").exists());
    for shard in [3, 0, 2] {
        w.run(&format!("{LINE} --out many --shard {shard}/4"));
    }
    w.fails(
        &format!("{LINE} --out many --merge"),
        1,
        &["1 of 4 shards", "run these first: 1/4"],
    );
    w.fails(
        &format!("{LINE} --out many --shard 1/4 --seed 3"),
        1,
        &["begun with another `seed`"],
    );
    w.run(&format!("{LINE} --out many --shard 1/4"));
    w.run(&format!("{LINE} --out many --merge"));
    assert_same_tables(&w.path("one"), &w.path("many"));
    // Pairs of tokens are counted, and the quartiles come from counts.
    let read = |name: &str| fs::read_to_string(w.path(name)).unwrap();
    assert_eq!(read("one/cosine.csv"), read("many/cosine.csv"));
}

#[test]
fn a_killed_study_goes_on_and_finds_the_same() {
    let w = prepared();
    w.killed_and_run_again(&format!("{LINE} --out OUT"), "whole", "killed", 10);
    for table in TABLES {
        let read = |folder: &str| fs::read(w.path(&format!("{folder}/{table}.csv"))).unwrap();
        assert!(read("whole") == read("killed"), "{table} differs");
    }
    assert!(!w.path("killed.shards").exists());
}
