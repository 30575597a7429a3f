//! The settings of a run, with the names and defaults of transformers' `TrainingArguments`.

use serde::{Deserialize, Serialize};

use super::{BestMetric, EvalStrategy, SchedulerType, Steps};
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
        let sizes = [
            (
                "--per-device-train-batch-size",
                self.per_device_train_batch_size,
            ),
            (
                "--per-device-eval-batch-size",
                self.per_device_eval_batch_size,
            ),
            ("--num-epochs", self.num_train_epochs),
            (
                "--gradient-accumulation-steps",
                self.gradient_accumulation_steps,
            ),
            (
                "--early-stopping-patience",
                self.early_stopping_patience.unwrap_or(1) as usize,
            ),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, n)| *n == 0) {
            return Err(Error::Usage(format!("{name} 0: expected at least 1")));
        }
        self.validate_steps()?;
        self.validate_combinations()?;
        let numbers = [
            ("--learning-rate", self.learning_rate, f64::MAX),
            ("--weight-decay", self.weight_decay, f64::MAX),
            ("--adam-epsilon", self.adam_epsilon, f64::MAX),
            ("--max-grad-norm", self.max_grad_norm, f64::MAX),
            ("--adam-beta1", self.adam_beta1, 1.0 - f64::EPSILON),
            ("--adam-beta2", self.adam_beta2, 1.0 - f64::EPSILON),
        ];
        match numbers
            .iter()
            .find(|(_, x, most)| !(0.0..=*most).contains(x))
        {
            Some((name, x, 1.0..)) => Err(Error::Usage(format!(
                "{name} {x}: expected a number of at least 0"
            ))),
            Some((name, x, _)) => Err(Error::Usage(format!(
                "{name} {x}: expected a number from 0 to below 1"
            ))),
            None => Ok(()),
        }
    }

    /// Refuse numbers of updates that cannot be meant; only warm-up and checkpoints may be none.
    fn validate_steps(&self) -> Result<()> {
        let all = [
            ("--warmup-steps", Some(self.warmup_steps), 0),
            ("--save-steps", Some(self.save_steps), 0),
            ("--logging-steps", Some(self.logging_steps), 1),
            ("--eval-steps", self.eval_steps, 1),
        ];
        for (name, steps, least) in all {
            match steps {
                Some(Steps::Count(n)) if n < least => {
                    return Err(Error::Usage(format!(
                        "{name} {n}: expected at least {least}"
                    )));
                }
                Some(steps) if !steps.is_valid() => {
                    let expected = "a number of updates, or a share of the run between 0 and 1";
                    return Err(Error::Usage(format!("{name} {steps}: expected {expected}")));
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

    /// Updates between two evaluations in a run of `max_steps`, where `eval_strategy` counts updates.
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
