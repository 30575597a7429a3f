//! Which layers, in the words of the command line: `5,7,9`, `0-12`, `all`, `-1`.

use std::str::FromStr;

use crate::error::{Error, Result};

/// A list of layers of a model whose number of layers is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerList(Vec<Item>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    All,
    /// Negative numbers count from the last layer, −1.
    One(isize),
    Range(usize, usize),
}

impl FromStr for LayerList {
    type Err = Error;

    fn from_str(words: &str) -> Result<Self> {
        let item = |word: &str| {
            let word = word.trim();
            if word == "all" {
                return Some(Item::All);
            }
            if let Ok(number) = word.parse() {
                return Some(Item::One(number));
            }
            let (from, to) = word.split_once('-')?;
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (from <= to).then_some(Item::Range(from, to))
        };
        let items: Option<Vec<Item>> = words.split(',').map(item).collect();
        items.map(Self).ok_or_else(|| {
            Error::Usage(format!(
                "layers {words:?}: write numbers such as 5,7,9, a range such as 0-12, -1 for the last, or all"
            ))
        })
    }
}

impl From<&[usize]> for LayerList {
    fn from(layers: &[usize]) -> Self {
        Self(layers.iter().map(|&l| Item::Range(l, l)).collect())
    }
}

impl LayerList {
    /// The layers in their order, for a `model` of layers 0 (embeddings) to `last`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a layer that the model lacks or that is named twice.
    pub fn of(&self, last: usize, model: &str) -> Result<Vec<usize>> {
        let mut layers = Vec::new();
        for item in &self.0 {
            match *item {
                Item::All => layers.extend(0..=last),
                Item::Range(from, to) => layers.extend(from..=to),
                Item::One(number) if number < 0 => layers.push(
                    (last + 1)
                        .checked_add_signed(number)
                        .ok_or_else(|| absent(number, last, model))?,
                ),
                Item::One(number) => layers.push(number.unsigned_abs()),
            }
        }
        if let Some(&layer) = layers.iter().find(|&&l| l > last) {
            return Err(absent(layer as isize, last, model));
        }
        let mut sorted = layers.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|w| w[0] == w[1]) {
            Some(w) => Err(Error::Usage(format!("layer {} is named twice", w[0]))),
            None => Ok(layers),
        }
    }
}

fn absent(layer: isize, last: usize, model: &str) -> Error {
    Error::Usage(format!(
        "layer {layer}: {model} has layers 0 (embeddings) to {last}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ranges_the_last_and_all() {
        let of = |words: &str| words.parse::<LayerList>().unwrap().of(12, "m");
        assert_eq!(of("5,7,9").unwrap(), [5, 7, 9]);
        assert_eq!(of("0-3, -1,6").unwrap(), [0, 1, 2, 3, 12, 6]);
        assert_eq!(of("all").unwrap(), (0..=12).collect::<Vec<_>>());
        for bad in ["13", "-14", "0-13", "5,5", "12,-1", "all,3"] {
            assert_eq!(of(bad).unwrap_err().exit_status(), 2, "{bad}");
        }
        for bad in ["", "x", "5,", "3-", "4-2", "1--2"] {
            assert!(bad.parse::<LayerList>().is_err(), "{bad}");
        }
    }
}
