//! A bounded cache from word to tokens: French repeats its words, merges are paid once.

use super::bpe::Piece;

/// Slots of the table; half of them are filled before the cache starts again from nothing.
const SLOTS: usize = 1 << 16;
/// Bytes of words kept before it does.
const WORD_BYTES: usize = 1 << 20;
/// Longer words are not kept.
const LONGEST: usize = 48;

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u32,
    /// 0 for an empty slot.
    word_length: u16,
    pieces: u16,
    word: u32,
    first_piece: u32,
}

/// Words and their tokens. When full it forgets everything, which bounds it and costs little.
pub(crate) struct WordCache {
    slots: Vec<Slot>,
    words: Vec<u8>,
    pieces: Vec<Piece>,
    filled: usize,
    uncached: Vec<Piece>,
}

impl Default for WordCache {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            words: Vec::new(),
            pieces: Vec::new(),
            filled: 0,
            uncached: Vec::new(),
        }
    }
}

impl WordCache {
    /// The tokens of a word that is not empty, from `encode` (which appends them) when they are not known yet.
    pub(crate) fn get_or_encode(
        &mut self,
        word: &[u8],
        encode: impl FnOnce(&[u8], &mut Vec<Piece>),
    ) -> &[Piece] {
        if word.len() > LONGEST {
            self.uncached.clear();
            encode(word, &mut self.uncached);
            return &self.uncached;
        }
        let hash = hash(word);
        let mut at = hash as usize & (SLOTS - 1);
        loop {
            let slot = self.slots[at];
            if slot.word_length == 0 {
                break;
            }
            if slot.hash == hash && self.word(slot) == word {
                let first = slot.first_piece as usize;
                return &self.pieces[first..first + slot.pieces as usize];
            }
            at = (at + 1) & (SLOTS - 1);
        }
        if self.filled >= SLOTS / 2 || self.words.len() >= WORD_BYTES {
            self.clear();
            at = hash as usize & (SLOTS - 1);
        }
        let first = self.pieces.len();
        encode(word, &mut self.pieces);
        self.slots[at] = Slot {
            hash,
            word_length: word.len() as u16,
            pieces: (self.pieces.len() - first) as u16,
            word: self.words.len() as u32,
            first_piece: first as u32,
        };
        self.words.extend_from_slice(word);
        self.filled += 1;
        &self.pieces[first..]
    }

    fn word(&self, slot: Slot) -> &[u8] {
        let start = slot.word as usize;
        &self.words[start..start + slot.word_length as usize]
    }

    fn clear(&mut self) {
        self.slots.fill(Slot::default());
        self.words.clear();
        self.pieces.clear();
        self.filled = 0;
    }
}

/// A multiplicative hash of eight bytes at a time.
fn hash(word: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut state = word.len() as u64;
    for chunk in word.chunks(8) {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        state = (state.rotate_left(5) ^ u64::from_le_bytes(eight)).wrapping_mul(FACTOR);
    }
    (state ^ (state >> 29)) as u32 ^ (state >> 40) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(word: &[u8]) -> Piece {
        Piece {
            id: u32::from(word[0]),
            length: word.len() as u32,
        }
    }

    #[test]
    fn a_word_is_encoded_once_unless_it_is_long() {
        let mut cache = WordCache::default();
        let mut calls = 0;
        let long = [b'x'; LONGEST + 1];
        for word in [&b"mot"[..], b"mot", b"autre", &long, b"mot", &long] {
            let pieces = cache.get_or_encode(word, |w, pieces| {
                calls += 1;
                pieces.push(piece(w));
            });
            assert_eq!(pieces, [piece(word)]);
        }
        assert_eq!(calls, 4, "mot, autre, and twice the long word");
    }

    #[test]
    fn it_stays_right_when_it_overflows() {
        let mut cache = WordCache::default();
        for round in 0..2 {
            for i in 0..SLOTS as u32 {
                let word = (i + 1).to_string();
                let pieces = cache.get_or_encode(word.as_bytes(), |w, pieces| {
                    pieces.push(piece(w));
                    pieces.push(piece(w));
                });
                assert_eq!(pieces, [piece(word.as_bytes()); 2], "round {round}");
            }
        }
        assert!(cache.filled <= SLOTS / 2);
    }
}
