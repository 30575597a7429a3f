//! What a label is: a class is its name, and a number is a place in a list of names.
//!
//! Every reader finds the list that its source declares, and wherever two sources meet (train and
//! test, data and a classifier, a table and FLUE CLS) [`Classes::places_in`] puts them side by side
//! by name. Case does not matter; `negative` and `positive` also answer to neg and pos, négatif and
//! positif and, where there are no more than two classes, to 0 and 1 (false and true). What cannot
//! be matched is refused with both lists and the option that decides.

use std::collections::HashSet;
use std::fmt::Display;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, Result};

/// The classes of FLUE CLS in the order of their numbers.
pub(crate) const FLUE_CLASSES: [&str; 2] = ["negative", "positive"];

/// What a label of FLUE CLS must be, for messages.
pub(super) const EXPECTED: &str = "a label 0 or negative, 1 or positive; where the classes have \
                                   other words, give them as --label-map \
                                   WORD=negative,WORD=positive";

/// Other names for class names, as `--label-map a=b,c=d` gives them: what is called `a` is the
/// class `b`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelMap(Vec<(String, String)>);

impl LabelMap {
    /// The name that stands for `name`: its own where the map says nothing about it.
    fn rename<'a>(&'a self, name: &'a str) -> &'a str {
        let plain = folded(name);
        let pair = self.0.iter().find(|(from, _)| folded(from) == plain);
        pair.map_or(name, |(_, to)| to)
    }
}

/// As the option takes it; null where it says nothing.
impl serde::Serialize for LabelMap {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(from, to)| format!("{from}={to}"))
            .collect();
        let text = (!pairs.is_empty()).then(|| pairs.join(","));
        text.serialize(serializer)
    }
}

impl FromStr for LabelMap {
    type Err = Error;

    /// # Errors
    /// [`Error::Usage`] for what is not a list of pairs, or names one word twice.
    fn from_str(text: &str) -> Result<Self> {
        let bad = |what: String| Error::Usage(format!("--label-map: {what}"));
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split(',') {
            let (from, to) = pair
                .split_once('=')
                .map(|(from, to)| (from.trim(), to.trim()))
                .filter(|(from, to)| !from.is_empty() && !to.is_empty())
                .ok_or_else(|| bad(format!("{pair:?}: expected NAME=CLASS,NAME=CLASS")))?;
            if pairs.iter().any(|(other, _)| folded(other) == folded(from)) {
                return Err(bad(format!("{from:?} is given two classes")));
            }
            pairs.push((from.into(), to.into()));
        }
        Ok(Self(pairs))
    }
}

/// How a list of classes came by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// The source declares them.
    Declared,
    /// The source has numbers alone, which stand as names.
    Numbers,
    /// `LABEL_0`, `LABEL_1`, …, which transformers writes where nobody gave names.
    Placeholders,
}

/// The classes of one source in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classes {
    /// What has these classes, for messages: "split test of data".
    source: String,
    names: Vec<String>,
    naming: Naming,
}

impl Classes {
    /// The classes that `source` declares, through `map`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when two of them have one meaning.
    pub(crate) fn declared(source: impl Display, names: &[String], map: &LabelMap) -> Result<Self> {
        let placeholder = |(i, name): (usize, &String)| *name == format!("LABEL_{i}");
        let naming = if names.iter().enumerate().all(placeholder) {
            Naming::Placeholders
        } else {
            Naming::Declared
        };
        Self::new(source.to_string(), names.to_vec(), naming, map)
    }

    /// The classes of a `source` that has numbers alone: `count` of them.
    ///
    /// # Errors
    /// As [`declared`](Self::declared), once `map` has given them names.
    pub(crate) fn numbers(source: impl Display, count: usize, map: &LabelMap) -> Result<Self> {
        let names = (0..count).map(|i| i.to_string()).collect();
        Self::new(source.to_string(), names, Naming::Numbers, map)
    }

    /// Those of FLUE CLS.
    pub(crate) fn flue() -> Self {
        Self {
            source: "FLUE CLS".into(),
            names: FLUE_CLASSES.map(String::from).into(),
            naming: Naming::Declared,
        }
    }

    fn new(source: String, names: Vec<String>, naming: Naming, map: &LabelMap) -> Result<Self> {
        let renamed: Vec<String> = names.iter().map(|n| map.rename(n).to_string()).collect();
        let naming = if renamed == names {
            naming
        } else {
            Naming::Declared
        };
        let classes = Self {
            source,
            names: renamed,
            naming,
        };
        let mut seen = HashSet::new();
        let keys = classes.keys();
        match keys.iter().position(|key| !seen.insert(key)) {
            None => Ok(classes),
            Some(second) => {
                let first = keys.iter().position(|key| *key == keys[second]);
                let first = first.map_or("", |first| classes.names[first].as_str());
                Err(Error::Mismatch(format!(
                    "{}: of its classes {} both {first} and {} mean {}; give one of them another \
                     name with --label-map",
                    classes.source,
                    classes.listed(),
                    classes.names[second],
                    keys[second],
                )))
            }
        }
    }

    /// The names, in the order of the numbers. Of a source with numbers alone these are the
    /// numbers.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The names by which the classes are called from here on: of a source with the numbers 0 and 1
    /// alone those of FLUE CLS.
    pub(crate) fn given_names(&self) -> Vec<String> {
        match (self.naming, self.names.len()) {
            (Naming::Numbers, 2) => FLUE_CLASSES.map(String::from).to_vec(),
            _ => self.names.clone(),
        }
    }

    /// Whether they are nothing but `LABEL_0`, `LABEL_1`, …
    pub(crate) fn are_placeholders(&self) -> bool {
        self.naming == Naming::Placeholders
    }

    /// Whether they are `negative` and `positive`, in either order and under any of their names.
    pub(crate) fn are_flue(&self) -> bool {
        let keys: HashSet<String> = self.keys().into_iter().collect();
        keys == HashSet::from(FLUE_CLASSES.map(String::from))
    }

    /// For every class the number that it has in `reference`. Classes match by name; those of a
    /// source that has nothing but `LABEL_0`, `LABEL_1`, … go by number, with a warning.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with both lists and what decides: when one has more classes than the
    /// other, when a name has no counterpart, and when one side has numbers alone and the other
    /// counts its classes the other way round.
    pub(crate) fn places_in(&self, reference: &Self) -> Result<Vec<usize>> {
        let count = self.names.len();
        if count != reference.names.len() {
            return Err(self.unmatched(reference, "these are not as many"));
        }
        let by_number: Vec<usize> = (0..count).collect();
        for (side, other) in [(self, reference), (reference, self)] {
            if side.naming == Naming::Placeholders && other.naming != Naming::Placeholders {
                tracing::warn!(
                    "{}: its classes {} have no names: they are taken by number for {} of {}; \
                     --label-map says otherwise",
                    side.source,
                    side.listed(),
                    other.listed(),
                    other.source
                );
            }
        }
        if [self.naming, reference.naming].contains(&Naming::Placeholders) {
            return Ok(by_number);
        }
        let theirs = reference.keys();
        let place = |key: &String| theirs.iter().position(|other| other == key);
        let places: Option<Vec<usize>> = self.keys().iter().map(place).collect();
        let Some(places) = places else {
            return Err(self.unmatched(reference, "not all of these names have a counterpart"));
        };
        let numbers = [self, reference].map(|side| side.naming == Naming::Numbers);
        if places != by_number && numbers[0] != numbers[1] {
            let why = "one of them has numbers alone, which may count as the other's classes do or \
                       mean 0 for negative and 1 for positive";
            return Err(self.unmatched(reference, why));
        }
        Ok(places)
    }

    /// The refusal of two lists, with both ways to read them where there are two classes.
    fn unmatched(&self, reference: &Self, why: &str) -> Error {
        let (own, theirs) = (&self.names, &reference.names);
        let remedy = match (&own[..], &theirs[..]) {
            ([a, b], [c, d]) => {
                format!(
                    "say which is which: --label-map {a}={c},{b}={d} or --label-map {a}={d},{b}={c}"
                )
            }
            _ if own.len() == theirs.len() => {
                format!("say which is which: --label-map {}=…,…", own[0])
            }
            _ => "take data and classifier of the same classes".into(),
        };
        Error::Mismatch(format!(
            "the classes of {} are {}, those of {} are {}: {why}; {remedy}",
            self.source,
            self.listed(),
            reference.source,
            reference.listed()
        ))
    }

    /// The names on one line.
    fn listed(&self) -> String {
        self.names.join(", ")
    }

    /// What the names are compared by.
    fn keys(&self) -> Vec<String> {
        self.names
            .iter()
            .map(|n| key(n, self.names.len()))
            .collect()
    }
}

/// From the label of a row to its class in FLUE CLS.
#[derive(Debug, Clone, Default)]
pub(super) struct RowLabels {
    map: LabelMap,
    /// The class of each number that the file declares a name for.
    declared: Option<Vec<usize>>,
}

impl RowLabels {
    /// Labels that are words, or numbers without names.
    pub(crate) fn words(map: &LabelMap) -> Self {
        Self {
            map: map.clone(),
            declared: None,
        }
    }

    /// Numbers of the classes `names`, which `source` declares.
    ///
    /// # Errors
    /// Those of [`Classes::declared`] and [`Classes::places_in`].
    pub(crate) fn declared(source: impl Display, names: &[String], map: &LabelMap) -> Result<Self> {
        let classes = Classes::declared(source, names, map)?;
        Ok(Self {
            map: map.clone(),
            declared: Some(classes.places_in(&Classes::flue())?),
        })
    }

    /// The class that a word names.
    pub(crate) fn of_word(&self, word: &str) -> Option<i64> {
        let key = key(self.map.rename(word), FLUE_CLASSES.len());
        let place = FLUE_CLASSES.iter().position(|class| *class == key)?;
        Some(place as i64)
    }

    /// The class that a number stands for: a place in the list that the file declares, else a word
    /// like any other.
    pub(crate) fn of_number(&self, number: i64) -> Option<i64> {
        match &self.declared {
            None => self.of_word(&number.to_string()),
            Some(places) => {
                let place = places.get(usize::try_from(number).ok()?)?;
                Some(*place as i64)
            }
        }
    }
}

/// What the name of a class among `count` is compared by: one word for all the names of negative
/// and of positive, the name in lower case for every other class. 0 and 1 are numbers among more
/// than two.
fn key(name: &str, count: usize) -> String {
    let plain = folded(name);
    let bare: String = plain.nfd().filter(|c| !is_combining_mark(*c)).collect();
    let class = match bare.as_str() {
        "negative" | "neg" | "negatif" => Some(0),
        "positive" | "pos" | "positif" => Some(1),
        "0" | "false" if count <= 2 => Some(0),
        "1" | "true" if count <= 2 => Some(1),
        _ => None,
    };
    class.map_or(plain, |class: usize| FLUE_CLASSES[class].into())
}

/// A name without the spaces around it, composed and in lower case.
fn folded(name: &str) -> String {
    name.trim().nfc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests;
