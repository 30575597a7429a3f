//! Eigenvalues and singular values.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatRef, Par, Side};
use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result};

fn as_faer<'a>(x: &'a Array2<f64>) -> Option<MatRef<'a, f64>> {
    let (rows, columns) = x.dim();
    x.as_slice()
        .map(|values| MatRef::from_row_major_slice(values, rows, columns))
}

fn failed(what: &str, shape: (usize, usize)) -> Error {
    Error::Compute {
        context: format!("{what} of a matrix of shape {shape:?}"),
        source: "no convergence: the matrix holds NaN or infinite values".into(),
    }
}

/// The eigenvalues of a symmetric matrix, in rising order; only its lower half is read. On the calling thread where that is one of a
/// parallel loop, else on all.
///
/// # Errors
/// [`Error::Compute`] when the iteration does not converge (NaN, infinity) and [`Error::Mismatch`] when it is not square.
pub fn symmetric_eigenvalues(x: &Array2<f64>) -> Result<Vec<f64>> {
    let shape = x.dim();
    if shape.0 != shape.1 {
        return Err(Error::Mismatch(format!(
            "eigenvalues need a square matrix, not one of shape {shape:?}"
        )));
    }
    let x = x.as_standard_layout();
    finite(x.view(), "eigenvalues")?;
    let par = match rayon::current_thread_index() {
        Some(_) => Par::Seq,
        None => Par::rayon(0),
    };
    let space =
        self_adjoint_evd_scratch::<f64>(shape.0, ComputeEigenvectors::No, par, Default::default());
    let mut values = Diag::<f64>::zeros(shape.0);
    x.as_slice()
        .map(|values| MatRef::from_row_major_slice(values, shape.0, shape.0))
        .and_then(|x| {
            let stack = &mut MemBuffer::try_new(space).ok()?;
            let stack = MemStack::new(stack);
            self_adjoint_evd(x, values.as_mut(), None, par, stack, Default::default()).ok()
        })
        .ok_or_else(|| failed("eigenvalues", shape))?;
    Ok(values.column_vector().iter().copied().collect())
}

/// The axes of a symmetric matrix C without negative eigenvalues, each as long as the root of its eigenvalue, that hold the `share` of
/// its square norm `Σ λ²`: as few rows B, in falling order of λ, as it takes for `BᵀB` to stand for C. No row for zeros.
///
/// # Errors
/// As [`symmetric_eigenvalues`].
pub fn leading_axes(x: &Array2<f64>, share: f64) -> Result<Array2<f32>> {
    let shape = x.dim();
    let x = x.as_standard_layout().into_owned();
    finite(x.view(), "axes")?;
    super::on_this_thread();
    let parts = as_faer(&x)
        .filter(|_| shape.0 == shape.1)
        .and_then(|m| m.self_adjoint_eigen(Side::Lower).ok())
        .ok_or_else(|| failed("axes", shape))?;
    let (values, axes) = (parts.S().column_vector(), parts.U());
    let falling: Vec<f64> = (0..shape.0).rev().map(|k| values[k].max(0.0)).collect();
    let goal = share * falling.iter().map(|v| v * v).sum::<f64>();
    let mut held = 0.0;
    let kept = falling.iter().take_while(|&&v| {
        let wanted = held < goal && v > 0.0;
        held += v * v;
        wanted
    });
    let kept = kept.count();
    Ok(Array2::from_shape_fn((kept, shape.0), |(k, i)| {
        (falling[k].sqrt() * axes[(i, shape.0 - 1 - k)]) as f32
    }))
}

/// The singular values of a matrix, in falling order.
///
/// # Errors
/// [`Error::Compute`] when the iteration does not converge (NaN, infinity).
pub fn singular_values(x: &Array2<f64>) -> Result<Vec<f64>> {
    let x = x.as_standard_layout().into_owned();
    finite(x.view(), "singular values")?;
    super::on_this_thread();
    as_faer(&x)
        .and_then(|m| m.singular_values().ok())
        .ok_or_else(|| failed("singular values", x.dim()))
}

fn finite(x: ArrayView2<'_, f64>, what: &str) -> Result<()> {
    if x.iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(failed(what, x.dim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let got = symmetric_eigenvalues(&ndarray::array![[2.0, 99.0], [1.0, 2.0]]).unwrap();
        assert!((got[0] - 1.0).abs() < 1e-14 && (got[1] - 3.0).abs() < 1e-14);
        let got = singular_values(&ndarray::array![[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]]).unwrap();
        assert!((got[0] - 4.0).abs() < 1e-14 && (got[1] - 3.0).abs() < 1e-14);
        assert!(symmetric_eigenvalues(&Array2::zeros((1, 2))).is_err());
    }

    #[test]
    fn axes_stand_for_the_matrix() {
        let b = ndarray::array![[3.0, 0.0, 4.0], [0.0, 2.0, 0.0], [0.01, 0.0, 0.0]];
        let c = b.t().dot(&b);
        let all = leading_axes(&c, 1.0).unwrap().mapv(f64::from);
        for (got, want) in all.t().dot(&all).iter().zip(&c) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
        // eigenvalues near 25, 4 and 0: squares 625 and 16
        assert_eq!(leading_axes(&c, 0.99).unwrap().nrows(), 2);
        assert_eq!(leading_axes(&c, 0.97).unwrap().nrows(), 1);
        assert_eq!(
            leading_axes(&Array2::zeros((3, 3)), 0.9).unwrap().nrows(),
            0
        );
        assert!(leading_axes(&Array2::zeros((2, 3)), 0.9).is_err());
    }

    #[test]
    fn not_a_number_is_an_error() {
        let x = ndarray::array![[1.0, f64::NAN], [f64::NAN, 1.0]];
        assert!(symmetric_eigenvalues(&x).is_err());
        assert!(singular_values(&x).is_err());
    }
}
