//! FlauBERT's special and added tokens: which there are, their ids, and how they are found in a text.
//!
//! The rules are those of `PreTrainedTokenizer` in transformers 4.57: `added_tokens_decoder` of `tokenizer_config.json`
//! if there is one, else the older files; then the special tokens, which get new ids where the vocabulary lacks them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::super::files::JsonFile;
use super::trie::Trie;
use crate::error::Result;

/// The special tokens in the order in which the Python class registers them, with `FlaubertTokenizer`'s defaults.
const SPECIAL: [(&str, Option<&str>); 7] = [
    ("bos_token", Some("<s>")),
    ("eos_token", None),
    ("unk_token", Some("<unk>")),
    ("sep_token", Some("</s>")),
    ("pad_token", Some("<pad>")),
    ("cls_token", Some("</s>")),
    ("mask_token", Some("<special1>")),
];
const ADDITIONAL: &str = "additional_special_tokens";
/// Most bytes of an added token: as many partial matches may be under way at every place of a text.
const LONGEST: usize = 1000;

/// A token that is found in the raw text before anything else happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedToken {
    /// The text of the token.
    pub(crate) content: String,
    /// Whether it takes the white space before it.
    pub(crate) lstrip: bool,
    /// Whether it takes the white space after it.
    pub(crate) rstrip: bool,
    /// Whether it counts only as a word of its own.
    pub(crate) single_word: bool,
}

impl AddedToken {
    fn plain(content: &str) -> Self {
        Self {
            content: content.to_string(),
            lstrip: false,
            rstrip: false,
            single_word: false,
        }
    }

    /// From a string or an object as transformers writes them.
    fn read(file: &JsonFile, key: &str, value: &Value) -> Result<Self> {
        let content = value
            .as_str()
            .or_else(|| value.get("content")?.as_str())
            .ok_or_else(|| {
                file.wrong(
                    key,
                    value,
                    "a token: a string, or an object with \"content\"",
                )
            })?;
        if content.len() > LONGEST {
            return Err(file.wrong(key, value, "a token of at most 1000 bytes"));
        }
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
        Ok(Self {
            content: content.to_string(),
            lstrip: flag("lstrip"),
            rstrip: flag("rstrip"),
            single_word: flag("single_word"),
        })
    }
}

/// A part of a text: an added token, or text between them (in more than one range when a token joined it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The id of an added token and where it stands.
    Added(u32, Range<usize>),
    /// Ordinary text.
    Text(Vec<Range<usize>>),
}

/// The added tokens of one tokenizer.
pub(crate) struct AddedTokens {
    by_content: HashMap<String, u32>,
    by_id: HashMap<u32, AddedToken>,
    special: HashMap<&'static str, String>,
    trie: Trie,
}

impl AddedTokens {
    /// Read the tokens of a folder; `vocabulary` gives the ids of those it has.
    pub(crate) fn open(
        folder: &Path,
        config: &JsonFile,
        vocabulary: &HashMap<String, u32>,
    ) -> Result<Self> {
        let mut tokens = Self {
            by_content: HashMap::new(),
            by_id: HashMap::new(),
            special: HashMap::new(),
            trie: Trie::new(std::iter::empty()),
        };
        let mut overrides = None;
        if let Some(decoder) = config.get("added_tokens_decoder") {
            tokens.read_decoder(config, decoder)?;
        } else {
            overrides = Some(JsonFile::open(folder, "special_tokens_map.json")?);
            tokens.read_legacy(folder)?;
        }
        let special = tokens.special_tokens(config, overrides.as_ref())?;
        tokens.register(special, vocabulary);
        let contents = tokens.by_id.values().map(|token| token.content.as_str());
        tokens.trie = Trie::new(contents);
        Ok(tokens)
    }

    fn read_decoder(&mut self, config: &JsonFile, decoder: &Value) -> Result<()> {
        const KEY: &str = "added_tokens_decoder";
        let Value::Object(entries) = decoder else {
            return Err(config.wrong(KEY, decoder, "an object from id to token"));
        };
        for (id, value) in entries {
            let token = AddedToken::read(config, KEY, value)?;
            let id = id
                .parse()
                .map_err(|_| config.wrong(KEY, &id.as_str().into(), "ids as keys"))?;
            self.insert(id, token);
        }
        Ok(())
    }

    /// `added_tokens.json`, then the `added_tokens` of a `tokenizer.json`.
    fn read_legacy(&mut self, folder: &Path) -> Result<()> {
        let file = JsonFile::open(folder, "added_tokens.json")?;
        for (content, id) in &file.entries {
            let id = token_id(id).ok_or_else(|| file.wrong(content, id, "a token id"))?;
            let token = AddedToken::read(&file, content, &content.as_str().into())?;
            self.insert(id, token);
        }
        let file = JsonFile::open(folder, "tokenizer.json")?;
        if let Some(Value::Array(added)) = file.get("added_tokens") {
            for value in added {
                let token = AddedToken::read(&file, "added_tokens", value)?;
                let id = value.get("id").and_then(token_id);
                let id =
                    id.ok_or_else(|| file.wrong("added_tokens", value, "tokens with an id"))?;
                self.insert(id, token);
            }
        }
        Ok(())
    }

    fn insert(&mut self, id: u32, token: AddedToken) {
        if let Some(old) = self.by_id.get(&id) {
            self.by_content.remove(&old.content);
        }
        self.by_content.insert(token.content.clone(), id);
        self.by_id.insert(id, token);
    }

    /// The special tokens in the order of their registration.
    fn special_tokens(
        &mut self,
        config: &JsonFile,
        overrides: Option<&JsonFile>,
    ) -> Result<Vec<AddedToken>> {
        let mut tokens: Vec<AddedToken> = Vec::new();
        let value = |key: &str| {
            let over = overrides.and_then(|file| file.get(key).map(|value| (file, value)));
            over.or_else(|| config.entries.get(key).map(|value| (config, value)))
        };
        for (key, default) in SPECIAL {
            let token = match value(key) {
                Some((_, Value::Null)) => None,
                Some((file, value)) => Some(AddedToken::read(file, key, value)?),
                None => default.map(AddedToken::plain),
            };
            if let Some(token) = token {
                self.special.insert(key, token.content.clone());
                tokens.push(token);
            }
        }
        let mut listed = false;
        for file in [Some(config), overrides].into_iter().flatten() {
            match file.get(ADDITIONAL) {
                Some(Value::Array(additional)) => {
                    listed = true;
                    for value in additional {
                        tokens.push(AddedToken::read(file, ADDITIONAL, value)?);
                    }
                }
                Some(other) => return Err(file.wrong(ADDITIONAL, other, "a list of tokens")),
                None => {}
            }
        }
        if !listed && !config.entries.contains_key(ADDITIONAL) {
            tokens.extend((0..10).map(|i| AddedToken::plain(&format!("<special{i}>"))));
        }
        Ok(tokens)
    }

    /// Give each special token its id: the vocabulary's, or one past the end.
    fn register(&mut self, special: Vec<AddedToken>, vocabulary: &HashMap<String, u32>) {
        let mut next = self.vocab_size(vocabulary) as u32;
        for token in special {
            if token.content.is_empty() || self.by_content.contains_key(&token.content) {
                continue;
            }
            let id = vocabulary.get(&token.content).copied().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            self.by_content.insert(token.content.clone(), id);
            self.by_id.insert(id, token);
        }
    }

    /// The id of an added token.
    pub(crate) fn id(&self, content: &str) -> Option<u32> {
        self.by_content.get(content).copied()
    }

    /// The text of a special token, by its key in `tokenizer_config.json`.
    pub(crate) fn special(&self, key: &str) -> Option<&str> {
        self.special.get(key).map(String::as_str)
    }

    /// All added tokens with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.by_id.iter().map(|(id, token)| (*id, token))
    }

    /// How many tokens the vocabulary and these make together.
    pub(crate) fn vocab_size(&self, vocabulary: &HashMap<String, u32>) -> usize {
        let new = |content: &&String| !vocabulary.contains_key(*content);
        vocabulary.len() + self.by_content.keys().filter(new).count()
    }

    /// Cut a text at its added tokens; `None` when it has none.
    pub(crate) fn split(&self, text: &str) -> Option<Vec<Part>> {
        if self.trie.is_absent_from(text) {
            return None;
        }
        let ranges = self.trie.split(text);
        let mut parts: Vec<Vec<Range<usize>>> = ranges.into_iter().map(|r| vec![r]).collect();
        for i in 0..parts.len() {
            if let Some(token) = self.token(text, &parts[i]) {
                strip_around(text, &mut parts, i, token);
            }
        }
        let parts = parts.into_iter().filter(|ranges| !ranges.is_empty());
        let part = |ranges: Vec<Range<usize>>| match self.id(&content(text, &ranges)) {
            Some(id) => Part::Added(id, ranges[0].start..ranges[ranges.len() - 1].end),
            None => Part::Text(ranges),
        };
        Some(parts.map(part).collect())
    }

    fn token(&self, text: &str, ranges: &[Range<usize>]) -> Option<&AddedToken> {
        self.by_id.get(&self.id(&content(text, ranges))?)
    }
}

/// Let the token at `i` take white space from its neighbours, or join them when it must be a word of its own.
fn strip_around(text: &str, parts: &mut [Vec<Range<usize>>], i: usize, token: &AddedToken) {
    let left = i.checked_sub(1).map(|l| content(text, &parts[l]));
    let right = parts.get(i + 1).map(|r| content(text, r));
    let left = left.filter(|t| !t.is_empty());
    let right = right.filter(|t| !t.is_empty());
    if token.rstrip && right.is_some() {
        strip(text, &mut parts[i + 1], true);
    }
    if token.lstrip && left.is_some() {
        strip(text, &mut parts[i - 1], false);
    }
    if token.single_word && left.is_some_and(|t| !t.ends_with(' ')) {
        let joined = std::mem::take(&mut parts[i]);
        parts[i - 1].extend(joined);
    } else if token.single_word && right.is_some_and(|t| !t.starts_with(' ')) {
        let mut joined = std::mem::take(&mut parts[i]);
        joined.append(&mut parts[i + 1]);
        parts[i + 1] = joined;
    }
}

fn strip(text: &str, ranges: &mut Vec<Range<usize>>, at_start: bool) {
    use super::moses::characters::{SPACE, characters};
    let is_space = |c: char| characters().is(c as u32, SPACE);
    let edge = if at_start {
        ranges.first_mut()
    } else {
        ranges.last_mut()
    };
    if let Some(range) = edge {
        let part = &text[range.clone()];
        if at_start {
            range.start = range.end - part.trim_start_matches(is_space).len();
        } else {
            range.end = range.start + part.trim_end_matches(is_space).len();
        }
    }
    ranges.retain(|range| !range.is_empty());
}

fn content(text: &str, ranges: &[Range<usize>]) -> String {
    ranges.iter().map(|range| &text[range.clone()]).collect()
}

fn token_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}
