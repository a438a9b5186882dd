//! What must be known of a function before its operations are made.

use crate::build::live::arguments;
use crate::build::vars::Vars;
use crate::error::BuildErrorKind;
use crate::machine::{Machine, RegMask};
use crate::ops::OpIdx;
use crate::source::{Options, Source};
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
    pub(super) origins: Option<super::origins::Origins>,
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
            origins: None,
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
    pub(super) counts: [u32; 11],
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
) -> Result<Shape, BuildErrorKind> {
    let mut shape = Shape {
        function,
        vars: Vars::none(options.stack_bytes),
        takes: 0,
        live: 0,
        named: 0,
        counts: [0; 11],
        destroyed: RegMask(0),
        calls: false,
        by_number: false,
        calls_main: false,
        aside: false,
    };
    let mut special = false;
    for at in function.start.0..function.end.0 {
        let Some(insn) = source.program.at(InsnIdx(at)) else { continue };
        let reads = match insn {
            Insn::CallHelper { id } => arguments(source.link.helper(id).unwrap_or(5)),
            insn => insn.reads(),
        };
        let (reads, writes) = (reads.bits(), insn.writes().bits());
        if writes >> Reg::FP.number() != 0 {
            return Err(BuildErrorKind::FramePointer);
        }
        shape.note(reads | writes);
        shape.hazard(machine, insn);
        if insn.is_call() {
            let by_number = source.calls_by_number(insn, options);
            shape.by_number |= by_number;
            shape.calls_main |= by_number || insn.call_target(InsnIdx(at)) == Some(InsnIdx::ZERO);
        }
        special |= matches!(insn, Insn::MayGoto { .. });
        let (to, goes) = match insn.flow() {
            Flow::Next => (None, Goes::On),
            Flow::Branch { .. } => (insn.jump_target(InsnIdx(at)), Goes::On),
            _ => (insn.jump_target(InsnIdx(at)), Goes::Away),
        };
        if let Some(to) = to {
            let target = &mut slots[to.0 as usize];
            target.entered = target.entered.max(if to.0 <= at { Entered::Back } else { Entered::Ahead });
        }
        let slot = &mut slots[at as usize];
        (slot.reads, slot.writes, slot.goes) = (reads, writes, goes);
        slot.to = to.map_or(NOWHERE, |to| to.0);
        slot.remade = if is_moved_on(insn) { 0 } else { writes };
    }
    let frame = shape.named >> Reg::FP.number() & 1 != 0;
    if special || frame {
        shape.vars = Vars::new(source.program, function, options.stack_bytes)?;
    }
    live(slots, function);
    shape.live = slots[function.start.index()].live;
    // A program is entered with all that its machine sets; others take what they read.
    shape.takes = if number == 0 { 0x1f } else { (shape.live >> 1) as u8 & 0x1f };
    Ok(shape)
}

impl Shape {
    fn note(&mut self, mut named: u16) {
        self.named |= named;
        while named != 0 {
            if let Some(count) = self.counts.get_mut(named.trailing_zeros() as usize) {
                *count += 1;
            }
            named &= named - 1;
        }
    }

    /// Notes what an instruction's operation destroys, and whether its operands must be apart from its result.
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
            insn => {
                self.calls |= insn.is_call();
                return;
            }
        };
        self.destroyed = self.destroyed.union(destroyed);
        self.aside |= meets;
    }
}

/// Says whether an instruction only adds to what it writes.
fn is_moved_on(insn: Insn) -> bool {
    matches!(insn, Insn::Alu { width: Width::W64, op: AluOp::Add | AluOp::Sub, .. })
}

/// Finds what is live at each slot of a function, and what is given another value from there on.
fn live(slots: &mut [Slot], function: Subprogram) {
    for walk in 0..=WALKS {
        let last = walk == WALKS;
        let (mut changed, mut next, mut remade) = (false, 0, 0);
        for at in (function.start.index()..function.end.index()).rev() {
            let Slot { reads, writes, to, goes, entered, .. } = slots[at];
            let mut after = match goes {
                Goes::Half => continue,
                Goes::On => next,
                Goes::Away => 0,
            };
            if let Some(target) = slots.get(to as usize) {
                after |= if last && to as usize <= at { ALL } else { target.live };
            }
            let slot = &mut slots[at];
            next = reads & ALL | after & !writes;
            changed |= entered == Entered::Back && slot.live != next;
            slot.live = next;
            remade |= slot.remade;
            slot.remade = remade;
        }
        if !changed {
            return;
        }
    }
}
