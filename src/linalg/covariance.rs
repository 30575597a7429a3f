//! The covariance of row vectors.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};

/// The mean of the rows, in f64; zeros when there is none.
fn mean(rows: ArrayView2<'_, f32>) -> Array1<f64> {
    let mut sum = Array1::<f64>::zeros(rows.ncols());
    for row in rows.axis_iter(Axis(0)) {
        sum.zip_mut_with(&row, |s, &x| *s += f64::from(x));
    }
    let n = rows.nrows().max(1) as f64;
    sum.mapv_into(|s| s / n)
}

/// The trace of the covariance of the rows of a (vectors, dimensions) matrix, with n − 1: the sum of the variances of its
/// columns, `Σᵢ ‖xᵢ − x̄‖² / (n − 1)`, as `np.trace(np.cov(x.T))` gives it. Two passes, in f64.
///
/// One row has no covariance: NaN, like NumPy. Two equal rows give 0.
pub fn covariance_trace(rows: ArrayView2<'_, f32>) -> f64 {
    if rows.nrows() < 2 {
        return f64::NAN;
    }
    let mean = mean(rows);
    // By column, so that the compiler finds vector instructions.
    let mut squares = Array1::<f64>::zeros(rows.ncols());
    for row in rows.axis_iter(Axis(0)) {
        let sums = Zip::from(&mut squares).and(&row).and(&mean);
        sums.for_each(|s, &x, m| *s += (f64::from(x) - m).powi(2));
    }
    squares.sum() / (rows.nrows() - 1) as f64
}

/// The (dimensions, dimensions) covariance of the rows, with n − 1, as `np.cov(x.T)` gives it. NaN for one row.
pub fn covariance(rows: ArrayView2<'_, f32>) -> Array2<f64> {
    let (n, columns) = rows.dim();
    if n < 2 {
        return Array2::from_elem((columns, columns), f64::NAN);
    }
    let centred = rows.mapv(f64::from) - &mean(rows);
    centred.t().dot(&centred) / (n - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn by_hand() {
        let x = array![[1.0f32, 2.0], [3.0, 2.0], [5.0, 5.0]];
        assert_eq!(covariance(x.view()), array![[4.0, 3.0], [3.0, 3.0]]);
        assert_eq!(covariance_trace(x.view()), 7.0);
    }

    #[test]
    fn few_rows() {
        let x = array![[1.0f32, 2.0], [1.0, 2.0]];
        assert_eq!(covariance_trace(x.view()), 0.0);
        assert!(covariance_trace(x.slice(ndarray::s![..1, ..])).is_nan());
        assert!(covariance_trace(x.slice(ndarray::s![..0, ..])).is_nan());
        assert!(
            covariance(x.slice(ndarray::s![..1, ..]))
                .iter()
                .all(|v| v.is_nan())
        );
    }

    #[test]
    fn a_far_mean_costs_no_digits() {
        let near = array![[0.0f32, 1.0], [2.0, 3.0], [4.0, 8.0]];
        let far = near.mapv(|v| v + 1e4);
        let (a, b) = (covariance_trace(near.view()), covariance_trace(far.view()));
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}
