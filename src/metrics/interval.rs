//! Confidence intervals, and the quantiles they are read from.

use serde::{Deserialize, Serialize};

use crate::rng::Stream;

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// The interval of what is not known well enough to have one. JSON writes its ends as null.
    pub(crate) const UNKNOWN: Self = Self {
        low: f64::NAN,
        high: f64::NAN,
    };
}

/// The normal quantile of a two-sided interval of 95 %.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share of `successes` in `n` trials (Wilson 1927): unlike the textbook one
/// it never leaves [0, 1] and holds for few trials. Everything is possible when `n` is 0: 0 to 1.
///
/// `(p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)`
///
/// # Panics
/// When there are more successes than trials.
pub(crate) fn wilson_interval(successes: u64, n: u64) -> Interval {
    assert!(successes <= n, "{successes} successes in {n} trials");
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let (p, n) = (successes as f64 / n as f64, n as f64);
    let z2 = Z_95 * Z_95;
    let centre = p + z2 / (2.0 * n);
    let half = Z_95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    Interval {
        low: ((centre - half) / scale).max(0.0),
        high: ((centre + half) / scale).min(1.0),
    }
}

/// The 95 % percentile interval (Efron 1979) of a statistic of `n` observations: `statistic` is
/// called with `resamples` lists of n positions drawn with replacement. NaN for fewer than two
/// observations, of which all resamples are alike, and for fewer than two resamples; an end is NaN
/// where the statistic is.
pub(crate) fn bootstrap_interval(
    n: usize,
    resamples: usize,
    stream: &mut Stream,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Interval {
    if n < 2 || resamples < 2 {
        return Interval::UNKNOWN;
    }
    let mut drawn = vec![0; n];
    let mut values: Vec<f64> = (0..resamples)
        .map(|_| {
            drawn.fill_with(|| stream.below(n));
            statistic(&drawn)
        })
        .collect();
    values.sort_unstable_by(f64::total_cmp);
    Interval {
        low: quantile(&values, 0.025),
        high: quantile(&values, 0.975),
    }
}

/// The quantile `q` of a sorted list, straight lines between neighbours: NumPy's default method.
/// NaN of an empty list.
///
/// # Panics
/// When `q` is not between 0 and 1.
pub(crate) fn quantile<T: Copy + Into<f64>>(sorted: &[T], q: f64) -> f64 {
    assert!((0.0..=1.0).contains(&q), "there is no quantile {q}");
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q * last as f64;
    let below = place.floor() as usize;
    let (a, b): (f64, f64) = (sorted[below].into(), sorted[(below + 1).min(last)].into());
    a + (b - a) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")`.
    #[test]
    fn wilson_as_scipy() {
        for (successes, n, low, high) in [
            (8, 10, 0.490_162_471_536_641_5, 0.943_317_848_545_624_8),
            (0, 5, 0.0, 0.434_482_464_783_174_76),
            (5999, 5999, 0.999_360_059_923_780_1, 1.0),
        ] {
            let got = wilson_interval(successes, n);
            assert!((got.low - low).abs() < 1e-12, "{got:?}");
            assert!((got.high - high).abs() < 1e-12, "{got:?}");
        }
        assert_eq!(
            wilson_interval(0, 0),
            Interval {
                low: 0.0,
                high: 1.0
            }
        );
    }

    #[test]
    fn quantiles_as_numpy() {
        // np.percentile([1, 2, 4, 8], [0, 25, 50, 75, 90, 100])
        let x = [1.0, 2.0, 4.0, 8.0];
        let got = [0.0, 0.25, 0.5, 0.75, 0.9, 1.0].map(|q| quantile(&x, q));
        for (g, want) in got.iter().zip([1.0, 1.75, 3.0, 5.0, 6.8, 8.0]) {
            assert!((g - want).abs() < 1e-12, "{g} {want}");
        }
        assert_eq!(quantile(&[3.0f32], 0.7), 3.0);
        assert!(quantile::<f64>(&[], 0.5).is_nan());
    }

    #[test]
    #[should_panic = "no quantile"]
    fn a_quantile_beyond_1_is_a_mistake() {
        quantile(&[1.0, 2.0], 25.0);
    }

    #[test]
    fn what_is_not_known_is_null_in_json() {
        let json = serde_json::to_string(&Interval::UNKNOWN).unwrap();
        assert_eq!(json, r#"{"low":null,"high":null}"#);
    }

    #[test]
    fn the_bootstrap_of_a_mean_is_its_normal_interval() {
        let n = 400;
        let mut values = Stream::new(1, "values");
        let x: Vec<f64> = (0..n).map(|_| values.normal()).collect();
        let mean = |at: &[usize]| at.iter().map(|&i| x[i]).sum::<f64>() / n as f64;
        let got = bootstrap_interval(n, 2000, &mut Stream::new(1, "bootstrap"), mean);
        let centre = x.iter().sum::<f64>() / n as f64;
        let sd = (x.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / n as f64).sqrt();
        let half = Z_95 * sd / (n as f64).sqrt();
        assert!((got.low - (centre - half)).abs() < 0.1 * half);
        assert!((got.high - (centre + half)).abs() < 0.1 * half);
        let again = bootstrap_interval(n, 2000, &mut Stream::new(1, "bootstrap"), mean);
        assert_eq!(got, again);
        for (n, resamples) in [(0, 10), (1, 10), (n, 0), (n, 1)] {
            let few = bootstrap_interval(n, resamples, &mut Stream::new(1, ""), mean);
            assert!(few.low.is_nan() && few.high.is_nan(), "{few:?}");
        }
        let undefined = bootstrap_interval(9, 50, &mut Stream::new(1, ""), |_| f64::NAN);
        assert!(undefined.low.is_nan() && undefined.high.is_nan());
    }
}
