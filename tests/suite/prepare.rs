//! `flue-cls-prepare`: from every kind of source to a dataset folder, whole, in shards, and merged.

use std::fs;
use std::path::Path;

use flue_study::dataset::{DatasetDict, Split};
use serde_json::{Value, json};

use crate::common::{Workspace, fixtures, real};
use crate::faults::kills::names;
use crate::steps::SIGKILL;

/// A table of `rows` reviews of growing length, both classes in turn.
fn write_table(path: &Path, rows: usize) {
    let mut text = String::from("text,label\n");
    for i in 0..rows {
        let words = "un film que je conseille ".repeat(i % 7);
        text += &format!("\"n° {i} : {words}\",{}\n", i % 2);
    }
    fs::write(path, text).unwrap();
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Text, label, idx, ids, mask and types of a row.
type Cells = (String, i64, i32, Vec<i32>, Vec<i8>, Option<Vec<i8>>);

/// All cells of a split, as one value that can be compared.
fn cells(split: &Split) -> Vec<Cells> {
    let rows = split.iter().map(|e| e.unwrap());
    rows.map(|e| {
        (
            e.text.to_string(),
            e.label,
            e.idx,
            e.input_ids.to_vec(),
            e.attention_mask.to_vec(),
            e.token_type_ids.map(<[i8]>::to_vec),
        )
    })
    .collect()
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (DatasetDict::open(a).unwrap(), DatasetDict::open(b).unwrap());
    assert_eq!(a.split_names(), b.split_names());
    for name in a.split_names() {
        let (a, b) = (a.split(name).unwrap(), b.split(name).unwrap());
        assert!(cells(&a) == cells(&b), "split {name} differs");
    }
}

#[test]
fn the_sample_is_prepared_padded_for_both_families() {
    let w = Workspace::new();
    for (model, types) in [("tiny-camembert", false), ("tiny-flaubert", true)] {
        let out = format!("{model}.datasets");
        let summary = json(&w.run(&format!(
            "flue-cls-prepare -c {model} --data sample --quiet {out}"
        )));
        let dict = DatasetDict::open(w.path(&out)).unwrap();
        assert_eq!(dict.split_names(), ["train", "test"]);
        let mut rows = 0;
        for name in ["train", "test"] {
            let split = dict.split(name).unwrap();
            assert_eq!(split.has_token_type_ids(), types);
            let counts = &summary["splits"][name];
            assert_eq!(counts["rows"], split.len());
            assert_eq!(
                counts["labels"]["negative"].as_u64().unwrap()
                    + counts["labels"]["positive"].as_u64().unwrap(),
                split.len() as u64
            );
            rows += split.len();
            let tokens: usize = split.iter().map(|e| e.unwrap().tokens().len()).sum();
            assert_eq!(counts["tokens"], tokens);
            let example = split.example(0).unwrap();
            assert_eq!(example.input_ids.len(), 512);
            assert_eq!(example.attention_mask.len(), 512);
            assert_eq!(example.idx, 1);
        }
        assert_eq!(summary["rows"], rows);
        assert!(summary["mean_tokens"].as_f64().unwrap() > 10.0);
        let manifest = json(&fs::read_to_string(w.path(&out).join("manifest.json")).unwrap());
        assert_eq!(manifest["program"], "flue-cls-prepare");
        assert_eq!(manifest["config"]["max_length"], 512);
        assert_eq!(manifest["results"]["rows"], rows);
    }
}

/// A copy of a shipped checkpoint's small files, with other keys in one of them.
fn checkpoint(w: &Workspace, model: &str, name: &str, changes: &Value) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(model);
    fs::create_dir_all(w.path("changed")).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        if entry.path().extension().is_some_and(|e| e != "safetensors") {
            fs::copy(entry.path(), w.path("changed").join(entry.file_name())).unwrap();
        }
    }
    let path = w.path("changed").join(name);
    let mut file = json(&fs::read_to_string(&path).unwrap());
    for (key, value) in changes.as_object().unwrap() {
        file[key] = value.clone();
    }
    fs::write(path, file.to_string()).unwrap();
}

#[test]
fn the_sides_of_the_tokenizer_decide_what_is_kept_and_where_it_stands() {
    for model in ["tiny-camembert", "tiny-flaubert"] {
        let w = Workspace::new();
        let long = "Ce film est un chef-d'œuvre. ".repeat(15) + "Quelle déception finale";
        let rows = json!([{"text": long, "label": 0}, {"text": "court", "label": 1}]);
        let lines: Vec<String> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .collect();
        fs::write(w.path("train.jsonl"), lines.join("\n")).unwrap();
        let prepare = |checkpoint: &str, options: &str, out: &str| {
            w.run(&format!(
                "flue-cls-prepare -c {checkpoint} --data train.jsonl {options} {out}"
            ));
            cells(
                &DatasetDict::open(w.path(out))
                    .unwrap()
                    .split("train")
                    .unwrap(),
            )
        };
        let sides = json!({"truncation_side": "left", "padding_side": "left"});
        checkpoint(&w, model, "tokenizer_config.json", &sides);
        let right = prepare(model, "--max-length 20", "right");
        let left = prepare("changed", "--max-length 20", "left");
        let whole = prepare(model, "--no-pad --max-length 512", "whole");
        // The last tokens, between the special ones.
        let all = &whole[0].3;
        let (first, last) = (all[0], &all[all.len() - 19..]);
        assert_eq!(left[0].3, [&[first], last].concat());
        assert_eq!(right[0].3[..19], all[..19]);
        // The short row: the same tokens, on the other side.
        let count = whole[1].3.len();
        assert_eq!(left[1].3[20 - count..], whole[1].3);
        assert_eq!(left[1].4, [vec![0; 20 - count], vec![1; count]].concat());
        assert_eq!(right[1].4, [vec![1; count], vec![0; 20 - count]].concat());
        assert_eq!(left[1].3[0], right[1].3[19]);
        let example = DatasetDict::open(w.path("left")).unwrap();
        let example = example.split("train").unwrap();
        assert_eq!(example.example(1).unwrap().tokens(), whole[1].3);
    }
}

#[test]
fn rows_to_which_transformers_5_gives_other_ids_are_reported() {
    let w = Workspace::new();
    let text = "text,label\nUn film.,1\nUn\u{a0}film !,0\n\"Deux\u{2009}mots\",1\nDeux mots,0\n";
    fs::write(w.path("train.csv"), text).unwrap();
    let counts = |checkpoint: &str, out: &str| {
        let line = format!("flue-cls-prepare -c {checkpoint} --data train.csv {out}");
        let output = w.command(&line).output().unwrap();
        assert!(output.status.success());
        let summary = json(&String::from_utf8(output.stdout).unwrap());
        let warned = String::from_utf8_lossy(&output.stderr).contains("transformers 5 gives other");
        (summary["splits"]["train"].clone(), warned)
    };
    // As shipped both releases agree.
    let (train, warned) = counts("tiny-camembert", "same");
    assert!(!warned && train.get("other_ids_in_transformers_5").is_none());
    // As 5.0 saves a tokenizer: a normaliser and a pre-tokenizer of its own, which 5.24 drops.
    let saved_by_5 = json!({
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Replace", "pattern": {"Regex": "\\s{2,}|[\\n\\r\\t]"}, "content": " "},
            {"type": "Strip", "strip_left": false, "strip_right": true},
        ]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
    });
    checkpoint(&w, "tiny-camembert", "tokenizer.json", &saved_by_5);
    let (train, warned) = counts("changed", "other");
    assert!(warned);
    assert_eq!(train["other_ids_in_transformers_5"], 2);
    assert_eq!(train["rows_with_other_ids"], json!([1, 2]));
    // The same of shards, with the numbers of the whole.
    for shard in 0..2 {
        w.run(&format!(
            "flue-cls-prepare -c changed --data train.csv --shard {shard}/2 sharded"
        ));
    }
    let merged = json(&w.run("flue-cls-prepare --merge sharded"));
    assert_eq!(
        merged["splits"]["train"]["rows_with_other_ids"],
        json!([1, 2])
    );
    assert_eq!(merged["other_ids_in_transformers_5"], 2);
}

#[test]
fn a_token_that_the_model_lacks_is_refused_with_its_row() {
    let w = Workspace::new();
    fs::write(w.path("train.csv"), "text,label\nUn film.,1\nNOUVEAU !,0\n").unwrap();
    let added = json!({"NOUVEAU": 2000});
    for (model, size) in [("tiny-camembert", 2000), ("tiny-flaubert", 2000)] {
        checkpoint(&w, model, "config.json", &json!({"vocab_size": size}));
        fs::write(w.path("changed/added_tokens.json"), added.to_string()).unwrap();
        let words = ["train, row 1", "NOUVEAU", "2000", "config.json"];
        w.fails(
            "flue-cls-prepare -c changed --data train.csv out",
            1,
            &words,
        );
        assert!(!w.path("out").exists());
        checkpoint(&w, model, "config.json", &json!({"vocab_size": 2001}));
        w.run(&format!(
            "flue-cls-prepare -c changed --data train.csv {model}"
        ));
        // A model that lacks a part of the vocabulary is another checkpoint's.
        checkpoint(&w, model, "config.json", &json!({"vocab_size": 1500}));
        let words = ["config.json", "vocab_size", "1500"];
        w.fails(
            "flue-cls-prepare -c changed --data train.csv out",
            1,
            &words,
        );
        fs::remove_dir_all(w.path("changed")).unwrap();
    }
}

#[test]
fn the_files_are_those_of_save_to_disk() {
    let w = Workspace::new();
    write_table(&w.path("train.csv"), 3);
    w.run("flue-cls-prepare -c tiny-flaubert --data train.csv out");
    let read = |name: &str| fs::read_to_string(w.path("out").join(name)).unwrap();
    assert_eq!(read("dataset_dict.json"), r#"{"splits": ["train"]}"#);
    let info = json(&read("train/dataset_info.json"));
    let names: Vec<_> = info["features"].as_object().unwrap().keys().collect();
    let want = [
        "text",
        "label",
        "idx",
        "input_ids",
        "token_type_ids",
        "attention_mask",
    ];
    assert_eq!(names, want);
    let mask = &info["features"]["attention_mask"];
    assert_eq!(mask["_type"], "Sequence");
    assert_eq!(mask["feature"]["dtype"], "int8");
    let state = json(&read("train/state.json"));
    assert_eq!(
        state["_data_files"][0]["filename"],
        "data-00000-of-00001.arrow"
    );
    assert_eq!(state["_fingerprint"].as_str().unwrap().len(), 16);
    assert_eq!(state["_split"], "train");
    // Another corpus has another fingerprint: `datasets` keys its cache with it.
    write_table(&w.path("train.csv"), 4);
    w.run("flue-cls-prepare -c tiny-flaubert --data train.csv out2");
    let other = fs::read_to_string(w.path("out2/train/state.json")).unwrap();
    assert_ne!(json(&other)["_fingerprint"], state["_fingerprint"]);
}

#[test]
fn length_padding_and_lower_case_are_options() {
    let w = Workspace::new();
    let long = "Un Roman Superbe ".repeat(100);
    let rows =
        format!("{{\"text\": \"{long}\", \"label\": 1}}\n{{\"text\": \"\", \"label\": 0}}\n");
    fs::write(w.path("test.jsonl"), rows).unwrap();
    let prepare = |options: &str, out: &str| {
        let line = format!("flue-cls-prepare -c tiny-flaubert --data test.jsonl {options} {out}");
        json(&w.run(&line))
    };
    let summary = prepare("--max-length 16", "short");
    assert_eq!(
        (&summary["truncated"], &summary["rows"]),
        (&1.into(), &2.into())
    );
    assert_eq!(summary["truncated_share"], 0.5);
    let short = DatasetDict::open(w.path("short"))
        .unwrap()
        .split("test")
        .unwrap();
    let (first, empty) = (short.example(0).unwrap(), short.example(1).unwrap());
    assert_eq!(first.tokens().len(), 16);
    assert_eq!((empty.input_ids.len(), empty.tokens().len()), (16, 2));
    assert_eq!(empty.text, "");
    prepare("--max-length 16 --no-pad", "unpadded");
    let unpadded = DatasetDict::open(w.path("unpadded"))
        .unwrap()
        .split("test")
        .unwrap();
    for (a, b) in short.iter().zip(unpadded.iter()) {
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.tokens(), b.input_ids);
        assert!(b.attention_mask.iter().all(|&m| m == 1));
    }
    prepare("--max-length 16 --lowercase", "lower");
    let lower = DatasetDict::open(w.path("lower"))
        .unwrap()
        .split("test")
        .unwrap();
    let lower = lower.example(0).unwrap();
    assert_eq!(lower.text, first.text);
    assert_ne!(lower.input_ids, first.input_ids);
}

#[test]
fn parquet_and_arrow_hold_the_same_and_either_is_a_source() {
    let w = Workspace::new();
    fs::create_dir(w.path("tables")).unwrap();
    write_table(&w.path("tables/train.csv"), 2300);
    write_table(&w.path("tables/test.csv"), 10);
    for format in ["arrow", "parquet"] {
        w.run(&format!(
            "flue-cls-prepare -c tiny-camembert --data tables --max-length 32 --format {format} {format}"
        ));
    }
    assert!(
        w.path("parquet/train/data-00000-of-00001.parquet")
            .is_file()
    );
    assert_same(&w.path("arrow"), &w.path("parquet"));
    for (source, out) in [("arrow", "again"), ("parquet", "again2")] {
        w.run(&format!(
            "flue-cls-prepare -c tiny-camembert --data {source} --max-length 32 {out}"
        ));
        assert_same(&w.path("arrow"), &w.path(out));
    }
}

#[test]
fn the_classes_of_a_dataset_are_told_by_their_names() {
    let w = Workspace::new();
    let source = fixtures().join("prepare/reversed");
    w.run(&format!(
        "flue-cls-prepare -c tiny-camembert --data {} out",
        source.display()
    ));
    let split = DatasetDict::open(w.path("out"))
        .unwrap()
        .split("train")
        .unwrap();
    let rows: Vec<_> = split
        .iter()
        .map(|e| e.unwrap())
        .map(|e| (e.text, e.label))
        .collect();
    assert_eq!(rows, [("Très bien.", 1), ("Très mauvais.", 0)]);
    assert_eq!(split.label_names().unwrap(), ["negative", "positive"]);
}

#[test]
fn a_table_without_rows_is_a_split_without_rows() {
    let w = Workspace::new();
    fs::write(w.path("test.csv"), "text,label\n").unwrap();
    for format in ["arrow", "parquet"] {
        w.run(&format!(
            "flue-cls-prepare -c tiny-camembert --data test.csv --format {format} {format}"
        ));
        let dict = DatasetDict::open(w.path(format)).unwrap();
        assert!(dict.split("test").unwrap().is_empty());
    }
}

#[test]
fn files_are_cut_at_the_size_asked_for() {
    let w = Workspace::new();
    write_table(&w.path("train.csv"), 1500);
    let line = "flue-cls-prepare -c tiny-camembert --data train.csv --max-length 32";
    w.run(&format!("{line} whole"));
    for format in ["arrow", "parquet"] {
        let out = format!("cut-{format}");
        let summary = json(&w.run(&format!(
            "{line} --format {format} --max-shard-size 64KiB {out}"
        )));
        let files = summary["files"].as_u64().unwrap();
        assert!((4..=16).contains(&files), "{files}");
        for i in 0..files {
            let name = format!("train/data-{i:05}-of-{files:05}.{format}");
            let bytes = fs::metadata(w.path(&out).join(&name)).unwrap().len();
            assert!(bytes < 90_000, "{name} has {bytes} bytes");
        }
        assert_same(&w.path("whole"), &w.path(&out));
    }
}

#[test]
fn an_exported_tokenizer_says_how_many_texts_differ() {
    let w = Workspace::new();
    fs::write(
        w.path("train.csv"),
        "text,label\n\"Très bien, n'est-ce pas ?\",1\n\"a'b'c'd\",0\n",
    )
    .unwrap();
    let summary =
        json(&w.run("flue-cls-prepare -c tiny-flaubert --export-tokenizer --data train.csv out"));
    assert_eq!(
        (&summary["texts"], &summary["differing"]),
        (&2.into(), &1.into())
    );
    let config = json(&fs::read_to_string(w.path("out/tokenizer_config.json")).unwrap());
    assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
    w.run("flue-cls-prepare -c out --data train.csv again.datasets");
    let line = "flue-cls-prepare --export-tokenizer -c";
    w.fails(&format!("{line} tiny-flaubert out"), 1, &["out"]);
    w.fails(
        &format!("{line} tiny-camembert other"),
        2,
        &["tiny-camembert"],
    );
    assert!(!w.path("other").exists());
}

#[test]
fn shards_and_their_merge_equal_the_whole() {
    let w = Workspace::new();
    fs::create_dir(w.path("tables")).unwrap();
    write_table(&w.path("tables/train.csv"), 1402);
    write_table(&w.path("tables/test.csv"), 3);
    let line = "flue-cls-prepare -c tiny-flaubert --data tables --max-length 24";
    w.run(&format!("{line} whole"));
    for i in [3, 1, 0] {
        let summary = json(&w.run(&format!("{line} --shard {i}/4 out")));
        assert_eq!(summary["shard"], format!("{i}/4"));
        assert!(
            w.path(&format!("out.shards/0000{i}-of-00004/train/state.json"))
                .is_file()
        );
    }
    let missing = ["1 of 4 shards", "run these first: 2/4"];
    w.fails("flue-cls-prepare --merge out", 1, &missing);
    assert!(!w.path("out").exists());
    // What is finished is left as it is, another number of shards or another setting is refused.
    let before = fs::metadata(w.path("out.shards/00001-of-00004"))
        .unwrap()
        .modified()
        .unwrap();
    let summary = json(&w.run(&format!("{line} --shard 1/4 out")));
    assert_eq!(summary["skipped"], true);
    let after = fs::metadata(w.path("out.shards/00001-of-00004"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
    w.fails(
        &format!("{line} --shard 2/5 out"),
        1,
        &["begun with 4 shards, not 5"],
    );
    w.fails(
        &format!("{line} --no-pad --shard 2/4 out"),
        1,
        &["out.shards/manifest.json", "`pad`"],
    );
    // The last one comes from a job array: tasks 10, 20, 30 and 40.
    let mut task = w.command(&format!("{line} out"));
    for (name, value) in [("ID", "30"), ("MIN", "10"), ("STEP", "10"), ("COUNT", "4")] {
        task.env(format!("SLURM_ARRAY_TASK_{name}"), value);
    }
    let output = task.output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        json(&String::from_utf8(output.stdout).unwrap())["shard"],
        "2/4"
    );
    let summary = json(&w.run("flue-cls-prepare --merge out"));
    assert_eq!(
        (&summary["rows"], &summary["files"]),
        (&1405.into(), &2.into())
    );
    assert_same(&w.path("whole"), &w.path("out"));
    let read = |out: &str| fs::read_to_string(w.path(out).join("train/state.json")).unwrap();
    assert_eq!(read("out"), read("whole"));
    w.fails("flue-cls-prepare --merge out", 1, &["out exists already"]);
    w.run("flue-cls-prepare --merge --overwrite out");
}

#[test]
fn a_killed_shard_leaves_nothing_that_looks_finished() {
    let w = Workspace::new();
    write_table(&w.path("train.csv"), 60_000);
    let line = "flue-cls-prepare -c tiny-flaubert --data train.csv --no-pad --quiet";
    let second = format!("{line} --shard 1/2 out");
    let steps = w.watch(&second).steps;
    let shard = w.path("out.shards/00001-of-00002");
    let whole = names(&shard);
    fs::remove_dir_all(w.path("out.shards")).unwrap();
    let mut killed = 0;
    for part in 1..8 {
        // How many steps it takes varies a little: a late one may not come.
        let status = w.kill_at(&second, steps * part / 8, SIGKILL);
        assert!(status.success() || status.code().is_none(), "{status}");
        killed += usize::from(!status.success());
        // Behind its last step the shard is there, with all that belongs to it.
        if shard.exists() {
            assert_eq!(names(&shard), whole, "killed at {part}/8 of {steps} steps");
            fs::remove_dir_all(&shard).unwrap();
        }
    }
    assert!(killed >= 4, "{killed} kills");
    for i in 0..2 {
        w.run(&format!("{line} --shard {i}/2 out"));
    }
    w.run("flue-cls-prepare --merge out");
    w.run(&format!("{line} whole"));
    assert_same(&w.path("whole"), &w.path("out"));
}

#[test]
fn an_archive_gives_what_its_tree_gives() {
    let w = Workspace::new();
    let tree = fixtures().join("prepare/webis");
    let file = fs::File::create(w.path("cls.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(file, Default::default()));
    let root = "cls-acl10-unprocessed";
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, format!("{root}/{name}"), bytes)
            .unwrap();
    };
    add("readme", b"not a review");
    add("de/books/train.review", b"not French");
    for category in ["music", "dvd", "books"] {
        add(&format!("fr/{category}/unlabeled.review"), b"no label");
        for split in ["test", "train"] {
            let name = format!("fr/{category}/{split}.review");
            add(&name, &fs::read(tree.join(&name)).unwrap());
        }
    }
    archive.into_inner().unwrap().finish().unwrap();
    let line = "flue-cls-prepare -c tiny-camembert --no-pad --data";
    w.run(&format!("{line} cls.tar.gz archive"));
    w.run(&format!("{line} {} tree", tree.display()));
    assert_same(&w.path("archive"), &w.path("tree"));
}

#[test]
#[ignore = "needs the real files of ../shared/real"]
fn real_reviews_are_cut_and_counted() {
    let real = real();
    let w = Workspace::new();
    let summary = json(&w.run(&format!(
        "flue-cls-prepare -c {} --data {} --no-pad out",
        real.join("flaubert_base_uncased").display(),
        real.join("reviews.csv").display()
    )));
    assert_eq!(summary["rows"], 708);
    let share = summary["truncated_share"].as_f64().unwrap();
    assert!((0.05..0.2).contains(&share), "{share}");
}

#[test]
fn every_codec_of_parquet_is_read() {
    use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
    let w = Workspace::new();
    let columns: [(&str, arrow::array::ArrayRef); 2] = [
        (
            "text",
            std::sync::Arc::new(arrow::array::StringArray::from(vec![
                "mal",
                "bien",
                "très bien",
            ])),
        ),
        (
            "Label",
            std::sync::Arc::new(arrow::array::BooleanArray::from(vec![false, true, true])),
        ),
    ];
    let batch = arrow::array::RecordBatch::try_from_iter(columns).unwrap();
    for (i, codec) in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ]
    .into_iter()
    .enumerate()
    {
        let properties = parquet::file::properties::WriterProperties::builder();
        let properties = properties.set_compression(codec).build();
        let file = fs::File::create(w.path("rows.parquet")).unwrap();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        w.run(&format!(
            "flue-cls-prepare -q -c tiny-camembert --data rows.parquet out{i}"
        ));
        let split = DatasetDict::open(w.path(&format!("out{i}")))
            .unwrap()
            .split("train")
            .unwrap();
        let rows: Vec<_> = split
            .iter()
            .map(|e| e.unwrap())
            .map(|e| (e.text.to_string(), e.label))
            .collect();
        let want = [("mal", 0), ("bien", 1), ("très bien", 1)];
        assert_eq!(
            rows,
            want.map(|(text, label)| (text.to_string(), label)),
            "{codec:?}"
        );
    }
}

#[test]
fn one_table_or_one_dataset_is_one_split() {
    let w = Workspace::new();
    write_table(&w.path("avis.csv"), 8);
    // Fine-tuning needs two, and the message names what the user named.
    let words = [
        "split test of avis.csv not found",
        "it has train",
        "a DatasetDict of both",
    ];
    w.fails(
        "flue-cls-finetune -q -c tiny-camembert --data avis.csv -s out",
        1,
        &words,
    );
    let pipeline = "study pipeline -q --data avis.csv --flaubert tiny-flaubert --camembert tiny-camembert --out study";
    w.fails(pipeline, 1, &["split test of avis.csv not found"]);
    // The folder of a single `Dataset` is that of one split of a dictionary.
    w.run("flue-cls-prepare -q -c tiny-camembert --data avis.csv both");
    fs::rename(w.path("both/train"), w.path("single")).unwrap();
    w.run("flue-cls-prepare -q -c tiny-camembert --data single again");
    let again = DatasetDict::open(w.path("again")).unwrap();
    assert_eq!(
        (again.split_names(), again.split("train").unwrap().len()),
        (&["train".to_string()][..], 8)
    );
    let words = [
        "split test of single not found",
        "a single Dataset",
        "split train",
    ];
    w.fails(
        "data-cls -q --data single --checkpoint tiny-camembert --out x.npy",
        1,
        &words,
    );
}

#[test]
fn numbers_beyond_32_bits_are_named_with_their_bound() {
    let w = Workspace::new();
    for (name, text) in [
        ("wide.csv", "idx,text,label\n3000000000,bien,1\n"),
        (
            "wide.jsonl",
            "{\"idx\": -3000000000, \"text\": \"bien\", \"label\": 1}\n",
        ),
    ] {
        fs::write(w.path(name), text).unwrap();
        let words = [
            name,
            "row 1",
            "3000000000",
            "from -2147483648 to 2147483647",
        ];
        w.fails(
            &format!("flue-cls-prepare -q -c tiny-camembert --data {name} out"),
            1,
            &words,
        );
    }
}
