//! Philox4x32-10, a counter-based generator: the n-th number is a pure function of the key and n,
//! so that threads, resumed runs and backward passes find the same numbers without keeping any
//! state.
//!
//! J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3
//! (SC 2011).

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The four random words at `counter` under `key` (Philox4x32 with ten rounds).
#[inline(always)]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for round in 0..ROUNDS {
        if round > 0 {
            k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
        }
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
    }
    c
}

/// A named sequence of random numbers. Two streams of one seed with different names are
/// independent; the same seed and name always give the same sequence, on every machine.
///
/// The key of the generator is the seed; the upper half of its counter is the 64-bit FNV-1a hash of
/// the name, the lower half the number of the block of four words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    key: [u32; 2],
    name: [u32; 2],
    block: u64,
    words: [u32; 4],
    used: usize,
    spare_normal: Option<f64>,
}

impl Stream {
    /// The stream called `name` of `seed`, at its beginning.
    pub fn new(seed: u64, name: &str) -> Self {
        Self {
            key: split(seed),
            name: split(fnv1a(name)),
            block: 0,
            words: [0; 4],
            used: 4,
            spare_normal: None,
        }
    }

    /// The four words of block `index`, wherever the stream stands: random access for masks and
    /// parallel loops. The sequential functions take their words from blocks 0, 1, 2...
    #[inline(always)]
    pub(crate) fn block(&self, index: u64) -> [u32; 4] {
        let [low, high] = split(index);
        philox4x32([low, high, self.name[0], self.name[1]], self.key)
    }

    /// The next 32 random bits.
    pub(crate) fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = self.block(self.block);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// The next 64 random bits: two words, the first one low.
    pub(crate) fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// A number in `[0, 1)`, uniform over the multiples of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * f64::EPSILON / 2.0
    }

    /// A standard normal number (Box and Muller 1958; numbers come in pairs, the second is kept for
    /// the next call).
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare_normal.take() {
            return z;
        }
        // 1 − u lies in (0, 1]: its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (TAU * self.uniform()).sin_cos();
        self.spare_normal = Some(radius * sin);
        radius * cos
    }

    /// A whole number in `0..n`, without bias (Lemire 2019: multiplication and rejection). 0 when
    /// `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// A random order of `0..n` (Fisher and Yates).
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

fn split(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// The 64-bit FNV-1a hash (Fowler, Noll and Vo).
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that the authors publish with Random123 (`kat_vectors`, lines `philox4x32 10`).
    #[test]
    fn known_answers() {
        for (counter, key, answer) in [
            (
                [0; 4],
                [0; 2],
                [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD],
            ),
            (
                [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
                [0xA409_3822, 0x299F_31D0],
                [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1],
            ),
        ] {
            assert_eq!(philox4x32(counter, key), answer);
        }
    }

    #[test]
    fn a_stream_depends_on_seed_and_name_only() {
        let draw = |seed, name| {
            let mut s = Stream::new(seed, name);
            (0..10).map(|_| s.next_u32()).collect::<Vec<_>>()
        };
        assert_eq!(draw(42, "dropout"), draw(42, "dropout"));
        assert_ne!(draw(42, "dropout"), draw(42, "head"));
        assert_ne!(draw(42, "dropout"), draw(43, "dropout"));
        assert_ne!(draw(1, "dropout"), draw(1 | 1 << 32, "dropout"));
        let s = Stream::new(42, "dropout");
        let blocks: Vec<u32> = (0..3).flat_map(|i| s.block(i)).take(10).collect();
        assert_eq!(draw(42, "dropout"), blocks);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut s = Stream::new(7, "moments");
        let n = 200_000;
        let (mut u1, mut u2, mut z1, mut z2, mut z4) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for _ in 0..n {
            let u = s.uniform();
            assert!((0.0..1.0).contains(&u));
            let z = s.normal();
            u1 += u;
            u2 += u * u;
            z1 += z;
            z2 += z * z;
            z4 += z.powi(4);
        }
        // five standard errors each
        let n = f64::from(n);
        let close =
            |x: f64, want: f64, sd: f64| assert!((x / n - want).abs() < 5.0 * sd / n.sqrt());
        close(u1, 0.5, (1.0f64 / 12.0).sqrt());
        close(u2, 1.0 / 3.0, (4.0f64 / 45.0).sqrt());
        close(z1, 0.0, 1.0);
        close(z2, 1.0, 2f64.sqrt());
        close(z4, 3.0, 96f64.sqrt());
    }

    #[test]
    fn below_is_in_range_and_even() {
        let mut s = Stream::new(3, "below");
        assert_eq!(s.below(0), 0);
        assert_eq!(s.below(1), 0);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[s.below(6)] += 1;
        }
        // five standard deviations of a binomial count
        assert!(counts.iter().all(|&c| (c as f64 - 1e4).abs() < 5.0 * 91.3));
    }

    #[test]
    fn a_permutation_holds_each_number_once() {
        let mut s = Stream::new(3, "order");
        assert!(s.permutation(0).is_empty());
        let mut p = s.permutation(1000);
        assert_ne!(p, (0..1000).collect::<Vec<_>>());
        p.sort_unstable();
        assert_eq!(p, (0..1000).collect::<Vec<_>>());
    }
}
