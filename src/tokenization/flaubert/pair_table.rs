//! The merges by their pair of symbols.

/// A symbol that no merge knows.
pub(crate) const UNKNOWN: u32 = u32::MAX;
/// The rank of a pair that is not merged.
pub(crate) const NO_MERGE: u32 = u32::MAX;

/// From a pair of symbols to its rank and the symbol it becomes: open addressing over a power of two.
pub(crate) struct PairTable {
    entries: Vec<PairEntry>,
    mask: usize,
}

#[derive(Clone, Copy)]
struct PairEntry {
    pair: (u32, u32),
    rank: u32,
    merged: u32,
}

impl PairTable {
    /// A table with room for some pairs.
    pub(crate) fn with_capacity(pairs: usize) -> Self {
        let size = (pairs.max(4) * 2).next_power_of_two();
        let empty = PairEntry {
            pair: (UNKNOWN, UNKNOWN),
            rank: NO_MERGE,
            merged: UNKNOWN,
        };
        Self {
            entries: vec![empty; size],
            mask: size - 1,
        }
    }

    fn slot(&self, pair: (u32, u32)) -> usize {
        let key = u64::from(pair.0) << 32 | u64::from(pair.1);
        let mut slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & self.mask;
        while self.entries[slot].pair != pair && self.entries[slot].rank != NO_MERGE {
            slot = (slot + 1) & self.mask;
        }
        slot
    }

    /// Give a pair its rank and result; the last of several counts.
    pub(crate) fn insert(&mut self, pair: (u32, u32), (rank, merged): (u32, u32)) {
        let slot = self.slot(pair);
        self.entries[slot] = PairEntry { pair, rank, merged };
    }

    /// The rank of a pair, [`NO_MERGE`] when it is not merged.
    #[inline]
    pub(crate) fn rank(&self, left: u32, right: u32) -> u32 {
        self.entries[self.slot((left, right))].rank
    }

    /// What a pair that is merged becomes.
    #[inline]
    pub(crate) fn merged(&self, left: u32, right: u32) -> u32 {
        self.entries[self.slot((left, right))].merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_and_others_are_not() {
        let mut table = PairTable::with_capacity(1000);
        for i in 0..1000 {
            table.insert((i, 2 * i), (i, i + 5000));
        }
        table.insert((7, 14), (2000, 5007));
        assert_eq!(table.rank(7, 14), 2000, "the last rank counts");
        for i in (0..1000).filter(|i| *i != 7) {
            assert_eq!(table.rank(i, 2 * i), i);
            assert_eq!(table.merged(i, 2 * i), i + 5000);
            assert_eq!(table.rank(i, 2 * i + 1), NO_MERGE);
        }
        assert_eq!(table.rank(UNKNOWN, UNKNOWN), NO_MERGE);
    }
}
