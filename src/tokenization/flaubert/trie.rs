//! Cutting a text at the added tokens, exactly as the trie of transformers' slow tokenizers does.
//!
//! The longest of the tokens that start first wins; where tokens overlap the reference has quirks, which are kept.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memchr;

use super::moses::characters::decode;

#[derive(Default)]
struct Node {
    children: HashMap<u32, usize>,
    is_token: bool,
}

/// The added tokens, character by character.
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// The bytes with which tokens start.
    first_bytes: Vec<u8>,
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
    pub(crate) fn new<'t>(tokens: impl Iterator<Item = &'t str>) -> Self {
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
    pub(crate) fn is_absent_from(&self, text: &str) -> bool {
        let absent = |byte: &u8| memchr(*byte, text.as_bytes()).is_none();
        self.first_bytes.iter().all(absent)
    }

    /// The text as consecutive ranges, tokens and what stands between them.
    pub(crate) fn split(&self, text: &str) -> Vec<Range<usize>> {
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

    /// A token that starts at `start` ends before `at`: look ahead for a longer or an earlier one, and cut.
    fn longest_from(&mut self, start: usize, at: usize, next: usize) {
        let (mut start, mut end) = (start, at);
        for &(other, node) in &self.partial {
            if other > start {
                break;
            }
            // An earlier partial match has read the present character already, or (a quirk) is taken to have.
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
