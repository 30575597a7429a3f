//! A tokenizer as files that every release of transformers reads alike, its scores as text that
//! every reader takes for the same numbers.
//!
//! The tokenizers crate in Python's wheels reads numbers with serde_json's fast method: the digits
//! as one number, divided by a power of ten. It is an ulp off for a quarter of CamemBERT's scores,
//! and words that can be cut in two ways of equal score then come out otherwise. Of the many
//! decimals that stand for a number there is nearly always one that this method reads exactly.

use serde_json::{Value, json};

use super::super::files::JsonFile;
use super::CamembertTokenizer;
use crate::error::{Error, Result};

impl CamembertTokenizer {
    /// The tokenizer in files that 4.57 and 5.24 read alike: `tokenizer.json` and
    /// `tokenizer_config.json`.
    ///
    /// `PreTrainedTokenizerFast` takes the file as it is in both. What 4.57's class registers
    /// beside the file's tokens is in the file then; what the class says of columns and sides is in
    /// the configuration.
    ///
    /// # Errors
    /// When a part of the tokenizer cannot be written.
    pub(in crate::tokenization) fn for_both_releases(
        &self,
        config: &JsonFile,
    ) -> Result<[(&'static str, String); 2]> {
        const WHAT: &str = "the tokenizer as JSON";
        let json = self.pipeline.inner.to_string(false);
        let json = json.map_err(Error::compute(WHAT))?;
        let json = written_for_every_reader(&json).map_err(Error::compute(WHAT))?;
        let mut entries = config.entries.clone();
        for key in [
            "added_tokens_decoder",
            "extra_special_tokens",
            "tokenizer_file",
            "backend",
        ] {
            entries.remove(key);
        }
        let mut set = |key: &str, value: Value| entries.insert(key.to_string(), value);
        set("tokenizer_class", "PreTrainedTokenizerFast".into());
        set("model_input_names", json!(["input_ids", "attention_mask"]));
        for named in &self.tokens.named {
            set(named.key, named.token.content.as_str().into());
        }
        set("pad_token", self.pad.0.as_str().into());
        let additional = self.tokens.additional.iter();
        let additional = additional
            .chain(&self.tokens.model_specific)
            .map(|token| token.content.as_str());
        set("additional_special_tokens", additional.collect());
        set("truncation_side", self.settings.truncation.name().into());
        set("padding_side", self.settings.padding.name().into());
        let config =
            serde_json::to_string_pretty(&Value::Object(entries)).map_err(Error::compute(WHAT))?;
        Ok([
            ("tokenizer.json", json + "\n"),
            ("tokenizer_config.json", config + "\n"),
        ])
    }
}

/// What stands where the vocabulary goes while the rest is written.
const PLACE: &str = "the vocabulary goes here";

/// A `tokenizer.json` with its scores written so.
///
/// # Errors
/// What serde_json says of the text.
fn written_for_every_reader(json: &str) -> serde_json::Result<String> {
    let mut json: Value = serde_json::from_str(json)?;
    let vocabulary = json
        .get_mut("model")
        .and_then(|model| model.get_mut("vocab"));
    let Some(vocabulary) = vocabulary.filter(|vocabulary| vocabulary.is_array()) else {
        return serde_json::to_string(&json);
    };
    let vocabulary = std::mem::replace(vocabulary, PLACE.into());
    let mut pairs = Vec::new();
    for pair in vocabulary.as_array().into_iter().flatten() {
        let score = pair.get(1).and_then(Value::as_f64);
        pairs.push(match (pair.get(0), score) {
            (Some(text), Some(score)) => format!("[{text},{}]", decimal(score)),
            _ => pair.to_string(),
        });
    }
    let place = serde_json::to_string(PLACE)?;
    let written = serde_json::to_string(&json)?;
    Ok(written.replacen(&place, &format!("[{}]", pairs.join(",")), 1))
}

/// A decimal that stands for `x` and is read as `x` by the fast method too; the shortest one where
/// there is none.
fn decimal(x: f64) -> String {
    /// With more digits after the point the power of ten, or all digits together, would not fit.
    const MOST_DECIMALS: u32 = 19;
    let shortest = Value::from(x).to_string();
    let sign = if x < 0.0 { "-" } else { "" };
    let exact = (1..=MOST_DECIMALS).find_map(|decimals| {
        let digits = format!("{:.*}", decimals as usize, x.abs()).replace('.', "");
        let digits: u64 = digits.parse().ok()?;
        // Half the distance of the numbers that the digits become.
        let step = 1i64 << (11 - digits.leading_zeros() as i64).max(1) >> 1;
        let nearby = (0..=8).flat_map(|i| [i, -i]);
        let candidates = nearby.filter_map(|i| digits.checked_add_signed(i * step));
        let written = |digits: u64| {
            let width = decimals as usize + 1;
            let mut text = format!("{digits:0width$}");
            text.insert(text.len() - decimals as usize, '.');
            text
        };
        let mut exact = candidates.filter(|&digits| {
            let fast = digits as f64 / 10f64.powi(decimals as i32);
            fast == x.abs() && written(digits).parse() == Ok(x.abs())
        });
        exact
            .next()
            .map(|digits| format!("{sign}{}", written(digits)))
    });
    exact.unwrap_or(shortest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How serde_json reads a decimal without its feature `float_roundtrip`.
    fn fast(text: &str) -> f64 {
        let (whole, decimals) = text.trim_start_matches('-').split_once('.').unwrap();
        let digits: u64 = format!("{whole}{decimals}").parse().unwrap();
        let value = digits as f64 / 10f64.powi(decimals.len() as i32);
        if text.starts_with('-') { -value } else { value }
    }

    #[test]
    fn scores_are_read_exactly_by_both_methods() {
        let (mut hurt, mut lost, mut state) = (0, 0, 7u64);
        for _ in 0..20_000 {
            // Knuth's linear congruential generator.
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let x = -20.0 * (state >> 11) as f64 / (1u64 << 53) as f64;
            let text = decimal(x);
            assert_eq!(text.parse(), Ok(x), "{text}");
            hurt += usize::from(fast(&format!("{x}")) != x);
            lost += usize::from(fast(&text) != x);
        }
        assert!(hurt > 1000 && lost < 20, "{hurt} {lost}");
        for x in [0.0, -100.0, -3.25, -2.739330000561953] {
            assert_eq!(fast(&decimal(x)), x);
        }
    }

    #[test]
    fn only_the_scores_of_a_file_are_written_anew() {
        let json = r#"{"a":[1,"the vocabulary"],"model":{"vocab":[["x\"",-2.739330000561953],["y",0.0]]}}"#;
        let written = written_for_every_reader(json).unwrap();
        let read: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read, serde_json::from_str::<Value>(json).unwrap());
        let bpe = r#"{"model":{"vocab":{"x":0}}}"#;
        assert_eq!(written_for_every_reader(bpe).unwrap(), bpe);
    }
}
