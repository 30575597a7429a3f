//! What a run was made from: a file exchanged between two runs is never taken for the one that was
//! read before.
//!
//! The other file has the size and the time of the old one, so that nothing but its content tells.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use candle_core::Device;
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::common::Workspace;

mod chunks;
mod manifests;
mod pipeline;
mod reviews;
mod training;

/// A file and what stood in it.
struct Exchanged {
    path: PathBuf,
    old: Vec<u8>,
}

impl Exchanged {
    /// Put another content of the same size and time in the place of a file, one that its readers
    /// take.
    fn new(path: &Path) -> Self {
        let old = fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "indices.arrow" {
            keeping_time(path, || write_indices(path, true));
        } else {
            let new = other(name, &old);
            keeping_time(path, || fs::write(path, &new).unwrap());
        }
        let new = fs::read(path).unwrap();
        assert!(new.len() == old.len() && new != old, "{name}");
        Self {
            path: path.into(),
            old,
        }
    }

    fn restore(self) {
        keeping_time(&self.path, || fs::write(&self.path, &self.old).unwrap());
    }
}

fn keeping_time(path: &Path, change: impl FnOnce()) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    change();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

/// Another content of the same length that is as good as the old one.
fn other(name: &str, old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    let find = |pattern: &[u8]| old.windows(pattern.len()).position(|w| w == pattern);
    let ending = name.rsplit('.').next().unwrap();
    match ending {
        "json" => new[find(b"\": ").unwrap() + 2] = b'\t',
        "safetensors" => new[old.len() - 4] ^= 1,
        "bin" => new[old.len() / 2] ^= 1,
        // The score of a piece.
        "model" => new[find(b"\x15").unwrap() + 1] ^= 1,
        "txt" => {
            let mut lines: Vec<&[u8]> = old.split(|b| *b == b'\n').collect();
            lines.swap(0, 1);
            new = lines.join(&b'\n');
        }
        _ => new[find(b"avis").unwrap() + 1] = b'b',
    }
    new
}

/// The rows of a split of 12 in reverse, or in another order.
fn write_indices(path: &Path, other: bool) {
    let mut order: Vec<u64> = (0..12).rev().collect();
    if other {
        order.swap(0, 1);
    }
    let schema = Arc::new(Schema::new(vec![Field::new(
        "indices",
        DataType::UInt64,
        false,
    )]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(UInt64Array::from(order))]);
    let mut writer = StreamWriter::try_new(File::create(path).unwrap(), &schema).unwrap();
    writer.write(&batch.unwrap()).unwrap();
    writer.finish().unwrap();
}

/// Twelve reviews a split in `rows`, as CSV.
fn reviews() -> Workspace {
    let w = Workspace::new();
    fs::create_dir(w.path("rows")).unwrap();
    for split in ["train", "test"] {
        fs::write(w.path(&format!("rows/{split}.csv")), table(',', 12)).unwrap();
    }
    w
}

/// A table of reviews.
fn table(delimiter: char, rows: usize) -> String {
    let row = |i: usize| {
        format!(
            "avis {i} vraiment {}{delimiter}{}\n",
            ["nul", "bon"][i % 2],
            i % 2
        )
    };
    let rows: String = (0..rows).map(row).collect();
    format!("text{delimiter}label\n{rows}")
}

/// Copy a checkpoint that the package brings along to the folder `to`.
fn copy(w: &Workspace, from: &str, to: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
    fs::create_dir_all(w.path(to)).unwrap();
    for entry in fs::read_dir(here).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.to_string_lossy().contains("expected-") {
            fs::copy(&path, w.path(to).join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Two shards and an index in the place of a checkpoint's `model.safetensors`.
fn cut(w: &Workspace, folder: &str) {
    let whole = w.path(folder).join("model.safetensors");
    let tensors = candle_core::safetensors::load(&whole, &Device::Cpu).unwrap();
    let mut parts = [HashMap::new(), HashMap::new()];
    let mut map = serde_json::Map::new();
    for (i, (name, tensor)) in tensors.into_iter().enumerate() {
        map.insert(name.clone(), shard(i % 2).into());
        parts[i % 2].insert(name, tensor);
    }
    for (i, part) in parts.iter().enumerate() {
        candle_core::safetensors::save(part, w.path(folder).join(shard(i))).unwrap();
    }
    let index = serde_json::to_string_pretty(&serde_json::json!({"weight_map": map})).unwrap();
    let path = w.path(folder).join("model.safetensors.index.json");
    fs::write(path, index).unwrap();
    fs::remove_file(whole).unwrap();
}

fn shard(i: usize) -> String {
    format!("model-0000{}-of-00002.safetensors", i + 1)
}

/// The Arrow files of a dataset as Parquet, not compressed, so that a text can be changed in place.
fn as_parquet(w: &Workspace, from: &str, to: &str) {
    for split in ["train", "test"] {
        let folder = w.path(to).join(split);
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(w.path(from).join(split)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("data-") {
                let reader = StreamReader::try_new(File::open(&path).unwrap(), None).unwrap();
                let name = name.replace(".arrow", ".parquet");
                let file = File::create(folder.join(name)).unwrap();
                let mut writer = ArrowWriter::try_new(file, reader.schema(), None).unwrap();
                for batch in reader {
                    writer.write(&batch.unwrap()).unwrap();
                }
                writer.close().unwrap();
            }
        }
    }
}

/// Let a split of a dataset be read in the order of a list, as releases before 1.6 saved shuffled
/// ones.
fn shuffle(w: &Workspace, split: &str) {
    let folder = w.path(split);
    write_indices(&folder.join("indices.arrow"), false);
    let path = folder.join("state.json");
    let mut state: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    state["_indices_data_files"] = serde_json::json!([{"filename": "indices.arrow"}]);
    fs::write(path, serde_json::to_string_pretty(&state).unwrap()).unwrap();
}

/// With each of `files` exchanged in turn, `line` fails with `words` and the name that the file has
/// in manifests; with all of them as they were it goes on. A file is a path, or a name and a path.
fn refused_for_each(w: &Workspace, line: &str, words: &str, files: &[(&str, &str)]) {
    for (name, path) in files {
        let exchanged = Exchanged::new(&w.path(path));
        w.fails(line, 1, &[&format!("{words} another content of {name}:")]);
        exchanged.restore();
    }
    w.run(line);
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
