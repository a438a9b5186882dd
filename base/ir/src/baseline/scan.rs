//! What must be known of a function before its operations are made.

use super::Elsewhere;
use crate::build::live::arguments;
use crate::build::vars::{Seen, Vars};
use crate::machine::{Machine, RegMask};
use crate::ops::OpIdx;
use crate::source::{Access, Options, Source};
use skep_isa::structure::Subprogram;
use skep_isa::{AluOp, AtomicOp, Flow, Insn, InsnIdx, Operand, Reg, Width};

/// Is what is known of one slot of the program. Sets of registers are bits: bit n is rn.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    reads: u16,
    writes: u16,
    /// Holds the registers that somebody may still read where the slot begins.
    pub(super) live: u16,
    /// Holds the registers that are given another value, not only moved on by a sum, here or further on.
    pub(super) remade: u16,
    /// Names the slot that it may jump to.
    to: u32,
    /// Holds where its operations begin.
    pub(super) start: OpIdx,
    /// Holds what registers point to where it begins, once control has led here.
    pub(super) origins: super::origins::Origins,
    /// Says how control comes here, but from the instruction before.
    pub(super) entered: Entered,
    goes: Goes,
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

/// Says where control goes from a slot, besides where it jumps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// It is the second half of the one before.
    Half,
    /// To the next one.
    On,
    /// Nowhere.
    Away,
}

/// Is no slot.
const NOWHERE: u32 = u32::MAX;

impl Default for Slot {
    fn default() -> Slot {
        Slot {
            reads: 0,
            writes: 0,
            live: 0,
            remade: 0,
            to: NOWHERE,
            start: OpIdx(u32::MAX),
            origins: super::origins::Origins::UNSEEN,
            entered: Entered::Never,
            goes: Goes::Half,
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
    let mut noting = Noting {
        source,
        machine,
        options,
        shape: &mut shape,
        slots,
        seen: Seen::default(),
        early: 0,
        read: 0,
        is_early: true,
        goes_back: false,
    };
    for at in function.start.0..function.end.0 {
        let Some(insn) = source.program.at(InsnIdx(at)) else { continue };
        let at = InsnIdx(at);
        // The commonest each have a copy in which it is known what they are: everything below is one decision then.
        match insn {
            Insn::Alu { width, op, dst, src } => noting.note(at, Insn::Alu { width, op, dst, src })?,
            Insn::Load { kind, dst, base, off } => noting.note(at, Insn::Load { kind, dst, base, off })?,
            Insn::Store { size, base, off, src } => noting.note(at, Insn::Store { size, base, off, src })?,
            Insn::Branch { width, cond, dst, src, off } => {
                noting.note(at, Insn::Branch { width, cond, dst, src, off })?;
            }
            insn => noting.note_any(at, insn)?,
        }
    }
    let Noting { seen, early, read, goes_back, .. } = noting;
    let uses_frame = |at: &u32| slots[*at as usize].reads >> Reg::FP.number() & 1 != 0;
    let insns = (function.start.0..function.end.0).filter(uses_frame);
    let insns = insns.filter_map(|at| source.program.at(InsnIdx(at)));
    shape.vars = Vars::of(insns, options.stack_bytes, seen).map_err(|_| Elsewhere)?;
    if goes_back && options.access == Access::Checked {
        remade(&mut slots[function.start.index()..function.end.index()]);
    }
    shape.live = if shape.calls {
        live(slots, function);
        slots[function.start.index()].live
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
    machine: &'n Machine,
    options: &'n Options,
    shape: &'n mut Shape,
    slots: &'n mut [Slot],
    seen: Seen,
    /// Holds the registers that are written before anything else is done with them, and before any way parts.
    early: u16,
    /// Says that no way has parted so far.
    is_early: bool,
    /// Holds all registers that are read.
    read: u16,
    /// Says whether a jump leads back.
    goes_back: bool,
}

impl Noting<'_, '_> {
    #[inline(never)]
    fn note_any(&mut self, at: InsnIdx, insn: Insn) -> Result<(), Elsewhere> {
        self.note(at, insn)
    }

    #[inline(always)]
    fn note(&mut self, at: InsnIdx, insn: Insn) -> Result<(), Elsewhere> {
        let reads = match insn {
            Insn::CallHelper { id } => arguments(self.source.link.helper(id).unwrap_or(5)),
            insn => insn.reads(),
        };
        let writes = insn.writes();
        if writes.contains(Reg::FP) {
            return Err(Elsewhere);
        }
        self.seen.note(insn, reads);
        let (reads, writes) = (reads.bits(), writes.bits());
        self.read |= reads;
        if self.is_early {
            self.early |= writes & !self.read;
            self.is_early = insn.flow() == Flow::Next;
        }
        let shape = &mut *self.shape;
        shape.named |= reads | writes;
        shape.counts.note(reads | writes);
        shape.hazard(self.machine, insn);
        if insn.is_call() {
            let by_number = self.source.calls_by_number(insn, self.options);
            shape.calls = true;
            shape.by_number |= by_number;
            shape.calls_main |= by_number || insn.call_target(at) == Some(InsnIdx::ZERO);
        }
        let (to, goes) = match insn.flow() {
            Flow::Next => (None, Goes::On),
            Flow::Branch { .. } => (insn.jump_target(at), Goes::On),
            _ => (insn.jump_target(at), Goes::Away),
        };
        if let Some(to) = to {
            let target = &mut self.slots[to.index()];
            let entered = if to <= at { Entered::Back } else { Entered::Ahead };
            target.entered = target.entered.max(entered);
            self.goes_back |= entered == Entered::Back;
        }
        let slot = &mut self.slots[at.index()];
        (slot.reads, slot.writes, slot.goes) = (reads, writes, goes);
        slot.to = to.map_or(NOWHERE, |to| to.0);
        slot.remade = if is_moved_on(insn) { 0 } else { writes };
        Ok(())
    }
}

impl Shape {
    /// Notes what an instruction's operation destroys, and whether its operands must be apart from its result.
    #[inline(always)]
    fn hazard(&mut self, machine: &Machine, insn: Insn) {
        let (destroyed, meets) = match insn {
            Insn::Alu { op, dst, src, .. } => {
                let destroyed = match (op, src) {
                    (AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, _) => machine.divisions,
                    (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Reg(_)) => machine.shifts,
                    _ => RegMask(0),
                };
                (destroyed, src == Operand::Reg(dst))
            }
            Insn::Atomic { op, .. } => (machine.exchanges, op == AtomicOp::Cmpxchg || op.fetches()),
            _ => return,
        };
        self.destroyed = self.destroyed.union(destroyed);
        self.aside |= meets;
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

/// Says whether an instruction only adds to what it writes.
fn is_moved_on(insn: Insn) -> bool {
    matches!(insn, Insn::Alu { width: Width::W64, op: AluOp::Add | AluOp::Sub, .. })
}

/// Finds what is given another value from each slot of a function on.
fn remade(slots: &mut [Slot]) {
    let mut remade = 0;
    for slot in slots.iter_mut().rev() {
        remade |= slot.remade;
        slot.remade = remade;
    }
}

/// Finds what is live at each slot of a function.
fn live(slots: &mut [Slot], function: Subprogram) {
    for walk in 0..=WALKS {
        let last = walk == WALKS;
        let (mut changed, mut next) = (false, 0);
        for at in (function.start.index()..function.end.index()).rev() {
            let Slot { reads, writes, to, goes, entered, .. } = slots[at];
            let mut after = match goes {
                Goes::Half => continue,
                Goes::On => next,
                Goes::Away => 0,
            };
            if to != NOWHERE {
                after |= if last && to as usize <= at { ALL } else { slots[to as usize].live };
            }
            next = reads & ALL | after & !writes;
            changed |= entered == Entered::Back && slots[at].live != next;
            slots[at].live = next;
        }
        if !changed || last {
            return;
        }
    }
}
