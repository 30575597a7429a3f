//! Which class of transformers opens a folder, and what that class adds to its files.

use std::path::Path;

use super::super::files::JsonFile;
use super::super::special_tokens::{Defaults, Flags, Release, Token};
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

    /// Whether a SentencePiece model without `tokenizer.json` has XLM-RoBERTa's first ids rather than CamemBERT's.
    pub(super) fn is_roberta(self) -> bool {
        matches!(self, Self::Roberta | Self::XlmRoberta)
    }
}
