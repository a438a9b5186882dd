//! Random numbers: one sequence per kernel, the same for the same seed.

use skep_mem::Random;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter and a mixing function (SplitMix64, Steele, Lea and Flood 2014), so that no two callers get one number.
#[derive(Debug)]
pub(super) struct Sequence(AtomicU64);

/// The step of the counter, odd, from the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Sequence {
    /// Starts at a seed, or at one that nobody can know.
    pub(super) fn new(seed: Option<u64>) -> Sequence {
        Sequence(AtomicU64::new(seed.unwrap_or_else(|| RandomState::new().hash_one(STEP))))
    }
}

impl Random for Sequence {
    fn next_u32(&self) -> u32 {
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |seed| {
            let sequence = Sequence::new(seed);
            [(); 4].map(|()| sequence.next_u32())
        };
        assert_eq!(numbers(Some(1)), numbers(Some(1)));
        assert_ne!(numbers(Some(1)), numbers(Some(2)));
        assert_ne!(numbers(None), numbers(None));
        // The first output of SplitMix64 seeded with 0 is 0xe220a8397b1dcdaf.
        assert_eq!(numbers(Some(0))[0], 0xe220_a839);
    }
}
