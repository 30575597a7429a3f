//! One split of a dataset: random access by row, and the categories of its rows.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::columns::{self, BatchColumns};
use super::ipc::{BatchAt, StreamFile};
use crate::error::{Error, Result};

/// Most bytes of a text: what is longer is no review, and a tokenizer may take more than a hundred
/// times as many.
const LONGEST_TEXT: usize = 1 << 22;

/// The categories of FLUE CLS, in the order of its rows.
const FLUE_CATEGORIES: [&str; 3] = ["books", "dvd", "music"];

/// The most categories by which figures are told apart.
const MOST_CATEGORIES: usize = 100;

/// One row. The slices point into the bytes of the file.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// The review as it was tokenized; empty when the dataset has no column `text`.
    pub text: &'a str,
    /// The class, an index into [`Split::label_names`].
    pub label: i64,
    /// The number of the review in its category, from 1; its row when the dataset has no column
    /// `idx`.
    pub idx: i32,
    /// The category, where the dataset has such a column and the row a value in it.
    pub(crate) category: Option<&'a str>,
    /// Token ids, special tokens and perhaps padding included; empty in a dataset that is not
    /// tokenized.
    pub input_ids: &'a [i32],
    /// 1 for a token, 0 for padding; as long as `input_ids`.
    pub attention_mask: &'a [i8],
    /// Token types, as long as `input_ids`; FlauBERT datasets only.
    pub token_type_ids: Option<&'a [i8]>,
}

impl<'a> Example<'a> {
    /// The ids that the mask keeps, where the padding stands in one piece at either end, as
    /// tokenizers leave it.
    pub fn tokens(&self) -> &'a [i32] {
        let kept = |m: &i8| *m != 0;
        let start = self.attention_mask.iter().position(kept).unwrap_or(0);
        let end = self
            .attention_mask
            .iter()
            .rposition(kept)
            .map_or(start, |i| i + 1);
        &self.input_ids[start..end]
    }
}

/// A batch of one of the files, decoded when a row of it is first asked for.
struct Batch {
    file: usize,
    at: BatchAt,
    /// Rows of the split before it.
    first_row: usize,
    columns: OnceLock<BatchColumns>,
}

struct Inner {
    name: String,
    folder: PathBuf,
    files: Vec<StreamFile>,
    batches: Vec<Batch>,
    /// The batch that was asked for last.
    last: AtomicUsize,
    /// The rows in another order, or some of them; `datasets` before 1.6 saved such a list beside
    /// the data.
    order: Option<Vec<u64>>,
    rows: usize,
    label_names: LabelNames,
    is_flue: bool,
}

/// The names of the classes of a split.
pub(super) enum LabelNames {
    /// Those that the data declares.
    Declared(Vec<String>),
    /// The data has numbers alone, of FLUE's two classes.
    Numbers,
}

/// Other numbers for the classes of a split.
struct Relabelled {
    names: Vec<String>,
    /// The new number of each class of the data.
    places: Vec<i64>,
}

/// The rows of one split, decoded batch by batch as they are asked for. Cloning is cheap.
#[derive(Clone)]
pub struct Split(Arc<Inner>, Option<Arc<Relabelled>>);

impl Split {
    /// Join the files of a split.
    pub(super) fn new(
        name: &str,
        folder: &Path,
        files: Vec<StreamFile>,
        order: Option<Vec<u64>>,
        (label_names, is_flue): (LabelNames, bool),
    ) -> Self {
        let (mut batches, mut stored) = (Vec::new(), 0);
        for (file, stream) in files.iter().enumerate() {
            for &at in stream.batches.iter().filter(|b| b.rows > 0) {
                batches.push(Batch {
                    file,
                    at,
                    first_row: stored + at.first_row,
                    columns: OnceLock::new(),
                });
            }
            stored += stream.rows();
        }
        let rows = order.as_ref().map_or(stored, Vec::len);
        let inner = Inner {
            name: name.into(),
            folder: folder.into(),
            files,
            batches,
            last: AtomicUsize::new(0),
            order,
            rows,
            label_names,
            is_flue,
        };
        Self(Arc::new(inner), None)
    }

    /// The same rows with their classes counted in another way: the class that was number `i` is
    /// number `places[i]` of `names`.
    pub(crate) fn relabelled(&self, names: &[String], places: &[usize]) -> Self {
        let places: Vec<i64> = match &self.1 {
            None => places.iter().map(|&place| place as i64).collect(),
            Some(before) => before
                .places
                .iter()
                .map(|&p| places[p as usize] as i64)
                .collect(),
        };
        let names = names.to_vec();
        Self(self.0.clone(), Some(Arc::new(Relabelled { names, places })))
    }

    /// Its name: "train", "test".
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Its folder, for messages.
    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.0.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.rows == 0
    }

    /// The names of the classes in the order of the labels; none where the data has numbers alone,
    /// which are 0 and 1 then.
    pub fn label_names(&self) -> Option<&[String]> {
        match (&self.1, &self.0.label_names) {
            (Some(relabelled), _) => Some(&relabelled.names),
            (None, LabelNames::Declared(names)) => Some(names),
            (None, LabelNames::Numbers) => None,
        }
    }

    /// Whether the data says that it is FLUE CLS, or laid out as that is.
    pub(crate) fn is_flue(&self) -> bool {
        self.0.is_flue
    }

    /// Whether the rows have token types (FlauBERT).
    pub fn has_token_type_ids(&self) -> bool {
        self.has("token_type_ids")
    }

    /// Whether the rows have categories in a column of their own.
    pub(crate) fn has_categories(&self) -> bool {
        self.has("category")
    }

    /// Whether every file has a column of this name.
    pub(super) fn has(&self, column: &str) -> bool {
        let files = &self.0.files;
        files.iter().all(|f| columns::has(&f.schema, column))
    }

    /// The row `row`, counted from 0.
    ///
    /// # Errors
    /// [`Error::Usage`] past the end; [`Error::Malformed`] with the file and the row when the data
    /// there is damaged, null, or has a label that is no class.
    pub fn example(&self, row: usize) -> Result<Example<'_>> {
        let inner = &*self.0;
        if row >= inner.rows {
            let (folder, rows) = (inner.folder.display(), inner.rows);
            return Err(Error::Usage(format!(
                "row {row} of {folder}: the split has {rows} rows"
            )));
        }
        let stored = match &inner.order {
            Some(order) => order[row] as usize,
            None => row,
        };
        let number = inner.batches.partition_point(|b| b.first_row <= stored);
        let batch = number
            .checked_sub(1)
            .and_then(|n| inner.batches.get(n))
            .filter(|b| stored - b.first_row < b.at.rows);
        let Some(batch) = batch else {
            let expected = "an index of a stored row: save the dataset again";
            return Err(Error::malformed(
                &inner.folder,
                format!("row {row}"),
                format!("index {stored}"),
                expected,
            ));
        };
        inner.leave_behind(number - 1);
        let columns = inner.columns(batch)?;
        let mut example = inner.take(batch, columns, row, stored - batch.first_row)?;
        if let Some(relabelled) = &self.1 {
            example.label = relabelled.places[example.label as usize];
        }
        Ok(example)
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Example<'_>>> {
        (0..self.len()).map(|row| self.example(row))
    }

    /// The category of each row: that of the column `category`, or, where the data is known to be
    /// FLUE CLS, the part of its three in which the row lies; `None` for other data. FLUE's reader
    /// numbers (`idx`) the reviews of each part 1, 2, 3, …, and rows that are not whole parts in
    /// this order have no category.
    ///
    /// # Errors
    /// What reading a row gives.
    pub(crate) fn categories(&self) -> Result<Option<Categories>> {
        if self.has_categories() {
            self.categories_of_column()
        } else if self.is_flue() {
            self.parts_of_flue()
        } else {
            Ok(None)
        }
    }

    fn categories_of_column(&self) -> Result<Option<Categories>> {
        let mut names: Vec<String> = Vec::new();
        let mut of_row = Vec::with_capacity(self.len());
        for example in self.iter() {
            let place = example?.category.map(|name| {
                let known = names.iter().position(|other| other == name);
                known.unwrap_or_else(|| {
                    names.push(name.to_string());
                    names.len() - 1
                })
            });
            of_row.push(place);
            if names.len() > MOST_CATEGORIES {
                tracing::warn!(
                    "{}: the column `category` has more than {MOST_CATEGORIES} different values; no \
                     figures by category",
                    self.folder().display()
                );
                return Ok(None);
            }
        }
        Ok((!names.is_empty()).then_some(Categories { names, of_row }))
    }

    fn parts_of_flue(&self) -> Result<Option<Categories>> {
        let (mut part, mut last) = (0, 0);
        let mut of_row = Vec::with_capacity(self.len());
        for example in self.iter() {
            let idx = i64::from(example?.idx);
            match idx {
                _ if idx == last + 1 => {}
                1 if part + 1 < FLUE_CATEGORIES.len() => part += 1,
                _ => return Ok(None),
            }
            last = idx;
            of_row.push(Some(part));
        }
        let whole = part + 1 == FLUE_CATEGORIES.len();
        let names = FLUE_CATEGORIES.map(String::from).to_vec();
        Ok(whole.then_some(Categories { names, of_row }))
    }
}

/// The categories of the rows of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// In the order in which they first appear.
    names: Vec<String>,
    /// The place in `names` of each row's, where it has one.
    of_row: Vec<Option<usize>>,
}

impl Categories {
    /// Their names, in the order in which they first appear.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The category of a row, as a place in [`names`](Self::names).
    pub(crate) fn place(&self, row: usize) -> Option<usize> {
        self.of_row[row]
    }

    /// The name of the category of a row.
    pub(crate) fn name(&self, row: usize) -> Option<&str> {
        self.of_row[row].map(|place| self.names[place].as_str())
    }
}

impl LabelNames {
    /// Require that `label` is a class; what is expected otherwise.
    fn check(&self, label: i64) -> std::result::Result<(), String> {
        match self {
            Self::Declared(names) if (0..names.len() as i64).contains(&label) => Ok(()),
            Self::Declared(names) => {
                let last = names.len().saturating_sub(1);
                Err(format!("a class from 0 to {last} ({})", names.join(", ")))
            }
            Self::Numbers if (0..2).contains(&label) => Ok(()),
            Self::Numbers => Err(
                "0 or 1: the data declares no names of classes (a ClassLabel of `datasets`)".into(),
            ),
        }
    }
}

impl Inner {
    /// A reader that goes on to the next batch is done with the last one: without this, reading a
    /// file from end to end would fill the memory with it.
    fn leave_behind(&self, number: usize) {
        let last = self.last.swap(number, Ordering::Relaxed);
        if number == last + 1 {
            let batch = &self.batches[last];
            self.files[batch.file].release(&batch.at);
        }
    }

    fn columns<'a>(&'a self, batch: &'a Batch) -> Result<&'a BatchColumns> {
        if let Some(columns) = batch.columns.get() {
            return Ok(columns);
        }
        let file = &self.files[batch.file];
        let decoded = file.read(&batch.at, &columns::projection(&file.schema))?;
        let columns = BatchColumns::of(&decoded).map_err(|fault| {
            let column = fault.column;
            let place = match fault.row {
                Some(row) => format!("row {}, column `{column}`", batch.at.first_row + row),
                None => format!("{}, column `{column}`", file.place(&batch.at)),
            };
            Error::malformed(file.path(), place, fault.found, "a value in every row")
        })?;
        // Another thread may have been faster with the same columns.
        Ok(batch.columns.get_or_init(|| columns))
    }

    /// The row `at` of a batch, which is the row `row` of the split.
    fn take<'a>(
        &'a self,
        batch: &Batch,
        columns: &'a BatchColumns,
        row: usize,
        at: usize,
    ) -> Result<Example<'a>> {
        let bad = |found: String, expected: String| {
            let file = self.files[batch.file].path();
            let place = format!("row {}", batch.at.first_row + at);
            Error::malformed(file, place, found, expected)
        };
        let input_ids = columns.input_ids.as_ref().map_or(&[][..], |c| c.row(at));
        let attention_mask = columns
            .attention_mask
            .as_ref()
            .map_or(&[][..], |c| c.row(at));
        let token_type_ids = columns.token_type_ids.as_ref().map(|c| c.row(at));
        let types = token_type_ids.map_or(input_ids.len(), <[i8]>::len);
        if attention_mask.len() != input_ids.len() || types != input_ids.len() {
            let (ids, mask) = (input_ids.len(), attention_mask.len());
            return Err(bad(
                format!("{ids} input_ids, {mask} attention_mask, {types} token_type_ids"),
                "as many of each".into(),
            ));
        }
        let label = columns.label.as_ref();
        let label = label.expect("a split is opened only where it has labels")[at];
        self.label_names
            .check(label)
            .map_err(|e| bad(format!("label {label}"), e))?;
        let text = columns.text.as_ref().map_or("", |c| c.row(at));
        if text.len() > LONGEST_TEXT {
            let found = format!("a text of {} bytes", text.len());
            return Err(bad(found, "a review of at most 4 MiB".into()));
        }
        Ok(Example {
            text,
            label,
            idx: match &columns.idx {
                Some(idx) => idx[at],
                None => i32::try_from(row).map_err(|_| {
                    let expected = "at most 2147483647 rows where there is no column `idx`";
                    bad(format!("row {row} of the split"), expected.into())
                })?,
            },
            category: columns.category.as_ref().and_then(|c| c.known(at)),
            input_ids,
            attention_mask,
            token_type_ids,
        })
    }
}
