//! The objects of a run: what pointers point to.

use crate::{Access, FaultKind, ObjectId};
use alloc::vec::Vec;
use core::fmt;
use skep_isa::InsnIdx;
use skep_mem::{Bytes, MapIndex, RecordToken};

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// A function's frame.
    Stack,
    /// The packet, from `data_meta` to `data_end`.
    Packet,
    /// A value of a map.
    MapValue(MapIndex),
    /// An open record of a ring.
    Record(MapIndex),
    /// Plain memory: that of a user-space program, or what a context field points to.
    Memory,
    /// A key that a helper lends to a callback.
    Key,
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::Stack => f.write_str("the stack frame"),
            Region::Packet => f.write_str("the packet"),
            Region::MapValue(MapIndex(map)) => write!(f, "a value of map {map}"),
            Region::Record(MapIndex(map)) => write!(f, "a record of map {map}"),
            Region::Memory => f.write_str("the memory"),
            Region::Key => f.write_str("the key"),
        }
    }
}

/// What a program may do with an object's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Read and write.
    ReadWrite,
    /// Read only (`BPF_F_RDONLY_PROG`).
    ReadOnly,
    /// Write only (`BPF_F_WRONLY_PROG`).
    WriteOnly,
}

impl Rights {
    pub(crate) fn reads(self) -> bool {
        self != Rights::WriteOnly
    }

    pub(crate) fn writes(self) -> bool {
        self != Rights::ReadOnly
    }

    #[inline]
    pub(crate) fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.reads(),
            Access::Write => self.writes(),
            Access::Atomic => self.reads() && self.writes(),
        }
    }
}

/// Whether an object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing refers to it: the number may be given out.
    Free,
    Live,
    /// It is gone, but pointers to it may still be about.
    Dead,
}

/// One object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'m> {
    pub(crate) bytes: Bytes<'m>,
    pub(crate) region: Region,
    pub(crate) rights: Rights,
    pub(crate) state: State,
    /// The frame's depth, for a frame.
    pub(crate) frame: usize,
    /// The reservation, for a record.
    pub(crate) token: RecordToken,
    /// Where it came to be.
    pub(crate) born: InsnIdx,
}

impl<'m> Object<'m> {
    pub(crate) fn new(region: Region, rights: Rights, bytes: Bytes<'m>) -> Object<'m> {
        Object {
            bytes,
            region,
            rights,
            state: State::Live,
            frame: 0,
            token: RecordToken(0),
            born: InsnIdx::ZERO,
        }
    }
}

/// All objects of a run.
///
/// The table grows with the values that are about, not with the length of the run: when it is full, the machine
/// marks what registers and stack slots refer to, and the rest is given out anew.
pub(crate) struct Objects<'m> {
    list: Vec<Object<'m>>,
    free: Vec<u32>,
    /// How long the list may be before the machine should look for garbage.
    collect_at: usize,
}

/// The most objects that can be alive: open records of the largest rings stay below.
const LIMIT: usize = 1 << 22;

impl<'m> Objects<'m> {
    pub(crate) fn new() -> Objects<'m> {
        Objects { list: Vec::new(), free: Vec::new(), collect_at: 256 }
    }

    /// Tells whether a collection is due before the next object.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty() && self.list.len() >= self.collect_at
    }

    pub(crate) fn insert(&mut self, object: Object<'m>) -> Result<ObjectId, FaultKind> {
        if let Some(id) = self.free.pop() {
            if let Some(slot) = self.list.get_mut(id as usize) {
                *slot = object;
                return Ok(ObjectId(id));
            }
        }
        if self.list.len() >= LIMIT {
            return Err(FaultKind::TooManyObjects);
        }
        self.list.try_reserve(1).map_err(|_| FaultKind::OutOfMemory)?;
        self.list.push(object);
        Ok(ObjectId((self.list.len() - 1) as u32))
    }

    #[inline]
    pub(crate) fn find(&self, id: ObjectId) -> Option<&Object<'m>> {
        self.list.get(id.0 as usize)
    }

    /// Tells whether there was such an object, and is not any more.
    pub(crate) fn is_gone(&self, id: ObjectId) -> bool {
        self.find(id).is_some_and(|object| object.state == State::Dead)
    }

    /// Gives the bytes of a live object from an offset to its end, where a program may read them.
    pub(crate) fn readable_from(&self, id: ObjectId, offset: usize) -> Option<Bytes<'m>> {
        let object = self.find(id).filter(|object| object.state == State::Live && object.rights.reads())?;
        object.bytes.slice(offset, object.bytes.len().checked_sub(offset)?).ok()
    }

    pub(crate) fn kill(&mut self, id: ObjectId) {
        if let Some(object) = self.list.get_mut(id.0 as usize) {
            object.state = State::Dead;
        }
    }

    /// Finds a record that is still open.
    pub(crate) fn open_record(&self) -> Option<&Object<'m>> {
        let open =
            |object: &&Object<'m>| object.state == State::Live && matches!(object.region, Region::Record(_));
        self.list.iter().find(open)
    }

    /// Frees every object that `mark` does not name, but for frames and records that are still alive.
    pub(crate) fn collect(&mut self, mark: impl FnOnce(&mut dyn FnMut(ObjectId))) -> Result<(), FaultKind> {
        let mut seen: Vec<bool> = Vec::new();
        seen.try_reserve_exact(self.list.len()).map_err(|_| FaultKind::OutOfMemory)?;
        seen.extend(self.list.iter().map(|object| {
            object.state == State::Live && matches!(object.region, Region::Record(_) | Region::Stack)
        }));
        mark(&mut |id| {
            if let Some(seen) = seen.get_mut(id.0 as usize) {
                *seen = true;
            }
        });
        self.free.clear();
        self.free.try_reserve(self.list.len()).map_err(|_| FaultKind::OutOfMemory)?;
        for (id, object) in self.list.iter_mut().enumerate().rev() {
            if !seen[id] {
                object.state = State::Free;
                self.free.push(id as u32);
            }
        }
        let used = self.list.len() - self.free.len();
        self.collect_at = (used * 2).max(256);
        Ok(())
    }
}
