//! The `features` of a dataset: the names of its classes, and the JSON that `datasets` keeps in the Arrow schema.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The classes of FLUE CLS in the order of their numbers.
pub const LABEL_NAMES: [&str; 2] = ["negative", "positive"];

/// The most classes that a dataset may have: each is a row of the classifier and of its table of confusions.
const MOST_LABELS: usize = 1000;

/// The key under which `datasets` keeps the features in the metadata of an Arrow schema.
pub(super) const METADATA_KEY: &str = "huggingface";

/// The names of the classes of `label`: from the schema's metadata, else from `dataset_info.json`, else FLUE's.
///
/// # Errors
/// [`Error::Malformed`] when the metadata is no JSON, or has no names, too many or one twice.
pub(super) fn label_names(
    path: &Path,
    schema: &Schema,
    info: Option<&Value>,
) -> Result<Vec<String>> {
    let from_schema = match schema.metadata().get(METADATA_KEY) {
        None => None,
        Some(text) => Some(serde_json::from_str::<Value>(text).map_err(|e| {
            let place = format!("the schema's metadata `{METADATA_KEY}`");
            Error::malformed(path, place, e, "the JSON that `datasets` writes there")
        })?),
    };
    let declared = from_schema
        .as_ref()
        .and_then(|v| v.pointer("/info/features"))
        .or_else(|| info.and_then(|v| v.get("features")))
        .and_then(|features| features.pointer("/label/names"))
        .and_then(Value::as_array);
    let Some(declared) = declared else {
        return Ok(LABEL_NAMES.iter().map(|n| n.to_string()).collect());
    };
    let names: Vec<String> = declared
        .iter()
        .map(|n| n.as_str().map_or_else(|| n.to_string(), str::to_string))
        .collect();
    let distinct: HashSet<&String> = names.iter().collect();
    if distinct.len() != names.len() || !(1..=MOST_LABELS).contains(&names.len()) {
        let found = format!("{} names, {} of them distinct", names.len(), distinct.len());
        let expected = format!("1 to {MOST_LABELS} names of classes, each once");
        return Err(Error::malformed(
            path,
            "the names of `label`",
            found,
            expected,
        ));
    }
    Ok(names)
}

/// The features of a prepared split, as `Features.to_dict` writes them. Lists are declared as `Sequence`, the name that
/// every release of `datasets` reads.
pub(super) fn features(token_type_ids: bool) -> Value {
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    let sequence = |dtype: &str| json!({"feature": value(dtype), "_type": "Sequence"});
    let mut features = Map::new();
    features.insert("text".into(), value("string"));
    let label = json!({"names": LABEL_NAMES, "_type": "ClassLabel"});
    features.insert("label".into(), label);
    features.insert("idx".into(), value("int32"));
    features.insert("input_ids".into(), sequence("int32"));
    if token_type_ids {
        features.insert("token_type_ids".into(), sequence("int8"));
    }
    features.insert("attention_mask".into(), sequence("int8"));
    Value::Object(features)
}

/// The names of the columns of a prepared split.
pub(super) fn column_names(token_type_ids: bool) -> Vec<&'static str> {
    let kept = |name: &&str| token_type_ids || *name != "token_type_ids";
    super::columns::NAMES.into_iter().filter(kept).collect()
}

/// The Arrow schema of a prepared split, with the features in its metadata.
pub(super) fn schema(token_type_ids: bool) -> Schema {
    let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
    let data_type = |name: &str| match name {
        "text" => DataType::Utf8,
        "label" => DataType::Int64,
        "idx" => DataType::Int32,
        "input_ids" => list(DataType::Int32),
        _ => list(DataType::Int8),
    };
    let fields: Vec<Field> = column_names(token_type_ids)
        .into_iter()
        .map(|name| Field::new(name, data_type(name), true))
        .collect();
    let info = json!({"info": {"features": features(token_type_ids)}});
    let metadata = [(METADATA_KEY.to_string(), info.to_string())];
    Schema::new_with_metadata(fields, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_schema_then_the_info_then_flue() {
        let schema = |json: &str| {
            let metadata = [(METADATA_KEY.to_string(), json.to_string())];
            Schema::new_with_metadata(Vec::<arrow::datatypes::Field>::new(), metadata)
        };
        let full =
            schema(r#"{"info":{"features":{"label":{"names":["a","b"],"_type":"ClassLabel"}}}}"#);
        let info = serde_json::json!({"features": {"label": {"names": ["x"]}}});
        let path = Path::new("d");
        let names = |s: &Schema, i| label_names(path, s, i).unwrap();
        assert_eq!(names(&full, Some(&info)), ["a", "b"]);
        assert_eq!(names(&Schema::empty(), Some(&info)), ["x"]);
        assert_eq!(names(&Schema::empty(), None), LABEL_NAMES);
        let many: Vec<_> = (0..=MOST_LABELS).map(|i| i.to_string()).collect();
        for bad in [vec![], many, vec!["a".into(), "a".into()]] {
            let info = serde_json::json!({"features": {"label": {"names": bad}}});
            let error = label_names(path, &Schema::empty(), Some(&info)).unwrap_err();
            assert!(error.to_string().contains("names of classes"), "{error}");
        }
        let error = label_names(path, &schema("{"), None).unwrap_err();
        assert!(
            error.to_string().contains("metadata `huggingface`"),
            "{error}"
        );
    }
}
