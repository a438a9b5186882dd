//! What a verifier has found out about a program, for whoever compiles it.
//!
//! Facts are keyed by the instruction of the program that was verified, and hold in every run of it, however control came there.
//! Only what pruning preserves is one: what pointers point to, and numbers that were seen to matter.

use alloc::vec::Vec;
use skep_isa::InsnIdx;

/// Says what an instruction loads from or stores to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Touches {
    /// No memory, or control never comes here.
    #[default]
    Nothing,
    /// Memory as it is.
    Memory,
    /// The context, at the instruction's own offset from its start.
    Context,
    /// What is looked at through structs of the kernel's, or may not be there.
    Kernel,
}

/// Says what is known of a helper's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallFact {
    /// Names the instruction.
    pub at: InsnIdx,
    /// Is the map that every call is on, by the position among the maps that the program was verified with; nothing where they are
    /// different ones, or maps that were found in maps.
    pub map: Option<u16>,
}

/// Is what is known of a program, by instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Holds one entry for each slot.
    pub touches: Vec<Touches>,
    /// Says for each slot whether control may come there.
    pub reached: Vec<bool>,
    /// Lists the calls of helpers on maps, by instruction.
    pub calls: Vec<CallFact>,
    /// Counts the bytes of stack that the function with the most of them touches.
    pub stack_bytes: u32,
    /// Says whether bytes of the context are lent to helpers as memory.
    pub lends_context: bool,
}

impl Facts {
    /// Says what an instruction loads from or stores to.
    pub fn touches(&self, at: InsnIdx) -> Touches {
        self.touches.get(at.index()).copied().unwrap_or_default()
    }

    /// Says whether control may come to an instruction.
    pub fn is_reached(&self, at: InsnIdx) -> bool {
        self.reached.get(at.index()).copied().unwrap_or(true)
    }

    /// Returns the map that every call at an instruction is on.
    pub fn map_of_call(&self, at: InsnIdx) -> Option<u16> {
        let place = self.calls.binary_search_by_key(&at, |call| call.at).ok()?;
        self.calls.get(place)?.map
    }
}

/// Says how the values of a map are found without asking it. What it says holds as long as the map is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapAccess {
    /// By an index of four bytes: the value of index `n` is at `values + n * stride`, if `n` is less than `entries`.
    Array {
        /// Is the address of the first value.
        values: u64,
        /// Counts the bytes from one value to the next.
        stride: u32,
        /// Counts the values.
        entries: u32,
    },
}
