//! The training loop.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::checkpoints::Checkpoints;
use super::{AdamW, TrainerState, TrainingArguments, learning_rate};
use crate::batching::{DataOrder, PackedBatch, epoch_order};
use crate::dataset::Split;
use crate::device::on_worker;
use crate::error::{Result, interrupt};
use crate::models::{Gradients, Input, SequenceClassifier};
use crate::nn::DropoutSeed;
use crate::progress::Progress;

/// Fine-tunes a classifier on rows of a split.
pub struct Trainer<'a> {
    /// The model; its parameters change.
    pub model: &'a dyn SequenceClassifier,
    /// The settings.
    pub arguments: &'a TrainingArguments,
    /// The data.
    pub split: &'a Split,
    /// The rows to train on, in sequential order.
    pub rows: &'a [usize],
    /// Where checkpoints go while the run is under way.
    pub checkpoints: PathBuf,
    /// Go on from the newest checkpoint, when there is one.
    pub resume: bool,
}

/// The end of a run, under Trainer's names.
#[derive(Debug, Clone)]
pub struct TrainOutput {
    /// Mean loss over all updates.
    pub train_loss: f64,
    /// Seconds, of this process.
    pub train_runtime: f64,
    /// Rows seen by this process, per second.
    pub train_samples_per_second: f64,
    /// Updates of this process, per second.
    pub train_steps_per_second: f64,
    /// The log.
    pub state: TrainerState,
}

impl Trainer<'_> {
    /// Train to the end.
    ///
    /// After a signal, or every `save_steps` updates, a checkpoint is saved from which `resume` goes on bit-equal.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`] after a signal; what reading rows, the model or the disk gives.
    pub fn train(&self) -> Result<TrainOutput> {
        let arguments = self.arguments;
        let checkpoints = Checkpoints::new(self.checkpoints.clone());
        let mut optimizer = AdamW::new(self.model.parameters())?;
        let mut gradients = Gradients::new(self.model.parameters().len());
        let mut state = self.initial_state();
        if self.resume
            && let Some(saved) = checkpoints.restore(self.model, &mut optimizer, arguments)?
        {
            tracing::info!(
                "resuming after step {} of {}",
                saved.global_step,
                saved.max_steps
            );
            state = TrainerState {
                save_steps: arguments.save_steps,
                logging_steps: arguments.logging_steps,
                ..saved
            };
        }
        let (start, first_step) = (Instant::now(), state.global_step);
        let mut progress = Progress::new("train", state.max_steps, "steps");
        progress.advance(first_step);
        let mut rows_seen = 0;
        let mut order = (usize::MAX, Vec::new());
        while state.global_step < state.max_steps {
            let rows = self.rows_of(state.global_step, &mut order);
            let update =
                on_worker(|| self.update(rows, &mut optimizer, &mut gradients, &mut state))?;
            rows_seen += rows.len();
            progress.message(format!(
                "loss {:.4} {:.0} tokens/s",
                update.loss,
                update.tokens as f64 / update.seconds
            ));
            progress.advance(1);
            let stopped = interrupt::check();
            let due =
                arguments.save_steps > 0 && state.global_step.is_multiple_of(arguments.save_steps);
            if (due && state.global_step < state.max_steps) || stopped.is_err() {
                checkpoints.save(self.model, &optimizer, &state, arguments)?;
            }
            stopped?;
        }
        drop(progress);
        checkpoints.clear()?;
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

    fn initial_state(&self) -> TrainerState {
        let a = self.arguments;
        TrainerState {
            max_steps: a.updates_per_epoch(self.rows.len()) * a.num_train_epochs as u64,
            num_train_epochs: a.num_train_epochs,
            train_batch_size: a.per_device_train_batch_size,
            logging_steps: a.logging_steps,
            save_steps: a.save_steps,
            ..TrainerState::default()
        }
    }

    /// The rows of update `step`, counted from 0 over the whole run. `order` keeps the (number, order) of an epoch.
    fn rows_of<'o>(&self, step: u64, order: &'o mut (usize, Vec<usize>)) -> &'o [usize] {
        let a = self.arguments;
        let per_epoch = a.updates_per_epoch(self.rows.len());
        let epoch = (step / per_epoch) as usize;
        if order.0 != epoch {
            let kind = if a.shuffle {
                DataOrder::Shuffled
            } else {
                DataOrder::Sequential
            };
            *order = (epoch, epoch_order(self.rows, kind, a.seed, epoch));
        }
        let from = (step % per_epoch) as usize * a.rows_per_update();
        &order.1[from..self.rows.len().min(from + a.rows_per_update())]
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
        let mut update = Update::default();
        for (i, chunk) in batches.iter().enumerate() {
            let batch = PackedBatch::gather(self.split, chunk)?;
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
            update.loss += weight * loss.mean;
            update.tokens += batch.num_tokens();
        }
        let rate = learning_rate(
            a.lr_scheduler_type,
            a.learning_rate,
            state.global_step,
            a.warmup_steps,
            state.max_steps,
        );
        let norm = optimizer.step(self.model.parameters(), gradients, rate, a)?;
        state.global_step += 1;
        state.epoch = state.global_step as f64 / a.updates_per_epoch(self.rows.len()) as f64;
        state.total_loss += update.loss;
        state.pending_loss += update.loss;
        state.pending_steps += 1;
        if state.global_step.is_multiple_of(a.logging_steps) {
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
    seconds: f64,
}
