//! Which of a repository's files a checkpoint needs.

/// Every file a tokenizer may consist of.
pub(super) const TOKENIZER_FILES: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "sentencepiece.bpe.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
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

/// The tokenizer's files among `files`.
pub(super) fn tokenizer(files: impl Fn(&str) -> bool) -> Vec<&'static str> {
    TOKENIZER_FILES
        .iter()
        .copied()
        .filter(|name| files(name))
        .collect()
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
    name.len() <= 96
        && parts.len() <= 2
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
