//! The shards of `flue-cls-prepare`.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::{Exchanged, copy, refused_for_each, reviews, shuffle, table};
use crate::common::Workspace;

/// A Webis tree in the folder `tree`, and in `tree.tar`.
fn tree(w: &Workspace) {
    let mut archive = tar::Builder::new(File::create(w.path("tree.tar")).unwrap());
    for category in ["books", "dvd", "music"] {
        for split in ["train", "test"] {
            let file = format!("fr/{category}/{split}.review");
            let path = w.path("tree").join(&file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let item = |i: u32| {
                let rating = 1 + 4 * (i % 2);
                format!(
                    "<item><category>{category}</category><rating>{rating}.0</rating>\
                     <url>http://x.fr/{i}</url><text>un avis du lecteur {i}</text><title>t</title></item>\n\n"
                )
            };
            let items: String = (0..4).map(item).collect();
            fs::write(&path, format!("<items>\n{items}")).unwrap();
            let name = format!("cls-acl10-unprocessed/{file}");
            archive.append_path_with_name(&path, name).unwrap();
        }
    }
    archive.finish().unwrap();
}

fn parquet_table(path: &Path) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("label", DataType::Int64, false),
    ]));
    let texts: Vec<String> = (0..6).map(|i| format!("avis {i}")).collect();
    let labels: Vec<i64> = (0..6).map(|i| i % 2).collect();
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(StringArray::from(texts)),
            Arc::new(Int64Array::from(labels)),
        ],
    );
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch.unwrap()).unwrap();
    writer.close().unwrap();
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn no_shard_of_a_dataset_is_of_other_reviews_or_another_tokenizer() {
    let w = reviews();
    for model in ["camembert", "flaubert"] {
        copy(&w, &format!("models/tiny-{model}"), model);
    }
    copy(&w, "tests/fixtures/tokenization/camembert", "pieces");
    let snapshot = format!("cache/hub/models--owner--model/snapshots/{COMMIT}");
    copy(&w, "models/tiny-camembert", &snapshot);
    let refs = w.path("cache/hub/models--owner--model/refs");
    fs::create_dir(&refs).unwrap();
    fs::write(refs.join("main"), COMMIT).unwrap();
    fs::create_dir(w.path("mixed")).unwrap();
    fs::write(w.path("mixed/train.tsv"), table('\t', 5)).unwrap();
    let lines: String = (0..5)
        .map(|i| format!("{{\"text\": \"avis {i}\", \"label\": {}}}\n", i % 2))
        .collect();
    fs::write(w.path("mixed/test.jsonl"), lines).unwrap();
    parquet_table(&w.path("mixed/validation.parquet"));
    tree(&w);
    w.run("flue-cls-prepare -q -c camembert --data rows --no-pad d.datasets");
    shuffle(&w, "d.datasets/test");

    let cached = |file: &str| format!("{snapshot}/{file}");
    let [config, vocabulary] = ["config.json", "tokenizer.json"].map(cached);
    let same = |path: &'static str| (path, path);
    // (checkpoint, reviews, files)
    type Case<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>);
    let cases: [Case<'_>; 6] = [
        (
            "camembert",
            "rows",
            [
                "rows/train.csv",
                "rows/test.csv",
                "camembert/tokenizer.json",
                "camembert/tokenizer_config.json",
                "camembert/config.json",
            ]
            .map(same)
            .into(),
        ),
        (
            "flaubert",
            "mixed",
            [
                "mixed/train.tsv",
                "mixed/test.jsonl",
                "mixed/validation.parquet",
                "flaubert/vocab.json",
                "flaubert/merges.txt",
            ]
            .map(same)
            .into(),
        ),
        (
            "pieces",
            "tree",
            [
                "tree/fr/music/test.review",
                "tree/fr/books/train.review",
                "pieces/sentencepiece.bpe.model",
            ]
            .map(same)
            .into(),
        ),
        ("camembert", "tree.tar", vec![same("tree.tar")]),
        (
            "owner/model",
            "d.datasets",
            vec![
                ("hf://owner/model/config.json", &config),
                ("hf://owner/model/tokenizer.json", &vocabulary),
                same("d.datasets/train/data-00000-of-00001.arrow"),
                same("d.datasets/train/state.json"),
                same("d.datasets/test/indices.arrow"),
                same("d.datasets/test/dataset_info.json"),
            ],
        ),
        (
            "owner/model",
            "sample",
            vec![("hf://owner/model/tokenizer.json", &vocabulary)],
        ),
    ];
    for (i, (checkpoint, source, files)) in cases.iter().enumerate() {
        let line = format!("flue-cls-prepare -q -c {checkpoint} --data {source} --no-pad");
        w.run(&format!("{line} --shard 0/2 out-{i}"));
        let second = format!("{line} --shard 1/2 out-{i}");
        refused_for_each(&w, &second, "begun with", files);
        w.run(&format!("flue-cls-prepare -q --merge out-{i}"));
    }
}

#[test]
fn shards_that_were_brought_together_are_of_the_same_reviews() {
    let w = reviews();
    let line = "flue-cls-prepare -q -c tiny-camembert --data rows --no-pad";
    let make = |out: &str| {
        for i in 0..2 {
            w.run(&format!("{line} --shard {i}/2 {out}"));
        }
    };
    make("here");
    let exchanged = Exchanged::new(&w.path("rows/test.csv"));
    make("there");
    let shard = "00001-of-00002";
    fs::remove_dir_all(w.path(&format!("here.shards/{shard}"))).unwrap();
    fs::rename(
        w.path(&format!("there.shards/{shard}")),
        w.path(&format!("here.shards/{shard}")),
    )
    .unwrap();
    exchanged.restore();
    let words = [
        shard,
        "made from another content of rows/test.csv",
        "--overwrite",
    ];
    w.fails("flue-cls-prepare -q --merge here", 1, &words);
    assert!(!w.path("here").exists());
    w.run(&format!("{line} --shard 1/2 --overwrite here"));
    w.run("flue-cls-prepare -q --merge here");
}
