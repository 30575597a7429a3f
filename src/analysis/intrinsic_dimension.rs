//! The dimension of the surface that points lie on.
//!
//! E. Facco, M. d'Errico, A. Rodriguez, A. Laio: Estimating the intrinsic dimension of datasets by a minimal neighborhood
//! information (Scientific Reports 7, 2017).

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

/// The share of points, those with the largest ratios, that the fit leaves out, as the paper does.
const LEFT_OUT: f64 = 0.1;

/// The TwoNN estimate of the intrinsic dimension of the rows of a (points, dimensions) matrix.
///
/// For each point the ratio μ of the distances to its second and to its first neighbour is taken. On a surface of dimension d, μ has the
/// distribution function F = 1 − μ⁻ᵈ; d is the slope of −ln(1 − F) over ln μ through the origin, with F estimated by the rank of μ
/// over the number of points.
/// Points with a twin (distance 0) are left out. NaN for fewer than ten points.
pub fn two_nn(points: ArrayView2<'_, f32>) -> f64 {
    let mut ratios: Vec<f64> = (0..points.nrows())
        .into_par_iter()
        .filter_map(|i| ratio(points, i))
        .collect();
    let n = ratios.len();
    if n < 10 {
        return f64::NAN;
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let kept = (n as f64 * (1.0 - LEFT_OUT)) as usize;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (rank, ratio) in ratios[..kept].iter().enumerate() {
        let (x, y) = (ratio.ln(), -(1.0 - (rank + 1) as f64 / n as f64).ln());
        xy += x * y;
        xx += x * x;
    }
    xy / xx
}

/// The ratio of the distances to the second and to the first neighbour of row `i`.
fn ratio(points: ArrayView2<'_, f32>, i: usize) -> Option<f64> {
    let own = points.row(i);
    let (mut first, mut second) = (f64::INFINITY, f64::INFINITY);
    for (j, other) in points.axis_iter(Axis(0)).enumerate() {
        if i == j {
            continue;
        }
        let square: f64 = own
            .iter()
            .zip(other)
            .map(|(&a, &b)| f64::from(a - b).powi(2))
            .sum();
        if square < first {
            (first, second) = (square, first);
        } else if square < second {
            second = square;
        }
    }
    (first > 0.0 && second.is_finite()).then(|| (second / first).sqrt())
}
