//! Which class of transformers opens a folder, and the tokens that it registers on top of a file's
//! own, in their order: the ids of new ones follow from it.

use std::collections::HashSet;
use std::path::Path;

use tokenizers::AddedToken;

use super::super::files::JsonFile;
use super::super::special_tokens::{Defaults, Flags, NAMED, Release, SpecialTokens, Token};
use super::guard::Growth;
use crate::error::Result;

/// A class of transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `CamembertTokenizer`.
    Camembert,
    /// `RobertaTokenizer`.
    Roberta,
    /// `XLMRobertaTokenizer`.
    XlmRoberta,
    /// `BertTokenizer`, which decides about case itself.
    Bert,
    /// `PreTrainedTokenizerFast`, `TokenizersBackend`: the file as it is.
    File,
}

/// The tokens of fairseq's models.
const FAIRSEQ: Defaults = Defaults {
    named: [
        Some("<s>"),
        Some("</s>"),
        Some("<unk>"),
        Some("</s>"),
        Some("<pad>"),
        Some("<s>"),
        Some("<mask>"),
    ],
    additional: &[],
};

impl Class {
    /// The class that the folder names, or its model; none where it says neither.
    pub(super) fn of(folder: &Path, config: &JsonFile) -> Result<Option<Self>> {
        let model = JsonFile::open(folder, "config.json")?;
        const KEY: &str = "tokenizer_class";
        let Some(name) = config.string(KEY)?.or(model.string(KEY)?) else {
            return Ok(match model.string("model_type")? {
                Some("camembert") => Some(Self::Camembert),
                Some("roberta") => Some(Self::Roberta),
                Some("xlm-roberta") => Some(Self::XlmRoberta),
                Some("bert") => Some(Self::Bert),
                Some(_) => Some(Self::File),
                None => None,
            });
        };
        Ok(Some(match name.trim_end_matches("Fast") {
            "CamembertTokenizer" => Self::Camembert,
            "RobertaTokenizer" => Self::Roberta,
            "XLMRobertaTokenizer" => Self::XlmRoberta,
            "BertTokenizer" | "DistilBertTokenizer" | "ElectraTokenizer" => Self::Bert,
            "PreTrainedTokenizer" | "TokenizersBackend" => Self::File,
            _ => {
                tracing::warn!(
                    "{}: the class {name} is not known here: tokenizer.json is followed as it is",
                    config.path.display()
                );
                Self::File
            }
        }))
    }

    /// Whose rules about special tokens a folder follows: those of 5 where 4.57 cannot open it.
    pub(super) fn release(config: &JsonFile) -> Result<Release> {
        let backend = config.string("tokenizer_class")? == Some("TokenizersBackend");
        let extra = config.get("extra_special_tokens");
        let listed = extra.is_some_and(|extra| extra.is_array());
        Ok(match backend || listed {
            true => Release::Five,
            false => Release::Four,
        })
    }

    /// What the class adds where the folder is silent.
    pub(super) fn defaults(self) -> Defaults {
        match self {
            Self::Camembert => Defaults {
                additional: &["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
                ..FAIRSEQ
            },
            Self::Roberta | Self::XlmRoberta => FAIRSEQ,
            Self::Bert => Defaults {
                named: [
                    None,
                    None,
                    Some("[UNK]"),
                    Some("[SEP]"),
                    Some("[PAD]"),
                    Some("[CLS]"),
                    Some("[MASK]"),
                ],
                additional: &[],
            },
            Self::File => Defaults {
                named: [None; 7],
                additional: &[],
            },
        }
    }

    /// What becomes of a mask token that is a mere string: it takes the space before it.
    pub(super) fn mask(self, release: Release, token: Token) -> Token {
        let normalized = match (self, release) {
            (Self::Camembert, _) | (Self::XlmRoberta, Release::Four) => None,
            (Self::Roberta, Release::Four) => Some(false),
            _ => return token,
        };
        if token.flags.is_some() {
            return token;
        }
        let flags = Flags {
            lstrip: true,
            normalized,
            special: self == Self::Camembert,
            ..Flags::default()
        };
        Token::flagged(&token.content, flags)
    }

    /// Whether a SentencePiece model without `tokenizer.json` has XLM-RoBERTa's first ids rather
    /// than CamemBERT's.
    pub(super) fn is_roberta(self) -> bool {
        matches!(self, Self::Roberta | Self::XlmRoberta)
    }
}

/// What is registered on top of `present`, the texts of the file's added tokens.
pub(super) fn registered(
    tokens: &SpecialTokens,
    present: &HashSet<String>,
    class: Class,
    release: Release,
) -> Vec<AddedToken> {
    let mut tokens = tokens.clone();
    for named in &mut tokens.named {
        if named.key == NAMED[6] {
            named.token = class.mask(release, named.token.clone());
        }
    }
    match release {
        Release::Four => four(&tokens, present),
        Release::Five => five(&tokens, present),
    }
}

/// `PreTrainedTokenizerFast.__init__` of 4.57. A special token that has flags is registered again
/// although it is there.
fn four(tokens: &SpecialTokens, present: &HashSet<String>) -> Vec<AddedToken> {
    let special = tokens.in_order();
    let mut adding: Vec<&Token> = tokens.added.values().collect();
    let known = |content: &String| {
        present.contains(content) || tokens.added.values().any(|t| t.content == *content)
    };
    for token in &special {
        let wanted = match token.flags {
            None => !known(&token.content),
            Some(_) => !adding
                .iter()
                .any(|other| finished(other, false) == finished(token, false)),
        };
        if wanted {
            adding.push(token);
        }
    }
    let is_special = |token: &Token| special.iter().any(|s| s.content == token.content);
    let finish = |token: &Token| finished(token, is_special(token));
    adding.into_iter().map(finish).collect()
}

/// `TokenizersBackend.__init__` of 5.24. A special token whose text is there stays as it is.
fn five(tokens: &SpecialTokens, present: &HashSet<String>) -> Vec<AddedToken> {
    let mut adding: Vec<&Token> = tokens.added.values().collect();
    let mut known = present.clone();
    known.extend(tokens.added.values().map(|token| token.content.clone()));
    let named = || (tokens.named.iter().map(|named| &named.token)).chain(&tokens.model_specific);
    for token in named().chain(&tokens.additional) {
        if !known.contains(&token.content) && !adding.contains(&token) {
            adding.push(token);
        }
    }
    let finish = |token: &Token| {
        let special = token.flags.is_none() || named().any(|n| n.content == token.content);
        finished(token, special)
    };
    adding.into_iter().map(finish).collect()
}

/// A token of the crate; one without flags is special.
fn finished(token: &Token, special: bool) -> AddedToken {
    let Some(flags) = token.flags else {
        return AddedToken::from(token.content.clone(), true);
    };
    let special = special || flags.special;
    AddedToken::from(token.content.clone(), special)
        .lstrip(flags.lstrip)
        .rstrip(flags.rstrip)
        .single_word(flags.single_word)
        .normalized(flags.normalized.unwrap_or(!special))
}

/// Register tokens; each is tried on the normaliser first.
pub(super) fn register(
    inner: &mut tokenizers::Tokenizer,
    tokens: Vec<AddedToken>,
) -> tokenizers::Result<()> {
    let growth = Growth::of(inner.get_normalizer());
    for token in &tokens {
        growth.check(&token.content)?;
    }
    inner.add_tokens(tokens)?;
    Ok(())
}

/// The texts of a tokenizer's added tokens.
pub(super) fn added_texts(inner: &tokenizers::Tokenizer) -> HashSet<String> {
    let added = inner.get_added_tokens_decoder();
    added.into_values().map(|token| token.content).collect()
}
