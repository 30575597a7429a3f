//! What `--data` names, and the reviews behind it.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::guards::Lines;
use super::review_file::ReviewFile;
use super::tables::{self, Format, Table};
use super::tree::{self, CATEGORIES, SPLITS};
use super::{BoxedReviews, ReadOptions, Review, parquet};
use crate::error::{Error, Result};
use crate::files::open_file;
use crate::hub::{FlueCls, Hub};

/// A corpus as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// FLUE CLS: Parquet files of the hub, else the Webis archive from Zenodo.
    Flue,
    /// The corpus compiled in from `data/`.
    Sample,
    /// A file or a folder: a Webis tree or its archive, or tables.
    Path(PathBuf),
}

impl Source {
    /// What `--data WORD` means: FLUE CLS without it, the word `sample`, else a path; a folder of
    /// that name is `./sample`.
    pub(crate) fn named(word: Option<&str>) -> Self {
        match word {
            None => Source::Flue,
            Some("sample") => Source::Sample,
            Some(path) => Source::Path(path.into()),
        }
    }
}

/// One file of a split.
#[derive(Debug, Clone)]
enum Part {
    Review(PathBuf, &'static str),
    Sample(PathBuf, &'static [u8], &'static str),
    Table(Table),
}

impl Part {
    fn path(&self) -> &Path {
        match self {
            Part::Review(path, _) | Part::Sample(path, ..) => path,
            Part::Table(table) => &table.path,
        }
    }

    /// The reviews of the file; `before` rows came before it in the split.
    fn open(&self, before: usize, options: &ReadOptions) -> Result<BoxedReviews> {
        Ok(match self {
            Part::Review(path, category) => {
                let file = open_file(path)?;
                let lines = Lines::new(path, BufReader::with_capacity(1 << 18, file));
                Box::new(ReviewFile::new(lines, category))
            }
            Part::Sample(path, bytes, category) => {
                let unpacked = BufReader::new(flate2::bufread::GzDecoder::new(*bytes));
                Box::new(ReviewFile::new(Lines::new(path, unpacked), category))
            }
            Part::Table(table) => table.open(before, options)?,
        })
    }
}

/// The splits of a corpus by their names, and the files of each.
type Splits = Vec<(String, Vec<Part>)>;

/// A corpus that has been found: its splits, and the files of each.
#[derive(Debug, Clone)]
pub struct Corpus {
    splits: Splits,
    /// What the user named.
    origin: Option<PathBuf>,
    /// The files of an archive; removed with the last user.
    extracted: Option<Arc<TempDir>>,
    options: ReadOptions,
    /// Whether the rows are those of FLUE CLS or of its sample: books, then DVDs, then music, each
    /// numbered from 1.
    flue: bool,
}

impl Corpus {
    /// Find the files behind `source`.
    ///
    /// Tables are assigned to splits by the words of their file or folder name, as `datasets` does:
    /// `train`, `training`; `validation`, `valid`, `dev`, `val`; `test`, `testing`, `eval`,
    /// `evaluation`. Where no name has such a word, a single file for instance, all is the split
    /// `train`; where some have, the others are left out with a warning.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is there, [`Error::Malformed`] when it is not a corpus,
    /// when a name speaks of two splits, or when a split is there in two formats.
    pub fn open(source: &Source, hub: &Hub, options: &ReadOptions) -> Result<Self> {
        let corpus = match source {
            Source::Path(path) => Self::open_path(path)?,
            Source::Flue => Self::open_flue(hub)?,
            Source::Sample => Self::of_flue(sample_splits()),
        };
        Ok(Self {
            options: options.clone(),
            ..corpus
        })
    }

    /// Rows that are known to be laid out as those of FLUE CLS.
    fn of_flue(splits: Splits) -> Self {
        Self {
            splits,
            origin: None,
            extracted: None,
            options: ReadOptions::default(),
            flue: true,
        }
    }

    fn open_flue(hub: &Hub) -> Result<Self> {
        let splits = match hub.flue_cls()? {
            FlueCls::Parquet(files) => {
                let table = |path| Table {
                    path,
                    format: Format::Parquet,
                    category: None,
                };
                let tables = files.into_iter();
                in_order(tables.map(|(split, path)| (split, Part::Table(table(path)))))
            }
            FlueCls::Webis(folder) => match tree::locate(&folder) {
                Some(fr) => tree_splits(&fr)?,
                None => return Err(not_a_corpus(&folder)),
            },
        };
        Ok(Self::of_flue(splits))
    }

    fn open_path(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::NotFound {
                what: format!("corpus {}", path.display()),
                remedy: "name a Webis CLS-10 tree or its .tar.gz, a table or a folder of tables \
                         (CSV, TSV, JSON lines, Parquet), a DatasetDict folder, or the word sample"
                    .into(),
            });
        }
        let origin = Some(path.to_path_buf());
        if path.is_file() && tree::is_archive(path) {
            let folder = tree::extract(path)?;
            let splits = tree_splits(folder.path())?;
            return Ok(Self {
                origin,
                extracted: Some(Arc::new(folder)),
                ..Self::of_flue(splits)
            });
        }
        Ok(match tree::locate(path) {
            Some(fr) => Self {
                origin,
                ..Self::of_flue(tree_splits(&fr)?)
            },
            None => Self {
                origin,
                flue: false,
                ..Self::of_flue(table_splits(path)?)
            },
        })
    }

    /// Whether the rows are laid out as those of FLUE CLS: books, then DVDs, then music, each
    /// numbered from 1.
    pub(crate) fn is_flue(&self) -> bool {
        self.flue
    }

    /// Whether the rows of every table say of which category they are, by a column `category` or by
    /// their folder.
    ///
    /// # Errors
    /// Those of opening a table.
    pub(crate) fn has_categories(&self) -> Result<bool> {
        let parts = self.splits.iter().flat_map(|(_, parts)| parts);
        let (mut with, mut without) = (None, None);
        for part in parts {
            if let Part::Table(table) = part {
                match table.has_categories(&self.options)? {
                    true => with = Some(&table.path),
                    false => without = Some(&table.path),
                }
            }
        }
        if let (Some(with), Some(without)) = (with, without) {
            tracing::warn!(
                "{} has categories and {} has none: they are left out",
                with.display(),
                without.display()
            );
        }
        Ok(!self.flue && with.is_some() && without.is_none())
    }

    /// The names of the splits: `train` first.
    pub fn split_names(&self) -> Vec<&str> {
        self.splits.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The files that the reviews come from, for a manifest: an archive stands for its members, and
    /// the sample, which is part of the program, has none.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        if let (Some(_), Some(archive)) = (&self.extracted, &self.origin) {
            return vec![archive.clone()];
        }
        let parts = self.splits.iter().flat_map(|(_, parts)| parts);
        parts
            .filter(|part| !matches!(part, Part::Sample(..)))
            .map(|part| part.path().to_path_buf())
            .collect()
    }

    /// The [`files`](Self::files) behind `source`; an archive is not unpacked for that.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn files_of(
        source: &Source,
        hub: &Hub,
        options: &ReadOptions,
    ) -> Result<Vec<PathBuf>> {
        match source {
            Source::Path(path) if path.is_file() && tree::is_archive(path) => {
                Ok(vec![path.clone()])
            }
            _ => Ok(Self::open(source, hub, options)?.files()),
        }
    }

    /// The number of rows of a split, where it is known without reading it (Parquet).
    pub fn known_rows(&self, split: &str) -> Option<u64> {
        self.parts(split)
            .iter()
            .try_fold(0u64, |rows, part| match part {
                Part::Table(table) if table.format == Format::Parquet => {
                    Some(rows.saturating_add(parquet::rows(&table.path).ok()?))
                }
                _ => None,
            })
    }

    /// The reviews of a split, read as they are asked for. The iterator ends after its first error.
    pub fn reviews(&self, split: &str) -> Reviews {
        Reviews {
            parts: self.parts(split).to_vec().into(),
            current: None,
            rows: 0,
            extracted: self.extracted.clone().zip(self.origin.clone()),
            options: self.options.clone(),
        }
    }

    fn parts(&self, split: &str) -> &[Part] {
        self.splits
            .iter()
            .find(|(name, _)| name == split)
            .map(|(_, parts)| parts)
            .expect("only splits of the corpus are asked for")
    }
}

/// The reviews of one split, one file after another.
pub struct Reviews {
    parts: VecDeque<Part>,
    current: Option<BoxedReviews>,
    rows: usize,
    options: ReadOptions,
    /// The folder of an archive's members, and the archive.
    extracted: Option<(Arc<TempDir>, PathBuf)>,
}

impl Iterator for Reviews {
    type Item = Result<Review>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(current) = &mut self.current {
                match current.next() {
                    Some(Ok(review)) => {
                        self.rows += 1;
                        return Some(Ok(review));
                    }
                    Some(Err(e)) => return Some(Err(self.stop(e))),
                    None => self.current = None,
                }
            }
            let part = self.parts.pop_front()?;
            match part.open(self.rows, &self.options) {
                Ok(reviews) => self.current = Some(reviews),
                Err(e) => return Some(Err(self.stop(e))),
            }
        }
    }
}

impl Reviews {
    /// End here; an error about a member of an archive names the archive, not the folder where its
    /// members lie.
    fn stop(&mut self, mut e: Error) -> Error {
        self.parts.clear();
        self.current = None;
        if let (Error::Malformed { path, .. } | Error::Io { path, .. }, Some((folder, archive))) =
            (&mut e, &self.extracted)
            && let Ok(member) = path.strip_prefix(folder.path())
        {
            *path = archive.join("fr").join(member);
        }
        e
    }
}

/// The six files of the tree, which must all be there.
fn tree_splits(fr: &Path) -> Result<Splits> {
    let mut splits = Vec::new();
    for split in SPLITS {
        let mut parts = Vec::new();
        for category in CATEGORIES {
            let path = tree::file(fr, category, split)?;
            parts.push(Part::Review(path, category));
        }
        splits.push((split.to_string(), parts));
    }
    Ok(splits)
}

fn sample_splits() -> Splits {
    let split = |split: &str| {
        let parts =
            tree::sample(split).map(|(path, bytes, category)| Part::Sample(path, bytes, category));
        (split.to_string(), parts.collect())
    };
    SPLITS.into_iter().map(split).collect()
}

/// The tables in `path` by split.
fn table_splits(path: &Path) -> Result<Splits> {
    let tables = tables::find(path)?;
    if tables.is_empty() {
        return Err(not_a_corpus(path));
    }
    let parts = tables.into_iter();
    Ok(in_order(parts.map(|(split, table)| {
        (split.to_string(), Part::Table(table))
    })))
}

fn not_a_corpus(path: &Path) -> Error {
    Error::malformed(
        path,
        "",
        "no reviews",
        "a Webis CLS-10 tree or its .tar.gz, or tables .csv, .tsv, .jsonl or .parquet with `text` \
         and `label`",
    )
}

/// The parts of each split, `train` first and `test` second.
fn in_order(parts: impl Iterator<Item = (String, Part)>) -> Splits {
    let rank = |name: &str| match name {
        "train" => 0,
        "test" => 1,
        _ => 2,
    };
    let mut splits: BTreeMap<(usize, String), Vec<Part>> = BTreeMap::new();
    for (name, part) in parts {
        splits.entry((rank(&name), name)).or_default().push(part);
    }
    splits
        .into_iter()
        .map(|((_, name), parts)| (name, parts))
        .collect()
}

#[cfg(test)]
mod tests;
