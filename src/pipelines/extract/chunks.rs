//! The states of a fixed number of rows at a time, each in a file of its own until the output is complete.
//!
//! A chunk has its final name only when it is whole, so a killed run goes on after the last of them, and what it recomputes
//! has the same bytes: passes never reach across chunks. Shard i of N takes chunks i, i + N, … of each split, so that shards
//! compute just what one run would.
//!
//! A file holds, row by row, for each layer in the order asked for, the states of the row's records in the storage type.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::{Job, SPLITS};
use crate::artifact::{CHUNK_ROWS, Shard, ShardSet};
use crate::error::{Error, Result};
use crate::feature_extraction::{ExtractOptions, Extractor, Sentence, Sink, Tokens};
use crate::files::{AtomicFile, entries, open_file};
use crate::models::Encoder;

fn name(split: &str, chunk: usize) -> String {
    format!("{split}-{chunk:06}.states")
}

/// Compute the chunks of `shard` that are not there yet, and give its folder its final name.
pub(super) fn compute(
    job: &Job<'_>,
    encoder: &dyn Encoder,
    set: &ShardSet,
    shard: Shard,
) -> Result<()> {
    let target = set.path(shard.index);
    let partial = target.with_extension("partial");
    fs::create_dir_all(&partial).map_err(Error::io(&partial, "create the folder"))?;
    for (s, split) in job.splits.iter().enumerate() {
        let missing: Vec<(PathBuf, Vec<usize>)> = shard
            .chunks(job.rows(split))
            .map(|(chunk, rows)| (partial.join(name(SPLITS[s], chunk)), rows.collect()))
            .filter(|(path, _)| !path.exists())
            .collect();
        let options = ExtractOptions {
            layers: job.layers.clone(),
            tokens: job.config.tokens,
            batch_size: job.config.batch_size,
        };
        let rows = missing.iter().map(|(_, rows)| rows.len()).sum();
        let mut extractor = Extractor::new(encoder, split, &options, rows)?;
        for (path, rows) in missing {
            let mut sink = ChunkSink {
                job,
                split: SPLITS[s],
                file: AtomicFile::replace(&path)?,
                path: &path,
                bytes: Vec::new(),
            };
            extractor.run(&rows, &mut sink)?;
            sink.file.commit()?;
        }
    }
    sweep(&partial)?;
    fs::rename(&partial, &target).map_err(Error::io(&target, "rename"))
}

/// Remove the chunks that killed runs had begun; the lock of the shard keeps others out.
fn sweep(partial: &Path) -> Result<()> {
    for path in entries(partial)? {
        if path.extension().is_none_or(|ending| ending != "states") {
            fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
        }
    }
    Ok(())
}

/// Bytes of the chunks of one shard, or of all rows.
pub(super) fn bytes(job: &Job<'_>, shard: Option<Shard>) -> Result<u64> {
    let mut records = 0;
    let shard = shard.unwrap_or(Shard { index: 0, count: 1 });
    for split in job.splits {
        for row in shard.chunks(job.rows(split)).flat_map(|(_, rows)| rows) {
            records += job.records(split.example(row)?.attention_mask) as u64;
        }
    }
    Ok(records * job.record_bytes() as u64 * job.layers.len() as u64)
}

/// Writes the states of sentences one after another.
struct ChunkSink<'a> {
    job: &'a Job<'a>,
    split: &'static str,
    file: AtomicFile,
    path: &'a Path,
    bytes: Vec<u8>,
}

impl ChunkSink<'_> {
    /// A state that the file cannot hold: not a number, or one that the storage type would turn into infinity.
    fn refused(&self, layer: usize, row: usize, value: f32) -> Error {
        let place = format!(
            "{}: layer {layer}, row {row} of {}",
            self.job.run.checkpoint, self.split
        );
        let (name, most) = self.job.config.dtype.limit();
        Error::Mismatch(if value.is_finite() {
            format!(
                "{place}: a state of {value} does not fit {name}, whose largest number is {most}: choose --dtype f32"
            )
        } else {
            format!("{place}: a state is not finite: its weights or its config.json are damaged")
        })
    }
}

impl Sink for ChunkSink<'_> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        self.bytes.clear();
        for &layer in &self.job.layers {
            let found = sentence.layers.iter().find(|(l, _)| *l == layer);
            let values = found.and_then(|(_, states)| states.to_slice());
            let values =
                values.ok_or_else(|| Error::Mismatch(format!("layer {layer} was not computed")))?;
            let put = self.job.config.dtype.put(values, &mut self.bytes);
            put.map_err(|value| self.refused(layer, sentence.row, value))?;
        }
        self.file
            .write_all(&self.bytes)
            .map_err(Error::io(self.path, "write"))
    }
}

/// Reads the chunks of all shards in the order of the rows.
pub(super) struct ChunkReader<'a> {
    job: &'a Job<'a>,
    set: &'a ShardSet,
    split: usize,
    file: Option<(PathBuf, BufReader<File>)>,
}

impl<'a> ChunkReader<'a> {
    pub fn new(job: &'a Job<'a>, set: &'a ShardSet, split: usize) -> Self {
        Self {
            job,
            set,
            split,
            file: None,
        }
    }

    /// The states of `row`, which follows the one read before, of every layer one after the other.
    pub fn read(&mut self, row: usize, bytes: &mut [u8]) -> Result<()> {
        if row.is_multiple_of(CHUNK_ROWS) {
            self.finish()?;
            let chunk = row / CHUNK_ROWS;
            let path = self.set.path(chunk % self.set.count());
            let path = path.join(name(SPLITS[self.split], chunk));
            let file = open_file(&path)?;
            self.file = Some((path, BufReader::with_capacity(1 << 18, file)));
        }
        match &mut self.file {
            Some((path, file)) => file
                .read_exact(bytes)
                .map_err(|_| damaged(self.job, path, "fewer bytes")),
            None => Err(Error::Mismatch(format!("row {row} begins no chunk"))),
        }
    }

    /// Require that the last file was read to its end.
    pub fn finish(&mut self) -> Result<()> {
        if let Some((path, mut file)) = self.file.take() {
            let rest = file.read(&mut [0]).map_err(Error::io(&path, "read"))?;
            if rest > 0 {
                return Err(damaged(self.job, &path, "more bytes"));
            }
        }
        Ok(())
    }
}

fn damaged(job: &Job<'_>, path: &Path, found: &str) -> Error {
    let kept = match job.config.tokens {
        Tokens::All => "one state a token",
        Tokens::Cls | Tokens::Mean => "one state a row",
    };
    let expected = format!("{kept}, {CHUNK_ROWS} rows: remove the folder and run again");
    Error::malformed(path, "end of the file", found, expected)
}
