//! The states of a fixed number of rows at a time, each in a file of its own until the output is
//! complete; and from all of them, row by row, to the output.
//!
//! A chunk has its final name only when it is whole, so a killed run goes on after the last of
//! them, and what it recomputes has the same bytes: passes never reach across chunks. Shard i of N
//! takes chunks i, i + N, … of each split, so that shards compute just what one run would.
//!
//! A file holds, row by row, for each layer in the order asked for, the states of the row's records
//! in the storage type.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::arrays::{NpyFile, TensorFile};
use super::options::Format;
use super::table::TableFile;
use super::{Job, SPLITS, Stored, Writer};
use crate::artifact::{CHUNK_ROWS, Shard, ShardSet};
use crate::error::{Error, Result, interrupt};
use crate::feature_extraction::{ExtractOptions, Extractor, Sentence, Sink, Tokens};
use crate::files::{AtomicFile, entries, open_file, presence};
use crate::models::Encoder;
use crate::progress::Progress;
use crate::tokenization::{TOKENIZER_FILES, Tokenizer, TokenizerOptions, from_pretrained};

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
    /// A state that the file cannot hold: not a number, or one that the storage type would turn
    /// into infinity.
    fn refused(&self, layer: usize, row: usize, value: f32) -> Error {
        let place = format!(
            "{}: layer {layer}, row {row} of {}",
            self.job.run.checkpoint, self.split
        );
        let (name, most) = self.job.config.dtype.limit();
        Error::Mismatch(if value.is_finite() {
            format!(
                "{place}: a state of {value} does not fit {name}, whose largest number is {most}: store the states as f32"
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
struct ChunkReader<'a> {
    job: &'a Job<'a>,
    set: &'a ShardSet,
    split: usize,
    file: Option<(PathBuf, BufReader<File>)>,
}

impl<'a> ChunkReader<'a> {
    fn new(job: &'a Job<'a>, set: &'a ShardSet, split: usize) -> Self {
        Self {
            job,
            set,
            split,
            file: None,
        }
    }

    /// The states of `row`, which follows the one read before, of every layer one after the other.
    fn read(&mut self, row: usize, bytes: &mut [u8]) -> Result<()> {
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
    fn finish(&mut self) -> Result<()> {
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

/// Write the run's file from the chunks in `set`.
pub(super) fn assemble(job: &Job<'_>, set: &ShardSet) -> Result<()> {
    let [train, test] = job.splits;
    let categories = [train.categories()?, test.categories()?];
    let mut writer: Box<dyn Writer + '_> = match job.format()? {
        Format::Npy => Box::new(NpyFile::create(job)?),
        Format::Safetensors => Box::new(TensorFile::create(job, &categories)?),
        Format::Parquet | Format::Arrow => Box::new(TableFile::create(job)?),
    };
    let spans = Spans::of(job)?;
    let total: usize = job.splits.iter().map(|s| job.rows(s)).sum();
    let name = job.run.out.file_name().unwrap_or_default();
    let mut progress = Progress::new(
        format!("write {}", name.to_string_lossy()),
        total as u64,
        "rows",
    );
    let mut states = Vec::new();
    for (s, split) in job.splits.iter().enumerate() {
        let mut chunks = ChunkReader::new(job, set, s);
        for row in 0..job.rows(split) {
            interrupt::check()?;
            let example = split.example(row)?;
            let kept = example.input_ids.iter().zip(example.attention_mask);
            let token_ids: Vec<u32> = kept
                .filter(|(_, mask)| **mask != 0)
                .map(|(&id, _)| id.unsigned_abs())
                .collect();
            let records = job.records(example.attention_mask);
            states.resize(records * job.record_bytes() * job.layers.len(), 0);
            chunks.read(row, &mut states)?;
            let spans = spans.as_ref().map(|s| s.find(example.text, &token_ids));
            writer.row(&Stored {
                split: s,
                row,
                idx: example.idx,
                label: example.label,
                category: categories[s].as_ref().and_then(|c| c.name(row)),
                token_ids: &token_ids,
                spans: spans.transpose()?.flatten().as_deref(),
                records,
                states: &states,
            })?;
            progress.advance(1);
        }
        chunks.finish()?;
        tracing::debug!("{} written", SPLITS[s]);
    }
    writer.finish()
}

/// Finds the places of tokens in their text.
struct Spans(Box<dyn Tokenizer>);

impl Spans {
    /// Where tokens are kept and the checkpoint has its tokenizer. One that cannot be read is an
    /// error: the same command would leave other columns at another time.
    fn of(job: &Job<'_>) -> Result<Option<Self>> {
        if job.config.tokens != Tokens::All {
            return Ok(None);
        }
        match from_pretrained(job.folder, &TokenizerOptions::default()) {
            Err(absent @ Error::NotFound { .. }) => {
                for name in TOKENIZER_FILES {
                    presence::is_file(&job.folder.join(name))?;
                }
                tracing::warn!("no text spans: {absent}");
                Ok(None)
            }
            found => found.map(Self).map(Some),
        }
    }

    fn find(&self, text: &str, token_ids: &[u32]) -> Result<Option<Vec<[i32; 2]>>> {
        let found = self.0.encode_aligned(text, Some(token_ids.len().max(2)))?;
        let span =
            |o: &crate::tokenization::Offset| [o.characters.start as i32, o.characters.end as i32];
        Ok((found.encoding.ids == token_ids).then(|| found.offsets.iter().map(span).collect()))
    }
}
