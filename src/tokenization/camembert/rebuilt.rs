//! What transformers 5 makes of a folder: its classes build the tokenizer anew from the vocabulary
//! and the charsmap, and drop the file's own normaliser and pre-tokenizer.
//!
//! Reference: transformers 5.24, `TokenizersBackend.convert_to_native_format`,
//! `CamembertTokenizer`, `XLMRobertaTokenizer` and `RobertaTokenizer`.

use std::path::Path;

use rayon::prelude::*;
use serde_json::json;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as Steps;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{PreTokenizerWrapper, Tokenizer};

use super::super::special_tokens::{Release, SpecialTokens};
use super::super::{Encoding, OtherIds, room};
use super::class::{self, Class};
use super::guard::contained;
use super::pipeline::{Chunks, Pipeline};
use super::sentencepiece::BOUNDARY;
use crate::error::{Error, Result, interrupt};

/// What decides about the tokenizer that 5.24 builds, beside the file itself.
pub(super) struct Recipe {
    pub(super) class: Class,
    /// The tokens of the folder by the rules of 5.
    pub(super) tokens: SpecialTokens,
    /// `add_prefix_space`, by default CamemBERT's and XLM-RoBERTa's, and not RoBERTa's.
    pub(super) add_prefix_space: Option<bool>,
    pub(super) split_special_tokens: bool,
    pub(super) lowercase: bool,
}

/// The tokenizer of 5.24 for a folder whose own is `file`; none where 5.24 cannot make one.
///
/// # Errors
/// What the tokenizers crate says about it.
pub(super) fn rebuild(path: &Path, file: &Tokenizer, recipe: &Recipe) -> Result<Option<Tokenizer>> {
    let failed = |e| Error::malformed(path, "", e, "a tokenizer that transformers 5 can build");
    contained(|| build(file, recipe)).map_err(failed)
}

fn build(file: &Tokenizer, recipe: &Recipe) -> tokenizers::Result<Option<Tokenizer>> {
    let Some(model) = model(file.get_model(), recipe)? else {
        return Ok(None);
    };
    let mut rebuilt = Tokenizer::new(model);
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if recipe.lowercase {
        steps.push(Lowercase.into());
    }
    if recipe.class != Class::Roberta {
        steps.extend(file.get_normalizer().and_then(charsmap).cloned());
    }
    if !steps.is_empty() {
        rebuilt.with_normalizer(Some(one_or_sequence(steps)))?;
    }
    rebuilt.with_pre_tokenizer(Some(pre_tokenizer(recipe)));
    let present = class::added_texts(&rebuilt);
    let tokens = class::registered(&recipe.tokens, &present, recipe.class, Release::Five);
    class::register(&mut rebuilt, tokens)?;
    rebuilt.set_encode_special_tokens(recipe.split_special_tokens);
    let (first, last) = match recipe.class {
        Class::Roberta => ("cls_token", "sep_token"),
        _ => ("bos_token", "eos_token"),
    };
    let named = |key: &str| {
        let token = recipe.tokens.named(key)?;
        let id = rebuilt.token_to_id(&token.content)?;
        Some((token.content.clone(), id))
    };
    let (Some(first), Some(last)) = (named(first), named(last)) else {
        return Ok(None);
    };
    // A template's tokens have names without spaces; the text of a special token need not be one.
    let template = TemplateProcessing::builder()
        .try_single("first $A last")?
        .special_tokens(vec![("first", first.1), ("last", last.1)])
        .build()?;
    rebuilt.with_post_processor(Some(template));
    Ok(Some(rebuilt))
}

/// The vocabulary in the model of the class.
fn model(model: &ModelWrapper, recipe: &Recipe) -> tokenizers::Result<Option<ModelWrapper>> {
    Ok(match (recipe.class, model) {
        (Class::Camembert | Class::XlmRoberta, ModelWrapper::Unigram(unigram)) => {
            let vocabulary: Vec<(String, f64)> = unigram.iter().cloned().collect();
            let unknown = match (recipe.class, recipe.tokens.named("unk_token")) {
                (Class::Camembert, Some(token)) => {
                    let mut texts = vocabulary.iter().map(|(text, _)| text);
                    texts.position(|text| *text == token.content).unwrap_or(0)
                }
                (Class::Camembert, None) => 0,
                _ => 3,
            };
            Some(Unigram::from(vocabulary, Some(unknown), false)?.into())
        }
        (Class::Roberta, ModelWrapper::BPE(bpe)) => Some(bpe.clone().into()),
        (Class::Roberta, other) => {
            // The class reads any vocabulary as that of a BPE without merges.
            let vocabulary = Tokenizer::new(other.clone()).get_vocab(false);
            let bpe = json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocabulary, "merges": []});
            Some(serde_json::from_str::<BPE>(&bpe.to_string())?.into())
        }
        _ => None,
    })
}

/// The first charsmap of a file's normaliser, looked for as 5.24 looks for it.
fn charsmap(normalizer: &NormalizerWrapper) -> Option<&NormalizerWrapper> {
    let is_map = |n: &&NormalizerWrapper| matches!(n, NormalizerWrapper::Precompiled(_));
    match normalizer {
        NormalizerWrapper::Sequence(all) => all.as_ref().iter().find(is_map),
        one => Some(one).filter(is_map),
    }
}

fn one_or_sequence(mut steps: Vec<NormalizerWrapper>) -> NormalizerWrapper {
    match steps.len() {
        1 => steps.remove(0),
        _ => Sequence::new(steps).into(),
    }
}

fn pre_tokenizer(recipe: &Recipe) -> PreTokenizerWrapper {
    if recipe.class == Class::Roberta {
        let prefix = recipe.add_prefix_space.unwrap_or(false);
        return ByteLevel::default().add_prefix_space(prefix).into();
    }
    let scheme = match recipe.add_prefix_space {
        Some(false) => PrependScheme::Never,
        _ => PrependScheme::Always,
    };
    let metaspace = Metaspace::new(BOUNDARY, scheme, true);
    Steps::new(vec![WhitespaceSplit.into(), metaspace.into()]).into()
}

/// Where what 5.24 makes of a text differs.
pub(super) struct Comparison {
    pub(super) pipeline: Pipeline,
    /// What both tokenizers take for ordinary; none where every text must be tried.
    pub(super) ordinary: Option<Chunks>,
}

impl OtherIds for Comparison {
    fn differing(
        &self,
        texts: &[&str],
        encodings: &[Encoding],
        max_length: Option<usize>,
    ) -> Result<Vec<bool>> {
        const CHUNK: usize = 16;
        let room = room(max_length, self.pipeline.special_tokens())?;
        let differs = |text: &str, encoding: &Encoding| match &self.ordinary {
            Some(ordinary) if ordinary.are_all_of(text) => Ok(false),
            _ => {
                let other = self
                    .pipeline
                    .lend(|cache| self.pipeline.encode(text, room, cache));
                Ok(other?.ids != encoding.ids)
            }
        };
        let parts = texts.par_chunks(CHUNK).zip(encodings.par_chunks(CHUNK));
        let parts = parts.map(|(texts, encodings)| {
            interrupt::check()?;
            let pairs = texts.iter().zip(encodings);
            pairs
                .map(|(text, encoding)| differs(text, encoding))
                .collect()
        });
        let parts: Vec<Vec<bool>> = parts.collect::<Result<_>>()?;
        Ok(parts.concat())
    }
}

/// Whether two tokenizers of the same vocabulary are one: the same steps, the same added tokens,
/// the same special ones around a text.
pub(super) fn are_one(one: &Tokenizer, other: &Tokenizer) -> bool {
    let added = |t: &Tokenizer| {
        let mut added: Vec<_> = t.get_added_tokens_decoder().into_iter().collect();
        added.sort_by_key(|(id, _)| *id);
        added
    };
    let steps = |t: &Tokenizer| {
        let normalizer = serde_json::to_value(t.get_normalizer().map(unwrapped));
        let pre_tokenizer = serde_json::to_value(t.get_pre_tokenizer());
        // What cannot be shown is taken for different.
        Some((normalizer.ok()?, pre_tokenizer.ok()?))
    };
    let same_steps = steps(one).is_some_and(|steps_of_one| steps(other) == Some(steps_of_one));
    same_steps && added(one) == added(other) && same_model(one.get_model(), other.get_model())
}

/// A sequence of one step is that step.
fn unwrapped(normalizer: &NormalizerWrapper) -> &NormalizerWrapper {
    match normalizer {
        NormalizerWrapper::Sequence(all) => match all.as_ref() {
            [one] => one,
            _ => normalizer,
        },
        one => one,
    }
}

/// Whether two models of one vocabulary take a text to pieces alike.
pub(super) fn same_model(one: &ModelWrapper, other: &ModelWrapper) -> bool {
    match (one, other) {
        (ModelWrapper::Unigram(one), ModelWrapper::Unigram(other)) => one == other,
        (ModelWrapper::BPE(one), ModelWrapper::BPE(other)) => one == other,
        _ => false,
    }
}
