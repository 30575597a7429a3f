//! Checking a SentencePiece `precompiled_charsmap` before the tokenizers crate (through `spm_precompiled`) takes its
//! numbers for granted: it reads outside its lists, and ends the program, where they lead astray.
//!
//! The bytes are the length of a double-array trie, the trie (as darts-clone writes it, 32 bits a unit), and the texts
//! that its values point to, each up to a zero byte.

use serde_json::Value;

/// Numbers of a block: a node's children lie in one.
const BLOCK: usize = 256;
/// Most bytes of a text that a character becomes; in the published maps 33. A text may hold that character many times.
pub(super) const LONGEST: usize = 64;

/// Why a map cannot be used.
type Refusal = &'static str;

/// Require that every way through the map's trie stays inside it and that every value is the start of a text.
pub(super) fn check(map: &[u8]) -> Result<(), Refusal> {
    let (length, rest) = map.split_first_chunk().ok_or("no length")?;
    let length = u32::from_le_bytes(*length) as usize;
    let trie = rest.get(..length).ok_or("a trie longer than the map")?;
    let texts = std::str::from_utf8(rest.get(length..).unwrap_or_default());
    let texts = texts.map_err(|_| "texts that are no UTF-8")?;
    let (units, []) = trie.as_chunks() else {
        return Err("a trie of broken units");
    };
    let units: Vec<u32> = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    let root = offset(*units.first().ok_or("an empty trie")?);
    let mut seen = vec![false; units.len()];
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        let astray = "a trie that leads outside itself";
        if node | (BLOCK - 1) >= units.len() {
            return Err(astray);
        }
        if std::mem::replace(&mut seen[node], true) {
            continue;
        }
        for byte in 1..BLOCK {
            let unit = units[node ^ byte];
            if unit & (1 << 31 | 0xFF) != byte as u32 {
                continue;
            }
            let child = node ^ byte ^ offset(unit);
            if unit >> 8 & 1 == 1 {
                let value = *units.get(child).ok_or(astray)? & !(1 << 31);
                if !texts.is_char_boundary(value as usize) {
                    return Err("a value that is no start of a text");
                }
                let text = texts.as_bytes().iter().skip(value as usize);
                if text.take_while(|byte| **byte != 0).nth(LONGEST).is_some() {
                    return Err("a text that is too long for one character");
                }
            }
            open.push(child);
        }
    }
    Ok(())
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) as usize) << ((unit & (1 << 9)) >> 6)
}

/// [`check`] every map in a `tokenizer.json`.
pub(super) fn check_all(json: &Value) -> Result<(), Refusal> {
    match json {
        Value::Array(values) => values.iter().try_for_each(check_all),
        Value::Object(entries) => entries.iter().try_for_each(|(key, value)| match value {
            Value::String(text) if key == "precompiled_charsmap" => {
                check(&base64(text).ok_or("a map that is not in base 64")?)
            }
            other => check_all(other),
        }),
        _ => Ok(()),
    }
}

/// The bytes behind base 64 with its padding (RFC 4648).
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        Some(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for four in digits.chunks(4) {
        let mut bits = 0u32;
        for (i, &byte) in four.iter().enumerate() {
            bits |= u32::from(digit(byte)?) << (18 - 6 * i);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map with a trie of one block, whose root is at 0 with children at their bytes, and a text.
    fn map(units: &[(usize, u32)], text: &[u8]) -> Vec<u8> {
        let mut trie = vec![0u32; BLOCK];
        for &(at, unit) in units {
            trie[at] = unit;
        }
        let mut bytes = (4 * BLOCK as u32).to_le_bytes().to_vec();
        bytes.extend(trie.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend_from_slice(text);
        bytes
    }

    #[test]
    fn maps_that_lead_astray_are_refused() {
        // From "A" to the value at the place of the leaf, which is `A ^ 1`.
        let leaf = |offset: u32| 65 | 1 << 8 | offset << 10;
        assert_eq!(
            check(&map(&[(65, leaf(1)), (64, 1 << 31 | 2)], b"a\0b\0")),
            Ok(())
        );
        let error = |bytes: &[u8]| check(bytes).unwrap_err();
        assert_eq!(error(b"abc"), "no length");
        assert_eq!(error(b"\xff\xff\xff\x7f"), "a trie longer than the map");
        assert_eq!(error(b"\x00\x00\x00\x00ab"), "an empty trie");
        assert_eq!(error(b"\x02\x00\x00\x00ab"), "a trie of broken units");
        let astray = map(&[(65, leaf(1 << 20))], b"");
        assert_eq!(error(&astray), "a trie that leads outside itself");
        assert_eq!(
            error(&map(&[(0, 1 << 30)], b"")),
            "a trie that leads outside itself"
        );
        let value = |v: u32| map(&[(65, leaf(1)), (64, v)], "é\0".as_bytes());
        assert_eq!(error(&value(1)), "a value that is no start of a text");
        assert_eq!(error(&value(9)), "a value that is no start of a text");
        assert_eq!(error(&map(&[], b"\xff")), "texts that are no UTF-8");
        let long = |n: usize| {
            map(
                &[(65, leaf(1)), (64, 1)],
                &[b"\0", &b"x".repeat(n)[..]].concat(),
            )
        };
        assert_eq!(check(&long(LONGEST)), Ok(()));
        assert_eq!(
            error(&long(LONGEST + 1)),
            "a text that is too long for one character"
        );
    }

    #[test]
    fn maps_are_found_in_a_tokenizer() {
        assert_eq!(base64("TWFu").unwrap(), b"Man");
        assert_eq!(base64("TWE=").unwrap(), b"Ma");
        assert_eq!(base64("TQ==").unwrap(), b"M");
        assert_eq!(base64("T!").as_deref(), None);
        let json = |map: &str| serde_json::json!({"normalizer": [{"precompiled_charsmap": map}]});
        assert_eq!(check_all(&json("AAAAAA==")), Err("an empty trie"));
        assert_eq!(check_all(&json("?")), Err("a map that is not in base 64"));
        assert_eq!(check_all(&serde_json::json!({"normalizer": null})), Ok(()));
    }
}
