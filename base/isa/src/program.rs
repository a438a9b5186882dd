//! A whole program, decoded once.

use crate::{DecodeError, DecodeErrorKind, Insn, InsnIdx, RawInsn, insns};
use alloc::vec::Vec;

/// Holds a program whose every slot decodes, for access by slot.
///
/// Where its jumps lead is not checked: that is [`structure::check`](crate::structure::check).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// Holds one entry for each slot; none where the second half of a wide instruction is.
    slots: Vec<Option<Insn>>,
}

impl Program {
    /// Decodes slots.
    ///
    /// # Errors
    ///
    /// The first [`DecodeError`]; memory is taken in proportion to `slots` only.
    pub fn decode(slots: &[RawInsn]) -> Result<Program, DecodeError> {
        let mut program = Program::default();
        program
            .slots
            .try_reserve_exact(slots.len())
            .map_err(|_| DecodeError { at: InsnIdx::ZERO, kind: DecodeErrorKind::OutOfMemory })?;
        for insn in insns(slots) {
            let (_, insn) = insn?;
            program.slots.push(Some(insn));
            if insn.slots() == 2 {
                program.slots.push(None);
            }
        }
        Ok(program)
    }

    /// Counts the slots.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Says whether there is no slot.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns the instruction that starts at a slot; nothing past the end or at the second half of a wide one.
    #[inline]
    pub fn at(&self, at: InsnIdx) -> Option<Insn> {
        self.slots.get(at.index()).copied().flatten()
    }

    /// Says whether a slot is inside the program, be it the second half of a wide instruction.
    #[inline]
    pub fn contains(&self, at: InsnIdx) -> bool {
        at.index() < self.slots.len()
    }

    /// Yields the instructions with their slots, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (InsnIdx, Insn)> + Clone + '_ {
        let indexed = self.slots.iter().enumerate();
        indexed.filter_map(|(at, insn)| insn.map(|insn| (InsnIdx(at as u32), insn)))
    }

    /// Yields the slots that store the program again.
    pub fn encode(&self) -> impl Iterator<Item = RawInsn> + '_ {
        self.iter().flat_map(|(_, insn)| {
            let encoded = insn.encode();
            let second = encoded.get(1).copied();
            core::iter::once(encoded.first()).chain(second)
        })
    }
}
