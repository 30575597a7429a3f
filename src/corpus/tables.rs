//! A folder of tables: their formats, and the splits that their names speak of.

use std::path::{Path, PathBuf};

use super::csv::Csv;
use super::json_lines::JsonLines;
use super::tree::CATEGORIES;
use super::{BoxedReviews, ReadOptions, parquet};
use crate::error::{Error, Result};
use crate::files::visible;

/// The format of a table, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Tsv,
    JsonLines,
    Parquet,
}

/// A table of a split.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    /// The category whose folder it lies in, as FLUE's own scripts leave them.
    pub(crate) category: Option<&'static str>,
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
    pub(crate) fn open(&self, before: usize, options: &ReadOptions) -> Result<BoxedReviews> {
        let path = &self.path;
        let reviews: BoxedReviews = match self.format {
            Format::Csv => Box::new(Csv::open(path, b',', before, options)?),
            Format::Tsv => Box::new(Csv::open(path, b'\t', before, options)?),
            Format::JsonLines => Box::new(JsonLines::open(path, before, options)?),
            Format::Parquet => Box::new(parquet::Parquet::open(path, before, options)?),
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
    pub(crate) fn has_categories(&self, options: &ReadOptions) -> Result<bool> {
        let path = &self.path;
        Ok(self.category.is_some()
            || match self.format {
                Format::Csv => Csv::open(path, b',', 0, options)?.has_categories(),
                Format::Tsv => Csv::open(path, b'\t', 0, options)?.has_categories(),
                Format::Parquet => parquet::has_categories(path)?,
                // Every object has keys of its own: the first one speaks for all.
                Format::JsonLines => match JsonLines::open(path, 0, options)?.next() {
                    Some(review) => review?.category.is_some(),
                    None => false,
                },
            })
    }
}

/// The tables in `path`, a file or a folder with at most one level of folders, each with its split,
/// in the order of their names.
///
/// # Errors
/// [`Error::Malformed`] for a name that speaks of two splits and for a split that is there in two
/// formats; [`Error::Io`].
pub(super) fn find(path: &Path) -> Result<Vec<(&'static str, Table)>> {
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
            "{}: left out, since it is not named after a split and others are; call it train-… or \
             test-… to read it",
            table.path.display()
        );
    }
    one_format_each(&named)?;
    Ok(named)
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
                "one of the two: both would be read, and the rows of a copy would count twice; move \
                 one of them away",
            ));
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = visible(folder)?;
    paths.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        !name.is_some_and(|name| name.starts_with('_'))
    });
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
mod tests {
    use super::*;

    #[test]
    fn tables_are_split_by_the_words_of_their_names() {
        let named = |name: &str| split_named(Path::new("p"), name).unwrap();
        assert_eq!(named("train.csv"), Some("train"));
        assert_eq!(named("data/Test-00000-of-00001.parquet"), Some("test"));
        for word in ["dev/x.csv", "valid.tsv", "a_validation.csv", "val-0.csv"] {
            assert_eq!(named(word), Some("validation"), "{word}");
        }
        for word in [
            "contest.csv",
            "reviews.csv",
            "été_trained.csv",
            "devtest.csv",
        ] {
            assert_eq!(named(word), None, "{word}");
        }
        let error = split_named(Path::new("p"), "train/test_1.csv").unwrap_err();
        assert!(
            error.to_string().contains("speaks of train and of test"),
            "{error}"
        );
    }
}
