//! The columns of a dataset: those that the programs read out of a record batch, and the schema and
//! the `features` under which they are written.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, GenericListArray, LargeStringArray, OffsetSizeTrait,
    RecordBatch, StringArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field, Int8Type, Int32Type, Int64Type, Schema};
use serde_json::{Map, Value, json};

use crate::artifact::features::{self, METADATA_KEY};
use crate::error;

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

/// Whether the programs read a column. Only words are categories: a column of that name with other
/// values is left alone.
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
pub(super) struct Lists<T: ArrowNativeType> {
    offsets: Offsets,
    values: ScalarBuffer<T>,
}

impl<T: ArrowNativeType> Lists<T> {
    /// The values of a row. Arrow has checked that the offsets lie inside `values`.
    pub(crate) fn row(&self, row: usize) -> &[T] {
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
    pub(crate) fn row(&self, row: usize) -> &str {
        match self {
            Texts::Small(texts) => texts.value(row),
            Texts::Large(texts) => texts.value(row),
        }
    }

    /// The string of a row, unless it is null.
    pub(crate) fn known(&self, row: usize) -> Option<&str> {
        let known = match self {
            Texts::Small(texts) => texts.is_valid(row),
            Texts::Large(texts) => texts.is_valid(row),
        };
        known.then(|| self.row(row))
    }
}

/// The columns of one batch as slices that can be taken row by row; those that the file lacks are
/// none.
pub(super) struct BatchColumns {
    pub(crate) text: Option<Texts>,
    pub(crate) label: Option<ScalarBuffer<i64>>,
    pub(crate) idx: Option<ScalarBuffer<i32>>,
    /// Some may be null.
    pub(crate) category: Option<Texts>,
    pub(crate) input_ids: Option<Lists<i32>>,
    pub(crate) token_type_ids: Option<Lists<i8>>,
    pub(crate) attention_mask: Option<Lists<i8>>,
}

/// What is wrong with a batch: the column, its row in the batch when one row is to blame, and the
/// finding.
pub(super) struct Fault {
    pub(crate) column: &'static str,
    pub(crate) row: Option<usize>,
    pub(crate) found: String,
}

impl BatchColumns {
    /// Take the columns out of a batch whose types are all native.
    ///
    /// # Errors
    /// [`Fault`] for a null, a null inside a list, or a type that should have been converted.
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self, Fault> {
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

/// What a table of this library has beside the columns that all have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Columns {
    /// A column of token types (FlauBERT).
    pub(crate) token_type_ids: bool,
    /// A column of categories.
    pub(crate) category: bool,
}

/// The builder and the configuration that `load_dataset("flue", "CLS")` notes: rows with them are
/// books, then DVDs, then music, each numbered from 1.
const FLUE: [(&str, &str); 2] = [("builder_name", "flue"), ("config_name", "CLS")];

/// Note in the `info` of a split that its rows are laid out as those of FLUE CLS.
pub(super) fn mark_as_flue(info: &mut Value) {
    for (key, name) in FLUE {
        info[key] = name.into();
    }
}

/// Whether an `info` says that its rows are laid out as those of FLUE CLS.
pub(super) fn is_flue(info: &Value) -> bool {
    FLUE.iter().all(|(key, name)| info[key] == *name)
}

/// What `datasets` knows of a split: `dataset_info.json`, which it follows where both are there,
/// else the metadata of the schema.
///
/// # Errors
/// [`error::Error::Malformed`] when the metadata is not JSON.
pub(super) fn info(path: &Path, schema: &Schema, beside: Option<Value>) -> error::Result<Value> {
    let inside = features::info(path, schema)?.unwrap_or(Value::Null);
    let Some(mut info) = beside.filter(|info| info.get("features").is_some_and(Value::is_object))
    else {
        return Ok(inside);
    };
    let names = |info: &Value| info.pointer("/features/label/names").cloned();
    if let (Some(beside), Some(inside)) = (names(&info), names(&inside))
        && beside != inside
    {
        tracing::warn!(
            "{}: its metadata names the classes {inside}, dataset_info.json {beside}: the second \
             counts, as in `datasets`",
            path.display()
        );
    }
    for (key, _) in FLUE {
        if info.get(key).is_none_or(Value::is_null) && !inside[key].is_null() {
            info[key] = inside[key].clone();
        }
    }
    Ok(info)
}

/// The features of a prepared split, as `Features.to_dict` writes them. Lists are declared as
/// `Sequence`, the name that every release of `datasets` reads.
pub(super) fn features_of(columns: Columns, class_names: &[String]) -> Value {
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    let sequence = |dtype: &str| json!({"feature": value(dtype), "_type": "Sequence"});
    let mut features = Map::new();
    features.insert("text".into(), value("string"));
    let label = json!({"names": class_names, "_type": "ClassLabel"});
    features.insert("label".into(), label);
    features.insert("idx".into(), value("int32"));
    if columns.category {
        features.insert("category".into(), value("string"));
    }
    features.insert("input_ids".into(), sequence("int32"));
    if columns.token_type_ids {
        features.insert("token_type_ids".into(), sequence("int8"));
    }
    features.insert("attention_mask".into(), sequence("int8"));
    Value::Object(features)
}

/// The names of the columns of a prepared split, in their order.
pub(super) fn column_names(columns: Columns) -> Vec<&'static str> {
    let kept = |name: &&str| match *name {
        "token_type_ids" => columns.token_type_ids,
        "category" => columns.category,
        _ => true,
    };
    NAMES.into_iter().filter(kept).collect()
}

/// The Arrow schema of a prepared split, with `info` in its metadata.
pub(super) fn schema(columns: Columns, info: &Value) -> Schema {
    let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
    let data_type = |name: &str| match name {
        "text" | "category" => DataType::Utf8,
        "label" => DataType::Int64,
        "idx" => DataType::Int32,
        "input_ids" => list(DataType::Int32),
        _ => list(DataType::Int8),
    };
    let fields: Vec<Field> = column_names(columns)
        .into_iter()
        .map(|name| Field::new(name, data_type(name), true))
        .collect();
    let metadata = [(METADATA_KEY.to_string(), json!({"info": info}).to_string())];
    Schema::new_with_metadata(fields, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_the_data_counts_before_what_stands_inside() {
        let schema = |json: &str| {
            let metadata = [(METADATA_KEY.to_string(), json.to_string())];
            Schema::new_with_metadata(Vec::<Field>::new(), metadata)
        };
        let inside = schema(
            r#"{"info":{"features":{"label":{"names":["a","b"]}},"builder_name":"flue","config_name":"CLS"}}"#,
        );
        let beside = json!({"features": {"label": {"names": ["x"]}}});
        let path = Path::new("d");
        let of = |schema: &Schema, beside| info(path, schema, beside).unwrap();
        let both = of(&inside, Some(beside.clone()));
        assert_eq!(both["features"]["label"]["names"], json!(["x"]));
        assert!(is_flue(&both));
        assert_eq!(
            of(&inside, Some(json!({})))["features"]["label"]["names"],
            json!(["a", "b"])
        );
        assert!(!is_flue(&of(&Schema::empty(), Some(beside))));
        assert_eq!(of(&Schema::empty(), None), Value::Null);
    }
}
