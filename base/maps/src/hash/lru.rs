//! What a full LRU hash evicts: the hand of a clock passes over the slots, spares once what was used since it last
//! passed, and takes the first that was not.
//!
//! Linux keeps an active and an inactive list and moves batches between them and CPUs (kernel/bpf/bpf_lru_list.c), so
//! it evicts before the map is quite full, and in batches. Here a map holds exactly `max_entries`, and one element
//! goes for one that comes. Both find the oldest that were not used; neither promises which.

use super::table::Table;
use core::sync::atomic::{AtomicU32, Ordering};
use skep_abi::Errno;
use skep_mem::{OnCpu, Pool, Slot};

/// The hand.
#[derive(Debug, Default)]
pub(super) struct Clock {
    hand: AtomicU32,
}

impl Clock {
    /// Unlinks an element and gives its slot. Holds one chain's lock at a time; the caller holds none.
    ///
    /// # Errors
    /// `ENOMEM` where nothing can be evicted now (others hold all locks of an NMI's choice, or all slots).
    pub(super) fn evict(&self, on: &OnCpu<'_>, table: &Table, values: &Pool) -> Result<Slot, Errno> {
        let slots = values.count();
        // Once round to take the marks back, once to find one without, and once for those that others took.
        for _ in 0..u64::from(slots) * 3 {
            let slot = Slot(self.hand.fetch_add(1, Ordering::Relaxed) % slots);
            if !values.is_taken(slot) || table.unmark(slot) {
                continue;
            }
            let Ok(chain) = table.lock(on, table.hash_in(slot)) else { continue };
            if chain.holds(slot) {
                chain.unlink(slot);
                return Ok(slot);
            }
        }
        Err(Errno::ENOMEM)
    }
}
