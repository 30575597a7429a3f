//! Labelled French reviews from any source, as streams: the Webis CLS-10 tree that FLUE CLS is made
//! of (or its archive), tables in CSV, TSV, JSON lines or Parquet, and the corpus that is compiled
//! in.
//!
//! Every reader yields one review at a time and names the file and the place of what it cannot
//! read. [`Source`] says what is meant, [`Corpus`] finds its files (`tree`, `tables`), and each
//! format has a reader (`review_file`, `csv`, `json_lines`, `parquet`), with `guards` in front of
//! text files, `columns` for all tables and `labels` for what a class is.

mod columns;
mod csv;
mod guards;
mod json_lines;
mod labels;
mod parquet;
mod review_file;
mod source;
mod tables;
mod tree;

pub(crate) use labels::{Classes, FLUE_CLASSES, LabelMap};
pub use source::{Corpus, Reviews, Source};

use std::borrow::Cow;

/// How tables are read where they can be read in several ways.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReadOptions {
    /// Other names for the classes.
    pub(crate) label_map: LabelMap,
    /// In CSV and TSV `"` is a character like any other: fields are not quoted.
    pub(crate) no_quotes: bool,
}

/// Reviews from one file.
type BoxedReviews = Box<dyn Iterator<Item = crate::error::Result<Review>> + Send>;

/// A review with its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The text, cleaned when it comes from a `.review` file, as it stands otherwise. It may be
    /// empty.
    pub(crate) text: String,
    /// 0 negative, 1 positive.
    pub(crate) label: i64,
    /// The number of the review, from 1: in its category for `.review` files, in its split for
    /// tables without a column `idx`.
    pub(crate) idx: i32,
    /// The category, of a `.review` file by its folder and of a table by its column `category`,
    /// where it has one.
    pub(crate) category: Option<Cow<'static, str>>,
}
