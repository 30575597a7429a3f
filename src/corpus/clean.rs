//! The cleaning of FLUE's CLS reader, with the character classes of Python's `re` and `str`:
//! <https://github.com/getalp/Flaubert/tree/master/flue>.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Links, tags and words that run into a tag.
///
/// Python's `\S` leaves out U+001C to U+001F, which Unicode does not call white space; its `\w` is letters, numbers and
/// the underscore, without the marks and joiners of Unicode's `\w`.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    let not_space = r"[^\s\x1c-\x1f]";
    Regex::new(&format!(
        r"(?:www|http){not_space}+|<{not_space}+|[\p{{L}}\p{{N}}_]+/*>"
    ))
    .expect("the pattern is constant")
});

/// NFC, form feeds to spaces, line ends and tabs deleted, links and tags deleted, runs of spaces folded: in this order.
pub fn clean(text: &str) -> String {
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
    use super::*;

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
