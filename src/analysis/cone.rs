//! Do the sentences of a class lie in a cone? The cosine of every sentence's vector with the very first one.

use ndarray::{ArrayView1, ArrayView2, Axis};

use crate::error::{Error, Result};

/// The cosines of the rows of several (sentences, hidden) matrices, in their order, each with the first row of the first
/// matrix; computed in f64. The first cosine is 1. A row of zeros has cosine 0, and all have when the first is one.
///
/// # Errors
/// [`Error::Mismatch`] when there is no row, the matrices differ in width, or a number is NaN or infinite.
pub fn cosines_with_first(parts: &[ArrayView2<'_, f32>]) -> Result<Vec<f64>> {
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
}
