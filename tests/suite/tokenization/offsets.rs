//! Every token of FlauBERT knows its place in the text.

use std::collections::HashMap;
use std::fs;

use flue_study::tokenization::flaubert::FlaubertTokenizer;
use flue_study::tokenization::{Tokenizer, TokenizerOptions};

use super::{folder, open};
use crate::common::real;

#[test]
fn flauberts_tokens_know_their_place_in_the_text() {
    let options = TokenizerOptions::default();
    let tokenizer = FlaubertTokenizer::open(&folder().join("flaubert"), &options).unwrap();
    // Every word of the text and what it became: quotes, ligatures of marks, dashes, dots, decimal
    // spaces, deletions.
    for (text, words) in [
        ("L’été", vec![("L’", "L'"), ("été", "été")]),
        (
            "«\u{a0}Noe\u{308}l\u{a0}»",
            vec![
                ("«\u{a0}", "\""),
                ("Noe\u{308}l", "Noël"),
                ("\u{a0}»", "\""),
            ],
        ),
        ("oui…", vec![("oui", "oui"), ("…", "...")]),
        ("non...", vec![("non", "non"), ("...", "...")]),
        ("1\u{a0}000 ％", vec![("1\u{a0}000", "1,000"), ("％", "%")]),
        (
            "a\u{200b}b\u{ad}c.",
            vec![("a\u{200b}b\u{ad}c", "abc"), (".", ".")],
        ),
        (
            "fin.\" Et",
            vec![("fin", "fin"), ("\"", "\""), (".", "."), ("Et", "Et")],
        ),
        (
            "x<s>DOTMULTI",
            vec![("x", "x"), ("<s>", "<s>"), ("DOTMULTI", ".")],
        ),
    ] {
        let aligned = tokenizer.encode_aligned(text, None).unwrap();
        let mut spans: HashMap<u32, (usize, usize)> = HashMap::new();
        for (offset, word) in aligned.offsets.iter().zip(&aligned.word_ids) {
            let Some(word) = word else { continue };
            let span = spans
                .entry(*word)
                .or_insert((offset.bytes.start, offset.bytes.end));
            *span = (span.0.min(offset.bytes.start), span.1.max(offset.bytes.end));
        }
        let got: Vec<&str> = (0..spans.len() as u32)
            .map(|word| &text[spans[&word].0..spans[&word].1])
            .collect();
        let want: Vec<&str> = words.iter().map(|(original, _)| *original).collect();
        assert_eq!(got, want, "{text:?}");
        let tokens: Vec<&str> = words.iter().map(|(_, token)| *token).collect();
        if !text.contains('<') {
            assert_eq!(tokenizer.words(text), tokens, "{text:?}");
        }
    }
}

#[test]
#[ignore = "needs the real files of ../shared/real"]
fn subwords_slice_the_text_where_nothing_was_rewritten() {
    let real = real();
    let tokenizer = open(&real.join("flaubert_base_uncased"));
    let vocabulary = fs::read_to_string(real.join("flaubert_base_uncased/vocab.json")).unwrap();
    let vocabulary: HashMap<String, u32> = serde_json::from_str(&vocabulary).unwrap();
    let tokens: HashMap<u32, &str> = vocabulary.iter().map(|(t, id)| (*id, t.as_str())).collect();
    let novel = fs::read_to_string(real.join("madame_bovary.txt")).unwrap();
    let mut seen = 0;
    for line in novel.lines().take(3000) {
        let aligned = tokenizer.encode_aligned(line, None).unwrap();
        for (id, offset) in aligned.encoding.ids.iter().zip(&aligned.offsets) {
            let token = tokens[id].trim_end_matches("</w>");
            if token.chars().all(char::is_alphabetic) && *id > 13 {
                assert_eq!(&line[offset.bytes.clone()], token, "{line:?}");
                let characters = line.chars().skip(offset.characters.start);
                let slice: String = characters.take(offset.characters.len()).collect();
                assert_eq!(slice, token, "{line:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20_000, "{seen}");
}
