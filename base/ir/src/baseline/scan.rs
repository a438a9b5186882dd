//! What must be known of a function before its operations are made.

use super::Elsewhere;
use crate::build::live::arguments;
use crate::build::vars::{Seen, Vars};
use crate::machine::{Machine, RegMask};
use crate::ops::OpIdx;
use crate::source::{Access, Options, Source};
use crate::ssa::grow;
use alloc_crate::vec::Vec;
use skep_isa::structure::Subprogram;
use skep_isa::{Facts, Flow, Insn, InsnIdx, Kind, Reg, RegSet};

/// Is what is known of one slot of the program, besides its [`Facts`]. Sets of registers are bits: bit n is rn.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Holds the registers that somebody may still read where the slot begins, in functions that call.
    pub(super) live: u16,
    /// Holds the registers that are given another value, not only moved on by a sum, here or further on, where that is asked for.
    pub(super) remade: u16,
    /// Holds where its operations begin.
    pub(super) start: OpIdx,
    /// Holds what registers point to where it begins, once control has led here.
    pub(super) origins: super::origins::Origins,
    /// Says how control comes here, but from the instruction before.
    pub(super) entered: Entered,
}

/// Says how control comes to a slot, but from the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entered {
    /// Not at all.
    Never,
    /// By jumps from before.
    Ahead,
    /// By a jump back, too.
    Back,
}

impl Default for Slot {
    fn default() -> Slot {
        Slot {
            live: 0,
            remade: 0,
            start: OpIdx(u32::MAX),
            origins: super::origins::Origins::UNSEEN,
            entered: Entered::Never,
        }
    }
}

/// Is what is known of a function.
pub(super) struct Shape {
    pub(super) function: Subprogram,
    pub(super) vars: Vars,
    /// Lists which of r1 to r5 it takes: bit 0 is r1.
    pub(super) takes: u8,
    /// Holds the registers that are live where it is entered.
    pub(super) live: u16,
    /// Holds the registers that it names at all.
    pub(super) named: u16,
    /// Counts how often it names each.
    pub(super) counts: Counts,
    /// Holds the places that its operations destroy, but for calls.
    pub(super) destroyed: RegMask,
    /// Says whether it calls anything.
    pub(super) calls: bool,
    /// Says whether it may call functions by their number.
    pub(super) by_number: bool,
    /// Says whether it may call the function where the program is entered.
    pub(super) calls_main: bool,
    /// Says whether an operation needs a place for what it must not find where it is.
    pub(super) aside: bool,
}

/// Bounds the walks that find what is live; where more were needed, everything is at the heads of loops.
const WALKS: u32 = 6;
/// Holds r0 to r9.
const ALL: u16 = 0x3ff;

/// Looks at each instruction of a function.
pub(super) fn scan(
    source: Source<'_>,
    machine: &Machine,
    options: &Options,
    function: Subprogram,
    number: usize,
    slots: &mut [Slot],
) -> Result<Shape, Elsewhere> {
    let mut shape = Shape {
        function,
        vars: Vars::default(),
        takes: 0,
        live: 0,
        named: 0,
        counts: Counts::default(),
        destroyed: RegMask(0),
        calls: false,
        by_number: false,
        calls_main: false,
        aside: false,
    };
    let hazards = Hazards::new(machine);
    let mut noting = Noting {
        source,
        options,
        shape: &mut shape,
        slots,
        seen: Seen::default(),
        frame: Vec::new(),
        is_early: true,
        goes_back: false,
    };
    let facts = &source.program.facts()[function.start.index()..function.end.index()];
    // The registers that are written before anything else is done with them, and before any way parts; and all that are read.
    let (mut early, mut read) = (0, 0);
    for (at, facts) in (function.start.0..).zip(facts) {
        let (mut reads, writes) = (facts.reads.bits(), facts.writes.bits());
        let touches_frame = (reads | writes) >> Reg::FP.number() & 1 != 0;
        let is_early = noting.is_early;
        // Whatever only computes or goes to memory is told by what it names; everything else is looked at.
        if touches_frame | !facts.kind.is_plain() {
            reads = noting.note(InsnIdx(at), *facts)?;
        }
        read |= reads;
        if is_early {
            early |= writes & !read;
        }
        let shape = &mut *noting.shape;
        shape.named |= reads | writes;
        shape.counts.note(reads | writes);
        let hazard = &hazards.of[facts.kind as usize];
        shape.destroyed = shape.destroyed.union(hazard.destroyed);
        // What is given two registers and names one only is given the same twice.
        shape.aside |= hazard.takes_two & (reads == writes);
    }
    let Noting { seen, frame, goes_back, .. } = noting;
    let insns = frame.into_iter().filter_map(|at| source.program.at(at));
    shape.vars = Vars::of(insns, options.stack_bytes, seen).map_err(|_| Elsewhere)?;
    let slots = &mut slots[function.start.index()..function.end.index()];
    if goes_back && options.access == Access::Checked {
        remade(facts, slots);
    }
    shape.live = if shape.calls {
        live(source, function, slots);
        slots[0].live
    } else {
        // Only calls leave what must be made anew; here it is enough to know what may be read before it is written.
        read & ALL & !early
    };
    // A program is entered with all that its machine sets; others take what they read.
    shape.takes = if number == 0 { 0x1f } else { (shape.live >> 1) as u8 & 0x1f };
    Ok(shape)
}

struct Noting<'n, 's> {
    source: Source<'s>,
    options: &'n Options,
    shape: &'n mut Shape,
    slots: &'n mut [Slot],
    seen: Seen,
    /// Lists the instructions that read r10.
    frame: Vec<InsnIdx>,
    /// Says that no way has parted so far.
    is_early: bool,
    /// Says whether a jump leads back.
    goes_back: bool,
}

impl Noting<'_, '_> {
    /// Notes an instruction that does more than compute, or that names r10, and returns the registers that it reads.
    #[inline(never)]
    fn note(&mut self, at: InsnIdx, facts: Facts) -> Result<u16, Elsewhere> {
        let Some(insn) = self.source.program.at(at) else { return Ok(0) };
        if facts.writes.contains(Reg::FP) {
            return Err(Elsewhere);
        }
        let reads = reads(self.source, insn, facts);
        self.seen.note(insn, reads);
        if reads.contains(Reg::FP) {
            grow(&mut self.frame, at).map_err(|_| Elsewhere)?;
        }
        let shape = &mut *self.shape;
        match facts.kind {
            Kind::Atomic => {
                // What returns what was there may return it in a register that it reads.
                shape.aside |= matches!(insn, Insn::Atomic { op, .. } if op.fetches());
            }
            Kind::Call if insn.is_call() => {
                let by_number = self.source.calls_by_number(insn, self.options);
                shape.calls = true;
                shape.by_number |= by_number;
                shape.calls_main |= by_number || insn.call_target(at) == Some(InsnIdx::ZERO);
            }
            Kind::Jump => {
                self.is_early = false;
                if let Some(to) = insn.jump_target(at) {
                    let target = &mut self.slots[to.index()];
                    let entered = if to <= at { Entered::Back } else { Entered::Ahead };
                    target.entered = target.entered.max(entered);
                    self.goes_back |= entered == Entered::Back;
                }
            }
            _ => {}
        }
        Ok(reads.bits())
    }
}

/// Returns the registers that an instruction reads, with what is known of the helper that it calls.
fn reads(source: Source<'_>, insn: Insn, facts: Facts) -> RegSet {
    match insn {
        Insn::CallHelper { id } => arguments(source.link.helper(id).unwrap_or(5)),
        _ => facts.reads,
    }
}

/// Says of each kind of instruction what its operation may do to others.
struct Hazards {
    of: [Hazard; Kind::COUNT],
}

#[derive(Clone, Copy)]
struct Hazard {
    /// Holds the places that it destroys.
    destroyed: RegMask,
    /// Says that it has two operands in registers, which must be apart where it writes one first.
    takes_two: bool,
}

impl Hazards {
    fn new(machine: &Machine) -> Hazards {
        let mut of = [Hazard { destroyed: RegMask(0), takes_two: false }; Kind::COUNT];
        for kind in [Kind::Divide, Kind::DivideReg] {
            of[kind as usize].destroyed = machine.divisions;
        }
        of[Kind::ShiftReg as usize].destroyed = machine.shifts;
        of[Kind::Atomic as usize].destroyed = machine.exchanges;
        for kind in [Kind::AluReg, Kind::SumReg, Kind::ShiftReg, Kind::DivideReg] {
            of[kind as usize].takes_two = true;
        }
        Hazards { of }
    }
}

/// Counts how often a function names each of r6 to r10, twelve bits for each; what comes behind the first few thousand
/// instructions changes no order of theirs that matters.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    counts: u64,
    noted: u16,
}

impl Counts {
    const BITS: u32 = 12;

    #[inline]
    fn note(&mut self, named: u16) {
        const LANES: [u64; 32] = {
            let mut lanes = [0; 32];
            let mut set = 0;
            while set < 32 {
                let mut reg = 0;
                while reg < 5 {
                    lanes[set] |= (set as u64 >> reg & 1) << (Counts::BITS * reg);
                    reg += 1;
                }
                set += 1;
            }
            lanes
        };
        if u32::from(self.noted) < (1 << Counts::BITS) - 1 {
            self.noted += 1;
            self.counts += LANES[usize::from(named >> Reg::R6.number()) & 31];
        }
    }

    /// Says how often one of r6 to r10 is named.
    pub(super) fn of(self, reg: Reg) -> u64 {
        let lane = u32::from(reg.number() - Reg::R6.number());
        self.counts >> (Counts::BITS * lane) & ((1 << Counts::BITS) - 1)
    }
}

/// Finds what is given another value from each slot of a function on: all that is written, but for what is only moved on.
fn remade(facts: &[Facts], slots: &mut [Slot]) {
    let mut remade = 0;
    for (facts, slot) in facts.iter().zip(slots).rev() {
        let is_moved_on = matches!(facts.kind, Kind::Sum | Kind::SumReg);
        remade |= if is_moved_on { 0 } else { facts.writes.bits() };
        slot.remade = remade;
    }
}

/// Finds what is live at each slot of a function, whose first is the first of these.
fn live(source: Source<'_>, function: Subprogram, slots: &mut [Slot]) {
    let facts = &source.program.facts()[function.start.index()..function.end.index()];
    for walk in 0..=WALKS {
        let last = walk == WALKS;
        let (mut changed, mut next) = (false, 0);
        for (place, facts) in facts.iter().enumerate().rev() {
            let (mut reads, mut after) = (facts.reads, next);
            match facts.kind {
                Kind::Half => continue,
                Kind::Jump | Kind::Call => {
                    let at = InsnIdx(function.start.0 + place as u32);
                    let Some(insn) = source.program.at(at) else { continue };
                    reads = self::reads(source, insn, *facts);
                    if !matches!(insn.flow(), Flow::Next | Flow::Branch { .. }) {
                        after = 0;
                    }
                    if let Some(to) = insn.jump_target(at) {
                        let to = (to.0 - function.start.0) as usize;
                        after |= if last && to <= place { ALL } else { slots[to].live };
                    }
                }
                _ => {}
            }
            next = reads.bits() & ALL | after & !facts.writes.bits();
            changed |= slots[place].entered == Entered::Back && slots[place].live != next;
            slots[place].live = next;
        }
        if !changed || last {
            return;
        }
    }
}
