//! What stands between a stranger's tokenizer and the tokenizers crate, which takes numbers for
//! granted and memory by their word: panics are caught, and bounds are set to a file's maps of
//! characters, to the template around a text, and to a normaliser's steps. Thirty steps that each
//! double a text fill any memory. The steps of published files cannot do that: what each may add,
//! multiplied, stays small. With any others a text goes through them one by one first.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::{NormalizedString, Normalizer, Tokenizer};

use super::super::files::{self, JsonFile};
use crate::error::{self, Error, contain};

/// Most values of a post-processor. Its template may name a special token of many ids again and
/// again.
const LARGEST_TEMPLATE: usize = 1000;

/// Steps that together make a text at most this many times as long need no look at each text.
const TAME: usize = 1 << 10;
/// Others may make it so many times as long, and a short one so many bytes longer.
const MOST_TIMES: usize = 16;
const MORE: usize = 256;
/// No step is run that could leave more bytes than this.
const LARGEST: usize = 1 << 26;

/// Most bytes of a text that a character becomes; in the published maps 33. A text may hold that
/// character many times.
const LONGEST_REPLACEMENT: usize = 64;

/// Check every `precompiled_charsmap` in a `tokenizer.json`.
fn check_charsmaps(json: &Value) -> Result<(), String> {
    match json {
        Value::Array(values) => values.iter().try_for_each(check_charsmaps),
        Value::Object(entries) => entries.iter().try_for_each(|(key, value)| match value {
            Value::String(text) if key == "precompiled_charsmap" => {
                check_charsmap(&STANDARD.decode(text).map_err(|e| e.to_string())?)
            }
            other => check_charsmaps(other),
        }),
        _ => Ok(()),
    }
}

/// Require that SentencePiece's map of characters is no longer than its bytes, where the crate
/// would take memory by its word, and that no character becomes a long text.
///
/// The bytes are the length of a trie, the trie, and the texts that its values point to, each up to
/// a zero byte. A trie that leads astray ends in a panic of the crate, which [`contained`] catches.
pub(super) fn check_charsmap(map: &[u8]) -> Result<(), String> {
    let (length, rest) = map.split_first_chunk().ok_or("no length")?;
    let length = u32::from_le_bytes(*length) as usize;
    let texts = rest.get(length..).ok_or("a trie longer than the map")?;
    let mut texts = texts.split(|byte| *byte == 0);
    match texts.any(|text| text.len() > LONGEST_REPLACEMENT) {
        true => Err("a text that is too long for one character".into()),
        false => Ok(()),
    }
}

/// The crate at work, its panics over what a file holds taken for errors.
pub(super) fn contained<R>(work: impl FnOnce() -> tokenizers::Result<R>) -> tokenizers::Result<R> {
    contain(work).unwrap_or_else(|panic| Err(panic.into()))
}

/// The error for a tokenizer that cannot cope with a text: its expressions look back too often, or
/// its parts do not fit.
pub(super) fn unfit(path: &Path, found: impl std::fmt::Display) -> Error {
    let expected = "a tokenizer that takes every text: compare it with the published one";
    Error::malformed(path, "", found, expected)
}

/// The error for a normaliser that makes a text too long.
pub(super) fn too_long(path: &Path, found: String) -> Error {
    let expected = "steps that leave a text about as long as it is";
    Error::malformed(path, "normalizer", found, expected)
}

/// Read a `tokenizer.json`.
pub(super) fn read_json(path: &Path) -> error::Result<(Tokenizer, JsonFile)> {
    let malformed = |place: &str, found: String| {
        Error::malformed(path, place, found, "a tokenizer of the tokenizers crate")
    };
    let text = files::read_json(path)?;
    let json: Value = serde_json::from_str(&text).map_err(|e| malformed("", e.to_string()))?;
    check_charsmaps(&json).map_err(|found| malformed("precompiled_charsmap", found))?;
    check_added(path, &json)?;
    let size = json.get("post_processor").map_or(0, values_in);
    if size > LARGEST_TEMPLATE {
        let expected = format!("at most {LARGEST_TEMPLATE}: a few special tokens around a text");
        let found = format!("{size} values");
        return Err(Error::malformed(path, "post_processor", found, expected));
    }
    let inner = contained(|| Tokenizer::from_bytes(&text));
    let inner = inner.map_err(|e| malformed("", e.to_string()))?;
    let Value::Object(entries) = json else {
        return Err(malformed("", "something other than an object".into()));
    };
    let path = path.to_path_buf();
    Ok((inner, JsonFile { path, entries }))
}

/// Try the added tokens of a `tokenizer.json` on its normaliser: reading the file normalises them.
fn check_added(path: &Path, json: &Value) -> error::Result<()> {
    // One that does not parse is refused with the file.
    let normalizer = json.get("normalizer").cloned().map(serde_json::from_value);
    let growth = Growth::of(normalizer.and_then(Result::ok).as_ref());
    let added = json.get("added_tokens").and_then(Value::as_array);
    let tokens = added.into_iter().flatten();
    let mut contents = tokens.filter_map(|token| token.get("content")?.as_str());
    contents
        .try_for_each(|content| growth.check(content))
        .map_err(|found| too_long(path, found))
}

/// How many values a JSON value is made of.
fn values_in(json: &Value) -> usize {
    1 + match json {
        Value::Array(values) => values.iter().map(values_in).sum(),
        Value::Object(entries) => entries.values().map(values_in).sum(),
        _ => 0usize,
    }
}

/// The normaliser of a tokenizer, when texts must be tried on it.
pub(super) struct Growth(Option<NormalizerWrapper>);

impl Growth {
    /// Look at a normaliser.
    pub(super) fn of(normalizer: Option<&NormalizerWrapper>) -> Self {
        Self(normalizer.filter(|n| times(n) > TAME).cloned())
    }

    /// Whether any text may go through without a look at it.
    pub(super) fn is_tame(&self) -> bool {
        self.0.is_none()
    }

    /// Require that a text stays within bounds at every step.
    ///
    /// # Errors
    /// What becomes of the text, in words.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        let Some(normalizer) = &self.0 else {
            return Ok(());
        };
        let most = text.len().saturating_mul(MOST_TIMES).saturating_add(MORE);
        let mut normalized = NormalizedString::from(text);
        contain(|| run(normalizer, &mut normalized, most))?
            .map_err(|found| format!("{found} made of a text of {} bytes", text.len()))
    }
}

/// Run the steps of a normaliser one by one, as long as the text stays below `most` bytes.
fn run(step: &NormalizerWrapper, text: &mut NormalizedString, most: usize) -> Result<(), String> {
    if let NormalizerWrapper::Sequence(steps) = step {
        return (steps.as_ref().iter()).try_for_each(|step| run(step, text, most));
    }
    let could = text.get().len().saturating_mul(times(step));
    if could > LARGEST {
        return Err(format!("up to {could} bytes"));
    }
    step.normalize(text).map_err(|e| e.to_string())?;
    match text.get().len() {
        length if length > most => Err(format!("{length} bytes")),
        _ => Ok(()),
    }
}

/// How many times as long as before a text can be after a normaliser, at most.
fn times(normalizer: &NormalizerWrapper) -> usize {
    use NormalizerWrapper::*;
    match normalizer {
        Sequence(steps) => {
            let all = steps.as_ref().iter().map(times);
            all.fold(1, usize::saturating_mul)
        }
        StripNormalizer(_) | StripAccents(_) | Nmt(_) => 1,
        Lowercase(_) | ByteLevel(_) => 2,
        NFC(_) | NFD(_) => 4,
        NFKC(_) | NFKD(_) => 12,
        // Spaces around ideographs, NFD, lower case.
        BertNormalizer(_) => 16,
        Precompiled(_) => LONGEST_REPLACEMENT,
        // A pattern may match the empty text at every place.
        Replace(replace) => replace.content.len().saturating_add(1),
        Prepend(prepend) => prepend.prepend.len().saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(json: &str) -> Growth {
        Growth::of(Some(&serde_json::from_str(json).unwrap()))
    }

    /// A sequence of `n` steps that replace a pattern.
    fn steps(n: usize, pattern: &str, content: &str) -> String {
        let step = format!(
            r#"{{"type": "Replace", "pattern": {{"String": "{pattern}"}}, "content": "{content}"}}"#
        );
        format!(
            r#"{{"type": "Sequence", "normalizers": [{}]}}"#,
            vec![step; n].join(", ")
        )
    }

    #[test]
    fn few_short_replacements_need_no_look_at_the_text() {
        assert!(Growth::of(None).is_tame());
        assert!(growth(r#"{"type": "NFKC"}"#).is_tame());
        assert!(growth(&steps(9, "a", "b")).is_tame());
        assert!(!growth(&steps(11, "a", "b")).is_tame());
        assert!(!growth(&steps(1, "a", &"b".repeat(TAME))).is_tame());
        assert_eq!(
            growth(&steps(9, "a", "b")).check(&"a".repeat(1 << 20)),
            Ok(())
        );
    }

    #[test]
    fn a_text_that_grows_at_every_step_is_refused_early() {
        let doubling = growth(&steps(40, "a", "aa"));
        assert_eq!(doubling.check("un livre"), Ok(()));
        assert_eq!(
            doubling.check("la"),
            Err("513 bytes made of a text of 2 bytes".into())
        );
        let long = growth(&steps(1, "a", &"b".repeat(1 << 20)));
        assert_eq!(long.check(""), Ok(()));
        assert!(long.check("a").unwrap_err().starts_with("1048576 bytes"));
        assert!(
            long.check(&"x".repeat(64))
                .unwrap_err()
                .starts_with("up to")
        );
        // As many steps that change one letter for another are no harm.
        assert_eq!(
            growth(&steps(40, "a", "b")).check(&"a".repeat(1 << 12)),
            Ok(())
        );
    }

    #[test]
    fn maps_of_characters_are_no_longer_than_they_say() {
        let json = |map: &[u8]| {
            let map = STANDARD.encode(map);
            check_charsmaps(&serde_json::json!({"normalizer": [{"precompiled_charsmap": map}]}))
        };
        let error = |map: &[u8]| json(map).unwrap_err();
        assert_eq!(error(b"abc"), "no length");
        assert_eq!(error(b"\xff\xff\xff\x7f"), "a trie longer than the map");
        let texts = |n: usize| [&b"\0\0\0\0a\0"[..], &b"x".repeat(n), b"\0"].concat();
        assert_eq!(json(&texts(LONGEST_REPLACEMENT)), Ok(()));
        let long = error(&texts(LONGEST_REPLACEMENT + 1));
        assert_eq!(long, "a text that is too long for one character");
        let other = serde_json::json!({"precompiled_charsmap": "?", "normalizer": null});
        assert!(check_charsmaps(&other).is_err());
        assert_eq!(
            check_charsmaps(&serde_json::json!({"normalizer": null})),
            Ok(())
        );
    }

    #[test]
    fn a_trie_that_leads_astray_ends_in_an_error() {
        // An empty trie, and one whose root points far beyond it.
        for map in [&b"\0\0\0\0"[..], b"\x04\0\0\0\xff\xff\xff\x7f"] {
            check_charsmap(map).unwrap();
            let normalized = contained(|| {
                let map = tokenizers::normalizers::Precompiled::from(map)?;
                map.normalize(&mut NormalizedString::from("a"))
            });
            assert!(normalized.unwrap_err().to_string().contains("damaged data"));
        }
    }
}
