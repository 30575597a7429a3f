//! The chunks of `data-cls` and `study layers`.

use std::fs;
use std::path::Path;

use flue_study::dataset::{Columns, DatasetDictWriter, Format, Row, Rows, WriteOptions};

use super::{Exchanged, json};
use super::{as_parquet, copy, cut, refused_for_each, reviews, shard, shuffle};
use crate::common::Workspace;

/// Checkpoints of every form and datasets of both formats.
fn prepared() -> Workspace {
    let w = reviews();
    for model in ["camembert", "flaubert"] {
        copy(&w, &format!("models/tiny-{model}"), model);
        // Two files a split.
        w.run(&format!(
            "flue-cls-prepare -q -c {model} --data rows --no-pad --max-shard-size 600 {model}.datasets"
        ));
    }
    shuffle(&w, "camembert.datasets/test");
    as_parquet(&w, "camembert.datasets", "parquet.datasets");
    copy(&w, "models/tiny-camembert", "sharded");
    cut(&w, "sharded");
    copy(&w, "tests/fixtures/models/roberta-relu-bin", "bin");
    numbers(&w.path("numbers.datasets"));
    w
}

/// A dataset of ids that the small checkpoint `bin` knows.
fn numbers(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let options = WriteOptions {
        format: Format::Arrow,
        max_shard_bytes: 1 << 20,
        columns: Columns::default(),
        class_names: vec!["negative".into(), "positive".into()],
        is_flue: false,
    };
    let mut writer = DatasetDictWriter::new(folder, options);
    for name in ["train", "test"] {
        let mut rows = Rows::new(Columns::default());
        for i in 0..4 {
            let row = Row {
                text: "avis",
                label: i64::from(i) % 2,
                idx: i + 1,
                category: None,
            };
            rows.push(row, &[5, 7 + i as u32, 9, 6], None);
        }
        let mut split = writer.split(name).unwrap();
        split.write(rows).unwrap();
        split.finish().unwrap();
    }
    writer.finish().unwrap();
}

/// What stands in `folder`, as (name in a manifest, path).
fn files(folder: &str, names: &[&str]) -> Vec<(String, String)> {
    let at = |name: &&str| format!("{folder}/{name}");
    names
        .iter()
        .map(at)
        .map(|path| (path.clone(), path))
        .collect()
}

const ARROW: [&str; 4] = [
    "data-00000-of-00002.arrow",
    "data-00001-of-00002.arrow",
    "state.json",
    "dataset_info.json",
];

#[test]
fn no_shard_of_an_output_is_of_another_file() {
    let w = prepared();
    let [one, two] = [0, 1].map(shard);
    let index = "model.safetensors.index.json";
    let split = |data: &str, split: &str, more: &[&str]| {
        files(&format!("{data}/{split}"), &[&ARROW[..], more].concat())
    };
    let parquet = ["data-00000-of-00002.parquet", "data-00001-of-00002.parquet"];
    let list = files("camembert.datasets", &["dataset_dict.json"]);
    let indices = ["indices.arrow"];
    let layers = "study layers -q --cosine-sentences 4 --trace-sentences 4 --erank-sentences 4";
    // (program, checkpoint, data, files of the checkpoint, files of the data)
    let cases = [
        (
            "data-cls -q --layers 2",
            "camembert",
            "camembert.datasets",
            vec!["config.json", "model.safetensors"],
            [
                split("camembert.datasets", "train", &[]),
                split("camembert.datasets", "test", &indices),
                list.clone(),
            ]
            .concat(),
        ),
        (
            layers,
            "camembert",
            "camembert.datasets",
            vec!["config.json", "model.safetensors"],
            [split("camembert.datasets", "test", &indices), list].concat(),
        ),
        (
            "data-cls -q --layers 2 --tokens all",
            "camembert",
            "camembert.datasets",
            vec![
                "tokenizer.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
            ],
            vec![],
        ),
        (
            "data-cls -q --layers 2 --tokens all",
            "flaubert",
            "flaubert.datasets",
            vec!["vocab.json", "merges.txt", "tokenizer_config.json"],
            vec![],
        ),
        (
            "data-cls -q --layers 2",
            "sharded",
            "parquet.datasets",
            vec!["config.json", index, &one, &two],
            [
                files("parquet.datasets/train", &parquet),
                files("parquet.datasets/test", &parquet),
            ]
            .concat(),
        ),
        (
            layers,
            "sharded",
            "parquet.datasets",
            vec![index, &one, &two],
            files("parquet.datasets/test", &parquet),
        ),
        (
            "data-cls -q --layers 2",
            "bin",
            "numbers.datasets",
            vec!["pytorch_model.bin"],
            vec![],
        ),
        (
            layers,
            "bin",
            "numbers.datasets",
            vec!["pytorch_model.bin"],
            vec![],
        ),
    ];
    for (i, (program, checkpoint, data, of_checkpoint, of_data)) in cases.into_iter().enumerate() {
        let out = match program.starts_with("data-cls") {
            true => format!("out-{i}.arrow"),
            false => format!("out-{i}"),
        };
        let line = format!("{program} --checkpoint {checkpoint} --data {data} --out {out}");
        w.run(&format!("{line} --shard 0/2"));
        let all = [files(checkpoint, &of_checkpoint), of_data].concat();
        let all: Vec<_> = all.iter().map(|(n, p)| (&n[..], &p[..])).collect();
        refused_for_each(&w, &format!("{line} --shard 1/2"), "begun with", &all);
        // Nor are they merged for it.
        let exchanged = Exchanged::new(&w.path(all[0].1));
        w.fails(
            &format!("{line} --merge"),
            1,
            &["begun with another content of"],
        );
        exchanged.restore();
        w.run(&format!("{line} --merge"));
    }
}

#[test]
fn a_run_that_goes_on_starts_anew_with_other_weights_when_it_is_told_to() {
    let w = prepared();
    let line = "data-cls -q --layers 2 --checkpoint sharded --data parquet.datasets";
    w.run(&format!("{line} --out old.npy"));
    // As a run leaves it that was killed before its last step.
    w.run(&format!("{line} --out x.npy --shard 0/1"));
    let _exchanged = Exchanged::new(&w.path(&format!("sharded/{}", shard(1))));
    let words = [
        "x.npy.shards/manifest.json",
        "another content of sharded/model-00002-of-00002.safetensors",
        "remove the folder",
    ];
    w.fails(&format!("{line} --out x.npy"), 1, &words);
    assert!(!w.path("x.npy").exists());
    w.run(&format!("{line} --out x.npy --overwrite"));
    w.run(&format!("{line} --out new.npy"));
    let read = |name: &str| fs::read(w.path(name)).unwrap();
    assert!(read("x.npy") == read("new.npy"));
    let inputs = |name: &str| json(&w.path(&format!("{name}.manifest.json")))["inputs"].clone();
    assert_eq!(inputs("x.npy"), inputs("new.npy"));
    assert_ne!(inputs("old.npy"), inputs("new.npy"));
}
