//! Confidence intervals of figures that need all points at once and that repeated points would
//! spoil: a bootstrap puts twins into the sample, which a neighbour's distance or a likeness of
//! kernels mistakes for structure. The delete-a-group jackknife only leaves points out.
//!
//! Sentences are dealt out to groups; the figure is taken again without each group. B. Efron, R.
//! Tibshirani: An introduction to the bootstrap (1993), chapter 11; P. Kott: The delete-a-group
//! jackknife (Journal of Official Statistics 17, 2001).

use std::collections::HashMap;

use crate::metrics::Interval;

/// Groups that sentences are dealt out to; as many as there are sentences when these are fewer.
pub(crate) const GROUPS: usize = 20;

/// The quantiles at 0.975 of Student's t distribution of 1, 2, ... degrees of freedom.
const STUDENT: [f64; GROUPS - 1] = [
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157,
    2.228139, 2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922,
    2.093024,
];

/// A figure and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure of all points.
    pub value: f64,
    /// Its interval; NaN for fewer than two groups.
    pub interval: Interval,
}

impl Estimate {
    /// The figure `value` of all points and the figures `without` each group: `value ± t √((G −
    /// 1)/G Σ (θ₍g₎ − θ̄)²)`, with Student's t of G − 1 degrees of freedom. Groups without a finite
    /// figure are left out.
    ///
    /// # Panics
    /// When there are more than [`GROUPS`] groups.
    pub(crate) fn new(value: f64, without: &[f64]) -> Self {
        assert!(
            without.len() <= GROUPS,
            "sentences are dealt out to {GROUPS} groups"
        );
        let known: Vec<f64> = without.iter().copied().filter(|v| v.is_finite()).collect();
        let groups = known.len() as f64;
        let mean = known.iter().sum::<f64>() / groups;
        let squares: f64 = known.iter().map(|v| (v - mean).powi(2)).sum();
        let half = match known.len() {
            0 | 1 => f64::NAN,
            n => STUDENT[n - 2] * ((groups - 1.0) / groups * squares).sqrt(),
        };
        Self {
            value,
            interval: Interval {
                low: value - half,
                high: value + half,
            },
        }
    }

    /// The same on another scale: a rising function of the figure and of the ends of its interval.
    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            value: f(self.value),
            interval: Interval {
                low: f(self.interval.low),
                high: f(self.interval.high),
            },
        }
    }
}

/// The group of each point, from the number of its sentence: sentences are dealt out in turn, in
/// the order in which they first come, so that points of one sentence, which are alike, stay
/// together and groups are nearly of one size.
pub fn deal(sentences: &[u64]) -> Vec<usize> {
    let mut places = HashMap::new();
    for &sentence in sentences {
        let next = places.len();
        places.entry(sentence).or_insert(next);
    }
    let groups = GROUPS.min(places.len()).max(1);
    sentences.iter().map(|s| places[s] % groups).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_mean_it_is_the_textbooks_interval() {
        let values = [3.0, 5.0, 4.0, 9.0, 2.0, 7.0];
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let without: Vec<f64> = values.iter().map(|v| (n * mean - v) / (n - 1.0)).collect();
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let half = 2.570582 * (variance / n).sqrt();
        let got = Estimate::new(mean, &without);
        assert!((got.interval.low - (mean - half)).abs() < 1e-12, "{got:?}");
        assert!((got.interval.high - (mean + half)).abs() < 1e-12);
        assert!(Estimate::new(1.0, &[1.0]).interval.low.is_nan());
        let again = Estimate::new(mean, &[&without[..], &[f64::NAN]].concat());
        assert_eq!(again, got);
        for few in [&[][..], &[1.0], &[1.0, f64::NAN], &[f64::INFINITY, 2.0]] {
            let Estimate { value, interval } = Estimate::new(1.0, few);
            assert!(value == 1.0 && interval.low.is_nan() && interval.high.is_nan());
        }
        assert!(Estimate::new(1.0, &[1.0; GROUPS]).interval.low == 1.0);
        assert!(Estimate::new(f64::NAN, &[1.0; 3]).interval.low.is_nan());
    }

    #[test]
    #[should_panic = "20 groups"]
    fn more_groups_than_are_dealt_are_a_mistake() {
        Estimate::new(1.0, &[1.0; GROUPS + 1]);
    }

    #[test]
    fn sentences_stay_together_and_groups_are_of_one_size() {
        assert_eq!(deal(&[7, 7, 3, 9, 3]), [0, 0, 1, 2, 1]);
        let many: Vec<u64> = (0..100).rev().collect();
        let groups = deal(&many);
        for group in 0..GROUPS {
            assert_eq!(groups.iter().filter(|&&g| g == group).count(), 5);
        }
        assert!(deal(&[]).is_empty());
    }
}
