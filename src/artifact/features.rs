//! The `features` that Hugging Face's `datasets` keeps beside a table: in the metadata of an Arrow
//! or Parquet schema, and in `dataset_info.json`.

use std::collections::HashSet;
use std::path::Path;

use arrow::datatypes::Schema;
use serde_json::Value;

use crate::error::{Error, Result};

/// The key under which `datasets` keeps its JSON in the metadata of an Arrow schema.
pub(crate) const METADATA_KEY: &str = "huggingface";

/// The most classes that a dataset may have: each is a row of the classifier and of its table of
/// confusions.
const MOST_CLASSES: usize = 1000;

/// The JSON of `datasets` in the metadata of a schema, where it is there: an object with the key
/// `info`.
///
/// # Errors
/// [`Error::Malformed`] when it is not JSON.
pub(crate) fn info(path: &Path, schema: &Schema) -> Result<Option<Value>> {
    let Some(text) = schema.metadata().get(METADATA_KEY) else {
        return Ok(None);
    };
    let json: Value = serde_json::from_str(text).map_err(|e| {
        let place = format!("the schema's metadata `{METADATA_KEY}`");
        Error::malformed(path, place, e, "the JSON that `datasets` writes there")
    })?;
    Ok(json.get("info").cloned())
}

/// The names of the classes of the column `column` that the metadata of a schema declares
/// (`ClassLabel`).
///
/// # Errors
/// As [`info`] and [`declared`].
pub(crate) fn class_names(
    path: &Path,
    schema: &Schema,
    column: &str,
) -> Result<Option<Vec<String>>> {
    match info(path, schema)? {
        Some(info) => declared(path, &info, column),
        None => Ok(None),
    }
}

/// The names of the classes of `column` in `info`, which holds the key `features`: in the order of
/// their numbers.
///
/// # Errors
/// [`Error::Malformed`] when there are none, too many, or one twice.
pub(crate) fn declared(path: &Path, info: &Value, column: &str) -> Result<Option<Vec<String>>> {
    let feature = info.get("features").and_then(|f| f.get(column));
    let Some(names) = feature
        .and_then(|f| f.get("names"))
        .and_then(Value::as_array)
    else {
        return Ok(None);
    };
    let names: Vec<String> = names
        .iter()
        .map(|n| n.as_str().map_or_else(|| n.to_string(), str::to_string))
        .collect();
    let distinct: HashSet<&String> = names.iter().collect();
    if distinct.len() != names.len() || !(1..=MOST_CLASSES).contains(&names.len()) {
        let found = format!("{} names, {} of them distinct", names.len(), distinct.len());
        let expected = format!("1 to {MOST_CLASSES} names of classes, each once");
        let place = format!("the names of `{column}`");
        return Err(Error::malformed(path, place, found, expected));
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_those_of_a_class_label() {
        let names = |json: &str| {
            let metadata = [(METADATA_KEY.to_string(), json.to_string())];
            let schema = Schema::new_with_metadata(Vec::<Field>::new(), metadata);
            class_names(Path::new("d"), &schema, "label")
        };
        let label = r#"{"info":{"features":{"label":{"names":["a","b"],"_type":"ClassLabel"}}}}"#;
        assert_eq!(names(label).unwrap().unwrap(), ["a", "b"]);
        let value = r#"{"info":{"features":{"label":{"dtype":"int64","_type":"Value"}}}}"#;
        assert_eq!(names(value).unwrap(), None);
        assert_eq!(names("{}").unwrap(), None);
        assert_eq!(
            class_names(Path::new("d"), &Schema::empty(), "label").unwrap(),
            None
        );
        let error = names("{").unwrap_err().to_string();
        assert!(error.contains("metadata `huggingface`"), "{error}");
    }

    #[test]
    fn lists_that_are_none_are_refused() {
        let many: Vec<_> = (0..=MOST_CLASSES).map(|i| i.to_string()).collect();
        for bad in [vec![], many, vec!["a".into(), "a".into()]] {
            let info = json!({"features": {"label": {"names": bad}}});
            let error = declared(Path::new("d"), &info, "label").unwrap_err();
            assert!(error.to_string().contains("names of classes"), "{error}");
        }
    }
}
