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
    /// Empty when the data has none.
    pub category: &'static str,
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

/// The classifier's answers; the cosines are filled in later.
pub(super) fn classify(
    config: &Config,
    model: &dyn SequenceClassifier,
    split: &Split,
    rows: usize,
) -> Result<Vec<Classified>> {
    let (categories, classes) = (split.categories()?, classes(model, split));
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
        for (i, (&row, logits)) in chunk.iter().zip(&logits).enumerate() {
            let label = batch.labels[i] as usize;
            let Some(&own) = classes.get(label).filter(|c| **c < logits.len()) else {
                return Err(Error::malformed(
                    split.folder(),
                    format!("row {row}"),
                    format!("label {label}"),
                    format!("one of the model's {} classes", logits.len()),
                ));
            };
            let probabilities = log_softmax(logits);
            let highest = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            let highest = highest.unwrap_or_default();
            sentences.push(Classified {
                category: categories.as_ref().map_or("", |c| c[row]),
                tokens: batch.bounds[i + 1] - batch.bounds[i],
                label,
                predicted: classes
                    .iter()
                    .position(|&c| c == highest)
                    .unwrap_or(highest),
                confidence: probabilities[highest].exp(),
                loss: -probabilities[own],
                cosines: Vec::new(),
            });
        }
        progress.advance(chunk.len() as u64);
    }
    Ok(sentences)
}

/// The model's class of each class of the data: that of the same name, else that of the same number.
fn classes(model: &dyn SequenceClassifier, split: &Split) -> Vec<usize> {
    let (theirs, names) = (model.config().label_names(), split.label_names());
    let found: Vec<usize> = names
        .iter()
        .filter_map(|name| theirs.iter().position(|t| t == name))
        .collect();
    if !names.is_empty() && found.len() == names.len() {
        found
    } else {
        (0..theirs.len()).collect()
    }
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
