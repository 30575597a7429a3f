//! The reviews to prepare: a corpus, or the texts of a dataset that exists.

use std::path::PathBuf;

use crate::corpus::{Classes, Corpus, LabelMap, ReadOptions, Review, Reviews, Source};
use crate::dataset::{DatasetDict, Split};
use crate::error::Result;
use crate::hub::Hub;
use crate::pipelines::labels::classes_of;

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
    pub fn open(source: &Source, hub: &Hub, options: &ReadOptions) -> Result<Self> {
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

    /// Whether the rows have a column of categories, and whether they are laid out as those of FLUE CLS.
    pub fn categories(&self) -> Result<(bool, bool)> {
        match self {
            Input::Corpus(corpus) => Ok((corpus.has_categories()?, corpus.is_flue())),
            Input::Dataset { splits, .. } => Ok((
                splits.iter().all(Split::has_categories),
                splits.iter().all(Split::is_flue),
            )),
        }
    }

    /// The names of the splits.
    pub fn split_names(&self) -> Vec<String> {
        match self {
            Input::Corpus(corpus) => {
                let names = corpus.split_names();
                names.into_iter().map(str::to_string).collect()
            }
            Input::Dataset { dict, .. } => dict.split_names().to_vec(),
        }
    }

    /// The files behind them.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        match self {
            Input::Corpus(corpus) => Ok(corpus.files()),
            Input::Dataset { dict, .. } => dict.files(dict.split_names()),
        }
    }

    /// The files behind `source`.
    pub fn files_of(source: &Source, hub: &Hub, options: &ReadOptions) -> Result<Vec<PathBuf>> {
        match source {
            Source::Path(path) if DatasetDict::is_at(path) => {
                let dict = DatasetDict::open(path)?;
                dict.files(dict.split_names())
            }
            _ => Corpus::files_of(source, hub, options),
        }
    }

    /// The number of rows of a split, 0 where only reading it would tell.
    pub fn known_rows(&self, split: &str) -> u64 {
        match self {
            Input::Corpus(corpus) => corpus.known_rows(split).unwrap_or(0),
            Input::Dataset { splits, .. } => {
                let of_name = |s: &&Split| s.name() == split;
                splits.iter().find(of_name).map_or(0, |s| s.len() as u64)
            }
        }
    }

    /// The reviews of a split in order.
    pub fn reviews(&self, split: &str) -> Result<RowReader> {
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
