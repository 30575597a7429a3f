//! The dimension of the surface that points lie on.
//!
//! E. Facco, M. d'Errico, A. Rodriguez, A. Laio: Estimating the intrinsic dimension of datasets by a minimal neighborhood
//! information (Scientific Reports 7, 2017).

use ndarray::{ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::linalg::row_products;

/// The share of points, those with the largest ratios, that the fit leaves out, as the paper does.
const LEFT_OUT: f64 = 0.1;
/// Points whose products are taken at once.
const BLOCK: usize = 128;
/// The error of a squared distance from products in single precision, as a share of the two squared lengths: ten times what is met.
const ROUGHNESS: f32 = 1e-5;

/// The TwoNN estimate of the intrinsic dimension of the rows of a (points, dimensions) matrix.
///
/// For each point the ratio μ of the distances to its second and to its first neighbour is taken. On a surface of dimension d, μ has the
/// distribution function F = 1 − μ⁻ᵈ; d is the slope of −ln(1 − F) over ln μ through the origin, with F estimated by the rank of μ
/// over the number of points.
/// Points with a twin (distance 0) are left out. NaN for fewer than ten points.
///
/// One matrix product finds for each point the few others that may be its neighbours; their distances are then taken one by one.
pub fn two_nn(points: ArrayView2<'_, f32>) -> f64 {
    let Some(mean) = points.mean_axis(Axis(0)) else {
        return f64::NAN;
    };
    // Around their mean, where single precision tells distances best.
    let centred = &points - &mean;
    let squares: Vec<f32> = centred.rows().into_iter().map(|r| r.dot(&r)).collect();
    let blocks: Vec<usize> = (0..points.nrows()).step_by(BLOCK).collect();
    let mut ratios: Vec<f64> = blocks
        .into_par_iter()
        .flat_map_iter(|from| {
            let to = points.nrows().min(from + BLOCK);
            let products = row_products(centred.slice(s![from..to, ..]), centred.view());
            let ratios = (from..to).map(|i| ratio(points, i, products.row(i - from), &squares));
            ratios.flatten().collect::<Vec<f64>>()
        })
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

/// The ratio of the distances to the second and to the first neighbour of row `i`, whose products with all rows are `products`.
fn ratio(
    points: ArrayView2<'_, f32>,
    i: usize,
    products: ArrayView1<'_, f32>,
    squares: &[f32],
) -> Option<f64> {
    let rough = |j: usize| squares[i] + squares[j] - 2.0 * products[j];
    let slack = |j: usize| ROUGHNESS * (squares[i] + squares[j]);
    let others = || (0..squares.len()).filter(|&j| j != i);
    // Two points are certainly not farther than this.
    let (mut first, mut second) = (f32::INFINITY, f32::INFINITY);
    for j in others() {
        let most = rough(j) + slack(j);
        if most < first {
            (first, second) = (most, first);
        } else if most < second {
            second = most;
        }
    }
    let limit = second;
    let (mut first, mut second) = (f64::INFINITY, f64::INFINITY);
    for j in others().filter(|&j| rough(j) - slack(j) <= limit) {
        let square = square_distance(points, i, j);
        if square < first {
            (first, second) = (square, first);
        } else if square < second {
            second = square;
        }
    }
    (first > 0.0 && second.is_finite()).then(|| (second / first).sqrt())
}

fn square_distance(points: ArrayView2<'_, f32>, i: usize, j: usize) -> f64 {
    let pairs = points.row(i).into_iter().zip(points.row(j));
    pairs.map(|(&a, &b)| f64::from(a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use ndarray::Array2;

    /// The same without a product: every distance of every point.
    fn one_by_one(points: &Array2<f32>, i: usize) -> Option<f64> {
        let mut squares: Vec<f64> = (0..points.nrows())
            .filter(|&j| j != i)
            .map(|j| square_distance(points.view(), i, j))
            .collect();
        squares.sort_unstable_by(f64::total_cmp);
        (squares[0] > 0.0).then(|| (squares[1] / squares[0]).sqrt())
    }

    #[test]
    fn neighbours_are_those_of_all_distances() {
        let mut random = Stream::new(3, "points");
        // far from the origin, in dimensions of very different sizes, some points close together, two equal
        let mut points = Array2::from_shape_fn((300, 20), |(_, j)| {
            (50.0 + random.normal() * 10f64.powi(2 - j as i32 % 6)) as f32
        });
        for i in 0..40 {
            let near = points.row(i).mapv(|v| v + 1e-3);
            points.row_mut(i + 100).assign(&near);
        }
        let twin = points.row(7).to_owned();
        points.row_mut(8).assign(&twin);
        let mean = points.mean_axis(Axis(0)).unwrap();
        let centred = &points - &mean;
        let squares: Vec<f32> = centred.rows().into_iter().map(|r| r.dot(&r)).collect();
        let products = row_products(centred.view(), centred.view());
        for i in 0..300 {
            let got = ratio(points.view(), i, products.row(i), &squares);
            assert_eq!(got, one_by_one(&points, i), "{i}");
        }
    }
}
