//! Random numbers: a sequence that starts where the CPU's own source says, or the cycle counter where it has none.

use crate::machine::{cycles, hardware_random};
use core::sync::atomic::{AtomicU64, Ordering};
use skep_mem::Random;

/// A counter and a mixing function (SplitMix64, Steele, Lea and Flood 2014), so that an interrupt in between is harmless.
#[derive(Debug)]
pub(super) struct Sequence(AtomicU64);

/// The step of the counter, odd, from the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Sequence {
    pub(super) fn new() -> Sequence {
        Sequence(AtomicU64::new(hardware_random().unwrap_or_else(cycles)))
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
