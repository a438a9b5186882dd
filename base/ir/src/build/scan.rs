//! What must be known of a function's instructions before it is built, in one walk over them.

use super::flow::NONE;
use super::live::arguments;
use super::vars::Seen;
use crate::error::BuildErrorKind;
use crate::source::{Options, Source};
use crate::ssa::{filled, grow};
use alloc_crate::vec::Vec;
use skep_isa::structure::Subprogram;
use skep_isa::{Facts, Flow, Insn, InsnIdx, Reg};

/// Is what is known of one slot; of a wide instruction's second half, nothing. Sets of registers are bits: bit n is rn.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Holds the registers that are read, with [`AGAIN`] for an instruction that may read or write more than registers.
    pub(super) reads: u16,
    pub(super) writes: u16,
    /// Names the piece that starts here; [`STARTS`] until that is known.
    pub(super) piece: u32,
}

/// Stands among registers for what depends on more: on the frame's slots, on rounds that are counted, on who is called.
pub(super) const AGAIN: u16 = 1 << 15;

/// Stands for a piece that has no number yet.
pub(super) const STARTS: u32 = NONE - 1;

/// Holds r0–r9.
const VARIABLES: u16 = 0x3ff;

/// Is what one walk over a function finds.
pub(super) struct Scan {
    /// Holds one entry for each slot, and one behind the last.
    pub(super) slots: Vec<Slot>,
    /// Lists the instructions that read r10.
    pub(super) frame: Vec<InsnIdx>,
    pub(super) seen: Seen,
    /// Says whether it calls functions of the program by their names.
    pub(super) calls: bool,
    /// Says whether it may call functions of the program by their numbers.
    pub(super) by_number: bool,
}

/// Walks over a function.
pub(super) fn scan(
    source: Source<'_>,
    options: &Options,
    function: Subprogram,
) -> Result<Scan, BuildErrorKind> {
    let base = function.start.0;
    let nothing = Slot { reads: 0, writes: 0, piece: NONE };
    let mut slots = filled(nothing, (function.end.0 - base) as usize + 1)?;
    slots[0].piece = STARTS;
    let scan = Scan { slots, frame: Vec::new(), seen: Seen::default(), calls: false, by_number: false };
    let mut noting = Noting { source, options, base, scan };
    let facts = &source.program.facts()[base as usize..function.end.index()];
    for (place, facts) in facts.iter().enumerate() {
        let slot = &mut noting.scan.slots[place];
        slot.reads = facts.reads.bits() & VARIABLES;
        slot.writes = facts.writes.bits() & VARIABLES;
        // Whatever only computes or goes to memory is told by what it names; everything else is looked at.
        if facts.reads.contains(Reg::FP) | !facts.kind.is_plain() {
            noting.note(place, *facts)?;
        }
    }
    Ok(noting.scan)
}

struct Noting<'n> {
    source: Source<'n>,
    options: &'n Options,
    /// Names the function's first slot.
    base: u32,
    scan: Scan,
}

impl Noting<'_> {
    /// Notes an instruction that does more than compute, or that reads r10.
    #[inline(never)]
    fn note(&mut self, place: usize, facts: Facts) -> Result<(), BuildErrorKind> {
        let Noting { source, options, base, .. } = *self;
        let at = InsnIdx(base + place as u32);
        let Some(insn) = source.program.at(at) else { return Ok(()) };
        let Scan { slots, frame, seen, calls, by_number } = &mut self.scan;
        seen.note(insn, facts.reads);
        let mut read = slots[place].reads;
        if facts.reads.contains(Reg::FP) {
            grow(frame, at)?;
            read |= AGAIN;
        }
        match insn {
            Insn::CallHelper { id } => {
                read = arguments(source.link.helper(id).unwrap_or(5)).bits();
                *by_number |= source.calls_by_number(insn, options);
            }
            Insn::CallReg { .. } => *by_number |= source.calls_by_number(insn, options),
            Insn::CallLocal { .. } => {
                *calls = true;
                read |= AGAIN;
            }
            Insn::MayGoto { .. } => read |= AGAIN,
            _ => {}
        }
        slots[place].reads = read;
        if insn.flow() != Flow::Next {
            slots[place + insn.slots() as usize].piece = STARTS;
            if let Some(target) = insn.jump_target(at) {
                slots[(target.0 - base) as usize].piece = STARTS;
            }
        }
        Ok(())
    }
}
