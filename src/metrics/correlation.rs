//! Rank correlation.

use super::interval::{Interval, Z_95};
use crate::error::{Error, Result};

/// Spearman's rank correlation of paired numbers: Pearson's correlation of their ranks, ties
/// sharing the mean of theirs. NaN when there are fewer than two pairs or one side does not vary.
///
/// # Errors
/// [`Error::Mismatch`] when the lists differ in length or hold NaN.
pub(crate) fn spearman(x: &[f64], y: &[f64]) -> Result<f64> {
    if x.len() != y.len() || x.iter().chain(y).any(|v| v.is_nan()) {
        return Err(Error::Mismatch(format!(
            "a correlation needs pairs of numbers: {} and {} were given",
            x.len(),
            y.len()
        )));
    }
    let (x, y) = (ranks(x), ranks(y));
    let mean = (x.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    Ok(product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt())
}

/// The ranks of numbers, from 1; equal numbers have the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = |&&i: &&usize| values[i] == values[order[from]];
        let to = from + order[from..].iter().take_while(equal).count();
        let mean = (from + 1 + to) as f64 / 2.0;
        order[from..to].iter().for_each(|&i| ranks[i] = mean);
        from = to;
    }
    ranks
}

/// The 95 % interval of Spearman's correlation `r` of `n` pairs: Fisher's transformation with the
/// variance `(1 + r²/2) / (n − 3)` of Bonett and Wright (2000). NaN for fewer than four pairs or
/// when `r` is NaN. The transformation has no end at r = 1 or −1: both ends are then r.
///
/// # Panics
/// When r is beyond −1 or 1 by more than rounding.
pub(crate) fn spearman_interval(r: f64, n: usize) -> Interval {
    if n < 4 || r.is_nan() {
        return Interval::UNKNOWN;
    }
    assert!(r.abs() < 1.0 + 1e-9, "a correlation of {r}");
    // Beyond 1 by rounding, artanh is NaN.
    let r = r.clamp(-1.0, 1.0);
    let half = Z_95 * ((1.0 + r * r / 2.0) / (n as f64 - 3.0)).sqrt();
    Interval {
        low: (r.atanh() - half).tanh(),
        high: (r.atanh() + half).tanh(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// `scipy.stats.spearmanr(x, y)` with and without ties.
    #[test]
    fn as_scipy() {
        let x = [1.0, 5.0, 2.0, 8.0, 7.0, 3.0, 9.0];
        let y = [2.0, 6.0, 1.0, 5.0, 8.0, 4.0, 7.0];
        assert!((spearman(&x, &y).unwrap() - 0.785_714_285_714_285_9).abs() < 1e-12);
        let x = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 0.5];
        let y = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        assert!((spearman(&x, &y).unwrap() - 0.529_366_374_234_267_6).abs() < 1e-12);
        assert!(spearman(&x, &[1.0; 7]).unwrap().is_nan());
        assert!(spearman(&[], &[]).unwrap().is_nan());
        assert!(spearman(&[1.0], &[2.0]).unwrap().is_nan());
        assert!(spearman(&x, &y[1..]).is_err());
        assert!(spearman(&[f64::NAN], &[1.0]).is_err());
    }

    /// The interval holds the true correlation in about 95 of 100 samples of a normal pair.
    #[test]
    fn the_interval_covers() {
        let mut s = Stream::new(11, "pairs");
        let (rho, n, rounds) = (0.6f64, 60, 1000);
        // Spearman's correlation of a normal pair of correlation ρ is (6/π) asin(ρ/2).
        let truth = 6.0 / std::f64::consts::PI * (rho / 2.0).asin();
        let mut covered = 0;
        for _ in 0..rounds {
            let x: Vec<f64> = (0..n).map(|_| s.normal()).collect();
            let noise = (1.0 - rho * rho).sqrt();
            let y: Vec<f64> = x.iter().map(|v| rho * v + noise * s.normal()).collect();
            let i = spearman_interval(spearman(&x, &y).unwrap(), n);
            covered += u32::from(i.low <= truth && truth <= i.high);
        }
        assert!((925..=975).contains(&covered), "{covered}");
        for none in [spearman_interval(0.5, 3), spearman_interval(f64::NAN, 9)] {
            assert!(none.low.is_nan() && none.high.is_nan());
        }
        for r in [1.0, 1.0 + 1e-15] {
            let i = spearman_interval(r, 9);
            assert_eq!((i.low, i.high), (1.0, 1.0));
        }
    }
}
