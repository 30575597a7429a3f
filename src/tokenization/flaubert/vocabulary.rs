//! FlauBERT's `vocab.json` and `merges.txt`, and the merges by their pair of symbols.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::super::files::{JsonFile, read_text};
use super::moses::characters::{SPACE, characters};
use crate::error::{Error, Result};

/// Most merges; FlauBERT has 50,000. Each takes fifty times the bytes of the shortest one in the
/// file.
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

/// Read `merges.txt`: the pairs in the order of their ranks. There may be a header and a third
/// column (a count); what stands after the last line end does not count, as in the Python class.
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

/// A symbol that no merge knows.
pub(crate) const UNKNOWN: u32 = u32::MAX;
/// The rank of a pair that is not merged.
pub(crate) const NO_MERGE: u32 = u32::MAX;

/// From a pair of symbols to its rank and the symbol it becomes: open addressing over a power of
/// two.
pub(crate) struct PairTable {
    entries: Vec<PairEntry>,
    mask: usize,
}

#[derive(Clone, Copy)]
struct PairEntry {
    pair: (u32, u32),
    rank: u32,
    merged: u32,
}

impl PairTable {
    /// A table with room for some pairs.
    pub(crate) fn with_capacity(pairs: usize) -> Self {
        let size = (pairs.max(4) * 2).next_power_of_two();
        let empty = PairEntry {
            pair: (UNKNOWN, UNKNOWN),
            rank: NO_MERGE,
            merged: UNKNOWN,
        };
        Self {
            entries: vec![empty; size],
            mask: size - 1,
        }
    }

    fn slot(&self, pair: (u32, u32)) -> usize {
        let key = u64::from(pair.0) << 32 | u64::from(pair.1);
        let mut slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & self.mask;
        while self.entries[slot].pair != pair && self.entries[slot].rank != NO_MERGE {
            slot = (slot + 1) & self.mask;
        }
        slot
    }

    /// Give a pair its rank and result; the last of several counts.
    pub(crate) fn insert(&mut self, pair: (u32, u32), (rank, merged): (u32, u32)) {
        let slot = self.slot(pair);
        self.entries[slot] = PairEntry { pair, rank, merged };
    }

    /// The rank of a pair, [`NO_MERGE`] when it is not merged.
    #[inline]
    pub(crate) fn rank(&self, left: u32, right: u32) -> u32 {
        self.entries[self.slot((left, right))].rank
    }

    /// What a pair that is merged becomes.
    #[inline]
    pub(crate) fn merged(&self, left: u32, right: u32) -> u32 {
        self.entries[self.slot((left, right))].merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_and_others_are_not() {
        let mut table = PairTable::with_capacity(1000);
        for i in 0..1000 {
            table.insert((i, 2 * i), (i, i + 5000));
        }
        table.insert((7, 14), (2000, 5007));
        assert_eq!(table.rank(7, 14), 2000, "the last rank counts");
        for i in (0..1000).filter(|i| *i != 7) {
            assert_eq!(table.rank(i, 2 * i), i);
            assert_eq!(table.merged(i, 2 * i), i + 5000);
            assert_eq!(table.rank(i, 2 * i + 1), NO_MERGE);
        }
        assert_eq!(table.rank(UNKNOWN, UNKNOWN), NO_MERGE);
    }
}
