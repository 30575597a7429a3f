//! Byte-pair encoding of one word, its last character marked with `</w>`, as
//! `FlaubertTokenizer.bpe` does it.
//!
//! At each step every occurrence of the best-ranked pair is merged, from left to right, before
//! ranks are looked at again. Short words are scanned; long ones go through a heap, so that a word
//! of any length costs O(n log n).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::moses::characters::decode;
use super::vocabulary::{NO_MERGE, PairTable, UNKNOWN};

/// The mark of a word's last symbol.
pub(crate) const END_OF_WORD: &str = "</w>";

/// Code points below this have their first symbol in a table.
const DIRECT: usize = 0x800;
/// Words of more symbols than this use the heap.
const SCANNED: usize = 48;

/// A token of a word: its id, and how many bytes of the word it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The token's id.
    pub(crate) id: u32,
    /// Its length in bytes, the end mark not counted.
    pub(crate) length: u32,
}

/// The first symbols of characters, in the middle or at the end of a word.
struct FirstSymbols {
    direct: Vec<u32>,
    others: HashMap<u32, u32>,
}

impl FirstSymbols {
    fn get(&self, code: u32) -> u32 {
        match self.direct.get(code as usize) {
            Some(symbol) => *symbol,
            None => self.others.get(&code).copied().unwrap_or(UNKNOWN),
        }
    }
}

/// The merges and what their symbols are called in the vocabulary.
pub(crate) struct Bpe {
    inner: FirstSymbols,
    last: FirstSymbols,
    merges: PairTable,
    /// By symbol: the id of the token.
    token_ids: Vec<u32>,
    unk_id: u32,
}

/// Buffers of the merge loop, kept between words.
#[derive(Default)]
pub(crate) struct Scratch {
    symbols: Vec<Symbol>,
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    pushed: Vec<(u32, u32)>,
}

#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    length: u32,
    /// The rank of the pair that this symbol starts.
    rank: u32,
    previous: u32,
    next: u32,
}

impl Bpe {
    /// Build from the merges in order and a lookup of token ids; a pair given twice has its last
    /// rank.
    pub(crate) fn new(
        merges: &[(String, String)],
        vocabulary: &HashMap<String, u32>,
        unk_id: u32,
    ) -> Self {
        let mut symbols: HashMap<String, u32> = HashMap::new();
        let mut token_ids = Vec::new();
        let mut intern = |text: &str| -> u32 {
            if let Some(symbol) = symbols.get(text) {
                return *symbol;
            }
            let symbol = token_ids.len() as u32;
            token_ids.push(vocabulary.get(text).copied().unwrap_or(unk_id));
            symbols.insert(text.to_string(), symbol);
            symbol
        };
        let mut table = PairTable::with_capacity(merges.len());
        for (rank, (left, right)) in merges.iter().enumerate() {
            let merged = intern(&format!("{left}{right}"));
            table.insert((intern(left), intern(right)), (rank as u32, merged));
        }
        for token in vocabulary.keys() {
            let text = token.strip_suffix(END_OF_WORD).unwrap_or(token);
            if text.chars().nth(1).is_none() {
                intern(token);
            }
        }
        Self {
            inner: first_symbols(&symbols, ""),
            last: first_symbols(&symbols, END_OF_WORD),
            merges: table,
            token_ids,
            unk_id,
        }
    }

    /// Append the tokens of a word to `pieces`; the word is not empty and is valid UTF-8.
    pub(crate) fn encode(&self, word: &[u8], scratch: &mut Scratch, pieces: &mut Vec<Piece>) {
        self.first_symbols_of(word, &mut scratch.symbols);
        if scratch.symbols.len() <= SCANNED {
            self.merge_scanning(&mut scratch.symbols);
            pieces.extend(scratch.symbols.iter().map(|s| self.piece(s)));
        } else {
            self.merge_with_heap(scratch);
            let mut at = 0;
            while let Some(symbol) = scratch.symbols.get(at as usize) {
                pieces.push(self.piece(symbol));
                at = symbol.next;
            }
        }
    }

    fn piece(&self, symbol: &Symbol) -> Piece {
        let id = self.token_ids.get(symbol.id as usize);
        Piece {
            id: id.copied().unwrap_or(self.unk_id),
            length: symbol.length,
        }
    }

    fn first_symbols_of(&self, word: &[u8], symbols: &mut Vec<Symbol>) {
        symbols.clear();
        let mut at = 0;
        while at < word.len() {
            let (code, length) = decode(word, at);
            at += length;
            let table = if at < word.len() {
                &self.inner
            } else {
                &self.last
            };
            let position = symbols.len() as u32;
            symbols.push(Symbol {
                id: table.get(code),
                length: length as u32,
                rank: NO_MERGE,
                previous: position.wrapping_sub(1),
                next: position + 1,
            });
        }
        for i in 1..symbols.len() {
            symbols[i - 1].rank = self.merges.rank(symbols[i - 1].id, symbols[i].id);
        }
    }

    fn merge_scanning(&self, symbols: &mut Vec<Symbol>) {
        loop {
            let best = symbols.iter().map(|s| s.rank).min().unwrap_or(NO_MERGE);
            if best == NO_MERGE {
                return;
            }
            let (mut read, mut written) = (0, 0);
            let mut dirty = false;
            while read < symbols.len() {
                let mut symbol = symbols[read];
                read += 1;
                let merged = symbol.rank == best;
                if merged {
                    let right = symbols[read];
                    read += 1;
                    symbol.id = self.merges.merged(symbol.id, right.id);
                    symbol.length += right.length;
                }
                if written > 0 && (merged || dirty) {
                    let left = symbols[written - 1].id;
                    symbols[written - 1].rank = self.merges.rank(left, symbol.id);
                }
                dirty = merged;
                symbols[written] = symbol;
                written += 1;
            }
            symbols.truncate(written);
            if let Some(last) = symbols.last_mut() {
                last.rank = NO_MERGE;
            }
        }
    }

    fn merge_with_heap(&self, scratch: &mut Scratch) {
        let Scratch {
            symbols,
            heap,
            pushed,
        } = scratch;
        heap.clear();
        let pairs = symbols
            .iter()
            .zip(0u32..)
            .filter(|(s, _)| s.rank != NO_MERGE);
        heap.extend(pairs.map(|(s, at)| Reverse((s.rank, at))));
        while let Some(&Reverse((best, _))) = heap.peek() {
            // Pairs made while this rank is merged wait until all of its occurrences are.
            pushed.clear();
            while let Some(&Reverse((rank, at))) = heap.peek()
                && rank == best
            {
                heap.pop();
                if symbols[at as usize].rank == best {
                    self.merge_at(symbols, at as usize, pushed);
                }
            }
            heap.extend(pushed.iter().map(|pair| Reverse(*pair)));
        }
    }

    /// Merge the symbol at `at` with the one after it, and note the new ranks of the pairs it is
    /// in.
    fn merge_at(&self, symbols: &mut [Symbol], at: usize, pushed: &mut Vec<(u32, u32)>) {
        let right = symbols[at].next as usize;
        let after = symbols[right].next;
        symbols[at].id = self.merges.merged(symbols[at].id, symbols[right].id);
        symbols[at].length += symbols[right].length;
        symbols[at].next = after;
        symbols[at].rank = NO_MERGE;
        symbols[right].rank = NO_MERGE;
        if let Some(next) = symbols.get_mut(after as usize) {
            next.previous = at as u32;
            let id = next.id;
            symbols[at].rank = self.merges.rank(symbols[at].id, id);
        }
        let previous = symbols[at].previous as usize;
        if let Some(left) = symbols.get(previous) {
            symbols[previous].rank = self.merges.rank(left.id, symbols[at].id);
            if symbols[previous].rank != NO_MERGE {
                pushed.push((symbols[previous].rank, previous as u32));
            }
        }
        if symbols[at].rank != NO_MERGE {
            pushed.push((symbols[at].rank, at as u32));
        }
    }
}

/// The symbols that are one character followed by `suffix`, by code point.
fn first_symbols(symbols: &HashMap<String, u32>, suffix: &str) -> FirstSymbols {
    let mut direct = vec![UNKNOWN; DIRECT];
    let mut others = HashMap::new();
    for (text, symbol) in symbols {
        let mut characters = text.strip_suffix(suffix).unwrap_or_default().chars();
        if let (Some(only), None) = (characters.next(), characters.next()) {
            match direct.get_mut(only as usize) {
                Some(slot) => *slot = *symbol,
                None => {
                    others.insert(only as u32, *symbol);
                }
            }
        }
    }
    FirstSymbols { direct, others }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference's loop, on strings.
    fn reference(merges: &[(String, String)], word: &str) -> Vec<String> {
        let mut symbols: Vec<String> = word.chars().map(String::from).collect();
        if let Some(last) = symbols.last_mut() {
            last.push_str(END_OF_WORD);
        }
        let rank = |a: &str, b: &str| merges.iter().rposition(|(x, y)| x == a && y == b);
        while let Some(best) = symbols.windows(2).filter_map(|w| rank(&w[0], &w[1])).min() {
            let (first, second) = &merges[best];
            let mut i = 0;
            while i + 1 < symbols.len() {
                if &symbols[i] == first && &symbols[i + 1] == second {
                    let right = symbols.remove(i + 1);
                    symbols[i].push_str(&right);
                }
                i += 1;
            }
        }
        symbols
    }

    fn pairs(merges: &[(&str, &str)]) -> Vec<(String, String)> {
        let pair = |(a, b): &(&str, &str)| (a.to_string(), b.to_string());
        merges.iter().map(pair).collect()
    }

    /// Ids by position in the vocabulary, which has every substring of the words but one.
    fn check(merges: &[(String, String)], word: &str) {
        let expected = reference(merges, word);
        let mut vocabulary = HashMap::new();
        for token in expected.iter().skip(1) {
            let id = vocabulary.len() as u32 + 1;
            vocabulary.entry(token.clone()).or_insert(id);
        }
        let bpe = Bpe::new(merges, &vocabulary, 0);
        for repeat in 0..2 {
            let (mut scratch, mut pieces) = (Scratch::default(), Vec::new());
            match repeat {
                0 => bpe.encode(word.as_bytes(), &mut scratch, &mut pieces),
                _ => {
                    bpe.first_symbols_of(word.as_bytes(), &mut scratch.symbols);
                    bpe.merge_with_heap(&mut scratch);
                    let mut at = 0;
                    while let Some(symbol) = scratch.symbols.get(at as usize) {
                        pieces.push(bpe.piece(symbol));
                        at = symbol.next;
                    }
                }
            }
            let id = |t: &String| vocabulary.get(t).copied().unwrap_or(0);
            let length = |t: &String| t.strip_suffix(END_OF_WORD).unwrap_or(t).len() as u32;
            let want: Vec<Piece> = expected
                .iter()
                .map(|t| Piece {
                    id: id(t),
                    length: length(t),
                })
                .collect();
            assert_eq!(pieces, want, "{word} {merges:?}");
        }
    }

    #[test]
    fn all_occurrences_of_a_pair_merge_before_the_next_pair() {
        // The pair (ab, a) ranks before (a, b): it must still wait until every (a, b) is merged.
        let merges = pairs(&[("ab", "a"), ("a", "b"), ("b", "b</w>"), ("a", "a")]);
        for word in ["ababab", "aaaaa", "abaabab", "bb", "b", "é", "abéab"] {
            check(&merges, word);
        }
    }

    #[test]
    fn a_pair_given_twice_has_its_last_rank() {
        let merges = pairs(&[("a", "b"), ("b", "a"), ("a", "b")]);
        check(&merges, "ababa");
        check(&merges, "babab");
    }

    #[test]
    fn random_merges_agree_with_the_reference() {
        let mut state = 7u64;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) as usize % bound
        };
        for _ in 0..300 {
            let mut symbols: Vec<String> =
                ["a", "b", "c", "a</w>", "b</w>"].map(String::from).into();
            let mut merges = Vec::new();
            for _ in 0..12 {
                let left = symbols[next(symbols.len())].clone();
                let right = symbols[next(symbols.len())].clone();
                if !left.ends_with(END_OF_WORD) {
                    symbols.push(format!("{left}{right}"));
                    merges.insert(next(merges.len() + 1), (left, right));
                }
            }
            let length = 1 + next(90);
            let word: String = (0..length).map(|_| ['a', 'b', 'c'][next(3)]).collect();
            check(&merges, &word);
        }
    }
}
