//! The folder of a `DatasetDict`: which splits it has and which files hold them.

use std::collections::HashSet;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use serde_json::Value;

use super::ipc::StreamFile;
use super::split::{LabelNames, Split};
use super::{columns, convert};
use crate::artifact::features::declared;
use crate::error::{Error, Result};
use crate::files::{entries, presence, read_json};

/// A dataset on disk: its splits are opened when they are asked for.
#[derive(Debug, Clone)]
pub struct DatasetDict {
    path: PathBuf,
    split_names: Vec<String>,
    /// Whether the folder is that of a single `Dataset`, the files of which lie in it and not in a
    /// folder for each split.
    single: bool,
}

impl DatasetDict {
    /// Look at the folder `path`: one that `DatasetDict.save_to_disk` wrote, or one with Parquet
    /// files by split.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such folder, [`Error::Malformed`] when it is not a
    /// `DatasetDict`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        if !path.exists() {
            return Err(Error::NotFound {
                what: format!("dataset {}", path.display()),
                remedy: "make it with flue-cls-prepare, or name an existing folder".into(),
            });
        }
        let index = path.join("dataset_dict.json");
        let single = !index.is_file() && path.join("state.json").is_file();
        let split_names = if index.is_file() {
            declared_splits(&index)?
        } else if single {
            vec![single_split(&path.join("state.json"))?]
        } else {
            parquet_splits(&path)?
        };
        Ok(Self {
            path,
            split_names,
            single,
        })
    }

    /// Whether `path` looks like the folder of a `DatasetDict` or of a single `Dataset`, so that
    /// opening it is worth while.
    pub(crate) fn is_at(path: &Path) -> bool {
        let has = |name: &str| path.join(name).is_file();
        has("dataset_dict.json") || has("train/state.json") || has("state.json")
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the splits, in the order of the folder.
    pub fn split_names(&self) -> &[String] {
        &self.split_names
    }

    /// The folder of a split.
    fn folder(&self, split: &str) -> PathBuf {
        match self.single {
            true => self.path.clone(),
            false => self.path.join(split),
        }
    }

    /// The files from which `splits` are read, each once: the JSON that says which rows there are
    /// and what their columns mean, the data, and the list of rows of a shuffled or selected
    /// dataset.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be read, [`Error::Malformed`] for a `state.json`
    /// without names of files.
    pub(crate) fn files<S: AsRef<str>>(&self, splits: &[S]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut add_when_there = |path: PathBuf| -> Result<()> {
            if presence::is_taken(&path)? {
                files.push(path);
            }
            Ok(())
        };
        add_when_there(self.path.join("dataset_dict.json"))?;
        for name in splits {
            let folder = self.folder(name.as_ref());
            let state_path = folder.join("state.json");
            if !state_path.is_file() {
                parquet_files(&folder)?
                    .into_iter()
                    .try_for_each(&mut add_when_there)?;
                continue;
            }
            add_when_there(folder.join("dataset_info.json"))?;
            let state: Value = read_json(&state_path, "JSON")?;
            for key in ["_data_files", "_indices_data_files"] {
                listed_files(&state_path, &state, key)?
                    .into_iter()
                    .try_for_each(&mut add_when_there)?;
            }
            add_when_there(state_path)?;
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// Open a split of tokenized reviews.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such split; [`Error::Malformed`] with the file and the
    /// place when a file is missing, cut short, damaged, or lacks `label` or `input_ids`.
    pub fn split(&self, name: &str) -> Result<Split> {
        self.open_split(name, &["label", "input_ids"])
    }

    /// Open a split of plain reviews: it must have `text` and `label`, token ids or not.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub(crate) fn text_split(&self, name: &str) -> Result<Split> {
        self.open_split(name, &["text", "label"])
    }

    fn open_split(&self, name: &str, required: &[&str]) -> Result<Split> {
        if !self.split_names.iter().any(|n| n == name) {
            let has = self.split_names.join(", ");
            return Err(Error::NotFound {
                what: format!("split {name} of {}", self.path.display()),
                remedy: match self.single {
                    true => format!(
                        "it is a single Dataset, read as the split {has}: save a DatasetDict of the \
                         splits"
                    ),
                    false => format!("it has {has}"),
                },
            });
        }
        let folder = self.folder(name);
        let split = if folder.join("state.json").is_file() {
            open_arrow(name, &folder)?
        } else {
            open_parquet(name, &folder)?
        };
        match required.iter().find(|column| !split.has(column)) {
            None => Ok(split),
            Some(column) => Err(Error::malformed(
                folder,
                "the schema",
                format!("no column `{column}`"),
                format!(
                    "columns {}: prepare it with flue-cls-prepare",
                    required.join(" and ")
                ),
            )),
        }
    }
}

/// The names in `dataset_dict.json`, which is `{"splits": [...]}`.
fn declared_splits(index: &Path) -> Result<Vec<String>> {
    let expected = r#"{"splits": ["train", "test"]}, as `DatasetDict.save_to_disk` writes it"#;
    let names = read_json::<Value>(index, "JSON")?
        .get("splits")
        .and_then(Value::as_array)
        .map(|names| names.iter().map(|n| n.as_str().map(str::to_string)))
        .and_then(Iterator::collect::<Option<Vec<String>>>)
        .unwrap_or_default();
    if names.is_empty() || !names.iter().all(|name| is_entry(name)) {
        return Err(Error::malformed(index, "", "no names of splits", expected));
    }
    // A file of a few kilobytes could name one split, or one file of a split, a million times.
    match repeated(&names) {
        Some(name) => {
            let found = format!("split {name:?} twice");
            Err(Error::malformed(index, "", found, expected))
        }
        None => Ok(names),
    }
}

/// The name of the one split of a `Dataset` folder: that which its state notes, else `train`, as
/// `load_dataset` calls data without splits.
fn single_split(state: &Path) -> Result<String> {
    let name = read_json::<Value>(state, "JSON")?
        .get("_split")
        .and_then(Value::as_str)
        .map(str::to_string);
    let name = name.filter(|name| is_entry(name));
    Ok(name.unwrap_or_else(|| "train".into()))
}

/// Whether a name is that of something inside the folder it is joined to.
fn is_entry(name: &str) -> bool {
    !["", ".", ".."].contains(&name) && !name.contains(['/', '\\'])
}

/// The first name that has come before.
fn repeated<T: Eq + Hash>(names: &[T]) -> Option<&T> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// The folders in `path` that hold Parquet files, `train` first and `test` second.
fn parquet_splits(path: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if path.is_dir() {
        for folder in entries(path)? {
            if folder.is_dir() && !parquet_files(&folder)?.is_empty() {
                let name = folder.file_name().expect("what a folder holds has a name");
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    let rank = |name: &String| match name.as_str() {
        "train" => 0,
        "test" => 1,
        _ => 2,
    };
    names.sort_by_key(|name| (rank(name), name.clone()));
    if names.is_empty() {
        let expected = "a folder that `DatasetDict.save_to_disk` or flue-cls-prepare wrote";
        return Err(Error::malformed(path, "", "no dataset_dict.json", expected));
    }
    Ok(names)
}

fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = entries(folder)?;
    files.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    Ok(files)
}

/// The files that `state.json` lists under `key`, which must be plain names.
fn listed_files(state_path: &Path, state: &Value, key: &str) -> Result<Vec<PathBuf>> {
    let bad = |found: String| {
        let expected = r#"[{"filename": "data-00000-of-00001.arrow"}], each file once"#;
        Error::malformed(state_path, format!("key `{key}`"), found, expected)
    };
    let no_names = || bad("no file names".into());
    let Some(list) = state.get(key) else {
        return Ok(Vec::new());
    };
    let folder = state_path.parent().unwrap_or(Path::new(""));
    let list = list.as_array().ok_or_else(no_names)?;
    let paths = list.iter().map(|file| {
        let name = file.get("filename").and_then(Value::as_str);
        let name = name.filter(|name| is_entry(name));
        name.map(|n| folder.join(n)).ok_or_else(no_names)
    });
    let paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    match repeated(&paths) {
        Some(path) => {
            let name = path.file_name().unwrap_or_default();
            Err(bad(format!("{} twice", name.display())))
        }
        None => Ok(paths),
    }
}

fn open_arrow(name: &str, folder: &Path) -> Result<Split> {
    let state_path = folder.join("state.json");
    let state: Value = read_json(&state_path, "JSON")?;
    let paths = listed_files(&state_path, &state, "_data_files")?;
    if paths.is_empty() {
        let expected = "the names of the Arrow files: the folder was not written to its end";
        return Err(Error::malformed(
            &state_path,
            "key `_data_files`",
            "nothing",
            expected,
        ));
    }
    let files = paths
        .iter()
        .map(|path| open_stream(path))
        .collect::<Result<Vec<_>>>()?;
    let info_path = folder.join("dataset_info.json");
    let info = if presence::is_taken(&info_path)? {
        Some(read_json::<Value>(&info_path, "JSON")?)
    } else {
        None
    };
    let order = match listed_files(&state_path, &state, "_indices_data_files")? {
        paths if paths.is_empty() => None,
        paths => Some(read_indices(&paths)?),
    };
    let info = columns::info(&paths[0], &files[0].schema, info)?;
    let described = describe(&info_path, &info)?;
    Ok(Split::new(name, folder, files, order, described))
}

/// The names of the classes, and whether the data is FLUE CLS.
fn describe(path: &Path, info: &Value) -> Result<(LabelNames, bool)> {
    let names = declared(path, info, "label")?;
    let names = names.map_or(LabelNames::Numbers, LabelNames::Declared);
    Ok((names, columns::is_flue(info)))
}

/// Open an Arrow file, through a temporary copy when its types differ from the usual ones.
fn open_stream(path: &Path) -> Result<StreamFile> {
    let stream = StreamFile::open(path)?;
    if convert::is_native(&stream.schema) {
        return Ok(stream);
    }
    let wanted = columns::projection(&stream.schema);
    let batches = stream.batches.iter().map(|at| {
        let batch = stream.read(at, &wanted)?;
        Ok((stream.place(at), batch))
    });
    convert::rewrite(path, &stream.schema, batches)
}

/// The list of rows that releases before 1.6 saved for a shuffled or selected dataset.
fn read_indices(paths: &[PathBuf]) -> Result<Vec<u64>> {
    let mut indices = Vec::new();
    for path in paths {
        let stream = StreamFile::open(path)?;
        for at in &stream.batches {
            let batch = stream.read(at, &[0])?;
            let column = batch.column(0).as_primitive_opt::<UInt64Type>();
            let column = column.ok_or_else(|| {
                let found = batch.column(0).data_type();
                Error::malformed(path, "column 0", found, "row numbers of type UInt64")
            })?;
            indices.extend_from_slice(column.values());
        }
    }
    Ok(indices)
}

fn open_parquet(name: &str, folder: &Path) -> Result<Split> {
    let half = || {
        let expected = "state.json and the files it names: the folder was not written to its end";
        Error::malformed(folder, "", "neither state.json nor Parquet files", expected)
    };
    if !folder.is_dir() {
        return Err(half());
    }
    let paths = parquet_files(folder)?;
    let files = paths
        .iter()
        .map(|path| {
            let (schema, batches) = convert::read_parquet(path)?;
            convert::rewrite(path, &schema, batches)
        })
        .collect::<Result<Vec<_>>>()?;
    let first = files.first().ok_or_else(half)?;
    let info = columns::info(&paths[0], &first.schema, None)?;
    for (path, file) in paths.iter().zip(&files) {
        let other = columns::info(path, &file.schema, None)?;
        let names = |info: &Value| info.pointer("/features/label/names").cloned();
        if names(&other) != names(&info) {
            let list = |info: &Value| names(info).map_or("no names".into(), |n| n.to_string());
            let expected = format!("{}, as in {}", list(&info), paths[0].display());
            return Err(Error::malformed(
                path,
                "the names of `label`",
                list(&other),
                expected,
            ));
        }
    }
    let described = describe(&paths[0], &info)?;
    Ok(Split::new(name, folder, files, None, described))
}
