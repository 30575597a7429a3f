//! Folders that do not open, and what is said about them.

use std::fs;
use std::path::Path;

use flue_study::tokenization::{TokenizerOptions, from_pretrained};
use serde_json::{Value, json};
use tempfile::TempDir;

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

/// The tokenizer.json of a fixture with other values in some of its places.
fn altered(places: &[(&str, Value)]) -> TempDir {
    let copy = copy("roberta");
    let path = copy.path().join("tokenizer.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in places {
        json[*key] = value.clone();
    }
    fs::write(&path, json.to_string()).unwrap();
    copy
}

/// Forty steps that double a letter.
fn doubling(letter: &str) -> Value {
    let step =
        json!({"type": "Replace", "pattern": {"String": letter}, "content": letter.repeat(2)});
    json!({"type": "Sequence", "normalizers": vec![step; 40]})
}

#[test]
fn a_normaliser_that_makes_texts_endless_is_refused() {
    let expected = "tokenizer.json, normalizer: found";
    let message = refusal(altered(&[("normalizer", doubling("a"))]).path());
    assert!(message.contains(expected), "{message}");
    // Reading the file already normalises such a token.
    let token = json!({"id": 1, "content": "zé", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": true, "special": false});
    let added = [
        ("normalizer", doubling("é")),
        ("added_tokens", json!([token])),
    ];
    let message = refusal(altered(&added).path());
    assert!(message.contains(expected), "{message}");
    let folder = altered(&[("normalizer", doubling("é"))]);
    let tokenizer = from_pretrained(folder.path(), &TokenizerOptions::default()).unwrap();
    assert!(tokenizer.encode("un livre", None).is_ok());
    for error in [
        tokenizer.encode("un été", None).unwrap_err(),
        tokenizer.encode_batch(&["un été"], Some(8)).unwrap_err(),
        tokenizer.encode_aligned("un été", None).unwrap_err(),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_template_of_countless_tokens_is_refused() {
    let mark = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let mut single = vec![mark; 300];
    single.push(text.clone());
    let special = json!({"<s>": {"id": "<s>", "ids": vec![0; 300], "tokens": vec!["<s>"; 300]}});
    let template = json!({"type": "TemplateProcessing", "single": single, "pair": [text],
        "special_tokens": special});
    let message = refusal(altered(&[("post_processor", template)]).path());
    assert!(
        message.contains("tokenizer.json, post_processor: found"),
        "{message}"
    );
}

#[test]
fn an_added_token_of_great_length_is_refused() {
    let copy = copy("flaubert");
    let path = copy.path().join("added_tokens.json");
    fs::write(&path, format!("{{\"{}\": 900}}", "a".repeat(1000))).unwrap();
    from_pretrained(copy.path(), &TokenizerOptions::default()).unwrap();
    fs::write(&path, format!("{{\"{}\": 900}}", "a".repeat(1001))).unwrap();
    let message = refusal(copy.path());
    assert!(
        message.contains("a token of at most 1000 bytes"),
        "{message}"
    );
}

#[test]
fn countless_merges_or_values_are_refused() {
    let flaubert = copy("flaubert");
    let merges = "a b\n".repeat((1 << 21) + 1);
    fs::write(flaubert.path().join("merges.txt"), merges).unwrap();
    let message = refusal(flaubert.path());
    assert!(
        message.contains("merges.txt, line 2097153: found another merge"),
        "{message}"
    );
    let vocabulary = format!("{{\"a\": [{}0]}}", "0,".repeat(1 << 22));
    for (name, file) in [("flaubert", "vocab.json"), ("roberta", "tokenizer.json")] {
        let copy = copy(name);
        fs::write(copy.path().join(file), &vocabulary).unwrap();
        let message = refusal(copy.path());
        let words = format!("{file}: found about 4194307 values, expected 4194304 at most");
        assert!(message.contains(&words), "{message}");
    }
}

#[test]
fn a_model_of_countless_pieces_is_refused() {
    let copy = copy("camembert");
    let path = copy.path().join("sentencepiece.bpe.model");
    // Each is a piece without a text.
    fs::write(&path, b"\x0a\x00".repeat((1 << 20) + 1)).unwrap();
    let message = refusal(copy.path());
    assert!(
        message.contains("byte 2097154: found too many pieces"),
        "{message}"
    );
}

/// A fixture's folder with one of its files written anew, or another beside them.
fn with(name: &str, file: &str, value: &Value) -> TempDir {
    let copy = copy(name);
    fs::write(copy.path().join(file), value.to_string()).unwrap();
    copy
}

#[test]
fn a_side_that_is_none_is_refused_by_name() {
    for name in ["flaubert", "camembert", "unigram"] {
        for key in ["truncation_side", "padding_side"] {
            for value in [json!("Left"), json!("both"), json!(1), json!(null)] {
                let config = json!({"model_max_length": 512, key: value});
                let message = refusal(with(name, "tokenizer_config.json", &config).path());
                let words = format!("tokenizer_config.json, key \"{key}\": found {value}");
                assert!(message.contains(&words), "{message}");
                assert!(message.contains("\"left\" or \"right\""), "{message}");
            }
        }
    }
}

#[test]
fn a_padding_token_is_never_made_up() {
    // RoBERTa's class says <pad>, the vocabulary [PAD]: the token is that of the vocabulary.
    let class = json!({"tokenizer_class": "RobertaTokenizer"});
    let folder = with("wordpiece", "tokenizer_config.json", &class);
    let tokenizer = from_pretrained(folder.path(), &TokenizerOptions::default()).unwrap();
    assert_eq!((tokenizer.pad_token_id(), tokenizer.vocab_size()), (0, 218));
    for text in ["<pad>", "<mask> <s> </s> <unk>"] {
        let ids = tokenizer.encode(text, None).unwrap().ids;
        assert!(ids.iter().all(|id| *id < 218), "{text}: {ids:?}");
    }
    // One that the vocabulary lacks, or two that it could be, are not known.
    let renamed = |names: [&str; 2]| {
        let copy = with("wordpiece", "tokenizer_config.json", &class);
        let path = copy.path().join("tokenizer.json");
        let text = fs::read_to_string(&path).unwrap();
        let [first, second] = names;
        let text = text.replace("[PAD]", first).replace("[MASK]", second);
        fs::write(path, text).unwrap();
        copy
    };
    for (names, words) in [
        (
            ["[FILL]", "[MASK]"],
            "no padding token, and none in the vocabulary",
        ),
        (["[PAD]", "<|pad|>"], "could be it"),
    ] {
        let message = refusal(renamed(names).path());
        assert!(message.contains(words), "{message}");
        assert!(message.contains("\"pad_token\""), "{message}");
    }
    // Said in so many words, it must be there.
    let given = json!({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[FILL]"});
    let folder = with("wordpiece", "tokenizer_config.json", &given);
    let tokenizer = from_pretrained(folder.path(), &TokenizerOptions::default()).unwrap();
    assert_eq!(tokenizer.pad_token_id(), 218, "as transformers adds it");
    fs::write(folder.path().join("config.json"), r#"{"vocab_size": 218}"#).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains("\"[FILL]\" the id 218"), "{message}");
}

#[test]
fn flauberts_special_tokens_are_those_of_its_vocabulary() {
    let copy = copy("flaubert");
    let path = copy.path().join("vocab.json");
    let vocabulary = fs::read_to_string(&path).unwrap().replace("<pad>", "[PAD]");
    fs::write(&path, vocabulary).unwrap();
    let message = refusal(copy.path());
    assert!(message.contains("key \"pad_token\""), "{message}");
    assert!(message.contains("no \"<pad>\" in vocab.json"), "{message}");
    let config = json!({"pad_token": "[PAD]", "tokenizer_class": "FlaubertTokenizer"});
    fs::write(
        copy.path().join("tokenizer_config.json"),
        config.to_string(),
    )
    .unwrap();
    let tokenizer = from_pretrained(copy.path(), &TokenizerOptions::default()).unwrap();
    assert_eq!((tokenizer.pad_token_id(), tokenizer.vocab_size()), (2, 582));
}

#[test]
fn a_model_that_lacks_a_part_of_the_vocabulary_is_another_ones() {
    for (name, id, token) in [
        ("unigram", 221, "<mask>"),
        ("flaubert", 581, ""),
        ("roberta", 399, ""),
    ] {
        let (less, enough) = (json!({"vocab_size": id}), json!({"vocab_size": id + 1}));
        let message = refusal(with(name, "config.json", &less).path());
        assert!(
            message.contains("config.json, key \"vocab_size\": found"),
            "{message}"
        );
        assert!(message.contains(&format!("the id {id}")), "{message}");
        assert!(message.contains(token), "{message}");
        let folder = with(name, "config.json", &enough);
        from_pretrained(folder.path(), &TokenizerOptions::default()).unwrap();
    }
}
