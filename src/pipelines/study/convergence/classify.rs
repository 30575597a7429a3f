//! The classifier's answers and the cosines of every sentence.

use candle_core::DType;

use super::Config;
use crate::analysis::geometry::{Geometry, Reference};
use crate::batching::PackedBatch;
use crate::dataset::Split;
use crate::device::on_worker;
use crate::error::{Error, Result, interrupt};
use crate::feature_extraction::{Sentence, Sink};
use crate::models::{Input, SequenceClassifier};
use crate::progress::Progress;

/// One sentence and how it was classified.
pub(super) struct Classified {
    pub tokens: usize,
    pub label: usize,
    /// The class of the data that was found.
    pub predicted: usize,
    /// The probability of the predicted class.
    pub confidence: f64,
    pub loss: f64,
    /// By layer.
    pub cosines: Vec<f64>,
}

/// What the cosines are correlated with.
pub(super) const TARGETS: [&str; 3] = ["correct", "confidence", "loss"];

impl Classified {
    /// The value of a target.
    pub fn target(&self, name: &str) -> f64 {
        match name {
            "correct" => f64::from(u8::from(self.predicted == self.label)),
            "confidence" => self.confidence,
            _ => self.loss,
        }
    }
}

/// The classifier's answers; the cosines are filled in later. `classes` has the classifier's class for each class of the data.
pub(super) fn classify(
    config: &Config,
    model: &dyn SequenceClassifier,
    split: &Split,
    classes: &[usize],
    rows: usize,
) -> Result<Vec<Classified>> {
    let mut sentences = Vec::with_capacity(rows);
    let mut progress = Progress::new("classify", rows as u64, "rows");
    let numbers: Vec<usize> = (0..rows).collect();
    for chunk in numbers.chunks(config.execution.batch_size.max(1)) {
        interrupt::check()?;
        let batch = PackedBatch::gather(split, chunk)?;
        let limits = model.config();
        batch.check_fits(split, limits.vocab_size, limits.max_length())?;
        let types = batch.token_type_ids.as_deref();
        let input = Input {
            ids: &batch.ids,
            columns: &batch.columns,
            token_type_ids: types.filter(|_| config.use_token_type_ids),
            bounds: &batch.bounds,
        };
        let logits = on_worker(|| model.logits(&input))?;
        let logits = logits.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        for (i, logits) in logits.iter().enumerate() {
            if !logits.iter().all(|logit| logit.is_finite()) {
                return Err(Error::Mismatch(format!(
                    "{}: a logit of row {} is not finite: its weights are damaged, or its training diverged",
                    config.checkpoint, chunk[i]
                )));
            }
            let label = batch.labels[i] as usize;
            let probabilities = log_softmax(logits);
            let highest = (0..logits.len())
                .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
                .expect("a classifier has a class");
            sentences.push(Classified {
                tokens: batch.bounds[i + 1] - batch.bounds[i],
                label,
                predicted: classes
                    .iter()
                    .position(|&c| c == highest)
                    .expect("each class of the classifier is one of the data"),
                confidence: probabilities[highest].exp(),
                loss: -probabilities[classes[label]],
                cosines: Vec::new(),
            });
        }
        progress.advance(chunk.len() as u64);
    }
    Ok(sentences)
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (l - highest).exp()).sum();
    let whole = highest + sum.ln();
    logits.iter().map(|l| l - whole).collect()
}

/// Adds the mean cosine of each layer to the sentences.
pub(super) struct CosineSink<'a>(pub &'a mut [Classified]);

impl Sink for CosineSink<'_> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        for (_, tokens) in sentence.layers {
            let mut geometry = Geometry::new(Reference {
                mean: vec![0.0; tokens.ncols()],
                leading: Vec::new(),
            });
            let cosine = geometry.add_sentence(*tokens)?.cosine;
            self.0[sentence.row].cosines.push(cosine);
        }
        Ok(())
    }
}
