//! The columns of a record batch as slices that can be taken row by row.

use std::ops::Range;

use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, GenericListArray, LargeStringArray, OffsetSizeTrait,
    RecordBatch, StringArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int8Type, Int32Type, Int64Type, Schema};

/// The columns that the programs read; all others are left on disk.
pub(super) const NAMES: [&str; 7] = [
    "text",
    "label",
    "idx",
    "category",
    "input_ids",
    "token_type_ids",
    "attention_mask",
];

/// The indices in `schema` of the columns that the programs read.
pub(super) fn projection(schema: &Schema) -> Vec<usize> {
    (0..schema.fields().len())
        .filter(|&i| is_read(schema.field(i).name(), schema.field(i).data_type()))
        .collect()
}

/// Whether the programs read a column. Only words are categories: a column of that name with other values is left alone.
pub(super) fn is_read(name: &str, data_type: &DataType) -> bool {
    use DataType::{Dictionary, LargeUtf8, Utf8, Utf8View};
    let words = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    NAMES.contains(&name)
        && (name != "category"
            || words(data_type)
            || matches!(data_type, Dictionary(_, values) if words(values)))
}

/// Whether a schema has a column that the programs read under this name.
pub(super) fn has(schema: &Schema, name: &str) -> bool {
    let field = schema.field_with_name(name);
    field.is_ok_and(|field| is_read(name, field.data_type()))
}

/// Whether a column of this name can be read in place, without a conversion.
pub(super) fn is_native(name: &str, data_type: &DataType) -> bool {
    use DataType::{Int8, Int32, Int64, LargeList, LargeUtf8, List, Utf8};
    let lists_of = |item: DataType| match data_type {
        List(field) | LargeList(field) => *field.data_type() == item,
        _ => false,
    };
    match name {
        "text" => matches!(data_type, Utf8 | LargeUtf8),
        "category" => matches!(data_type, Utf8 | LargeUtf8) || !is_read(name, data_type),
        "label" => *data_type == Int64,
        "idx" => *data_type == Int32,
        "input_ids" => lists_of(Int32),
        "token_type_ids" | "attention_mask" => lists_of(Int8),
        _ => true,
    }
}

/// Where the rows of a list column begin and end.
enum Offsets {
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
}

/// A column of lists: one slice of `values` per row.
pub(super) struct Lists<T: arrow::datatypes::ArrowNativeType> {
    offsets: Offsets,
    values: ScalarBuffer<T>,
}

impl<T: arrow::datatypes::ArrowNativeType> Lists<T> {
    /// The values of a row. Arrow has checked that the offsets lie inside `values`.
    pub fn row(&self, row: usize) -> &[T] {
        let range: Range<usize> = match &self.offsets {
            Offsets::Small(o) => o[row] as usize..o[row + 1] as usize,
            Offsets::Large(o) => o[row] as usize..o[row + 1] as usize,
        };
        &self.values[range]
    }
}

/// A column of strings.
pub(super) enum Texts {
    Small(StringArray),
    Large(LargeStringArray),
}

impl Texts {
    /// The string of a row.
    pub fn row(&self, row: usize) -> &str {
        match self {
            Texts::Small(texts) => texts.value(row),
            Texts::Large(texts) => texts.value(row),
        }
    }

    /// The string of a row, unless it is null.
    pub fn known(&self, row: usize) -> Option<&str> {
        let known = match self {
            Texts::Small(texts) => texts.is_valid(row),
            Texts::Large(texts) => texts.is_valid(row),
        };
        known.then(|| self.row(row))
    }
}

/// The columns of one batch; those that the file lacks are none.
pub(super) struct Columns {
    pub text: Option<Texts>,
    pub label: Option<ScalarBuffer<i64>>,
    pub idx: Option<ScalarBuffer<i32>>,
    /// Some may be null.
    pub category: Option<Texts>,
    pub input_ids: Option<Lists<i32>>,
    pub token_type_ids: Option<Lists<i8>>,
    pub attention_mask: Option<Lists<i8>>,
}

/// What is wrong with a batch: the column, its row in the batch when one row is to blame, and the finding.
pub(super) struct Fault {
    pub column: &'static str,
    pub row: Option<usize>,
    pub found: String,
}

impl Columns {
    /// Take the columns out of a batch whose types are all native.
    ///
    /// # Errors
    /// [`Fault`] for a null, a null inside a list, or a type that should have been converted.
    pub fn of(batch: &RecordBatch) -> Result<Self, Fault> {
        Ok(Self {
            text: column(batch, "text", texts)?,
            label: column(batch, "label", |array| {
                Some(array.as_primitive_opt::<Int64Type>()?.values().clone())
            })?,
            idx: column(batch, "idx", |array| {
                Some(array.as_primitive_opt::<Int32Type>()?.values().clone())
            })?,
            category: batch.column_by_name("category").and_then(|c| texts(c)),
            input_ids: column(batch, "input_ids", lists::<Int32Type>)?,
            token_type_ids: column(batch, "token_type_ids", lists::<Int8Type>)?,
            attention_mask: column(batch, "attention_mask", lists::<Int8Type>)?,
        })
    }
}

/// The column `name` through `take`, none when the batch lacks it.
fn column<T>(
    batch: &RecordBatch,
    name: &'static str,
    take: impl FnOnce(&dyn Array) -> Option<T>,
) -> Result<Option<T>, Fault> {
    let Some(array) = batch.column_by_name(name) else {
        return Ok(None);
    };
    let fault = |row, found: String| Fault {
        column: name,
        row,
        found,
    };
    if let Some(row) = first_null(array) {
        return Err(fault(Some(row), "null".into()));
    }
    match take(array) {
        Some(column) => Ok(Some(column)),
        None => Err(fault(
            None,
            format!("values that are null or of type {}", array.data_type()),
        )),
    }
}

fn first_null(array: &dyn Array) -> Option<usize> {
    (array.null_count() > 0)
        .then(|| (0..array.len()).find(|&row| array.is_null(row)))
        .flatten()
}

fn texts(array: &dyn Array) -> Option<Texts> {
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Some(Texts::Small(texts.clone()));
    }
    Some(Texts::Large(array.as_string_opt::<i64>()?.clone()))
}

fn lists<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<Lists<T::Native>> {
    fn values<T: ArrowPrimitiveType, O: OffsetSizeTrait>(
        lists: &GenericListArray<O>,
    ) -> Option<ScalarBuffer<T::Native>> {
        let values = lists.values().as_primitive_opt::<T>()?;
        (values.null_count() == 0).then(|| values.values().clone())
    }
    if let Some(lists) = array.as_list_opt::<i32>() {
        return Some(Lists {
            offsets: Offsets::Small(lists.offsets().clone()),
            values: values::<T, _>(lists)?,
        });
    }
    let lists = array.as_list_opt::<i64>()?;
    Some(Lists {
        offsets: Offsets::Large(lists.offsets().clone()),
        values: values::<T, _>(lists)?,
    })
}
