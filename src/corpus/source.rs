//! What `--data` names, and the reviews behind it.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::json_lines::JsonLines;
use super::lines::Lines;
use super::review_file::ReviewFile;
use super::table::Csv;
use super::tree::{self, CATEGORIES, SPLITS};
use super::{Review, archive, arrow_table, sample};
use crate::error::{Error, Result, open_file};
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
    /// What `--data WORD` means: FLUE CLS without it, the word `sample`, else a path; a folder of that name is `./sample`.
    pub fn named(word: Option<&str>) -> Self {
        match word {
            None => Source::Flue,
            Some("sample") => Source::Sample,
            Some(path) => Source::Path(path.into()),
        }
    }
}

/// One file of a split, by its format.
#[derive(Debug, Clone)]
enum Part {
    Review(PathBuf, &'static str),
    Sample(PathBuf, &'static [u8], &'static str),
    Csv(PathBuf),
    Tsv(PathBuf),
    JsonLines(PathBuf),
    Parquet(PathBuf),
}

impl Part {
    /// The table in `path`, by its extension.
    fn table(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let path = path.to_path_buf();
        Some(match extension.as_str() {
            "csv" => Part::Csv(path),
            "tsv" => Part::Tsv(path),
            "jsonl" | "ndjson" => Part::JsonLines(path),
            "parquet" => Part::Parquet(path),
            _ => return None,
        })
    }

    fn path(&self) -> &Path {
        match self {
            Part::Review(path, _)
            | Part::Sample(path, ..)
            | Part::Csv(path)
            | Part::Tsv(path)
            | Part::JsonLines(path)
            | Part::Parquet(path) => path,
        }
    }

    /// The reviews of the file; `before` rows came before it in the split.
    fn open(&self, before: usize) -> Result<Box<dyn Iterator<Item = Result<Review>> + Send>> {
        Ok(match self {
            Part::Review(path, category) => {
                let file = open_file(path)?;
                let lines = Lines::new(path, BufReader::with_capacity(1 << 18, file));
                Box::new(ReviewFile::new(lines, category))
            }
            Part::Sample(path, bytes, category) => {
                Box::new(ReviewFile::new(Lines::new(path, *bytes), category))
            }
            Part::Csv(path) => Box::new(Csv::open(path, b',', before)?),
            Part::Tsv(path) => Box::new(Csv::open(path, b'\t', before)?),
            Part::JsonLines(path) => Box::new(JsonLines::open(path, before)?),
            Part::Parquet(path) => Box::new(arrow_table::Parquet::open(path, before)?),
        })
    }
}

/// A corpus that has been found: its splits, and the files of each.
#[derive(Debug, Clone)]
pub struct Corpus {
    splits: Vec<(String, Vec<Part>)>,
    /// What the user named.
    origin: Option<PathBuf>,
    /// The files of an archive; removed with the last user.
    extracted: Option<Arc<TempDir>>,
}

impl Corpus {
    /// Find the files behind `source`.
    ///
    /// Tables are assigned to splits by the words of their file or folder name, as `datasets` does: `train`,
    /// `training`; `validation`, `valid`, `dev`, `val`; `test`, `testing`, `eval`, `evaluation`. Tables without such
    /// a word, a single file for instance, are the split `train`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is there, [`Error::Malformed`] when it is not a corpus.
    pub fn open(source: &Source, hub: &Hub) -> Result<Self> {
        match source {
            Source::Path(path) => Self::open_path(path),
            Source::Flue => Self::open_flue(hub),
            Source::Sample => Ok(Self {
                splits: sample_splits(),
                origin: None,
                extracted: None,
            }),
        }
    }

    fn open_flue(hub: &Hub) -> Result<Self> {
        let splits = match hub.flue_cls()? {
            FlueCls::Parquet(files) => {
                let tables = files
                    .into_iter()
                    .map(|(split, path)| (split, Part::Parquet(path)));
                in_order(tables)
            }
            FlueCls::Webis(folder) => match tree::locate(&folder) {
                Some(fr) => tree_splits(&fr)?,
                None => return Err(not_a_corpus(&folder)),
            },
        };
        Ok(Self {
            splits,
            origin: None,
            extracted: None,
        })
    }

    fn open_path(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::NotFound {
                what: format!("corpus {}", path.display()),
                remedy: "name a Webis CLS-10 tree or its .tar.gz, a table or a folder of tables (CSV, TSV, JSON \
                         lines, Parquet), a DatasetDict folder, or the word sample"
                    .into(),
            });
        }
        let origin = Some(path.to_path_buf());
        if path.is_file() && archive::is_archive(path) {
            let folder = archive::extract(path)?;
            return Ok(Self {
                splits: tree_splits(folder.path())?,
                origin,
                extracted: Some(Arc::new(folder)),
            });
        }
        let splits = match tree::locate(path) {
            Some(fr) => tree_splits(&fr)?,
            None => table_splits(path)?,
        };
        Ok(Self {
            splits,
            origin,
            extracted: None,
        })
    }

    /// The names of the splits: `train` first.
    pub fn split_names(&self) -> Vec<&str> {
        self.splits.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The files that the reviews come from, for a manifest: an archive stands for its members, and the sample, which
    /// is part of the program, has none.
    pub fn files(&self) -> Vec<PathBuf> {
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
    pub fn files_of(source: &Source, hub: &Hub) -> Result<Vec<PathBuf>> {
        match source {
            Source::Path(path) if path.is_file() && archive::is_archive(path) => {
                Ok(vec![path.clone()])
            }
            _ => Ok(Self::open(source, hub)?.files()),
        }
    }

    /// The number of rows of a split, where it is known without reading it (Parquet).
    pub fn known_rows(&self, split: &str) -> Option<u64> {
        self.parts(split)
            .iter()
            .try_fold(0u64, |rows, part| match part {
                Part::Parquet(path) => Some(rows.saturating_add(arrow_table::rows(path).ok()?)),
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
        }
    }

    fn parts(&self, split: &str) -> &[Part] {
        self.splits
            .iter()
            .find(|(name, _)| name == split)
            .map_or(&[], |(_, parts)| parts)
    }
}

/// The reviews of one split, one file after another.
pub struct Reviews {
    parts: VecDeque<Part>,
    current: Option<Box<dyn Iterator<Item = Result<Review>> + Send>>,
    rows: usize,
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
            match part.open(self.rows) {
                Ok(reviews) => self.current = Some(reviews),
                Err(e) => return Some(Err(self.stop(e))),
            }
        }
    }
}

impl Reviews {
    /// End here; an error about a member of an archive names the archive, not the folder where its members lie.
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
fn tree_splits(fr: &Path) -> Result<Vec<(String, Vec<Part>)>> {
    let mut splits = Vec::new();
    for split in SPLITS {
        let mut parts = Vec::new();
        for category in CATEGORIES {
            let path = tree::file(fr, category, split);
            if !path.is_file() {
                return Err(Error::NotFound {
                    what: path.display().to_string(),
                    remedy: "the tree of Webis CLS-10 has fr/{books,dvd,music}/{train,test}.review; unpack it again"
                        .into(),
                });
            }
            parts.push(Part::Review(path, category));
        }
        splits.push((split.to_string(), parts));
    }
    Ok(splits)
}

/// The sample, by names as they stand in `data/`.
fn sample_splits() -> Vec<(String, Vec<Part>)> {
    let split = |split: &str| {
        let parts = CATEGORIES.into_iter().filter_map(|category| {
            let path = tree::file(Path::new("sample/fr"), category, split);
            Some(Part::Sample(path, sample::file(category, split)?, category))
        });
        (split.to_string(), parts.collect())
    };
    SPLITS.into_iter().map(split).collect()
}

/// The tables in `path`, a file or a folder with at most one level of folders, by split.
fn table_splits(path: &Path) -> Result<Vec<(String, Vec<Part>)>> {
    let mut tables = Vec::new();
    if path.is_dir() {
        for entry in sorted(path)? {
            if entry.is_dir() {
                tables.extend(sorted(&entry)?.iter().filter_map(|p| Part::table(p)));
            } else {
                tables.extend(Part::table(&entry));
            }
        }
    } else {
        tables.extend(Part::table(path));
    }
    if tables.is_empty() {
        return Err(not_a_corpus(path));
    }
    Ok(in_order(tables.into_iter().map(|table| {
        let inside = table.path().strip_prefix(path).ok();
        let inside = inside.filter(|p| !p.as_os_str().is_empty());
        let name = inside.unwrap_or(Path::new(table.path().file_name().unwrap_or_default()));
        let split = split_named(&name.to_string_lossy()).unwrap_or("train");
        (split.to_string(), table)
    })))
}

fn not_a_corpus(path: &Path) -> Error {
    Error::malformed(
        path,
        "",
        "no reviews",
        "a Webis CLS-10 tree or its .tar.gz, or tables .csv, .tsv, .jsonl or .parquet with `text` and `label`",
    )
}

/// The parts of each split, `train` first and `test` second.
fn in_order(parts: impl Iterator<Item = (String, Part)>) -> Vec<(String, Vec<Part>)> {
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

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let path = entry.map_err(Error::io(folder, "read"))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']));
        if !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The split that a file name (with its folder) speaks of.
fn split_named(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphabetic()).collect();
    let has = |any: &[&str]| words.iter().any(|w| any.contains(w));
    if has(&["train", "training"]) {
        Some("train")
    } else if has(&["test", "testing", "eval", "evaluation"]) {
        Some("test")
    } else if has(&["validation", "valid", "dev", "val"]) {
        Some("validation")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
