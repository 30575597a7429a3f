//! Moses' normalisation of punctuation for French, as `sacremoses.MosesPunctNormalizer("fr")` 0.2.0
//! does it.
//!
//! The reference is a chain of regular expressions applied one after another to the whole text.
//! Here each is a scan for its rarest character, in the same order; rules that cannot see each
//! other's output share a scan.

use memchr::memchr;
use memchr::memmem;

use super::super::aligned::{Alignment, Buffers, Rewrite};
use super::characters::{Characters, DIGIT, SPACE, characters, decode, decode_before};

const NBSP: &str = "\u{A0}";

/// Normalise the punctuation of a text and strip it.
pub(crate) fn normalize<A: Alignment>(text: &mut Buffers<A>) {
    let characters = characters();
    extra_white_space(text, characters);
    penn_quotes(text);
    unicode_quotes(text);
    french_quotes(text);
    pseudo_spaces(text);
    quotation_followed_by_comma(text);
    quotation_after_dots(text, characters);
    digits_around_pseudo_space(text, characters);
    strip(text, characters);
}

/// Drop carriage returns, settle the spaces around parentheses, and fold those before `%`, `:` and
/// `;`.
fn extra_white_space<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    text.replace_byte(b'\r', b"");
    text.replace_byte(b'(', b" (");
    text.replace_byte(b')', b") ");
    fold_spaces(text);
    close_parenthesis_before_punctuation(text);
    text.replace_all("( ", "(");
    text.replace_all(" )", ")");
    percent_after_digit(text, characters);
    text.replace_all(" :", ":");
    text.replace_all(" ;", ";");
}

/// ` +` to one space.
fn fold_spaces<A: Alignment>(text: &mut Buffers<A>) {
    if memmem::find(&text.text.bytes, b"  ").is_none() {
        return;
    }
    text.rewrite(|r| {
        let bytes = r.bytes();
        let mut at = 0;
        while let Some(distance) = memmem::find(&bytes[at..], b"  ") {
            let start = at + distance + 1;
            let run = bytes[start..].iter().take_while(|b| **b == b' ').count();
            r.replace(start..start + run, b"");
            at = start + run;
        }
    });
}

/// `\) ([.!:?;,])` loses its space.
fn close_parenthesis_before_punctuation<A: Alignment>(text: &mut Buffers<A>) {
    text.rewrite(|r| {
        let bytes = r.bytes();
        let mut at = 0;
        while let Some(found) = r.find_byte(b')', at) {
            at = found + 1;
            if let [b' ', b'.' | b'!' | b':' | b'?' | b';' | b',', ..] = bytes[at..] {
                r.replace(at..at + 1, b"");
                at += 2;
            }
        }
    });
}

/// `(\d) %` loses its space.
fn percent_after_digit<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    text.rewrite(|r| {
        let bytes = r.bytes();
        let mut at = 0;
        while let Some(found) = r.find_byte(b'%', at) {
            at = found + 1;
            if found >= 2
                && bytes[found - 1] == b' '
                && characters.is(decode_before(bytes, found - 1).0, DIGIT)
            {
                r.replace(found - 1..found, b"");
            }
        }
    });
}

/// Grave accents to apostrophes, two apostrophes to a quotation mark between spaces.
fn penn_quotes<A: Alignment>(text: &mut Buffers<A>) {
    text.replace_byte(b'`', b"'");
    text.replace_all("''", " \" ");
}

/// Curly quotes, dashes and the ellipsis to ASCII.
fn unicode_quotes<A: Alignment>(text: &mut Buffers<A>) {
    if memchr(0xE2, &text.text.bytes).is_some() {
        text.rewrite(general_punctuation);
    }
    text.replace_all("´", "'");
    fold_spaces(text);
    text.replace_all("''", "\"");
}

fn general_punctuation<A: Alignment>(r: &mut Rewrite<'_, A>) {
    let bytes = r.bytes();
    let mut at = 0;
    while let Some(found) = r.find_byte(0xE2, at) {
        at = found + 3;
        let replacement: &[u8] = match decode(bytes, found).0 {
            0x201C..=0x201E => b"\"",
            0x2013 => b"-",
            0x2014 => b" - ",
            0x2018..=0x201A => b"'",
            0x2026 => b"...",
            _ => continue,
        };
        r.replace(found..at, replacement);
    }
}

/// Guillemets, with the no-break spaces inside them, to quotation marks.
fn french_quotes<A: Alignment>(text: &mut Buffers<A>) {
    if memchr(0xC2, &text.text.bytes).is_none() {
        return;
    }
    for pattern in [
        "\u{A0}«\u{A0}",
        "«\u{A0}",
        "«",
        "\u{A0}»\u{A0}",
        "\u{A0}»",
        "»",
    ] {
        text.replace_all(pattern, "\"");
    }
}

/// No-break spaces before punctuation and units.
fn pseudo_spaces<A: Alignment>(text: &mut Buffers<A>) {
    if memmem::find(&text.text.bytes, NBSP.as_bytes()).is_none() {
        return;
    }
    let rules = [
        ("\u{A0}%", "%"),
        ("nº\u{A0}", "nº "),
        ("\u{A0}:", ":"),
        ("\u{A0}ºC", " ºC"),
        ("\u{A0}cm", " cm"),
        ("\u{A0}?", "?"),
        ("\u{A0}!", "!"),
        ("\u{A0};", ";"),
        (",\u{A0}", ", "),
    ];
    for (pattern, replacement) in rules {
        text.replace_all(pattern, replacement);
    }
    fold_spaces(text);
}

/// `,"` to `",`.
fn quotation_followed_by_comma<A: Alignment>(text: &mut Buffers<A>) {
    let finder = memmem::Finder::new(b",\"");
    if finder.find(&text.text.bytes).is_none() {
        return;
    }
    text.rewrite(|r| {
        let mut at = 0;
        while let Some(distance) = finder.find(&r.bytes()[at..]) {
            let comma = at + distance;
            r.keep_to(comma);
            r.transpose(comma + 1..comma + 2, comma + 1);
            r.transpose(comma..comma + 1, comma + 2);
            at = comma + 2;
        }
    });
}

/// `(\.+)"(\s*[^<])`: the quotation mark goes before the dots, unless it ends the text or stands
/// before `<`.
fn quotation_after_dots<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    let finder = memmem::Finder::new(b".\"");
    if finder.find(&text.text.bytes).is_none() {
        return;
    }
    text.rewrite(|r| {
        let bytes = r.bytes();
        // Where the search may match again: the characters after a match's quotation mark belong to
        // that match.
        let mut at = 0;
        while let Some(distance) = finder.find(&bytes[at..]) {
            let quote = at + distance + 1;
            let dots = bytes[at..quote]
                .iter()
                .rev()
                .take_while(|b| **b == b'.')
                .count();
            let end = end_of_continuation(bytes, quote + 1, characters);
            if end > quote + 1 {
                r.keep_to(quote - dots);
                r.transpose(quote..quote + 1, quote + 1);
                r.transpose(quote - dots..quote, quote + 1);
            }
            at = end;
        }
    });
}

/// Where `\s*[^<]` ends when matched at `start`; `start` itself when it does not match.
fn end_of_continuation(bytes: &[u8], start: usize, characters: &Characters) -> usize {
    let mut at = start;
    while at < bytes.len() {
        let (code, length) = decode(bytes, at);
        if code == u32::from(b'<') {
            return at;
        }
        at += length;
        if !characters.is(code, SPACE) {
            return at;
        }
    }
    at
}

/// `(\d)\u00A0(\d)` to a decimal comma.
fn digits_around_pseudo_space<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    let finder = memmem::Finder::new(NBSP);
    if finder.find(&text.text.bytes).is_none() {
        return;
    }
    text.rewrite(|r| {
        let bytes = r.bytes();
        let (mut at, mut matched) = (0, 0);
        while let Some(distance) = finder.find(&bytes[at..]) {
            let space = at + distance;
            at = space + NBSP.len();
            if space > matched
                && at < bytes.len()
                && characters.is(decode_before(bytes, space).0, DIGIT)
            {
                let (next, length) = decode(bytes, at);
                if characters.is(next, DIGIT) {
                    r.replace(space..at, b",");
                    at += length;
                    matched = at;
                }
            }
        }
    });
}

/// Python's `str.strip`.
pub(crate) fn strip<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    let bytes = &text.text.bytes;
    let (mut start, mut end) = (0, bytes.len());
    while start < end {
        let (code, length) = decode(bytes, start);
        if !characters.is(code, SPACE) {
            break;
        }
        start += length;
    }
    while start < end {
        let (code, length) = decode_before(bytes, end);
        if !characters.is(code, SPACE) {
            break;
        }
        end -= length;
    }
    text.crop(start..end);
}
