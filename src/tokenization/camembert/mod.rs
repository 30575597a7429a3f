//! CamemBERT's tokenizer, and those of RoBERTa and XLM-RoBERTa: a `tokenizer.json`, or a `sentencepiece.bpe.model`
//! alone, through the tokenizers crate.
//!
//! The ids are those of transformers' fast classes (4.57), which add special tokens of their own to what the file holds.
//! Truncation and padding set in the file are dropped: the caller's length counts.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{AddedToken, PreTokenizerWrapper};

use super::files::{self, JsonFile};
use super::pool::Pool;
use super::word_cache::WordCache;
use super::{AlignedEncoding, Encoding, Offsets};
use super::{Tokenizer, TokenizerKind, TokenizerOptions};
use super::{encode_in_chunks, model_max_length, room};
use crate::error::{Error, Result, contain};

mod charsmap;
mod chunks;
mod growth;
mod sentencepiece;

use chunks::Chunks;
use growth::Growth;

/// What shows the special tokens around a text.
const SHORT_TEXT: &str = "a";
/// Most values of a post-processor. Its template may name a special token of many ids again and again.
const LARGEST_TEMPLATE: usize = 1000;

/// Which conventions a folder without `tokenizer.json` follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Camembert,
    Roberta,
}

/// `CamembertTokenizerFast`, `RobertaTokenizerFast` or `XLMRobertaTokenizerFast` of transformers.
pub struct CamembertTokenizer {
    /// The file that it came from, for messages.
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    /// Whether texts must be tried on its normaliser.
    growth: Growth,
    /// How texts are cut so that known chunks need not go through the crate, where that is possible.
    chunks: Option<Chunks>,
    /// Special tokens before and after a text.
    before: Vec<u32>,
    after: Vec<u32>,
    scratch: Pool<WordCache<u32>>,
    pad_id: u32,
    vocab_size: usize,
    model_max_length: usize,
}

impl CamembertTokenizer {
    /// Read `tokenizer.json` or `sentencepiece.bpe.model`, and `tokenizer_config.json` when it is there.
    ///
    /// # Errors
    /// When neither is there, a file is malformed, or there is no padding token.
    pub fn open(folder: &Path, options: &TokenizerOptions) -> Result<Self> {
        let config = JsonFile::open(folder, "tokenizer_config.json")?;
        let family = family(folder, &config)?;
        let json = folder.join("tokenizer.json");
        let model = folder.join("sentencepiece.bpe.model");
        let (path, mut inner) = if json.is_file() {
            (json.clone(), read_json(&json)?)
        } else if model.is_file() {
            (model.clone(), sentencepiece::open(&model, family)?)
        } else {
            return Err(Error::NotFound {
                what: format!("a tokenizer in {}", folder.display()),
                remedy: "put tokenizer.json or sentencepiece.bpe.model (CamemBERT), or vocab.json and merges.txt \
                         (FlauBERT), into the folder"
                    .into(),
            });
        };
        let failed = |e| Error::malformed(&path, "", e, "a usable tokenizer");
        contained(|| adapt(&mut inner, &config, family, options)).map_err(failed)?;
        let growth = Growth::of(inner.get_normalizer());
        growth
            .check(SHORT_TEXT)
            .map_err(|found| too_long(&path, found))?;
        let (before, after) = contained(|| special_ids(&inner)).map_err(failed)?;
        let chunks = match growth.is_tame() {
            true => contained(|| Ok(Chunks::new(&inner))).map_err(failed)?,
            false => None,
        };
        let pad = config.get("pad_token").map_or(Some("<pad>"), content);
        let pad_id = pad.and_then(|token| inner.token_to_id(token));
        Ok(Self {
            chunks,
            before,
            after,
            scratch: Pool::new(),
            pad_id: pad_id.ok_or_else(|| {
                Error::malformed(
                    &path,
                    "",
                    "no padding token",
                    "the token <pad>, or pad_token in tokenizer_config.json",
                )
            })?,
            model_max_length: model_max_length(&config)?,
            // Distinct tokens, as Python counts them: a Unigram model may list one twice.
            vocab_size: inner.get_vocab(true).len(),
            inner,
            growth,
            path,
        })
    }

    fn special_tokens(&self) -> usize {
        self.before.len() + self.after.len()
    }

    fn check_growth(&self, text: &str) -> Result<()> {
        let checked = self.growth.check(text);
        checked.map_err(|found| too_long(&self.path, found))
    }

    fn encode_with(&self, text: &str, room: usize, cache: &mut WordCache<u32>) -> Result<Encoding> {
        let mut ids = self.before.clone();
        let limit = room.saturating_add(self.before.len());
        let mut at = 0;
        while at < text.len() && ids.len() <= limit {
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
        ids.truncate(limit);
        ids.extend_from_slice(&self.after);
        Ok(Encoding { ids, truncated })
    }
}

impl Tokenizer for CamembertTokenizer {
    fn encode(&self, text: &str, max_length: Option<usize>) -> Result<Encoding> {
        let room = room(max_length, self.special_tokens())?;
        self.scratch
            .lend(|cache| self.encode_with(text, room, cache))
    }

    fn encode_batch(&self, texts: &[&str], max_length: Option<usize>) -> Result<Vec<Encoding>> {
        let room = room(max_length, self.special_tokens())?;
        encode_in_chunks(texts, |texts, encodings| {
            self.scratch.lend(|cache| {
                for (text, encoding) in texts.iter().zip(encodings) {
                    *encoding = self.encode_with(text, room, cache)?;
                }
                Ok(())
            })
        })
    }

    fn encode_aligned(&self, text: &str, max_length: Option<usize>) -> Result<AlignedEncoding> {
        let room = room(max_length, self.special_tokens())?;
        self.check_growth(text)?;
        let encoding = contained(|| self.inner.encode(text, false));
        let mut encoding = encoding.map_err(|e| unfit(&self.path, e))?;
        let truncated = encoding.len() > room;
        encoding.truncate(encoding.len().min(room), 0, TruncationDirection::Right);
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

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn pad_token_id(&self) -> u32 {
        self.pad_id
    }

    fn model_max_length(&self) -> usize {
        self.model_max_length
    }

    fn kind(&self) -> TokenizerKind {
        TokenizerKind::Camembert
    }
}

/// The crate at work, its panics over what a file holds taken for errors.
fn contained<R>(work: impl FnOnce() -> tokenizers::Result<R>) -> tokenizers::Result<R> {
    contain(work).unwrap_or_else(|panic| Err(panic.into()))
}

/// The error for a tokenizer that cannot cope with a text: its expressions look back too often, or its parts do not fit.
fn unfit(path: &Path, found: impl std::fmt::Display) -> Error {
    let expected = "a tokenizer that takes every text: compare it with the published one";
    Error::malformed(path, "", found, expected)
}

/// The error for a normaliser that makes a text too long.
fn too_long(path: &Path, found: String) -> Error {
    let expected = "steps that leave a text about as long as it is";
    Error::malformed(path, "normalizer", found, expected)
}

/// Read a `tokenizer.json`.
fn read_json(path: &Path) -> Result<tokenizers::Tokenizer> {
    let malformed = |place: &str, found: String| {
        Error::malformed(path, place, found, "a tokenizer of the tokenizers crate")
    };
    let text = files::read_json(path)?;
    let json: Value = serde_json::from_str(&text).map_err(|e| malformed("", e.to_string()))?;
    charsmap::check_all(&json).map_err(|e| malformed("precompiled_charsmap", e.into()))?;
    check_added(path, &json)?;
    let size = json.get("post_processor").map_or(0, values_in);
    if size > LARGEST_TEMPLATE {
        let expected = format!("at most {LARGEST_TEMPLATE}: a few special tokens around a text");
        let found = format!("{size} values");
        return Err(Error::malformed(path, "post_processor", found, expected));
    }
    contained(|| tokenizers::Tokenizer::from_bytes(&text)).map_err(|e| malformed("", e.to_string()))
}

/// Try the added tokens of a `tokenizer.json` on its normaliser: reading the file normalises them.
fn check_added(path: &Path, json: &Value) -> Result<()> {
    // One that does not parse is refused with the file.
    let normalizer = json.get("normalizer").cloned().map(serde_json::from_value);
    let growth = Growth::of(normalizer.and_then(std::result::Result::ok).as_ref());
    let added = json.get("added_tokens").and_then(Value::as_array);
    let mut contents = added.into_iter().flatten().filter_map(content);
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

/// The ids that the post-processor puts before and after a text.
fn special_ids(inner: &tokenizers::Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let encoding = inner.encode(SHORT_TEXT, true)?;
    let marks = encoding.get_special_tokens_mask();
    let before = marks.iter().take_while(|mark| **mark == 1).count();
    let after = marks.iter().rev().take_while(|mark| **mark == 1).count();
    let ids = encoding.get_ids();
    Ok((ids[..before].to_vec(), ids[ids.len() - after..].to_vec()))
}

fn family(folder: &Path, config: &JsonFile) -> Result<Family> {
    let model = JsonFile::open(folder, "config.json")?;
    let class = config.string("tokenizer_class")?.map(str::to_string);
    let model_type = model.string("model_type")?.map(str::to_string);
    let name = class.or(model_type).unwrap_or_default().to_lowercase();
    Ok(match name.contains("roberta") {
        true => Family::Roberta,
        false => Family::Camembert,
    })
}

/// Make of the file's tokenizer what transformers' class makes of it.
fn adapt(
    inner: &mut tokenizers::Tokenizer,
    config: &JsonFile,
    family: Family,
    options: &TokenizerOptions,
) -> tokenizers::Result<()> {
    inner.with_truncation(None)?;
    inner.with_padding(None);
    let added = special_tokens(inner, config, family);
    let growth = Growth::of(inner.get_normalizer());
    for token in &added {
        growth.check(&token.content)?;
    }
    inner.add_tokens(added)?;
    if let Some(PreTokenizerWrapper::ByteLevel(bytes)) = inner.get_pre_tokenizer() {
        let prefix = config.get("add_prefix_space").and_then(Value::as_bool);
        let bytes = bytes.add_prefix_space(prefix.unwrap_or(false));
        inner.with_pre_tokenizer(Some(bytes));
    }
    if options.lowercase == Some(true) {
        let mut normalizers: Vec<NormalizerWrapper> = vec![Lowercase.into()];
        normalizers.extend(inner.get_normalizer().cloned());
        inner.with_normalizer(Some(Sequence::new(normalizers)))?;
    }
    Ok(())
}

/// The tokens that the Python class registers on top of the file's: those of `added_tokens_decoder`, special tokens that
/// the file does not mark, and `<mask>`, which takes the space before it.
fn special_tokens(
    inner: &tokenizers::Tokenizer,
    config: &JsonFile,
    family: Family,
) -> Vec<AddedToken> {
    let mut tokens: Vec<AddedToken> = Vec::new();
    if let Some(Value::Object(decoder)) = config.get("added_tokens_decoder") {
        let mut decoder: Vec<(u32, &Value)> = decoder
            .iter()
            .filter_map(|(id, token)| Some((id.parse().ok()?, token)))
            .collect();
        decoder.sort_by_key(|(id, _)| *id);
        tokens.extend(decoder.into_iter().filter_map(|(_, token)| object(token)));
    }
    let defaults = [
        ("bos_token", "<s>"),
        ("eos_token", "</s>"),
        ("unk_token", "<unk>"),
        ("sep_token", "</s>"),
        ("pad_token", "<pad>"),
        ("cls_token", "<s>"),
    ];
    let text = |(key, default): (&str, &'static str)| {
        let given = config.get(key).and_then(content);
        AddedToken::from(given.unwrap_or(default), true)
    };
    let own: &[&str] = match family {
        Family::Camembert => &["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
        Family::Roberta => &[],
    };
    let additional: Vec<&str> = match config.get("additional_special_tokens") {
        Some(Value::Array(listed)) => listed.iter().filter_map(content).collect(),
        _ => own.to_vec(),
    };
    let additional = additional.into_iter().map(|t| AddedToken::from(t, true));
    let marked = inner.get_added_tokens_decoder();
    let marked: HashSet<&str> = marked
        .values()
        .map(|known| known.content.as_str())
        .collect();
    let mask = mask_token(config);
    let mask_text = mask.content.clone();
    let special = defaults.into_iter().map(text);
    let mut listed: HashSet<String> = tokens.iter().map(|t| t.content.clone()).collect();
    for token in special.chain(std::iter::once(mask)).chain(additional) {
        // The mask has flags of its own: it replaces one of the same text in the file.
        let wanted = token.content == mask_text || !marked.contains(token.content.as_str());
        if wanted && listed.insert(token.content.clone()) {
            tokens.push(token);
        }
    }
    tokens
}

fn mask_token(config: &JsonFile) -> AddedToken {
    let given = config.get("mask_token");
    given.and_then(object).unwrap_or_else(|| {
        let text = given.and_then(content).unwrap_or("<mask>");
        AddedToken::from(text, true).lstrip(true)
    })
}

/// The text of a token given as a string or an object.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// A token given as an object with its flags.
fn object(token: &Value) -> Option<AddedToken> {
    let flag = |name: &str| token.get(name).and_then(Value::as_bool).unwrap_or(false);
    let content = token.get("content")?.as_str()?;
    Some(
        AddedToken::from(content, flag("special"))
            .lstrip(flag("lstrip"))
            .rstrip(flag("rstrip"))
            .single_word(flag("single_word"))
            .normalized(flag("normalized")),
    )
}
