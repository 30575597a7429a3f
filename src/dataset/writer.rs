//! Writing a `DatasetDict` as a stream: rows go to disk batch by batch, files are closed at a size,
//! and the folder is complete when the writer is finished.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::columns::{self, Columns};
use super::rows::Rows;
use crate::artifact::features::METADATA_KEY;
use crate::error::{Error, Result};
use crate::files::Digest;

/// The size at which `datasets` starts another file.
pub const DEFAULT_SHARD_BYTES: u64 = 500_000_000;
/// Rows of a Parquet row group; bounds the memory of writing and of reading one.
const ROW_GROUP_ROWS: usize = 10_000;

/// The format of the files of a split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Arrow IPC streams with the JSON files around them: what `load_from_disk` reads.
    #[default]
    Arrow,
    /// Parquet with zstd and dictionaries, without other files: what pandas, Polars and DuckDB
    /// read.
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Arrow => "arrow",
            Format::Parquet => "parquet",
        }
    }
}

/// How a dataset is written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The format of the files.
    pub format: Format,
    /// Start another file before one passes this many bytes.
    pub max_shard_bytes: u64,
    /// The columns that not every dataset has.
    pub columns: Columns,
    /// The names of the classes.
    pub class_names: Vec<String>,
    /// Whether the rows are laid out as those of FLUE CLS: books, then DVDs, then music, each
    /// numbered from 1.
    pub is_flue: bool,
}

impl WriteOptions {
    /// What `datasets` keeps of a split.
    fn info(&self) -> Value {
        let mut info = json!({"features": columns::features_of(self.columns, &self.class_names)});
        if self.is_flue {
            columns::mark_as_flue(&mut info);
        }
        info
    }
}

/// Writes the splits of a dataset into a folder, one after another.
pub struct DatasetDictWriter {
    root: PathBuf,
    options: WriteOptions,
    schema: SchemaRef,
    splits: Vec<String>,
}

impl DatasetDictWriter {
    /// Write into the folder `root`, which exists.
    pub fn new(root: &Path, options: WriteOptions) -> Self {
        Self {
            root: root.into(),
            schema: Arc::new(columns::schema(options.columns, &options.info())),
            options,
            splits: Vec::new(),
        }
    }

    /// Begin a split.
    ///
    /// # Errors
    /// [`Error::Io`] when its folder cannot be made.
    pub fn split(&mut self, name: &str) -> Result<SplitWriter> {
        let folder = self.root.join(name);
        fs::create_dir(&folder).map_err(Error::io(&folder, "create the folder"))?;
        self.splits.push(name.into());
        Ok(SplitWriter {
            name: name.into(),
            folder,
            options: self.options.clone(),
            schema: self.schema.clone(),
            output: None,
            output_bytes: 0,
            files: 0,
            rows: 0,
            hash: Digest::default(),
        })
    }

    /// Write what makes the folder a `DatasetDict`. Call it after every split was finished.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        match self.options.format {
            Format::Arrow => {
                // As Python's json writes it, with a space after each comma.
                let names: Vec<String> = self.splits.iter().map(|n| json!(n).to_string()).collect();
                let text = format!("{{\"splits\": [{}]}}", names.join(", "));
                let path = self.root.join("dataset_dict.json");
                fs::write(&path, text).map_err(Error::io(&path, "write"))
            }
            Format::Parquet => Ok(()),
        }
    }
}

/// The file that is being written.
enum Output {
    Arrow(Box<StreamWriter<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<BufWriter<File>>>),
}

/// Writes the rows of one split.
pub struct SplitWriter {
    name: String,
    folder: PathBuf,
    options: WriteOptions,
    schema: SchemaRef,
    output: Option<Output>,
    /// Bytes of rows in the current file.
    output_bytes: u64,
    /// Files begun.
    files: usize,
    rows: u64,
    hash: Digest,
}

impl SplitWriter {
    /// Append rows: one record batch, or several where a file is full.
    ///
    /// # Errors
    /// [`Error::Io`], on a full disk for instance.
    pub fn write(&mut self, rows: Rows) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let (count, bytes) = (rows.len(), rows.bytes());
        self.rows += count as u64;
        rows.digest(&mut self.hash);
        let batch = rows
            .into_batch(self.schema.clone())
            .map_err(Error::compute("a batch of rows"))?;
        let per_row = (bytes / count as u64).max(1);
        let mut done = 0;
        while done < count {
            let room = self
                .options
                .max_shard_bytes
                .saturating_sub(self.output_bytes);
            let mut fit = (room / per_row).min((count - done) as u64) as usize;
            if fit == 0 && self.output_bytes > 0 {
                self.close()?;
                continue;
            }
            fit = fit.max(1);
            self.append(&batch.slice(done, fit))?;
            self.output_bytes += per_row * fit as u64;
            done += fit;
        }
        Ok(())
    }

    /// Close the last file, give all files their final names and write the JSON files of the split.
    /// Returns the number of files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<usize> {
        if self.files == 0 {
            // A split without rows is one file with a schema.
            self.output = Some(self.begin()?);
        }
        self.close()?;
        let extension = self.options.format.extension();
        let mut names = Vec::with_capacity(self.files);
        for number in 0..self.files {
            let from = self.unfinished(number);
            let name = format!("data-{number:05}-of-{:05}.{extension}", self.files);
            let to = self.folder.join(&name);
            fs::rename(&from, &to).map_err(Error::io(&to, "rename"))?;
            names.push(name);
        }
        if self.options.format == Format::Arrow {
            self.write_json("dataset_info.json", &self.info())?;
            self.write_json("state.json", &self.state(&names))?;
        }
        Ok(self.files)
    }

    /// The name of a file while the number of files is not known.
    fn unfinished(&self, number: usize) -> PathBuf {
        self.folder.join(format!("data-{number:05}.part"))
    }

    fn begin(&mut self) -> Result<Output> {
        let path = self.unfinished(self.files);
        let file = File::create(&path).map_err(Error::io(&path, "create"))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        self.files += 1;
        self.output_bytes = 0;
        Ok(match self.options.format {
            Format::Arrow => {
                let writer = StreamWriter::try_new(file, &self.schema);
                Output::Arrow(Box::new(writer.map_err(|e| failed(&path, e))?))
            }
            Format::Parquet => {
                let writer =
                    ArrowWriter::try_new(file, self.schema.clone(), Some(self.properties()))
                        .map_err(|e| failed(&path, e))?;
                Output::Parquet(Box::new(writer))
            }
        })
    }

    fn properties(&self) -> WriterProperties {
        let metadata = self.schema.metadata().get(METADATA_KEY);
        let pair = |value: &str| KeyValue::new(METADATA_KEY.into(), value.to_string());
        WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_enabled(true)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_key_value_metadata(metadata.map(|value| vec![pair(value)]))
            .build()
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut output = match self.output.take() {
            Some(output) => output,
            None => self.begin()?,
        };
        let path = self.unfinished(self.files - 1);
        match &mut output {
            Output::Arrow(writer) => writer.write(batch).map_err(|e| failed(&path, e))?,
            Output::Parquet(writer) => writer.write(batch).map_err(|e| failed(&path, e))?,
        }
        self.output = Some(output);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(output) = self.output.take() else {
            return Ok(());
        };
        let begun = self.files.checked_sub(1);
        let path = self.unfinished(begun.expect("an output is a file that was begun"));
        let mut file = match output {
            Output::Arrow(writer) => writer.into_inner().map_err(|e| failed(&path, e))?,
            Output::Parquet(writer) => writer.into_inner().map_err(|e| failed(&path, e))?,
        };
        file.flush().map_err(Error::io(&path, "write"))?;
        file.get_ref()
            .sync_all()
            .map_err(Error::io(&path, "write"))?;
        self.output_bytes = 0;
        Ok(())
    }

    fn write_json(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.folder.join(name);
        let text = format!("{value:#}");
        fs::write(&path, text).map_err(Error::io(&path, "write"))
    }

    fn info(&self) -> Value {
        let mut info = self.options.info();
        for key in ["citation", "description", "homepage", "license"] {
            info[key] = "".into();
        }
        info
    }

    fn state(&self, names: &[String]) -> Value {
        let files: Vec<Value> = names.iter().map(|n| json!({"filename": n})).collect();
        json!({
            "_data_files": files,
            "_fingerprint": self.fingerprint(),
            "_format_columns": columns::column_names(self.options.columns),
            "_format_kwargs": {},
            "_format_type": null,
            "_output_all_columns": false,
            "_split": self.name,
        })
    }

    /// 16 hexadecimal digits that depend on every row: `datasets` keys its cache with them.
    fn fingerprint(&self) -> String {
        self.hash.clone().hexadecimal()[..16].to_owned()
    }
}

/// What Arrow or Parquet says about a failed write; the cause is nearly always the disk.
fn failed(path: &Path, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Io {
        path: path.into(),
        action: "write",
        source: std::io::Error::other(e),
    }
}
