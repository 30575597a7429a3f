//! The Moses punctuation normaliser and tokenizer for French, ported from sacremoses 0.2.0.

use std::ops::Range;

use super::aligned::{Buffers, Text};

pub(crate) mod characters;
pub(crate) mod punctuation;
pub(crate) mod tokenizer;

/// What `sacremoses.MosesPunctNormalizer("fr").normalize(text)` returns.
pub fn normalize_punctuation(text: &str) -> String {
    let mut buffers = whole(text);
    punctuation::normalize(&mut buffers);
    into_string(buffers.text)
}

/// What `sacremoses.MosesTokenizer("fr").tokenize(text, escape=False)` returns.
pub fn tokenize(text: &str) -> Vec<String> {
    let mut buffers = whole(text);
    let mut tokens = Vec::new();
    tokenizer::tokenize(&mut buffers, &mut tokens);
    let bytes = &buffers.text.bytes;
    tokens
        .into_iter()
        .map(|token: Range<usize>| String::from_utf8_lossy(&bytes[token]).into_owned())
        .collect()
}

fn whole(text: &str) -> Buffers<()> {
    let mut buffers = Buffers::default();
    buffers.load(text, std::slice::from_ref(&(0..text.len())));
    buffers
}

fn into_string(text: Text<()>) -> String {
    String::from_utf8_lossy(&text.bytes).into_owned()
}
