//! How far apart two classes of vectors point.

use ndarray::{ArrayView2, Axis};

use crate::error::{Error, Result};

/// The similarity of the vectors of two classes, by cosine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassSimilarity {
    /// The mean cosine of all pairs of class 0; NaN for fewer than two vectors.
    pub within_0: f64,
    /// The mean cosine of all pairs of class 1.
    pub within_1: f64,
    /// The mean cosine of all pairs of one vector of each class.
    pub between: f64,
    /// The mean silhouette (Rousseeuw 1987) with the cosine distance 1 − cos: `(b − a) / max(a, b)` for each vector, a its mean distance
    /// to the others of its class, b to the other class; between −1 and 1. A class of one vector counts 0.
    pub silhouette: f64,
}

/// The similarity within and between the classes of the rows of a (vectors, dimensions) matrix, labels 0 and 1. All pairs are counted,
/// from sums of unit vectors: the cost is that of one pass.
///
/// # Errors
/// [`Error::Mismatch`] when labels and rows differ in number or a label is neither 0 nor 1.
pub fn class_similarity(vectors: ArrayView2<'_, f32>, labels: &[i64]) -> Result<ClassSimilarity> {
    if vectors.nrows() != labels.len() || labels.iter().any(|l| !(0..=1).contains(l)) {
        return Err(Error::Mismatch(format!(
            "{} vectors and {} labels, which must be 0 or 1",
            vectors.nrows(),
            labels.len()
        )));
    }
    let unit = |row: ndarray::ArrayView1<'_, f32>| {
        let row = row.mapv(f64::from);
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 { row / norm } else { row }
    };
    let mut sums = [
        ndarray::Array1::<f64>::zeros(vectors.ncols()),
        ndarray::Array1::zeros(vectors.ncols()),
    ];
    let (mut counts, mut squares) = ([0.0f64; 2], [0.0f64; 2]);
    for (row, &label) in vectors.axis_iter(Axis(0)).zip(labels) {
        let (row, class) = (unit(row), label as usize);
        counts[class] += 1.0;
        squares[class] += row.dot(&row);
        sums[class] += &row;
    }
    let mut silhouette = 0.0;
    for (row, &label) in vectors.axis_iter(Axis(0)).zip(labels) {
        let (row, own) = (unit(row), label as usize);
        if counts[own] < 2.0 || counts[1 - own] < 1.0 {
            continue;
        }
        let near = 1.0 - (row.dot(&sums[own]) - row.dot(&row)) / (counts[own] - 1.0);
        let far = 1.0 - row.dot(&sums[1 - own]) / counts[1 - own];
        let longest = near.max(far);
        if longest > 0.0 {
            silhouette += (far - near) / longest;
        }
    }
    let within = |c: usize| {
        let pairs = counts[c] * (counts[c] - 1.0);
        if pairs > 0.0 {
            (sums[c].dot(&sums[c]) - squares[c]) / pairs
        } else {
            f64::NAN
        }
    };
    Ok(ClassSimilarity {
        within_0: within(0),
        within_1: within(1),
        between: sums[0].dot(&sums[1]) / (counts[0] * counts[1]),
        silhouette: silhouette / labels.len() as f64,
    })
}
