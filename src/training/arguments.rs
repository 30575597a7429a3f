//! The settings of a run, with the names and defaults of transformers' `TrainingArguments`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SchedulerType;
use crate::error::{Error, Result};

/// The settings of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are those of `TrainingArguments`, documented there and in `--help`
pub struct TrainingArguments {
    pub learning_rate: f64,
    pub(crate) per_device_train_batch_size: usize,
    pub(crate) per_device_eval_batch_size: usize,
    pub(crate) num_train_epochs: usize,
    pub(crate) weight_decay: f64,
    pub(crate) adam_beta1: f64,
    pub(crate) adam_beta2: f64,
    pub(crate) adam_epsilon: f64,
    pub(crate) max_grad_norm: f64,
    pub(crate) lr_scheduler_type: SchedulerType,
    pub(crate) warmup_steps: Steps,
    pub(crate) gradient_accumulation_steps: usize,
    pub seed: u64,
    pub(crate) logging_steps: Steps,
    /// A checkpoint every so many steps; 0 for none.
    pub(crate) save_steps: Steps,
    /// Whether every epoch has another random order.
    pub(crate) shuffle: bool,
    /// Whether the model sees the `token_type_ids` column, as it does under Trainer.
    pub(crate) use_token_type_ids: bool,
    /// Batches of rows of similar lengths.
    pub(crate) group_by_length: bool,
    /// Keep only the input of each layer and compute the rest again on the way back.
    pub(crate) gradient_checkpointing: bool,
    /// With `Some(n)` the embeddings and the lowest n encoder layers stay as they are.
    pub(crate) freeze: Option<usize>,
    pub(crate) eval_strategy: EvalStrategy,
    /// Updates between two evaluations; `None` for `logging_steps`.
    pub(crate) eval_steps: Option<Steps>,
    pub(crate) load_best_model_at_end: bool,
    pub(crate) metric_for_best_model: BestMetric,
    /// Stop after so many evaluations in a row without a better metric.
    pub(crate) early_stopping_patience: Option<u64>,
}

impl Default for TrainingArguments {
    fn default() -> Self {
        Self {
            learning_rate: 5e-5,
            per_device_train_batch_size: 8,
            per_device_eval_batch_size: 8,
            num_train_epochs: 1,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            lr_scheduler_type: SchedulerType::Linear,
            warmup_steps: Steps::Count(0),
            gradient_accumulation_steps: 1,
            seed: 42,
            logging_steps: Steps::Count(10),
            save_steps: Steps::Count(0),
            shuffle: true,
            use_token_type_ids: true,
            group_by_length: false,
            gradient_checkpointing: false,
            freeze: None,
            eval_strategy: EvalStrategy::No,
            eval_steps: None,
            load_best_model_at_end: false,
            metric_for_best_model: BestMetric::Loss,
            early_stopping_patience: None,
        }
    }
}

impl TrainingArguments {
    /// Refuse settings that cannot be meant.
    ///
    /// # Errors
    /// [`Error::Usage`] with the option and what it takes.
    pub(crate) fn validate(&self) -> Result<()> {
        let patience = self.early_stopping_patience.unwrap_or(1) as usize;
        let sizes = [
            (
                "per_device_train_batch_size",
                self.per_device_train_batch_size,
            ),
            (
                "per_device_eval_batch_size",
                self.per_device_eval_batch_size,
            ),
            ("num_epochs", self.num_train_epochs),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps,
            ),
            ("early_stopping_patience", patience),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, n)| *n == 0) {
            return Err(Error::setting(name, 0, "expected at least 1"));
        }
        self.validate_steps()?;
        self.validate_combinations()?;
        let numbers = [
            ("learning_rate", self.learning_rate, f64::MAX),
            ("weight_decay", self.weight_decay, f64::MAX),
            ("adam_epsilon", self.adam_epsilon, f64::MAX),
            ("max_grad_norm", self.max_grad_norm, f64::MAX),
            ("adam_beta1", self.adam_beta1, 1.0 - f64::EPSILON),
            ("adam_beta2", self.adam_beta2, 1.0 - f64::EPSILON),
        ];
        match numbers
            .iter()
            .find(|(_, x, most)| !(0.0..=*most).contains(x))
        {
            Some((name, x, 1.0..)) => {
                Err(Error::setting(name, x, "expected a number of at least 0"))
            }
            Some((name, x, _)) => Err(Error::setting(
                name,
                x,
                "expected a number from 0 to below 1",
            )),
            None => Ok(()),
        }
    }

    /// Refuse numbers of updates that cannot be meant; only warm-up and checkpoints may be none.
    fn validate_steps(&self) -> Result<()> {
        let all = [
            ("warmup_steps", Some(self.warmup_steps), 0),
            ("save_steps", Some(self.save_steps), 0),
            ("logging_steps", Some(self.logging_steps), 1),
            ("eval_steps", self.eval_steps, 1),
        ];
        for (name, steps, least) in all {
            match steps {
                Some(Steps::Count(n)) if n < least => {
                    return Err(Error::setting(
                        name,
                        n,
                        format!("expected at least {least}"),
                    ));
                }
                Some(steps) if !steps.is_valid() => {
                    let expected =
                        "expected a number of updates, or a share of the run between 0 and 1";
                    return Err(Error::setting(name, steps, expected));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuse an option that has no effect without another one, or contradicts it.
    fn validate_combinations(&self) -> Result<()> {
        let (strategy, patience) = (self.eval_strategy, self.early_stopping_patience);
        let evaluates = "--eval-strategy epoch or steps";
        let cases = [
            (
                self.group_by_length && !self.shuffle,
                "--group-by-length",
                "--data-order shuffled",
            ),
            (
                self.eval_steps.is_some() && strategy != EvalStrategy::Steps,
                "--eval-steps",
                "--eval-strategy steps",
            ),
            (
                self.load_best_model_at_end && strategy == EvalStrategy::No,
                "--load-best-model-at-end",
                evaluates,
            ),
            (
                patience.is_some() && strategy == EvalStrategy::No,
                "--early-stopping-patience",
                evaluates,
            ),
        ];
        match cases.iter().find(|(wrong, ..)| *wrong) {
            Some((_, option, other)) => Err(Error::Usage(format!("{option} needs {other}"))),
            None => Ok(()),
        }
    }

    /// Updates between two evaluations in a run of `max_steps`, where `eval_strategy` counts
    /// updates.
    pub(super) fn eval_interval(&self, max_steps: u64) -> Option<u64> {
        let steps = self.eval_steps.unwrap_or(self.logging_steps);
        (self.eval_strategy == EvalStrategy::Steps).then(|| steps.of(max_steps))
    }

    /// Rows that one update sees at most.
    pub(crate) fn rows_per_update(&self) -> usize {
        self.per_device_train_batch_size * self.gradient_accumulation_steps
    }

    /// Updates in one epoch over `rows` rows, at least 1, as Trainer counts them.
    pub(crate) fn updates_per_epoch(&self, rows: usize) -> u64 {
        rows.div_ceil(self.per_device_train_batch_size)
            .div_ceil(self.gradient_accumulation_steps)
            .max(1) as u64
    }
}

/// When the model is evaluated during training: transformers' `IntervalStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalStrategy {
    /// Not before the end.
    No,
    /// After every epoch.
    Epoch,
    /// After every so many updates.
    Steps,
}

/// The figure that tells which evaluation was the best: `metric_for_best_model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestMetric {
    /// Mean cross-entropy: the lowest is best.
    Loss,
    /// The share of right predictions.
    Accuracy,
    /// The mean F1 of the classes.
    F1,
}

impl BestMetric {
    /// Whether `value` is better than `best`; an equal one is not.
    pub(crate) fn is_better(self, value: f64, best: f64) -> bool {
        match self {
            Self::Loss => value < best,
            Self::Accuracy | Self::F1 => value > best,
        }
    }
}

/// A number of updates, or below 1 a share of all updates of the run: what Trainer takes for
/// `logging_steps`, `eval_steps`, `save_steps` and, since transformers 5, `warmup_steps`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Steps {
    /// So many updates.
    Count(u64),
    /// This share of them, above 0 and below 1.
    Share(f64),
}

impl Steps {
    /// The number of updates in a run of `max_steps`: a share is rounded up, as
    /// `TrainerState.compute_steps` and `TrainingArguments.get_warmup_steps` do it.
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

    /// A whole number, which may be written as 10.0, or a share below 1. Trainer refuses 1.5 as an
    /// interval too; its `warmup_steps` cuts it to 1 without a word.
    fn from_str(word: &str) -> std::result::Result<Self, String> {
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

    /// The numbers of `math.ceil(max_steps * share)`, with the rounding of floats that makes 8 of 7
    /// % of 100.
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
