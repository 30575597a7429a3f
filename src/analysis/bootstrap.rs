//! Confidence intervals over sentences that need one pass and merge.
//!
//! The Poisson bootstrap (Chamandy, Muralidharan, Najmi, Naidu 2012): in every replicate each
//! sentence counts as often as a Poisson variable of mean 1 says, which is what drawing with
//! replacement comes to when sentences are many. The weights are a function of the seed and the
//! sentence's number alone, so shards agree on them.

use crate::error::{Error, Result};
use crate::metrics::{Interval, quantile};
use crate::rng::Stream;
use serde::{Deserialize, Serialize};

/// How often each replicate counts one sentence.
#[derive(Debug, Clone)]
pub struct Weights(Vec<u8>);

impl Weights {
    /// The weights of sentence number `sentence` in `replicates` replicates of `seed`.
    pub fn of(seed: u64, sentence: u64, replicates: usize) -> Self {
        let stream = Stream::new(seed, "bootstrap");
        // 2³² blocks of four words for every sentence.
        let weights = (0..replicates).map(|b| {
            let word = stream.block(sentence << 32 | (b / 4) as u64)[b % 4];
            poisson(f64::from(word) / 2f64.powi(32))
        });
        Self(weights.collect())
    }
}

/// The Poisson variable of mean 1 whose distribution function first passes `u`.
fn poisson(u: f64) -> u8 {
    let (mut k, mut mass) = (0u8, (-1f64).exp());
    let mut below = mass;
    while u >= below && k < 20 {
        k += 1;
        mass /= f64::from(k);
        below += mass;
    }
    k
}

/// A weighted mean over sentences, `Σ mass · value / Σ mass`, and its replicates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Sentences that have a value.
    sentences: u64,
    whole: (f64, f64),
    replicates: Vec<(f64, f64)>,
}

impl Bootstrap {
    /// Nothing seen yet.
    pub fn new(replicates: usize) -> Self {
        Self {
            sentences: 0,
            whole: (0.0, 0.0),
            replicates: vec![(0.0, 0.0); replicates],
        }
    }

    /// Add the value of a sentence, which counts `mass` times (its pairs, its tokens, or 1). NaN,
    /// the value of a sentence that has none, is left out.
    ///
    /// # Panics
    /// When there are not as many weights as replicates.
    pub fn add(&mut self, value: f64, mass: f64, weights: &Weights) {
        let (given, replicates) = (weights.0.len(), self.replicates.len());
        assert_eq!(given, replicates, "every replicate has its weight");
        if value.is_nan() {
            return;
        }
        self.sentences += 1;
        self.whole.0 += mass * value;
        self.whole.1 += mass;
        for (replicate, &weight) in self.replicates.iter_mut().zip(&weights.0) {
            let mass = f64::from(weight) * mass;
            replicate.0 += mass * value;
            replicate.1 += mass;
        }
    }

    /// Add all sentences of another accumulator.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another number of replicates.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.replicates.len() != other.replicates.len() {
            return Err(Error::Mismatch(format!(
                "bootstraps of {} and {} replicates cannot be merged",
                self.replicates.len(),
                other.replicates.len()
            )));
        }
        self.sentences += other.sentences;
        let theirs = other.replicates.iter().chain([&other.whole]);
        let mine = self.replicates.iter_mut().chain([&mut self.whole]);
        for (mine, theirs) in mine.zip(theirs) {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
        Ok(())
    }

    /// The weighted mean; NaN when there is no sentence.
    pub fn estimate(&self) -> f64 {
        self.whole.0 / self.whole.1
    }

    /// Sentences that have a value.
    pub(crate) fn sentences(&self) -> u64 {
        self.sentences
    }

    /// Its 95 % percentile interval; NaN for fewer than two sentences: one alone, drawn however
    /// often, gives the same mean each time.
    pub fn interval(&self) -> Interval {
        if self.sentences < 2 {
            return Interval::UNKNOWN;
        }
        percentiles(self.means().collect())
    }

    /// The weighted mean of every replicate; NaN for one that drew no sentence.
    pub(crate) fn means(&self) -> impl Iterator<Item = f64> {
        self.replicates.iter().map(|r| r.0 / r.1)
    }
}

/// The 95 % percentile interval of what replicates give; those that are not finite are left out.
/// NaN when fewer than two are left.
pub(crate) fn percentiles(mut values: Vec<f64>) -> Interval {
    values.retain(|v| v.is_finite());
    if values.len() < 2 {
        return Interval::UNKNOWN;
    }
    values.sort_unstable_by(f64::total_cmp);
    Interval {
        low: quantile(&values, 0.025),
        high: quantile(&values, 0.975),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_poisson_of_mean_one() {
        let mut counts = [0u32; 21];
        let mut n = 0;
        for sentence in 0..500 {
            for w in Weights::of(3, sentence, 100).0 {
                counts[usize::from(w)] += 1;
                n += 1;
            }
        }
        let mut mass = (-1f64).exp();
        for (k, &count) in counts.iter().take(6).enumerate() {
            let expected = f64::from(n) * mass;
            assert!(
                (f64::from(count) - expected).abs() < 5.0 * expected.sqrt(),
                "{k}"
            );
            mass /= (k + 1) as f64;
        }
        assert_eq!((poisson(0.0), poisson(0.37), poisson(1.0)), (0, 1, 20));
    }

    #[test]
    fn the_interval_is_that_of_the_mean_and_merges() {
        let mut random = Stream::new(9, "values");
        let values: Vec<f64> = (0..400).map(|_| 2.0 + random.normal()).collect();
        let run = |sentences: std::ops::Range<usize>| {
            let mut bootstrap = Bootstrap::new(1000);
            for i in sentences {
                bootstrap.add(values[i], 1.0, &Weights::of(1, i as u64, 1000));
            }
            bootstrap
        };
        let whole = run(0..400);
        let mean = values.iter().sum::<f64>() / 400.0;
        assert!((whole.estimate() - mean).abs() < 1e-12);
        let half =
            1.96 * (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 400.0).sqrt() / 20.0;
        let got = whole.interval();
        assert!((got.low - (mean - half)).abs() < 0.15 * half, "{got:?}");
        assert!((got.high - (mean + half)).abs() < 0.15 * half, "{got:?}");

        let mut merged = run(0..1);
        for part in [run(1..150), run(150..150), run(150..400)] {
            merged.merge(&part).unwrap();
        }
        let again = merged.interval();
        assert!((again.low - got.low).abs() < 1e-12 && (again.high - got.high).abs() < 1e-12);
        assert!(merged.merge(&Bootstrap::new(2)).is_err());
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let mut b = Bootstrap::new(10);
        assert!(b.estimate().is_nan() && b.interval().low.is_nan());
        b.add(f64::NAN, 1.0, &Weights::of(1, 0, 10));
        b.add(3.0, 2.0, &Weights::of(1, 1, 10));
        assert_eq!(b.estimate(), 3.0);
    }

    #[test]
    fn one_sentence_has_no_interval() {
        let of = |sentences: &[f64]| {
            let mut b = Bootstrap::new(200);
            for (i, &value) in sentences.iter().enumerate() {
                b.add(value, 2.0, &Weights::of(1, i as u64, 200));
            }
            (b.sentences(), b.interval())
        };
        for (n, one) in [of(&[3.0]), of(&[f64::NAN, 3.0, f64::NAN])] {
            assert_eq!(n, 1);
            assert!(one.low.is_nan() && one.high.is_nan(), "{one:?}");
        }
        let (n, two) = of(&[3.0, 4.0]);
        assert!(n == 2 && two.low < two.high, "{two:?}");
        // one in each of two shards
        let one = |i: u64| {
            let mut b = Bootstrap::new(200);
            b.add(3.0 + i as f64, 2.0, &Weights::of(1, i, 200));
            b
        };
        let mut merged = one(0);
        merged.merge(&one(1)).unwrap();
        assert_eq!(merged.interval(), two);
        assert!(percentiles(vec![1.0, f64::NAN]).low.is_nan());
    }

    #[test]
    #[should_panic = "every replicate"]
    fn weights_of_another_bootstrap_are_a_mistake() {
        Bootstrap::new(10).add(1.0, 1.0, &Weights::of(1, 0, 9));
    }
}
