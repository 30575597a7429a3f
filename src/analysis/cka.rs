//! Linear CKA: how alike two representations of the same points are.
//!
//! S. Kornblith, M. Norouzi, H. Lee, G. Hinton: Similarity of neural network representations revisited (ICML 2019).

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{Error, Result};

/// Linear CKA of X (points, p) and Y (points, q), their columns centred: `‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖)` with Frobenius norms. 1 when
/// one is a rotation and scaling of the other, 0 when they have nothing in common. NaN when one does not vary.
///
/// # Errors
/// [`Error::Mismatch`] when they have different numbers of points.
pub fn linear_cka(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> Result<f64> {
    if x.nrows() != y.nrows() {
        return Err(Error::Mismatch(format!(
            "CKA compares the same points: {} and {} were given",
            x.nrows(),
            y.nrows()
        )));
    }
    let (x, y) = (centred(x), centred(y));
    let square = |a: &Array2<f64>, b: &Array2<f64>| a.t().dot(b).mapv(|v| v * v).sum();
    Ok(square(&y, &x) / (square(&x, &x) * square(&y, &y)).sqrt())
}

fn centred(x: ArrayView2<'_, f32>) -> Array2<f64> {
    let x = x.mapv(f64::from);
    match x.mean_axis(Axis(0)) {
        Some(mean) => x - mean,
        None => x,
    }
}
