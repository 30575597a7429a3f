//! FlauBERT's special and added tokens: which there are, their ids, and how they are found in a
//! text.
//!
//! The rules are those of `PreTrainedTokenizer` in transformers 4.57: `added_tokens_decoder` of
//! `tokenizer_config.json` if there is one, else the older files; then the special tokens, which
//! get new ids where the vocabulary lacks them. Those of 5.24 differ in the flags of a few; its
//! `extra_special_tokens` count where 4.57 refuses them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use memchr::memchr;

use super::super::files::JsonFile;
use super::super::special_tokens::{Defaults, Release, SpecialTokens, Token};
use super::moses::characters::{SPACE, characters, decode};
use crate::error::Result;

/// What `FlaubertTokenizer` adds where the folder is silent.
const DEFAULTS: Defaults = Defaults {
    named: [
        Some("<s>"),
        None,
        Some("<unk>"),
        Some("</s>"),
        Some("<pad>"),
        Some("</s>"),
        Some("<special1>"),
    ],
    additional: &[
        "<special0>",
        "<special1>",
        "<special2>",
        "<special3>",
        "<special4>",
        "<special5>",
        "<special6>",
        "<special7>",
        "<special8>",
        "<special9>",
    ],
};

/// A token that is found in the raw text before anything else happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedToken {
    /// The text of the token.
    pub(crate) content: String,
    /// Whether it takes the white space before it.
    pub(crate) lstrip: bool,
    /// Whether it takes the white space after it.
    pub(crate) rstrip: bool,
    /// Whether it counts only as a word of its own.
    pub(crate) single_word: bool,
}

impl AddedToken {
    fn of(token: &Token) -> Self {
        let flags = token.flags.unwrap_or_default();
        Self {
            content: token.content.clone(),
            lstrip: flags.lstrip,
            rstrip: flags.rstrip,
            single_word: flags.single_word,
        }
    }
}

/// A part of a text: an added token, or text between them (in more than one range when a token
/// joined it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The id of an added token and where it stands.
    Added(u32, Range<usize>),
    /// Ordinary text.
    Text(Vec<Range<usize>>),
}

/// The added tokens of one tokenizer.
pub(crate) struct AddedTokens {
    by_content: HashMap<String, u32>,
    by_id: HashMap<u32, AddedToken>,
    special: HashMap<&'static str, String>,
    /// Attributes whose token only the class names, where the vocabulary has such a token under
    /// another name.
    missing: Vec<(&'static str, String)>,
    trie: Trie,
}

impl AddedTokens {
    /// Read the tokens of a folder; `vocabulary` gives the ids of those it has.
    pub(crate) fn open(
        folder: &Path,
        config: &JsonFile,
        vocabulary: &HashMap<String, u32>,
    ) -> Result<Self> {
        let file = match config.entries.contains_key("added_tokens_decoder") {
            true => None,
            false => Some(JsonFile::open(folder, "tokenizer.json")?),
        };
        let release = Release::Four;
        let mut read = SpecialTokens::read(folder, config, file.as_ref(), &DEFAULTS, release)?;
        let mut tokens = Self {
            by_content: HashMap::new(),
            by_id: HashMap::new(),
            special: HashMap::new(),
            missing: Vec::new(),
            trie: Trie::new(std::iter::empty()),
        };
        for (id, token) in &read.added {
            tokens.insert(*id, AddedToken::of(token));
        }
        let mut known = vocabulary.clone();
        known.extend(tokens.by_content.clone());
        let all = read.named.clone();
        read.drop_what_has_another_name(&known);
        let dropped = |key: &str| read.named(key).is_none();
        let missing = all.into_iter().filter(|named| dropped(named.key));
        tokens.missing = missing
            .map(|named| (named.key, named.token.content))
            .collect();
        for named in &read.named {
            let content = named.token.content.clone();
            tokens.special.insert(named.key, content);
        }
        tokens.register(&read, vocabulary);
        let contents = tokens.by_id.values().map(|token| token.content.as_str());
        tokens.trie = Trie::new(contents);
        Ok(tokens)
    }

    fn insert(&mut self, id: u32, token: AddedToken) {
        if let Some(old) = self.by_id.get(&id) {
            self.by_content.remove(&old.content);
        }
        self.by_content.insert(token.content.clone(), id);
        self.by_id.insert(id, token);
    }

    /// Give each special token its id: the vocabulary's, or one past the end. One that has flags
    /// replaces those of an added token of its text.
    fn register(&mut self, read: &SpecialTokens, vocabulary: &HashMap<String, u32>) {
        let mut next = self.vocab_size(vocabulary) as u32;
        for token in read.in_order() {
            let known = self.by_content.get(&token.content).copied();
            if token.content.is_empty() || known.is_some() && token.flags.is_none() {
                continue;
            }
            let id = known.or_else(|| vocabulary.get(&token.content).copied());
            let id = id.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            self.by_content.insert(token.content.clone(), id);
            self.by_id.insert(id, AddedToken::of(token));
        }
    }

    /// The token that only the class names, for an attribute for which the vocabulary has another
    /// name.
    pub(crate) fn missing(&self, key: &str) -> Option<&str> {
        let missing = self.missing.iter().find(|(name, _)| *name == key);
        missing.map(|(_, content)| content.as_str())
    }

    /// The id of an added token.
    pub(crate) fn id(&self, content: &str) -> Option<u32> {
        self.by_content.get(content).copied()
    }

    /// The text of a special token, by its key in `tokenizer_config.json`.
    pub(crate) fn special(&self, key: &str) -> Option<&str> {
        self.special.get(key).map(String::as_str)
    }

    /// All added tokens with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.by_id.iter().map(|(id, token)| (*id, token))
    }

    /// How many tokens the vocabulary and these make together.
    pub(crate) fn vocab_size(&self, vocabulary: &HashMap<String, u32>) -> usize {
        let new = |content: &&String| !vocabulary.contains_key(*content);
        vocabulary.len() + self.by_content.keys().filter(new).count()
    }

    /// Cut a text at its added tokens; `None` when it has none.
    pub(crate) fn split(&self, text: &str) -> Option<Vec<Part>> {
        if self.trie.is_absent_from(text) {
            return None;
        }
        let ranges = self.trie.split(text);
        let mut parts: Vec<Vec<Range<usize>>> = ranges.into_iter().map(|r| vec![r]).collect();
        for i in 0..parts.len() {
            if let Some(token) = self.token(text, &parts[i]) {
                strip_around(text, &mut parts, i, token);
            }
        }
        let parts = parts.into_iter().filter(|ranges| !ranges.is_empty());
        let part = |ranges: Vec<Range<usize>>| match self.id(&content(text, &ranges)) {
            Some(id) => Part::Added(id, ranges[0].start..ranges[ranges.len() - 1].end),
            None => Part::Text(ranges),
        };
        Some(parts.map(part).collect())
    }

    fn token(&self, text: &str, ranges: &[Range<usize>]) -> Option<&AddedToken> {
        self.by_id.get(&self.id(&content(text, ranges))?)
    }
}

/// Let the token at `i` take white space from its neighbours, or join them when it must be a word
/// of its own.
fn strip_around(text: &str, parts: &mut [Vec<Range<usize>>], i: usize, token: &AddedToken) {
    let left = i.checked_sub(1).map(|l| content(text, &parts[l]));
    let right = parts.get(i + 1).map(|r| content(text, r));
    let left = left.filter(|t| !t.is_empty());
    let right = right.filter(|t| !t.is_empty());
    if token.rstrip && right.is_some() {
        strip(text, &mut parts[i + 1], true);
    }
    if token.lstrip && left.is_some() {
        strip(text, &mut parts[i - 1], false);
    }
    if token.single_word && left.is_some_and(|t| !t.ends_with(' ')) {
        let joined = std::mem::take(&mut parts[i]);
        parts[i - 1].extend(joined);
    } else if token.single_word && right.is_some_and(|t| !t.starts_with(' ')) {
        let mut joined = std::mem::take(&mut parts[i]);
        joined.append(&mut parts[i + 1]);
        parts[i + 1] = joined;
    }
}

fn strip(text: &str, ranges: &mut Vec<Range<usize>>, at_start: bool) {
    let is_space = |c: char| characters().is(c as u32, SPACE);
    let edge = if at_start {
        ranges.first_mut()
    } else {
        ranges.last_mut()
    };
    if let Some(range) = edge {
        let part = &text[range.clone()];
        if at_start {
            range.start = range.end - part.trim_start_matches(is_space).len();
        } else {
            range.end = range.start + part.trim_end_matches(is_space).len();
        }
    }
    ranges.retain(|range| !range.is_empty());
}

fn content(text: &str, ranges: &[Range<usize>]) -> String {
    ranges.iter().map(|range| &text[range.clone()]).collect()
}

/// The added tokens, character by character, which cut a text exactly as the trie of transformers'
/// slow tokenizers does: the longest of the tokens that start first wins; where tokens overlap the
/// reference has quirks, which are kept.
struct Trie {
    nodes: Vec<Node>,
    /// The bytes with which tokens start.
    first_bytes: Vec<u8>,
}

#[derive(Default)]
struct Node {
    children: HashMap<u32, usize>,
    is_token: bool,
}

/// What is under way while a text is read: where matches ended, and partial matches by their start.
struct Search<'a> {
    trie: &'a Trie,
    text: &'a [u8],
    cuts: Vec<usize>,
    partial: Vec<(usize, usize)>,
    skip: usize,
}

impl Trie {
    /// A trie of some tokens; empty ones are ignored.
    fn new<'t>(tokens: impl Iterator<Item = &'t str>) -> Self {
        let mut trie = Self {
            nodes: vec![Node::default()],
            first_bytes: Vec::new(),
        };
        for token in tokens {
            let Some(first) = token.bytes().next() else {
                continue;
            };
            if !trie.first_bytes.contains(&first) {
                trie.first_bytes.push(first);
            }
            let mut at = 0;
            for character in token.chars() {
                let fresh = trie.nodes.len();
                let child = *trie.nodes[at]
                    .children
                    .entry(character as u32)
                    .or_insert(fresh);
                if child == fresh {
                    trie.nodes.push(Node::default());
                }
                at = child;
            }
            trie.nodes[at].is_token = true;
        }
        trie
    }

    /// Whether no token can start anywhere in the text, which then stays whole.
    fn is_absent_from(&self, text: &str) -> bool {
        let absent = |byte: &u8| memchr(*byte, text.as_bytes()).is_none();
        self.first_bytes.iter().all(absent)
    }

    /// The text as consecutive ranges, tokens and what stands between them.
    fn split(&self, text: &str) -> Vec<Range<usize>> {
        let mut search = Search {
            trie: self,
            text: text.as_bytes(),
            cuts: vec![0],
            partial: Vec::new(),
            skip: 0,
        };
        for (at, character) in text.char_indices() {
            if at >= search.skip {
                search.step(at, character as u32, at + character.len_utf8());
            }
        }
        search.finish()
    }

    fn child(&self, node: usize, character: u32) -> Option<usize> {
        self.nodes[node].children.get(&character).copied()
    }
}

impl Search<'_> {
    /// Read one character, which stands from `at` to `next`.
    fn step(&mut self, at: usize, character: u32, next: usize) {
        // In the order of their starts, as the partial matches are.
        let mut dead = Vec::new();
        let mut matched = false;
        for i in 0..self.partial.len() {
            let (start, node) = self.partial[i];
            if self.trie.nodes[node].is_token {
                self.longest_from(start, at, next);
                matched = true;
                break;
            }
            match self.trie.child(node, character) {
                Some(child) => self.partial[i].1 = child,
                None => dead.push(start),
            }
        }
        if matched {
            self.partial.clear();
        } else {
            self.partial
                .retain(|(start, _)| dead.binary_search(start).is_err());
        }
        if at >= self.skip
            && let Some(child) = self.trie.child(0, character)
        {
            self.partial.push((at, child));
        }
    }

    /// A token that starts at `start` ends before `at`: look ahead for a longer or an earlier one,
    /// and cut.
    fn longest_from(&mut self, start: usize, at: usize, next: usize) {
        let (mut start, mut end) = (start, at);
        for &(other, node) in &self.partial {
            if other > start {
                break;
            }
            // An earlier partial match has read the present character already, or (a quirk) is
            // taken to have.
            let mut ahead = if other < start { next } else { at };
            end = ahead;
            let mut node = node;
            loop {
                if self.trie.nodes[node].is_token {
                    (start, end, self.skip) = (other, ahead, ahead);
                }
                if ahead >= self.text.len() {
                    break;
                }
                let (character, length) = decode(self.text, ahead);
                match self.trie.child(node, character) {
                    Some(child) => (node, ahead) = (child, ahead + length),
                    None => break,
                }
            }
        }
        self.cuts.extend([start, end]);
    }

    fn finish(mut self) -> Vec<Range<usize>> {
        let last = self
            .partial
            .iter()
            .find(|(_, node)| self.trie.nodes[*node].is_token);
        if let Some((start, _)) = last {
            self.cuts.extend([*start, self.text.len()]);
        }
        self.cuts.push(self.text.len());
        let mut start = 0;
        let mut ranges = Vec::new();
        for end in self.cuts {
            if start < end {
                ranges.push(start..end);
                start = end;
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'t>(tokens: &[&str], text: &'t str) -> Vec<&'t str> {
        let trie = Trie::new(tokens.iter().copied());
        trie.split(text).into_iter().map(|r| &text[r]).collect()
    }

    #[test]
    fn the_longest_token_that_starts_first_wins() {
        let tokens = ["<s>", "</s>", "<special1>", "<special10>"];
        assert_eq!(split(&tokens, "a <s>b"), ["a ", "<s>", "b"]);
        assert_eq!(split(&tokens, "<special10>"), ["<special10>"]);
        assert_eq!(split(&tokens, "<special1>0>"), ["<special1>", "0>"]);
        assert_eq!(split(&tokens, "<s</s><s>"), ["<s", "</s>", "<s>"]);
        assert_eq!(split(&tokens, ""), Vec::<&str>::new());
    }

    #[test]
    fn overlapping_tokens_are_cut_as_the_reference_cuts_them() {
        assert_eq!(split(&["[CLS]", "L"], "x[CLS]L"), ["x", "[CLS]", "L"]);
        assert_eq!(split(&["ab", "bcd"], "abcd"), ["ab", "cd"]);
        assert_eq!(split(&["blowing", "lower"], "blower"), ["b", "lower"]);
        assert_eq!(split(&["é"], "aéé"), ["a", "é", "é"]);
    }
}
