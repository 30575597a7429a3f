//! `trainer_state.json`, as Trainer writes it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::BestMetric;

/// One line of the log: of training, of an evaluation, or of the end.
pub(crate) type LogEntry = Map<String, Value>;

/// Where a run stands and what it has logged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TrainerState {
    /// Updates done.
    pub(crate) global_step: u64,
    /// Updates of the whole run.
    pub(crate) max_steps: u64,
    /// Epochs done, with decimals.
    pub(crate) epoch: f64,
    /// Epochs of the whole run.
    pub(crate) num_train_epochs: usize,
    /// Rows of a micro-batch.
    pub(crate) train_batch_size: usize,
    /// Updates between two log lines. This and the next two are numbers, also where the settings
    /// are shares of the run.
    pub(crate) logging_steps: u64,
    /// Updates between two evaluations, where these are counted in updates.
    pub(crate) eval_steps: Option<u64>,
    /// Updates between two checkpoints; 0 for none.
    pub(crate) save_steps: u64,
    /// The log, oldest first.
    pub(crate) log_history: Vec<LogEntry>,
    /// Sum of the losses of all updates so far, so that a resumed run reports the same mean.
    pub(crate) total_loss: f64,
    /// Sum of the losses since the last log line.
    pub(crate) pending_loss: f64,
    /// Updates since the last log line.
    pub(crate) pending_steps: u64,
    /// The best `metric_for_best_model` so far.
    pub(crate) best_metric: Option<f64>,
    /// The update after which it was found.
    pub(crate) best_global_step: Option<u64>,
    /// The folder that keeps the weights of that moment while the run is under way, when they are
    /// wanted at its end.
    pub(crate) best_model_checkpoint: Option<String>,
    /// Evaluations since the best one.
    pub(crate) early_stopping_patience_counter: u64,
    /// The update after which the model was evaluated last; 0 before the first evaluation.
    pub(crate) evaluated_step: u64,
}

impl TrainerState {
    /// Log the mean loss since the last line, with what Trainer logs beside it.
    pub(super) fn log_training(&mut self, grad_norm: f64, learning_rate: f64) {
        let loss = self.pending_loss / self.pending_steps.max(1) as f64;
        self.push(json!({"loss": loss, "grad_norm": grad_norm, "learning_rate": learning_rate}));
        self.pending_loss = 0.0;
        self.pending_steps = 0;
    }

    /// Take note of the metric of an evaluation; whether it is the best so far. As Trainer's
    /// `_determine_best_metric` and its `EarlyStoppingCallback`: an equal value is not better, and
    /// one that is no number never is.
    pub(super) fn record_metric(&mut self, metric: BestMetric, value: f64) -> bool {
        let best = self.best_metric;
        let better = !value.is_nan() && best.is_none_or(|best| metric.is_better(value, best));
        if better {
            self.best_metric = Some(value);
            self.best_global_step = Some(self.global_step);
            self.early_stopping_patience_counter = 0;
        } else {
            self.early_stopping_patience_counter += 1;
        }
        better
    }

    /// Append an entry, completed by `epoch` and `step`.
    pub(crate) fn push(&mut self, entry: Value) {
        let Value::Object(mut entry) = entry else {
            unreachable!("an entry of the log is an object, not {entry}")
        };
        entry.insert("epoch".into(), json!(self.epoch));
        entry.insert("step".into(), json!(self.global_step));
        self.log_history.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_metric_starts_the_count_anew() {
        let mut state = TrainerState::default();
        let mut found = Vec::new();
        for (step, value) in [0.7, 0.6, 0.6, f64::NAN, 0.5].into_iter().enumerate() {
            state.global_step = 10 * (step as u64 + 1);
            let better = state.record_metric(BestMetric::Loss, value);
            found.push((better, state.early_stopping_patience_counter));
        }
        let want = [(true, 0), (true, 0), (false, 1), (false, 2), (true, 0)];
        assert_eq!(found, want);
        assert_eq!(
            (state.best_metric, state.best_global_step),
            (Some(0.5), Some(50))
        );
        assert!(!state.record_metric(BestMetric::Accuracy, 0.4));
        assert!(state.record_metric(BestMetric::F1, 0.6));
    }
}
