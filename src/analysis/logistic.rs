//! L2-regularised logistic regression to convergence, its strength chosen by cross-validation: what
//! a linear probe can find at best. The same on shuffled labels tells how much of that it would
//! learn by heart.
//!
//! J. Hewitt, P. Liang: Designing and interpreting probes with control tasks (EMNLP 2019).

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::probe::{Rows, check_pair};
use crate::error::{Error, Result, interrupt};
use crate::linalg::{Cholesky, GramMatrix};
use crate::metrics::ConfusionMatrix;
use crate::rng::Stream;

/// The strengths that cross-validation chooses from: C of scikit-learn, the weight of the loss
/// against `‖w‖²/2`.
pub(crate) const STRENGTHS: [f64; 7] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0];
/// The parts of the training rows that take turns in being left out.
pub(crate) const FOLDS: usize = 5;
/// A search for the minimum ends when no component of the mean gradient is larger.
const TOLERANCE: f64 = 1e-10;
/// The same for a model of cross-validation, of which only the answers count.
const FOLD_TOLERANCE: f64 = 1e-6;
const MAX_STEPS: usize = 500;

/// A trained classifier.
#[derive(Debug, Clone)]
pub(crate) struct Logistic {
    /// The strength it was trained with.
    pub(crate) strength: f64,
    /// One weight per standardised dimension, then the intercept.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "held against the peer by the tests")
    )]
    pub(crate) weights: Vec<f64>,
    /// The answers on the training rows.
    pub(crate) train: ConfusionMatrix,
    /// The answers on the test rows.
    pub(crate) test: ConfusionMatrix,
}

/// Logistic regression with the strength that cross-validation chose, and the same on shuffled
/// labels.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    /// Trained on the labels.
    pub(crate) real: Logistic,
    /// Trained with the same strength on the same labels in a random order, tested on those of the
    /// test rows in a random order.
    pub(crate) control: Logistic,
    /// The accuracy over the folds of every one of [`STRENGTHS`].
    pub(crate) validation: [f64; STRENGTHS.len()],
}

impl Selected {
    /// How much better the classifier does than the control task lets it do by heart or by chance.
    pub(crate) fn selectivity(&self) -> f64 {
        self.real.test.accuracy() - self.control.test.accuracy()
    }
}

/// Standardise the columns of `train` (and `test` by the same means and deviations), choose the
/// strength with the highest accuracy over [`FOLDS`] stratified folds of `train` (the smaller one
/// when equal), train on all of `train`, and answer both; then the control task with that strength.
/// Folds and shuffled labels are of `seed`, the same for all layers.
///
/// # Errors
/// [`Error::Mismatch`] when vectors and labels do not fit, there is no row, a label is neither 0
/// nor 1, a number is NaN or infinite, or a class has fewer training rows than there are folds;
/// [`Error::Compute`] when there is no convergence; [`Error::Interrupted`].
pub(crate) fn select(train: Rows<'_>, test: Rows<'_>, seed: u64) -> Result<Selected> {
    check_pair(train, test)?;
    let scale = Standard::of(train.vectors);
    let (x, z) = (scale.apply(train.vectors), scale.apply(test.vectors));
    let folds = stratified_folds(train.labels, seed)?;
    let validation = validate(&x, train.labels, &folds)?;
    let best = validation.iter().copied().fold(0.0, f64::max);
    let chosen = validation.iter().position(|&a| a == best);
    let strength = STRENGTHS[chosen.expect("the highest accuracy is one of them")];
    let trained = |labels: &[i64], test_labels: &[i64]| -> Result<Logistic> {
        let all: Vec<usize> = (0..labels.len()).collect();
        let start = vec![0.0; x.ncols() + 1];
        let weights = Problem::new(&x, labels, &all, strength).minimise(start, TOLERANCE)?;
        let every: Vec<usize> = (0..test_labels.len()).collect();
        Ok(Logistic {
            strength,
            train: answers(&x, labels, &all, &weights)?,
            test: answers(&z, test_labels, &every, &weights)?,
            weights,
        })
    };
    Ok(Selected {
        real: trained(train.labels, test.labels)?,
        control: trained(
            &shuffled(train.labels, seed, "train"),
            &shuffled(test.labels, seed, "test"),
        )?,
        validation,
    })
}

fn shuffled(labels: &[i64], seed: u64, split: &str) -> Vec<i64> {
    let order = Stream::new(seed, &format!("control/{split}")).permutation(labels.len());
    order.into_iter().map(|i| labels[i]).collect()
}

/// The fold of each row: the rows of each class in a random order, dealt out in turn.
fn stratified_folds(labels: &[i64], seed: u64) -> Result<Vec<usize>> {
    let order = Stream::new(seed, "logistic/folds").permutation(labels.len());
    let mut seen = [0; 2];
    let mut folds = vec![0; labels.len()];
    for i in order {
        let count = &mut seen[labels[i] as usize];
        folds[i] = *count % FOLDS;
        *count += 1;
    }
    match seen.into_iter().min() {
        Some(few) if few < FOLDS => Err(Error::Mismatch(format!(
            "cross-validation needs {FOLDS} training rows of each class, and one has {few}"
        ))),
        _ => Ok(folds),
    }
}

/// The accuracy of every strength on the rows left out, over all folds.
fn validate(x: &Array2<f64>, labels: &[i64], folds: &[usize]) -> Result<[f64; STRENGTHS.len()]> {
    let mut right = [0u64; STRENGTHS.len()];
    for fold in 0..FOLDS {
        let (left, kept): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|&i| folds[i] == fold);
        // Each strength starts where the one before it ended.
        let mut weights = vec![0.0; x.ncols() + 1];
        for (count, &strength) in right.iter_mut().zip(&STRENGTHS) {
            let problem = Problem::new(x, labels, &kept, strength);
            weights = problem.minimise(weights, FOLD_TOLERANCE)?;
            *count += answers(x, labels, &left, &weights)?.correct();
        }
    }
    Ok(right.map(|r| r as f64 / labels.len() as f64))
}

/// Means and deviations of columns.
struct Standard {
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

impl Standard {
    fn of(x: ArrayView2<'_, f32>) -> Self {
        let wide = x.mapv(f64::from);
        let n = wide.nrows() as f64;
        let mut mean = wide.sum_axis(Axis(0)) / n;
        let deviation = (&wide - &mean).mapv(|d| d * d).sum_axis(Axis(0)) / n;
        let mut deviation = deviation.mapv(f64::sqrt);
        // A column that does not vary says nothing and becomes 0. The rounding of its mean, taken
        // for a deviation, would blow up what the test rows differ by.
        for (k, column) in x.columns().into_iter().enumerate() {
            if column.iter().all(|&v| v == column[0]) {
                (mean[k], deviation[k]) = (f64::from(column[0]), 1.0);
            }
        }
        Self { mean, deviation }
    }

    /// In standard layout.
    fn apply(&self, x: ArrayView2<'_, f32>) -> Array2<f64> {
        let standard = (x.mapv(f64::from) - &self.mean) / &self.deviation;
        standard.as_standard_layout().into_owned()
    }
}

fn answers(
    x: &Array2<f64>,
    labels: &[i64],
    rows: &[usize],
    weights: &[f64],
) -> Result<ConfusionMatrix> {
    let mut confusion = ConfusionMatrix::new(2);
    for &i in rows {
        confusion.add(labels[i] as usize, usize::from(margin(x, i, weights) > 0.0))?;
    }
    Ok(confusion)
}

/// A row of a matrix in standard layout, which all matrices here are.
fn row(x: &Array2<f64>, i: usize) -> &[f64] {
    let d = x.ncols();
    let values = x.as_slice();
    &values.expect("Standard::apply gives the standard layout")[i * d..][..d]
}

/// The last weight is the intercept.
fn margin(x: &Array2<f64>, i: usize, weights: &[f64]) -> f64 {
    let row = row(x, i);
    dot(row, &weights[..row.len()]) + weights[row.len()]
}

/// What is minimised: `Σ ln(1 + exp(−y (w·x + b))) + ‖w‖² / (2 C)` over some rows, y being −1 or 1.
struct Problem<'a> {
    x: &'a Array2<f64>,
    labels: &'a [i64],
    rows: &'a [usize],
    strength: f64,
}

/// The objective at some weights.
struct Place {
    weights: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    /// The second derivative of the loss of each row by its margin.
    curvature: Vec<f64>,
}

impl Place {
    /// The largest component of the gradient.
    fn steepness(&self) -> f64 {
        self.gradient.iter().fold(0.0, |m, g| g.abs().max(m))
    }
}

impl<'a> Problem<'a> {
    fn new(x: &'a Array2<f64>, labels: &'a [i64], rows: &'a [usize], strength: f64) -> Self {
        Self {
            x,
            labels,
            rows,
            strength,
        }
    }

    fn at(&self, weights: Vec<f64>) -> Place {
        let d = self.x.ncols();
        let mut gradient: Vec<f64> = weights.iter().map(|w| w / self.strength).collect();
        gradient[d] = 0.0;
        let mut value = dot(&weights[..d], &weights[..d]) / (2.0 * self.strength);
        let mut curvature = Vec::with_capacity(self.rows.len());
        for &i in self.rows {
            let y = 2.0 * self.labels[i] as f64 - 1.0;
            let m = y * margin(self.x, i, &weights);
            value += (-m).max(0.0) + (-m.abs()).exp().ln_1p();
            let wrong = 1.0 / (1.0 + m.exp());
            curvature.push(wrong * (1.0 - wrong));
            let slope = -y * wrong;
            for (g, v) in gradient.iter_mut().zip(row(self.x, i)) {
                *g += slope * v;
            }
            gradient[d] += slope;
        }
        Place {
            weights,
            value,
            gradient,
            curvature,
        }
    }

    /// The factor of the second derivative.
    fn hessian(&self, curvature: &[f64]) -> Result<Cholesky> {
        let d = self.x.ncols();
        let mut gram = GramMatrix::new(d + 1);
        let mut scaled = vec![0.0; d + 1];
        for (&i, c) in self.rows.iter().zip(curvature) {
            let root = c.sqrt();
            for (s, v) in scaled.iter_mut().zip(row(self.x, i)) {
                *s = root * v;
            }
            scaled[d] = root;
            gram.push_row(scaled.iter().copied())?;
        }
        let mut hessian = gram.products();
        for i in 0..d {
            hessian[[i, i]] += 1.0 / self.strength;
        }
        // Without a row near the border the intercept has no curvature left.
        hessian[[d, d]] += 1e-12 * self.rows.len() as f64;
        Cholesky::new(&hessian)
    }

    /// The weights at which no component of the mean gradient is above `tolerance`, by Newton's
    /// method with a backtracking line search. The second derivative is taken again only when steps
    /// with the last one bring little. The objective is strictly convex: there is one minimum.
    fn minimise(&self, start: Vec<f64>, tolerance: f64) -> Result<Vec<f64>> {
        let goal = tolerance * self.rows.len() as f64;
        let mut here = self.at(start);
        let mut factor = self.hessian(&here.curvature)?;
        for _ in 0..MAX_STEPS {
            interrupt::check()?;
            // NaN is left out of the steepness, which would then look like that of a minimum.
            if !here.value.is_finite() {
                return Err(Error::Compute {
                    context: format!("logistic regression with C = {}", self.strength),
                    source: "the loss overflows".into(),
                });
            }
            if here.steepness() <= goal {
                return Ok(here.weights);
            }
            let step = factor.solve(&here.gradient)?;
            let fall = dot(&step, &here.gradient);
            let mut length = 1.0;
            let next = loop {
                let weights = here.weights.iter().zip(&step);
                let next = self.at(weights.map(|(w, s)| w - length * s).collect());
                // Rounding may hide the last gains.
                let rounding = 1e-13 * here.value.abs();
                if next.value <= here.value - 1e-4 * length * fall + rounding || length < 1e-9 {
                    break next;
                }
                length /= 2.0;
            };
            if length < 1.0 || next.steepness() > 0.2 * here.steepness() {
                factor = self.hessian(&next.curvature)?;
            }
            here = next;
        }
        Err(Error::Compute {
            context: format!("logistic regression with C = {}", self.strength),
            source: format!("no convergence after {MAX_STEPS} steps").into(),
        })
    }
}

/// The product of two rows, in 8 partial sums that the compiler turns into vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0f64; LANES];
    let (chunks, others) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = chunks.remainder().iter().zip(others.remainder());
    let rest: f64 = rest.map(|(x, y)| x * y).sum();
    for (x, y) in chunks.zip(others) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests;
