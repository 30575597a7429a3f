//! Loss and accuracy of a classifier over rows of a split.

use std::time::Instant;

use candle_core::DType;
use serde::Serialize;
use serde_json::{Value, json};

use super::{BestMetric, TrainingArguments};
use crate::batching::PackedBatch;
use crate::dataset::Split;
use crate::device::on_worker;
use crate::error::{Error, Result, interrupt};
use crate::metrics::ConfusionMatrix;
use crate::models::{Input, SequenceClassifier};
use crate::nn::cross_entropy;
use crate::progress::Progress;

/// What an evaluation found.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    /// Mean cross-entropy, in nats; NaN without a row.
    pub(crate) loss: f64,
    /// Share of rows whose highest logit is their label; NaN without a row.
    pub(crate) accuracy: f64,
    /// Seconds it took.
    pub(crate) runtime: f64,
    /// The predicted class of each row.
    pub(crate) predictions: Vec<u32>,
    /// The label of each row.
    pub(crate) labels: Vec<u32>,
    /// Batches computed.
    pub(crate) steps: usize,
}

/// The keys of Trainer's `evaluate()`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)] // the names are Trainer's
pub(crate) struct EvaluationRecord {
    pub(crate) eval_loss: f64,
    pub(crate) eval_accuracy: f64,
    pub(crate) eval_runtime: f64,
    pub(crate) eval_samples_per_second: f64,
    pub(crate) eval_steps_per_second: f64,
}

impl Evaluation {
    /// How often each label was predicted as each class.
    ///
    /// # Errors
    /// None that data from [`evaluate`] can cause.
    pub(crate) fn confusion(&self) -> Result<ConfusionMatrix> {
        let both = || self.labels.iter().chain(&self.predictions);
        let mut matrix = ConfusionMatrix::new(both().max().map_or(0, |&c| c as usize + 1));
        for (&label, &prediction) in self.labels.iter().zip(&self.predictions) {
            matrix.add(label as usize, prediction as usize)?;
        }
        Ok(matrix)
    }

    /// The mean F1 of the classes; NaN when there is no row.
    pub(crate) fn macro_f1(&self) -> f64 {
        let confusion = self.confusion();
        confusion.expect("no class is above the highest").macro_f1()
    }

    /// What the log keeps of an evaluation in training: the record, and the macro-F1 as `eval_f1`.
    pub(super) fn log_entry(&self) -> Value {
        let mut entry = json!(self.record());
        entry["eval_f1"] = json!(self.macro_f1());
        entry
    }

    /// The evaluation under Trainer's names.
    pub(crate) fn record(&self) -> EvaluationRecord {
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

impl BestMetric {
    /// This figure of an evaluation.
    pub(crate) fn of(self, evaluation: &Evaluation) -> f64 {
        match self {
            Self::Loss => evaluation.loss,
            Self::Accuracy => evaluation.accuracy,
            Self::F1 => evaluation.macro_f1(),
        }
    }
}

/// Evaluate `model` on `rows` of `split`, without dropout, with a progress bar.
///
/// # Errors
/// What reading a row or the model gives; [`crate::error::Error::Interrupted`] after a signal.
pub(crate) fn evaluate(
    model: &dyn SequenceClassifier,
    split: &Split,
    rows: &[usize],
    arguments: &TrainingArguments,
) -> Result<Evaluation> {
    let mut progress = Progress::new("evaluate", rows.len() as u64, "rows");
    evaluate_rows(model, split, rows, arguments, &mut |n| {
        progress.advance(n as u64);
    })
}

/// [`evaluate`] that reports the rows of each batch to `done`.
pub(super) fn evaluate_rows(
    model: &dyn SequenceClassifier,
    split: &Split,
    rows: &[usize],
    arguments: &TrainingArguments,
    done: &mut dyn FnMut(usize),
) -> Result<Evaluation> {
    let start = Instant::now();
    let (mut predictions, mut labels, mut loss, mut steps) = (Vec::new(), Vec::new(), 0.0, 0);
    for chunk in rows.chunks(arguments.per_device_eval_batch_size) {
        interrupt::check()?;
        let batch = PackedBatch::gather(split, chunk)?;
        let model_config = model.config();
        batch.check_fits(split, model_config.vocab_size, model_config.max_length())?;
        let token_type_ids = batch
            .token_type_ids
            .as_deref()
            .filter(|_| arguments.use_token_type_ids);
        let input = Input {
            ids: &batch.ids,
            columns: &batch.columns,
            token_type_ids,
            bounds: &batch.bounds,
        };
        let logits = on_worker(|| model.logits(&input))?;
        let losses = cross_entropy(&logits, &batch.labels)?.per_row;
        let losses = losses.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        if let Some(i) = losses.iter().position(|loss| !loss.is_finite()) {
            return Err(Error::Mismatch(format!(
                "{}, row {}: its loss is not finite: training diverged; lower --learning-rate",
                split.folder().display(),
                chunk[i]
            )));
        }
        loss += losses.iter().sum::<f64>();
        predictions.extend(logits.argmax(1)?.to_vec1::<u32>()?);
        labels.extend(batch.labels);
        steps += 1;
        done(chunk.len());
    }
    let n = labels.len() as f64;
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
