//! Whether what operations read has been written: an own analysis of the operations, which knows nothing of how they were
//! made.
//!
//! It follows, along every way through a function, which places hold something. What the machine destroys holds nothing, and
//! what is read late must not be where the machine destroys or writes first.

use crate::machine::{Machine, RegMask};
use crate::ops::{Arg, Code, FunctionCode, Loc, Op};
use alloc_crate::vec;
use alloc_crate::vec::Vec;
use core::fmt;

/// Is an operation that reads what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHeld {
    /// Counts the operation.
    pub op: u32,
    /// Names the place.
    pub place: Loc,
}

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {} reads {}, which holds nothing then", self.op, self.place)
    }
}

impl core::error::Error for NotHeld {}

/// Says which places hold something; the last is the one aside.
type State = Vec<bool>;

/// Checks all functions, on a machine that the operations were made for.
///
/// # Errors
///
/// [`NotHeld`] names the first read of nothing.
pub fn check(code: &Code, machine: &Machine) -> Result<(), NotHeld> {
    code.functions.iter().try_for_each(|function| Checker { code, machine, function }.run())
}

/// Returns where a state says it of a place, if the function has that.
fn place(state: &State, loc: Loc) -> Option<usize> {
    let aside = state.len() - 1;
    match loc {
        Loc::SCRATCH => Some(aside),
        Loc(number) => Some(usize::from(number)).filter(|number| *number < aside),
    }
}

struct Checker<'c> {
    code: &'c Code,
    machine: &'c Machine,
    function: &'c FunctionCode,
}

impl Checker<'_> {
    fn run(&self) -> Result<(), NotHeld> {
        let (first, len) = (self.function.ops.start, self.function.ops.len());
        let mut entry: State = vec![false; usize::from(self.function.locs) + 1];
        for place in self.function.params.into_iter().filter(|place| *place != Loc::NONE) {
            entry[usize::from(place.0)] = true;
        }
        // What every way to an operation brings there.
        let mut before: Vec<Option<State>> = vec![None; len];
        before[0] = Some(entry);
        let mut pending = vec![0];
        while let Some(start) = pending.pop() {
            let Some(mut state) = before[start].clone() else { continue };
            for index in start..len {
                let op = &self.code.ops[first as usize + index];
                self.through(op, first + index as u32, &mut state)?;
                let ways = [
                    op.target().map(|to| (to.0 - first) as usize),
                    (!op.is_end())
                        .then_some(index + 1)
                        .filter(|next| before.get(*next).is_some_and(Option::is_some)),
                ];
                for to in ways.into_iter().flatten() {
                    let met = match &before[to] {
                        None => state.clone(),
                        Some(known) => known.iter().zip(&state).map(|(a, b)| *a && *b).collect(),
                    };
                    if before[to].as_ref() != Some(&met) {
                        before[to] = Some(met);
                        pending.push(to);
                    }
                }
                // Whoever comes to the next one by a jump has looked at what is behind it, or will.
                if op.is_end() || before.get(index + 1).is_some_and(Option::is_some) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn through(&self, op: &Op, index: u32, state: &mut State) -> Result<(), NotHeld> {
        let held = |loc: Loc| place(state, loc).is_some_and(|place| state[place]);
        let read = |loc: Loc| if held(loc) { Ok(()) } else { Err(NotHeld { op: index, place: loc }) };
        // What is named behind the registers are slots.
        let destroyed = RegMask(self.machine.destroyed(op).0 & self.registers());
        let result = op.result();
        let [early, late] = operands(op);
        early.into_iter().chain(late).flatten().try_for_each(read)?;
        for loc in self.args(op) {
            read(loc)?;
        }
        let is_call =
            matches!(op, Op::Helper { .. } | Op::Call { .. } | Op::CallReg { .. } | Op::Packet { .. });
        if !is_call {
            let destroys_first = self.machine.destroys_first && destroyed != RegMask(0);
            let two_address = self.machine.two_address && matches!(op, Op::Alu { .. });
            for loc in late.into_iter().flatten() {
                let is_gone = destroys_first && (destroyed.contains(loc.0) || result == Some(loc))
                    || two_address && result == Some(loc);
                if is_gone {
                    return Err(NotHeld { op: index, place: loc });
                }
            }
        }
        for (reg, held) in (0..).zip(state.iter_mut()) {
            *held &= !destroyed.contains(reg);
        }
        if let Some(result) = result {
            let place = place(state, result).ok_or(NotHeld { op: index, place: result })?;
            state[place] = true;
        }
        Ok(())
    }

    fn registers(&self) -> u64 {
        1u64.checked_shl(self.machine.registers.into()).unwrap_or(0).wrapping_sub(1)
    }

    fn args(&self, op: &Op) -> impl Iterator<Item = Loc> + use<'_> {
        let args = match *op {
            Op::Helper { args, .. }
            | Op::Call { args, .. }
            | Op::CallReg { args, .. }
            | Op::Packet { args, .. } => self.code.args(args),
            _ => &[],
        };
        args.iter().filter_map(|arg| match arg {
            Arg::Loc(loc) => Some(*loc),
            Arg::Number(_) => None,
        })
    }
}

/// Lists what an operation reads, arguments apart: first what it reads at once, then what it may read late.
fn operands(op: &Op) -> [[Option<Loc>; 4]; 2] {
    const NONE: [Option<Loc>; 4] = [None; 4];
    let early = |locs: &[Loc]| {
        let mut list = NONE;
        list.iter_mut().zip(locs).for_each(|(entry, loc)| *entry = Some(*loc));
        list
    };
    match *op {
        Op::Alu { a, b, .. } => [early(&[a]), early(&[b])],
        Op::Atomic { base, src, .. } => [NONE, early(&[base, src])],
        Op::Cmpxchg { base, expected, src, .. } => [early(&[expected]), early(&[base, src])],
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
        | Op::Return { src: a } => [early(&[a]), NONE],
        Op::Branch { a, b, .. }
        | Op::Store { base: a, src: b, .. }
        | Op::StoreRelease { base: a, src: b, .. }
        | Op::LoadSum { base: a, index: b, .. }
        | Op::StoreImmSum { base: a, index: b, .. } => [early(&[a, b]), NONE],
        Op::CheckRoom { base, room, .. } => [early(&[base, room]), NONE],
        Op::CheckSum { base, index, room, .. } => [early(&[base, index, room]), NONE],
        Op::StoreSum { base, index, src, .. } => [early(&[base, index, src]), NONE],
        Op::Set { a, b, .. } => [early(&[a, b]), NONE],
        Op::SetImm { a, .. } => [early(&[a]), NONE],
        Op::Select { a, b, then, other, .. } => [early(&[a, b, then, other]), NONE],
        Op::SelectImm { a, then, other, .. } => [early(&[a, then, other]), NONE],
        Op::Const { .. }
        | Op::FramePointer { .. }
        | Op::Helper { .. }
        | Op::Call { .. }
        | Op::CallReg { .. }
        | Op::Packet { .. }
        | Op::Charge { .. }
        | Op::Jump { .. }
        | Op::ReturnNumber { .. } => [NONE, NONE],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Args, OpIdx};
    use skep_isa::{AluOp, Cond, InsnIdx, Width};

    const A: Loc = Loc(0);
    const B: Loc = Loc(1);
    const C: Loc = Loc(2);
    const MACHINE: Machine = Machine {
        registers: 2,
        calls: RegMask(0b01),
        divisions: RegMask(0b10),
        destroys_first: true,
        ..Machine::INTERPRETER
    };

    /// Checks operations of a function that is given A.
    fn verdict(ops: &[Op]) -> Result<(), NotHeld> {
        let at = (0..ops.len() as u32).map(InsnIdx).collect();
        let function = FunctionCode {
            ops: 0..ops.len() as u32,
            takes: 1,
            params: [A, Loc::NONE, Loc::NONE, Loc::NONE, Loc::NONE],
            locs: 3,
            uses_stack: false,
        };
        let code = Code { ops: ops.to_vec(), at, functions: vec![function], ..Code::default() };
        check(&code, &MACHINE)
    }

    const fn alu(op: AluOp, dst: Loc, a: Loc, b: Loc) -> Op {
        Op::Alu { op, width: Width::W64, dst, a, b }
    }

    #[test]
    fn what_is_read_has_been_written_on_every_way() {
        let branch = Op::BranchImm { cond: Cond::Eq, width: Width::W64, a: A, imm: 0, to: OpIdx(2) };
        let one = |dst| Op::Const { dst, value: 1 };
        assert_eq!(verdict(&[one(C), Op::Return { src: C }]), Ok(()));
        assert_eq!(verdict(&[Op::Return { src: C }]), Err(NotHeld { op: 0, place: C }));
        assert_eq!(verdict(&[branch, one(C), Op::Return { src: C }]), Err(NotHeld { op: 2, place: C }));
        assert_eq!(verdict(&[branch, one(C), Op::Return { src: A }]), Ok(()));
        assert_eq!(verdict(&[one(Loc(3)), Op::Return { src: A }]), Err(NotHeld { op: 0, place: Loc(3) }));
    }

    #[test]
    fn what_is_destroyed_is_not_there() {
        let helper = Op::Helper { id: 1, dst: Loc::NONE, args: Args { start: 0, len: 0 } };
        assert_eq!(verdict(&[helper, Op::Return { src: A }]), Err(NotHeld { op: 1, place: A }));
        let kept = [Op::Move { dst: C, src: A }, helper, Op::Return { src: C }];
        assert_eq!(verdict(&kept), Ok(()));
        let divide = [Op::Move { dst: B, src: A }, alu(AluOp::Div, A, A, A), Op::Return { src: B }];
        assert_eq!(verdict(&divide), Err(NotHeld { op: 1, place: A }));
        let divide = [Op::Move { dst: B, src: A }, alu(AluOp::Div, A, A, B), Op::Return { src: A }];
        assert_eq!(verdict(&divide), Err(NotHeld { op: 1, place: B }));
        let divide = [Op::Move { dst: C, src: A }, alu(AluOp::Div, A, A, C), Op::Return { src: A }];
        assert_eq!(verdict(&divide), Ok(()));
    }
}
