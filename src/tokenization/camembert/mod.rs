//! CamemBERT's tokenizer, and those of RoBERTa and XLM-RoBERTa: a `tokenizer.json`, or a
//! `sentencepiece.bpe.model` alone, through the tokenizers crate.
//!
//! The ids are those of transformers' fast classes (4.57), which add special tokens of their own to
//! what the file holds; a folder that only 5 opens has 5's. Lengths of truncation and padding set
//! in the file are dropped: the caller's counts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::{BertNormalizer, Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{Model, PreTokenizerWrapper};

use super::files::{JsonFile, Settings};
use super::special_tokens::{Release, SpecialTokens, Token, is_called};
use super::{AlignedEncoding, Encoding, Transformers5};
use super::{Tokenizer, TokenizerKind, TokenizerOptions};
use super::{encode_in_chunks, room};
use crate::error::{Error, Result};

mod class;
mod export;
mod guard;
mod pipeline;
mod rebuilt;
mod sentencepiece;

use class::Class;
use guard::{contained, read_json};
use pipeline::Pipeline;
use rebuilt::Recipe;

/// `CamembertTokenizerFast`, `RobertaTokenizerFast` or `XLMRobertaTokenizerFast` of transformers.
pub(crate) struct CamembertTokenizer {
    /// The file that it came from, for messages.
    path: PathBuf,
    pipeline: Pipeline,
    /// What transformers 5 makes its tokenizer of, where it does not follow the file.
    recipe: Option<Recipe>,
    tokens: SpecialTokens,
    settings: Settings,
    pad: (String, u32),
    vocab_size: usize,
}

impl CamembertTokenizer {
    /// Read `tokenizer.json` or `sentencepiece.bpe.model`, and what the files beside it say about
    /// special tokens.
    ///
    /// # Errors
    /// When neither is there, a file is malformed, there is no padding token, or a token that every
    /// text gets is one that the model lacks.
    pub(crate) fn open(folder: &Path, options: &TokenizerOptions) -> Result<Self> {
        let config = JsonFile::open(folder, "tokenizer_config.json")?;
        let class = Class::of(folder, &config)?;
        let release = Class::release(&config)?;
        let json = folder.join("tokenizer.json");
        let model = folder.join("sentencepiece.bpe.model");
        let (path, mut inner, file, class) = if json.is_file() {
            let (inner, file) = read_json(&json)?;
            let unigram = matches!(inner.get_model(), ModelWrapper::Unigram(_));
            let usual = if unigram {
                Class::Camembert
            } else {
                Class::File
            };
            (json, inner, Some(file), class.unwrap_or(usual))
        } else if model.is_file() {
            let class = class.unwrap_or(Class::Camembert);
            let inner = sentencepiece::open(&model, class)?;
            (model, inner, None, class)
        } else {
            return Err(Error::NotFound {
                what: format!("a tokenizer in {}", folder.display()),
                remedy: "put tokenizer.json or sentencepiece.bpe.model (CamemBERT), or vocab.json and merges.txt \
                         (FlauBERT), into the folder"
                    .into(),
            });
        };
        let failed = |e| Error::malformed(&path, "", e, "a usable tokenizer");
        let values = file.as_ref().map(|file| &file.entries);
        let settings = Settings::read(folder, &config, values)?;
        let read = |release| {
            let defaults = class.defaults();
            SpecialTokens::read(folder, &config, file.as_ref(), &defaults, release)
        };
        let mut tokens = read(release)?;
        let vocabulary = inner.get_vocab(true);
        tokens.drop_what_has_another_name(&vocabulary);
        let recipe = match class {
            Class::File | Class::Bert => None,
            _ => Some(Recipe {
                class,
                tokens: recipe_tokens(read(Release::Five)?, &config, &inner, file.is_some()),
                add_prefix_space: config.boolean("add_prefix_space")?,
                split_special_tokens: settings.split_special_tokens,
                lowercase: options.lowercase == Some(true),
            }),
        };
        contained(|| {
            inner.with_truncation(None)?;
            inner.with_padding(None);
            let present = class::added_texts(&inner);
            let adding = class::registered(&tokens, &present, class, release);
            class::register(&mut inner, adding)?;
            inner.set_encode_special_tokens(settings.split_special_tokens);
            adapt(&mut inner, &config, class, options)
        })
        .map_err(failed)?;
        for (id, token) in &tokens.added {
            let given = inner.token_to_id(&token.content);
            if file.is_none() && given.is_some_and(|given| given != *id) {
                tracing::warn!(
                    "{}: {:?} has the id {id} in the files beside it and gets {} here and in transformers 4.57: the model \
                     was perhaps trained on another vocabulary",
                    path.display(),
                    token.content,
                    given.unwrap_or(*id)
                );
            }
        }
        let padding = file.as_ref().and_then(|file| file.entries.get("padding"));
        let pad = pad_token(&tokens, padding, &inner, &vocabulary);
        let pad = pad.map_err(|found| {
            let expected =
                "\"pad_token\" with the token that fills up short rows, as the vocabulary has it";
            Error::malformed(&config.path, "key \"pad_token\"", found, expected)
        })?;
        let pipeline = Pipeline::new(&path, inner, settings.truncation)?;
        if pipeline.special_tokens() == 0 {
            tracing::warn!(
                "{}: the post_processor puts no special token before a text: its first token will stand for it",
                path.display()
            );
        }
        let tokenizer = Self {
            // Distinct tokens, as Python counts them: a Unigram model may list one twice.
            vocab_size: pipeline.inner.get_vocab(true).len(),
            path,
            pipeline,
            recipe,
            tokens,
            settings,
            pad,
        };
        tokenizer.check_vocabulary()?;
        Ok(tokenizer)
    }

    /// Require that the model has the whole vocabulary and every token that is added to a text.
    /// Tokens that are registered beside it (published CamemBERTs have `<unk>NOTUSED`, an id past
    /// the end) are missed when a text has one.
    fn check_vocabulary(&self) -> Result<()> {
        let last = match self.pipeline.inner.get_model() {
            ModelWrapper::Unigram(unigram) => unigram.get_vocab_size().checked_sub(1),
            other => other.get_vocab().into_values().max().map(|id| id as usize),
        };
        let last = last.and_then(|id| u32::try_from(id).ok());
        let around = self.pipeline.before.iter().chain(&self.pipeline.after);
        let all = around.copied().chain([self.pad.1]).chain(last);
        self.check_ids(&all.collect::<Vec<_>>())
    }
}

/// The tokens that transformers 5 registers. From a SentencePiece model it takes the control
/// symbols and those of the user instead of the older lists.
fn recipe_tokens(
    mut tokens: SpecialTokens,
    config: &JsonFile,
    inner: &tokenizers::Tokenizer,
    has_file: bool,
) -> SpecialTokens {
    let lists = ["additional_special_tokens", "extra_special_tokens"];
    if !has_file && !lists.iter().any(|key| config.get(key).is_some()) {
        let mut symbols: Vec<_> = inner.get_added_tokens_decoder().into_iter().collect();
        symbols.sort_by_key(|(id, _)| *id);
        let symbols = symbols.into_iter().map(|(_, symbol)| Token::of(&symbol));
        tokens.additional = symbols.collect();
    }
    tokens
}

/// The token that fills up short rows, and its id; the error says what was found.
fn pad_token(
    tokens: &SpecialTokens,
    padding: Option<&Value>,
    inner: &tokenizers::Tokenizer,
    vocabulary: &HashMap<String, u32>,
) -> std::result::Result<(String, u32), String> {
    const KEY: &str = "pad_token";
    let named = tokens.named.iter().find(|named| named.key == KEY);
    let of_file = || padding?.get(KEY)?.as_str();
    let given = match named {
        Some(named) if named.by_class => None,
        Some(named) => Some(named.token.content.as_str()),
        None => of_file(),
    };
    if let Some(token) = given {
        let id = inner.token_to_id(token);
        return id
            .map(|id| (token.to_string(), id))
            .ok_or_else(|| format!("{token:?}, which is not in the vocabulary"));
    }
    let of_class = named.and_then(|named| vocabulary.get_key_value(&named.token.content));
    if let Some((token, id)) = of_class {
        return Ok((token.clone(), *id));
    }
    let mut called = vocabulary.iter().filter(|(token, _)| is_called(KEY, token));
    match (called.next(), called.next()) {
        (Some((token, id)), None) => Ok((token.clone(), *id)),
        (None, _) => Err("no padding token, and none in the vocabulary that is called so".into()),
        (Some((one, _)), Some((other, _))) => Err(format!(
            "no padding token, where {one:?} and {other:?} could be it"
        )),
    }
}

impl Tokenizer for CamembertTokenizer {
    fn encode(&self, text: &str, max_length: Option<usize>) -> Result<Encoding> {
        let pipeline = &self.pipeline;
        let room = room(max_length, pipeline.special_tokens())?;
        pipeline.lend(|cache| pipeline.encode(text, room, cache))
    }

    fn encode_batch(&self, texts: &[&str], max_length: Option<usize>) -> Result<Vec<Encoding>> {
        let pipeline = &self.pipeline;
        let room = room(max_length, pipeline.special_tokens())?;
        encode_in_chunks(texts, |texts, encodings| {
            pipeline.lend(|cache| {
                for (text, encoding) in texts.iter().zip(encodings) {
                    *encoding = pipeline.encode(text, room, cache)?;
                }
                Ok(())
            })
        })
    }

    fn encode_aligned(&self, text: &str, max_length: Option<usize>) -> Result<AlignedEncoding> {
        let room = room(max_length, self.pipeline.special_tokens())?;
        self.pipeline.encode_aligned(text, room)
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn pad_token_id(&self) -> u32 {
        self.pad.1
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn token(&self, id: u32) -> Option<String> {
        self.pipeline.inner.id_to_token(id)
    }

    fn under_transformers_5(&self) -> Result<Transformers5> {
        let Some(recipe) = &self.recipe else {
            return Ok(Transformers5::Same);
        };
        let Pipeline { inner, .. } = &self.pipeline;
        let Some(other) = rebuilt::rebuild(&self.path, inner, recipe)? else {
            return Ok(Transformers5::CannotOpen);
        };
        let pipeline = Pipeline::new(&self.path, other, self.settings.truncation)?;
        let around =
            (&self.pipeline.before, &self.pipeline.after) == (&pipeline.before, &pipeline.after);
        if around && rebuilt::are_one(inner, &pipeline.inner) {
            return Ok(Transformers5::Same);
        }
        let comparable =
            around && rebuilt::same_model(inner.get_model(), pipeline.inner.get_model());
        let ordinary = match (&self.pipeline.chunks, &pipeline.chunks) {
            (Some(one), Some(other)) if comparable => Some(one.common(other)),
            _ => None,
        };
        Ok(Transformers5::Other(Box::new(rebuilt::Comparison {
            pipeline,
            ordinary,
        })))
    }

    fn kind(&self) -> TokenizerKind {
        TokenizerKind::Camembert
    }
}

/// Make of the file's tokenizer what transformers' class makes of it.
fn adapt(
    inner: &mut tokenizers::Tokenizer,
    config: &JsonFile,
    class: Class,
    options: &TokenizerOptions,
) -> tokenizers::Result<()> {
    if let Some(PreTokenizerWrapper::ByteLevel(bytes)) = inner.get_pre_tokenizer() {
        let prefix = config.get("add_prefix_space").and_then(Value::as_bool);
        let bytes = bytes.add_prefix_space(prefix.unwrap_or(false));
        inner.with_pre_tokenizer(Some(bytes));
    }
    let normalizer = inner.get_normalizer().cloned();
    if let (Class::Bert, Some(NormalizerWrapper::BertNormalizer(file))) = (class, normalizer) {
        let flag = |key: &str| config.get(key).and_then(Value::as_bool);
        inner.with_normalizer(Some(BertNormalizer::new(
            file.clean_text,
            flag("tokenize_chinese_chars").unwrap_or(true),
            flag("strip_accents"),
            flag("do_lower_case").unwrap_or(true),
        )))?;
    }
    if options.lowercase == Some(true) {
        let mut normalizers: Vec<NormalizerWrapper> = vec![Lowercase.into()];
        normalizers.extend(inner.get_normalizer().cloned());
        inner.with_normalizer(Some(Sequence::new(normalizers)))?;
    }
    Ok(())
}
