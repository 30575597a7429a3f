//! The `features` of a dataset: the names of its classes, and the JSON that `datasets` keeps in the Arrow schema.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Map, Value, json};

use crate::artifact::features::{self, METADATA_KEY};
use crate::error::Result;

/// What a table of this library has beside the columns that all have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Columns {
    /// A column of token types (FlauBERT).
    pub token_type_ids: bool,
    /// A column of categories.
    pub category: bool,
}

/// The builder and the configuration that `load_dataset("flue", "CLS")` notes: rows with them are books, then DVDs, then music,
/// each numbered from 1.
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

/// What `datasets` knows of a split: `dataset_info.json`, which it follows where both are there, else the metadata of the schema.
///
/// # Errors
/// [`Error::Malformed`] when the metadata is not JSON.
pub(super) fn info(path: &Path, schema: &Schema, beside: Option<Value>) -> Result<Value> {
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
            "{}: its metadata names the classes {inside}, dataset_info.json {beside}: the second counts, as in `datasets`",
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

/// The features of a prepared split, as `Features.to_dict` writes them. Lists are declared as `Sequence`, the name that
/// every release of `datasets` reads.
pub(super) fn of_columns(columns: Columns, class_names: &[String]) -> Value {
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
    super::columns::NAMES.into_iter().filter(kept).collect()
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
