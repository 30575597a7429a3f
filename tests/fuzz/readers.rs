//! One function per reader of files that strangers write: the bytes go into a file of a fresh
//! folder and through the library as a program would read it. Whatever the bytes are, the answer is
//! a value or an error that names the file; a panic, an abort, a hang or runaway memory is a
//! finding.
//!
//! The fuzz targets call these functions, and so does the test that replays what was once found.

use std::fs;
use std::path::Path;

use flue_study::artifact::npy;
use flue_study::corpus::{Corpus, ReadOptions, Source};
use flue_study::dataset::DatasetDict;
use flue_study::device;
use flue_study::error::{Error, Result};
use flue_study::hub::{Hub, HubOptions};
use flue_study::models::{Config, Input, SequenceClassifier, checkpoint::load_classifier};
use flue_study::tokenization::{TokenizerOptions, from_pretrained};
use tempfile::TempDir;

/// A reader by its name, which is that of its fuzz target and of its folders of seeds and findings.
pub type Reader = fn(&[u8]) -> Result<()>;

/// All of them.
pub const READERS: &[(&str, Reader)] = &[
    ("archive", archive),
    ("arrow", arrow),
    ("config", config),
    ("dataset_folder", dataset_folder),
    ("flaubert", flaubert),
    ("npy", npy_arrays),
    ("parquet", parquet),
    ("pickle", pickle),
    ("review", review),
    ("safetensors", safetensors),
    ("sentencepiece", sentencepiece),
    ("shard_index", shard_index),
    ("table", table),
    ("tokenizer_json", tokenizer_json),
];

/// A file of the fixtures, compiled in.
macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!("../fixtures/", $path)).as_slice()
    };
}

/// A fresh folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// An error about a file says which.
fn named<T>(folder: &TempDir, result: Result<T>) -> Result<T> {
    result.inspect_err(|e| {
        let message = e.to_string();
        let path = folder.path().to_string_lossy();
        assert!(message.contains(&*path), "no file is named: {message}");
        assert!(!message.contains('\n'), "more than one line: {message}");
    })
}

/// Up to `N` parts of an input, cut at zero bytes; absent ones are empty.
fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut parts = bytes.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Load the classifier of a folder.
fn classifier(folder: &Path) -> Result<Box<dyn SequenceClassifier>> {
    let config = Config::read(folder)?;
    Ok(load_classifier(folder, config, &device::select(Some("cpu"))?, 1)?.0)
}

/// `pytorch_model.bin`.
pub fn pickle(bytes: &[u8]) -> Result<()> {
    let config = fixture!("models/roberta-relu-bin/config.json");
    let folder = folder(&[("config.json", config), ("pytorch_model.bin", bytes)]);
    named(&folder, classifier(folder.path())).map(drop)
}

/// `model.safetensors`.
pub fn safetensors(bytes: &[u8]) -> Result<()> {
    let config = fixture!("models/camembert/config.json");
    let folder = folder(&[("config.json", config), ("model.safetensors", bytes)]);
    named(&folder, classifier(folder.path())).map(drop)
}

/// `model.safetensors.index.json`.
pub fn shard_index(bytes: &[u8]) -> Result<()> {
    let folder = folder(&[
        ("model.safetensors.index.json", bytes),
        (
            "config.json",
            fixture!("models/flaubert-pre-norm-sharded/config.json"),
        ),
        (
            "model-00001-of-00003.safetensors",
            fixture!("models/flaubert-pre-norm-sharded/model-00001-of-00003.safetensors"),
        ),
        (
            "model-00002-of-00003.safetensors",
            fixture!("models/flaubert-pre-norm-sharded/model-00002-of-00003.safetensors"),
        ),
        (
            "model-00003-of-00003.safetensors",
            fixture!("models/flaubert-pre-norm-sharded/model-00003-of-00003.safetensors"),
        ),
    ]);
    named(&folder, classifier(folder.path())).map(drop)
}

/// `config.json`, with the weights that its first bytes speak of; a model that loads also runs.
pub fn config(bytes: &[u8]) -> Result<()> {
    let flaubert = bytes.windows(8).any(|window| window == b"flaubert");
    let weights = match flaubert {
        true => fixture!("models/flaubert/model.safetensors"),
        false => fixture!("models/camembert/model.safetensors"),
    };
    let folder = folder(&[("config.json", bytes), ("model.safetensors", weights)]);
    let model = named(&folder, classifier(folder.path()))?;
    let input = Input {
        ids: &[0, 5, 2, 0, 2],
        columns: &[0, 1, 2, 0, 1],
        token_type_ids: None,
        bounds: &[0, 3, 5],
    };
    // A model with few positions or tokens refuses the input, without a file to blame.
    match model.logits(&input) {
        Ok(_) | Err(Error::Mismatch(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

/// The rows of a split, each looked at.
fn rows(folder: &Path) -> Result<()> {
    let split = DatasetDict::open(folder)?.split("train")?;
    for row in split.iter() {
        let row = row?;
        std::hint::black_box((row.tokens(), row.text.len(), row.label));
    }
    Ok(())
}

const DATASET_DICT: &[u8] = br#"{"splits": ["train"]}"#;

/// `data-*.arrow`, and the list of row numbers beside it.
pub fn arrow(bytes: &[u8]) -> Result<()> {
    let data = folder(&[
        ("dataset_dict.json", DATASET_DICT),
        (
            "train/state.json",
            br#"{"_data_files": [{"filename": "data.arrow"}]}"#,
        ),
        ("train/data.arrow", bytes),
    ]);
    let read = named(&data, rows(data.path()));
    let indices = folder(&[
        ("dataset_dict.json", DATASET_DICT),
        (
            "train/state.json",
            br#"{"_data_files": [{"filename": "data.arrow"}], "_indices_data_files": [{"filename": "i.arrow"}]}"#,
        ),
        (
            "train/data.arrow",
            fixture!("prepare/datasets-5.0.1/test/data-00000-of-00001.arrow"),
        ),
        ("train/i.arrow", bytes),
    ]);
    read.or(named(&indices, rows(indices.path())))
}

/// `dataset_dict.json`, `state.json` and `dataset_info.json`, with a zero byte between them.
pub fn dataset_folder(bytes: &[u8]) -> Result<()> {
    let [dict, state, info] = parts(bytes);
    let data = fixture!("prepare/datasets-5.0.1/test/data-00000-of-00001.arrow");
    let folder = folder(&[
        ("dataset_dict.json", dict),
        ("train/state.json", state),
        ("train/dataset_info.json", info),
        ("train/data-00000-of-00001.arrow", data),
        (
            "train/indices.arrow",
            include_bytes!("seeds/arrow/indices.arrow"),
        ),
    ]);
    named(&folder, rows(folder.path()))
}

/// The reviews of every split of a corpus.
fn reviews(path: &Path) -> Result<()> {
    let hub = Hub::new(HubOptions::default());
    let corpus = Corpus::open(
        &Source::Path(path.to_path_buf()),
        &hub,
        &ReadOptions::default(),
    )?;
    for split in corpus.split_names() {
        std::hint::black_box(corpus.known_rows(split));
        for review in corpus.reviews(split) {
            review?;
        }
    }
    Ok(())
}

/// A table of reviews in Parquet, and a prepared split in Parquet.
pub fn parquet(bytes: &[u8]) -> Result<()> {
    let corpus = folder(&[("t.parquet", bytes)]);
    let read = named(&corpus, reviews(&corpus.path().join("t.parquet")));
    let dataset = folder(&[("train/data-00000-of-00001.parquet", bytes)]);
    read.or(named(&dataset, rows(dataset.path())))
}

/// `.npy` arrays, one after another.
pub fn npy_arrays(bytes: &[u8]) -> Result<()> {
    let folder = folder(&[("a.npy", bytes)]);
    for array in named(&folder, npy::read_arrays(&folder.path().join("a.npy")))? {
        std::hint::black_box((array.clone().into_matrix(), array.into_integers()));
    }
    Ok(())
}

/// Open a tokenizer and encode `text` in every way, which keeps what was promised about lengths and
/// places.
fn encode(folder: &TempDir, text: &str) -> Result<()> {
    let options = TokenizerOptions::default();
    let tokenizer = named(folder, from_pretrained(folder.path(), &options))?;
    let whole = tokenizer.encode(text, None)?;
    tokenizer.encode_batch(&[text, "Un très bon livre !"], Some(8))?;
    let aligned = tokenizer.encode_aligned(text, None)?;
    assert_eq!(aligned.offsets.len(), aligned.encoding.ids.len());
    for offset in &aligned.offsets {
        assert!(text.get(offset.bytes.clone()).is_some(), "{offset:?}");
    }
    std::hint::black_box((whole, tokenizer.vocab_size(), tokenizer.pad_token_id()));
    Ok(())
}

/// `vocab.json`, `merges.txt`, `tokenizer_config.json` and a text, with zero bytes between them.
pub fn flaubert(bytes: &[u8]) -> Result<()> {
    let [vocab, merges, config, text] = parts(bytes);
    let mut files = vec![("vocab.json", vocab), ("merges.txt", merges)];
    if !config.is_empty() {
        files.push(("tokenizer_config.json", config));
    }
    encode(&folder(&files), &String::from_utf8_lossy(text))
}

/// `tokenizer.json`, `tokenizer_config.json` and a text, with zero bytes between them.
pub fn tokenizer_json(bytes: &[u8]) -> Result<()> {
    let [json, config, text] = parts(bytes);
    let mut files = vec![("tokenizer.json", json)];
    if !config.is_empty() {
        files.push(("tokenizer_config.json", config));
    }
    encode(&folder(&files), &String::from_utf8_lossy(text))
}

/// `sentencepiece.bpe.model`.
pub fn sentencepiece(bytes: &[u8]) -> Result<()> {
    let folder = folder(&[("sentencepiece.bpe.model", bytes)]);
    encode(&folder, "L’été,  un <mask> œuvre\u{301} </s> !")
}

const GOOD_REVIEW: &[u8] =
    b"<?xml?>\n<item><rating>5.0</rating><url>u</url><text>x</text><title></item>\n";

/// The tree of Webis CLS-10 with this `fr/dvd/test.review`.
pub fn review(bytes: &[u8]) -> Result<()> {
    let folder = folder(&[
        ("fr/books/train.review", GOOD_REVIEW),
        ("fr/books/test.review", GOOD_REVIEW),
        ("fr/dvd/train.review", GOOD_REVIEW),
        ("fr/dvd/test.review", bytes),
        ("fr/music/train.review", GOOD_REVIEW),
        ("fr/music/test.review", GOOD_REVIEW),
    ]);
    named(&folder, reviews(folder.path()))
}

/// A table of reviews: CSV, TSV or JSON lines after a first byte `c`, `t` or `j`.
pub fn table(bytes: &[u8]) -> Result<()> {
    let name = match bytes.first() {
        Some(b't') => "t.tsv",
        Some(b'j') => "t.jsonl",
        _ => "t.csv",
    };
    let folder = folder(&[(name, bytes.get(1..).unwrap_or_default())]);
    named(&folder, reviews(&folder.path().join(name)))
}

/// The archive of Webis CLS-10, compressed or not.
pub fn archive(bytes: &[u8]) -> Result<()> {
    let name = match bytes {
        [0x1F, 0x8B, ..] => "cls.tar.gz",
        _ => "cls.tar",
    };
    let folder = folder(&[(name, bytes)]);
    named(&folder, reviews(&folder.path().join(name)))
}
