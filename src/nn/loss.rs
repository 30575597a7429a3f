//! The classification loss.

use candle_core::Tensor;

use crate::error::{Error, Result};

/// The mean cross-entropy of a batch, with what follows from the same pass.
pub struct CrossEntropy {
    /// Mean over the B rows of −ln softmax(logits)_label, in nats.
    pub loss: f64,
    /// Its gradient with respect to the logits, (B, C).
    pub gradient: Tensor,
    /// The loss of each row.
    pub per_row: Vec<f64>,
}

/// Cross-entropy of `logits` (B, C) against one label a row, as `torch.nn.CrossEntropyLoss`; computed in f64.
///
/// # Errors
/// [`Error::Mismatch`] when a label is not below C or their number is not B.
#[tracing::instrument(level = "trace", skip_all)]
pub fn cross_entropy(logits: &Tensor, labels: &[u32]) -> Result<CrossEntropy> {
    let (rows, classes) = logits.dims2()?;
    if rows != labels.len() || labels.iter().any(|&l| l as usize >= classes) {
        return Err(Error::Mismatch(format!(
            "labels {labels:?} do not fit logits of {rows} rows and {classes} classes"
        )));
    }
    let values = logits.to_dtype(candle_core::DType::F32)?.to_vec2::<f32>()?;
    let (mut per_row, mut gradient) =
        (Vec::with_capacity(rows), Vec::with_capacity(rows * classes));
    for (row, &label) in values.iter().zip(labels) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
        let exps: Vec<f64> = row.iter().map(|&x| (x as f64 - max).exp()).collect();
        let sum: f64 = exps.iter().sum();
        per_row.push(sum.ln() + max - row[label as usize] as f64);
        gradient.extend(exps.iter().enumerate().map(|(c, e)| {
            let target = if c == label as usize { 1.0 } else { 0.0 };
            ((e / sum - target) / rows as f64) as f32
        }));
    }
    let gradient =
        Tensor::from_vec(gradient, (rows, classes), logits.device())?.to_dtype(logits.dtype())?;
    Ok(CrossEntropy {
        loss: per_row.iter().sum::<f64>() / rows.max(1) as f64,
        gradient,
        per_row,
    })
}
