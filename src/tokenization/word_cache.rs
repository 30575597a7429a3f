//! What threads keep between two texts: a bounded cache from word to tokens (French repeats its
//! words, merges and searches are paid once), and a pool that lends it to one thread at a time.

use std::sync::{Mutex, PoisonError};

/// Slots of the table; half of them are filled before the cache starts again from nothing.
const SLOTS: usize = 1 << 16;
/// Bytes of words kept before it does.
const WORD_BYTES: usize = 1 << 20;
/// Longer words are not kept.
const LONGEST: usize = 48;

#[derive(Clone, Copy, Default)]
struct Slot {
    /// The first eight bytes of the word: all of a short one.
    head: u64,
    hash: u32,
    /// 0 for an empty slot.
    word_length: u16,
    tokens: u16,
    word: u32,
    first_token: u32,
}

/// Words and their tokens. When full it forgets everything, which bounds it and costs little.
pub(crate) struct WordCache<T> {
    slots: Vec<Slot>,
    words: Vec<u8>,
    tokens: Vec<T>,
    filled: usize,
    uncached: Vec<T>,
}

impl<T> Default for WordCache<T> {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            words: Vec::new(),
            tokens: Vec::new(),
            filled: 0,
            uncached: Vec::new(),
        }
    }
}

impl<T: Copy> WordCache<T> {
    /// The tokens of a word that is not empty, from `encode` (which appends them) when they are not
    /// known yet.
    ///
    /// # Errors
    /// Those of `encode`; the word is not kept then.
    #[inline]
    pub(crate) fn get_or_encode<E>(
        &mut self,
        word: &[u8],
        encode: impl FnOnce(&[u8], &mut Vec<T>) -> Result<(), E>,
    ) -> Result<&[T], E> {
        if word.len() > LONGEST {
            self.uncached.clear();
            encode(word, &mut self.uncached)?;
            return Ok(&self.uncached);
        }
        let head = head(word);
        let hash = hash(word, head);
        let mut at = hash as usize & (SLOTS - 1);
        loop {
            let slot = &self.slots[at];
            if slot.word_length == 0 {
                break;
            }
            if slot.head == head
                && slot.hash == hash
                && usize::from(slot.word_length) == word.len()
                && (word.len() <= 8 || self.word(slot) == word)
            {
                let first = slot.first_token as usize;
                return Ok(&self.tokens[first..first + slot.tokens as usize]);
            }
            at = (at + 1) & (SLOTS - 1);
        }
        let place = Place { at, head, hash };
        self.insert(place, word, encode)
    }

    #[cold]
    fn insert<E>(
        &mut self,
        place: Place,
        word: &[u8],
        encode: impl FnOnce(&[u8], &mut Vec<T>) -> Result<(), E>,
    ) -> Result<&[T], E> {
        let Place { mut at, head, hash } = place;
        if self.filled >= SLOTS / 2 || self.words.len() >= WORD_BYTES {
            self.clear();
            at = hash as usize & (SLOTS - 1);
        }
        let first = self.tokens.len();
        if let Err(e) = encode(word, &mut self.tokens) {
            self.tokens.truncate(first);
            return Err(e);
        }
        self.slots[at] = Slot {
            head,
            hash,
            word_length: word.len() as u16,
            tokens: (self.tokens.len() - first) as u16,
            word: self.words.len() as u32,
            first_token: first as u32,
        };
        self.words.extend_from_slice(word);
        self.filled += 1;
        Ok(&self.tokens[first..])
    }

    fn word(&self, slot: &Slot) -> &[u8] {
        let start = slot.word as usize;
        &self.words[start..start + slot.word_length as usize]
    }

    fn clear(&mut self) {
        self.slots.fill(Slot::default());
        self.words.clear();
        self.tokens.clear();
        self.filled = 0;
    }
}

/// Where a new word goes.
struct Place {
    at: usize,
    head: u64,
    hash: u32,
}

/// The first eight bytes of a word, zeros after a shorter one.
#[inline]
fn head(word: &[u8]) -> u64 {
    if let Some(eight) = word.first_chunk() {
        return u64::from_le_bytes(*eight);
    }
    // Two loads that overlap, instead of a copy of variable length.
    let length = word.len();
    if let (Some(first), Some(last)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        let last = u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4));
        return u64::from(u32::from_le_bytes(*first)) | last;
    }
    let byte = |i: usize| u64::from(word.get(i).copied().unwrap_or(0)) << (8 * i);
    byte(0) | byte(1) | byte(2)
}

/// A multiplicative hash of eight bytes at a time.
#[inline]
fn hash(word: &[u8], head: u64) -> u32 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut state = (head ^ word.len() as u64).wrapping_mul(FACTOR);
    for chunk in word.get(8..).unwrap_or_default().chunks(8) {
        state = (state.rotate_left(5) ^ self::head(chunk)).wrapping_mul(FACTOR);
    }
    (state ^ (state >> 29)) as u32 ^ (state >> 40) as u32
}

/// Values lent to whoever encodes; there are never more than were in use at once.
pub(crate) struct Pool<T>(Mutex<Vec<Box<T>>>);

impl<T: Default> Pool<T> {
    /// An empty pool: values are made when they are first asked for.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Lend a value to `work`.
    pub(crate) fn lend<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut value = idle.unwrap_or_default();
        let result = work(&mut value);
        lock().push(value);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn a_word_is_encoded_once_unless_it_is_long() {
        let mut cache = WordCache::default();
        let mut calls = 0;
        let long = [b'x'; LONGEST + 1];
        for word in [&b"mot"[..], b"mot", b"autre", &long, b"mot", &long] {
            let tokens = cache.get_or_encode(word, |w, tokens| {
                calls += 1;
                tokens.push(w.len());
                Ok::<_, Infallible>(())
            });
            assert_eq!(tokens, Ok(&[word.len()][..]));
        }
        assert_eq!(calls, 4, "mot, autre, and twice the long word");
    }

    #[test]
    fn it_stays_right_when_it_overflows() {
        let mut cache = WordCache::default();
        for round in 0..2 {
            for i in 0..SLOTS as u32 {
                let tokens = cache.get_or_encode((i + 1).to_string().as_bytes(), |_, tokens| {
                    tokens.extend([i, i + 1]);
                    Ok::<_, Infallible>(())
                });
                assert_eq!(tokens, Ok(&[i, i + 1][..]), "round {round}");
            }
        }
        assert!(cache.filled <= SLOTS / 2);
    }

    #[test]
    fn a_word_that_fails_is_not_kept() {
        let mut cache = WordCache::default();
        let failed = cache.get_or_encode(b"mot", |_, tokens| {
            tokens.push(1);
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        let encoded = cache.get_or_encode(b"mot", |_, tokens| {
            tokens.push(2);
            Ok::<_, &str>(())
        });
        assert_eq!(encoded, Ok(&[2][..]));
    }
}
