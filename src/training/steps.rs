//! Amounts of updates, as a number or as a share of the whole run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of updates, or below 1 a share of all updates of the run: what Trainer takes for `logging_steps`, `eval_steps`,
/// `save_steps` and, since transformers 5, `warmup_steps`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Steps {
    /// So many updates.
    Count(u64),
    /// This share of them, above 0 and below 1.
    Share(f64),
}

impl Steps {
    /// The number of updates in a run of `max_steps`: a share is rounded up, as `TrainerState.compute_steps` and
    /// `TrainingArguments.get_warmup_steps` do it.
    pub(crate) fn of(self, max_steps: u64) -> u64 {
        match self {
            Self::Count(steps) => steps,
            Self::Share(share) => (max_steps as f64 * share).ceil() as u64,
        }
    }

    /// Whether the value is one that [`Self::from_str`] can give.
    pub(super) fn is_valid(self) -> bool {
        match self {
            Self::Count(_) => true,
            Self::Share(share) => share > 0.0 && share < 1.0,
        }
    }
}

impl From<u64> for Steps {
    fn from(steps: u64) -> Self {
        Self::Count(steps)
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(steps) => steps.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl FromStr for Steps {
    type Err = String;

    /// A whole number, which may be written as 10.0, or a share below 1. Trainer refuses 1.5 as an interval too; its
    /// `warmup_steps` cuts it to 1 without a word.
    fn from_str(word: &str) -> Result<Self, String> {
        if let Ok(steps) = word.parse() {
            return Ok(Self::Count(steps));
        }
        // The largest whole number up to which an f64 skips none.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match word.parse::<f64>() {
            Ok(x) if x > 0.0 && x < 1.0 => Ok(Self::Share(x)),
            Ok(x) if (0.0..=EXACT).contains(&x) && x.fract() == 0.0 => Ok(Self::Count(x as u64)),
            _ => Err(
                "expected a whole number of updates, or a share of the run between 0 and 1 such as 0.1".into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of `math.ceil(max_steps * share)`, with the rounding of floats that makes 8 of 7 % of 100.
    #[test]
    fn shares_are_rounded_up_as_python_does() {
        for (share, max_steps, steps) in [
            (0.1, 10, 1),
            (0.1, 11, 2),
            (0.25, 10, 3),
            (0.07, 100, 8),
            (0.3, 10, 3),
            (1e-9, 10, 1),
            (0.999, 10, 10),
            (0.6, 5, 3),
        ] {
            assert_eq!(
                Steps::Share(share).of(max_steps),
                steps,
                "{share} of {max_steps}"
            );
        }
        assert_eq!(Steps::Count(7).of(3), 7);
    }

    #[test]
    fn words_are_numbers_or_shares() {
        for (word, steps) in [
            ("0", Steps::Count(0)),
            ("500", Steps::Count(500)),
            ("10.0", Steps::Count(10)),
            ("1.0", Steps::Count(1)),
            ("0.1", Steps::Share(0.1)),
            ("5e-2", Steps::Share(0.05)),
            ("0.0", Steps::Count(0)),
        ] {
            assert_eq!(word.parse(), Ok(steps), "{word}");
        }
        for word in ["1.5", "-1", "-0.1", "nan", "inf", "1e300", "", "x", "10%"] {
            let message = word.parse::<Steps>().unwrap_err();
            assert!(message.contains("a share of the run"), "{message}");
        }
    }

    #[test]
    fn numbers_stay_numbers_in_json() {
        for (steps, text) in [(Steps::Count(10), "10"), (Steps::Share(0.25), "0.25")] {
            assert_eq!(serde_json::to_string(&steps).unwrap(), text);
            assert_eq!(serde_json::from_str::<Steps>(text).unwrap(), steps);
        }
        assert!(!Steps::Share(1.5).is_valid() && !Steps::Share(f64::NAN).is_valid());
    }
}
