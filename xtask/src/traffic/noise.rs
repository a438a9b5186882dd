//! Frames that nobody meant: random bytes behind a plausible start, and real frames with a byte changed.

use super::Timed;
use super::frame::{self, IP, IPV6, QINQ, VLAN};

/// The generator's seed; another one makes another capture.
const SEED: u64 = 0x736b_6570;

/// When noise starts, and the time between two frames of it.
const START_NS: u64 = 2_000_000_000;
const STEP_NS: u64 = 7_000_001;

/// Makes `count` frames: half of them from scratch, half by changing one of `models`.
pub(super) fn frames(models: &[Timed], count: usize) -> Vec<Timed> {
    let mut random = SplitMix(SEED);
    let short: Vec<&Timed> = models.iter().filter(|model| model.bytes.len() <= 120).collect();
    (0..count)
        .map(|index| {
            let bytes = match (index % 2, short.is_empty()) {
                (0, false) => changed(&short[random.below(short.len())].bytes, &mut random),
                _ => random_frame(&mut random),
            };
            Timed { at_ns: START_NS + STEP_NS * index as u64, bytes }
        })
        .collect()
}

/// A frame with one byte replaced, past the stations' addresses where there is anything.
fn changed(model: &[u8], random: &mut SplitMix) -> Vec<u8> {
    let mut bytes = model.to_vec();
    let start = 12.min(bytes.len().saturating_sub(1));
    // The headers are where a change is read.
    let place = start + random.below((bytes.len() - start).min(48));
    bytes[place] = random.next() as u8;
    bytes
}

/// Random bytes behind an EtherType that the examples read, some with a plausible first byte.
fn random_frame(random: &mut SplitMix) -> Vec<u8> {
    let ethertype = [IP, IP, IPV6, VLAN, QINQ][random.below(5)];
    let length = random.below(96);
    let mut payload: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    let version = match ethertype {
        IP => 0x45,
        _ => 0x60,
    };
    if random.below(2) == 0 {
        if let Some(first) = payload.first_mut() {
            *first = version;
        }
    }
    frame::ethernet(0xee, ethertype, &payload)
}

/// The generator SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is above zero.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
