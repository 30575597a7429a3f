//! What fine-tuning leaves of a tokenizer.

use std::fs;

use flue_study::tokenization::{Transformers5, save};
use serde_json::{Value, json};

use super::{copy, folder, lines, open};

/// Texts with white space of every kind and all special tokens.
fn texts() -> Vec<String> {
    let cases: Vec<(String, String, Vec<u32>)> =
        lines(&folder().join("camembert_cases-4.57.1.jsonl"));
    let mut texts: Vec<String> = cases.into_iter().map(|(_, text, _)| text).collect();
    texts.dedup();
    texts
}

#[test]
fn a_tokenizer_that_transformers_5_builds_anew_is_saved_for_both_releases() {
    let sides = json!({"tokenizer_class": "CamembertTokenizer", "model_max_length": 512,
        "truncation_side": "left", "padding_side": "left"});
    for (name, config) in [("camembert", Some(sides)), ("xlm-roberta", None)] {
        let from = copy(name);
        if let Some(config) = config {
            fs::write(
                from.path().join("tokenizer_config.json"),
                config.to_string(),
            )
            .unwrap();
        }
        let to = tempfile::tempdir().unwrap();
        save(from.path(), to.path()).unwrap();
        let (before, after) = (open(from.path()), open(to.path()));
        assert!(matches!(
            after.under_transformers_5().unwrap(),
            Transformers5::Same
        ));
        assert_eq!(after.pad_token_id(), before.pad_token_id());
        assert_eq!(after.vocab_size(), before.vocab_size());
        assert_eq!(after.padding_side(), before.padding_side());
        for text in texts() {
            for length in [None, Some(6)] {
                let (want, got) = (before.encode(&text, length), after.encode(&text, length));
                assert_eq!(got.unwrap(), want.unwrap(), "{name}: {text:?}");
            }
        }
        let config = fs::read_to_string(to.path().join("tokenizer_config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
        assert_eq!(
            config["model_input_names"],
            json!(["input_ids", "attention_mask"])
        );
        assert_eq!(config["pad_token"], "<pad>");
    }
}

#[test]
fn a_tokenizer_that_both_releases_read_alike_is_copied() {
    for name in ["unigram", "flaubert", "roberta"] {
        let from = copy(name);
        let class = match name {
            "unigram" => json!({"tokenizer_class": "CamembertTokenizer", "mask_token": "<mask>"}),
            "roberta" => {
                json!({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"})
            }
            _ => json!({"tokenizer_class": "FlaubertTokenizer"}),
        };
        fs::write(from.path().join("tokenizer_config.json"), class.to_string()).unwrap();
        let to = tempfile::tempdir().unwrap();
        save(from.path(), to.path()).unwrap();
        let mut files = 0;
        for entry in fs::read_dir(from.path()).unwrap().flatten() {
            let copied = fs::read(to.path().join(entry.file_name())).unwrap();
            assert_eq!(copied, fs::read(entry.path()).unwrap(), "{name}");
            files += 1;
        }
        assert!(files > 1);
    }
}

#[test]
fn files_that_cannot_be_read_are_copied_after_a_training() {
    let from = copy("roberta");
    fs::write(from.path().join("tokenizer.json"), "{}").unwrap();
    let to = tempfile::tempdir().unwrap();
    save(from.path(), to.path()).unwrap();
    let copied = fs::read_to_string(to.path().join("tokenizer.json")).unwrap();
    assert_eq!(copied, "{}");
}
