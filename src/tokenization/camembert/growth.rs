//! A normaliser out of a tokenizer.json, held to leaving texts about as long as they are: thirty steps that each double
//! a text fill any memory.
//!
//! The steps of published files cannot do that: what each may add, multiplied, stays small. With any others a text goes
//! through them one by one first.

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::{NormalizedString, Normalizer};

use super::charsmap;
use crate::error::contain;

/// Steps that together make a text at most this many times as long need no look at each text.
const TAME: usize = 1 << 10;
/// Others may make it so many times as long, and a short one so many bytes longer.
const MOST_TIMES: usize = 16;
const MORE: usize = 256;
/// No step is run that could leave more bytes than this.
const LARGEST: usize = 1 << 26;

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
        Precompiled(_) => charsmap::LONGEST,
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
}
