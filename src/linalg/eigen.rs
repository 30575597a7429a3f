//! Eigenvalues and singular values.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatRef, Par, Side};
use ndarray::{Array2, ArrayView2};

use super::row_major;
use crate::error::{Error, Result};

fn failed(what: &str, shape: (usize, usize), why: &str) -> Error {
    Error::Compute {
        context: format!("{what} of a matrix of shape {shape:?}"),
        source: why.into(),
    }
}

const NO_CONVERGENCE: &str = "the iteration does not converge";

fn square(x: &Array2<f64>, what: &str) -> Result<usize> {
    match x.dim() {
        (rows, columns) if rows == columns => Ok(rows),
        shape => Err(Error::Mismatch(format!(
            "{what} need a square matrix, not one of shape {shape:?}"
        ))),
    }
}

/// The eigenvalues of a symmetric matrix, in rising order; only its lower half is read. On the
/// calling thread where that is one of a parallel loop, else on all.
///
/// # Errors
/// [`Error::Compute`] when a number is NaN or infinite, the iteration does not converge or memory
/// does not suffice, and [`Error::Mismatch`] when the matrix is not square.
pub(crate) fn symmetric_eigenvalues(x: &Array2<f64>) -> Result<Vec<f64>> {
    let n = square(x, "eigenvalues")?;
    let x = x.as_standard_layout();
    finite(x.view(), "eigenvalues")?;
    let par = match rayon::current_thread_index() {
        Some(_) => Par::Seq,
        None => Par::rayon(0),
    };
    let space =
        self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::No, par, Default::default());
    let mut values = Diag::<f64>::zeros(n);
    let matrix = MatRef::from_row_major_slice(row_major(&x), n, n);
    let mut memory = MemBuffer::try_new(space)
        .map_err(|_| failed("eigenvalues", (n, n), "not enough memory"))?;
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(
        matrix,
        values.as_mut(),
        None,
        par,
        stack,
        Default::default(),
    )
    .map_err(|_| failed("eigenvalues", (n, n), NO_CONVERGENCE))?;
    Ok(values.column_vector().iter().copied().collect())
}

/// The axes of a symmetric matrix C without negative eigenvalues, each as long as the root of its
/// eigenvalue, that hold the `share` of its square norm `Σ λ²`: as few rows B, in falling order of
/// λ, as it takes for `BᵀB` to stand for C. No row for zeros.
///
/// # Errors
/// As [`symmetric_eigenvalues`].
///
/// # Panics
/// When the share is not above 0 and at most 1.
pub(crate) fn leading_axes(x: &Array2<f64>, share: f64) -> Result<Array2<f32>> {
    assert!(share > 0.0 && share <= 1.0, "{share} is no share");
    let n = square(x, "axes")?;
    let x = x.as_standard_layout();
    finite(x.view(), "axes")?;
    if n == 0 {
        return Ok(Array2::zeros((0, 0)));
    }
    super::on_this_thread();
    let parts = MatRef::from_row_major_slice(row_major(&x), n, n)
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| failed("axes", (n, n), NO_CONVERGENCE))?;
    let (values, axes) = (parts.S().column_vector(), parts.U());
    let falling: Vec<f64> = (0..n).rev().map(|k| values[k].max(0.0)).collect();
    let goal = share * falling.iter().map(|v| v * v).sum::<f64>();
    let mut held = 0.0;
    let kept = falling.iter().take_while(|&&v| {
        let wanted = held < goal && v > 0.0;
        held += v * v;
        wanted
    });
    let kept = kept.count();
    Ok(Array2::from_shape_fn((kept, n), |(k, i)| {
        (falling[k].sqrt() * axes[(i, n - 1 - k)]) as f32
    }))
}

/// The singular values of a matrix, in falling order: as many as its smaller side, none without a
/// row or a column.
///
/// # Errors
/// [`Error::Compute`] when a number is NaN or infinite or the iteration does not converge.
pub(crate) fn singular_values(x: &Array2<f64>) -> Result<Vec<f64>> {
    let (rows, columns) = x.dim();
    let x = x.as_standard_layout();
    finite(x.view(), "singular values")?;
    super::on_this_thread();
    MatRef::from_row_major_slice(row_major(&x), rows, columns)
        .singular_values()
        .map_err(|_| failed("singular values", (rows, columns), NO_CONVERGENCE))
}

fn finite(x: ArrayView2<'_, f64>, what: &str) -> Result<()> {
    if x.iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(failed(what, x.dim(), "it holds NaN or infinite values"))
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
        let error = leading_axes(&Array2::zeros((2, 3)), 0.9).unwrap_err();
        assert!(error.to_string().contains("square"), "{error}");
    }

    #[test]
    fn nothing_has_no_values() {
        assert!(
            symmetric_eigenvalues(&Array2::zeros((0, 0)))
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            leading_axes(&Array2::zeros((0, 0)), 1.0).unwrap().dim(),
            (0, 0)
        );
        for shape in [(0, 0), (0, 3), (3, 0)] {
            assert!(singular_values(&Array2::zeros(shape)).unwrap().is_empty());
        }
        assert_eq!(singular_values(&Array2::zeros((2, 3))).unwrap(), [0.0, 0.0]);
    }

    /// The order in memory does not matter.
    #[test]
    fn a_transposed_matrix_is_read_by_its_rows() {
        let x = ndarray::array![[3.0, 1.0], [0.0, 2.0], [1.0, 5.0]];
        let by_columns = x.t().as_standard_layout().into_owned().reversed_axes();
        assert!(by_columns.as_slice().is_none());
        assert_eq!(
            singular_values(&by_columns).unwrap(),
            singular_values(&x).unwrap()
        );
    }

    #[test]
    fn not_a_number_is_an_error() {
        let x = ndarray::array![[1.0, f64::NAN], [f64::NAN, 1.0]];
        assert!(symmetric_eigenvalues(&x).is_err());
        assert!(leading_axes(&x, 0.9).is_err());
        assert!(singular_values(&x).is_err());
    }
}
