//! A `.review` file of Webis CLS-10, read and cleaned as FLUE's CLS reader does it, with the
//! character classes of Python's `re` and `str`:
//! <https://github.com/getalp/Flaubert/tree/master/flue>.
//!
//! The files look like XML but are not: FLUE drops the first line, cuts the rest at blank lines,
//! keeps the blocks of more than 9 characters and searches each for a rating and a text.

use std::borrow::Cow;
use std::io::BufRead;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::Review;
use super::guards::{LONGEST_ROW, Lines, too_long, too_long_text};
use crate::error::{Error, Result};

/// Blocks of at most this many characters are leftovers such as the closing `</items>`.
const SHORTEST: usize = 9;
/// Longer ratings are no numbers that anybody wrote: every digit of another script is looked up on
/// its own.
const LONGEST_RATING: usize = 64;
/// Ratings above it are positive.
const NEUTRAL: f64 = 3.0;

static RATING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<rating>(\d+.\d+)</rating>").expect("the pattern is constant"));
static DIGIT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\d$").expect("the pattern is constant"));

/// The reviews of one file.
pub(super) struct ReviewFile<R> {
    lines: Lines<R>,
    category: &'static str,
    /// Items so far.
    idx: i32,
    block: String,
    started: bool,
    done: bool,
}

impl<R: BufRead> ReviewFile<R> {
    /// Read `lines` as reviews of `category`.
    pub(crate) fn new(lines: Lines<R>, category: &'static str) -> Self {
        Self {
            lines,
            category,
            idx: 0,
            block: String::new(),
            started: false,
            done: false,
        }
    }

    /// The next block and the line where it starts; none at the end of the file.
    fn next_block(&mut self) -> Result<Option<usize>> {
        if !self.started {
            self.started = true;
            if !self.lines.read(&mut self.block)? {
                let expected = "reviews of Webis CLS-10 after a first line";
                return Err(Error::malformed(
                    self.lines.path(),
                    "line 1",
                    "an empty file",
                    expected,
                ));
            }
        }
        self.block.clear();
        let start = self.lines.number() + 1;
        loop {
            if !self.lines.read(&mut self.block)? {
                self.done = true;
                return Ok((!self.block.is_empty()).then_some(start));
            }
            if self.block.len() > LONGEST_ROW {
                return Err(too_long(self.lines.path(), format!("item at line {start}")));
            }
            if self.block.ends_with("\n\n") {
                self.block.truncate(self.block.len() - 2);
                return Ok(Some(start));
            }
        }
    }

    fn next_review(&mut self) -> Result<Option<Review>> {
        while !self.done {
            let Some(line) = self.next_block()? else {
                break;
            };
            if self.block.chars().nth(SHORTEST).is_none() {
                continue;
            }
            self.idx += 1;
            return self.parse(line).map(Some);
        }
        Ok(None)
    }

    fn parse(&self, line: usize) -> Result<Review> {
        let bad = |found: String, expected: &str| {
            let place = format!("item {} at line {line}", self.idx);
            Error::malformed(self.lines.path(), place, found, expected)
        };
        let rating = match RATING.captures(&self.block) {
            None => return Err(bad("no rating".into(), "<rating>4.0</rating>")),
            Some(found) => {
                let word = &found[1];
                float(word).ok_or_else(|| {
                    bad(format!("rating {word:?}"), "a number: <rating>4.0</rating>")
                })?
            }
        };
        let expected = "</url><text>...</text><title>";
        let text = between(&self.block, "/url><text>", "</text><title>")
            .ok_or_else(|| bad("no text".into(), expected))?;
        if let Some((found, expected)) = too_long_text(text) {
            return Err(bad(found, expected));
        }
        Ok(Review {
            text: clean(text),
            label: i64::from(rating.trunc() > NEUTRAL),
            idx: self.idx,
            category: Some(self.category.into()),
        })
    }
}

impl<R: BufRead> Iterator for ReviewFile<R> {
    type Item = Result<Review>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_review();
        if next.is_err() {
            self.done = true;
        }
        next.transpose()
    }
}

/// From the first `open` to the last `close`, as a greedy search finds it.
fn between<'a>(block: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = block.find(open)? + open.len();
    let end = block.rfind(close)?;
    block.get(start..end)
}

/// A finite number as Python's `float` reads it among the matches of the pattern: digits of any
/// script around one point, digit, `_` or `e`.
fn float(word: &str) -> Option<f64> {
    if word.len() > LONGEST_RATING {
        return None;
    }
    let ascii: String = word
        .chars()
        .filter(|&c| c != '_')
        .map(|c| digit(c).map_or(c, |d| (b'0' + d) as char))
        .collect();
    ascii.parse::<f64>().ok().filter(|x| x.is_finite())
}

/// The value of a decimal digit of any script. Unicode keeps each ten of them in a row, zero first.
fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).map(|d| d as u8);
    }
    let is_digit = |c: char| {
        let mut buffer = [0; 4];
        DIGIT.is_match(c.encode_utf8(&mut buffer))
    };
    if !is_digit(c) {
        return None;
    }
    let below = (0..c as u32)
        .rev()
        .take_while(|&n| char::from_u32(n).is_some_and(is_digit));
    Some((below.count() % 10) as u8)
}

/// Links, tags and words that run into a tag.
///
/// Python's `\S` leaves out U+001C to U+001F, which Unicode does not call white space; its `\w` is
/// letters, numbers and the underscore, without the marks and joiners of Unicode's `\w`.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    let not_space = r"[^\s\x1c-\x1f]";
    Regex::new(&format!(
        r"(?:www|http){not_space}+|<{not_space}+|[\p{{L}}\p{{N}}_]+/*>"
    ))
    .expect("the pattern is constant")
});

/// NFC, form feeds to spaces, line ends and tabs deleted, links and tags deleted, runs of spaces
/// folded: in this order.
pub(crate) fn clean(text: &str) -> String {
    let composed: Cow<'_, str> = if is_nfc(text) {
        text.into()
    } else {
        text.nfc().collect::<String>().into()
    };
    let plain: String = composed
        .chars()
        .filter(|c| !matches!(c, '\r' | '\n' | '\t'))
        .map(|c| if c == '\x0c' { ' ' } else { c })
        .collect();
    fold_spaces(&MARKUP.replace_all(&plain, ""))
}

/// Runs of U+0020 to one; other spaces stay.
fn fold_spaces(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if !(c == ' ' && folded.ends_with(' ')) {
            folded.push(c);
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Vec<Result<Review>> {
        let lines = Lines::new(Path::new("books/train.review"), text.as_bytes());
        ReviewFile::new(lines, "books").collect()
    }

    fn item(rating: &str, text: &str) -> String {
        format!(
            "<item><rating>{rating}</rating><url>u</url><text>{text}</text><title>t</title></item>"
        )
    }

    #[test]
    fn blocks_are_cut_at_blank_lines_and_short_ones_left_out() {
        let (a, b) = (item("4.0", "bon"), item("3.9", "moyen"));
        let reviews = read(&format!(
            "first line\n{a}\n\n\n12345678\n\n\n\n{b}\n\n</items>\n"
        ));
        let got: Vec<_> = reviews.into_iter().map(|r| r.unwrap()).collect();
        let want = |text: &str, label, idx| Review {
            text: text.into(),
            label,
            idx,
            category: Some("books".into()),
        };
        assert_eq!(got.len(), 2, "{got:?}");
        assert_eq!(got[0], want("bon", 1, 1));
        assert_eq!(got[1], want("moyen", 0, 2));
    }

    #[test]
    fn carriage_returns_are_line_ends_before_the_cut() {
        let (a, b) = (item("5.0", "un\rdeux"), item("1.0", "x"));
        let got = read(&format!("first\r\n{a}\r\r{b}\r\n\r\n"));
        let texts: Vec<_> = got.into_iter().map(|r| r.unwrap().text).collect();
        assert_eq!(texts, ["undeux", "x"]);
    }

    #[test]
    fn the_text_runs_to_the_last_closing_tag_and_may_be_empty() {
        let a = item("5.0", "un</text><title> deux </title> trois ");
        let got = read(&format!("first\n{a}\n\n{}\n", item("5.0", "")));
        let texts: Vec<_> = got.into_iter().map(|r| r.unwrap().text).collect();
        assert_eq!(texts[0], "un deux trois ");
        assert_eq!(texts[1], "");
    }

    #[test]
    fn a_missing_part_is_named_with_item_and_line() {
        let error = |text: String| read(&text).pop().unwrap().unwrap_err().to_string();
        let good = item("5.0", "x");
        let e = error(format!(
            "first\n{good}\n\n<item><url>u</url><text>x</text><title></item>"
        ));
        assert_eq!(
            e,
            "books/train.review, item 2 at line 4: found no rating, expected <rating>4.0</rating>"
        );
        let e = error("first\n<item><rating>2.0</rating><url>u</url></item>".into());
        assert!(e.contains("item 1 at line 2: found no text"), "{e}");
        let e = error(format!("first\n{}", item("4x0", "x")));
        assert!(e.contains("found rating \"4x0\""), "{e}");
        let e = error(String::new());
        assert!(e.contains("line 1: found an empty file"), "{e}");
    }

    #[test]
    fn ratings_are_read_as_python_reads_them() {
        assert_eq!(float("4.0"), Some(4.0));
        assert_eq!(float("4_0"), Some(40.0));
        assert_eq!(float("4e0"), Some(4.0));
        assert_eq!(float("\u{664}.\u{660}"), Some(4.0));
        assert_eq!(float("\u{1d7f0}.\u{1d7e3}"), Some(4.1));
        assert_eq!(float("1e999"), None);
        assert_eq!(float("4 0"), None);
        assert_eq!(float(&"\u{1d7f5}".repeat(1 << 20)), None);
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(clean(text), want);
    }

    #[test]
    fn text_is_composed_and_white_space_folded() {
        check("e\u{301}te\u{301}", "été");
        check("a\u{c}b  c   d", "a b c d");
        check("un\ndeux\ttrois\rquatre", "undeuxtroisquatre");
        check("a\u{a0}\u{a0}b\u{2003} c", "a\u{a0}\u{a0}b\u{2003} c");
        check("", "");
    }

    #[test]
    fn links_and_tags_go_up_to_the_next_space() {
        check("voir http://a.b/c?d et www.e.fr fin", "voir et fin");
        check("un <b>mot</b> ici", "un ici");
        check("gras/> fin mot> a_1//> b", " fin b");
        check("a < b > c", "a < b > c");
        // Deleting a link leaves the spaces on both sides, which are then folded.
        check("a http://x b", "a b");
    }

    #[test]
    fn classes_are_those_of_python() {
        // U+001C ends a link; U+0085 and a no-break space too.
        check("http://x\u{1c}y", "\u{1c}y");
        check("http://x\u{85}y", "\u{85}y");
        check("http://x\u{a0}y", "\u{a0}y");
        // A combining mark is no \w for Python, a superscript is one; so is a letter number.
        check("q\u{327}>", "q\u{327}>");
        check("a\u{b2}>z", "z");
        check("\u{2167}>z", "z");
        check("a\u{200d}>z", "a\u{200d}>z");
    }
}
