//! NumPy's `default_rng(seed).permutation(n)`, bit for bit: it decides which rows
//! `datasets.shuffle(seed)` puts first.
//!
//! Sources: `numpy/random/bit_generator.pyx` (SeedSequence), `src/pcg64/pcg64.h` (PCG64, the XSL-RR
//! output of a 128-bit state: O'Neill 2014), `src/distributions/distributions.c`
//! (`random_interval`: masked rejection) and `_generator.pyx` (`shuffle`: Fisher and Yates from the
//! end). NumPy promises the stream of `default_rng` only within a release; it has not changed from
//! 1.17 to 2.4.

/// What `np.random.default_rng(seed).permutation(n)` gives.
pub(crate) fn numpy_permutation(seed: u64, n: usize) -> Vec<usize> {
    let mut generator = Pcg64::new(seed);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, generator.at_most(i as u64) as usize);
    }
    order
}

/// NumPy's SeedSequence of an integer without spawn key: the first `N` 32-bit words of its state.
fn seed_sequence<const N: usize>(seed: u64) -> [u32; N] {
    const POOL: usize = 4;
    let hash = |value: u32, constant: &mut u32, multiplier: u32| {
        let mixed = value ^ *constant;
        *constant = constant.wrapping_mul(multiplier);
        let mixed = mixed.wrapping_mul(*constant);
        mixed ^ mixed >> 16
    };
    let mix = |x: u32, y: u32| {
        let mixed = 0xCA01_F9DDu32
            .wrapping_mul(x)
            .wrapping_sub(0x4973_F715u32.wrapping_mul(y));
        mixed ^ mixed >> 16
    };

    let mut constant = 0x43B0_D7E5;
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0];
    for word in &mut pool {
        *word = hash(*word, &mut constant, 0x931E_8875);
    }
    for source in 0..POOL {
        for target in (0..POOL).filter(|&t| t != source) {
            let hashed = hash(pool[source], &mut constant, 0x931E_8875);
            pool[target] = mix(pool[target], hashed);
        }
    }
    let mut constant = 0x8B51_F9DD;
    std::array::from_fn(|i| hash(pool[i % POOL], &mut constant, 0x58F3_8DED))
}

/// PCG64 as NumPy seeds and reads it: 32-bit numbers are the two halves of a 64-bit one, the low
/// half first.
struct Pcg64 {
    state: u128,
    increment: u128,
    high_half: Option<u32>,
}

impl Pcg64 {
    fn new(seed: u64) -> Self {
        let words: [u32; 8] = seed_sequence(seed);
        let pair = |i: usize| u128::from(words[i]) | u128::from(words[i + 1]) << 32;
        let (state, sequence) = (pair(0) << 64 | pair(2), pair(4) << 64 | pair(6));
        let mut generator = Self {
            state: 0,
            increment: sequence << 1 | 1,
            high_half: None,
        };
        generator.step();
        generator.state = generator.state.wrapping_add(state);
        generator.step();
        generator
    }

    fn step(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        self.state = self
            .state
            .wrapping_mul(MULTIPLIER)
            .wrapping_add(self.increment);
    }

    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.high_half.take() {
            return half;
        }
        let both = self.next_u64();
        self.high_half = Some((both >> 32) as u32);
        both as u32
    }

    /// A number in `0..=limit` by masked rejection: 32-bit numbers for as long as the limit fits in
    /// them.
    fn at_most(&mut self, limit: u64) -> u64 {
        if limit == 0 {
            return 0;
        }
        let mask = u64::MAX >> limit.leading_zeros();
        loop {
            let value = match u32::try_from(limit) {
                Ok(_) => u64::from(self.next_u32()),
                Err(_) => self.next_u64(),
            } & mask;
            if value <= limit {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/fixtures/study/numpy_permutation.py` says how these were made.
    #[derive(serde::Deserialize)]
    struct Golden {
        seed: u64,
        n: usize,
        /// The first entries, all of them when n is small.
        first: Vec<usize>,
        /// Σ (position + 1) · entry modulo 2⁶⁴: sees every entry and its place.
        checksum: u64,
    }

    #[test]
    fn equals_numpy() {
        let text = include_str!("../../tests/fixtures/study/numpy_permutation.json");
        let goldens: Vec<Golden> = serde_json::from_str(text).unwrap();
        assert!(goldens.len() > 30);
        for g in goldens {
            let got = numpy_permutation(g.seed, g.n);
            assert_eq!(got.len(), g.n);
            assert_eq!(got[..g.first.len()], g.first, "seed {} n {}", g.seed, g.n);
            let checksum = got.iter().enumerate().fold(0u64, |sum, (i, &x)| {
                sum.wrapping_add((i as u64 + 1).wrapping_mul(x as u64))
            });
            assert_eq!(checksum, g.checksum, "seed {} n {}", g.seed, g.n);
        }
    }
}
