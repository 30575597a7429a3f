//! Loss and accuracy of a classifier over rows of a split.

use std::time::Instant;

use serde::Serialize;

use crate::batching::PackedBatch;
use crate::dataset::Split;
use crate::device::on_worker;
use crate::error::{Result, interrupt};
use crate::models::{Input, SequenceClassifier};
use crate::nn::cross_entropy;
use crate::progress::Progress;

/// What an evaluation found.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of rows whose highest logit is their label.
    pub accuracy: f64,
    /// Seconds it took.
    pub runtime: f64,
    /// The predicted class of each row.
    pub predictions: Vec<u32>,
    /// The label of each row.
    pub labels: Vec<u32>,
    /// Batches computed.
    pub steps: usize,
}

/// The keys of Trainer's `evaluate()`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)] // the names are Trainer's
pub struct EvaluationRecord {
    pub eval_loss: f64,
    pub eval_accuracy: f64,
    pub eval_runtime: f64,
    pub eval_samples_per_second: f64,
    pub eval_steps_per_second: f64,
}

impl Evaluation {
    /// The evaluation under Trainer's names.
    pub fn record(&self) -> EvaluationRecord {
        let seconds = self.runtime.max(1e-9);
        EvaluationRecord {
            eval_loss: self.loss,
            eval_accuracy: self.accuracy,
            eval_runtime: self.runtime,
            eval_samples_per_second: self.labels.len() as f64 / seconds,
            eval_steps_per_second: self.steps as f64 / seconds,
        }
    }
}

/// Evaluate `model` on `rows` of `split`, `batch_size` at a time, without dropout.
///
/// # Errors
/// What reading a row or the model gives; [`crate::error::Error::Interrupted`] after a signal.
pub fn evaluate(
    model: &dyn SequenceClassifier,
    split: &Split,
    rows: &[usize],
    batch_size: usize,
    use_token_type_ids: bool,
) -> Result<Evaluation> {
    let start = Instant::now();
    let mut progress = Progress::new("evaluate", rows.len() as u64, "rows");
    let (mut predictions, mut labels, mut loss, mut steps) = (Vec::new(), Vec::new(), 0.0, 0);
    for chunk in rows.chunks(batch_size) {
        interrupt::check()?;
        let batch = PackedBatch::gather(split, chunk)?;
        let token_type_ids = batch
            .token_type_ids
            .as_deref()
            .filter(|_| use_token_type_ids);
        let input = Input {
            ids: &batch.ids,
            columns: &batch.columns,
            token_type_ids,
            bounds: &batch.bounds,
        };
        let logits = on_worker(|| model.logits(&input))?;
        loss += cross_entropy(&logits, &batch.labels)?
            .per_row
            .iter()
            .sum::<f64>();
        predictions.extend(logits.argmax(1)?.to_vec1::<u32>()?);
        labels.extend(batch.labels);
        steps += 1;
        progress.advance(chunk.len() as u64);
    }
    let n = labels.len().max(1) as f64;
    let correct = predictions
        .iter()
        .zip(&labels)
        .filter(|(p, l)| p == l)
        .count();
    let runtime = start.elapsed().as_secs_f64();
    Ok(Evaluation {
        loss: loss / n,
        accuracy: correct as f64 / n,
        runtime,
        predictions,
        labels,
        steps,
    })
}
