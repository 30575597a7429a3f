//! Count, mean and variance of a stream of numbers.

use serde::{Deserialize, Serialize};

use crate::linalg::sum;

/// Count, mean and sum of squared deviations, updated and merged without cancellation (Chan, Golub
/// and LeVeque 1983).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// The moments of a list, in two passes.
    pub(crate) fn of(values: &[f32]) -> Self {
        let count = values.len() as f64;
        let mean = sum(
            values,
            #[inline(always)]
            |v| v,
        ) / count.max(1.0);
        let squares = sum(
            values,
            #[inline(always)]
            |v| (v - mean) * (v - mean),
        );
        Self {
            count: values.len() as u64,
            mean,
            squares,
        }
    }

    /// Add one number.
    pub fn push(&mut self, value: f64) {
        self.merge(&Self {
            count: 1,
            mean: value,
            squares: 0.0,
        });
    }

    /// Add all numbers of another stream: with δ the difference of the means,
    /// `M₂ = M₂ᵃ + M₂ᵇ + δ² nᵃ nᵇ / n` and `mean = meanᵃ + δ nᵇ / n`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let (n, delta) = (a + b, other.mean - self.mean);
        self.mean += delta * b / n;
        self.squares += other.squares + delta * delta * a * b / n;
        self.count += other.count;
    }

    /// How many numbers were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; NaN when there is none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.mean }
    }

    /// Their population variance (divided by n), as `np.var`; NaN when there is none.
    pub fn variance(&self) -> f64 {
        if self.count == 0 {
            f64::NAN
        } else {
            self.squares / self.count as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let m = Moments::of(&[1.0, 2.0, 4.0, 5.0]);
        assert_eq!((m.count(), m.mean(), m.variance()), (4, 3.0, 2.5));
        let none = Moments::of(&[]);
        assert!(none.mean().is_nan() && none.variance().is_nan());
        assert!(Moments::default().mean().is_nan());
        let one = Moments::of(&[3.0]);
        assert_eq!((one.mean(), one.variance()), (3.0, 0.0));
        assert!(Moments::of(&[1.0, f32::NAN]).mean().is_nan());
    }

    #[test]
    fn merging_is_one_run() {
        let values: Vec<f32> = (0..100).map(|i| 1e4 + ((i * 37) % 101) as f32).collect();
        let whole = Moments::of(&values);
        let (mut parts, mut single) = (Moments::default(), Moments::default());
        for (from, to) in [(0, 0), (0, 1), (1, 60), (60, 100)] {
            parts.merge(&Moments::of(&values[from..to]));
        }
        values.iter().for_each(|&v| single.push(f64::from(v)));
        for m in [parts, single] {
            assert_eq!(m.count(), 100);
            assert!((m.mean() - whole.mean()).abs() < 1e-10);
            assert!((m.variance() / whole.variance() - 1.0).abs() < 1e-12);
        }
    }
}
