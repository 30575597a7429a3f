//! What is kept of a model: which layers, in which numbers, in which format.

use std::path::Path;
use std::str::FromStr;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::feature_extraction::Tokens;

/// A list of layers of a model whose number of layers is not known yet, in the words of the command
/// line: `5,7,9`, `0-12`, `all`, `-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerList(Vec<Item>);

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
    pub(crate) fn of(&self, last: usize, model: &str) -> Result<Vec<usize>> {
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

/// How a number of a state is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StorageType {
    /// As computed.
    F32,
    /// IEEE half precision: 11 bits, nothing beyond 65,504.
    F16,
    /// The upper half of an f32: 8 bits, nothing beyond 3.39·10³⁸; in safetensors only.
    BF16,
}

impl StorageType {
    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// Append `values`, rounded to nearest, as little-endian bytes.
    ///
    /// # Errors
    /// The first value that is not finite, or not any more when it is rounded.
    pub(super) fn put(self, values: &[f32], bytes: &mut Vec<u8>) -> std::result::Result<(), f32> {
        let odd = match self {
            Self::F32 => {
                bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
                values.iter().position(|x| !x.is_finite())
            }
            Self::F16 => {
                let mut half = vec![f16::ZERO; values.len()];
                half.convert_from_f32_slice(values);
                bytes.extend(half.iter().flat_map(|x| x.to_le_bytes()));
                half.iter().position(|x| !x.is_finite())
            }
            Self::BF16 => {
                let mut half = vec![bf16::ZERO; values.len()];
                half.convert_from_f32_slice(values);
                bytes.extend(half.iter().flat_map(|x| x.to_le_bytes()));
                half.iter().position(|x| !x.is_finite())
            }
        };
        odd.map_or(Ok(()), |place| Err(values[place]))
    }

    /// Its name, and its largest number.
    pub(super) fn limit(self) -> (&'static str, f32) {
        match self {
            Self::F32 => ("f32", f32::MAX),
            Self::F16 => ("f16", f16::MAX.to_f32()),
            Self::BF16 => ("bf16", bf16::MAX.to_f32()),
        }
    }
}

/// The format of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Npy,
    Parquet,
    Arrow,
    Safetensors,
}

impl Format {
    /// By the ending of `path`, where it can hold these states.
    pub(crate) fn of(path: &Path, tokens: Tokens, dtype: StorageType) -> Result<Self> {
        let refused = |why: &str| Err(Error::Usage(format!("{}: {why}", path.display())));
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let format = match ending {
            "npy" => Self::Npy,
            "parquet" => Self::Parquet,
            "arrow" => Self::Arrow,
            "safetensors" => Self::Safetensors,
            _ => {
                return refused("expected a name ending in .npy, .parquet, .arrow or .safetensors");
            }
        };
        if format == Self::Npy && tokens == Tokens::All {
            let problem = format!(
                "{} cannot hold the rows, which are of different lengths: choose .parquet, .arrow or .safetensors",
                path.display()
            );
            return Err(Error::setting("tokens", "all", problem));
        }
        if format != Self::Safetensors && dtype == StorageType::BF16 {
            return refused("this format has no bf16: choose f16, or .safetensors");
        }
        Ok(format)
    }
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

    #[test]
    fn halves_round_to_nearest() {
        let bytes = |dtype: StorageType| {
            let mut bytes = Vec::new();
            dtype.put(&[1.0, -2.5, 0.1], &mut bytes).unwrap();
            assert_eq!(bytes.len(), 3 * dtype.size());
            bytes
        };
        // numpy.array([1, -2.5, 0.1], dtype).tobytes(), and torch.bfloat16
        assert_eq!(bytes(StorageType::F16), [0, 0x3c, 0, 0xc1, 0x66, 0x2e]);
        assert_eq!(
            bytes(StorageType::BF16),
            [0x80, 0x3f, 0x20, 0xc0, 0xcd, 0x3d]
        );
        assert_eq!(bytes(StorageType::F32)[..4], 1f32.to_le_bytes());
    }

    #[test]
    fn what_becomes_infinite_is_told() {
        let put = |dtype: StorageType, value: f32| dtype.put(&[0.0, value, 1.0], &mut Vec::new());
        // 65,504 is the largest; what is nearer to it than to 65,536 is rounded to it
        for fits in [65_504.0, -65_519.0] {
            assert_eq!(put(StorageType::F16, fits), Ok(()));
        }
        for large in [65_520.0, -70_000.0, 1e38] {
            assert_eq!(put(StorageType::F16, large), Err(large));
            assert_eq!(put(StorageType::BF16, large), Ok(()));
        }
        assert_eq!(put(StorageType::BF16, f32::MAX), Err(f32::MAX));
        assert_eq!(put(StorageType::F32, f32::MAX), Ok(()));
        for dtype in [StorageType::F32, StorageType::F16, StorageType::BF16] {
            assert!(put(dtype, f32::NAN).unwrap_err().is_nan());
            assert_eq!(put(dtype, f32::INFINITY), Err(f32::INFINITY));
            let most = dtype.limit().1;
            assert_eq!(put(dtype, most), Ok(()));
        }
    }
}
