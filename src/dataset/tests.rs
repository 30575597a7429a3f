//! Folders written by `datasets` itself (`tests/fixtures/prepare/make_folders.py`), whole and
//! damaged.

use std::fs;
use std::path::{Path, PathBuf};

use super::{DatasetDict, Split};
use crate::error::Result;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/prepare")
        .join(name)
}

/// A copy of a fixture that may be damaged.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for split in fs::read_dir(fixture(name)).unwrap() {
        let split = split.unwrap();
        let target = folder.path().join(split.file_name());
        if !split.path().is_dir() {
            fs::copy(split.path(), target).unwrap();
            continue;
        }
        fs::create_dir(&target).unwrap();
        for file in fs::read_dir(split.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
    }
    folder
}

/// The row `i` of the script: text, label, ids with padding, mask.
fn row(i: i32) -> (String, i64, Vec<i32>, Vec<i8>) {
    let n = 2 + i % 3;
    let mut ids = vec![5];
    ids.extend(10 * i..10 * i + n);
    ids.push(6);
    let mut mask = vec![1; ids.len()];
    ids.resize(6, 1);
    mask.resize(6, 0);
    let text = if i == 0 {
        String::new()
    } else {
        format!("Été n° {i}")
    };
    (text, i64::from(i % 2), ids, mask)
}

fn read_all(path: &Path) -> Result<usize> {
    let dict = DatasetDict::open(path)?;
    let mut rows = 0;
    for name in dict.split_names() {
        for example in dict.split(name)?.iter() {
            rows += example?.text.chars().count().min(1);
        }
    }
    Ok(rows)
}

#[test]
fn folders_of_every_release_are_read_row_by_row() {
    for release in ["datasets-5.2.0", "datasets-5.0.1", "datasets-2.21.0"] {
        let dict = DatasetDict::open(fixture(release)).unwrap();
        assert_eq!(dict.split_names(), ["train", "test"]);
        for (name, rows) in [("train", 5), ("test", 2)] {
            let split = dict.split(name).unwrap();
            assert_eq!((split.name(), split.len()), (name, rows));
            assert_eq!(split.label_names().unwrap(), ["negative", "positive"]);
            assert!(split.has_token_type_ids());
            // Backwards, so that the second file is asked first.
            for i in (0..rows).rev() {
                let (text, label, ids, mask) = row(i as i32);
                let got = split.example(i).unwrap();
                assert_eq!((got.text, got.label), (text.as_str(), label), "{release}");
                assert_eq!(got.idx, i as i32 + 1);
                assert_eq!((got.input_ids, got.attention_mask), (&ids[..], &mask[..]));
                assert_eq!(got.token_type_ids, Some(&[0i8; 6][..]));
                assert_eq!(got.tokens(), &ids[..4 + i % 3]);
            }
            assert!(split.example(rows).is_err());
        }
    }
}

#[test]
fn other_types_orders_and_columns_are_read_through_a_copy() {
    let dict = DatasetDict::open(fixture("odd")).unwrap();
    let large: Split = dict.split("large").unwrap();
    for i in 0..3 {
        let (text, label, ids, mask) = row(i as i32);
        let got = large.example(i).unwrap();
        assert_eq!((got.text, got.label), (text.as_str(), label));
        assert_eq!((got.input_ids, got.attention_mask), (&ids[..], &mask[..]));
        assert_eq!((got.idx, got.token_type_ids), (i as i32, None));
    }
    // Numbers without names.
    assert_eq!(large.label_names(), None);
    // Saved with a list of rows, and without text and mask.
    let unmasked = dict.split("unmasked").unwrap();
    let got: Vec<_> = unmasked.iter().map(|e| e.unwrap()).collect();
    assert_eq!(got.len(), 2);
    assert_eq!((got[0].idx, got[1].idx), (3, 1));
    assert_eq!(got[0].input_ids, row(2).2);
    assert_eq!((got[0].text, got[0].attention_mask), ("", &[1i8; 6][..]));
    let error = dict.text_split("unmasked").err().unwrap().to_string();
    assert!(error.contains("no column `text`"), "{error}");
}

#[test]
fn what_is_absent_is_said_with_what_is_there() {
    let error = |r: Result<DatasetDict>| r.unwrap_err().to_string();
    let e = error(DatasetDict::open("/nowhere/at-all"));
    assert!(e.contains("/nowhere/at-all not found"), "{e}");
    let empty = tempfile::tempdir().unwrap();
    let e = error(DatasetDict::open(empty.path()));
    assert!(e.contains("found no dataset_dict.json"), "{e}");
    let dict = DatasetDict::open(fixture("odd")).unwrap();
    let e = dict.split("test").err().unwrap().to_string();
    assert!(e.contains("it has large, unmasked"), "{e}");
}

#[test]
fn a_half_written_folder_is_refused_by_name() {
    let check = |damage: &dyn Fn(&Path), words: &[&str]| {
        let folder = copy("datasets-5.0.1");
        damage(folder.path());
        let e = read_all(folder.path()).unwrap_err().to_string();
        for word in words {
            assert!(e.contains(word), "{word}: {e}");
        }
    };
    let remove = |name: &'static str| move |f: &Path| fs::remove_file(f.join(name)).unwrap();
    let write = |name: &'static str, text: &'static str| {
        move |f: &Path| fs::write(f.join(name), text).unwrap()
    };
    check(
        &remove("train/state.json"),
        &["train: found neither state.json nor Parquet"],
    );
    check(
        &remove("train/data-00001-of-00002.arrow"),
        &["data-00001-of-00002.arrow: cannot read"],
    );
    check(
        &remove("dataset_dict.json"),
        &["found no dataset_dict.json"],
    );
    check(
        &write("dataset_dict.json", "{"),
        &["dataset_dict.json, line 1"],
    );
    check(
        &write("dataset_dict.json", r#"{"splits": ["../x"]}"#),
        &["found no names of splits"],
    );
    check(
        &write(
            "dataset_dict.json",
            r#"{"splits": ["train", "test", "train"]}"#,
        ),
        &["dataset_dict.json: found split \"train\" twice"],
    );
    check(
        &write("train/state.json", "{}"),
        &["state.json, key `_data_files`"],
    );
    check(
        &write(
            "test/state.json",
            r#"{"_data_files": [{"filename": "a.arrow"}, {"filename": "b.arrow"}, {"filename": "a.arrow"}]}"#,
        ),
        &["state.json, key `_data_files`: found a.arrow twice"],
    );
    check(
        &write("test/data-00000-of-00001.arrow", ""),
        &["data-00000-of-00001.arrow, byte 0: found an empty file"],
    );
    check(
        &write("test/data-00000-of-00001.arrow", "no arrow at all"),
        &["data-00000-of-00001.arrow, message 0"],
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error_with_its_name() {
    let folder = copy("datasets-5.0.1");
    let path = folder.path().join("test/data-00000-of-00001.arrow");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let e = read_all(folder.path()).unwrap_err().to_string();
        assert!(e.contains("data-00000-of-00001.arrow"), "{length}: {e}");
    }
    fs::write(&path, &whole[..whole.len() - 8]).unwrap();
    let e = read_all(folder.path()).unwrap_err().to_string();
    assert!(e.contains("the file was cut short"), "{e}");
}

/// Any byte may be wrong: the rows are read, or an error is returned, but nothing panics.
#[test]
fn no_damaged_byte_makes_the_reader_panic() {
    for (name, file) in [
        ("datasets-5.0.1", "test/data-00000-of-00001.arrow"),
        ("odd", "large/data-00000-of-00001.arrow"),
    ] {
        let folder = copy(name);
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= [0x01, 0x80, 0xff][at % 3];
            fs::write(&path, bytes).unwrap();
            refused += usize::from(read_all(folder.path()).is_err());
        }
        assert!(refused > 150, "{name}: {refused} of {}", whole.len());
    }
}

#[test]
fn a_label_outside_the_classes_is_named_by_its_row() {
    let folder = copy("datasets-2.21.0");
    let path = folder.path().join("test/data-00000-of-00001.arrow");
    let mut bytes = fs::read(&path).unwrap();
    // The only place where the labels 0 and 1 stand side by side as int64.
    let labels = [0u8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let at = bytes.len() - bytes.windows(16).rev().position(|w| w == labels).unwrap() - 16;
    let at = (0..=at)
        .rev()
        .find(|&i| bytes[i..i + 16] == labels && i % 8 == 0)
        .unwrap();
    bytes[at + 8] = 7;
    fs::write(&path, bytes).unwrap();
    let split = DatasetDict::open(folder.path())
        .unwrap()
        .split("test")
        .unwrap();
    let errors: Vec<_> = split
        .iter()
        .filter_map(|e| e.err())
        .map(|e| e.to_string())
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0]
            .contains("row 1: found label 7, expected a class from 0 to 1 (negative, positive)"),
        "{errors:?}"
    );
}

#[test]
fn a_file_that_shrinks_while_it_is_read_changes_nothing() {
    use super::ipc::StreamFile;
    let folder = copy("datasets-5.0.1");
    let path = folder.path().join("test/data-00000-of-00001.arrow");
    let ids = |file: &StreamFile| {
        let batches = file
            .batches
            .iter()
            .map(|at| file.read(at, &[0, 1, 3]).unwrap());
        batches.collect::<Vec<_>>()
    };
    let whole = fs::read(&path).unwrap();
    // In memory, and as a copy that is mapped.
    for limit in [u64::MAX, 0] {
        let file = StreamFile::open_within(&path, limit).unwrap();
        let before = ids(&StreamFile::open(&path).unwrap());
        fs::File::create(&path).unwrap();
        assert_eq!(ids(&file), before, "limit {limit}");
        file.batches.iter().for_each(|at| file.release(at));
        assert_eq!(ids(&file), before, "limit {limit}, after a release");
        let error = StreamFile::open_within(&path, limit)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("an empty file"), "{error}");
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_text_that_is_no_review_is_named_by_its_row() {
    use arrow::array::{ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train/data-00000-of-00001.parquet");
    fs::create_dir(folder.path().join("train")).unwrap();
    for (length, words) in [
        (1 << 22, ""),
        ((1 << 22) + 1, "row 1: found a text of 4194305 bytes"),
    ] {
        let texts = StringArray::from(vec!["x".into(), "x".repeat(length)]);
        let ids = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(5)]); 2]);
        let columns: [(&str, ArrayRef); 4] = [
            ("text", Arc::new(texts)),
            ("label", Arc::new(Int64Array::from(vec![0, 1]))),
            ("idx", Arc::new(Int32Array::from(vec![1, 2]))),
            ("input_ids", Arc::new(ids)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = fs::File::create(&path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        match read_all(folder.path()) {
            Ok(rows) => assert_eq!((rows, words), (2, "")),
            Err(e) => assert!(!words.is_empty() && e.to_string().contains(words), "{e}"),
        }
    }
}

/// Nobody may take memory by a number of rows that the bytes cannot hold, before a row is read.
#[test]
fn rows_that_the_bytes_cannot_hold_are_refused_when_a_split_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let split = folder.path().join("train");
    fs::create_dir(&split).unwrap();
    fs::write(
        folder.path().join("dataset_dict.json"),
        r#"{"splits": ["train"]}"#,
    )
    .unwrap();
    let state = r#"{"_data_files": [{"filename": "a.arrow"}]}"#;
    fs::write(split.join("state.json"), state).unwrap();
    let finding = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/findings/arrow");
    fs::copy(finding.join("rows_without_bytes"), split.join("a.arrow")).unwrap();
    let dict = DatasetDict::open(folder.path()).unwrap();
    let message = dict.split("train").err().unwrap().to_string();
    assert!(
        message.contains("2147483647 rows in 2624 bytes"),
        "{message}"
    );
}
