//! CamemBERT's and FlauBERT's tokenizers: from text to the ids of `transformers`, special tokens
//! and truncation included.
//!
//! [`from_pretrained`] reads a checkpoint's folder and gives a [`Tokenizer`]. Padding is the
//! caller's: batches are packed, and stored rows are padded by whoever writes them with
//! [`Tokenizer::pad_token_id`].

use std::fs;
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use crate::error::{Error, Result, interrupt};
use crate::files::presence;

pub(crate) mod camembert;
mod files;
pub mod flaubert;
mod special_tokens;
mod word_cache;

use camembert::CamembertTokenizer;
use files::JsonFile;
pub(crate) use files::Settings;
use flaubert::FlaubertTokenizer;

/// Every file that belongs to a tokenizer: these are copied along with a checkpoint when they are
/// there.
pub(crate) const TOKENIZER_FILES: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
];

/// The largest length that a tokenizer announces: what the original study stores, and all the
/// encoders' positions.
pub(crate) const MAX_LENGTH: usize = 512;

/// The tokens of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids with the special tokens, truncated, not padded.
    pub ids: Vec<u32>,
    /// Whether tokens were cut off at the maximum length.
    pub truncated: bool,
}

/// Where a token stands in the original text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// In bytes of UTF-8.
    pub bytes: Range<usize>,
    /// In characters (code points), as Python counts.
    pub characters: Range<usize>,
}

/// The tokens of one text and where each comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlignedEncoding {
    /// The tokens.
    pub encoding: Encoding,
    /// For every token its place in the text; empty at 0 for the special tokens that were added.
    pub offsets: Vec<Offset>,
    /// For every token the number of its word, `None` for the special tokens that were added.
    pub word_ids: Vec<Option<u32>>,
}

/// Which family of tokenizers a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenizerKind {
    /// CamemBERT, RoBERTa and XLM-RoBERTa: `tokenizer.json` or a SentencePiece model.
    Camembert,
    /// FlauBERT: Moses and byte-pair encoding.
    Flaubert,
}

impl TokenizerKind {
    /// What the family is called in summaries.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Camembert => "camembert",
            Self::Flaubert => "flaubert",
        }
    }
}

/// A side of a text or of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Its end.
    #[default]
    Right,
    /// Its beginning.
    Left,
}

impl Side {
    /// As `tokenizer_config.json` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Left => "left",
        }
    }
}

/// What transformers 5 makes of a folder that was opened by the rules of 4.57.
pub enum Transformers5 {
    /// The same tokenizer.
    Same,
    /// Another one, which gives other ids to some texts.
    Other(Box<dyn OtherIds>),
    /// None: its class does not fit the file.
    CannotOpen,
}

/// Finds the texts to which another release gives other ids.
pub trait OtherIds: Send + Sync {
    /// For each of `texts`, whose tokens here are `encodings` at the same `max_length`, whether
    /// they differ.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; also when a signal asks the run to stop.
    fn differing(
        &self,
        texts: &[&str],
        encodings: &[Encoding],
        max_length: Option<usize>,
    ) -> Result<Vec<bool>>;
}

/// What a caller may change about a tokenizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// Lower-case the text first, or not; `None` does as the Python class does (it reads the key
    /// `do_lowercase`).
    pub lowercase: Option<bool>,
}

/// A text to the ids of a model.
pub trait Tokenizer: Send + Sync {
    /// The tokens of one text, at most `max_length` of them (special tokens included); `None` cuts
    /// nothing.
    ///
    /// # Errors
    /// When `max_length` leaves no room for the special tokens.
    fn encode(&self, text: &str, max_length: Option<usize>) -> Result<Encoding>;

    /// The tokens of many texts, in their order, on all cores.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; also when a signal asks the run to stop.
    fn encode_batch(&self, texts: &[&str], max_length: Option<usize>) -> Result<Vec<Encoding>>;

    /// The tokens of one text with their places in it and the words they belong to.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    fn encode_aligned(&self, text: &str, max_length: Option<usize>) -> Result<AlignedEncoding>;

    /// How many tokens there are, added ones included: `len(tokenizer)` in transformers.
    fn vocab_size(&self) -> usize;

    /// The id that fills up short rows.
    fn pad_token_id(&self) -> u32;

    /// What the folder's configuration says of lengths and sides.
    fn settings(&self) -> &Settings;

    /// The text of a token.
    fn token(&self, id: u32) -> Option<String>;

    /// The greatest useful length: what `tokenizer_config.json` says, at most [`MAX_LENGTH`].
    fn model_max_length(&self) -> usize {
        self.settings().max_length
    }

    /// Where a text that is too long is cut: `truncation_side`.
    fn truncation_side(&self) -> Side {
        self.settings().truncation
    }

    /// Where a short row is filled up: `padding_side`.
    fn padding_side(&self) -> Side {
        self.settings().padding
    }

    /// Require that the model of the folder has every one of some ids; a folder without
    /// `config.json` cannot tell.
    ///
    /// # Errors
    /// With the first token that the model lacks.
    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        self.settings().check(ids, |id| self.token(id))
    }

    /// What transformers 5 makes of the folder. It builds a second tokenizer where that is another
    /// one.
    ///
    /// # Errors
    /// What the tokenizers crate says about the parts of the file.
    fn under_transformers_5(&self) -> Result<Transformers5> {
        Ok(Transformers5::Same)
    }

    /// Whether transformers adds a column `token_type_ids`: true for FlauBERT only.
    fn has_token_type_ids(&self) -> bool {
        self.kind() == TokenizerKind::Flaubert
    }

    /// The family.
    fn kind(&self) -> TokenizerKind;
}

/// The tokenizer of a checkpoint's folder.
///
/// The family follows `tokenizer_class` in `tokenizer_config.json`, else `model_type` in
/// `config.json`, else the files that are there.
///
/// # Errors
/// When the files of the family are missing or malformed, or the family is another one.
pub fn from_pretrained(folder: &Path, options: &TokenizerOptions) -> Result<Box<dyn Tokenizer>> {
    if !folder.is_dir() {
        return Err(Error::NotFound {
            what: format!("tokenizer folder {}", folder.display()),
            remedy: "give a folder that holds a checkpoint's tokenizer files".into(),
        });
    }
    match kind_of(folder)? {
        TokenizerKind::Flaubert => Ok(Box::new(FlaubertTokenizer::open(folder, options)?)),
        TokenizerKind::Camembert => Ok(Box::new(CamembertTokenizer::open(folder, options)?)),
    }
}

fn kind_of(folder: &Path) -> Result<TokenizerKind> {
    let tokenizer_config = JsonFile::open(folder, "tokenizer_config.json")?;
    let config = JsonFile::open(folder, "config.json")?;
    const CLASS: &str = "tokenizer_class";
    let class = tokenizer_config.string(CLASS)?.or(config.string(CLASS)?);
    let has = |name: &str| folder.join(name).is_file();
    match class.map(|c| c.trim_end_matches("Fast")) {
        Some("FlaubertTokenizer") => return Ok(TokenizerKind::Flaubert),
        Some("CamembertTokenizer" | "RobertaTokenizer" | "XLMRobertaTokenizer") => {
            return Ok(TokenizerKind::Camembert);
        }
        Some("PreTrainedTokenizer" | "PythonBackend") | None => {}
        Some(_) if has("tokenizer.json") => return Ok(TokenizerKind::Camembert),
        Some(other) => {
            return Err(tokenizer_config.wrong(
                "tokenizer_class",
                &other.into(),
                "FlaubertTokenizer, CamembertTokenizer, RobertaTokenizer or XLMRobertaTokenizer",
            ));
        }
    }
    match config.string("model_type")? {
        Some("flaubert") if has("vocab.json") => Ok(TokenizerKind::Flaubert),
        None if has("vocab.json") && has("merges.txt") && !has("tokenizer.json") => {
            Ok(TokenizerKind::Flaubert)
        }
        _ => Ok(TokenizerKind::Camembert),
    }
}

/// Files whose content is in the two that are written where the others would not be read alike.
const REPLACED: [&str; 4] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// Leave the tokenizer of the folder `from` in the folder `to`, so that `AutoTokenizer` of
/// transformers 4.57 and of 5.24 gives the ids that it gives here.
///
/// The files are copied where both do so anyway. Where 5 would build another tokenizer, they are
/// written anew for `PreTrainedTokenizerFast`, which both take from `tokenizer.json` as it is. A
/// folder without a tokenizer leaves none, and files that cannot be read are copied with a warning:
/// they come after a training.
///
/// # Errors
/// For files that cannot be written.
pub fn save(from: &Path, to: &Path) -> Result<()> {
    let written: &[&str] = match write_for_both(from, to) {
        Ok(true) => &REPLACED,
        Ok(false) => &[],
        Err(e @ (Error::Io { .. } | Error::Interrupted { .. })) => return Err(e),
        Err(e) => {
            tracing::warn!("the tokenizer's files are copied as they are: {e}");
            &[]
        }
    };
    for name in TOKENIZER_FILES
        .iter()
        .filter(|name| !written.contains(name))
    {
        let file = from.join(name);
        if presence::is_file(&file)? {
            fs::copy(&file, to.join(name)).map_err(Error::io(&file, "copy"))?;
        }
    }
    Ok(())
}

/// Write the two files that both releases read alike, where copies would not be; whether that was
/// so.
fn write_for_both(from: &Path, to: &Path) -> Result<bool> {
    if !has_tokenizer(from)? || kind_of(from)? != TokenizerKind::Camembert {
        return Ok(false);
    }
    let tokenizer = CamembertTokenizer::open(from, &TokenizerOptions::default())?;
    if matches!(tokenizer.under_transformers_5()?, Transformers5::Same) {
        return Ok(false);
    }
    let config = JsonFile::open(from, "tokenizer_config.json")?;
    for (name, text) in tokenizer.for_both_releases(&config)? {
        let path = to.join(name);
        fs::write(&path, text).map_err(Error::io(&path, "write"))?;
    }
    tracing::warn!(
        "{}: transformers 5 would build another tokenizer of this checkpoint; the saved folder names \
         PreTrainedTokenizerFast, so that AutoTokenizer of 4.57 and of 5 gives the ids of the training",
        from.display()
    );
    Ok(true)
}

fn has_tokenizer(folder: &Path) -> Result<bool> {
    Ok(presence::is_file(&folder.join("tokenizer.json"))?
        || presence::is_file(&folder.join("sentencepiece.bpe.model"))?)
}

/// How many tokens of the text fit beside `special` special tokens.
///
/// # Errors
/// When not even the special tokens fit.
fn room(max_length: Option<usize>, special: usize) -> Result<usize> {
    match max_length {
        None => Ok(usize::MAX),
        Some(length) => length.checked_sub(special).ok_or_else(|| {
            Error::Usage(format!(
                "a maximum length of {length} tokens leaves no room for the {special} special tokens: give {special} or more"
            ))
        }),
    }
}

/// Encode texts on all cores, a few at a time: enough to amortise what a thread needs, few enough
/// to share the work.
fn encode_in_chunks(
    texts: &[&str],
    encode: impl Fn(&[&str], &mut [Encoding]) -> Result<()> + Sync,
) -> Result<Vec<Encoding>> {
    const CHUNK: usize = 16;
    let mut encodings = vec![Encoding::default(); texts.len()];
    texts
        .par_chunks(CHUNK)
        .zip(encodings.par_chunks_mut(CHUNK))
        .try_for_each(|(texts, encodings)| {
            interrupt::check()?;
            encode(texts, encodings)
        })?;
    Ok(encodings)
}

/// From spans in bytes to [`Offset`]s, in any order: many tokens may stand for one long span.
struct Offsets<'a> {
    text: &'a str,
    /// How many characters start before each block of [`Self::BLOCK`] bytes.
    before: Vec<usize>,
}

impl<'a> Offsets<'a> {
    const BLOCK: usize = 1 << 10;

    fn new(text: &'a str) -> Self {
        let mut characters = 0;
        let before = text.as_bytes().chunks(Self::BLOCK).map(|block| {
            let before = characters;
            characters += starts(block);
            before
        });
        Self {
            text,
            before: before.collect(),
        }
    }

    /// The place of some bytes of the text, widened to whole characters (byte-level tokens may be
    /// parts of one).
    fn offset(&self, bytes: Range<usize>) -> Offset {
        let start = self.text.floor_char_boundary(bytes.start);
        let end = self.text.ceil_char_boundary(bytes.end);
        Offset {
            bytes: start..end,
            characters: self.count(start)..self.count(end),
        }
    }

    /// How many characters stand before a byte.
    fn count(&self, byte: usize) -> usize {
        // At the very end there may be no block.
        let block = (byte / Self::BLOCK).min(self.before.len().saturating_sub(1));
        let before = self.before.get(block).copied().unwrap_or(0);
        before + starts(&self.text.as_bytes()[block * Self::BLOCK..byte])
    }
}

/// How many characters start in these bytes of UTF-8.
fn starts(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_in_any_order() {
        for text in ["", "a", &"é".repeat(1500), &"aé€😀".repeat(700)] {
            let offsets = Offsets::new(text);
            let ends: Vec<usize> = text
                .char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .collect();
            for (characters, &byte) in ends.iter().enumerate().rev() {
                assert_eq!(offsets.count(byte), characters, "{byte}");
            }
            let all = offsets.offset(0..text.len());
            assert_eq!(
                (all.bytes, all.characters),
                (0..text.len(), 0..ends.len() - 1)
            );
        }
        assert_eq!(Offsets::new("aé").offset(2..2).bytes, 1..3);
    }
}
