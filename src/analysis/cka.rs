//! Linear CKA: how alike representations of the same points are.
//!
//! S. Kornblith, M. Norouzi, H. Lee, G. Hinton: Similarity of neural network representations revisited (ICML 2019).

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{Error, Result};
use crate::linalg::cross_products;

/// A representation of some points, its columns centred.
#[derive(Debug, Clone)]
pub struct Representation {
    centred: Array2<f64>,
    /// `‖XᵀX‖`, the Frobenius norm.
    own: f64,
}

impl Representation {
    /// The representation of (points, dimensions).
    pub fn new(x: ArrayView2<'_, f32>) -> Self {
        let x = x.mapv(f64::from);
        let centred = match x.mean_axis(Axis(0)) {
            Some(mean) => x - mean,
            None => x,
        };
        let own = square(&centred, &centred).sqrt();
        Self { centred, own }
    }

    /// Linear CKA with another representation of the same points: `‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖)` with Frobenius norms. 1 when one is a
    /// rotation and scaling of the other, 0 when they have nothing in common. NaN when one does not vary.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they have different numbers of points.
    pub fn cka(&self, other: &Self) -> Result<f64> {
        let (mine, theirs) = (self.centred.nrows(), other.centred.nrows());
        if mine != theirs {
            return Err(Error::Mismatch(format!(
                "CKA compares the same points: {mine} and {theirs} were given"
            )));
        }
        Ok(square(&self.centred, &other.centred) / (self.own * other.own))
    }
}

fn square(x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    cross_products(x.view(), y.view())
        .iter()
        .map(|v| v * v)
        .sum()
}
