//! FlauBERT's `vocab.json` and `merges.txt`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::super::files::{JsonFile, read_text};
use super::moses::characters::{SPACE, characters};
use crate::error::{Error, Result};

/// Most merges; FlauBERT has 50,000. Each takes fifty times the bytes of the shortest one in the file.
const MOST_MERGES: usize = 1 << 21;

/// Read `vocab.json`: from token to id.
///
/// # Errors
/// When the file is missing or malformed, or an id is no id.
pub(crate) fn read_vocabulary(folder: &Path) -> Result<HashMap<String, u32>> {
    require(folder, "vocab.json")?;
    let file = JsonFile::open(folder, "vocab.json")?;
    let read = |(token, value): (&String, &Value)| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(|id| (token.clone(), id))
            .ok_or_else(|| file.wrong(token, value, "a token id"))
    };
    file.entries.iter().map(read).collect()
}

/// Read `merges.txt`: the pairs in the order of their ranks. There may be a header and a third column (a count); what
/// stands after the last line end does not count, as in the Python class.
///
/// # Errors
/// When the file is missing or a line holds no pair.
pub(crate) fn read_merges(folder: &Path) -> Result<Vec<(String, String)>> {
    let path = require(folder, "merges.txt")?;
    let text = read_text(&path)?.replace("\r\n", "\n").replace('\r', "\n");
    let Some((lines, _)) = text.rsplit_once('\n') else {
        return Ok(Vec::new());
    };
    let is_space = |c: char| characters().is(c as u32, SPACE);
    let read = |(number, line): (usize, &str)| {
        if number == MOST_MERGES {
            let place = format!("line {}", number + 1);
            let expected = format!("{MOST_MERGES} merges at most");
            return Err(Error::malformed(&path, place, "another merge", expected));
        }
        let mut fields = line.split(is_space).filter(|field| !field.is_empty());
        match (fields.next(), fields.next()) {
            (Some(left), Some(right)) => Ok((left.to_string(), right.to_string())),
            _ => Err(Error::malformed(
                &path,
                format!("line {}", number + 1),
                format!("{line:?}"),
                "two symbols with a space between them",
            )),
        }
    };
    lines.split('\n').enumerate().map(read).collect()
}

fn require(folder: &Path, name: &str) -> Result<std::path::PathBuf> {
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::NotFound {
        what: path.display().to_string(),
        remedy: "a FlauBERT tokenizer needs vocab.json and merges.txt: copy them from the checkpoint's page".into(),
    })
}
