//! Frames: their memory, and what is known of every byte.

use crate::Value;
use alloc::vec::Vec;
use core::fmt;
use skep_mem::{Block, Bytes, NoMemory};

/// How many functions may be active at once (`MAX_CALL_FRAMES` in `include/linux/bpf_verifier.h`).
pub const MAX_FRAMES: usize = 8;

/// Bytes of one frame unless said otherwise (`MAX_BPF_STACK` in `include/linux/filter.h`).
pub const FRAME_BYTES: u32 = 512;

/// The memory of the frames of one run, to be used again for the next.
#[derive(Debug)]
pub struct Stack {
    block: Block,
    frame: u32,
}

/// Says why there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackError {
    /// A frame wants a size from 8 to 65,536 bytes that is a multiple of 8.
    Size {
        /// The size asked for.
        found: u32,
    },
    /// Memory could not be had.
    NoMemory,
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StackError::Size { found } => {
                write!(f, "a frame wants a multiple of 8 bytes from 8 to 65536, found {found}")
            }
            StackError::NoMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for StackError {}

impl From<NoMemory> for StackError {
    fn from(_: NoMemory) -> StackError {
        StackError::NoMemory
    }
}

impl Stack {
    /// Allocates frames of 512 bytes, as Linux has them.
    ///
    /// # Errors
    /// [`StackError::NoMemory`].
    pub fn new() -> Result<Stack, StackError> {
        Stack::of_frames(FRAME_BYTES)
    }

    /// Allocates frames of `frame` bytes each.
    ///
    /// # Errors
    /// [`StackError`] says which sizes there are.
    pub fn of_frames(frame: u32) -> Result<Stack, StackError> {
        if frame % 8 != 0 || !(8..=0x1_0000).contains(&frame) {
            return Err(StackError::Size { found: frame });
        }
        Ok(Stack { block: Block::zeroed(frame as usize * MAX_FRAMES)?, frame })
    }

    /// Gives the bytes of one frame.
    pub fn frame_bytes(&self) -> u32 {
        self.frame
    }

    pub(crate) fn frame(&self, depth: usize) -> Option<Bytes<'_>> {
        let size = self.frame as usize;
        self.block.bytes().slice(depth.checked_mul(size)?, size).ok()
    }
}

/// What is known of a frame's bytes: each is uninitialised, data, or part of a pointer.
///
/// Everything is kept by eight aligned bytes, a slot.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    /// Bit n of a slot says that its byte n was written.
    written: Vec<u8>,
    /// Whether a slot's bytes are together a pointer.
    holds: Vec<bool>,
    /// The pointer, where a slot holds one.
    pointers: Vec<Value>,
}

impl Shadow {
    /// Forgets everything: no byte of `len` is written.
    pub(crate) fn reset(&mut self, len: usize) -> Result<(), NoMemory> {
        let slots = len / 8;
        self.written.clear();
        self.written.try_reserve_exact(slots)?;
        self.written.resize(slots, 0);
        self.holds.clear();
        self.holds.try_reserve_exact(slots)?;
        self.holds.resize(slots, false);
        if self.pointers.len() != slots {
            self.pointers.clear();
            self.pointers.try_reserve_exact(slots)?;
            self.pointers.resize(slots, Value::Uninit);
        }
        Ok(())
    }

    /// Gives the pointer that the aligned eight bytes at `offset` hold.
    #[inline]
    pub(crate) fn pointer(&self, offset: usize) -> Option<Value> {
        let slot = offset / 8;
        let holds = offset % 8 == 0 && self.holds.get(slot) == Some(&true);
        if holds { self.pointers.get(slot).copied() } else { None }
    }

    /// Gives which of the aligned eight bytes at `offset` were written.
    pub(crate) fn written(&self, offset: usize) -> u8 {
        self.written.get(offset / 8).copied().unwrap_or(0)
    }

    /// Tells whether a byte of the range is part of a pointer.
    #[inline]
    pub(crate) fn has_pointer(&self, offset: usize, len: usize) -> bool {
        let slots = self.holds.get(offset / 8..(offset + len).div_ceil(8));
        slots.is_some_and(|slots| slots.contains(&true))
    }

    /// Finds the first byte of the range that was not written.
    #[inline]
    pub(crate) fn first_unwritten(&self, offset: usize, len: usize) -> Option<usize> {
        let mask = mask(offset % 8, len);
        if offset % 8 + len <= 8 && self.written.get(offset / 8).is_some_and(|bits| bits & mask == mask) {
            return None;
        }
        let written =
            |byte: usize| self.written.get(byte / 8).is_some_and(|bits| bits & (1 << (byte % 8)) != 0);
        (offset..offset + len).find(|&byte| !written(byte))
    }

    /// Notes that the range now holds data.
    #[inline]
    pub(crate) fn write_data(&mut self, offset: usize, len: usize) {
        let mut at = offset;
        while at < offset + len {
            let part = (8 - at % 8).min(offset + len - at);
            if let (Some(written), Some(holds)) = (self.written.get_mut(at / 8), self.holds.get_mut(at / 8)) {
                // What is left of a pointer is data.
                *holds = false;
                *written |= mask(at % 8, part);
            }
            at += part;
        }
    }

    /// Notes that the aligned eight bytes at `offset` now hold a pointer.
    pub(crate) fn write_pointer(&mut self, offset: usize, pointer: Value) {
        let slot = offset / 8;
        if let (Some(written), Some(holds), Some(held)) =
            (self.written.get_mut(slot), self.holds.get_mut(slot), self.pointers.get_mut(slot))
        {
            (*written, *holds, *held) = (0xff, true, pointer);
        }
    }

    /// Yields the pointers that the frame holds.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = Value> + '_ {
        self.holds.iter().zip(&self.pointers).filter(|(holds, _)| **holds).map(|(_, pointer)| *pointer)
    }
}

/// Gives the bits of `len` bytes from byte `from` on, as many as there are up to the eighth.
fn mask(from: usize, len: usize) -> u8 {
    (((1u32 << len.min(8)) - 1) << from) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadow() -> Shadow {
        let mut shadow = Shadow::default();
        shadow.reset(64).unwrap();
        shadow
    }

    #[test]
    fn bytes_are_known_one_by_one() {
        let mut shadow = shadow();
        assert_eq!(shadow.first_unwritten(0, 1), Some(0));
        shadow.write_data(5, 10);
        assert_eq!(shadow.first_unwritten(5, 10), None);
        assert_eq!(shadow.first_unwritten(4, 2), Some(4));
        assert_eq!(shadow.first_unwritten(8, 8), Some(15));
        assert_eq!(shadow.first_unwritten(6, 64), Some(15));
    }

    #[test]
    fn a_write_into_a_pointer_leaves_data() {
        let mut shadow = shadow();
        shadow.write_pointer(8, Value::Context(0));
        assert_eq!(shadow.pointer(8), Some(Value::Context(0)));
        assert_eq!(shadow.pointer(9), None);
        assert!(shadow.has_pointer(15, 1) && shadow.has_pointer(1, 8) && !shadow.has_pointer(0, 8));
        shadow.write_data(10, 1);
        assert_eq!((shadow.pointer(8), shadow.first_unwritten(8, 8)), (None, None));
        assert_eq!(shadow.pointers().count(), 0);
    }

    #[test]
    fn frames_have_sizes_that_make_sense() {
        assert_eq!(Stack::new().unwrap().frame(7).unwrap().len(), 512);
        for size in [0, 4, 12, 0x1_0008, u32::MAX] {
            assert_eq!(Stack::of_frames(size).err(), Some(StackError::Size { found: size }));
        }
        assert!(Stack::new().unwrap().frame(8).is_none());
    }
}
