//! Linear equations with a positive definite matrix.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatRef, Side};
use ndarray::Array2;

use super::row_major;
use crate::error::{Error, Result};

/// The factor L of a symmetric positive definite matrix A = L Lᵀ.
pub(crate) struct Cholesky {
    factor: Llt<f64>,
    size: usize,
}

impl Cholesky {
    /// Factor a square matrix; only its lower half is read.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it is not square, [`Error::Compute`] when it is not positive
    /// definite.
    pub(crate) fn new(matrix: &Array2<f64>) -> Result<Self> {
        let (rows, columns) = matrix.dim();
        if rows != columns {
            return Err(Error::Mismatch(format!(
                "a Cholesky factor needs a square matrix, not one of shape {:?}",
                matrix.dim()
            )));
        }
        super::on_this_thread();
        let values = matrix.as_standard_layout();
        let matrix = MatRef::from_row_major_slice(row_major(&values), rows, columns);
        let factor = matrix.llt(Side::Lower).map_err(|_| Error::Compute {
            context: format!("Cholesky factor of a matrix of {rows} rows"),
            source: "it is not positive definite".into(),
        })?;
        Ok(Self { factor, size: rows })
    }

    /// The solution x of A x = b.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when `b` has another length than A has rows.
    pub(crate) fn solve(&self, b: &[f64]) -> Result<Vec<f64>> {
        if b.len() != self.size {
            return Err(Error::Mismatch(format!(
                "{} equations with {} right-hand sides",
                self.size,
                b.len()
            )));
        }
        let x = self.factor.solve(Mat::from_fn(b.len(), 1, |i, _| b[i]));
        Ok((0..b.len()).map(|i| x[(i, 0)]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn equations_are_solved() {
        let a = array![[4.0, 9.0, 9.0], [2.0, 5.0, 9.0], [0.4, -1.0, 3.0]];
        // the upper half is not read: A = [[4, 2, .4], [2, 5, −1], [.4, −1, 3]]
        let x = Cholesky::new(&a).unwrap().solve(&[9.2, 9.0, 7.4]).unwrap();
        let want = [1.0, 2.0, 3.0];
        let b = [4.0 + 4.0 + 1.2, 2.0 + 10.0 - 3.0, 0.4 - 2.0 + 9.0];
        assert_eq!(b, [9.2, 9.0, 7.4]);
        for (got, want) in x.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn what_has_no_factor_is_refused() {
        assert!(Cholesky::new(&array![[1.0, 0.0], [2.0, 1.0]]).is_err());
        assert!(Cholesky::new(&Array2::zeros((2, 3))).is_err());
        let one = Cholesky::new(&Array2::eye(2)).unwrap();
        assert!(one.solve(&[1.0]).is_err());
        assert!(Cholesky::new(&array![[1.0, 0.0], [0.0, f64::NAN]]).is_err());
        let none = Cholesky::new(&Array2::zeros((0, 0))).unwrap();
        assert!(none.solve(&[]).unwrap().is_empty());
    }
}
