//! The reviews to prepare: a corpus, or the texts of a dataset that exists.

use std::path::PathBuf;

use crate::corpus::{Corpus, Review, Reviews, Source, parse_label};
use crate::dataset::{DatasetDict, LABEL_NAMES, Split};
use crate::error::{Error, Result};
use crate::hub::Hub;

/// Where the reviews come from.
pub(super) enum Input {
    Corpus(Corpus),
    Dataset(DatasetDict),
}

impl Input {
    /// Find the reviews of `source`.
    pub fn open(source: &Source, hub: &Hub) -> Result<Self> {
        match source {
            Source::Path(path) if DatasetDict::is_at(path) => {
                Ok(Input::Dataset(DatasetDict::open(path)?))
            }
            _ => Ok(Input::Corpus(Corpus::open(source, hub)?)),
        }
    }

    /// The names of the splits.
    pub fn split_names(&self) -> Vec<String> {
        match self {
            Input::Corpus(corpus) => {
                let names = corpus.split_names();
                names.into_iter().map(str::to_string).collect()
            }
            Input::Dataset(dict) => dict.split_names().to_vec(),
        }
    }

    /// The files behind them.
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Input::Corpus(corpus) => corpus.files(),
            Input::Dataset(dict) => dict.files(),
        }
    }

    /// The number of rows of a split, 0 where only reading it would tell.
    pub fn known_rows(&self, split: &str) -> u64 {
        match self {
            Input::Corpus(corpus) => corpus.known_rows(split).unwrap_or(0),
            Input::Dataset(dict) => dict.text_split(split).map_or(0, |s| s.len() as u64),
        }
    }

    /// The reviews of a split in order.
    pub fn reviews(&self, split: &str) -> Result<RowReader> {
        Ok(match self {
            Input::Corpus(corpus) => RowReader::Corpus(corpus.reviews(split)),
            Input::Dataset(dict) => {
                let split = dict.text_split(split)?;
                let classes = classes(&split)?;
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

/// The class of the output for each class of a dataset: by its name where that is a known word, else by its number.
fn classes(split: &Split) -> Result<Vec<i64>> {
    let names = split.label_names();
    if names.len() != LABEL_NAMES.len() {
        return Err(Error::malformed(
            split.folder(),
            "column `label`",
            format!("the classes {}", names.join(", ")),
            "two, negative and positive",
        ));
    }
    match (parse_label(&names[0]), parse_label(&names[1])) {
        (Some(first), Some(second)) if first == second => Err(Error::malformed(
            split.folder(),
            "column `label`",
            format!("two names of one class: {}", names.join(", ")),
            "two classes, negative and positive",
        )),
        (Some(first), _) => Ok(vec![first, 1 - first]),
        (None, Some(second)) => Ok(vec![1 - second, second]),
        (None, None) => {
            tracing::warn!(
                "{}: of the classes {} the first is taken as negative, the second as positive",
                split.folder().display(),
                names.join(", ")
            );
            Ok(vec![0, 1])
        }
    }
}

/// Reviews one after another.
pub(super) enum RowReader {
    Corpus(Reviews),
    Dataset {
        split: Split,
        classes: Vec<i64>,
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
                    label: classes[example.label as usize],
                    idx: example.idx,
                    category: None,
                });
                *row += 1;
                Some(review)
            }
        }
    }
}
