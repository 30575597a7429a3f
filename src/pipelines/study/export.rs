//! `study export`: the tables of all runs, one Parquet file for each kind of table, for notebooks.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use crate::artifact::{Inputs, Manifest};
use crate::dataset::read_table;
use crate::error::{Error, Result};
use crate::files::{AtomicDir, presence, visible};
use crate::pipelines::{Same, keep_inputs};

/// What `study export` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The folder in which each study left its own.
    pub(crate) results: PathBuf,
    /// The folder that receives the files.
    pub(crate) out: PathBuf,
    /// Replace an output that exists.
    #[serde(skip)]
    pub(crate) overwrite: bool,
}

/// What was exported.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The folder of the files.
    pub(crate) out: PathBuf,
    /// Rows by file.
    pub(crate) tables: BTreeMap<String, u64>,
}

/// A table of one run.
struct Source {
    run: String,
    path: PathBuf,
}

/// Gather the Parquet tables of all studies: the tables of one kind (`layers_cosine`,
/// `cls_treillis`, ...) below each other in one file, with a first column `run` that holds the name
/// of the folder they come from.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::NotFound`] when no study left a table,
/// [`Error::Mismatch`] when two runs have different columns, [`Error::Malformed`] for a broken
/// table or manifest.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    keep_inputs(&config.out, [&config.results], Same::Refused)?;
    let sources = find(&config.results)?;
    let tables = sources.values().flatten().map(|source| &source.path);
    keep_inputs(&config.out, tables, Same::Refused)?;
    if sources.is_empty() {
        return Err(Error::NotFound {
            what: format!("tables of a study in {}", config.results.display()),
            remedy: "run a study first, or name the folder of its results".into(),
        });
    }
    let out = AtomicDir::create(&config.out, config.overwrite)?;
    let mut inputs = Inputs::default();
    for Source { path, .. } in sources.values().flatten() {
        inputs.add(path.display().to_string(), path.clone());
    }
    let manifest = super::manifest("export", config, &inputs)?;
    let mut tables = BTreeMap::new();
    for (name, parts) in sources {
        let rows = gather(&out.path().join(format!("{name}.parquet")), &parts)?;
        tables.insert(name, rows);
    }
    super::leave(out, &manifest)?;
    Ok(Summary {
        out: config.out.clone(),
        tables,
    })
}

/// The tables of all folders, by study and name of the table.
fn find(results: &Path) -> Result<BTreeMap<String, Vec<Source>>> {
    let mut found: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for folder in visible(results)? {
        let run = folder.file_name().expect("what a folder holds has a name");
        let run = run.to_string_lossy().into_owned();
        let manifest = folder.join("manifest.json");
        // A folder without one is no study's; one that cannot be read must not leave its study out.
        if !presence::is_dir(&folder)? || !presence::is_taken(&manifest)? {
            continue;
        }
        let manifest = Manifest::read(&manifest)?;
        let Some(study) = manifest.program.strip_prefix("study ") else {
            continue;
        };
        if study == "export" {
            continue;
        }
        for path in visible(&folder)? {
            if path.extension().is_some_and(|e| e == "parquet") {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                found
                    .entry(format!("{study}_{stem}"))
                    .or_default()
                    .push(Source {
                        run: run.clone(),
                        path: path.clone(),
                    });
            }
        }
    }
    Ok(found)
}

/// Write the tables below each other; the number of rows.
fn gather(target: &Path, parts: &[Source]) -> Result<u64> {
    let mut writer: Option<(Arc<Schema>, ArrowWriter<File>)> = None;
    let mut rows = 0;
    for part in parts {
        let (schema, batches) = read_table(&part.path)?;
        let schema = with_run(&schema);
        if writer.is_none() {
            writer = Some((schema.clone(), create(target, schema.clone())?));
        }
        let Some((expected, out)) = &mut writer else {
            continue;
        };
        if expected.fields() != schema.fields() {
            return Err(Error::Mismatch(format!(
                "{}: other columns than in the same table of {}: they were made by different versions",
                part.path.display(),
                parts[0].run
            )));
        }
        for batch in batches {
            let (_, batch) = batch?;
            rows += batch.num_rows() as u64;
            let names = StringArray::from(vec![part.run.as_str(); batch.num_rows()]);
            let mut columns: Vec<ArrayRef> = vec![Arc::new(names)];
            columns.extend(batch.columns().iter().cloned());
            let batch = RecordBatch::try_new(schema.clone(), columns)
                .map_err(Error::compute(target.display()))?;
            out.write(&batch)
                .map_err(Error::compute(target.display()))?;
        }
    }
    if let Some((_, out)) = writer {
        out.close().map_err(Error::compute(target.display()))?;
    }
    Ok(rows)
}

fn with_run(schema: &Schema) -> Arc<Schema> {
    let mut fields = vec![Arc::new(Field::new("run", DataType::Utf8, false))];
    fields.extend(schema.fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

fn create(target: &Path, schema: Arc<Schema>) -> Result<ArrowWriter<File>> {
    let file = File::create(target).map_err(Error::io(target, "create"))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    ArrowWriter::try_new(file, schema, Some(properties)).map_err(Error::compute(target.display()))
}
