//! The tokenizers against what transformers and sacremoses made of the same texts.
//!
//! `tests/fixtures/tokenization/README.md` says how the fixtures are made and how the differential test is run at
//! any size.

use std::path::{Path, PathBuf};

use flue_study::tokenization::flaubert::{FlaubertTokenizer, moses};
use flue_study::tokenization::{Tokenizer, TokenizerOptions, from_pretrained};
use serde::Deserialize;

use crate::common::{fixtures, real};

/// `[text, ids, punctuation, tokens]` as `make_cases.py` writes them.
#[derive(Deserialize)]
struct Case(String, Vec<u32>, String, Vec<String>);

fn folder() -> PathBuf {
    fixtures().join("tokenization")
}

fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.split('\n').filter(|line| !line.is_empty());
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// How many cases agree; panics at the first that does not.
fn check(tokenizer: &FlaubertTokenizer, cases: &[Case]) {
    let texts: Vec<&str> = cases.iter().map(|case| case.0.as_str()).collect();
    let encodings = tokenizer.encode_batch(&texts, None).unwrap();
    for (Case(text, ids, punctuation, tokens), encoding) in cases.iter().zip(encodings) {
        assert_eq!(&moses::normalize_punctuation(text), punctuation, "{text:?}");
        assert_eq!(&moses::tokenize(text), tokens, "{text:?}");
        assert_eq!(&encoding.ids, ids, "{text:?}: {:?}", tokenizer.words(text));
        let aligned = tokenizer.encode_aligned(text, None).unwrap();
        assert_eq!(&aligned.encoding.ids, ids, "aligned, {text:?}");
    }
}

#[test]
fn flaubert_gives_the_ids_of_transformers() {
    let tokenizer =
        FlaubertTokenizer::open(&folder().join("flaubert"), &TokenizerOptions::default()).unwrap();
    let cases = cases(&folder().join("flaubert_cases.jsonl"));
    assert!(cases.len() > 1000);
    check(&tokenizer, &cases);
}

/// `FLUE_TOKENIZER=folder FLUE_TOKENIZER_CASES=a.jsonl:b.jsonl cargo test --release --test suite -- --ignored differential`
#[test]
#[ignore = "needs files made by make_cases.py"]
fn differential() {
    let tokenizer = std::env::var("FLUE_TOKENIZER").unwrap();
    let tokenizer =
        FlaubertTokenizer::open(Path::new(&tokenizer), &TokenizerOptions::default()).unwrap();
    let mut all = 0;
    for path in std::env::var("FLUE_TOKENIZER_CASES").unwrap().split(':') {
        let cases = cases(Path::new(path));
        check(&tokenizer, &cases);
        all += cases.len();
    }
    println!("{all} texts agree");
}

#[test]
fn the_real_camembert_tokenizer_opens() {
    let Some(real) = real() else { return };
    let options = TokenizerOptions::default();
    let tokenizer = from_pretrained(&real.join("camembert-base"), &options).unwrap();
    // From `CamembertTokenizerFast`, transformers 4.57.1.
    assert_eq!(tokenizer.vocab_size(), 32005);
    assert_eq!(tokenizer.pad_token_id(), 1);
    for (text, ids) in [
        ("", vec![5, 6]),
        ("a<mask>b", vec![5, 33, 32004, 1011, 6]),
        ("a <mask> b", vec![5, 33, 32004, 1011, 6]),
        ("<unk>NOTUSED x", vec![5, 32005, 758, 6]),
    ] {
        assert_eq!(tokenizer.encode(text, None).unwrap().ids, ids, "{text:?}");
    }
}
