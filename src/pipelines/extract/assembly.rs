//! The chunks of all shards, row by row, to the output.

use std::path::Path;

use super::chunks::ChunkReader;
use super::{Format, Job, SPLITS, Tokens, npy, safetensors, table};
use crate::artifact::ShardSet;
use crate::error::{Error, Result, interrupt};
use crate::files::presence;
use crate::progress::Progress;
use crate::tokenization::{TOKENIZER_FILES, Tokenizer, TokenizerOptions, from_pretrained};

/// A row with its stored states.
pub(super) struct Stored<'a> {
    /// 0 for `train`, 1 for `test`.
    pub split: usize,
    pub row: usize,
    pub idx: i32,
    pub label: i64,
    /// Where the data tells categories apart and the row has one.
    pub category: Option<&'a str>,
    /// The tokens that are not padding.
    pub token_ids: &'a [u32],
    /// First and last character (exclusive) of each token in the text, where the checkpoint's tokenizer gives these tokens.
    pub spans: Option<&'a [[i32; 2]]>,
    /// How many states of each layer.
    pub records: usize,
    /// The states of each layer, one layer after the other, in the storage type.
    pub states: &'a [u8],
}

impl Stored<'_> {
    /// The states of the layer at place `i`.
    pub fn layer(&self, i: usize, layers: usize) -> &[u8] {
        let size = self.states.len() / layers;
        &self.states[i * size..][..size]
    }
}

/// A file in the making.
pub(super) trait Writer {
    /// Called once per row, `train` before `test`, in the order of the rows.
    fn row(&mut self, stored: &Stored<'_>) -> Result<()>;
    /// Complete the file and give it its name.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Write the run's file from the chunks in `set`.
pub(super) fn assemble(job: &Job<'_>, set: &ShardSet) -> Result<()> {
    let [train, test] = job.splits;
    let categories = [train.categories()?, test.categories()?];
    let mut writer: Box<dyn Writer + '_> = match job.format()? {
        Format::Npy => Box::new(npy::NpyFile::create(job)?),
        Format::Safetensors => Box::new(safetensors::TensorFile::create(job, &categories)?),
        Format::Parquet | Format::Arrow => Box::new(table::TableFile::create(job)?),
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
    /// Where tokens are kept and the checkpoint has its tokenizer. One that cannot be read is an error: the same command would
    /// leave other columns at another time.
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

/// An error of writing to the run's file.
pub(super) fn failed(path: &Path, message: impl ToString) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        action: "write",
        source: std::io::Error::other(message.to_string()),
    }
}
