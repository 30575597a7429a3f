//! The training loop.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::checkpoints::Checkpoints;
use super::evaluation::evaluate_rows;
use super::row_order::RowOrder;
use super::{AdamW, EvalStrategy, Identity, TrainerState, TrainingArguments, learning_rate};
use crate::batching::PackedBatch;
use crate::dataset::Split;
use crate::device::on_worker;
use crate::error::{Result, interrupt};
use crate::models::{Gradients, Input, SequenceClassifier};
use crate::nn::DropoutSeed;
use crate::progress::Progress;

/// Fine-tunes a classifier on rows of a split.
pub(crate) struct Trainer<'a> {
    /// The model; its parameters change.
    pub(crate) model: &'a dyn SequenceClassifier,
    /// The settings.
    pub(crate) arguments: &'a TrainingArguments,
    /// The data.
    pub(crate) split: &'a Split,
    /// The rows to train on, in sequential order.
    pub(crate) rows: &'a [usize],
    /// The data of evaluations during training.
    pub(crate) eval_split: &'a Split,
    /// The rows of it to evaluate on.
    pub(crate) eval_rows: &'a [usize],
    /// Where checkpoints go while the run is under way.
    pub(crate) checkpoints: PathBuf,
    /// Go on from the newest checkpoint, when there is one.
    pub(crate) resume: bool,
    /// What must be the same for a run to go on from a checkpoint.
    pub(crate) identity: Identity,
}

/// The end of a run, under Trainer's names.
#[derive(Debug, Clone)]
pub(crate) struct TrainOutput {
    /// Mean loss over all updates.
    pub(crate) train_loss: f64,
    /// Seconds, of this process.
    pub(crate) train_runtime: f64,
    /// Rows seen by this process, per second.
    pub(crate) train_samples_per_second: f64,
    /// Updates of this process, per second.
    pub(crate) train_steps_per_second: f64,
    /// The log.
    pub(crate) state: TrainerState,
}

impl Trainer<'_> {
    /// Train to the end.
    ///
    /// The checkpoints stay until [`Self::clear_checkpoints`]. After a signal, or every
    /// `save_steps` updates, a checkpoint is saved from which `resume` goes on bit-equal.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`] after a signal; what reading rows, the model or the
    /// disk gives.
    pub(crate) fn train(&self) -> Result<TrainOutput> {
        let arguments = self.arguments;
        let checkpoints = Checkpoints::new(self.checkpoints.clone());
        let mut optimizer = AdamW::new(self.model.parameters())?;
        let mut gradients = Gradients::new(self.model.parameters().len());
        let mut state = self.initial_state();
        if self.resume
            && let Some(saved) = checkpoints.restore(self.model, &mut optimizer, &self.identity)?
        {
            tracing::info!(
                "resuming after step {} of {}",
                saved.global_step,
                saved.max_steps
            );
            state = TrainerState {
                save_steps: state.save_steps,
                logging_steps: state.logging_steps,
                eval_steps: state.eval_steps,
                ..saved
            };
        }
        let (start, first_step) = (Instant::now(), state.global_step);
        let mut progress = Progress::new("train", state.max_steps, "steps");
        progress.advance(first_step);
        let mut rows_seen = 0;
        let mut order = RowOrder::new(self.split, self.rows, arguments)?;
        loop {
            if self.evaluation_is_due(&state)
                && let Err(error) = self.evaluate(&checkpoints, &mut state)
            {
                if interrupt::raised().is_some() {
                    checkpoints.save(self.model, &optimizer, &state, arguments, &self.identity)?;
                }
                return Err(error);
            }
            if self.is_over(&state) {
                break;
            }
            let rows = order.of_update(state.global_step);
            let update =
                on_worker(|| self.update(rows, &mut optimizer, &mut gradients, &mut state))?;
            rows_seen += rows.len();
            progress.message(format!(
                "loss {:.4} lr {:.2e} {:.0} tokens/s",
                update.loss,
                update.learning_rate,
                update.tokens as f64 / update.seconds
            ));
            progress.advance(1);
            let stopped = interrupt::check();
            let due = state.save_steps > 0 && state.global_step.is_multiple_of(state.save_steps);
            if (due && state.global_step < state.max_steps) || stopped.is_err() {
                checkpoints.save(self.model, &optimizer, &state, arguments, &self.identity)?;
            }
            stopped?;
        }
        drop(progress);
        self.load_best(&checkpoints, &state)?;
        let seconds = start.elapsed().as_secs_f64().max(1e-9);
        let steps = state.global_step - first_step;
        Ok(TrainOutput {
            train_loss: state.total_loss / state.global_step.max(1) as f64,
            train_runtime: seconds,
            train_samples_per_second: rows_seen as f64 / seconds,
            train_steps_per_second: steps as f64 / seconds,
            state,
        })
    }

    /// Remove the checkpoints: what training gave has been written elsewhere.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] when one cannot be removed.
    pub(crate) fn clear_checkpoints(&self) -> Result<()> {
        Checkpoints::new(self.checkpoints.clone()).clear()
    }

    fn initial_state(&self) -> TrainerState {
        let a = self.arguments;
        let max_steps = a.updates_per_epoch(self.rows.len()) * a.num_train_epochs as u64;
        TrainerState {
            max_steps,
            num_train_epochs: a.num_train_epochs,
            train_batch_size: a.per_device_train_batch_size,
            logging_steps: a.logging_steps.of(max_steps),
            eval_steps: a.eval_interval(max_steps),
            save_steps: a.save_steps.of(max_steps),
            ..TrainerState::default()
        }
    }

    /// Evaluate after this update: the figures go into the log, and the best weights to the disk
    /// when they are wanted.
    fn evaluate(&self, checkpoints: &Checkpoints, state: &mut TrainerState) -> Result<()> {
        let a = self.arguments;
        let (split, rows) = (self.eval_split, self.eval_rows);
        let evaluation = evaluate_rows(self.model, split, rows, a, &mut |_| {})?;
        let better = state.record_metric(
            a.metric_for_best_model,
            a.metric_for_best_model.of(&evaluation),
        );
        if better && a.load_best_model_at_end {
            let folder = checkpoints.save_best(self.model, state.global_step)?;
            state.best_model_checkpoint = Some(folder.to_string_lossy().into_owned());
        }
        state.evaluated_step = state.global_step;
        state.push(evaluation.log_entry());
        tracing::info!(
            "step {}: eval_loss {:.4}, eval_accuracy {:.4}, eval_f1 {:.4}{}",
            state.global_step,
            evaluation.loss,
            evaluation.accuracy,
            evaluation.macro_f1(),
            if better { ", the best so far" } else { "" }
        );
        Ok(())
    }

    /// Whether the evaluation after the present update is still to be made.
    fn evaluation_is_due(&self, state: &TrainerState) -> bool {
        let every = match self.arguments.eval_strategy {
            EvalStrategy::No => return false,
            EvalStrategy::Epoch => self.arguments.updates_per_epoch(self.rows.len()),
            EvalStrategy::Steps => state.eval_steps.expect("set where updates are counted"),
        };
        let step = state.global_step;
        step > 0 && step != state.evaluated_step && step.is_multiple_of(every)
    }

    /// Whether no update is left, or the evaluations have not become better for too long.
    fn is_over(&self, state: &TrainerState) -> bool {
        let waited = state.early_stopping_patience_counter;
        let patience = self.arguments.early_stopping_patience;
        let early = patience.is_some_and(|p| waited >= p);
        if early && state.global_step < state.max_steps {
            tracing::info!(
                "stopping early after step {} of {}: {waited} evaluations without a better one",
                state.global_step,
                state.max_steps
            );
        }
        early || state.global_step >= state.max_steps
    }

    /// Put the best weights back when they are wanted and not those of the end.
    fn load_best(&self, checkpoints: &Checkpoints, state: &TrainerState) -> Result<()> {
        let best = state.best_global_step;
        if let Some(step) = best.filter(|_| self.arguments.load_best_model_at_end) {
            checkpoints.load_best(self.model, step)?;
            tracing::info!("the weights are those after step {step}, the best evaluated");
        }
        Ok(())
    }

    /// One update: gradients of its micro-batches, clipping, AdamW, log.
    fn update(
        &self,
        rows: &[usize],
        optimizer: &mut AdamW,
        gradients: &mut Gradients,
        state: &mut TrainerState,
    ) -> Result<Update> {
        let (a, begin) = (self.arguments, Instant::now());
        gradients.reset();
        let batches: Vec<&[usize]> = rows.chunks(a.per_device_train_batch_size).collect();
        let weight = 1.0 / batches.len() as f64;
        let (mut update, mut losses) = (Update::default(), Vec::with_capacity(batches.len()));
        for (i, chunk) in batches.iter().enumerate() {
            let batch = PackedBatch::gather(self.split, chunk)?;
            let config = self.model.config();
            batch.check_fits(self.split, config.vocab_size, config.max_length())?;
            let token_type_ids = batch
                .token_type_ids
                .as_deref()
                .filter(|_| a.use_token_type_ids);
            let input = Input {
                ids: &batch.ids,
                columns: &batch.columns,
                token_type_ids,
                bounds: &batch.bounds,
            };
            let step = state.global_step * a.gradient_accumulation_steps as u64 + i as u64;
            let seed = Some(DropoutSeed { seed: a.seed, step });
            let loss =
                self.model
                    .accumulate_gradients(&input, &batch.labels, weight, seed, gradients)?;
            losses.push(loss);
            update.tokens += batch.num_tokens();
        }
        for loss in &losses {
            update.loss += weight * loss.mean()?;
        }
        let rate = learning_rate(
            a.lr_scheduler_type,
            a.learning_rate,
            state.global_step,
            a.warmup_steps.of(state.max_steps),
            state.max_steps,
        );
        update.learning_rate = rate;
        let norm = optimizer.step(self.model.parameters(), gradients, rate, a)?;
        state.global_step += 1;
        state.epoch = state.global_step as f64 / a.updates_per_epoch(self.rows.len()) as f64;
        state.total_loss += update.loss;
        state.pending_loss += update.loss;
        state.pending_steps += 1;
        if state.global_step.is_multiple_of(state.logging_steps) {
            state.log_training(norm, rate);
        }
        update.seconds = begin.elapsed().as_secs_f64().max(1e-9);
        tracing::debug!(
            "{}",
            json!({"step": state.global_step, "loss": update.loss, "grad_norm": norm, "learning_rate": rate,
                   "tokens": update.tokens, "seconds": update.seconds})
        );
        Ok(update)
    }
}

/// What one update did.
#[derive(Default)]
struct Update {
    tokens: usize,
    loss: f64,
    learning_rate: f64,
    seconds: f64,
}
