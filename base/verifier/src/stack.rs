//! The stack of one function: eight bytes at a time, what each byte is, and what was stored there whole.

use crate::path::Position;
use crate::value::Value;

/// The most bytes of stack of one function, whatever the limits say: sets of slots have a bit for each.
pub(crate) const MOST_STACK: u32 = 512;

/// What a byte of the stack holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Byte {
    /// It was never written.
    Nothing,
    /// A byte of the value that is stored in the slot.
    Stored,
    /// Some number.
    Some,
    /// Zero.
    Zero,
    /// A byte of what the kernel keeps there.
    Kept,
}

/// Eight bytes of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    /// The bytes by ascending address.
    pub(crate) bytes: [Byte; 8],
    /// What was stored there. Of what the kernel keeps there, only what is `owned` with it, and of a dynptr its `id`, which memory names
    /// that is had from it.
    pub(crate) value: Value,
    /// What the kernel keeps there.
    pub(crate) kept: Option<Kept>,
    /// Where on the path all of it was written last.
    pub(crate) written: Position,
}

/// An object that the kernel keeps on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// One of the two slots of a dynptr.
    Dynptr(Half),
    /// An iterator over numbers, and how often it has given one.
    Iterator { turning: Turning, depth: u32 },
}

/// Where an iterator is (`enum bpf_iter_state`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turning {
    /// There may be a next number.
    Active,
    /// There is none.
    Drained,
}

/// Which half of a dynptr, by ascending address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Half {
    Lower,
    Upper,
}

impl Slot {
    pub(crate) const NOTHING: Slot =
        Slot { bytes: [Byte::Nothing; 8], value: Value::NOTHING, kept: None, written: Position::START };

    /// What the kernel keeps there.
    pub(crate) const fn of(kept: Kept, value: Value, written: Position) -> Slot {
        Slot { bytes: [Byte::Kept; 8], value, kept: Some(kept), written }
    }

    /// Ends what is there, as if nothing had been written.
    pub(crate) fn end(&mut self) {
        *self = Slot { written: self.written, ..Slot::NOTHING };
    }

    /// Whether a value is stored there, and how many bytes of it.
    pub(crate) fn stored(&self) -> Option<(&Value, u32)> {
        if self.bytes[0] != Byte::Stored {
            return None;
        }
        let count = self.bytes.iter().take_while(|&&byte| byte == Byte::Stored).count();
        Some((&self.value, count as u32))
    }

    /// Makes what was stored there bytes of which no more is known than that they are numbers.
    pub(crate) fn scatter(&mut self) {
        for byte in &mut self.bytes {
            if *byte == Byte::Stored {
                *byte = Byte::Some;
            }
        }
        self.value = Value::NOTHING;
    }
}

/// The slot and the first byte in it of the byte at a negative offset from the frame pointer.
pub(crate) fn place(offset: i64) -> (usize, usize) {
    let slot = (-offset - 1) / 8;
    (slot as usize, offset.rem_euclid(8) as usize)
}
