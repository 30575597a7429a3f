//! What `FlaubertTokenizer` does to a text before and after Moses' punctuation normalisation:
//! quotes, NFC, lower case, the punctuation of other scripts, non-printing characters.
//!
//! Unicode is that of Python 3.11 (14.0): a character assigned later has no decomposition, no case
//! and no class here.

use memchr::memchr3;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::aligned::{Alignment, Buffers, Rewrite};
use super::moses::characters::{
    Characters, OTHER, UNASSIGNED, characters, decode, decode_before, end_of_space,
};

/// The first lead byte of UTF-8 whose characters may change under NFC or combine: U+0300 and above.
const FIRST_COMPOSING_BYTE: u8 = 0xCC;

/// ```` `` ```` and `''` to quotation marks, NFC, and lower case when asked.
pub(crate) fn preprocess<A: Alignment>(text: &mut Buffers<A>, lowercase: bool) {
    text.replace_all("``", "\"");
    text.replace_all("''", "\"");
    compose(text);
    if lowercase {
        lower(text);
    }
}

/// Unicode normalisation form C.
fn compose<A: Alignment>(text: &mut Buffers<A>) {
    if text
        .text
        .bytes
        .iter()
        .all(|byte| *byte < FIRST_COMPOSING_BYTE)
    {
        return;
    }
    let characters = characters();
    text.rewrite(|r| {
        let bytes = r.bytes();
        let (mut at, mut done) = (0, 0);
        while at < bytes.len() {
            if bytes[at] < FIRST_COMPOSING_BYTE {
                at += 1;
                continue;
            }
            let (code, length) = decode(bytes, at);
            if starts_segment(code, characters) {
                at += length;
                continue;
            }
            // A mark, or what may join the character before it: take that one and all that follow
            // of their kind.
            let mut start = at;
            if at > done {
                let (before, length) = decode_before(bytes, at);
                if !characters.is(before, UNASSIGNED) {
                    start -= length;
                }
            }
            while at < bytes.len() {
                let (code, length) = decode(bytes, at);
                if code < 0x300 || starts_segment(code, characters) {
                    break;
                }
                at += length;
            }
            compose_segment(r, start, at);
            done = at;
        }
    });
}

/// Whether nothing before this character, which is not below U+0300, can combine with it or move
/// past it.
fn starts_segment(code: u32, characters: &Characters) -> bool {
    matches!(code, 0x2010..0x205F)
        || characters.is(code, UNASSIGNED)
        || char::from_u32(code).is_some_and(|c| {
            is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes
                && canonical_combining_class(c) == 0
        })
}

fn compose_segment<A: Alignment>(r: &mut Rewrite<'_, A>, start: usize, end: usize) {
    let segment = String::from_utf8_lossy(&r.bytes()[start..end]);
    let composed: String = segment.nfc().collect();
    if composed != segment {
        r.replace(start..end, composed.as_bytes());
    }
}

/// Python's `str.lower`, final sigma included.
fn lower<A: Alignment>(text: &mut Buffers<A>) {
    let characters = characters();
    // Characters that Unicode 14.0 does not know must neither change nor count as letters.
    let known: String = String::from_utf8_lossy(&text.text.bytes)
        .chars()
        .map(|c| match characters.is(c as u32, UNASSIGNED) {
            true => char::REPLACEMENT_CHARACTER,
            false => c,
        })
        .collect();
    let lowered = known.to_lowercase();
    text.rewrite(|r| {
        let bytes = r.bytes();
        let (mut at, mut read) = (0, 0);
        while at < bytes.len() {
            let (code, length) = decode(bytes, at);
            let known = !characters.is(code, UNASSIGNED);
            let original = char::from_u32(code).filter(|_| known);
            let written: usize = original
                .unwrap_or(char::REPLACEMENT_CHARACTER)
                .to_lowercase()
                .map(char::len_utf8)
                .sum();
            let new = &lowered.as_bytes()[read..read + written];
            if known && new != &bytes[at..at + length] {
                r.replace(at..at + length, new);
            }
            at += length;
            read += written;
        }
    });
}

/// The punctuation and digits of other scripts to ASCII: Moses' `replace-unicode-punctuation.perl`.
pub(crate) fn replace_unicode_punctuation<A: Alignment>(text: &mut Buffers<A>) {
    if memchr3(0xE2, 0xE3, 0xEF, &text.text.bytes).is_none() {
        return;
    }
    let characters = characters();
    text.rewrite(|r| {
        let bytes = r.bytes();
        let mut at = 0;
        while let Some(distance) = memchr3(0xE2, 0xE3, 0xEF, &bytes[at..]) {
            let start = at + distance;
            at = start + 3;
            let code = decode(bytes, start).0;
            if let Some(replacement) = ascii_punctuation(code) {
                if replacement == b". " {
                    at = end_of_space(bytes, at, characters);
                }
                r.replace(start..at, replacement);
            }
        }
    });
}

fn ascii_punctuation(code: u32) -> Option<&'static [u8]> {
    const DIGITS: &[u8; 10] = b"0123456789";
    Some(match code {
        0xFF0C | 0x3001 => b",",
        0x3002 | 0xFF0E => b". ",
        0x201C | 0x201D | 0x300A..=0x300D => b"\"",
        0x2236 | 0xFF1A => b":",
        0xFF1F => b"?",
        0xFF09 => b")",
        0xFF01 => b"!",
        0xFF08 => b"(",
        0xFF1B => b";",
        0xFF10..=0xFF19 => {
            let digit = (code - 0xFF10) as usize;
            &DIGITS[digit..=digit]
        }
        0xFF5E => b"~",
        0x2019 => b"'",
        0x2026 => b"...",
        0x2501 => b"-",
        0x3008 => b"<",
        0x3009 => b">",
        0x3010 => b"[",
        0x3011 => b"]",
        0xFF05 => b"%",
        _ => return None,
    })
}

/// Drop control, format, private-use and unassigned characters, line ends among them.
pub(crate) fn remove_non_printing<A: Alignment>(text: &mut Buffers<A>) {
    let characters = characters();
    text.rewrite(|r| {
        let bytes = r.bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            // Printing ASCII, the characters from U+00C0 to U+02FF (none of which goes), and inner
            // bytes.
            if matches!(byte, 0x20..=0x7E | 0x80..0xC0 | 0xC3..FIRST_COMPOSING_BYTE) {
                at += 1;
                continue;
            }
            let (code, length) = decode(bytes, at);
            if characters.is(code, OTHER) {
                r.replace(at..at + length, b"");
            }
            at += length;
        }
    });
}
