//! Quantiles of a stream of numbers in [−1, 1], in bounded memory and with a known error.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::linalg::vectorised;
use crate::metrics::quantile;

/// Numbers are kept as they are until there are this many (16 MiB).
const EXACT_LIMIT: usize = 1 << 22;
/// Then they are counted in bins of width 2⁻²⁰ (8 MiB).
const BINS: usize = 1 << 21;
const WIDTH: f64 = 2.0 / BINS as f64;
/// Numbers that a thread looks at in one go.
const CHUNK: usize = 1 << 17;

/// The quantiles of numbers in [−1, 1]. Up to [`EXACT_LIMIT`](Quantiles::EXACT_LIMIT) numbers they
/// are exact; beyond that the numbers are counted in 2²¹ equal bins and a quantile is off by at
/// most [`error_bound`](Quantiles::error_bound). Minimum and maximum are always exact.
///
/// Which of the two applies depends only on how many numbers there are, so that merged parts answer
/// as one run does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Quantiles {
    kept: Vec<f32>,
    bins: Option<Bins>,
    count: u64,
    min: f32,
    max: f32,
}

/// Counts per bin; what does not fit in 32 bits is carried.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Bins {
    counts: Vec<u32>,
    carries: std::collections::BTreeMap<usize, u64>,
}

impl Bins {
    fn new() -> Self {
        Self {
            counts: vec![0; BINS],
            carries: Default::default(),
        }
    }

    #[inline]
    fn add(&mut self, value: f32) {
        let bin = ((f64::from(value) + 1.0) * (BINS as f64 / 2.0)) as usize;
        self.add_many(bin.min(BINS - 1), 1);
    }

    #[inline]
    fn add_many(&mut self, bin: usize, n: u32) {
        let (sum, carry) = self.counts[bin].overflowing_add(n);
        self.counts[bin] = sum;
        if carry {
            *self.carries.entry(bin).or_default() += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        for (bin, &n) in other.counts.iter().enumerate() {
            self.add_many(bin, n);
        }
        for (&bin, &n) in &other.carries {
            *self.carries.entry(bin).or_default() += n;
        }
    }

    fn count(&self, bin: usize) -> u64 {
        let carried = match self.carries.is_empty() {
            true => 0,
            false => self.carries.get(&bin).copied().unwrap_or(0),
        };
        u64::from(self.counts[bin]) + (carried << 32)
    }

    /// The number of rank `rank` (from 0), as if the numbers of a bin stood evenly in it.
    fn at_rank(&self, rank: u64) -> f64 {
        let mut below = 0;
        for bin in 0..BINS {
            let n = self.count(bin);
            if rank < below + n {
                let inside = ((rank - below) as f64 + 0.5) / n as f64;
                return (bin as f64 + inside) * WIDTH - 1.0;
            }
            below += n;
        }
        unreachable!("a rank is below the number of numbers, all of which are in bins")
    }
}

impl Default for Quantiles {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            bins: None,
            count: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }
}

impl Quantiles {
    /// The number of numbers up to which quantiles are exact.
    pub const EXACT_LIMIT: usize = EXACT_LIMIT;

    /// Add numbers.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when one is NaN or lies outside [−1, 1].
    pub fn extend(&mut self, values: &[f32]) -> Result<()> {
        let (min, max) = ends(values);
        if !(min >= -1.0 && max <= 1.0) {
            let bad = values.iter().find(|v| !(-1.0..=1.0).contains(*v));
            let bad = bad.expect("ends beyond the range, or NaN, are those of such a number");
            return Err(Error::Mismatch(format!(
                "{bad} is not a number between -1 and 1"
            )));
        }
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        self.count += values.len() as u64;
        if self.count > EXACT_LIMIT as u64 {
            self.spill();
        }
        match &mut self.bins {
            None => self.kept.extend_from_slice(values),
            Some(bins) => values.iter().for_each(|&v| bins.add(v)),
        }
        Ok(())
    }

    /// Add all numbers of another stream.
    pub fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count += other.count;
        if self.count > EXACT_LIMIT as u64 || other.bins.is_some() {
            self.spill();
        }
        match (&mut self.bins, &other.bins) {
            (None, None) => self.kept.extend_from_slice(&other.kept),
            (None, Some(_)) => {
                unreachable!("this side was counted in bins above, as the other one is")
            }
            (Some(mine), None) => other.kept.iter().for_each(|&v| mine.add(v)),
            (Some(mine), Some(theirs)) => mine.merge(theirs),
        }
    }

    fn spill(&mut self) {
        if self.bins.is_none() {
            let mut bins = Bins::new();
            self.kept.iter().for_each(|&v| bins.add(v));
            self.kept = Vec::new();
            self.bins = Some(bins);
        }
    }

    /// How many numbers were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest error a quantile can have: 0, or the width of a bin, 9.6·10⁻⁷.
    pub fn error_bound(&self) -> f64 {
        if self.bins.is_some() { WIDTH } else { 0.0 }
    }

    /// Minimum, lower quartile, median, upper quartile and maximum, as `np.percentile` gives them
    /// (straight lines between neighbours); NaN when there is no number.
    pub fn five_numbers(&self) -> [f64; 5] {
        if self.count == 0 {
            return [f64::NAN; 5];
        }
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        let inner = match &self.bins {
            None => quartiles(&self.kept, [self.min, self.max]),
            Some(bins) => [0.25, 0.5, 0.75].map(|q| {
                let place = q * (self.count - 1) as f64;
                let rank = place.floor() as u64;
                let (a, b) = (
                    bins.at_rank(rank),
                    bins.at_rank((rank + 1).min(self.count - 1)),
                );
                (a + (b - a) * place.fract()).clamp(min, max)
            }),
        };
        [min, inner[0], inner[1], inner[2], max]
    }
}

/// The smallest and the largest of some numbers; NaN for both when one is NaN. Infinity and its
/// opposite for none.
fn ends(values: &[f32]) -> (f32, f32) {
    const LANES: usize = 32;
    let (chunks, rest) = values.as_chunks::<LANES>();
    let (mut min, mut max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    // 0, or NaN once a NaN or an infinite number was among them.
    let mut odd = [0f32; LANES];
    vectorised(
        #[inline(always)]
        || {
            for chunk in chunks {
                for lane in 0..LANES {
                    let v = chunk[lane];
                    min[lane] = if v < min[lane] { v } else { min[lane] };
                    max[lane] = if v > max[lane] { v } else { max[lane] };
                    odd[lane] += 0.0 * v;
                }
            }
        },
    );
    let odd = odd.iter().sum::<f32>() + rest.iter().map(|v| 0.0 * v).sum::<f32>();
    let all = |ends: [f32; LANES], f: fn(f32, f32) -> f32| {
        odd + ends
            .into_iter()
            .chain(rest.iter().copied())
            .fold(ends[0], f)
    };
    (all(min, f32::min), all(max, f32::max))
}

/// The quartiles of a list that is not empty, without sorting or copying all of it: numbers are
/// counted in coarse bins from the smallest to the largest, and only those in the bins that hold a
/// quartile or its neighbour are sorted.
fn quartiles(values: &[f32], [min, max]: [f32; 2]) -> [f64; 3] {
    const COARSE: usize = 1 << 12;
    let scale = COARSE as f32 / (max - min);
    // All in the first bin when they are equal: 0 · ∞ is NaN, which becomes 0.
    let bin = |v: f32| (((v - min) * scale) as usize).min(COARSE - 1);
    let chunks = || values.par_chunks(CHUNK);
    let count = |chunk: &[f32]| {
        let mut counts = vec![0usize; COARSE];
        chunk.iter().for_each(|&v| counts[bin(v)] += 1);
        counts
    };
    let add = |mut a: Vec<usize>, b: Vec<usize>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    let counts = chunks().map(count).reduce(|| vec![0; COARSE], add);
    let last = values.len() - 1;
    let places = [0.25, 0.5, 0.75].map(|q| q * last as f64);
    let ranks = places.map(|p| [p.floor() as usize, (p.floor() as usize + 1).min(last)]);
    // The bin of each rank and its rank in there.
    let locate = |rank: usize| {
        let (mut at, mut below) = (0, 0);
        while below + counts[at] <= rank {
            below += counts[at];
            at += 1;
        }
        (at, rank - below)
    };
    let found = ranks.map(|pair| pair.map(locate));
    let mut wanted: Vec<usize> = found.as_flattened().iter().map(|f| f.0).collect();
    wanted.dedup();
    let is_wanted: Vec<bool> = (0..COARSE).map(|b| wanted.contains(&b)).collect();
    let pick = |chunk: &[f32]| -> Vec<f32> {
        let picked = chunk.iter().copied().filter(|&v| is_wanted[bin(v)]);
        picked.collect()
    };
    // Rising, so that those of a bin stand together, where the counts of the wanted bins below it
    // say.
    let mut members = chunks().map(pick).collect::<Vec<_>>().concat();
    members.par_sort_unstable_by(f32::total_cmp);
    let start = |at: usize| -> usize {
        let below = wanted.iter().take_while(|&&b| b < at);
        below.map(|&b| counts[b]).sum()
    };
    let value = |(at, rank): (usize, usize)| members[start(at) + rank];
    let mut quartiles = [0.0; 3];
    for ((q, place), pair) in quartiles.iter_mut().zip(places).zip(found) {
        *q = quantile(&pair.map(value), place.fract());
    }
    quartiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn numbers(n: usize) -> Vec<f32> {
        let mut s = Stream::new(5, "numbers");
        (0..n)
            .map(|_| (0.3 + 0.2 * s.normal()).clamp(-1.0, 1.0) as f32)
            .collect()
    }

    fn exact(values: &[f32]) -> [f64; 5] {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&sorted, q))
    }

    #[test]
    fn few_numbers_are_exact() {
        for n in [1, 2, 3, 1000] {
            let values = numbers(n);
            let mut q = Quantiles::default();
            q.extend(&values).unwrap();
            assert_eq!(q.five_numbers(), exact(&values));
            assert_eq!((q.error_bound(), q.count()), (0.0, n as u64));
        }
        let none = Quantiles::default();
        assert!(none.five_numbers().iter().all(|v| v.is_nan()));
        assert_eq!((none.count(), none.error_bound()), (0, 0.0));
        let mut same = Quantiles::default();
        same.extend(&[0.25; 7]).unwrap();
        same.merge(&none);
        assert_eq!(same.five_numbers(), [0.25; 5]);
    }

    #[test]
    fn many_numbers_stay_within_the_bound_and_merge_exactly() {
        let values = numbers(EXACT_LIMIT + 1);
        let mut whole = Quantiles::default();
        values
            .chunks(999_983)
            .for_each(|c| whole.extend(c).unwrap());
        let bound = whole.error_bound();
        assert!(bound > 0.0 && bound < 1e-6 && whole.kept.is_empty());
        for (got, want) in whole.five_numbers().iter().zip(exact(&values)) {
            assert!((got - want).abs() <= bound, "{got} {want}");
        }
        let mut merged = Quantiles::default();
        for part in [&values[..7], &values[7..2_000_000], &values[2_000_000..]] {
            let mut q = Quantiles::default();
            q.extend(part).unwrap();
            merged.merge(&q);
        }
        let (a, b) = (whole.bins.as_ref().unwrap(), merged.bins.as_ref().unwrap());
        assert_eq!(a.counts, b.counts);
        assert_eq!(whole.five_numbers(), merged.five_numbers());
        merged.merge(&whole);
        assert_eq!(merged.count(), 2 * values.len() as u64);
    }

    #[test]
    fn ends_of_the_range_and_overflow() {
        let mut q = Quantiles::default();
        q.extend(&[-1.0, 1.0, 1.0]).unwrap();
        q.spill();
        assert_eq!(q.five_numbers()[0], -1.0);
        assert_eq!(q.five_numbers()[4], 1.0);
        let bins = q.bins.as_mut().unwrap();
        bins.add_many(BINS - 1, u32::MAX);
        assert_eq!(bins.count(BINS - 1), u64::from(u32::MAX) + 2);
        for bad in [1.1, f32::NAN] {
            assert!(Quantiles::default().extend(&[bad]).is_err());
        }
    }
}
