//! Rows on their way to disk: columns that grow, with padding, and become a record batch.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int8Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;

use super::columns::Columns;
use super::split::Example;
use crate::files::Digest;

/// Padding up to a fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    /// The length of every row.
    pub(crate) length: usize,
    /// The id that fills it; its mask and its token type are 0.
    pub(crate) id: u32,
    /// Whether it stands before the tokens rather than after them.
    pub(crate) left: bool,
}

/// A review beside its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The review.
    pub text: &'a str,
    /// Its class, a place in the names of the dataset's classes.
    pub label: i64,
    /// Its number.
    pub idx: i32,
    /// Its category; it is written where the dataset has a column for it.
    pub category: Option<&'a str>,
}

/// A batch of tokenized reviews in memory, column by column.
#[derive(Debug, Default)]
pub struct Rows {
    /// All texts, one after another, and where each ends.
    text: Vec<u8>,
    text_ends: Vec<i32>,
    label: Vec<i64>,
    idx: Vec<i32>,
    category: Option<Vec<Option<String>>>,
    input_ids: Vec<i32>,
    token_type_ids: Option<Vec<i8>>,
    attention_mask: Vec<i8>,
    list_ends: Vec<i32>,
}

impl Rows {
    /// No rows yet; token types are all 0.
    pub fn new(columns: Columns) -> Self {
        Self {
            text_ends: vec![0],
            list_ends: vec![0],
            token_type_ids: columns.token_type_ids.then(Vec::new),
            category: columns.category.then(Vec::new),
            ..Self::default()
        }
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.label.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.label.is_empty()
    }

    /// About how many bytes the rows take on disk.
    pub(crate) fn bytes(&self) -> u64 {
        let per_token = 4 + 1 + u64::from(self.token_type_ids.is_some());
        self.text.len() as u64 + 20 * self.len() as u64 + per_token * self.input_ids.len() as u64
    }

    /// Add a review and its ids, special tokens included; all are tokens, and what `padding` adds
    /// is none.
    pub fn push(&mut self, row: Row<'_>, ids: &[u32], padding: Option<Padding>) {
        let fill = padding.map_or(0, |p| p.length.saturating_sub(ids.len()));
        let id = padding.map_or(0, |p| p.id as i32);
        let (before, after) = match padding.is_some_and(|p| p.left) {
            true => (fill, 0),
            false => (0, fill),
        };
        self.input_ids.extend(std::iter::repeat_n(id, before));
        self.input_ids.extend(ids.iter().map(|&id| id as i32));
        self.input_ids.extend(std::iter::repeat_n(id, after));
        for (mask, count) in [(0, before), (1, ids.len()), (0, after)] {
            self.attention_mask.extend(std::iter::repeat_n(mask, count));
        }
        if let Some(types) = &mut self.token_type_ids {
            types.resize(types.len() + ids.len() + fill, 0);
        }
        self.end_row(row);
    }

    /// Add a row as it stands in another dataset.
    pub(crate) fn push_example(&mut self, example: &Example<'_>) {
        self.input_ids.extend_from_slice(example.input_ids);
        self.attention_mask
            .extend_from_slice(example.attention_mask);
        if let Some(types) = &mut self.token_type_ids {
            match example.token_type_ids {
                Some(values) => types.extend_from_slice(values),
                None => types.resize(types.len() + example.input_ids.len(), 0),
            }
        }
        self.end_row(Row {
            text: example.text,
            label: example.label,
            idx: example.idx,
            category: example.category,
        });
    }

    fn end_row(&mut self, row: Row<'_>) {
        self.text.extend_from_slice(row.text.as_bytes());
        self.text_ends.push(self.text.len() as i32);
        self.list_ends.push(self.input_ids.len() as i32);
        self.label.push(row.label);
        self.idx.push(row.idx);
        if let Some(categories) = &mut self.category {
            categories.push(row.category.map(str::to_string));
        }
    }

    /// Feed the content to a digest.
    pub(super) fn digest(&self, hash: &mut Digest) {
        hash.update(&self.text);
        hash.update(Buffer::from_slice_ref(&self.text_ends));
        hash.update(Buffer::from_slice_ref(&self.label));
        hash.update(Buffer::from_slice_ref(&self.idx));
        for category in self.category.iter().flatten() {
            hash.update(category.as_deref().unwrap_or("\0"));
        }
        hash.update(Buffer::from_slice_ref(&self.input_ids));
        hash.update(Buffer::from_slice_ref(&self.list_ends));
    }

    /// The rows as a record batch of `schema`, which [`super::columns::schema`] made.
    ///
    /// # Errors
    /// When the offsets of a batch pass 2 GiB.
    pub(super) fn into_batch(self, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
        let lists = offsets(self.list_ends)?;
        let list = |item: DataType, values: ArrayRef| -> Result<ArrayRef, ArrowError> {
            let field = Arc::new(Field::new("item", item, true));
            Ok(Arc::new(ListArray::try_new(
                field,
                lists.clone(),
                values,
                None,
            )?))
        };
        let bytes = |values: Vec<i8>| list(DataType::Int8, Arc::new(Int8Array::from(values)));
        let ids = Arc::new(Int32Array::from(self.input_ids));
        let text = StringArray::try_new(offsets(self.text_ends)?, Buffer::from(self.text), None)?;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(text),
            Arc::new(Int64Array::from(self.label)),
            Arc::new(Int32Array::from(self.idx)),
        ];
        if let Some(categories) = self.category {
            columns.push(Arc::new(StringArray::from(categories)));
        }
        columns.push(list(DataType::Int32, ids)?);
        if let Some(types) = self.token_type_ids {
            columns.push(bytes(types)?);
        }
        columns.push(bytes(self.attention_mask)?);
        RecordBatch::try_new(schema, columns)
    }
}

/// Ends that grew past 2^31 have turned negative.
fn offsets(ends: Vec<i32>) -> Result<OffsetBuffer<i32>, ArrowError> {
    if ends.windows(2).any(|pair| pair[1] < pair[0]) {
        let message = "a batch of rows takes more than 2 GiB";
        return Err(ArrowError::OffsetOverflowError(ends.len()))
            .map_err(|e| ArrowError::ExternalError(format!("{message}: {e}").into()));
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(ends)))
}
