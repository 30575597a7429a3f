//! The dimension of the surface that points lie on.
//!
//! E. Facco, M. d'Errico, A. Rodriguez, A. Laio: Estimating the intrinsic dimension of datasets by
//! a minimal neighborhood information (Scientific Reports 7, 2017).

use ndarray::{ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::jackknife::Estimate;
use crate::error::{Error, Result};
use crate::linalg::row_products;

/// The share of points, those with the largest ratios, that the fit leaves out, as the paper does.
const LEFT_OUT: f64 = 0.1;
/// Points whose products are taken at once.
const BLOCK: usize = 128;
/// The error of a squared distance from products in single precision, as a share of the two squared
/// lengths: ten times what is met.
const ROUGHNESS: f32 = 1e-5;

/// The TwoNN estimate of the intrinsic dimension of the rows of a (points, dimensions) matrix.
///
/// For each point the ratio μ of the distances to its second and to its first neighbour is taken.
/// On a surface of dimension d, μ has the distribution function F = 1 − μ⁻ᵈ; d is the slope of
/// −ln(1 − F) over ln μ through the origin, with F estimated by the rank of μ over the number of
/// points. Points with a twin (distance 0) are left out. NaN for fewer than ten others, or when all
/// their neighbours are as far as each other.
///
/// `groups` holds the number of each point's group, from 0 on; the interval is the jackknife's over
/// them, with neighbours looked for outside the group that is left out.
///
/// One matrix product finds for each point the few others that may be its neighbours; their
/// distances are then taken one by one.
///
/// # Errors
/// [`Error::Mismatch`] when groups and points differ in number; [`Error::Compute`] when a number is
/// NaN or infinite, or too large to be squared.
pub fn two_nn(points: ArrayView2<'_, f32>, groups: &[usize]) -> Result<Estimate> {
    let count = groups.iter().max().map_or(0, |g| g + 1);
    let mut members = vec![Vec::new(); count];
    for (i, &group) in groups.iter().enumerate() {
        members[group].push(i);
    }
    let nearest = nearest(points, &members)?;
    let without = |left_out: usize| {
        let others = (0..groups.len()).filter(|&i| groups[i] != left_out);
        let ratios = others.filter_map(|i| ratio(&nearest[i], left_out));
        slope(ratios.collect())
    };
    let all = nearest.iter().filter_map(|own| ratio(own, count));
    let without: Vec<f64> = (0..count).into_par_iter().map(without).collect();
    Ok(Estimate::new(slope(all.collect()), &without))
}

/// The slope through the origin, from the ratios of all points.
fn slope(mut ratios: Vec<f64>) -> f64 {
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

/// The two smallest of some squared distances, infinite where there are fewer.
type Nearest = [f64; 2];

fn insert([first, second]: Nearest, square: f64) -> Nearest {
    if square < first {
        [square, first]
    } else {
        [first, second.min(square)]
    }
}

/// The ratio of the distances to the second and to the first neighbour outside the group
/// `left_out`; none for a twin.
fn ratio(nearest: &[Nearest], left_out: usize) -> Option<f64> {
    let groups = nearest.iter().enumerate().filter(|(g, _)| *g != left_out);
    let squares = groups.flat_map(|(_, own)| own.iter().copied());
    let [first, second] = squares.fold([f64::INFINITY; 2], insert);
    (first > 0.0 && second.is_finite()).then(|| (second / first).sqrt())
}

/// For each point the squared distances to its two neighbours in each group.
fn nearest(points: ArrayView2<'_, f32>, members: &[Vec<usize>]) -> Result<Vec<Vec<Nearest>>> {
    let grouped: usize = members.iter().map(Vec::len).sum();
    if grouped != points.nrows() {
        return Err(Error::Mismatch(format!(
            "{} points and {grouped} numbers of groups",
            points.nrows()
        )));
    }
    let Some(mean) = points.mean_axis(Axis(0)) else {
        return Ok(Vec::new());
    };
    // Around their mean, where single precision tells distances best.
    let centred = &points - &mean;
    let squares: Vec<f32> = centred.rows().into_iter().map(|r| r.dot(&r)).collect();
    // A distance of NaN would be longer and shorter than none: the point would be left out without
    // a word.
    if squares.iter().any(|square| !square.is_finite()) {
        return Err(Error::Compute {
            context: "intrinsic dimension".into(),
            source:
                "a vector holds NaN, infinite or far too large values; check the model's weights"
                    .into(),
        });
    }
    let blocks: Vec<usize> = (0..points.nrows()).step_by(BLOCK).collect();
    let of_block = |from: usize| {
        let to = points.nrows().min(from + BLOCK);
        let products = row_products(centred.slice(s![from..to, ..]), centred.view());
        let products = products.expect("rows of one matrix have as many columns");
        let own = |i: usize| -> Vec<Nearest> {
            let products = products.row(i - from);
            let within = |group: &Vec<usize>| within(points, (i, group), products, &squares);
            members.iter().map(within).collect()
        };
        (from..to).map(own).collect::<Vec<_>>()
    };
    Ok(blocks.into_par_iter().flat_map_iter(of_block).collect())
}

/// The squared distances of point `i`, whose products with all points are `products`, to its two
/// neighbours in `group`.
fn within(
    points: ArrayView2<'_, f32>,
    (i, group): (usize, &[usize]),
    products: ArrayView1<'_, f32>,
    squares: &[f32],
) -> Nearest {
    let rough = |j: usize| squares[i] + squares[j] - 2.0 * products[j];
    let slack = |j: usize| ROUGHNESS * (squares[i] + squares[j]);
    let others = || group.iter().copied().filter(|&j| j != i);
    // Two points are certainly not farther than this.
    let most = others().map(|j| f64::from(rough(j) + slack(j)));
    let [_, limit] = most.fold([f64::INFINITY; 2], insert);
    others()
        .filter(|&j| f64::from(rough(j) - slack(j)) <= limit)
        .map(|j| square_distance(points, i, j))
        .fold([f64::INFINITY; 2], insert)
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
    fn one_by_one(points: &Array2<f32>, i: usize, group: &[usize]) -> Nearest {
        let others = group.iter().filter(|&&j| j != i);
        let mut squares: Vec<f64> = others
            .map(|&j| square_distance(points.view(), i, j))
            .collect();
        squares.sort_unstable_by(f64::total_cmp);
        [squares[0], squares[1]]
    }

    #[test]
    fn neighbours_are_those_of_all_distances() {
        let mut random = Stream::new(3, "points");
        // far from the origin, in dimensions of very different sizes, some points close together,
        // two equal
        let mut points = Array2::from_shape_fn((300, 20), |(_, j)| {
            (50.0 + random.normal() * 10f64.powi(2 - j as i32 % 6)) as f32
        });
        for i in 0..40 {
            let near = points.row(i).mapv(|v| v + 1e-3);
            points.row_mut(i + 100).assign(&near);
        }
        let twin = points.row(7).to_owned();
        points.row_mut(8).assign(&twin);
        let groups: [Vec<usize>; 2] = [(0..90).collect(), (90..300).collect()];
        let found = nearest(points.view(), &groups).unwrap();
        for (i, own) in found.iter().enumerate() {
            let want = groups.each_ref().map(|g| one_by_one(&points, i, g));
            assert_eq!(own[..], want, "{i}");
        }
        assert!(ratio(&found[7], 2).is_none() && ratio(&found[7], 0).is_some());
        assert!(two_nn(points.view(), &[0; 299]).is_err());
    }

    #[test]
    fn few_points_and_twins_have_no_dimension() {
        let unknown = |points: &Array2<f32>, groups: &[usize]| {
            let found = two_nn(points.view(), groups).unwrap();
            found.value.is_nan() && found.interval.low.is_nan() && found.interval.high.is_nan()
        };
        let mut random = Stream::new(4, "points");
        let points = Array2::from_shape_fn((40, 3), |_| random.normal() as f32);
        for n in [0, 1, 2, 9] {
            assert!(unknown(&points.slice(s![..n, ..]).to_owned(), &vec![0; n]));
        }
        assert!(unknown(&Array2::ones((40, 3)), &[0; 40]));
        assert!(unknown(&Array2::zeros((40, 0)), &[0; 40]));
        // A line of even steps: both neighbours of all but its ends are as far.
        let line = Array2::from_shape_fn((40, 1), |(i, _)| i as f32);
        assert!(unknown(&line, &[0; 40]));
        let one_sentence = two_nn(points.view(), &[0; 40]).unwrap();
        assert!(one_sentence.value > 1.0 && one_sentence.interval.low.is_nan());
    }

    #[test]
    fn not_a_number_is_an_error() {
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let mut points = Array2::from_shape_fn((20, 2), |(i, j)| (i * i + j) as f32);
            points[[3, 1]] = bad;
            assert!(two_nn(points.view(), &[0; 20]).is_err(), "{bad}");
        }
    }
}
