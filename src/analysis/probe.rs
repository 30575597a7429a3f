//! The linear probe of the original's `cls_study` notebook: can a single linear unit tell the
//! classes apart from the vectors of one layer?
//!
//! One linear unit, dropout on its output, a sigmoid, binary cross-entropy, Adam: written out, with
//! Keras's initial values (Glorot and Bengio 2010, uniform; bias 0), its Adam (Kingma and Ba 2015
//! in the form of its section 2, ε outside the bias correction) and its history (the training
//! figures of an epoch are taken while the weights move and with dropout on).

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, interrupt};
use crate::metrics::ConfusionMatrix;
use crate::rng::Stream;

/// How a probe is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProbeOptions {
    /// Passes over the training rows.
    pub(crate) epochs: usize,
    /// Adam's step size.
    pub(crate) learning_rate: f64,
    /// Rows per step.
    pub(crate) batch_size: usize,
    /// The probability that the unit's output is dropped (set to 0) in training.
    pub(crate) dropout: f64,
    /// Decides the initial weights, the order of rows and what is dropped.
    pub(crate) seed: u64,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            epochs: 30,
            learning_rate: 1e-3,
            batch_size: 32,
            dropout: 0.1,
            seed: 42,
        }
    }
}

impl ProbeOptions {
    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Usage(format!("a probe with {what}")));
        if self.batch_size == 0 {
            return wrong("no row in a step".into());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(format!(
                "a dropout of {}, not from 0 to below 1",
                self.dropout
            ));
        }
        if !(self.learning_rate.is_finite() && self.learning_rate >= 0.0) {
            return wrong(format!("a step size of {}", self.learning_rate));
        }
        Ok(())
    }
}

/// The rows of one layer and their labels, 0 or 1.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// (sentences, hidden)
    pub(crate) vectors: ArrayView2<'a, f32>,
    /// One per sentence.
    pub(crate) labels: &'a [i64],
}

/// The figures after one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    /// Mean cross-entropy over the epoch's steps, dropout on.
    pub(crate) train_loss: f64,
    /// The share of right answers over the epoch's steps, dropout on.
    pub(crate) train_accuracy: f64,
    /// Mean cross-entropy on the test rows.
    pub(crate) test_loss: f64,
    /// The share of right answers on the test rows.
    pub(crate) test_accuracy: f64,
}

/// A trained probe.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// One weight per dimension.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "held against the peer by the tests")
    )]
    pub(crate) weights: Vec<f32>,
    /// The unit's bias.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "held against the peer by the tests")
    )]
    pub(crate) bias: f32,
    /// The figures of every epoch.
    pub(crate) history: Vec<Epoch>,
    /// The answers on the test rows after the last epoch.
    pub(crate) test: ConfusionMatrix,
}

impl Rows<'_> {
    fn check(&self, what: &str) -> Result<()> {
        if self.vectors.nrows() != self.labels.len() {
            return Err(Error::Mismatch(format!(
                "{what}: {} vectors and {} labels",
                self.vectors.nrows(),
                self.labels.len()
            )));
        }
        if self.labels.is_empty() {
            return Err(Error::Mismatch(format!("{what}: no row")));
        }
        if let Some(label) = self.labels.iter().find(|l| !(0..=1).contains(*l)) {
            return Err(Error::Mismatch(format!(
                "{what}: label {label}, where a probe tells 0 from 1"
            )));
        }
        if self.vectors.iter().any(|v| !v.is_finite()) {
            return Err(Error::Mismatch(format!(
                "{what}: a vector holds NaN or infinite values"
            )));
        }
        Ok(())
    }
}

/// Require that rows to learn from and rows to test on can be used, and used together.
pub(super) fn check_pair(train: Rows<'_>, test: Rows<'_>) -> Result<()> {
    train.check("training rows")?;
    test.check("test rows")?;
    if train.vectors.ncols() != test.vectors.ncols() {
        return Err(Error::Mismatch(format!(
            "training vectors of {} dimensions, test vectors of {}",
            train.vectors.ncols(),
            test.vectors.ncols()
        )));
    }
    Ok(())
}

/// Train a probe on `train` and watch it on `test`. `name` separates the random numbers of several
/// probes of one seed. A column that does not vary, or a class without a training row, is nothing
/// special; without an epoch the answers are those of the initial weights.
///
/// # Errors
/// [`Error::Mismatch`] when vectors and labels do not fit, there is no row, a label is neither 0
/// nor 1, or a number is NaN or infinite; [`Error::Usage`] for options that make no sense;
/// [`Error::Compute`] when the output overflows, so that there is no answer; [`Error::Interrupted`]
/// between two epochs.
pub(crate) fn train(
    train: Rows<'_>,
    test: Rows<'_>,
    options: &ProbeOptions,
    name: &str,
) -> Result<Probe> {
    options.check()?;
    check_pair(train, test)?;
    let stream = |what: &str| Stream::new(options.seed, &format!("probe/{name}/{what}"));
    let mut unit = Unit::new(train.vectors.ncols(), options, &mut stream("weights"));
    let (mut order, mut dropout) = (stream("order"), stream("dropout"));
    let mut history = Vec::with_capacity(options.epochs);
    let mut answers = unit.evaluate(test)?.0;
    for _ in 0..options.epochs {
        interrupt::check()?;
        let (train_loss, train_accuracy) =
            unit.epoch(train, &order.permutation(train.labels.len()), &mut dropout);
        let (confusion, test_loss) = unit.evaluate(test)?;
        history.push(Epoch {
            train_loss,
            train_accuracy,
            test_loss,
            test_accuracy: confusion.accuracy(),
        });
        answers = confusion;
    }
    let bias = unit
        .parameters
        .pop()
        .expect("the last parameter is the bias");
    Ok(Probe {
        weights: unit.parameters,
        bias,
        history,
        test: answers,
    })
}

/// The linear unit and its optimiser. The last parameter is the bias.
struct Unit {
    options: ProbeOptions,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    first_moment: Vec<f32>,
    second_moment: Vec<f32>,
    steps: i32,
}

impl Unit {
    fn new(hidden: usize, options: &ProbeOptions, random: &mut Stream) -> Self {
        let limit = (6.0 / (hidden + 1) as f64).sqrt();
        let mut parameters: Vec<f32> = (0..hidden)
            .map(|_| (limit * (2.0 * random.uniform() - 1.0)) as f32)
            .collect();
        parameters.push(0.0);
        Self {
            options: *options,
            gradient: vec![0.0; hidden + 1],
            first_moment: vec![0.0; hidden + 1],
            second_moment: vec![0.0; hidden + 1],
            parameters,
            steps: 0,
        }
    }

    /// The unit's output for one row, before the sigmoid.
    fn logit(&self, row: &[f32]) -> f64 {
        let (weights, bias) = self.parameters.split_at(row.len());
        f64::from(dot(row, weights) + bias[0])
    }

    /// One pass over the rows in `order`: mean loss and accuracy, as Keras averages them.
    fn epoch(&mut self, rows: Rows<'_>, order: &[usize], random: &mut Stream) -> (f64, f64) {
        let (mut loss, mut right) = (0.0, 0u64);
        let keep = 1.0 - self.options.dropout;
        for batch in order.chunks(self.options.batch_size) {
            self.gradient.fill(0.0);
            for &i in batch {
                let row = rows.vectors.index_axis(Axis(0), i);
                let row = contiguous(&row);
                let label = rows.labels[i];
                let scale = if random.uniform() < self.options.dropout {
                    0.0
                } else {
                    1.0 / keep
                };
                let z = scale * self.logit(&row);
                loss += cross_entropy(z, label);
                right += u64::from((z > 0.0) == (label == 1));
                let slope = scale * (sigmoid(z) - label as f64) / batch.len() as f64;
                self.add_gradient(slope as f32, &row);
            }
            self.step();
        }
        let n = order.len() as f64;
        (loss / n, right as f64 / n)
    }

    fn add_gradient(&mut self, slope: f32, row: &[f32]) {
        let (weights, bias) = self.gradient.split_at_mut(row.len());
        for (g, &x) in weights.iter_mut().zip(row) {
            *g += slope * x;
        }
        bias[0] += slope;
    }

    /// Adam, as Keras writes it: `θ ← θ − α √(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε)`.
    fn step(&mut self) {
        const BETA1: f32 = 0.9;
        const BETA2: f32 = 0.999;
        const EPSILON: f32 = 1e-7;
        self.steps += 1;
        let correction = (1.0 - f64::from(BETA2).powi(self.steps)).sqrt()
            / (1.0 - f64::from(BETA1).powi(self.steps));
        let rate = (self.options.learning_rate * correction) as f32;
        let moments = self.first_moment.iter_mut().zip(&mut self.second_moment);
        for ((p, &g), (m, v)) in self.parameters.iter_mut().zip(&self.gradient).zip(moments) {
            *m += (g - *m) * (1.0 - BETA1);
            *v += (g * g - *v) * (1.0 - BETA2);
            *p -= rate * *m / (v.sqrt() + EPSILON);
        }
    }

    fn evaluate(&self, rows: Rows<'_>) -> Result<(ConfusionMatrix, f64)> {
        let (mut confusion, mut loss) = (ConfusionMatrix::new(2), 0.0);
        for (row, &label) in rows.vectors.axis_iter(Axis(0)).zip(rows.labels) {
            let z = self.logit(&contiguous(&row));
            // NaN is above nothing and would count as an answer of class 0.
            if !z.is_finite() {
                return Err(Error::Compute {
                    context: "a probe".into(),
                    source: "its output overflows: the vectors are far too large".into(),
                });
            }
            loss += cross_entropy(z, label);
            confusion.add(label as usize, usize::from(z > 0.0))?;
        }
        Ok((confusion, loss / rows.labels.len() as f64))
    }
}

fn contiguous<'a>(row: &'a ndarray::ArrayView1<'_, f32>) -> std::borrow::Cow<'a, [f32]> {
    match row.as_slice() {
        Some(values) => values.into(),
        None => row.to_vec().into(),
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// `−ln σ(z)` for label 1 and `−ln(1 − σ(z))` for label 0, without overflow.
fn cross_entropy(z: f64, label: i64) -> f64 {
    z.max(0.0) - z * label as f64 + (-z.abs()).exp().ln_1p()
}

/// The product of two rows, in 16 partial sums that the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests;
