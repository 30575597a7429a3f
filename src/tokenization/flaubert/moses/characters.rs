//! The classes of characters that Moses' rules and the removal of non-printing characters ask for.
//!
//! `characters.txt` beside this file holds them as ranges; it is written by
//! `tests/fixtures/tokenization/make_characters.py` from sacremoses 0.2.0 and Python 3.11 (Unicode
//! 14.0), so that the answers are the peer's even where Unicode has moved on.

use std::sync::LazyLock;

/// In sacremoses' `IsAlnum`: letters, digits, viramas and nuktas (no ideographs).
pub(crate) const ALNUM: u8 = 1;
/// In sacremoses' `IsAlpha`.
pub(crate) const ALPHA: u8 = 1 << 1;
/// In sacremoses' `IsN`.
pub(crate) const NUMBER: u8 = 1 << 2;
/// In sacremoses' `IsLower`.
pub(crate) const LOWER: u8 = 1 << 3;
/// White space for Python's `str.split`, `str.strip` and `\s`.
pub(crate) const SPACE: u8 = 1 << 4;
/// A decimal digit for Python's `\d`.
pub(crate) const DIGIT: u8 = 1 << 5;
/// General category C: control, format, private use, unassigned.
pub(crate) const OTHER: u8 = 1 << 6;
/// General category Cn: unassigned in Unicode 14.0.
pub(crate) const UNASSIGNED: u8 = 1 << 7;

const SOURCE: &str = include_str!("characters.txt");
const NAMES: [(&str, u8); 8] = [
    ("alnum:", ALNUM),
    ("alpha:", ALPHA),
    ("number:", NUMBER),
    ("lower:", LOWER),
    ("space:", SPACE),
    ("digit:", DIGIT),
    ("other:", OTHER),
    ("unassigned:", UNASSIGNED),
];
const BLOCK: usize = 128;
const CODE_POINTS: usize = 0x11_0000;

/// A two-stage table from code point to the set of its classes.
pub(crate) struct Characters {
    blocks: Vec<u16>,
    classes: Vec<u8>,
}

static CHARACTERS: LazyLock<Characters> = LazyLock::new(Characters::read);

/// The table, built at the first call.
pub(crate) fn characters() -> &'static Characters {
    &CHARACTERS
}

impl Characters {
    fn read() -> Self {
        let mut flat = vec![0u8; CODE_POINTS];
        let mut class = 0;
        for word in SOURCE.split_whitespace() {
            if let Some((_, bit)) = NAMES.iter().find(|(name, _)| *name == word) {
                class = *bit;
                continue;
            }
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let ends = (
                usize::from_str_radix(first, 16),
                usize::from_str_radix(last, 16),
            );
            if let (Ok(first), Ok(last)) = ends
                && let Some(range) = flat.get_mut(first..=last)
            {
                range.iter_mut().for_each(|c| *c |= class);
            }
        }
        Self::compress(&flat)
    }

    fn compress(flat: &[u8]) -> Self {
        let mut seen = std::collections::HashMap::new();
        let mut classes = Vec::new();
        let blocks = flat
            .chunks(BLOCK)
            .map(|block| {
                *seen.entry(block).or_insert_with(|| {
                    classes.extend_from_slice(block);
                    (classes.len() / BLOCK - 1) as u16
                })
            })
            .collect();
        Self { blocks, classes }
    }

    /// The classes of a code point, as a set of the constants of this module.
    #[inline]
    pub(crate) fn of(&self, code: u32) -> u8 {
        let code = code as usize;
        match self.blocks.get(code / BLOCK) {
            Some(&block) => self.classes[block as usize * BLOCK + code % BLOCK],
            None => OTHER | UNASSIGNED,
        }
    }

    /// Whether a code point is in one of the classes of `set`.
    #[inline]
    pub(crate) fn is(&self, code: u32, set: u8) -> bool {
        self.of(code) & set != 0
    }
}

/// The members of a class, by its name in `characters.txt` ("alnum:"), as the inside of a bracket
/// expression.
pub(crate) fn ranges(name: &str) -> String {
    let fields = SOURCE.split_whitespace().skip_while(|field| *field != name);
    let mut class = String::new();
    for field in fields.skip(1).take_while(|field| !field.ends_with(':')) {
        let (first, last) = field.split_once('-').unwrap_or((field, field));
        class.push_str(&format!("\\x{{{first}}}"));
        if first != last {
            class.push_str(&format!("-\\x{{{last}}}"));
        }
    }
    class
}

/// The code point that starts at `at` in valid UTF-8, and its length in bytes.
#[inline]
pub(crate) fn decode(bytes: &[u8], at: usize) -> (u32, usize) {
    let tail = |i: usize| u32::from(bytes.get(at + i).copied().unwrap_or(0) & 0x3F);
    let first = u32::from(bytes[at]);
    match first {
        0..0x80 => (first, 1),
        0x80..0xE0 => ((first & 0x1F) << 6 | tail(1), 2),
        0xE0..0xF0 => ((first & 0x0F) << 12 | tail(1) << 6 | tail(2), 3),
        _ => (
            (first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3),
            4,
        ),
    }
}

/// The code point that ends just before `at` in valid UTF-8, and its length in bytes; `at` must not
/// be 0.
#[inline]
pub(crate) fn decode_before(bytes: &[u8], at: usize) -> (u32, usize) {
    let mut start = at - 1;
    while start > 0 && bytes[start] & 0xC0 == 0x80 {
        start -= 1;
    }
    decode(bytes, start)
}

/// Where the white space that starts at `at` ends; `at` itself when there is none.
#[inline]
pub(crate) fn end_of_space(bytes: &[u8], at: usize, characters: &Characters) -> usize {
    let mut end = at;
    while end < bytes.len() {
        let (code, length) = decode(bytes, end);
        if !characters.is(code, SPACE) {
            break;
        }
        end += length;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_of_the_file_is_read() {
        let ranges = SOURCE.split_whitespace().count() - NAMES.len();
        assert!(ranges > 3000, "{ranges}");
        for word in SOURCE.split_whitespace() {
            let known = NAMES.iter().any(|(name, _)| *name == word);
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let read = [first, last].map(|end| u32::from_str_radix(end, 16).is_ok());
            assert!(known || read == [true, true], "{word}");
        }
    }

    #[test]
    fn classes_are_those_of_the_peer() {
        let c = characters();
        assert_eq!(
            c.of('a' as u32),
            ALNUM | ALPHA | LOWER,
            "a letter is alphanumeric"
        );
        assert_eq!(c.of('7' as u32), ALNUM | NUMBER | DIGIT);
        assert_eq!(c.of('½' as u32) & (NUMBER | DIGIT), NUMBER);
        assert_eq!(c.of('字' as u32), 0, "ideographs are padded");
        assert_eq!(c.of(0x1C), SPACE | OTHER, "white space for Python alone");
        assert!(c.is(0xA0, SPACE) && !c.is(0x200B, SPACE));
        assert!(c.is(0x1FAE8, UNASSIGNED), "assigned by Unicode 15 only");
        assert_eq!(c.of(0x110000), OTHER | UNASSIGNED);
    }

    #[test]
    fn decoding_agrees_with_the_standard_library() {
        let text = "aé—🙂\u{10FFFF}";
        for (at, c) in text.char_indices() {
            assert_eq!(decode(text.as_bytes(), at), (c as u32, c.len_utf8()));
            let end = at + c.len_utf8();
            assert_eq!(
                decode_before(text.as_bytes(), end),
                (c as u32, c.len_utf8())
            );
        }
    }
}
