//! Which registers somebody still reads, after each operation: so that a value is not made that only the next one wants.

use super::EmitError;
use alloc::vec::Vec;
use core::ops::Range;
use skep_ir::ops::{Arg, Code, Loc, Op, OpIdx};

/// Is a set of the machine's registers.
pub(super) type Registers = u16;

/// Bounds the walks over a function; where more would be needed, everything counts as read.
const WALKS: u32 = 8;

/// Returns the set that holds a place alone, if that is a register.
#[inline]
pub(super) fn one(loc: Loc, registers: u8) -> Registers {
    // Without a branch: where values are is hard to guess.
    Registers::from(loc.0 < u16::from(registers)) << (loc.0 & (Registers::BITS as u16 - 1))
}

/// Is an operation as far as registers go.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    reads: Registers,
    writes: Registers,
    /// Holds the registers that are read after it before they are written.
    pub(super) after: Registers,
    /// Holds all registers if the next operation may follow, none if not.
    goes_on: Registers,
    /// Names the operation of the function that it may lead to; the one behind the last if there is none.
    to: u32,
}

impl Step {
    /// Returns the registers that are read from it on before they are written.
    fn before(&self) -> Registers {
        self.after & !self.writes | self.reads
    }
}

/// Looks at an operation, `end` being the number of operations in its function and `first` that of those in front of it.
#[inline(always)]
fn step(code: &Code, op: &Op, registers: u8, first: u32, end: u32) -> Step {
    let one = |loc| one(loc, registers);
    let step = |writes, reads| Step { reads, writes, after: 0, goes_on: Registers::MAX, to: end };
    // What leads out of the function is refused elsewhere.
    let to = |to: OpIdx| to.0.wrapping_sub(first).min(end);
    match *op {
        Op::Charge { .. } => step(0, 0),
        Op::Const { dst, .. } | Op::FramePointer { dst } => step(one(dst), 0),
        Op::Move { dst, src: a }
        | Op::AluImm { dst, a, .. }
        | Op::Neg { dst, a, .. }
        | Op::Sext { dst, a, .. }
        | Op::Trunc { dst, a, .. }
        | Op::Swap { dst, a, .. }
        | Op::Rotl { dst, a, .. }
        | Op::SetImm { dst, a, .. }
        | Op::Room { dst, base: a, .. }
        | Op::Load { dst, base: a, .. }
        | Op::LoadAcquire { dst, base: a, .. } => step(one(dst), one(a)),
        Op::Alu { dst, a, b, .. }
        | Op::Set { dst, a, b, .. }
        | Op::LoadSum { dst, base: a, index: b, .. }
        | Op::Atomic { dst, base: a, src: b, .. } => step(one(dst), one(a) | one(b)),
        Op::SelectImm { dst, a, then, other, .. } => step(one(dst), one(a) | one(then) | one(other)),
        Op::Select { dst, a, b, then, other, .. } => step(one(dst), one(a) | one(b) | one(then) | one(other)),
        Op::Cmpxchg { dst, base, expected, src, .. } => step(one(dst), one(base) | one(expected) | one(src)),
        Op::Check { base, .. } | Op::StoreImm { base, .. } => step(0, one(base)),
        Op::CheckRoom { base: a, room: b, .. }
        | Op::Store { base: a, src: b, .. }
        | Op::StoreRelease { base: a, src: b, .. }
        | Op::StoreImmSum { base: a, index: b, .. } => step(0, one(a) | one(b)),
        Op::CheckSum { base, index, room, .. } => step(0, one(base) | one(index) | one(room)),
        Op::StoreSum { base, index, src, .. } => step(0, one(base) | one(index) | one(src)),
        Op::Helper { dst, args, .. }
        | Op::Call { dst, args, .. }
        | Op::CallReg { dst, args }
        | Op::Packet { dst, args, .. } => {
            let read = code.args(args).iter().fold(0, |set, arg| match *arg {
                Arg::Loc(loc) => set | one(loc),
                Arg::Number(_) => set,
            });
            step(one(dst), read)
        }
        Op::Branch { a, b, to: target, .. } => Step { to: to(target), ..step(0, one(a) | one(b)) },
        Op::BranchImm { a, to: target, .. } => Step { to: to(target), ..step(0, one(a)) },
        Op::Jump { to: target } => Step { goes_on: 0, to: to(target), ..step(0, 0) },
        Op::Return { src } => Step { goes_on: 0, ..step(0, one(src)) },
        Op::ReturnNumber { .. } => Step { goes_on: 0, ..step(0, 0) },
    }
}

/// Computes, for each operation of a function, the registers that are read after it before they are written. The list has one
/// entry behind the last operation, from where nothing is read.
pub(super) fn live(code: &Code, ops: Range<u32>, registers: u8) -> Result<Vec<Step>, EmitError> {
    let (first, end) = (ops.start, ops.len() as u32);
    let mut steps: Vec<Step> = Vec::new();
    super::reserve(&mut steps, ops.len() + 1)?;
    steps.resize(ops.len() + 1, Step::default());
    // The ways back, from where to where.
    let mut back: Vec<(u32, u32)> = Vec::new();
    let mut next = 0;
    for (op, index) in code.ops[ops.start as usize..ops.end as usize].iter().zip(0..end).rev() {
        let mut step = step(code, op, registers, first, end);
        if step.to <= index {
            super::reserve(&mut back, 1)?;
            back.push((index, step.to));
        }
        step.after = next & step.goes_on | steps[step.to as usize].before();
        next = step.before();
        steps[index as usize] = step;
    }
    let is_whole = |steps: &[Step], (from, to): &(u32, u32)| {
        steps[*to as usize].before() & !steps[*from as usize].after == 0
    };
    for _ in 1..WALKS {
        if back.iter().all(|way| is_whole(&steps, way)) {
            return Ok(steps);
        }
        let mut next = 0;
        for index in (0..end as usize).rev() {
            let there = steps[steps[index].to as usize].before();
            let step = &mut steps[index];
            step.after = next & step.goes_on | there;
            next = step.before();
        }
    }
    if !back.iter().all(|way| is_whole(&steps, way)) {
        steps.iter_mut().for_each(|step| step.after = Registers::MAX);
    }
    Ok(steps)
}
