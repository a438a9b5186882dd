//! Several programs as one, so that one may go on in another without leaving the code.

use crate::error::BuildErrorKind;
use crate::ops::{Args, Code, FunctionCode, Op, OpIdx};
use crate::source::Level;
use crate::ssa::grow;
use alloc_crate::vec::Vec;
use skep_isa::InsnIdx;

/// Holds programs that have become one.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Holds the operations of all.
    pub code: Code,
    /// Says, for each program, where its instructions start: they are numbered on from one program to the next.
    pub starts: Vec<InsnIdx>,
}

/// Says whether a program can be joined with others: none of its functions is called by a number, for these would be
/// others', and its main function is only started with.
pub fn can_be_joined(code: &Code) -> bool {
    let is_free = |op: &Op| !matches!(op, Op::CallReg { .. } | Op::Call { function: 0, .. });
    !code.by_number && code.entries.is_empty() && code.ops.iter().all(is_free)
}

/// Joins programs that [can be](can_be_joined).
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`] and [`BuildErrorKind::TooLarge`].
pub fn join(codes: &[Code]) -> Result<Joined, BuildErrorKind> {
    let mut joined = Joined { code: Code { level: Level::O, ..Code::default() }, starts: Vec::new() };
    let mut next = InsnIdx::ZERO;
    for code in codes {
        grow(&mut joined.starts, next)?;
        next = add(&mut joined.code, code, next)?;
    }
    Ok(joined)
}

/// Adds a program whose instructions are numbered from here; returns where those of the next one start.
fn add(to: &mut Code, code: &Code, start: InsnIdx) -> Result<InsnIdx, BuildErrorKind> {
    let count = |len: usize| u32::try_from(len).map_err(|_| BuildErrorKind::TooLarge);
    let (ops, pool) = (count(to.ops.len())?, count(to.pool.len())?);
    let functions = count(to.functions.len())?;
    let move_on = |index: u32, by: u32| index.checked_add(by).ok_or(BuildErrorKind::TooLarge);
    grow(&mut to.entries, functions)?;
    for op in &code.ops {
        let mut op = *op;
        match &mut op {
            Op::Jump { to: OpIdx(to) }
            | Op::Branch { to: OpIdx(to), .. }
            | Op::BranchImm { to: OpIdx(to), .. } => {
                *to = move_on(*to, ops)?;
            }
            Op::Helper { args: Args { start, .. }, .. }
            | Op::CallReg { args: Args { start, .. }, .. }
            | Op::Packet { args: Args { start, .. }, .. } => {
                *start = move_on(*start, pool)?;
            }
            Op::Call { function, args: Args { start, .. }, .. } => {
                *function = move_on(*function, functions)?;
                *start = move_on(*start, pool)?;
            }
            _ => {}
        }
        grow(&mut to.ops, op)?;
    }
    let mut next = start;
    for at in &code.at {
        let at = InsnIdx(move_on(at.0, start.0)?);
        next = next.max(InsnIdx(move_on(at.0, 1)?));
        grow(&mut to.at, at)?;
    }
    for function in &code.functions {
        let range = move_on(function.ops.start, ops)?..move_on(function.ops.end, ops)?;
        grow(&mut to.functions, FunctionCode { ops: range, ..function.clone() })?;
    }
    for arg in &code.pool {
        grow(&mut to.pool, *arg)?;
    }
    if code.level == Level::O0 {
        to.level = Level::O0;
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Arg, Loc};
    use skep_isa::PacketSize;

    /// A program of one call with an argument, and a return.
    fn program(call: fn(Args) -> Op, number: u64) -> Code {
        let ops = alloc_crate::vec![call(Args { start: 0, len: 1 }), Op::ReturnNumber { value: 0 }];
        let function =
            FunctionCode { ops: 0..2, takes: 0, params: [Loc::NONE; 5], locs: 1, uses_stack: false };
        Code {
            at: alloc_crate::vec![InsnIdx(0), InsnIdx(1)],
            functions: alloc_crate::vec![function],
            pool: alloc_crate::vec![Arg::Number(number)],
            ops,
            ..Code::default()
        }
    }

    #[test]
    fn calls_keep_their_arguments() {
        let calls: [fn(Args) -> Op; 4] = [
            |args| Op::Helper { id: 1, dst: Loc(0), args },
            |args| Op::Call { function: 0, dst: Loc(0), args },
            |args| Op::CallReg { dst: Loc(0), args },
            |args| Op::Packet { size: PacketSize::B, dst: Loc(0), args },
        ];
        for call in calls {
            let joined = join(&[program(call, 5), program(call, 6)]).expect("memory");
            let arguments = |op: usize| match joined.code.ops[op] {
                Op::Helper { args, .. }
                | Op::Call { args, .. }
                | Op::CallReg { args, .. }
                | Op::Packet { args, .. } => joined.code.args(args),
                _ => &[],
            };
            assert_eq!(arguments(0), [Arg::Number(5)]);
            assert_eq!(arguments(2), [Arg::Number(6)], "{:?}", joined.code.ops[2]);
        }
    }
}
