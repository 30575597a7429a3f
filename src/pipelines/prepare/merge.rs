//! One dataset of all its shards: row r is row r/N of shard r mod N.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use super::{Counts, PROGRAM, Summary, finished, leave};
use crate::artifact::{Fingerprints, Manifest, Shard, ShardSet, difference};
use crate::corpus::FLUE_CLASSES;
use crate::dataset::{
    Columns, DatasetDict, DatasetDictWriter, Format, Rows, Split, SplitWriter, WriteOptions,
};
use crate::error::{Error, Result, interrupt};
use crate::files::AtomicDir;
use crate::progress::Progress;

/// Rows written at a time, as when preparing without shards.
const BATCH_ROWS: usize = 1000;

/// What to merge.
#[derive(Debug, Clone)]
pub struct MergeConfig {
    /// The folder to write; its shards are in `OUT.shards`.
    pub output: PathBuf,
    /// Replace the folder when it exists.
    pub overwrite: bool,
}

/// Make one folder of all shards, which stay where they are.
///
/// # Errors
/// [`Error::NotFound`] that names the shards that are missing; [`Error::Mismatch`] when their rows do not fit together;
/// [`Error::OutputExists`].
pub fn merge(config: &MergeConfig) -> Result<Summary> {
    let start = Instant::now();
    let (set, begun) = ShardSet::open(&config.output)?;
    set.require_all()?;
    require_one_source(&set, &begun.inputs)?;
    let settings = &begun.config["settings"];
    let damaged = |key: &str, expected: &str| {
        let found = &settings[key];
        let place = format!("key `config.settings.{key}`");
        let manifest = set.path(0).with_file_name("manifest.json");
        Error::malformed(manifest, place, found, expected)
    };
    let format: Format = serde_json::from_value(settings["format"].clone())
        .map_err(|_| damaged("format", "arrow or parquet"))?;
    let max_shard_bytes = settings["max_shard_bytes"]
        .as_u64()
        .ok_or_else(|| damaged("max_shard_bytes", "a number of bytes"))?;
    let dicts = (0..set.count())
        .map(|index| DatasetDict::open(set.path(index)))
        .collect::<Result<Vec<_>>>()?;
    let names = dicts[0].split_names().to_vec();
    if let Some(other) = dicts.iter().find(|d| d.split_names() != names) {
        return Err(Error::Mismatch(format!(
            "{} has the splits {}, the first shard has {}",
            other.path().display(),
            other.split_names().join(", "),
            names.join(", ")
        )));
    }
    let output = AtomicDir::create(&config.output, config.overwrite)?;
    let mut summary = sum(&set)?;
    let first = dicts[0].split(&names[0])?;
    let columns = Columns {
        token_type_ids: first.has_token_type_ids(),
        category: first.has_categories(),
    };
    let options = WriteOptions {
        format,
        max_shard_bytes,
        columns,
        class_names: FLUE_CLASSES.map(String::from).to_vec(),
        is_flue: first.is_flue(),
    };
    let mut writer = DatasetDictWriter::new(output.path(), options);
    summary.total.files = 0;
    for name in &names {
        let shards = dicts
            .iter()
            .map(|dict| dict.split(name))
            .collect::<Result<Vec<_>>>()?;
        let files = interleave(&shards, name, columns, writer.split(name)?)?;
        if let Some(counts) = summary.splits.get_mut(name) {
            counts.files = files;
        }
        summary.total.files += files;
    }
    writer.finish()?;
    if settings.get("data").is_some_and(Value::is_null) {
        summary.check_flue(None);
    }
    summary.output = config.output.clone();
    summary.seconds = start.elapsed().as_secs_f64();
    let mut manifest = Manifest::new(PROGRAM, with_count(settings, set.count()));
    (manifest.inputs, manifest.commits) = (begun.inputs, begun.commits);
    leave(output, &mut manifest, &summary)?;
    Ok(summary)
}

/// Require that every shard was made from the files that the first was begun with: one may have been brought from elsewhere.
fn require_one_source(set: &ShardSet, inputs: &Fingerprints) -> Result<()> {
    for index in 0..set.count() {
        let path = set.path(index);
        let shard = Manifest::read(&path.join("manifest.json"))?;
        if let Some(difference) = difference(&shard.inputs, inputs) {
            return Err(Error::Mismatch(format!(
                "{}: made from {difference}, unlike the shards beside it: make this shard again with --overwrite",
                path.display()
            )));
        }
    }
    Ok(())
}

/// The settings of the shards and their number.
fn with_count(settings: &Value, count: usize) -> Value {
    let mut settings = settings.clone();
    if let Some(map) = settings.as_object_mut() {
        map.insert("merged_shards".into(), count.into());
    }
    settings
}

/// The summaries of all shards as one.
fn sum(set: &ShardSet) -> Result<Summary> {
    let mut all = finished(&set.path(0))?;
    all.shard = None;
    all.skipped = false;
    all.differences.clear();
    for index in 1..set.count() {
        let shard = finished(&set.path(index))?;
        all.total.add(&shard.total);
        for (name, counts) in &shard.splits {
            let known: &mut BTreeMap<String, Counts> = &mut all.splits;
            known.entry(name.clone()).or_default().add_shard(counts);
        }
    }
    Ok(all)
}

/// Write the rows of all shards in the order of the corpus; the number of files.
fn interleave(
    shards: &[Split],
    name: &str,
    columns: Columns,
    mut writer: SplitWriter,
) -> Result<usize> {
    let total: u64 = shards.iter().map(|s| s.len() as u64).sum();
    let count = shards.len();
    for (index, shard) in shards.iter().enumerate() {
        let want = Shard { index, count }.rows_of(total);
        if shard.len() as u64 != want {
            let (folder, found) = (shard.folder().display(), shard.len());
            return Err(Error::Mismatch(format!(
                "{folder} has {found} rows where shard {index} of {count} of {total} rows has {want}: \
                 make this shard again with --overwrite"
            )));
        }
    }
    let mut progress = Progress::new(format!("merge {name}"), total, "rows");
    let mut rows = Rows::new(columns);
    for row in 0..total as usize {
        rows.push_example(&shards[row % count].example(row / count)?);
        if rows.len() == BATCH_ROWS {
            interrupt::check()?;
            progress.advance(BATCH_ROWS as u64);
            writer.write(std::mem::replace(&mut rows, Rows::new(columns)))?;
        }
    }
    progress.advance(rows.len() as u64);
    writer.write(rows)?;
    writer.finish()
}
