//! A whole program, decoded once.

use crate::decode::Parts;
use crate::{DecodeError, DecodeErrorKind, Facts, Insn, InsnIdx, RawInsn};
use alloc::vec::Vec;

/// Holds a program whose every slot decodes, for access by slot.
///
/// Where its jumps lead is not checked: that is [`structure::check`](crate::structure::check).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// Holds one entry for each slot; none where the second half of a wide instruction is.
    slots: Vec<Option<Insn>>,
    /// Says of each what it does.
    facts: Vec<Facts>,
}

impl Program {
    /// Decodes slots.
    ///
    /// # Errors
    ///
    /// The first [`DecodeError`]; memory is taken in proportion to `slots` only.
    pub fn decode(slots: &[RawInsn]) -> Result<Program, DecodeError> {
        let out_of_memory = |_| DecodeError { at: InsnIdx::ZERO, kind: DecodeErrorKind::OutOfMemory };
        if u32::try_from(slots.len()).is_err() {
            return Err(DecodeError { at: InsnIdx(u32::MAX), kind: DecodeErrorKind::TooLong });
        }
        let mut insns = Vec::new();
        insns.try_reserve_exact(slots.len()).map_err(out_of_memory)?;
        // Where there is no instruction, there is the second half of one.
        insns.resize(slots.len(), None);
        let mut facts = Vec::new();
        facts.try_reserve_exact(slots.len()).map_err(out_of_memory)?;
        facts.resize(slots.len(), Facts::HALF);
        let (mut rest, mut places) = (slots, insns.iter_mut().zip(&mut facts));
        while let ([slot, next @ ..], Some((place, said))) = (rest, places.next()) {
            let at = InsnIdx((slots.len() - rest.len()) as u32);
            let parts = Parts::of(*slot, next).map_err(|kind| DecodeError { at, kind })?;
            let Parts { row, slot, dst, src, next_imm } = parts;
            Parts::put(row, slot, dst, src, next_imm, place);
            *said = parts.facts();
            rest = next;
            if parts.is_wide() {
                rest = &next[1..];
                places.next();
            }
        }
        Ok(Program { slots: insns, facts })
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
        self.get(at).copied()
    }

    /// The same where it lies.
    #[inline]
    pub fn get(&self, at: InsnIdx) -> Option<&Insn> {
        self.slots.get(at.index())?.as_ref()
    }

    /// Says of each slot what the instruction does that starts there.
    #[inline]
    pub fn facts(&self) -> &[Facts] {
        &self.facts
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
