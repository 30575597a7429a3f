//! A tokenizer of the tokenizers crate at work: chunks that were met before are looked up, the rest
//! goes through the crate.
//!
//! With a Metaspace pre-tokenizer and a normaliser that leaves a single space between ordinary
//! characters alone, a text can be cut at such spaces, and the tokens of the chunks are the tokens
//! of the text. Whatever is out of the ordinary (runs of spaces, line ends, combining characters,
//! added tokens and their neighbours) stays inside a chunk and is the crate's affair.

use std::ops::Range;
use std::path::{Path, PathBuf};

use memchr::memchr;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{NormalizedString, Normalizer, PreTokenizerWrapper, Tokenizer};

use super::super::word_cache::{Pool, WordCache};
use super::super::{AlignedEncoding, Encoding, Offsets, Side};
use super::guard::{Growth, contained, too_long, unfit};
use crate::error::{Error, Result};

/// What shows the special tokens around a text.
const SHORT_TEXT: &str = "a";

/// What a thread keeps between two texts.
pub(super) type Cache = WordCache<u32>;

/// A tokenizer, its special tokens around a text, and what makes it fast.
pub(super) struct Pipeline {
    /// The file that it came from, for messages.
    path: PathBuf,
    pub(super) inner: Tokenizer,
    /// Whether texts must be tried on its normaliser.
    growth: Growth,
    /// How texts are cut so that known chunks need not go through the crate, where that is
    /// possible.
    pub(super) chunks: Option<Chunks>,
    /// Special tokens before and after a text.
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
    pub(super) truncation: Side,
    caches: Pool<Cache>,
}

impl Pipeline {
    /// Put a tokenizer to work.
    ///
    /// # Errors
    /// When it cannot cope with a short text.
    pub(super) fn new(path: &Path, inner: Tokenizer, truncation: Side) -> Result<Self> {
        let failed = |e| Error::malformed(path, "", e, "a usable tokenizer");
        let growth = Growth::of(inner.get_normalizer());
        growth
            .check(SHORT_TEXT)
            .map_err(|found| too_long(path, found))?;
        let (before, after) = contained(|| special_ids(&inner)).map_err(failed)?;
        let chunks = match growth.is_tame() {
            true => contained(|| Ok(Chunks::new(&inner))).map_err(failed)?,
            false => None,
        };
        Ok(Self {
            path: path.to_path_buf(),
            inner,
            growth,
            chunks,
            before,
            after,
            truncation,
            caches: Pool::new(),
        })
    }

    /// How many special tokens stand around a text.
    pub(super) fn special_tokens(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Lend a thread what it keeps between two texts.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut Cache) -> R) -> R {
        self.caches.lend(work)
    }

    fn check_growth(&self, text: &str) -> Result<()> {
        let checked = self.growth.check(text);
        checked.map_err(|found| too_long(&self.path, found))
    }

    /// The tokens of a text, at most `room` of them beside the special ones.
    pub(super) fn encode(&self, text: &str, room: usize, cache: &mut Cache) -> Result<Encoding> {
        let mut ids = self.before.clone();
        let limit = room.saturating_add(self.before.len());
        // Whoever keeps the end of a text must have seen all of it.
        let enough = match self.truncation {
            Side::Right => limit,
            Side::Left => usize::MAX,
        };
        let mut at = 0;
        while at < text.len() && ids.len() <= enough {
            let end = match &self.chunks {
                Some(chunks) => chunks.end(text.as_bytes(), at),
                None => text.len(),
            };
            let tokens = cache.get_or_encode(&text.as_bytes()[at..end], |_, tokens| {
                self.check_growth(&text[at..end])?;
                let encoding = contained(|| self.inner.encode_fast(&text[at..end], false));
                let encoding = encoding.map_err(|e| unfit(&self.path, e))?;
                tokens.extend_from_slice(encoding.get_ids());
                Ok::<_, Error>(())
            })?;
            ids.extend_from_slice(tokens);
            at = end + 1;
        }
        let truncated = ids.len() > limit;
        match self.truncation {
            Side::Right => ids.truncate(limit),
            Side::Left => {
                let first = self.before.len();
                let end = ids.len().saturating_sub(room).max(first);
                ids.drain(first..end);
            }
        }
        ids.extend_from_slice(&self.after);
        Ok(Encoding { ids, truncated })
    }

    /// The same with the places of the tokens in the text.
    pub(super) fn encode_aligned(&self, text: &str, room: usize) -> Result<AlignedEncoding> {
        self.check_growth(text)?;
        let encoding = contained(|| self.inner.encode(text, false));
        let mut encoding = encoding.map_err(|e| unfit(&self.path, e))?;
        let truncated = encoding.len() > room;
        let direction = match self.truncation {
            Side::Right => TruncationDirection::Right,
            Side::Left => TruncationDirection::Left,
        };
        encoding.truncate(encoding.len().min(room), 0, direction);
        let encoding = contained(|| self.inner.post_process(encoding, None, true));
        let encoding = encoding.map_err(Error::compute("adding special tokens"))?;
        let offsets = Offsets::new(text);
        let offset = |&(start, end): &(usize, usize)| offsets.offset(start..end);
        Ok(AlignedEncoding {
            offsets: encoding.get_offsets().iter().map(offset).collect(),
            word_ids: encoding.get_word_ids().to_vec(),
            encoding: Encoding {
                ids: encoding.get_ids().to_vec(),
                truncated,
            },
        })
    }
}

/// The ids that the post-processor puts before and after a text.
fn special_ids(inner: &Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let encoding = inner.encode(SHORT_TEXT, true)?;
    let marks = encoding.get_special_tokens_mask();
    let before = marks.iter().take_while(|mark| **mark == 1).count();
    let after = marks.iter().rev().take_while(|mark| **mark == 1).count();
    let ids = encoding.get_ids();
    Ok((ids[..before].to_vec(), ids[ids.len() - after..].to_vec()))
}

/// Characters that may be ordinary: those below this, and general punctuation. None of them joins
/// its neighbours.
const LATIN_END: usize = 0x300;
const PUNCTUATION: Range<usize> = 0x2010..0x2028;

/// Which characters are ordinary: not white space, left alone by the normaliser, and at neither end
/// of an added token.
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

    /// Where the chunk that starts at `start` ends: at a space between ordinary characters, or with
    /// the text.
    pub(super) fn end(&self, bytes: &[u8], start: usize) -> usize {
        let mut at = start;
        while let Some(distance) = bytes.get(at..).and_then(|rest| memchr(b' ', rest)) {
            let space = at + distance;
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

    /// Whether a text is made of ordinary characters with single spaces between them. Every
    /// tokenizer whose chunks these are then leaves it as it is and cuts it at its spaces, so that
    /// with the same model its tokens are the same.
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

/// Whether a character is no white space and comes through the normaliser as it is, also beside a
/// space.
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
