//! Which registers somebody still reads, after each operation: so that a value is not made that only the next one wants.

use super::EmitError;
use alloc::vec::Vec;
use core::ops::Range;
use skep_ir::ops::{Arg, Code, Loc, Op};

/// Is a set of the machine's registers.
pub(super) type Registers = u16;

/// Bounds the walks over a function; where more would be needed, everything counts as read.
const WALKS: u32 = 8;

/// Returns the set that holds a place alone, if that is a register.
pub(super) fn one(loc: Loc, registers: u8) -> Registers {
    if loc.0 < u16::from(registers) { 1 << loc.0 } else { 0 }
}

/// Returns what an operation reads.
pub(super) fn reads(code: &Code, op: &Op, registers: u8) -> Registers {
    let one = |loc| one(loc, registers);
    match *op {
        Op::Const { .. }
        | Op::FramePointer { .. }
        | Op::Charge { .. }
        | Op::Jump { .. }
        | Op::ReturnNumber { .. } => 0,
        Op::Move { src: a, .. }
        | Op::AluImm { a, .. }
        | Op::Neg { a, .. }
        | Op::Sext { a, .. }
        | Op::Trunc { a, .. }
        | Op::Swap { a, .. }
        | Op::Rotl { a, .. }
        | Op::Check { base: a, .. }
        | Op::Room { base: a, .. }
        | Op::Load { base: a, .. }
        | Op::LoadAcquire { base: a, .. }
        | Op::StoreImm { base: a, .. }
        | Op::BranchImm { a, .. }
        | Op::Return { src: a } => one(a),
        Op::Alu { a, b, .. }
        | Op::Branch { a, b, .. }
        | Op::Store { base: a, src: b, .. }
        | Op::StoreRelease { base: a, src: b, .. }
        | Op::Atomic { base: a, src: b, .. } => one(a) | one(b),
        Op::CheckRoom { base, room, .. } => one(base) | one(room),
        Op::CheckSum { base, index, room, .. } => one(base) | one(index) | one(room),
        Op::LoadSum { base, index, .. } | Op::StoreImmSum { base, index, .. } => one(base) | one(index),
        Op::StoreSum { base, index, src, .. } => one(base) | one(index) | one(src),
        Op::Set { a, b, .. } => one(a) | one(b),
        Op::SetImm { a, .. } => one(a),
        Op::Select { a, b, then, other, .. } => one(a) | one(b) | one(then) | one(other),
        Op::SelectImm { a, then, other, .. } => one(a) | one(then) | one(other),
        Op::Cmpxchg { base, expected, src, .. } => one(base) | one(expected) | one(src),
        Op::Helper { args, .. }
        | Op::Call { args, .. }
        | Op::CallReg { args, .. }
        | Op::Packet { args, .. } => code.args(args).iter().fold(0, |set, arg| match *arg {
            Arg::Loc(loc) => set | one(loc),
            Arg::Number(_) => set,
        }),
    }
}

/// Computes, for each operation of a function, the registers that are read after it before they are written.
pub(super) fn live(code: &Code, ops: Range<u32>, registers: u8) -> Result<Vec<Registers>, EmitError> {
    let (first, len) = (ops.start as usize, ops.len());
    let mut after: Vec<Registers> = Vec::new();
    super::reserve(&mut after, len)?;
    after.resize(len, 0);
    for _ in 0..WALKS {
        let mut changed = false;
        for index in (0..len).rev() {
            let op = &code.ops[first + index];
            let before = |index: usize, after: &[Registers]| match code.ops.get(first + index) {
                Some(op) if index < len => {
                    let written = op.result().map_or(0, |loc| one(loc, registers));
                    (after[index] & !written) | reads(code, op, registers)
                }
                _ => 0,
            };
            let mut set = if op.is_end() { 0 } else { before(index + 1, &after) };
            if let Some(to) = op.target() {
                set |= before((to.0 as usize).wrapping_sub(first), &after);
            }
            changed |= after[index] != set;
            after[index] = set;
        }
        if !changed {
            return Ok(after);
        }
    }
    after.fill(Registers::MAX);
    Ok(after)
}
