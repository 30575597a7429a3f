//! Moses' tokenisation for French, as `sacremoses.MosesTokenizer("fr").tokenize(text,
//! escape=False)` 0.2.0 does it.
//!
//! The rules run in the reference's order: white space, padding of special characters, runs of
//! dots, commas, apostrophes, non-breaking prefixes, a trailing `.'`.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::super::aligned::{Alignment, Buffers, Rewrite};
use super::characters::{
    ALNUM, ALPHA, Characters, LOWER, NUMBER, SPACE, characters, decode, decode_before, end_of_space,
};
use super::punctuation::strip;

/// Split a text into tokens: ranges of the rewritten text, in order.
pub(crate) fn tokenize<A: Alignment>(text: &mut Buffers<A>, tokens: &mut Vec<Range<usize>>) {
    let characters = characters();
    tokens.clear();
    let folded = remove_ascii_junk(text, characters);
    pad_special_characters(text, characters, folded);
    commas(text, characters);
    apostrophes(text, characters);
    split(&text.text.bytes, tokens, characters);
    trailing_dot_apostrophe(&text.text.bytes, tokens);
    restore_dots(text, tokens);
}

/// Control characters below U+0020 that are no white space go, and what stands around them draws
/// together: spaces too, which are not folded again. True when there was one, and white space is
/// folded already.
fn remove_ascii_junk<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) -> bool {
    let is_junk = |byte: u8| byte < 0x20 && !characters.is(u32::from(byte), SPACE);
    if !text.text.bytes.iter().any(|byte| is_junk(*byte)) {
        return false;
    }
    fold_white_space(text, characters);
    text.rewrite(|r| {
        for (at, byte) in r.bytes().iter().enumerate() {
            if is_junk(*byte) {
                r.replace(at..at + 1, b"");
            }
        }
    });
    true
}

/// `\s+` to one space.
fn fold_white_space<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    text.rewrite(|r| {
        let bytes = r.bytes();
        let mut at = 0;
        while at < bytes.len() {
            let end = end_of_space(bytes, at, characters);
            if end > at {
                r.replace(at..end, b" ");
            }
            at = end + decode(bytes, end.min(bytes.len() - 1)).1;
        }
    });
}

/// For each byte, whether padding passes over it: ASCII letters and digits, ``'`,-``, and all bytes
/// but the first of a character.
const PASSED_OVER: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let ascii = byte as u8;
        plain[byte] = ascii.is_ascii_alphanumeric()
            || matches!(ascii, b'\'' | b'`' | b',' | b'-' | 0x80..0xC0);
        byte += 1;
    }
    plain
};

/// Stripping, `\s+` to one space unless it is `folded`, spaces around every character that is
/// neither alphanumeric nor white space nor one of ``.'`,-``, and the marker of each run of dots: `
/// DOT…MULTI `, without its last space at the end of the text.
fn pad_special_characters<A: Alignment>(
    text: &mut Buffers<A>,
    characters: &Characters,
    folded: bool,
) {
    strip(text, characters);
    text.rewrite(|r| {
        let bytes = r.bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if PASSED_OVER[byte as usize] {
                at += 1;
            } else if is_plain_pair(bytes, at, characters) {
                at += 2;
            } else {
                at = pad_at(r, at, characters, folded);
            }
        }
    });
}

/// Whether a space stands at `at` with a byte after it that is passed over, or an alphanumeric
/// character of two bytes.
#[inline]
fn is_plain_pair(bytes: &[u8], at: usize, characters: &Characters) -> bool {
    match bytes[at] {
        b' ' => bytes
            .get(at + 1)
            .is_some_and(|next| PASSED_OVER[*next as usize]),
        0xC3..0xE0 => characters.is(decode(bytes, at).0, ALNUM),
        _ => false,
    }
}

/// Treat what starts at `at`; where the next character starts.
fn pad_at<A: Alignment>(
    r: &mut Rewrite<'_, A>,
    at: usize,
    characters: &Characters,
    folded: bool,
) -> usize {
    let bytes = r.bytes();
    let (code, length) = decode(bytes, at);
    if code == u32::from(b'.') {
        let end = at + bytes[at..].iter().take_while(|b| **b == b'.').count();
        if end - at > 1 {
            mark_dots(r, at..end);
        }
        return end;
    }
    let class = characters.of(code);
    if class & SPACE != 0 && !folded {
        let end = end_of_space(bytes, at, characters);
        if &bytes[at..end] != b" " {
            r.replace(at..end, b" ");
        }
        return end;
    }
    if class & (ALNUM | SPACE) == 0 && !matches!(code, 0x27 | 0x2C | 0x2D | 0x60) {
        r.insert(at, b" ");
        r.keep_to(at + length);
        r.insert(at + length, b" ");
    }
    at + length
}

fn mark_dots<A: Alignment>(r: &mut Rewrite<'_, A>, dots: Range<usize>) {
    r.insert(dots.start, b" ");
    for dot in dots.clone() {
        r.replace(dot..dot + 1, b"DOT");
    }
    r.replace(dots.end - 1..dots.end, b"MULTI");
    if dots.end < r.bytes().len() {
        r.insert(dots.end, b" ");
    }
}

/// Commas stand alone except between numbers.
fn commas<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    if memchr(b',', &text.text.bytes).is_none() {
        return;
    }
    text.rewrite(|r| comma_after_other(r, characters));
    text.rewrite(|r| comma_before_other(r, characters));
    text.rewrite(|r| {
        // `([number]),$`
        let bytes = r.bytes();
        if let Some(comma) = bytes.len().checked_sub(1)
            && comma > 0
            && bytes[comma] == b','
            && characters.is(decode_before(bytes, comma).0, NUMBER)
        {
            r.replace(comma..comma + 1, b" , ");
        }
    });
}

/// `([^number]),`
fn comma_after_other<A: Alignment>(r: &mut Rewrite<'_, A>, characters: &Characters) {
    let bytes = r.bytes();
    let (mut at, mut matched) = (0, 0);
    while let Some(comma) = r.find_byte(b',', at) {
        at = comma + 1;
        if comma > matched && !characters.is(decode_before(bytes, comma).0, NUMBER) {
            r.replace(comma..at, b" , ");
            matched = at;
        }
    }
}

/// `,([^number])`
fn comma_before_other<A: Alignment>(r: &mut Rewrite<'_, A>, characters: &Characters) {
    let bytes = r.bytes();
    let mut at = 0;
    while let Some(comma) = r.find_byte(b',', at) {
        at = comma + 1;
        if at < bytes.len() {
            let (next, length) = decode(bytes, at);
            if !characters.is(next, NUMBER) {
                r.replace(comma..at, b" , ");
                at += length;
            }
        }
    }
}

/// French apostrophes end their word before a letter, and stand alone elsewhere: four rules, by
/// what is on either side.
fn apostrophes<A: Alignment>(text: &mut Buffers<A>, characters: &Characters) {
    for (before, after) in [(false, false), (false, true), (true, false), (true, true)] {
        if memchr(b'\'', &text.text.bytes).is_none() {
            return;
        }
        let replacement: &[u8] = if before && after { b"' " } else { b" ' " };
        text.rewrite(|r| {
            let bytes = r.bytes();
            let (mut at, mut matched) = (0, 0);
            while let Some(apostrophe) = r.find_byte(b'\'', at) {
                at = apostrophe + 1;
                if apostrophe <= matched || at >= bytes.len() {
                    continue;
                }
                let (next, length) = decode(bytes, at);
                let previous = decode_before(bytes, apostrophe).0;
                if characters.is(previous, ALPHA) == before && characters.is(next, ALPHA) == after {
                    r.replace(apostrophe..at, replacement);
                    at += length;
                    matched = at;
                }
            }
        });
    }
}

/// Split at white space, and split the full stop off each token that is no abbreviation.
fn split(bytes: &[u8], tokens: &mut Vec<Range<usize>>, characters: &Characters) {
    let mut next = next_word(bytes, 0);
    while let Some(word) = next {
        next = next_word(bytes, word.end);
        let following = next.as_ref().map(|w| decode(bytes, w.start).0);
        match &bytes[word.clone()] {
            [prefix @ .., b'.']
                if !prefix.is_empty() && ends_sentence(prefix, following, characters) =>
            {
                tokens.push(word.start..word.end - 1);
                tokens.push(word.end - 1..word.end);
            }
            _ => tokens.push(word),
        }
    }
}

/// The next run without spaces; no other white space is left in the text.
#[inline]
fn next_word(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = from;
    while *bytes.get(start)? == b' ' {
        start += 1;
    }
    let mut end = start + 1;
    while bytes.get(end).is_some_and(|byte| *byte != b' ') {
        end += 1;
    }
    Some(start..end)
}

/// Whether the full stop after `prefix` is a token of its own.
fn ends_sentence(prefix: &[u8], following: Option<u32>, characters: &Characters) -> bool {
    let acronym = memchr(b'.', prefix).is_some() && has_letter(prefix, characters);
    let lower_follows = following.is_some_and(|c| characters.is(c, LOWER));
    !(acronym || lower_follows || is_nonbreaking(prefix))
}

fn has_letter(word: &[u8], characters: &Characters) -> bool {
    let mut at = 0;
    while at < word.len() {
        let (code, length) = decode(word, at);
        if characters.is(code, ALPHA) {
            return true;
        }
        at += length;
    }
    false
}

/// `\.' ?$` becomes two tokens.
fn trailing_dot_apostrophe(bytes: &[u8], tokens: &mut Vec<Range<usize>>) {
    if let Some(last) = tokens.last().cloned()
        && bytes[last.clone()].ends_with(b".'")
    {
        tokens.pop();
        if last.len() > 2 {
            tokens.push(last.start..last.end - 2);
        }
        tokens.push(last.end - 2..last.end - 1);
        tokens.push(last.end - 1..last.end);
    }
}

/// `(?:DOT)+MULTI` to as many dots, also where the marker was in the text from the start, as in the
/// reference.
fn restore_dots<A: Alignment>(text: &mut Buffers<A>, tokens: &mut [Range<usize>]) {
    let finder = memmem::Finder::new(b"DOTMULTI");
    if finder.find(&text.text.bytes).is_none() {
        return;
    }
    text.rewrite(|r| {
        let bytes = r.bytes();
        for token in tokens {
            r.keep_to(token.start);
            let start = r.written();
            let mut at = token.start;
            while let Some(distance) = finder.find(&bytes[at..token.end]) {
                let last = at + distance;
                let mut first = last;
                while first >= at + 3 && &bytes[first - 3..first] == b"DOT" {
                    first -= 3;
                }
                for dot in (first..last).step_by(3) {
                    r.replace(dot..dot + 3, b".");
                }
                at = last + b"DOTMULTI".len();
                r.replace(last..at, b".");
            }
            r.keep_to(token.end);
            *token = start..r.written();
        }
    });
}

/// French non-breaking prefixes of two letters and more, after which a full stop does not end a
/// sentence, sorted by their bytes: `nonbreaking_prefix.fr` of the Moses toolkit, as sacremoses
/// 0.2.0 ships it.
#[rustfmt::skip]
const PREFIXES: [&str; 93] = [
    "A.C.N", "A.M", "B.P", "C.N", "C.N.S", "C.P.I", "C.Q.F.D", "C.S", "E.V", "L.D", "LL.AA", "LL.AA.II",
    "LL.AA.RR", "LL.AA.SS", "LL.EE", "LL.MM", "LL.MM.II.RR", "MM", "N.B", "N.D", "N.D.A", "N.D.L.R", "N.D.T",
    "N.P.A.I", "N.S", "NN.SS", "P.S", "R.-V", "R.A.S", "R.I.P", "R.P", "S.A", "S.A.I", "S.A.R", "S.A.S", "S.E",
    "S.M", "S.M.I.R", "S.S", "SS", "T.S.V.P", "X.O", "Z.I", "al", "ann", "apr", "art", "auj", "av", "boul",
    "c.-à-d", "ca", "cf", "ch.-l", "chap", "contr", "dir", "e.g", "env", "etc", "ex", "fasc", "fig", "fr", "fém",
    "hab", "i.e", "ibid", "id", "inf", "lib", "loc.cit", "masc", "ms", "n/réf", "p.c.c", "p.ex", "p.j", "pl",
    "pp", "sec", "sect", "sing", "sq", "sqq", "suiv", "sup", "suppl", "tél", "vb", "vol", "vs", "éd",
];

/// Whether a word without its full stop is on the list: single letters (not `a`) or one of
/// [`PREFIXES`].
fn is_nonbreaking(word: &[u8]) -> bool {
    match word {
        [letter] => letter.is_ascii_alphabetic() && *letter != b'a',
        _ => PREFIXES
            .binary_search_by(|prefix| prefix.as_bytes().cmp(word))
            .is_ok(),
    }
}

/// All non-breaking prefixes.
pub(crate) fn nonbreaking_prefixes() -> impl Iterator<Item = String> {
    let single = ('A'..='Z').chain('b'..='z').map(String::from);
    single.chain(PREFIXES.iter().map(|prefix| prefix.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(PREFIXES.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()));
    }

    #[test]
    fn prefixes_are_exact() {
        for yes in ["A", "b", "etc", "c.-à-d", "n/réf", "LL.MM.II.RR"] {
            assert!(is_nonbreaking(yes.as_bytes()), "{yes}");
        }
        for no in ["a", "", "é", "Etc", "c.-a-d", "7"] {
            assert!(!is_nonbreaking(no.as_bytes()), "{no}");
        }
    }
}
