//! Linear CKA: how alike representations of the same points are.
//!
//! S. Kornblith, M. Norouzi, H. Lee, G. Hinton: Similarity of neural network representations
//! revisited (ICML 2019).

use ndarray::{Array2, ArrayView2, Axis};

use super::jackknife::Estimate;
use crate::error::{Error, Result};
use crate::linalg::{dot, pairwise_products};

/// A CKA that is no farther from 1 than rounding.
const WHOLE: f64 = 1.0 - 1e-12;

/// A representation of some points: the products of all pairs of them (its kernel), from which CKA
/// with any other follows by one pass over both kernels, and with it CKA without each group of
/// points.
///
/// Keeps n (n + 1) / 2 numbers of single precision for n points; CKA is found to about 10⁻⁷.
#[derive(Debug, Clone)]
pub struct Representation {
    /// Points stand by group: one past the last of each.
    ends: Vec<usize>,
    /// The products of the points i > j, row by row.
    kernel: Vec<f32>,
    /// The product of each point with itself.
    squares: Vec<f32>,
    /// The sums of each point's products with those of each group: (points, groups).
    sums: Array2<f64>,
    own: Likeness,
}

/// The Hilbert-Schmidt norms, not divided, of all points and without each group.
#[derive(Debug, Clone, Default)]
struct Likeness {
    whole: f64,
    without: Vec<f64>,
}

impl Representation {
    /// The representation of (points, dimensions); `groups` holds the number of each point's group,
    /// from 0 on, and is the same for all representations that are compared.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when groups and points differ in number or points have no dimension;
    /// [`Error::Compute`] when a number is NaN or infinite, or too large to be squared.
    pub fn new(x: ArrayView2<'_, f32>, groups: &[usize]) -> Result<Self> {
        if groups.len() != x.nrows() {
            return Err(Error::Mismatch(format!(
                "{} points and {} numbers of groups",
                x.nrows(),
                groups.len()
            )));
        }
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by_key(|&i| groups[i]);
        let count = groups.iter().max().map_or(0, |g| g + 1);
        let within = |g: usize| groups.iter().filter(|&&own| own <= g).count();
        let ends: Vec<usize> = (0..count).map(within).collect();
        let (kernel, squares) = kernel(x, &order)?;
        let mut made = Self {
            sums: sums(&kernel, &squares, &ends),
            ends,
            kernel,
            squares,
            own: Likeness::default(),
        };
        made.own = made.likeness(&made);
        Ok(made)
    }

    /// Linear CKA with another representation of the same points: `‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖)` with
    /// Frobenius norms, which is the cosine of the two centred kernels. 1 when one is a rotation
    /// and scaling of the other, 0 when they have nothing in common. NaN when one does not vary, as
    /// with fewer than two points. The interval is the jackknife's over groups, taken of
    /// artanh(CKA) so that it stays below 1; NaN when fewer than two of the groups can be left out
    /// and the others still vary.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they have different numbers of points or groups.
    pub fn cka(&self, other: &Self) -> Result<Estimate> {
        if self.sums.dim() != other.sums.dim() || self.ends != other.ends {
            return Err(Error::Mismatch(format!(
                "CKA compares the same points: {:?} and {:?} points and groups were given",
                self.sums.dim(),
                other.sums.dim()
            )));
        }
        let both = self.likeness(other);
        let cka = |both: f64, mine: f64, theirs: f64| both / (mine * theirs).sqrt();
        let value = cka(both.whole, self.own.whole, other.own.whole);
        let own = self.own.without.iter().zip(&other.own.without);
        let without: Vec<f64> = both
            .without
            .iter()
            .zip(own)
            // clamp keeps NaN, where min would make it a likeness of 1
            .map(|(&both, (&mine, &theirs))| cka(both, mine, theirs).clamp(-WHOLE, WHOLE).atanh())
            .collect();
        if value > WHOLE {
            let known = without.iter().filter(|z| z.is_finite()).count();
            return Ok(Estimate::new(1.0, &[1.0; 2][..known.min(2)]));
        }
        Ok(Estimate {
            value,
            // clamp keeps NaN, the interval of a single group, where max would make it 0
            ..Estimate::new(value.atanh(), &without).map(|z| z.tanh().clamp(0.0, 1.0))
        })
    }

    /// `Σ K L − 2/n Σ kᵢ lᵢ + k l / n²` with the sums of rows and of all entries: the trace of K H
    /// L H, where H centres. Of all points, and of those outside each group.
    fn likeness(&self, other: &Self) -> Likeness {
        let blocks = self.blocks(other);
        let (points, groups) = self.sums.dim();
        let all: f64 = blocks.sum();
        let rows = |r: &Self| r.sums.sum_axis(Axis(1));
        let (mine, theirs) = (rows(self), rows(other));
        let of = |left_out: Option<usize>| {
            let first = |g: usize| if g == 0 { 0 } else { self.ends[g - 1] };
            let gap = left_out.map_or(0..0, |g| first(g)..self.ends[g]);
            let n = (points - gap.len()) as f64;
            let products = match left_out {
                Some(g) => all - 2.0 * blocks.row(g).sum() + blocks[[g, g]],
                None => all,
            };
            let (mut across, mut k, mut l) = (0.0, 0.0, 0.0);
            for i in (0..points).filter(|i| !gap.contains(i)) {
                let less = |r: &Self| left_out.map_or(0.0, |g| r.sums[[i, g]]);
                let (a, b) = (mine[i] - less(self), theirs[i] - less(other));
                across += a * b;
                k += a;
                l += b;
            }
            products - 2.0 / n * across + k * l / (n * n)
        };
        Likeness {
            whole: of(None),
            without: (0..groups).map(|g| of(Some(g))).collect(),
        }
    }

    /// `Σ Kᵢⱼ Lᵢⱼ` over the points i of one group and j of another: (groups, groups), symmetric.
    fn blocks(&self, other: &Self) -> Array2<f64> {
        let mut blocks = Array2::zeros((self.ends.len(), self.ends.len()));
        let (mut group, mut start) = (0, 0);
        for i in 0..self.sums.nrows() {
            while self.ends[group] <= i {
                group += 1;
            }
            let (mine, theirs) = (
                &self.kernel[start..start + i],
                &other.kernel[start..start + i],
            );
            start += i;
            let mut from = 0;
            for h in 0..=group {
                let to = self.ends[h].min(i);
                let sum = dot(&mine[from..to], &theirs[from..to]);
                blocks[[group, h]] += sum;
                blocks[[h, group]] += sum;
                from = to;
            }
            blocks[[group, group]] += f64::from(self.squares[i]) * f64::from(other.squares[i]);
        }
        blocks
    }
}

/// The products of all pairs of points around their mean, i > j, the points in this order; and
/// those of each point with itself.
fn kernel(x: ArrayView2<'_, f32>, order: &[usize]) -> Result<(Vec<f32>, Vec<f32>)> {
    let mean = x.mapv(f64::from).sum_axis(Axis(0)) / x.nrows() as f64;
    let mut centred = Vec::with_capacity(x.len());
    for &i in order {
        let row = x.row(i);
        let row = row.iter().zip(&mean);
        centred.extend(row.map(|(&x, m)| (f64::from(x) - m) as f32));
    }
    let mut products = Vec::new();
    pairwise_products(&centred, x.ncols(), &mut products, |_| ())?;
    let rows = centred.chunks_exact(x.ncols());
    let squares: Vec<f32> = rows.map(|row| dot(row, row) as f32).collect();
    // The product of two points is not larger than the larger of their squares.
    if squares.iter().any(|square| !square.is_finite()) {
        return Err(Error::Compute {
            context: "likeness of representations".into(),
            source:
                "a vector holds NaN, infinite or far too large values; check the model's weights"
                    .into(),
        });
    }
    Ok((products, squares))
}

/// The sums of each point's products with those of each group.
fn sums(kernel: &[f32], squares: &[f32], ends: &[usize]) -> Array2<f64> {
    let mut sums = Array2::zeros((squares.len(), ends.len()));
    let (mut group, mut start) = (0, 0);
    for (i, &square) in squares.iter().enumerate() {
        while ends[group] <= i {
            group += 1;
        }
        let row = &kernel[start..start + i];
        start += i;
        let mut from = 0;
        for (h, &end) in ends.iter().enumerate().take(group + 1) {
            for j in from..end.min(i) {
                sums[[i, h]] += f64::from(row[j]);
                sums[[j, group]] += f64::from(row[j]);
            }
            from = end.min(i);
        }
        sums[[i, group]] += f64::from(square);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn points(n: usize) -> Array2<f32> {
        let mut random = Stream::new(5, "points");
        Array2::from_shape_fn((n, 4), |_| random.normal() as f32)
    }

    fn of(x: &Array2<f32>, groups: &[usize]) -> Representation {
        Representation::new(x.view(), groups).unwrap()
    }

    fn unknown(found: Estimate) -> bool {
        found.interval.low.is_nan() && found.interval.high.is_nan()
    }

    #[test]
    fn what_does_not_vary_has_no_likeness() {
        let x = points(6);
        let same = Array2::from_elem((6, 3), 0.1f32);
        let groups = [0, 0, 1, 1, 2, 2];
        let found = of(&x, &groups).cka(&of(&same, &groups)).unwrap();
        assert!(found.value.is_nan() && unknown(found), "{found:?}");
        for n in [0, 1] {
            let few = of(&points(n), &vec![0; n]);
            let found = few.cka(&few).unwrap();
            assert!(found.value.is_nan() && unknown(found), "{found:?}");
        }
    }

    #[test]
    fn one_sentence_has_no_interval() {
        let (x, y) = (points(6), points(6).mapv(|v| v * v));
        let one = [0; 6];
        let found = of(&x, &one).cka(&of(&y, &one)).unwrap();
        assert!(found.value > 0.0 && found.value < 1.0 && unknown(found));
        let same = of(&x, &one).cka(&of(&x, &one)).unwrap();
        assert!(same.value == 1.0 && unknown(same), "{same:?}");
        let groups = [0, 0, 0, 1, 1, 1];
        let same = of(&x, &groups).cka(&of(&x, &groups)).unwrap();
        assert_eq!((same.interval.low, same.interval.high), (1.0, 1.0));
    }

    /// Without the first group one point is left, which has no likeness, and not one of 1.
    #[test]
    fn groups_whose_rest_does_not_vary_are_left_out() {
        let (x, y) = (points(4), points(4).mapv(|v| v * v));
        let groups = [0, 0, 0, 1];
        let found = of(&x, &groups).cka(&of(&y, &groups)).unwrap();
        assert!(found.value < 1.0 && unknown(found), "{found:?}");
    }

    #[test]
    fn wrong_input_is_refused() {
        let x = points(4);
        assert!(Representation::new(x.view(), &[0; 3]).is_err());
        assert!(Representation::new(Array2::zeros((4, 0)).view(), &[0; 4]).is_err());
        assert!(of(&x, &[0; 4]).cka(&of(&points(5), &[0; 5])).is_err());
        assert!(of(&x, &[0; 4]).cka(&of(&x, &[0, 0, 1, 1])).is_err());
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let mut x = points(4);
            x[[1, 2]] = bad;
            let error = Representation::new(x.view(), &[0; 4]).unwrap_err();
            assert!(matches!(error, Error::Compute { .. }), "{error}");
        }
    }
}
