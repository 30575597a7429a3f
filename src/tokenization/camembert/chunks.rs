//! The fast way through a `tokenizer.json` whose words do not see each other.
//!
//! With a Metaspace pre-tokenizer and a normaliser that leaves a single space between ordinary characters alone, a text
//! can be cut at such spaces, and the tokens of the chunks are the tokens of the text: each chunk is looked up in a cache
//! and only unknown ones go through the tokenizers crate. Whatever is out of the ordinary (runs of spaces, line ends,
//! combining characters, added tokens and their neighbours) stays inside a chunk and is the crate's affair.

use std::ops::Range;

use memchr::memchr;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{NormalizedString, Normalizer, PreTokenizerWrapper, Tokenizer};

/// Characters that may be ordinary: those below this, and general punctuation. None of them joins its neighbours.
const LATIN_END: usize = 0x300;
const PUNCTUATION: Range<usize> = 0x2010..0x2028;

/// Which characters are ordinary: not white space, left alone by the normaliser, and at neither end of an added token.
pub(super) struct Chunks {
    latin: Vec<bool>,
    punctuation: Vec<bool>,
}

impl Chunks {
    /// The chunks of a tokenizer; `None` where its words may see each other.
    pub(super) fn new(tokenizer: &Tokenizer) -> Option<Self> {
        let local = tokenizer.get_pre_tokenizer().is_some_and(splits_words)
            && tokenizer.get_normalizer().is_none_or(is_local);
        let added = tokenizer.get_added_tokens_decoder();
        let contents = || added.values().map(|token| token.content.as_str());
        if !local || contents().any(|content| content.contains(char::is_whitespace)) {
            return None;
        }
        let mut edges: Vec<char> = contents().flat_map(ends).collect();
        if let Some(normalizer) = tokenizer.get_normalizer() {
            // Some are looked for in the normalised text.
            for content in contents() {
                let mut normalized = NormalizedString::from(content);
                normalizer.normalize(&mut normalized).ok()?;
                edges.extend(ends(normalized.get()));
            }
        }
        let ordinary = |code: usize| {
            char::from_u32(code as u32)
                .is_some_and(|c| !edges.contains(&c) && is_inert(tokenizer.get_normalizer(), c))
        };
        Some(Self {
            latin: (0..LATIN_END).map(ordinary).collect(),
            punctuation: PUNCTUATION.map(ordinary).collect(),
        })
    }

    /// Where the chunk that starts at `start` ends: at a space between ordinary characters, or with the text.
    pub(super) fn end(&self, bytes: &[u8], start: usize) -> usize {
        let mut at = start;
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b' ', rest)) {
            let space = at + found;
            if space > start && self.ends(bytes, space) && self.starts(bytes, space + 1) {
                return space;
            }
            at = space + 1;
        }
        bytes.len()
    }

    /// The characters that are ordinary in both.
    pub(super) fn common(&self, other: &Self) -> Self {
        let both = |one: &[bool], other: &[bool]| {
            let pairs = one.iter().zip(other);
            pairs.map(|(one, other)| *one && *other).collect()
        };
        Self {
            latin: both(&self.latin, &other.latin),
            punctuation: both(&self.punctuation, &other.punctuation),
        }
    }

    /// Whether a text is made of ordinary characters with single spaces between them. Every tokenizer whose chunks these are
    /// then leaves it as it is and cuts it at its spaces, so that with the same model its tokens are the same.
    pub(super) fn are_all_of(&self, text: &str) -> bool {
        let mut after_space = true;
        for character in text.chars() {
            let space = character == ' ';
            if space && after_space || !space && !self.is_ordinary(character as usize) {
                return false;
            }
            after_space = space;
        }
        !after_space || text.is_empty()
    }

    fn is_ordinary(&self, code: usize) -> bool {
        let known = match self.latin.get(code) {
            None => code
                .checked_sub(PUNCTUATION.start)
                .and_then(|i| self.punctuation.get(i)),
            known => known,
        };
        known.copied().unwrap_or(false)
    }

    /// Whether an ordinary character starts at `at`.
    fn starts(&self, bytes: &[u8], at: usize) -> bool {
        match bytes.get(at..).unwrap_or_default() {
            [a @ 0..0x80, ..] => self.latin[*a as usize],
            [a @ 0xC0..0xE0, b, ..] => self.is_ordinary(two(*a, *b)),
            [a @ 0xE0..0xF0, b, c, ..] => self.is_ordinary(three(*a, *b, *c)),
            _ => false,
        }
    }

    /// Whether an ordinary character ends just before `at`.
    fn ends(&self, bytes: &[u8], at: usize) -> bool {
        match bytes.get(..at).unwrap_or_default() {
            [.., a @ 0..0x80] => self.latin[*a as usize],
            [.., a @ 0xC0..0xE0, b] => self.is_ordinary(two(*a, *b)),
            [.., a @ 0xE0..0xF0, b, c] => self.is_ordinary(three(*a, *b, *c)),
            _ => false,
        }
    }
}

/// The first and the last character of a text.
fn ends(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .next()
        .into_iter()
        .chain(text.chars().next_back())
}

fn two(a: u8, b: u8) -> usize {
    (a as usize & 0x1F) << 6 | (b as usize & 0x3F)
}

fn three(a: u8, b: u8, c: u8) -> usize {
    (a as usize & 0x0F) << 12 | (b as usize & 0x3F) << 6 | (c as usize & 0x3F)
}

/// Whether every word is cut off at its space and starts with Metaspace's mark, the first included.
fn splits_words(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    let metaspace =
        |m: &Metaspace| m.get_prepend_scheme() == PrependScheme::Always && m.get_split();
    match pre_tokenizer {
        PreTokenizerWrapper::Metaspace(m) => metaspace(m),
        PreTokenizerWrapper::Sequence(all) => {
            let (mut last, mut others) = (false, true);
            for step in all.as_ref() {
                others &= !last;
                match step {
                    PreTokenizerWrapper::Metaspace(m) => last = metaspace(m),
                    PreTokenizerWrapper::WhitespaceSplit(_) => {}
                    _ => others = false,
                }
            }
            last && others
        }
        _ => false,
    }
}

/// Whether a normaliser works on each side of a single space without regard to the other.
fn is_local(normalizer: &NormalizerWrapper) -> bool {
    match normalizer {
        NormalizerWrapper::Sequence(all) => all.as_ref().iter().all(is_local),
        NormalizerWrapper::Replace(replace) => {
            let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(replace) else {
                return false;
            };
            let pattern = fields.get("pattern").cloned().map(serde_json::from_value);
            match pattern {
                Some(Ok(ReplacePattern::Regex(regex))) => {
                    matches!(
                        regex.as_str(),
                        r" {2,}" | r"\s{2,}|[\n\r\t]" | r"\s{2,}" | r"[\n\r\t]"
                    )
                }
                Some(Ok(ReplacePattern::String(text))) => {
                    !text.trim().is_empty() && !text.contains(char::is_whitespace)
                }
                _ => false,
            }
        }
        NormalizerWrapper::Precompiled(_)
        | NormalizerWrapper::StripNormalizer(_)
        | NormalizerWrapper::Lowercase(_)
        | NormalizerWrapper::NFC(_)
        | NormalizerWrapper::NFD(_)
        | NormalizerWrapper::NFKC(_)
        | NormalizerWrapper::NFKD(_)
        | NormalizerWrapper::Nmt(_) => true,
        _ => false,
    }
}

/// Whether a character is no white space and comes through the normaliser as it is, also beside a space.
fn is_inert(normalizer: Option<&NormalizerWrapper>, character: char) -> bool {
    if character.is_whitespace() || character.is_control() {
        return false;
    }
    let Some(normalizer) = normalizer else {
        return true;
    };
    let text = format!("a{character} {character} a");
    let mut normalized = NormalizedString::from(text.as_str());
    normalizer.normalize(&mut normalized).is_ok() && normalized.get() == text
}
