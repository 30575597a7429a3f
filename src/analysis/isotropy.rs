//! IsoScore: how evenly a cloud of points uses its dimensions.
//!
//! W. Rudman, N. Gillman, T. Rayne, C. Eickhoff: IsoScore: measuring the uniformity of embedding space utilization (Findings of
//! ACL 2022).

use ndarray::Array2;

use crate::error::Result;
use crate::linalg::symmetric_eigenvalues;

/// The IsoScore of points with this covariance: 1 when the variance is the same in every direction, 0 when all of it lies in one.
///
/// With λ the eigenvalues of the covariance (the variances along its principal components), n their number, λ̂ = √n λ / ‖λ‖ and
/// the defect δ = ‖λ̂ − 1‖ / √(2 (n − √n)): `((n − δ² (n − √n))² − n) / (n (n − 1))`. NaN for one dimension or no variance.
///
/// # Errors
/// [`Error::Compute`](crate::error::Error::Compute) when the covariance holds NaN or infinity.
pub fn iso_score(covariance: &Array2<f64>) -> Result<f64> {
    let values = symmetric_eigenvalues(covariance)?;
    let n = values.len() as f64;
    let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let defect_squared = values
        .iter()
        .map(|v| (n.sqrt() * v.max(0.0) / length - 1.0).powi(2))
        .sum::<f64>()
        / (2.0 * (n - n.sqrt()));
    let kept = n - defect_squared * (n - n.sqrt());
    Ok((kept * kept - n) / (n * (n - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_ends() {
        assert!((iso_score(&Array2::eye(5)).unwrap() - 1.0).abs() < 1e-12);
        let mut line = Array2::zeros((5, 5));
        line[[2, 2]] = 3.0;
        assert!(iso_score(&line).unwrap().abs() < 1e-12);
        assert!(iso_score(&Array2::zeros((5, 5))).unwrap().is_nan());
        // k equal variances of n give (k − 1) / (n − 1), as the paper's section 4 shows
        let three = Array2::from_diag(&ndarray::array![2.0, 0.0, 2.0, 2.0, 0.0]);
        assert!((iso_score(&three).unwrap() - 0.5).abs() < 1e-12);
    }
}
