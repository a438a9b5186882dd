//! Type-stable memory by slots.

use crate::{Block, Bytes, NoMemory, NotTaken, Slot, Slots};
use core::fmt;

/// A fixed number of slots of one size, in one block that is returned when the pool drops.
///
/// Slots are reused at once, without a grace period: what somebody still holds of a freed slot stays memory of this
/// pool, with the contents of whoever has the slot now. A slot may have several lanes (one for each CPU), each in a
/// part of the block of its own, so that CPUs do not share cache lines.
pub struct Pool {
    slots: Slots,
    block: Block,
    stride: usize,
    lane: usize,
    lanes: u32,
}

/// Lanes start at multiples of this, a cache line.
const LANE_ALIGN: usize = 64;

impl Pool {
    /// Makes `count` free, zeroed slots of `lanes` times `stride` bytes.
    ///
    /// # Errors
    /// [`NoMemory`] where the size is no size, or the allocator refuses.
    pub fn new(count: u32, stride: usize, lanes: u32) -> Result<Pool, NoMemory> {
        let lane =
            stride.checked_mul(count as usize).and_then(|len| len.checked_next_multiple_of(LANE_ALIGN));
        let lane = lane.ok_or(NoMemory)?;
        let block = Block::zeroed(lane.checked_mul(lanes as usize).ok_or(NoMemory)?)?;
        Ok(Pool { slots: Slots::new(count)?, block, stride, lane, lanes })
    }

    /// Takes a free slot, with the bytes that were left in it; `None` where there is none.
    pub fn take(&self) -> Option<Slot> {
        self.slots.take()
    }

    /// Frees a slot.
    ///
    /// # Errors
    /// [`NotTaken`] where it was not taken.
    pub fn free(&self, slot: Slot) -> Result<(), NotTaken> {
        self.slots.free(slot)
    }

    /// Tells whether a slot is taken, at some moment during the call.
    pub fn is_taken(&self, slot: Slot) -> bool {
        self.slots.is_taken(slot)
    }

    /// Gives the number of slots, free or not.
    #[inline]
    pub fn count(&self) -> u32 {
        self.slots.count()
    }

    /// Gives the number of lanes.
    #[inline]
    pub fn lanes(&self) -> u32 {
        self.lanes
    }

    /// Gives the bytes of one lane of a slot; `None` where there is no such slot or lane.
    #[inline]
    pub fn bytes(&self, slot: Slot, lane: u32) -> Option<Bytes<'_>> {
        if slot.0 >= self.slots.count() || lane >= self.lanes {
            return None;
        }
        self.block.bytes().slice(lane as usize * self.lane + slot.0 as usize * self.stride, self.stride).ok()
    }

    /// Gives the memory of all slots.
    pub fn memory(&self) -> Bytes<'_> {
        self.block.bytes()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} slots of {} times {} bytes)", self.count(), self.lanes, self.stride)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn slots_and_lanes_do_not_overlap() {
        let pool = Pool::new(5, 24, 3).unwrap();
        for lane in 0..3 {
            for slot in 0..5 {
                pool.bytes(Slot(slot), lane).unwrap().fill((lane * 5 + slot) as u8);
            }
        }
        for lane in 0..3 {
            for slot in 0..5 {
                assert!(pool.bytes(Slot(slot), lane).unwrap().eq_slice(&[(lane * 5 + slot) as u8; 24]));
            }
        }
        assert!(pool.bytes(Slot(5), 0).is_none());
        assert!(pool.bytes(Slot(0), 3).is_none());
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(Pool::new(u32::MAX, usize::MAX / 2, 1).is_err());
        assert!(Pool::new(u32::MAX, 1 << 40, u32::MAX).is_err());
    }
}
