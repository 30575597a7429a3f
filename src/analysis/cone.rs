//! Do the sentences of a class lie in a cone? The cosine of every sentence's vector with the very
//! first one, and how far apart the vectors of two classes point.

use ndarray::{ArrayView1, ArrayView2, Axis};

use crate::error::{Error, Result};

/// The cosines of the rows of several (sentences, hidden) matrices, in their order, each with the
/// first row of the first matrix; computed in f64. The first cosine is 1. A row of zeros has cosine
/// 0, and all have when the first is one.
///
/// # Errors
/// [`Error::Mismatch`] when there is no row, the matrices differ in width, or a number is NaN or
/// infinite.
pub(crate) fn cosines_with_first(parts: &[ArrayView2<'_, f32>]) -> Result<Vec<f64>> {
    let rows = || parts.iter().flat_map(|part| part.axis_iter(Axis(0)));
    let Some(first) = rows().next() else {
        return Err(Error::Mismatch("no sentence to compare with".into()));
    };
    if let Some(other) = parts.iter().find(|p| p.ncols() != first.len()) {
        return Err(Error::Mismatch(format!(
            "sentences have vectors of {} and of {} dimensions",
            first.len(),
            other.ncols()
        )));
    }
    if let Some(row) = rows().position(|row| row.iter().any(|v| !v.is_finite())) {
        return Err(Error::Mismatch(format!(
            "the vector of sentence {row} holds NaN or infinite values"
        )));
    }
    let norm = product(first, first).sqrt();
    Ok(rows()
        .map(|row| {
            let norms = norm * product(row, row).sqrt();
            if norms > 0.0 {
                product(first, row) / norms
            } else {
                0.0
            }
        })
        .collect())
}

fn product(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| f64::from(x) * f64::from(y))
        .sum()
}

/// A distance that is no larger comes from rounding.
const ROUNDING: f64 = 1e-10;

/// The similarity of the vectors of two classes, by cosine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassSimilarity {
    /// The mean cosine of all pairs of class 0; NaN for fewer than two vectors.
    pub within_0: f64,
    /// The mean cosine of all pairs of class 1; NaN for fewer than two vectors.
    pub within_1: f64,
    /// The mean cosine of all pairs of one vector of each class; NaN when a class has none.
    pub between: f64,
    /// The mean silhouette (Rousseeuw 1987) with the cosine distance 1 − cos: `(b − a) / max(a, b)`
    /// for each vector, a its mean distance to the others of its class, b to the other class;
    /// between −1 and 1. The vector of a class of one counts 0, and so do vectors that all point
    /// the same way. NaN when a class has no vector.
    pub silhouette: f64,
}

/// The similarity within and between the classes of the rows of a (vectors, dimensions) matrix,
/// labels 0 and 1. All pairs are counted, from sums of unit vectors: the cost is that of one pass.
/// A vector of zeros has cosine 0 with every other.
///
/// # Errors
/// [`Error::Mismatch`] when labels and rows differ in number, a label is neither 0 nor 1, or a
/// number is NaN or infinite.
pub fn class_similarity(vectors: ArrayView2<'_, f32>, labels: &[i64]) -> Result<ClassSimilarity> {
    if vectors.nrows() != labels.len() || labels.iter().any(|l| !(0..=1).contains(l)) {
        return Err(Error::Mismatch(format!(
            "{} vectors and {} labels, which must be 0 or 1",
            vectors.nrows(),
            labels.len()
        )));
    }
    if vectors.iter().any(|v| !v.is_finite()) {
        return Err(Error::Mismatch(
            "a vector holds NaN or infinite values".into(),
        ));
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
        let (row, class) = (unit(row), label as usize);
        if counts[class] < 2.0 {
            continue;
        }
        let near = 1.0 - (row.dot(&sums[class]) - row.dot(&row)) / (counts[class] - 1.0);
        let far = 1.0 - row.dot(&sums[1 - class]) / counts[1 - class];
        let longest = near.max(far);
        if longest > ROUNDING {
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
        silhouette: match counts {
            [0.0, _] | [_, 0.0] => f64::NAN,
            _ => silhouette / labels.len() as f64,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn by_hand() {
        let (a, b) = (
            array![[3.0f32, 0.0], [1.0, 1.0]],
            array![[-2.0f32, 0.0], [0.0, 0.0]],
        );
        let got = cosines_with_first(&[a.view(), b.view()]).unwrap();
        assert_eq!(got[0], 1.0);
        assert!((got[1] - 0.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(got[2..], [-1.0, 0.0]);
        assert!(cosines_with_first(&[]).is_err());
        assert!(cosines_with_first(&[a.view(), array![[1.0f32]].view()]).is_err());
        let empty = ndarray::Array2::zeros((0, 2));
        assert_eq!(
            cosines_with_first(&[empty.view(), a.view()]).unwrap()[0],
            1.0
        );
        assert!(cosines_with_first(&[empty.view()]).is_err());
        assert_eq!(
            cosines_with_first(&[array![[0.0f32, 0.0]].view(), a.view()]).unwrap(),
            [0.0; 3]
        );
    }

    #[test]
    fn not_a_number_is_no_cosine_of_0() {
        let a = array![[3.0f32, 0.0]];
        for bad in [f32::NAN, f32::INFINITY] {
            let error = cosines_with_first(&[a.view(), array![[1.0, bad]].view()]).unwrap_err();
            assert!(error.to_string().contains("sentence 1"), "{error}");
        }
    }

    #[test]
    fn vectors_that_are_all_the_same_lie_in_no_class() {
        let x = ndarray::Array2::from_shape_fn((101, 7), |(_, j)| 0.1 + j as f32 / 3.0);
        let labels: Vec<i64> = (0..101).map(|i| i % 2).collect();
        let found = class_similarity(x.view(), &labels).unwrap();
        assert_eq!(found.silhouette, 0.0);
        for cosine in [found.within_0, found.within_1, found.between] {
            assert!((cosine - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn classes_of_few_vectors() {
        let x = array![[1.0f32, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]];
        let of = |n: usize, labels: &[i64]| {
            class_similarity(x.slice(ndarray::s![..n, ..]), labels).unwrap()
        };
        let one_class = of(3, &[0, 0, 0]);
        assert!(one_class.within_0.is_finite() && one_class.within_1.is_nan());
        assert!(one_class.between.is_nan() && one_class.silhouette.is_nan());
        let one_each = of(2, &[0, 1]);
        assert!(one_each.within_0.is_nan() && one_each.within_1.is_nan());
        assert_eq!((one_each.between, one_each.silhouette), (0.0, 0.0));
        let nothing = of(0, &[]);
        assert!(nothing.between.is_nan() && nothing.silhouette.is_nan());
        // 1/√2 with the first one, 0 with zeros
        let zeros = of(4, &[0, 1, 0, 0]);
        assert!((zeros.within_0 - 0.5f64.sqrt() / 3.0).abs() < 1e-15);
    }

    #[test]
    fn wrong_input_is_refused() {
        let x = array![[1.0f32], [2.0]];
        assert!(class_similarity(x.view(), &[0]).is_err());
        assert!(class_similarity(x.view(), &[0, 2]).is_err());
        for bad in [f32::NAN, f32::INFINITY] {
            let x = array![[1.0f32], [bad]];
            assert!(class_similarity(x.view(), &[0, 1]).is_err());
        }
    }
}
