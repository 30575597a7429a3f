//! The reviews to prepare: a corpus, or the texts of a dataset that exists.

use std::path::PathBuf;

use crate::corpus::{Corpus, Review, Reviews, Source, parse_label};
use crate::dataset::{DatasetDict, Split};
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
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        match self {
            Input::Corpus(corpus) => Ok(corpus.files()),
            Input::Dataset(dict) => dict.files(dict.split_names()),
        }
    }

    /// The files behind `source`.
    pub fn files_of(source: &Source, hub: &Hub) -> Result<Vec<PathBuf>> {
        match source {
            Source::Path(path) if DatasetDict::is_at(path) => Self::open(source, hub)?.files(),
            _ => Corpus::files_of(source, hub),
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
                let classes = classes_of(&split)?;
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

/// The class of the output for each class of a dataset.
fn classes_of(split: &Split) -> Result<Vec<i64>> {
    let names = split.label_names();
    let classes = classes_by_name(names).ok_or_else(|| {
        Error::malformed(
            split.folder(),
            "column `label`",
            format!("the classes {}", names.join(", ")),
            "two, negative and positive",
        )
    })?;
    if names.iter().all(|name| parse_label(name).is_none()) {
        tracing::warn!(
            "{}: of the classes {} the first is taken as negative, the second as positive",
            split.folder().display(),
            names.join(", ")
        );
    }
    Ok(classes)
}

/// Two classes by their names, the other one of a known word, or in their order when neither is known.
fn classes_by_name(names: &[String]) -> Option<Vec<i64>> {
    let [first, second] = names else {
        return None;
    };
    match (parse_label(first), parse_label(second)) {
        (Some(first), Some(second)) if first == second => None,
        (Some(first), _) => Some(vec![first, 1 - first]),
        (None, Some(second)) => Some(vec![1 - second, second]),
        (None, None) => Some(vec![0, 1]),
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

#[cfg(test)]
mod tests {
    use super::classes_by_name;

    #[test]
    fn classes_keep_the_meaning_of_their_names() {
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
            classes_by_name(&names)
        };
        assert_eq!(found(&["negative", "positive"]), Some(vec![0, 1]));
        assert_eq!(found(&["pos", "neg"]), Some(vec![1, 0]));
        assert_eq!(found(&["pos", "mauvais"]), Some(vec![1, 0]));
        assert_eq!(found(&["bon", "neg"]), Some(vec![1, 0]));
        assert_eq!(found(&["mauvais", "bon"]), Some(vec![0, 1]));
        for refused in [
            &["pos", "positive"][..],
            &["neg"],
            &["neg", "neutral", "pos"],
            &[],
        ] {
            assert_eq!(found(refused), None, "{refused:?}");
        }
    }
}
