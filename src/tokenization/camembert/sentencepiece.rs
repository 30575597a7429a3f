//! A `sentencepiece.bpe.model` file as a tokenizer of the tokenizers crate.
//!
//! The file is a protocol buffer (`sentencepiece_model.proto`); only the few fields that matter are
//! read. The tokenizer is built as transformers' `CamembertConverter` and `XLMRobertaConverter` do:
//! fairseq's own special tokens first, then the pieces, then `<mask>`.

use std::path::Path;

use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{NormalizerWrapper, Precompiled, Replace, Sequence, Strip};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::super::files::read_bytes;
use super::class::Class;
use super::guard::{check_charsmap, contained};
use crate::error::{Error, Result};

/// SentencePiece's word boundary.
pub(super) const BOUNDARY: char = '\u{2581}';
/// `ModelProto.SentencePiece.Type`: ordinary, control and user-defined pieces.
const NORMAL: u64 = 1;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
/// Most pieces of a model; XLM-RoBERTa has 250,000. Each takes a hundred times the bytes of the
/// shortest one in the file.
const MOST_PIECES: usize = 1 << 20;
/// `TrainerSpec.ModelType.UNIGRAM`.
const UNIGRAM: u64 = 1;

/// The fields of a model that the conversion uses.
#[derive(Debug, Default, PartialEq)]
struct Model {
    pieces: Vec<Piece>,
    model_type: Option<u64>,
    precompiled_charsmap: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Piece {
    text: String,
    score: f32,
    kind: u64,
}

/// Build the tokenizer of a model file.
///
/// # Errors
/// When the file cannot be read, is no SentencePiece model, or is not a unigram model.
pub(super) fn open(path: &Path, class: Class) -> Result<Tokenizer> {
    let bytes = read_bytes(path)?;
    let model = parse(&bytes).map_err(|(at, found)| {
        let expected = "a SentencePiece model; download the file again";
        Error::malformed(path, format!("byte {at}"), found, expected)
    })?;
    if model.model_type.unwrap_or(UNIGRAM) != UNIGRAM {
        return Err(Error::malformed(
            path,
            "trainer_spec.model_type",
            model.model_type.unwrap_or_default(),
            "1 (unigram): CamemBERT and XLM-RoBERTa have unigram models",
        ));
    }
    if !model.precompiled_charsmap.is_empty() {
        check_charsmap(&model.precompiled_charsmap).map_err(|found| {
            let place = "normalizer_spec.precompiled_charsmap";
            Error::malformed(
                path,
                place,
                found,
                "a SentencePiece model; download it again",
            )
        })?;
    }
    contained(|| convert(&model, class))
        .map_err(|e| Error::malformed(path, "", e, "a model that makes a tokenizer"))
}

fn convert(model: &Model, class: Class) -> tokenizers::Result<Tokenizer> {
    let (vocabulary, unk_id) = vocabulary(model, class);
    let mut tokenizer = Tokenizer::new(Unigram::from(vocabulary, Some(unk_id), false)?);
    let added = |p: &&Piece| p.kind == CONTROL || p.kind == USER_DEFINED;
    let added: Vec<AddedToken> = model
        .pieces
        .iter()
        .filter(added)
        .map(|p| AddedToken::from(p.text.clone(), p.kind == CONTROL).normalized(false))
        .collect();
    tokenizer.add_tokens(added)?;
    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    if !model.precompiled_charsmap.is_empty() {
        normalizers.push(Precompiled::from(&model.precompiled_charsmap)?.into());
    }
    normalizers.push(Strip::new(false, true).into());
    let spaces = ReplacePattern::Regex(" {2,}".into());
    normalizers.push(Replace::new(spaces, BOUNDARY.to_string())?.into());
    tokenizer.with_normalizer(Some(Sequence::new(normalizers)))?;
    tokenizer.with_pre_tokenizer(Some(Metaspace::new(BOUNDARY, PrependScheme::Always, true)));
    let id = |token: &str| tokenizer.token_to_id(token).unwrap_or(unk_id as u32);
    let processor = TemplateProcessing::builder()
        .try_single("<s> $A </s>")?
        .try_pair("<s> $A </s> </s> $B </s>")?
        .special_tokens(vec![("<s>", id("<s>")), ("</s>", id("</s>"))])
        .build()?;
    tokenizer.with_post_processor(Some(processor));
    Ok(tokenizer)
}

/// Tokens with their scores in the order of their ids, and the id of the unknown token.
fn vocabulary(model: &Model, class: Class) -> (Vec<(String, f64)>, usize) {
    // The published CamemBERT has its own tokens before the pieces; its `<unk>` is spelled anew and
    // the model's own is made improbable. XLM-RoBERTa replaces the first three pieces.
    let (first, replaced): (&[(&str, f64)], usize) = match class.is_roberta() {
        false => (
            &[
                ("<s>NOTUSED", 0.0),
                ("<pad>", 0.0),
                ("</s>NOTUSED", 0.0),
                ("<unk>", 0.0),
                ("<unk>NOTUSED", -100.0),
            ],
            1,
        ),
        true => (
            &[("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)],
            3,
        ),
    };
    let first = first.iter().map(|(t, score)| (t.to_string(), *score));
    let pieces = model.pieces.iter().skip(replaced);
    let pieces = pieces.map(|p| (p.text.clone(), f64::from(p.score)));
    let mask = std::iter::once(("<mask>".to_string(), 0.0));
    (first.chain(pieces).chain(mask).collect(), 3)
}

/// Where parsing stopped and what was found there.
type ParseError = (usize, &'static str);

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// A varint's or a fixed number's value, or the bytes of a length-delimited field.
    value: u64,
    bytes: &'a [u8],
    at: usize,
}

/// The fields of a protocol buffer message, from the first byte to the last.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message starts in the file.
    base: usize,
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> std::result::Result<u64, ParseError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else {
                return Err((self.base + self.at, "the end of the file in a number"));
            };
            self.at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err((self.base + self.at, "a number longer than 64 bits"))
    }

    fn take(&mut self, length: u64) -> std::result::Result<&'a [u8], ParseError> {
        let end = usize::try_from(length)
            .ok()
            .and_then(|l| self.at.checked_add(l));
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or((self.base + self.at, "a field longer than the file"))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn next(&mut self) -> std::result::Result<Option<Field<'a>>, ParseError> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let at = self.base + self.at;
        let key = self.varint()?;
        let (mut value, mut bytes) = (0, &[][..]);
        match key & 7 {
            0 => value = self.varint()?,
            1 => bytes = self.take(8)?,
            2 => {
                let length = self.varint()?;
                bytes = self.take(length)?;
            }
            5 => {
                bytes = self.take(4)?;
                let four = bytes.iter().rev();
                value = four.fold(0, |all, byte| all << 8 | u64::from(*byte));
            }
            _ => return Err((at, "an unknown kind of field")),
        }
        let number = key >> 3;
        let at = self.base + self.at - bytes.len();
        Ok(Some(Field {
            number,
            value,
            bytes,
            at,
        }))
    }
}

fn fields(bytes: &[u8], base: usize) -> Fields<'_> {
    Fields { bytes, at: 0, base }
}

fn parse(bytes: &[u8]) -> std::result::Result<Model, ParseError> {
    let mut model = Model::default();
    let mut all = fields(bytes, 0);
    while let Some(field) = all.next()? {
        match field.number {
            1 if model.pieces.len() == MOST_PIECES => return Err((field.at, "too many pieces")),
            1 => model.pieces.push(piece(field.bytes, field.at)?),
            2 => {
                let mut spec = fields(field.bytes, field.at);
                while let Some(field) = spec.next()? {
                    if field.number == 3 {
                        model.model_type = Some(field.value);
                    }
                }
            }
            3 => {
                let mut spec = fields(field.bytes, field.at);
                while let Some(field) = spec.next()? {
                    if field.number == 2 {
                        model.precompiled_charsmap = field.bytes.to_vec();
                    }
                }
            }
            _ => {}
        }
    }
    match model.pieces.len() {
        0..3 => Err((bytes.len(), "fewer than three pieces")),
        _ => Ok(model),
    }
}

fn piece(bytes: &[u8], at: usize) -> std::result::Result<Piece, ParseError> {
    let mut piece = Piece {
        text: String::new(),
        score: 0.0,
        kind: NORMAL,
    };
    let mut all = fields(bytes, at);
    while let Some(field) = all.next()? {
        match field.number {
            1 => {
                let text = std::str::from_utf8(field.bytes);
                piece.text = text.map_err(|_| (field.at, "invalid UTF-8"))?.to_string();
            }
            2 => piece.score = f32::from_bits(field.value as u32),
            3 => piece.kind = field.value,
            _ => {}
        }
    }
    Ok(piece)
}
