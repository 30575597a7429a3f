//! What holds for any text: no panic, the same tokens by every way in, places that are places.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock};

use flue_study::tokenization::Tokenizer;
use proptest::prelude::*;

use super::{folder, open};

/// Pieces of text that rules look for, among any characters.
fn odd_text() -> impl Strategy<Value = String> {
    let rule = prop::sample::select(vec![
        " ",
        "  ",
        "'",
        "''",
        "``",
        "\"",
        ",",
        ".",
        "..",
        "...",
        ".'",
        ",\"",
        ".\"",
        "(",
        ")",
        "%",
        ":",
        "\u{a0}",
        "«",
        "»",
        "’",
        "…",
        "—",
        "。",
        "．",
        "1",
        "½",
        "é",
        "e",
        "\u{301}",
        "DOT",
        "MULTI",
        "<s>",
        "<special1>",
        "<mask>",
        "<",
        "\n",
        "\r",
        "\t",
        "\u{85}",
        "\u{200d}",
        "\u{fe0f}",
        "M.",
        "etc.",
        "\u{2581}",
        "le",
        "livre",
        "Σ",
    ]);
    let part = prop_oneof![3 => rule.prop_map(String::from), 1 => "\\PC{0,4}", 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_encoded_alike_by_every_way_in(text in odd_text(), length in 2usize..40) {
        for name in ["flaubert", "camembert", "xlm-roberta", "roberta"] {
            let tokenizer = open_once(name);
            let encoding = tokenizer.encode(&text, Some(length)).unwrap();
            prop_assert!(encoding.ids.len() <= length);
            let batch = tokenizer.encode_batch(&[&text, "", &text], Some(length)).unwrap();
            prop_assert_eq!(&batch[0], &encoding);
            prop_assert_eq!(&batch[2], &encoding);
            let aligned = tokenizer.encode_aligned(&text, Some(length)).unwrap();
            prop_assert_eq!(&aligned.encoding, &encoding, "{}", name);
            prop_assert_eq!(aligned.offsets.len(), encoding.ids.len());
            prop_assert_eq!(aligned.word_ids.len(), encoding.ids.len());
            for offset in &aligned.offsets {
                let slice = text.get(offset.bytes.clone());
                prop_assert!(slice.is_some(), "{:?}", offset);
                let before = text[..offset.bytes.start].chars().count();
                let inside = slice.unwrap_or_default().chars().count();
                prop_assert_eq!(offset.characters.clone(), before..before + inside);
            }
            let words: HashSet<u32> = aligned.word_ids.iter().flatten().copied().collect();
            let last = words.iter().max().map_or(0, |word| *word as usize + 1);
            prop_assert!(name != "flaubert" || words.len() == last, "words are numbered without gaps");
        }
    }
}

/// The fixture's tokenizer, opened at its first use.
fn open_once(name: &'static str) -> &'static dyn Tokenizer {
    static OPENED: OnceLock<Mutex<HashMap<&'static str, &'static dyn Tokenizer>>> = OnceLock::new();
    let opened = OPENED.get_or_init(Mutex::default);
    *opened
        .lock()
        .unwrap()
        .entry(name)
        .or_insert_with(|| Box::leak(open(&folder().join(name))))
}
