//! An element in the making.

use super::{Given, Hash, IsNew};
use skep_abi::Errno;
use skep_mem::{Bytes, OnCpu, Slot};

/// How often a slot is asked for where none seems free.
const SLOT_TRIES: u32 = 1000;

/// A slot with a key, and room in the map once that is claimed. What is not kept is given back on drop.
pub(super) struct Draft<'h> {
    map: &'h Hash,
    /// The key's hash: of the copy in the slot, which nobody else changes.
    pub(super) hash: u32,
    slot: Option<Slot>,
    has_room: bool,
}

impl<'h> Draft<'h> {
    /// Takes a slot and copies the key.
    ///
    /// # Errors
    /// `EBUSY` where no slot is free, which more than one writer for each CPU and level would have to cause.
    pub(super) fn new(map: &'h Hash, key: Bytes<'_>) -> Result<Draft<'h>, Errno> {
        let slot = (0..SLOT_TRIES).find_map(|_| map.values.take()).ok_or(Errno::EBUSY)?;
        map.table.begin(slot, key);
        let hash = map.hash(map.table.key(slot));
        map.table.set_hash(slot, hash);
        Ok(Draft { map, hash, slot: Some(slot), has_room: false })
    }

    /// Gives the key, as it will stay.
    pub(super) fn key(&self) -> Bytes<'h> {
        self.slot.map_or(Bytes::empty(), |slot| self.map.table.key(slot))
    }

    /// Writes the value of a new element.
    pub(super) fn write(&self, on: &OnCpu<'_>, given: Given<'_>) -> Result<(), Errno> {
        self.slot.map_or(Ok(()), |slot| self.map.write(on, slot, given, IsNew::Yes))
    }

    /// Claims room for one more element, if there is some.
    pub(super) fn claim(&mut self) -> bool {
        self.has_room = self.has_room || self.map.claim();
        self.has_room
    }

    /// Takes over the room of an element that was evicted.
    pub(super) fn inherit(&mut self) {
        self.has_room = true;
    }

    /// Keeps the room that was claimed.
    pub(super) fn keep_room(&mut self) {
        self.has_room = false;
    }

    /// Ends the writing and gives the slot, to be linked; `None` after the first time.
    pub(super) fn finish(&mut self) -> Option<Slot> {
        let slot = self.slot.take()?;
        self.map.table.end(slot);
        Some(slot)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.finish() {
            self.map.release(slot);
        }
        if self.has_room {
            self.map.unclaim();
        }
    }
}
