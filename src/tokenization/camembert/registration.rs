//! The tokens that the classes of transformers register on top of a file's own, in their order: the ids of new ones follow
//! from it.

use std::collections::HashSet;

use tokenizers::AddedToken;

use super::super::special_tokens::{NAMED, Release, SpecialTokens, Token};
use super::class::Class;
use super::growth::Growth;

/// What is registered on top of `present`, the texts of the file's added tokens.
pub(super) fn of(
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

/// `PreTrainedTokenizerFast.__init__` of 4.57. A special token that has flags is registered again although it is there.
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
    let named = || (tokens.named.iter().map(|named| &named.token)).chain(&tokens.own_names);
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
pub(super) fn present(inner: &tokenizers::Tokenizer) -> HashSet<String> {
    let added = inner.get_added_tokens_decoder();
    added.into_values().map(|token| token.content).collect()
}
