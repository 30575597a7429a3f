//! Folders that do not open, and what is said about them.

use std::fs;
use std::path::Path;

use flue_study::tokenization::{TokenizerOptions, from_pretrained};

use super::copy;

/// The message of a folder that does not open, with the file and the place in it.
fn refusal(folder: &Path) -> String {
    match from_pretrained(folder, &TokenizerOptions::default()) {
        Ok(_) => panic!("{} opens", folder.display()),
        Err(e) => e.to_string(),
    }
}

#[test]
fn malformed_files_are_refused_with_their_place() {
    let cases: [(&str, &str, &[u8], &[&str]); 11] = [
        (
            "flaubert",
            "merges.txt",
            b"a b\nseul\n",
            &["merges.txt, line 2", "\"seul\"", "two symbols"],
        ),
        (
            "flaubert",
            "merges.txt",
            b"a b\xFF\n",
            &["merges.txt, byte 3", "UTF-8"],
        ),
        (
            "flaubert",
            "vocab.json",
            b"{\"a\": \"b\"}",
            &["vocab.json, key \"a\"", "a token id"],
        ),
        (
            "flaubert",
            "vocab.json",
            b"{\"a\": 1,\n",
            &["vocab.json, line", "JSON"],
        ),
        (
            "flaubert",
            "vocab.json",
            b"{\"a\": 1}",
            &["vocab.json", "\"<unk>\""],
        ),
        (
            "flaubert",
            "tokenizer_config.json",
            b"{\"tokenizer_class\": \"BertTokenizer\"}",
            &["tokenizer_class", "BertTokenizer"],
        ),
        (
            "flaubert",
            "tokenizer_config.json",
            b"{\"model_max_length\": -1}",
            &["model_max_length", "-1"],
        ),
        (
            "flaubert",
            "tokenizer_config.json",
            b"{\"bos_token\": 3}",
            &["bos_token", "a token"],
        ),
        (
            "flaubert",
            "tokenizer_config.json",
            b"{\"added_tokens_decoder\": {\"x\": \"y\"}}",
            &["added_tokens_decoder", "ids as keys"],
        ),
        (
            "camembert",
            "sentencepiece.bpe.model",
            b"\x0a\x05abc",
            &["sentencepiece.bpe.model, byte 2", "longer than the file"],
        ),
        (
            "roberta",
            "tokenizer.json",
            b"{\"model\": 3}",
            &["tokenizer.json", "tokenizers crate"],
        ),
    ];
    for (name, file, bytes, words) in cases {
        let copy = copy(name);
        fs::write(copy.path().join(file), bytes).unwrap();
        let message = refusal(copy.path());
        for word in words {
            assert!(message.contains(word), "{file}: no {word:?} in {message}");
        }
    }
}

#[test]
fn missing_files_are_named() {
    let copy = copy("flaubert");
    fs::remove_file(copy.path().join("merges.txt")).unwrap();
    assert!(refusal(copy.path()).contains("merges.txt not found"));
    let empty = tempfile::tempdir().unwrap();
    assert!(refusal(empty.path()).contains("tokenizer.json or sentencepiece.bpe.model"));
    assert!(refusal(&empty.path().join("absent")).contains("absent not found"));
}
