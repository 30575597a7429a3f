//! The tokenizers against what transformers and sacremoses made of the same texts.
//!
//! `tests/fixtures/tokenization/README.md` says how the fixtures are made.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use flue_study::tokenization::flaubert::{
    Comparison, FlaubertTokenizer, export_tokenizer_json, moses,
};
use flue_study::tokenization::{Tokenizer, TokenizerKind, TokenizerOptions, from_pretrained};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::common::{fixtures, real};

mod differential;
mod folders;
mod offsets;
mod properties;
mod refusals;
mod saved;

/// `[text, ids, punctuation, tokens]` as `make_cases.py` writes them.
type Case = (String, Vec<u32>, String, Vec<String>);

fn folder() -> PathBuf {
    fixtures().join("tokenization")
}

fn lines<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.split('\n').filter(|line| !line.is_empty());
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The cases of a fixture in which transformers 5.24 differs from 4.57.1.
fn differing_under_5<T: DeserializeOwned>(name: &str) -> Vec<T> {
    lines(&folder().join(format!("{name}_cases-5.24.0.jsonl")))
}

fn open(folder: &Path) -> Box<dyn Tokenizer> {
    from_pretrained(folder, &TokenizerOptions::default()).unwrap()
}

/// A copy of a fixture's folder in which files can be changed.
fn copy(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder().join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// Every stage of FlauBERT's tokenizer on texts whose results are known.
fn check(tokenizer: &FlaubertTokenizer, cases: &[Case]) {
    let texts: Vec<&str> = cases.iter().map(|case| case.0.as_str()).collect();
    let encodings = tokenizer.encode_batch(&texts, None).unwrap();
    for ((text, ids, punctuation, tokens), encoding) in cases.iter().zip(encodings) {
        assert_eq!(&moses::normalize_punctuation(text), punctuation, "{text:?}");
        assert_eq!(&moses::tokenize(text), tokens, "{text:?}");
        assert_eq!(&encoding.ids, ids, "{text:?}: {:?}", tokenizer.words(text));
        let aligned = tokenizer.encode_aligned(text, None).unwrap();
        assert_eq!(&aligned.encoding.ids, ids, "aligned, {text:?}");
    }
}

#[test]
fn flaubert_gives_the_ids_of_transformers() {
    let options = TokenizerOptions::default();
    let tokenizer = FlaubertTokenizer::open(&folder().join("flaubert"), &options).unwrap();
    let cases = lines(&folder().join("flaubert_cases-4.57.1.jsonl"));
    assert!(cases.len() > 900);
    check(&tokenizer, &cases);
    assert_eq!(differing_under_5::<Case>("flaubert"), []);
    assert_eq!(tokenizer.vocab_size(), 582);
    assert_eq!(tokenizer.pad_token_id(), 2);
    assert_eq!(tokenizer.model_max_length(), 512);
    assert_eq!(tokenizer.kind(), TokenizerKind::Flaubert);
    assert!(tokenizer.has_token_type_ids());
}

#[test]
fn other_settings_of_flaubert_give_the_ids_of_transformers() {
    // The lengths are those of the peer's tokenizers.
    for (name, length) in [("flaubert_lowercase", 582), ("flaubert_added", 592)] {
        let copy = copy("flaubert");
        let config = folder().join(format!("{name}_config.json"));
        fs::copy(config, copy.path().join("tokenizer_config.json")).unwrap();
        let tokenizer = open(copy.path());
        assert_eq!(tokenizer.vocab_size(), length, "{name}");
        assert_eq!(tokenizer.model_max_length(), 512, "{name}");
        let cases: Vec<(String, Vec<u32>)> =
            lines(&folder().join(format!("{name}_cases-4.57.1.jsonl")));
        assert!(cases.len() > 200);
        assert_eq!(differing_under_5::<(String, Vec<u32>)>(name), []);
        for (text, ids) in cases {
            assert_eq!(tokenizer.encode(&text, None).unwrap().ids, ids, "{text:?}");
            let aligned = tokenizer.encode_aligned(&text, None).unwrap();
            assert_eq!(aligned.encoding.ids, ids, "aligned, {text:?}");
        }
    }
}

#[test]
fn camembert_and_its_family_give_the_ids_of_transformers() {
    let mut tokenizers = HashMap::new();
    let cases: Vec<(String, String, Vec<u32>)> =
        lines(&folder().join("camembert_cases-4.57.1.jsonl"));
    assert!(cases.len() > 700);
    for (name, text, ids) in cases {
        let tokenizer = tokenizers
            .entry(name.clone())
            .or_insert_with(|| open(&folder().join(&name)));
        let got = tokenizer.encode(&text, None).unwrap();
        assert_eq!(got.ids, ids, "{name}: {text:?}");
        assert!(!got.truncated);
        let aligned = tokenizer.encode_aligned(&text, None).unwrap();
        assert_eq!(aligned.encoding.ids, ids, "{name}, aligned: {text:?}");
    }
    assert_eq!(tokenizers.len(), 3);
    for tokenizer in tokenizers.values() {
        assert_eq!(tokenizer.kind(), TokenizerKind::Camembert);
        assert!(!tokenizer.has_token_type_ids());
        assert_eq!(tokenizer.pad_token_id(), 1);
    }
}

#[test]
#[ignore = "needs the real files of ../shared/real"]
fn the_real_camembert_tokenizer_opens() {
    let tokenizer = open(&real().join("camembert-base"));
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

#[test]
fn truncation_keeps_the_special_tokens() {
    let text = "le livre <special1> est-il très bien ? ".repeat(20);
    for name in ["flaubert", "camembert", "roberta"] {
        let tokenizer = open(&folder().join(name));
        let whole = tokenizer.encode(&text, None).unwrap();
        assert!(whole.ids.len() > 100 && !whole.truncated);
        let last = whole.ids[whole.ids.len() - 1];
        for length in [2, 3, 50, whole.ids.len() - 1, whole.ids.len()] {
            let cut = tokenizer.encode(&text, Some(length)).unwrap();
            assert_eq!(cut.ids.len(), length, "{name}");
            assert_eq!(cut.ids[..length - 1], whole.ids[..length - 1], "{name}");
            assert_eq!(cut.ids[length - 1], last, "{name}");
            assert_eq!(cut.truncated, length < whole.ids.len(), "{name}");
            let aligned = tokenizer.encode_aligned(&text, Some(length)).unwrap();
            assert_eq!(aligned.encoding, cut, "{name}");
            assert_eq!(aligned.offsets.len(), length, "{name}");
        }
        let refused = tokenizer.encode(&text, Some(1)).unwrap_err();
        assert_eq!(refused.exit_status(), 2);
        assert!(refused.to_string().contains("special tokens"), "{refused}");
    }
}

#[test]
fn do_lower_case_is_ignored_unless_asked_for() {
    let flaubert = folder().join("flaubert");
    let encode = |lowercase, text| {
        let tokenizer = from_pretrained(&flaubert, &TokenizerOptions { lowercase }).unwrap();
        tokenizer.encode(text, None).unwrap().ids
    };
    assert_ne!(encode(None, "C'EST"), encode(None, "c'est"));
    assert_eq!(encode(Some(true), "C'EST"), encode(None, "c'est"));
    let camembert = folder().join("camembert");
    let encode = |lowercase, text| {
        let tokenizer = from_pretrained(&camembert, &TokenizerOptions { lowercase }).unwrap();
        tokenizer.encode(text, None).unwrap().ids
    };
    assert_eq!(encode(Some(true), "Le FILM"), encode(None, "le film"));
}

#[test]
fn the_older_files_of_special_tokens_are_read() {
    let copy = copy("flaubert");
    fs::write(
        copy.path().join("special_tokens_map.json"),
        r#"{"bos_token": {"content": "<special3>", "lstrip": false}, "additional_special_tokens": ["<special4>"]}"#,
    )
    .unwrap();
    fs::write(copy.path().join("added_tokens.json"), r#"{"NOUVEAU": 900}"#).unwrap();
    let tokenizer = open(copy.path());
    // <special3> and <special4> are tokens 7 and 8 of the vocabulary, <special5> is none any more.
    let ids = tokenizer.encode("NOUVEAU<special4>", None).unwrap().ids;
    assert_eq!(ids, [7, 900, 8, 1]);
    assert!(tokenizer.encode("<special5>", None).unwrap().ids.len() > 3);
    assert_eq!(tokenizer.vocab_size(), 583);
}

#[test]
fn an_exported_tokenizer_gives_the_same_ids_to_ordinary_text() {
    let options = TokenizerOptions::default();
    let export = export_tokenizer_json(&folder().join("flaubert"), &options).unwrap();
    assert!(
        export.dropped_merges >= 4,
        "merges without an id are left out"
    );
    // Without such merges nothing but odd strings differs.
    let copy = copy("flaubert");
    let vocabulary = fs::read_to_string(copy.path().join("vocab.json")).unwrap();
    let vocabulary: HashMap<String, u32> = serde_json::from_str(&vocabulary).unwrap();
    let merges = fs::read_to_string(copy.path().join("merges.txt")).unwrap();
    let known = |line: &&str| {
        let whole = line.replace(' ', "");
        let mut symbols = line.split(' ').chain([whole.as_str()]);
        symbols.all(|symbol| vocabulary.contains_key(symbol))
    };
    let kept: Vec<&str> = merges.lines().filter(known).collect();
    fs::write(copy.path().join("merges.txt"), kept.join("\n") + "\n").unwrap();
    let export = export_tokenizer_json(copy.path(), &options).unwrap();
    assert_eq!(export.dropped_merges, 0);
    let tokenizer = open(copy.path());
    let ordinary = [
        "",
        "C’est très bien fait… n'est-ce pas ? « Oui », dit-elle.",
        "Il a coûté 1\u{a0}250,50 € (soit 5 % de moins) ; M. Dupont l'a vu, J.-C. aussi, etc.",
        "Qu'en dire ?! Rien... sinon qu'aujourd'hui\u{a0}: bof. ET VOILÀ.",
        "e\u{301}te\u{301} <special1> ça, 3,5 sur 5. \"Fin.\" L'apr. midi, p.ex. ici.",
    ];
    let differences = |texts: &[&str]| {
        let mut comparison = Comparison::new(tokenizer.as_ref(), &export).unwrap();
        comparison.add(texts).unwrap();
        comparison.found()
    };
    let same = differences(&ordinary);
    assert_eq!((same.texts, same.differing), (ordinary.len(), 0));
    // Odd strings differ now and then, and are counted.
    let cases: Vec<Case> = lines(&folder().join("flaubert_cases-4.57.1.jsonl"));
    let texts: Vec<&str> = cases.iter().map(|case| case.0.as_str()).collect();
    let odd = differences(&texts);
    assert!(odd.differing > 0 && odd.share() < 0.2, "{odd:?}");
    // The file opens as the tokenizer of a folder without the vocabulary.
    let alone = tempfile::tempdir().unwrap();
    fs::write(alone.path().join("tokenizer.json"), &export.json).unwrap();
    let opened = open(alone.path());
    for text in ordinary {
        let want = tokenizer.encode(text, Some(16)).unwrap();
        assert_eq!(opened.encode(text, Some(16)).unwrap(), want, "{text:?}");
    }
}
