//! The ways in which tables write the two classes.

/// The class that a word names: `0`, `1`, `negative`, `positive`, `neg`, `pos`, in any case and with spaces around.
pub fn parse_label(word: &str) -> Option<i64> {
    let word = word.trim();
    let is = |names: [&str; 3]| names.iter().any(|n| word.eq_ignore_ascii_case(n));
    if is(["0", "negative", "neg"]) {
        Some(0)
    } else if is(["1", "positive", "pos"]) {
        Some(1)
    } else {
        None
    }
}

/// What a label must be, for messages.
pub(super) const EXPECTED: &str = "a label 0 or negative, 1 or positive";

#[cfg(test)]
mod tests {
    use super::parse_label;

    #[test]
    fn both_classes_have_several_names_and_nothing_else_is_one() {
        for word in ["0", "negative", "NEG", " Negative "] {
            assert_eq!(parse_label(word), Some(0), "{word}");
        }
        for word in ["1", "positive", "Pos"] {
            assert_eq!(parse_label(word), Some(1), "{word}");
        }
        for word in ["", "2", "-1", "01", "maybe", "1.5", "nan"] {
            assert_eq!(parse_label(word), None, "{word}");
        }
    }
}
