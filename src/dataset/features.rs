//! The `features` of a dataset: the names of its classes, and the JSON that `datasets` keeps in the Arrow schema.

use std::path::Path;

use arrow::datatypes::Schema;

use serde_json::Value;

use crate::error::{Error, Result};

/// The classes of FLUE CLS in the order of their numbers.
pub const LABEL_NAMES: [&str; 2] = ["negative", "positive"];

/// The key under which `datasets` keeps the features in the metadata of an Arrow schema.
pub(super) const METADATA_KEY: &str = "huggingface";

/// The names of the classes of `label`: from the schema's metadata, else from `dataset_info.json`, else FLUE's.
///
/// # Errors
/// [`Error::Malformed`] when the metadata is no JSON.
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
    Ok(match declared {
        Some(names) => names
            .iter()
            .map(|n| n.as_str().map_or_else(|| n.to_string(), str::to_string))
            .collect(),
        None => LABEL_NAMES.iter().map(|n| n.to_string()).collect(),
    })
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
        let error = label_names(path, &schema("{"), None).unwrap_err();
        assert!(
            error.to_string().contains("metadata `huggingface`"),
            "{error}"
        );
    }
}
