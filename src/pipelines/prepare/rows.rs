//! Reviews to rows: a corpus, or the texts of a dataset that exists, read by one thread, tokenized
//! batch by batch on all cores, and written by a third thread. The queues between them are short,
//! so that few batches are in memory at a time.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::summary::Counts;
use crate::artifact::Shard;
use crate::corpus::{Classes, Corpus, LabelMap, ReadOptions, Review, Reviews, Source};
use crate::dataset::{Columns, DatasetDict, Padding, Row, Rows, Split, SplitWriter};
use crate::device::no_thread;
use crate::error::{Error, Result, interrupt};
use crate::hub::Hub;
use crate::pipelines::inputs::classes_of;
use crate::progress::Progress;
use crate::tokenization::{OtherIds, Tokenizer};

/// Rows of a batch, and of a record batch: what `datasets` writes at a time.
pub(super) const BATCH_ROWS: usize = 1000;
/// A batch is also full at this many bytes of text.
const BATCH_BYTES: usize = 16 << 20;
/// Batches that wait in each queue.
const QUEUE: usize = 2;

/// Where the reviews come from.
pub(super) enum Input {
    Corpus(Corpus),
    Dataset {
        dict: DatasetDict,
        splits: Vec<Split>,
        label_map: LabelMap,
    },
}

impl Input {
    /// Find the reviews of `source`.
    pub(crate) fn open(source: &Source, hub: &Hub, options: &ReadOptions) -> Result<Self> {
        match source {
            Source::Path(path) if DatasetDict::is_at(path) => {
                let dict = DatasetDict::open(path)?;
                let splits = dict.split_names().iter().map(|name| dict.text_split(name));
                Ok(Input::Dataset {
                    splits: splits.collect::<Result<_>>()?,
                    label_map: options.label_map.clone(),
                    dict,
                })
            }
            _ => Ok(Input::Corpus(Corpus::open(source, hub, options)?)),
        }
    }

    /// Whether the rows have a column of categories, and whether they are laid out as those of FLUE
    /// CLS.
    pub(crate) fn categories(&self) -> Result<(bool, bool)> {
        match self {
            Input::Corpus(corpus) => Ok((corpus.has_categories()?, corpus.is_flue())),
            Input::Dataset { splits, .. } => Ok((
                splits.iter().all(Split::has_categories),
                splits.iter().all(Split::is_flue),
            )),
        }
    }

    /// The names of the splits.
    pub(crate) fn split_names(&self) -> Vec<String> {
        match self {
            Input::Corpus(corpus) => {
                let names = corpus.split_names();
                names.into_iter().map(str::to_string).collect()
            }
            Input::Dataset { dict, .. } => dict.split_names().to_vec(),
        }
    }

    /// The files behind them.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        match self {
            Input::Corpus(corpus) => Ok(corpus.files()),
            Input::Dataset { dict, .. } => dict.files(dict.split_names()),
        }
    }

    /// The files behind `source`.
    pub(crate) fn files_of(
        source: &Source,
        hub: &Hub,
        options: &ReadOptions,
    ) -> Result<Vec<PathBuf>> {
        match source {
            Source::Path(path) if DatasetDict::is_at(path) => {
                let dict = DatasetDict::open(path)?;
                dict.files(dict.split_names())
            }
            _ => Corpus::files_of(source, hub, options),
        }
    }

    /// The number of rows of a split, 0 where only reading it would tell.
    pub(crate) fn known_rows(&self, split: &str) -> u64 {
        match self {
            Input::Corpus(corpus) => corpus.known_rows(split).unwrap_or(0),
            Input::Dataset { splits, .. } => {
                let of_name = |s: &&Split| s.name() == split;
                splits.iter().find(of_name).map_or(0, |s| s.len() as u64)
            }
        }
    }

    /// The reviews of a split in order.
    pub(crate) fn reviews(&self, split: &str) -> Result<RowReader> {
        Ok(match self {
            Input::Corpus(corpus) => RowReader::Corpus(corpus.reviews(split)),
            Input::Dataset {
                splits, label_map, ..
            } => {
                let split = splits.iter().find(|s| s.name() == split);
                let split = split
                    .expect("only splits of the dataset are asked for")
                    .clone();
                let classes = classes_of(&split, label_map)?.places_in(&Classes::flue())?;
                let row = 0;
                RowReader::Dataset {
                    split,
                    classes,
                    row,
                }
            }
        })
    }
}

/// Reviews one after another.
pub(super) enum RowReader {
    Corpus(Reviews),
    Dataset {
        split: Split,
        /// The class of the output for each class of the dataset.
        classes: Vec<usize>,
        row: usize,
    },
}

impl Iterator for RowReader {
    type Item = Result<Review>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            RowReader::Corpus(reviews) => reviews.next(),
            RowReader::Dataset {
                split,
                classes,
                row,
            } => {
                if *row == split.len() {
                    return None;
                }
                let review = split.example(*row).map(|example| Review {
                    text: example.text.into(),
                    label: classes[example.label as usize] as i64,
                    idx: example.idx,
                    category: example.category.map(|c| c.to_string().into()),
                });
                *row += 1;
                Some(review)
            }
        }
    }
}

/// How reviews become rows.
pub(super) struct Plan<'a> {
    pub(crate) tokenizer: &'a dyn Tokenizer,
    pub(crate) max_length: usize,
    pub(crate) padding: Option<Padding>,
    pub(crate) shard: Option<Shard>,
    pub(crate) columns: Columns,
    /// Finds the rows to which transformers 5 gives other ids, where there may be any.
    pub(crate) other_ids: Option<&'a dyn OtherIds>,
}

impl Plan<'_> {
    /// Take the split `name` of `input` to `writer`.
    pub(crate) fn run(&self, input: &Input, name: &str, writer: SplitWriter) -> Result<Counts> {
        let reader = input.reviews(name)?;
        let known = input.known_rows(name);
        let total = self.shard.map_or(known, |shard| shard.rows_of(known));
        let shard = self.shard;
        let (to_tokenize, reviews) = sync_channel(QUEUE);
        let (to_write, rows) = sync_channel(QUEUE);
        thread::scope(|scope| {
            // One that was started ends when the other's queue does, with this function.
            let reading = thread::Builder::new()
                .spawn_scoped(scope, move || read(reader, shard, to_tokenize))
                .map_err(no_thread("the thread that reads"))?;
            let writing = thread::Builder::new()
                .spawn_scoped(scope, move || write(writer, rows))
                .map_err(no_thread("the thread that writes"))?;
            let tokenized = self.tokenize(name, total, reviews, to_write);
            // Each error closes the queues, so that the threads beside it end too; the first in the
            // line is the cause.
            joined(reading)?;
            let written = joined(writing);
            let mut counts = match (tokenized, written) {
                (Ok(counts), Ok(files)) => Counts { files, ..counts },
                (_, Err(e)) | (Err(e), _) => return Err(e),
            };
            counts.finish();
            Ok(counts)
        })
    }

    /// The row of the split that is the `at`-th of this shard.
    fn row_of(&self, at: u64) -> u64 {
        let shard = self
            .shard
            .map(|shard| (shard.index as u64, shard.count as u64));
        shard.map_or(at, |(index, count)| at * count + index)
    }

    /// Require that the model has every token of a row.
    fn check_ids(&self, name: &str, at: u64, ids: &[u32]) -> Result<()> {
        self.tokenizer.check_ids(ids).map_err(|e| {
            let row = self.row_of(at);
            Error::Mismatch(format!(
                "{name}, row {row} has a token that the model lacks: {e}"
            ))
        })
    }

    fn tokenize(
        &self,
        name: &str,
        total: u64,
        reviews: Receiver<Vec<Review>>,
        to_write: SyncSender<Rows>,
    ) -> Result<Counts> {
        let mut counts = Counts::new();
        let mut progress = Progress::new(format!("tokenize {name}"), total, "rows");
        let mut row = 0;
        for batch in reviews {
            interrupt::check()?;
            let texts: Vec<&str> = batch.iter().map(|r| r.text.as_str()).collect();
            let encodings = self.tokenizer.encode_batch(&texts, Some(self.max_length))?;
            if let Some(other_ids) = self.other_ids {
                let differing = other_ids.differing(&texts, &encodings, Some(self.max_length))?;
                for (at, _) in differing
                    .iter()
                    .enumerate()
                    .filter(|(_, differs)| **differs)
                {
                    counts.add_other_ids(self.row_of(row + at as u64));
                }
            }
            let mut rows = Rows::new(self.columns);
            for (review, encoding) in batch.iter().zip(&encodings) {
                self.check_ids(name, row, &encoding.ids)?;
                row += 1;
                counts.add_row(review.label, encoding.ids.len(), encoding.truncated);
                let row = Row {
                    text: &review.text,
                    label: review.label,
                    idx: review.idx,
                    category: review.category.as_deref(),
                };
                rows.push(row, &encoding.ids, self.padding);
            }
            progress.advance(batch.len() as u64);
            if to_write.send(rows).is_err() {
                // The writer has failed and says why.
                break;
            }
        }
        Ok(counts)
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| {
        Err(Error::Compute {
            context: "preparing".into(),
            source: "a thread ended abnormally".into(),
        })
    })
}

/// Batches of the shard's reviews; stops early when nobody takes them.
fn read(
    reader: RowReader,
    shard: Option<Shard>,
    to_tokenize: SyncSender<Vec<Review>>,
) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    let mut bytes = 0;
    for (row, review) in reader.enumerate() {
        let review = review?;
        if row % BATCH_ROWS == 0 {
            interrupt::check()?;
        }
        if shard.is_some_and(|shard| !shard.takes(row as u64)) {
            continue;
        }
        bytes += review.text.len();
        batch.push(review);
        if batch.len() == BATCH_ROWS || bytes >= BATCH_BYTES {
            bytes = 0;
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_ROWS));
            if to_tokenize.send(full).is_err() {
                return Ok(());
            }
        }
    }
    if !batch.is_empty() {
        // Nobody takes it only when the other side has failed and says why.
        let _ = to_tokenize.send(batch);
    }
    Ok(())
}

/// Write batches as they come; the number of files.
fn write(mut writer: SplitWriter, rows: Receiver<Rows>) -> Result<usize> {
    for batch in rows {
        writer.write(batch)?;
    }
    writer.finish()
}
