//! Which of a repository's files a checkpoint needs.

/// What says how a tokenizer and a model work, where a repository has it.
pub(super) const SETTINGS: &[&str] = &[
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// The forms of a vocabulary.
pub(super) const VOCABULARY: &[&str] = &[
    "sentencepiece.bpe.model",
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
];

/// The forms that weights are stored in, the best first; an index names shards.
pub(super) const WEIGHT_FILES: &[&str] = &[
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The first form of weights among `files`.
pub(super) fn weights<'a>(files: impl Fn(&str) -> bool) -> Option<&'a str> {
    WEIGHT_FILES.iter().copied().find(|name| files(name))
}

/// The files that a tokenizer may consist of, what decides that there is one last.
pub(super) fn tokenizer() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().chain(VOCABULARY).copied()
}

/// Whether `files` hold a vocabulary that can be read.
pub(super) fn has_vocabulary(files: impl Fn(&str) -> bool) -> bool {
    files("tokenizer.json")
        || files("sentencepiece.bpe.model")
        || (files("vocab.json") && files("merges.txt"))
}

/// Whether `name` can be a repository: `owner/name` or `name`, as the hub allows them. Other names are folders.
pub fn is_repository(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() <= 2
        && parts.iter().all(|part| part.len() <= 96)
        && !name.contains("--")
        && !name.contains("..")
        && parts.iter().all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && !part.ends_with(['.', '-'])
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_come_before_pickles() {
        let among = |files: &'static [&'static str]| weights(|f| files.contains(&f));
        assert_eq!(
            among(&["pytorch_model.bin", "model.safetensors"]),
            Some("model.safetensors")
        );
        assert_eq!(
            among(&["model.safetensors.index.json", "pytorch_model.bin"]),
            Some("model.safetensors.index.json")
        );
        assert_eq!(among(&["tf_model.h5"]), None);
        assert!(has_vocabulary(|f| ["vocab.json", "merges.txt"].contains(&f)));
        assert!(!has_vocabulary(|f| f == "vocab.json"));
    }

    #[test]
    fn names_of_repositories() {
        for good in ["camembert-base", "flaubert/flaubert_base_cased", "a/b.c"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in [
            "", "./x", "/abs", "a/b/c", "a//b", "a--b", "../x", "a/b.", "x y", "~/m",
        ] {
            assert!(!is_repository(bad), "{bad}");
        }
    }
}
