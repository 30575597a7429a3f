//! The special and added tokens that the files of a folder name, whatever their age.
//!
//! Before transformers 4.34 they were in `special_tokens_map.json` and `added_tokens.json`, since
//! then in `added_tokens_decoder` of `tokenizer_config.json`; 5 keeps them in `tokenizer.json`
//! alone, and `extra_special_tokens` takes the place of `additional_special_tokens`. The rules here
//! are those of `PreTrainedTokenizerBase._from_pretrained` in 4.57 and in 5.24, which differ.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;
use tokenizers::AddedToken;

use super::files::JsonFile;
use crate::error::Result;

/// The attributes that name a token, in the order in which transformers goes through them.
pub(crate) const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];
const ADDITIONAL: &str = "additional_special_tokens";
const EXTRA: &str = "extra_special_tokens";
const DECODER: &str = "added_tokens_decoder";
/// Most bytes of an added token: as many partial matches may be under way at every place of a text.
const LONGEST: usize = 1000;

/// Whose rules are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// transformers 4.57.
    Four,
    /// transformers 5.24.
    Five,
}

/// A token as transformers holds it: a string, or an `AddedToken` with its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its text.
    pub(crate) content: String,
    /// Its flags, unless it is a mere string.
    pub(crate) flags: Option<Flags>,
}

/// The flags of an `AddedToken`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Takes the white space before it.
    pub(crate) lstrip: bool,
    /// Takes the white space after it.
    pub(crate) rstrip: bool,
    /// Counts only as a word of its own.
    pub(crate) single_word: bool,
    /// Is looked for in the normalised text; by default where the token is not special.
    pub(crate) normalized: Option<bool>,
    /// Is left out when ids become text again.
    pub(crate) special: bool,
}

impl Token {
    /// A mere string.
    pub(crate) fn plain(content: &str) -> Self {
        let content = content.to_string();
        Self {
            content,
            flags: None,
        }
    }

    /// A token with flags.
    pub(crate) fn flagged(content: &str, flags: Flags) -> Self {
        let content = content.to_string();
        let flags = Some(flags);
        Self { content, flags }
    }

    /// From a string, or an object as transformers writes it.
    pub(crate) fn read(file: &JsonFile, key: &str, value: &Value) -> Result<Self> {
        const EXPECTED: &str = "a token: a string, or an object with \"content\"";
        if let Some(content) = value.as_str() {
            return Self::plain(content).checked(file, key, value);
        }
        let content = value.get("content").and_then(Value::as_str);
        let content = content.ok_or_else(|| file.wrong(key, value, EXPECTED))?;
        let flag = |name: &str| value.get(name).and_then(Value::as_bool);
        let on = |name: &str| flag(name).unwrap_or(false);
        let flags = Flags {
            lstrip: on("lstrip"),
            rstrip: on("rstrip"),
            single_word: on("single_word"),
            normalized: flag("normalized"),
            special: on("special"),
        };
        Self::flagged(content, flags).checked(file, key, value)
    }

    /// A token of the tokenizers crate.
    pub(crate) fn of(token: &AddedToken) -> Self {
        let flags = Flags {
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            single_word: token.single_word,
            normalized: Some(token.normalized),
            special: token.special,
        };
        Self::flagged(&token.content, flags)
    }

    fn checked(self, file: &JsonFile, key: &str, value: &Value) -> Result<Self> {
        match self.content.len() {
            0..=LONGEST => Ok(self),
            _ => Err(file.wrong(key, value, "a token of at most 1000 bytes")),
        }
    }

    /// Marked as special, where it has flags.
    fn special(mut self) -> Self {
        if let Some(flags) = &mut self.flags {
            flags.special = true;
        }
        self
    }
}

/// What a class of transformers adds where the folder is silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    /// Tokens by attribute, in the order of [`NAMED`].
    pub(crate) named: [Option<&'static str>; 7],
    /// `additional_special_tokens`.
    pub(crate) additional: &'static [&'static str],
}

/// A token that stands for something.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// What for: "pad_token".
    pub(crate) key: &'static str,
    /// The token.
    pub(crate) token: Token,
    /// Whether only the class names it.
    pub(crate) by_class: bool,
}

/// The tokens of a folder.
#[derive(Clone, Debug)]
pub(crate) struct SpecialTokens {
    /// `added_tokens_decoder`, or what the older files have instead, by id.
    pub(crate) added: BTreeMap<u32, Token>,
    /// Those that stand for something, in the order of [`NAMED`].
    pub(crate) named: Vec<Named>,
    /// Those that the folder gives names of its own.
    pub(crate) model_specific: Vec<Token>,
    /// Special tokens without one.
    pub(crate) additional: Vec<Token>,
}

impl SpecialTokens {
    /// Read what the files of `folder` say, with the `defaults` of a class.
    ///
    /// # Errors
    /// For a file that cannot be read, a token or an id that is none.
    pub(crate) fn read(
        folder: &Path,
        config: &JsonFile,
        tokenizer_json: Option<&JsonFile>,
        defaults: &Defaults,
        release: Release,
    ) -> Result<Self> {
        let mut reader = Reader::open(folder, config, release)?;
        let explicit: Vec<Given<Token>> = NAMED
            .iter()
            .map(|key| reader.named(key))
            .collect::<Result<_>>()?;
        let (model_specific, extra) = reader.extra()?;
        let listed = reader.additional()?;
        let additional = match (extra, listed) {
            (Some(extra), _) if !extra.is_empty() => extra,
            (_, Some(listed)) => listed.unwrap_or_default(),
            (_, None) => {
                let defaults = defaults.additional.iter();
                defaults.map(|content| Token::plain(content)).collect()
            }
        };
        let special = explicit.iter().flatten().flatten().chain(&additional);
        let special = special.map(|token| token.content.clone()).collect();
        reader.added(folder, &special, tokenizer_json)?;
        let mut named = Vec::new();
        for ((key, given), default) in NAMED.into_iter().zip(explicit).zip(defaults.named) {
            let by_class = given.is_none();
            let token = match given {
                Some(token) => token.map(|token| reader.known(token)),
                None => default.map(Token::plain),
            };
            named.extend(token.map(|token| Named {
                key,
                token,
                by_class,
            }));
        }
        Ok(Self {
            added: reader.by_id,
            named,
            model_specific,
            additional,
        })
    }

    /// The token of an attribute.
    pub(crate) fn named(&self, key: &str) -> Option<&Token> {
        let named = self.named.iter().find(|named| named.key == key);
        named.map(|named| &named.token)
    }

    /// Leave out what only the class names where the vocabulary has such a token under another
    /// name: adding it would give it an id that the model lacks. `vocabulary` has every token.
    pub(crate) fn drop_what_has_another_name(&mut self, vocabulary: &HashMap<String, u32>) {
        self.named.retain(|named| {
            let lacking = named.by_class && !vocabulary.contains_key(&named.token.content);
            !lacking || !vocabulary.keys().any(|token| is_called(named.key, token))
        });
    }

    /// All special tokens in the order of 4.57 (`all_special_tokens_extended`), each text once.
    pub(crate) fn in_order(&self) -> Vec<&Token> {
        let named = self.named.iter().map(|named| &named.token);
        let all = named.chain(&self.additional).chain(&self.model_specific);
        let mut seen = HashSet::new();
        all.filter(|token| seen.insert(&token.content)).collect()
    }
}

/// Names that a vocabulary may have for the token of an attribute, between brackets of any kind.
fn other_names(key: &str) -> &'static [&'static str] {
    match key {
        "bos_token" | "cls_token" => &["s", "bos", "cls", "startoftext", "begin_of_text"],
        "eos_token" | "sep_token" => &["/s", "eos", "sep", "endoftext", "end_of_text"],
        "unk_token" => &["unk"],
        "pad_token" => &["pad"],
        _ => &["mask"],
    }
}

/// Whether a token of a vocabulary is called what tokens of this attribute are called: `[PAD]`,
/// `<pad>`, `<|pad|>`.
pub(crate) fn is_called(key: &str, token: &str) -> bool {
    let inner = token.strip_prefix(['[', '<', '{']);
    let inner = inner.and_then(|inner| inner.strip_suffix([']', '>', '}']));
    inner.is_some_and(|inner| {
        let name = inner.trim_matches('|').to_lowercase();
        other_names(key).contains(&name.as_str())
    })
}

/// What a file says of a key: nothing, null, or a value.
type Given<T> = Option<Option<T>>;

/// The files of a folder, and what was found in them so far.
struct Reader<'a> {
    config: &'a JsonFile,
    /// `special_tokens_map.json`, which counts where there is no `added_tokens_decoder`.
    map: Option<JsonFile>,
    release: Release,
    by_id: BTreeMap<u32, Token>,
    /// Added tokens whose flags a named one of the same text takes.
    by_content: HashMap<String, Token>,
}

impl<'a> Reader<'a> {
    fn open(folder: &Path, config: &'a JsonFile, release: Release) -> Result<Self> {
        let map = match config.entries.contains_key(DECODER) {
            true => None,
            false => Some(JsonFile::open(folder, "special_tokens_map.json")?),
        };
        Ok(Self {
            config,
            map,
            release,
            by_id: BTreeMap::new(),
            by_content: HashMap::new(),
        })
    }

    fn in_map(&self, key: &str) -> Option<(&JsonFile, &Value)> {
        let map = self.map.as_ref()?;
        map.entries.get(key).map(|value| (map, value))
    }

    /// A named token: the map's, which comes first, else the configuration's.
    fn named(&self, key: &str) -> Result<Given<Token>> {
        let (file, value, special) = match (self.in_map(key), self.config.entries.get(key)) {
            (Some((map, value)), _) => (map, value, true),
            (None, Some(value)) => (self.config, value, false),
            (None, None) => return Ok(None),
        };
        if value.is_null() {
            return Ok(Some(None));
        }
        let token = Token::read(file, key, value)?;
        Ok(Some(Some(if special { token.special() } else { token })))
    }

    /// `additional_special_tokens`: 4.57 joins the lists of both files, 5.24 takes the
    /// configuration's.
    fn additional(&self) -> Result<Given<Vec<Token>>> {
        let of_config = match self.config.entries.get(ADDITIONAL) {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(list(self.config, ADDITIONAL, value)?)),
        };
        let of_map = match self.in_map(ADDITIONAL) {
            None => return Ok(of_config),
            Some((_, Value::Null)) => return Ok(of_config.or(Some(None))),
            Some((map, value)) => list(map, ADDITIONAL, value)?,
        };
        let of_map = of_map.into_iter().map(Token::special);
        match (of_config, self.release) {
            (Some(of_config), Release::Five) => Ok(Some(of_config)),
            (of_config, _) => {
                let mut tokens = of_config.flatten().unwrap_or_default();
                for token in of_map {
                    if !tokens.contains(&token) {
                        tokens.push(token);
                    }
                }
                Ok(Some(Some(tokens)))
            }
        }
    }

    /// `extra_special_tokens`: tokens with names of their own, or (since 5) a list. 5 also takes
    /// every string whose key ends in `_token` for a named one.
    fn extra(&self) -> Result<(Vec<Token>, Option<Vec<Token>>)> {
        let mut model_specific = Vec::new();
        if self.release == Release::Five {
            let entries = self.config.entries.iter();
            let tokens = entries.filter(|(k, v)| k.ends_with("_token") && v.is_string());
            for (key, value) in tokens.filter(|(key, _)| !NAMED.contains(&key.as_str())) {
                model_specific.push(Token::read(self.config, key, value)?);
            }
        }
        let found = match (self.config.get(EXTRA), self.in_map(EXTRA)) {
            (Some(value), _) => Some((self.config, value)),
            (None, of_map) => of_map.filter(|(_, value)| !value.is_null()),
        };
        match found {
            None => Ok((model_specific, None)),
            Some((file, Value::Object(tokens))) => {
                for (key, value) in tokens {
                    model_specific.push(Token::read(file, key, value)?);
                }
                Ok((model_specific, None))
            }
            Some((file, value)) => Ok((model_specific, Some(list(file, EXTRA, value)?))),
        }
    }

    /// The tokens with ids: `added_tokens_decoder`, else `added_tokens.json` and the `added_tokens`
    /// of `tokenizer.json`.
    fn added(
        &mut self,
        folder: &Path,
        special: &HashSet<String>,
        tokenizer_json: Option<&JsonFile>,
    ) -> Result<()> {
        if let Some(decoder) = self.config.entries.get(DECODER) {
            let Value::Object(entries) = decoder else {
                let expected = "an object from id to token";
                return Err(self.config.wrong(DECODER, decoder, expected));
            };
            for (id, value) in entries {
                let token = Token::read(self.config, DECODER, value)?;
                let number = id.parse().map_err(|_| {
                    let found = Value::from(id.as_str());
                    self.config.wrong(DECODER, &found, "ids as keys")
                })?;
                self.insert(number, token, true);
            }
            return Ok(());
        }
        let file = JsonFile::open(folder, "added_tokens.json")?;
        for (content, id) in &file.entries {
            let number = token_id(id).ok_or_else(|| file.wrong(content, id, "a token id"))?;
            let special = special.contains(content);
            let flags = Flags {
                normalized: Some(!special),
                special,
                ..Flags::default()
            };
            let token = Token::flagged(content, flags);
            let token = token.checked(&file, content, &content.as_str().into())?;
            // 4.57 means to do so too, but keys the tokens by another variable.
            self.insert(number, token, self.release == Release::Five);
        }
        const KEY: &str = "added_tokens";
        let Some(file) = tokenizer_json else {
            return Ok(());
        };
        for value in file
            .get(KEY)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let token = Token::read(file, KEY, value)?;
            let id = value.get("id").and_then(token_id);
            let id = id.ok_or_else(|| file.wrong(KEY, value, "tokens with an id"))?;
            self.insert(id, token, true);
        }
        Ok(())
    }

    fn insert(&mut self, id: u32, token: Token, gives_flags: bool) {
        if gives_flags {
            let content = token.content.clone();
            self.by_content.insert(content, token.clone());
        }
        self.by_id.insert(id, token);
    }

    /// A named token with the flags that an added one of its text has.
    fn known(&self, token: Token) -> Token {
        let known = self.by_content.get(&token.content);
        known.cloned().unwrap_or(token)
    }
}

fn list(file: &JsonFile, key: &str, value: &Value) -> Result<Vec<Token>> {
    let Value::Array(tokens) = value else {
        return Err(file.wrong(key, value, "a list of tokens"));
    };
    let read = |token| Token::read(file, key, token);
    tokens.iter().map(read).collect()
}

fn token_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}
