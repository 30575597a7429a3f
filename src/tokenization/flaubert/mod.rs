//! FlauBERT's tokenizer, id for id that of `transformers.FlaubertTokenizer` (4.57, Python 3.11), on
//! all cores.
//!
//! Added tokens are cut out of the raw text; the rest goes through quotes and NFC, the punctuation
//! of other scripts, Moses' punctuation normalisation, the removal of non-printing characters,
//! Moses' tokenisation, and byte-pair encoding.

use std::convert::Infallible;
use std::ops::Range;
use std::path::Path;
use std::slice::from_ref;

use super::files::{JsonFile, Settings};
use super::word_cache::{Pool, WordCache};
use super::{AlignedEncoding, Encoding, Offset, Offsets};
use super::{Side, Tokenizer, TokenizerKind, TokenizerOptions};
use super::{encode_in_chunks, room};
use crate::error::{Error, Result};

mod added_tokens;
mod aligned;
mod bpe;
mod export;
pub mod moses;
mod normalization;
mod vocabulary;

pub use export::{Comparison, Differences, Export, export_tokenizer_json};

use added_tokens::{AddedTokens, Part};
use aligned::{Alignment, Buffers, Spans};
use bpe::{Bpe, Piece};

/// `<s>` and `</s>`.
const SPECIAL_TOKENS: usize = 2;

/// What one thread needs to encode: buffers that grow once, and the words it has met.
#[derive(Default)]
struct Scratch {
    buffers: Buffers<()>,
    words: Vec<Range<usize>>,
    cache: WordCache<Piece>,
    merges: bpe::Scratch,
}

/// `FlaubertTokenizer` of transformers.
pub struct FlaubertTokenizer {
    bpe: Bpe,
    added: AddedTokens,
    lowercase: bool,
    bos_id: u32,
    sep_id: u32,
    pad_id: u32,
    vocab_size: usize,
    settings: Settings,
    scratch: Pool<Scratch>,
}

impl FlaubertTokenizer {
    /// Read `vocab.json`, `merges.txt`, `tokenizer_config.json` and, when they are there, the older
    /// files of special and added tokens.
    ///
    /// # Errors
    /// When a file is missing or malformed, or a special token is in no vocabulary.
    pub fn open(folder: &Path, options: &TokenizerOptions) -> Result<Self> {
        let config = JsonFile::open(folder, "tokenizer_config.json")?;
        let mut vocabulary = vocabulary::read_vocabulary(folder)?;
        let merges = vocabulary::read_merges(folder)?;
        let added = AddedTokens::open(folder, &config, &vocabulary)?;
        let settings = Settings::read(folder, &config, None)?;
        let special = |key: &str| {
            if let Some(missing) = added.missing(key) {
                let found = format!("nothing, and no {missing:?} in vocab.json");
                let expected = "the name that this vocabulary has for it";
                return Err(Error::malformed(
                    &config.path,
                    format!("key {key:?}"),
                    found,
                    expected,
                ));
            }
            let content = added.special(key);
            let id = content.and_then(|c| added.id(c)).ok_or_else(|| {
                Error::malformed(&config.path, format!("key {key:?}"), "no token", "a token")
            })?;
            match &settings.vocabulary {
                Some(model) if !model.has(id) => Err(model.lacks(content.unwrap_or_default(), id)),
                _ => Ok(id),
            }
        };
        let unk = added.special("unk_token").or(added.missing("unk_token"));
        let unk = unk.unwrap_or("<unk>");
        let unk_id = vocabulary.get(unk).copied().ok_or_else(|| {
            let path = folder.join("vocab.json");
            Error::malformed(path, "", format!("no token {unk:?}"), "the unknown token")
        })?;
        let (bos_id, sep_id, pad_id) = (
            special("bos_token")?,
            special("sep_token")?,
            special("pad_token")?,
        );
        let last = vocabulary.iter().max_by_key(|(_, id)| **id);
        if let (Some(model), Some((token, &id))) = (&settings.vocabulary, last)
            && !model.has(id)
        {
            return Err(model.lacks(token, id));
        }
        let vocab_size = added.vocab_size(&vocabulary);
        vocabulary.extend(added.iter().map(|(id, t)| (t.content.clone(), id)));
        Ok(Self {
            bpe: Bpe::new(&merges, &vocabulary, unk_id),
            lowercase: lowercase(&config, options)?,
            settings,
            added,
            bos_id,
            sep_id,
            pad_id,
            vocab_size,
            scratch: Pool::new(),
        })
    }

    /// The tokens of a text before truncation and special tokens, as text: what
    /// `FlaubertTokenizer.tokenize` would see as words, in order.
    pub fn words(&self, text: &str) -> Vec<String> {
        let mut buffers = Buffers::<()>::default();
        let mut ranges = Vec::new();
        let whole = 0..text.len();
        self.prepare(text, from_ref(&whole), &mut buffers, &mut ranges);
        let word =
            |r: &Range<usize>| String::from_utf8_lossy(&buffers.text.bytes[r.clone()]).into();
        ranges.iter().map(word).collect()
    }

    /// Everything before byte-pair encoding, for some ranges of a text.
    fn prepare<A: Alignment>(
        &self,
        text: &str,
        ranges: &[Range<usize>],
        buffers: &mut Buffers<A>,
        words: &mut Vec<Range<usize>>,
    ) {
        buffers.load(text, ranges);
        normalization::preprocess(buffers, self.lowercase);
        normalization::replace_unicode_punctuation(buffers);
        moses::punctuation::normalize(buffers);
        normalization::remove_non_printing(buffers);
        moses::tokenizer::tokenize(buffers, words);
    }

    /// Cut a text at its added tokens; `None` when it has none, or they count as ordinary text.
    fn split(&self, text: &str) -> Option<Vec<Part>> {
        match self.settings.split_special_tokens {
            true => None,
            false => self.added.split(text),
        }
    }

    /// Append ids until there are more than `limit` or the text ends.
    fn encode_into(&self, text: &str, limit: usize, scratch: &mut Scratch, ids: &mut Vec<u32>) {
        let Some(parts) = self.split(text) else {
            let whole = 0..text.len();
            return self.encode_part(text, from_ref(&whole), limit, scratch, ids);
        };
        for part in parts {
            match part {
                Part::Added(id, _) => ids.push(id),
                Part::Text(ranges) => self.encode_part(text, &ranges, limit, scratch, ids),
            }
            if ids.len() > limit {
                break;
            }
        }
    }

    fn encode_part(
        &self,
        text: &str,
        ranges: &[Range<usize>],
        limit: usize,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) {
        let Scratch {
            buffers,
            words,
            cache,
            merges,
        } = scratch;
        self.prepare(text, ranges, buffers, words);
        for word in words.iter() {
            let word = &buffers.text.bytes[word.clone()];
            let Ok(pieces) = cache.get_or_encode(word, |word, out| {
                self.bpe.encode(word, merges, out);
                Ok::<_, Infallible>(())
            });
            ids.extend(pieces.iter().map(|piece| piece.id));
            if ids.len() > limit {
                break;
            }
        }
    }

    fn encode_with(&self, text: &str, room: usize, scratch: &mut Scratch) -> Encoding {
        let limit = room.saturating_add(1);
        let side = self.settings.truncation;
        // Whoever keeps the end of a text must have seen all of it.
        let enough = if side == Side::Left {
            usize::MAX
        } else {
            limit
        };
        // French has about five bytes to a token; a little more room saves growing.
        let mut ids = Vec::with_capacity(room.min(text.len() / 4) + SPECIAL_TOKENS);
        ids.push(self.bos_id);
        self.encode_into(text, enough, scratch, &mut ids);
        let truncated = ids.len() > limit;
        match side {
            Side::Right => ids.truncate(limit),
            Side::Left => drop(ids.drain(1..ids.len().saturating_sub(room).max(1))),
        }
        ids.push(self.sep_id);
        Encoding { ids, truncated }
    }

    fn align_part(
        &self,
        text: &str,
        ranges: &[Range<usize>],
        first_word: u32,
    ) -> Vec<AlignedToken> {
        let mut buffers = Buffers::<Spans>::default();
        let (mut words, mut pieces) = (Vec::new(), Vec::new());
        let mut merges = bpe::Scratch::default();
        self.prepare(text, ranges, &mut buffers, &mut words);
        let mut tokens = Vec::new();
        for (word, number) in words.into_iter().zip(first_word..) {
            pieces.clear();
            self.bpe
                .encode(&buffers.text.bytes[word.clone()], &mut merges, &mut pieces);
            let mut at = word.start;
            for Piece { id, length } in &pieces {
                let end = at + *length as usize;
                let bytes = buffers.text.origin.cover(at..end);
                tokens.push(AlignedToken {
                    id: *id,
                    bytes,
                    word: number,
                });
                at = end;
            }
        }
        tokens
    }
}

struct AlignedToken {
    id: u32,
    bytes: Range<usize>,
    word: u32,
}

impl Tokenizer for FlaubertTokenizer {
    fn encode(&self, text: &str, max_length: Option<usize>) -> Result<Encoding> {
        let room = room(max_length, SPECIAL_TOKENS)?;
        Ok(self
            .scratch
            .lend(|scratch| self.encode_with(text, room, scratch)))
    }

    fn encode_batch(&self, texts: &[&str], max_length: Option<usize>) -> Result<Vec<Encoding>> {
        let room = room(max_length, SPECIAL_TOKENS)?;
        encode_in_chunks(texts, |texts, encodings| {
            self.scratch.lend(|scratch| {
                for (text, encoding) in texts.iter().zip(encodings) {
                    *encoding = self.encode_with(text, room, scratch);
                }
            });
            Ok(())
        })
    }

    fn encode_aligned(&self, text: &str, max_length: Option<usize>) -> Result<AlignedEncoding> {
        let room = room(max_length, SPECIAL_TOKENS)?;
        let mut tokens = Vec::new();
        let whole = || vec![Part::Text(vec![0..text.len(); 1])];
        for part in self.split(text).unwrap_or_else(whole) {
            let word = tokens.last().map_or(0, |t: &AlignedToken| t.word + 1);
            match part {
                Part::Added(id, bytes) => tokens.push(AlignedToken { id, bytes, word }),
                Part::Text(ranges) => tokens.extend(self.align_part(text, &ranges, word)),
            }
        }
        let truncated = tokens.len() > room;
        match self.settings.truncation {
            Side::Right => tokens.truncate(room),
            Side::Left => drop(tokens.drain(..tokens.len().saturating_sub(room))),
        }
        let mut aligned = AlignedEncoding::default();
        let characters = Offsets::new(text);
        let outer = |id| (id, Offset::default(), None);
        let inner = tokens.into_iter().map(|token| {
            let offset = characters.offset(token.bytes);
            (token.id, offset, Some(token.word))
        });
        let all = std::iter::once(outer(self.bos_id)).chain(inner);
        for (id, offset, word) in all.chain(std::iter::once(outer(self.sep_id))) {
            aligned.encoding.ids.push(id);
            aligned.offsets.push(offset);
            aligned.word_ids.push(word);
        }
        aligned.encoding.truncated = truncated;
        Ok(aligned)
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn pad_token_id(&self) -> u32 {
        self.pad_id
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn token(&self, id: u32) -> Option<String> {
        let added = self.added.iter().find(|(added, _)| *added == id);
        added.map(|(_, token)| token.content.clone())
    }

    fn kind(&self) -> TokenizerKind {
        TokenizerKind::Flaubert
    }
}

/// Whether to lower-case: the option, else `do_lowercase`. The published files say `do_lower_case`,
/// which the Python class does not read.
fn lowercase(config: &JsonFile, options: &TokenizerOptions) -> Result<bool> {
    let read = config.boolean("do_lowercase")?;
    let ignored = config.boolean("do_lower_case")?;
    if ignored == Some(true) && read.is_none() && options.lowercase.is_none() {
        tracing::warn!(
            "{}: do_lower_case is ignored, as transformers ignores it; pass --lowercase to lower-case the texts",
            config.path.display()
        );
    }
    Ok(options.lowercase.or(read).unwrap_or(false))
}
