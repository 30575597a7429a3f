//! A tokenizer of the tokenizers crate at work: chunks that were met before are looked up, the rest goes through the crate.

use std::path::{Path, PathBuf};

use tokenizers::utils::truncation::TruncationDirection;

use super::super::pool::Pool;
use super::super::word_cache::WordCache;
use super::super::{AlignedEncoding, Encoding, Offsets, Side};
use super::chunks::Chunks;
use super::growth::Growth;
use super::{contained, too_long, unfit};
use crate::error::{Error, Result};

/// What shows the special tokens around a text.
const SHORT_TEXT: &str = "a";

/// What a thread keeps between two texts.
pub(super) type Cache = WordCache<u32>;

/// A tokenizer, its special tokens around a text, and what makes it fast.
pub(super) struct Pipeline {
    /// The file that it came from, for messages.
    path: PathBuf,
    pub(super) inner: tokenizers::Tokenizer,
    /// Whether texts must be tried on its normaliser.
    growth: Growth,
    /// How texts are cut so that known chunks need not go through the crate, where that is possible.
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
    pub(super) fn new(path: &Path, inner: tokenizers::Tokenizer, truncation: Side) -> Result<Self> {
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
                let kept = ids.len().saturating_sub(room).max(first);
                ids.drain(first..kept);
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
fn special_ids(inner: &tokenizers::Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let encoding = inner.encode(SHORT_TEXT, true)?;
    let marks = encoding.get_special_tokens_mask();
    let before = marks.iter().take_while(|mark| **mark == 1).count();
    let after = marks.iter().rev().take_while(|mark| **mark == 1).count();
    let ids = encoding.get_ids();
    Ok((ids[..before].to_vec(), ids[ids.len() - after..].to_vec()))
}
