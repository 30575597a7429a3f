//! Moses' French non-breaking prefixes: a full stop after one of these does not end a sentence.
//!
//! The list is `nonbreaking_prefix.fr` of the Moses toolkit, as sacremoses 0.2.0 ships it.

/// Prefixes of two letters and more, sorted by their bytes.
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

/// Whether a word without its full stop is on the list: single letters (not `a`) or one of [`PREFIXES`].
pub(crate) fn is_nonbreaking(word: &[u8]) -> bool {
    match word {
        [letter] => letter.is_ascii_alphabetic() && *letter != b'a',
        _ => PREFIXES
            .binary_search_by(|prefix| prefix.as_bytes().cmp(word))
            .is_ok(),
    }
}

/// The whole list.
pub(crate) fn all() -> impl Iterator<Item = String> {
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
