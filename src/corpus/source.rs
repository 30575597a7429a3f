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
use super::{ReadOptions, Review, archive, arrow_table, sample};
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

/// The format of a table, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Tsv,
    JsonLines,
    Parquet,
}

/// A table of a split.
#[derive(Debug, Clone)]
struct Table {
    path: PathBuf,
    format: Format,
    /// The category whose folder it lies in, as FLUE's own scripts leave them.
    category: Option<&'static str>,
}

impl Table {
    /// The table in `path`, by its extension.
    fn at(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let format = match extension.as_str() {
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "jsonl" | "ndjson" => Format::JsonLines,
            "parquet" => Format::Parquet,
            _ => return None,
        };
        let folder = path.parent().and_then(Path::file_name);
        Some(Self {
            path: path.to_path_buf(),
            format,
            category: CATEGORIES.into_iter().find(|c| folder == Some(c.as_ref())),
        })
    }

    /// The reviews of the table; `before` rows came before it in the split.
    fn open(&self, before: usize, options: &ReadOptions) -> Result<BoxedReviews> {
        let path = &self.path;
        let reviews: BoxedReviews = match self.format {
            Format::Csv => Box::new(Csv::open(path, b',', before, options)?),
            Format::Tsv => Box::new(Csv::open(path, b'\t', before, options)?),
            Format::JsonLines => Box::new(JsonLines::open(path, before, options)?),
            Format::Parquet => Box::new(arrow_table::Parquet::open(path, before, options)?),
        };
        let Some(folder) = self.category else {
            return Ok(reviews);
        };
        Ok(Box::new(reviews.map(move |review| {
            let mut review = review?;
            review.category.get_or_insert(folder.into());
            Ok(review)
        })))
    }

    /// Whether its rows say of which category they are.
    fn has_categories(&self, options: &ReadOptions) -> Result<bool> {
        let path = &self.path;
        Ok(self.category.is_some()
            || match self.format {
                Format::Csv => Csv::open(path, b',', 0, options)?.has_categories(),
                Format::Tsv => Csv::open(path, b'\t', 0, options)?.has_categories(),
                Format::Parquet => arrow_table::has_categories(path)?,
                // Every object has keys of its own: the first one speaks for all.
                Format::JsonLines => match JsonLines::open(path, 0, options)?.next() {
                    Some(review) => review?.category.is_some(),
                    None => false,
                },
            })
    }
}

/// One file of a split.
#[derive(Debug, Clone)]
enum Part {
    Review(PathBuf, &'static str),
    Sample(PathBuf, &'static [u8], &'static str),
    Table(Table),
}

type BoxedReviews = Box<dyn Iterator<Item = Result<Review>> + Send>;

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
                Box::new(ReviewFile::new(Lines::new(path, *bytes), category))
            }
            Part::Table(table) => table.open(before, options)?,
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
    options: ReadOptions,
    /// Whether the rows are those of FLUE CLS or of its sample: books, then DVDs, then music, each numbered from 1.
    flue: bool,
}

impl Corpus {
    /// Find the files behind `source`.
    ///
    /// Tables are assigned to splits by the words of their file or folder name, as `datasets` does: `train`,
    /// `training`; `validation`, `valid`, `dev`, `val`; `test`, `testing`, `eval`, `evaluation`. Where no name has such
    /// a word, a single file for instance, all is the split `train`; where some have, the others are left out with a warning.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is there, [`Error::Malformed`] when it is not a corpus, when a name speaks of two
    /// splits, or when a split is there in two formats.
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
    fn of_flue(splits: Vec<(String, Vec<Part>)>) -> Self {
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
                remedy: "name a Webis CLS-10 tree or its .tar.gz, a table or a folder of tables (CSV, TSV, JSON \
                         lines, Parquet), a DatasetDict folder, or the word sample"
                    .into(),
            });
        }
        let origin = Some(path.to_path_buf());
        if path.is_file() && archive::is_archive(path) {
            let folder = archive::extract(path)?;
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

    /// Whether the rows are laid out as those of FLUE CLS: books, then DVDs, then music, each numbered from 1.
    pub fn is_flue(&self) -> bool {
        self.flue
    }

    /// Whether the rows of every table say of which category they are, by a column `category` or by their folder.
    ///
    /// # Errors
    /// Those of opening a table.
    pub fn has_categories(&self) -> Result<bool> {
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
    pub fn files_of(source: &Source, hub: &Hub, options: &ReadOptions) -> Result<Vec<PathBuf>> {
        match source {
            Source::Path(path) if path.is_file() && archive::is_archive(path) => {
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
                    Some(rows.saturating_add(arrow_table::rows(&table.path).ok()?))
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
                tables.extend(sorted(&entry)?.iter().filter_map(|p| Table::at(p)));
            } else {
                tables.extend(Table::at(&entry));
            }
        }
    } else {
        // The folder around a file that is named by itself says nothing.
        tables.extend(Table::at(path).map(|t| Table {
            category: None,
            ..t
        }));
    }
    if tables.is_empty() {
        return Err(not_a_corpus(path));
    }
    let mut named: Vec<(&'static str, Table)> = Vec::new();
    let mut others = Vec::new();
    for table in tables {
        let inside = table.path.strip_prefix(path).ok();
        let inside = inside.filter(|p| !p.as_os_str().is_empty());
        let file = || table.path.file_name().map(Path::new);
        let name = inside.or_else(file).expect("a table has a name");
        match split_named(&table.path, &name.to_string_lossy())? {
            Some(split) => named.push((split, table)),
            None => others.push(table),
        }
    }
    if named.is_empty() {
        named.extend(others.drain(..).map(|table| ("train", table)));
    }
    for table in others {
        tracing::warn!(
            "{}: left out, since its name is that of no split and others name theirs; call it train-… or test-… to read it",
            table.path.display()
        );
    }
    one_format_each(&named)?;
    let parts = named.into_iter();
    Ok(in_order(parts.map(|(split, table)| {
        (split.to_string(), Part::Table(table))
    })))
}

/// Refuse the same split in two formats: the one is most likely a copy of the other.
fn one_format_each(tables: &[(&'static str, Table)]) -> Result<()> {
    for (i, (split, table)) in tables.iter().enumerate() {
        let same = |(name, other): &&(&str, Table)| {
            name == split
                && other.format != table.format
                && other.path.file_stem() == table.path.file_stem()
                && other.path.parent() == table.path.parent()
        };
        if let Some((_, other)) = tables[..i].iter().find(same) {
            return Err(Error::malformed(
                &table.path,
                "",
                format!(
                    "the split {split} a second time, beside {}",
                    other.path.display()
                ),
                "one of the two: both would be read, and the rows of a copy would count twice; move one of them away",
            ));
        }
    }
    Ok(())
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

/// The split that the name of a table (with its folder) speaks of.
///
/// # Errors
/// [`Error::Malformed`] when it speaks of two.
fn split_named(path: &Path, name: &str) -> Result<Option<&'static str>> {
    const WORDS: [(&str, &[&str]); 3] = [
        ("train", &["train", "training"]),
        ("validation", &["validation", "valid", "dev", "val"]),
        ("test", &["test", "testing", "eval", "evaluation"]),
    ];
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_alphabetic()).collect();
    let has = |any: &[&str]| words.iter().any(|w| any.contains(w));
    let mut splits = WORDS
        .iter()
        .filter(|(_, any)| has(any))
        .map(|(split, _)| *split);
    match (splits.next(), splits.next()) {
        (Some(one), Some(other)) => Err(Error::malformed(
            path,
            "",
            format!("a name that speaks of {one} and of {other}"),
            "a name of one split: rename the file or its folder",
        )),
        (split, _) => Ok(split),
    }
}

#[cfg(test)]
mod tests;
