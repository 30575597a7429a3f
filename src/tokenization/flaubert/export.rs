//! FlauBERT as a `tokenizer.json`, as far as that format can express it.
//!
//! The tokenizers crate knows no Moses, but its normalisers are substitutions by regular
//! expressions, as Moses' rules are. What it lacks is groups in replacements and the consumption of
//! what stands right of a match, so that some rare sequences (`a'b'c'd`, single digits between
//! no-break spaces, more than four dots before a quotation mark, the literal word `DOTMULTI`) come
//! out differently; so do words with one of the merges that must be left out. [`Comparison`] counts
//! them on given texts.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::super::files::JsonFile;
use super::super::{Tokenizer, TokenizerOptions};
use super::FlaubertTokenizer;
use super::added_tokens::AddedTokens;
use super::bpe::END_OF_WORD;
use super::moses::characters::ranges;
use super::moses::tokenizer::nonbreaking_prefixes;
use super::vocabulary::{read_merges, read_vocabulary};
use crate::error::{Error, Result, interrupt};

/// What an error speaks of.
const CONTEXT: &str = "the exported tokenizer";

/// A tokenizer in the format of the tokenizers crate.
#[derive(Clone, Debug)]
pub struct Export {
    /// The text of `tokenizer.json`.
    pub json: String,
    /// The text of the `tokenizer_config.json` that goes with it, for `PreTrainedTokenizerFast`.
    pub(crate) config: String,
    /// Merges left out because they make, or take, a symbol that has no id: the crate refuses them.
    pub dropped_merges: usize,
}

/// How an exported tokenizer compares with the real one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Texts compared.
    pub texts: usize,
    /// Texts of which at least one id differs.
    pub differing: usize,
}

impl Differences {
    /// The share of texts that differ, between 0 and 1.
    pub fn share(&self) -> f64 {
        match self.texts {
            0 => 0.0,
            texts => self.differing as f64 / texts as f64,
        }
    }
}

/// The FlauBERT tokenizer of a folder as a `tokenizer.json` for the tokenizers crate and
/// `PreTrainedTokenizerFast`.
///
/// # Errors
/// When the folder's files are missing or malformed.
pub fn export_tokenizer_json(folder: &Path, options: &TokenizerOptions) -> Result<Export> {
    let tokenizer = FlaubertTokenizer::open(folder, options)?;
    let config = JsonFile::open(folder, "tokenizer_config.json")?;
    let vocabulary = read_vocabulary(folder)?;
    let added = AddedTokens::open(folder, &config, &vocabulary)?;
    let merges = read_merges(folder)?;
    let all_merges = merges.len();
    let merges: Vec<String> = merges
        .into_iter()
        .filter(|(left, right)| {
            let known = |symbol: &str| vocabulary.contains_key(symbol);
            known(left) && known(right) && known(&format!("{left}{right}"))
        })
        .map(|(left, right)| format!("{left} {right}"))
        .collect();
    let dropped_merges = all_merges - merges.len();
    let token = |key: &str, id: u32| (added.special(key).unwrap_or_default().to_string(), id);
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(&added),
        "normalizer": {"type": "Sequence", "normalizers": normalizers(tokenizer.lowercase)},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Split", "pattern": {"Regex": format!("{}|\\.{{2,}}", special())}, "behavior": "Isolated", "invert": false},
        ]},
        "post_processor": template(token("bos_token", tokenizer.bos_id), token("sep_token", tokenizer.sep_id)),
        "decoder": {"type": "BPEDecoder", "suffix": END_OF_WORD},
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": added.special("unk_token"),
            "continuing_subword_prefix": null,
            "end_of_word_suffix": END_OF_WORD,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": by_id(&vocabulary),
            "merges": merges,
        },
    });
    Ok(Export {
        json: json.to_string(),
        config: config_of(&added, tokenizer.model_max_length()),
        dropped_merges,
    })
}

/// What `AutoTokenizer` needs to know beside `tokenizer.json`.
fn config_of(added: &AddedTokens, model_max_length: usize) -> String {
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model_max_length,
        "clean_up_tokenization_spaces": false,
    });
    for key in [
        "bos_token",
        "sep_token",
        "cls_token",
        "unk_token",
        "pad_token",
        "mask_token",
    ] {
        if let Some(token) = added.special(key) {
            config[key] = token.into();
        }
    }
    format!("{config:#}\n")
}

/// An exported `tokenizer.json` held against the tokenizer that it came from.
pub struct Comparison<'a> {
    tokenizer: &'a dyn Tokenizer,
    exported: tokenizers::Tokenizer,
    found: Differences,
}

impl<'a> Comparison<'a> {
    /// Nothing compared yet.
    ///
    /// # Errors
    /// When the export cannot be read by the tokenizers crate.
    pub fn new(tokenizer: &'a dyn Tokenizer, export: &Export) -> Result<Self> {
        let exported = tokenizers::Tokenizer::from_bytes(export.json.as_bytes());
        Ok(Self {
            tokenizer,
            exported: exported.map_err(Error::compute(CONTEXT))?,
            found: Differences::default(),
        })
    }

    /// Count the texts to which the export gives other ids.
    ///
    /// # Errors
    /// When either cannot encode a text, or a signal asks the run to stop.
    pub fn add(&mut self, texts: &[&str]) -> Result<()> {
        let encodings = self.tokenizer.encode_batch(texts, None)?;
        let differs = |(text, encoding): (&&str, &super::super::Encoding)| {
            interrupt::check()?;
            let theirs = self.exported.encode_fast(*text, true);
            let theirs = theirs.map_err(Error::compute(CONTEXT))?;
            Ok(usize::from(theirs.get_ids() != encoding.ids))
        };
        let differing: Result<Vec<usize>> = texts.par_iter().zip(&encodings).map(differs).collect();
        self.found.texts += texts.len();
        self.found.differing += differing?.iter().sum::<usize>();
        Ok(())
    }

    /// What was found so far.
    pub fn found(&self) -> Differences {
        self.found
    }
}

/// The vocabulary in the order of its ids.
fn by_id(vocabulary: &HashMap<String, u32>) -> Value {
    let mut tokens: Vec<(&String, &u32)> = vocabulary.iter().collect();
    tokens.sort_by_key(|(_, id)| **id);
    let entry = |(token, id): (&String, &u32)| (token.clone(), Value::from(*id));
    Value::Object(tokens.into_iter().map(entry).collect())
}

fn added_tokens(added: &AddedTokens) -> Vec<Value> {
    let mut tokens: Vec<_> = added.iter().collect();
    tokens.sort_by_key(|(id, _)| *id);
    let object = |(id, token): (u32, &super::added_tokens::AddedToken)| {
        json!({
            "id": id,
            "content": token.content,
            "single_word": token.single_word,
            "lstrip": token.lstrip,
            "rstrip": token.rstrip,
            "normalized": false,
            "special": true,
        })
    };
    tokens.into_iter().map(object).collect()
}

fn template((bos, bos_id): (String, u32), (sep, sep_id): (String, u32)) -> Value {
    let special = |token: &String| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let sequence = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
    let mut tokens = serde_json::Map::new();
    for (token, id) in [(&bos, bos_id), (&sep, sep_id)] {
        let value = json!({"id": token, "ids": [id], "tokens": [token]});
        tokens.insert(token.clone(), value);
    }
    json!({
        "type": "TemplateProcessing",
        "single": [special(&bos), sequence("A", 0), special(&sep)],
        "pair": [special(&bos), sequence("A", 0), special(&sep), sequence("B", 0), special(&sep)],
        "special_tokens": tokens,
    })
}

/// Everything up to Moses' tokens, step by step.
fn normalizers(lowercase: bool) -> Vec<Value> {
    let mut steps = vec![
        literal("``", "\""),
        literal("''", "\""),
        json!({"type": "NFC"}),
    ];
    if lowercase {
        steps.push(json!({"type": "Lowercase"}));
    }
    steps.extend(unicode_punctuation());
    steps.extend(moses_punctuation());
    let class = |name: &str| format!("[{}]", ranges(name));
    steps.push(regex(class("other:"), ""));
    steps.push(regex(format!("{}+", class("space:")), " "));
    steps.push(strip());
    steps.extend(moses_separations());
    steps
}

fn literal(pattern: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
}

fn regex(pattern: impl Into<String>, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"Regex": pattern.into()}, "content": content})
}

fn strip() -> Value {
    json!({"type": "Strip", "strip_left": true, "strip_right": true})
}

/// The punctuation of other scripts.
fn unicode_punctuation() -> Vec<Value> {
    let space = ranges("space:");
    let mut steps = vec![
        regex(format!("[。．][{space}]*"), ". "),
        regex("[，、]", ","),
        regex("[”“《》」「]", "\""),
        regex("[∶：]", ":"),
    ];
    let pairs = [
        ("？", "?"),
        ("）", ")"),
        ("！", "!"),
        ("（", "("),
        ("；", ";"),
        ("～", "~"),
        ("’", "'"),
        ("…", "..."),
        ("━", "-"),
        ("〈", "<"),
        ("〉", ">"),
        ("【", "["),
        ("】", "]"),
        ("％", "%"),
    ];
    steps.extend(pairs.map(|(pattern, content)| literal(pattern, content)));
    for (wide, digit) in ('０'..='９').zip(0..) {
        steps.push(literal(&wide.to_string(), &digit.to_string()));
    }
    steps
}

/// `MosesPunctNormalizer("fr")`.
fn moses_punctuation() -> Vec<Value> {
    let digit = ranges("digit:");
    let space = ranges("space:");
    let mut steps = vec![
        literal("\r", ""),
        literal("(", " ("),
        literal(")", ") "),
        regex(" +", " "),
        regex("\\) (?=[.!:?;,])", ")"),
        literal("( ", "("),
        literal(" )", ")"),
        regex(format!("[{digit}]\\K %"), "%"),
        literal(" :", ":"),
        literal(" ;", ";"),
        literal("`", "'"),
        literal("''", " \" "),
        literal("„", "\""),
        literal("–", "-"),
        literal("—", " - "),
        regex(" +", " "),
        regex("[´‘‚]", "'"),
        literal("''", "\""),
        regex("\u{A0}«\u{A0}", "\""),
        regex("«\u{A0}?", "\""),
        regex("\u{A0}»\u{A0}", "\""),
        regex("\u{A0}?»", "\""),
        literal("\u{A0}%", "%"),
        literal("nº\u{A0}", "nº "),
        literal("\u{A0}:", ":"),
        regex("\u{A0}(?=ºC|cm)", " "),
        regex("\u{A0}(?=[?!;])", ""),
        literal(",\u{A0}", ", "),
        regex(" +", " "),
        literal(",\"", "\","),
    ];
    for dots in ["....", "...", "..", "."] {
        let run = dots.replace('.', "\\.");
        let pattern = format!("(?<!\\.){run}\"(?=[{space}]*[^<])");
        steps.push(regex(pattern, &format!("\"{dots}")));
    }
    steps.push(regex(format!("[{digit}]\\K\u{A0}(?=[{digit}])"), ","));
    steps.push(strip());
    steps
}

/// The special characters that Moses pads: they end words without being part of them.
fn special() -> String {
    format!("[^{}{} .'`,\\-]", ranges("alnum:"), ranges("space:"))
}

/// `MosesTokenizer("fr")`: commas, apostrophes, full stops.
fn moses_separations() -> Vec<Value> {
    let alpha = ranges("alpha:");
    let alnum = ranges("alnum:");
    // Numbers that are not padded: a padded one has a space around it.
    let number = format!("[{}&&{alnum}]", ranges("number:"));
    let other = format!("(?!{number})[\\s\\S]");
    let special = special();
    let lower = ranges("lower:");
    let end = format!("(?=[ ]|{special}|\\z)");
    let start = format!("(?:\\A| |{special}|\\.\\.)");
    let words: Vec<String> = nonbreaking_prefixes()
        .map(|p| p.replace('.', "\\."))
        .collect();
    let nonbreaking = format!("(?!(?:{})\\.{end})", words.join("|"));
    let word = format!("(?:(?!{special})[^ .])");
    let unlettered = format!("(?:(?!{special})[^ {alpha}])");
    vec![
        regex(format!("{other}\\K,"), " , "),
        regex(format!(",(?={other})"), " , "),
        regex(format!("{number}\\K,\\z"), " , "),
        regex(format!("[^{alpha}]\\K'(?=[^{alpha}])"), " ' "),
        regex(format!("[^{alpha}]\\K'(?=[{alpha}])"), " ' "),
        regex(format!("[{alpha}]\\K'(?=[^{alpha}])"), " ' "),
        regex(format!("(?<!')[{alpha}]\\K'(?=[{alpha}])"), "' "),
        regex(
            format!(
                "{start}{nonbreaking}(?:{word}+|{unlettered}+(?<!\\.))\\K\\.{end}(?! *[{lower}])"
            ),
            " .",
        ),
        regex("\\.'\\z", " . '"),
    ]
}
