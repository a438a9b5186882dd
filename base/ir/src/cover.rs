//! Whether each access of checked code lies behind a check that covers it: an own analysis of the operations, which knows
//! nothing of how they were made.
//!
//! What a check has shown holds as long as control goes straight on, the place that its base is in is neither written nor
//! destroyed by the machine, and nothing is called, for whoever is called may take memory away.

use crate::error::BuildErrorKind;
use crate::machine::Machine;
use crate::ops::{Code, Loc, Op};
use crate::ssa::{filled, grow};
use alloc_crate::vec::Vec;
use core::fmt;
use skep_isa::{InsnIdx, Size};

/// Is an access that nothing covers, or a list of operations that has no shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncovered {
    /// An access without a check.
    Access {
        /// Names the instruction.
        at: InsnIdx,
    },
    /// A target that is no operation.
    Target {
        /// Counts the operation that leads there.
        op: u32,
    },
    /// Memory could not be had.
    OutOfMemory,
}

impl fmt::Display for Uncovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uncovered::Access { at } => write!(f, "instruction {at}: the access has no check"),
            Uncovered::Target { op } => write!(f, "operation {op} leads nowhere"),
            Uncovered::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for Uncovered {}

impl From<BuildErrorKind> for Uncovered {
    fn from(_: BuildErrorKind) -> Uncovered {
        Uncovered::OutOfMemory
    }
}

/// Is an access as an operation says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accessed {
    /// Names the place of the address that the offset is added to.
    pub base: Loc,
    /// Is added.
    pub off: i32,
    /// Counts the bytes.
    pub size: Size,
    /// Says whether it writes.
    pub write: bool,
}

/// Says what memory an operation accesses, if any.
pub fn accessed(op: &Op) -> Option<Accessed> {
    Some(match *op {
        Op::Load { kind, base, off, .. } => Accessed { base, off, size: kind.size(), write: false },
        Op::LoadAcquire { size, base, off, .. } => Accessed { base, off, size, write: false },
        Op::Store { size, base, off, .. }
        | Op::StoreImm { size, base, off, .. }
        | Op::StoreRelease { size, base, off, .. } => Accessed { base, off, size, write: true },
        Op::Atomic { width, base, off, .. } | Op::Cmpxchg { width, base, off, .. } => {
            Accessed { base, off, size: width.size(), write: true }
        }
        _ => return None,
    })
}

/// Counts the checks that are looked back at: an access stands close behind its own, and the time this takes is
/// proportional to the operations.
const LOOK_BACK: usize = 32;

/// Is a check whose result still holds.
struct Shown {
    base: Loc,
    from: i64,
    to: i64,
    write: bool,
}

/// Checks that every access is covered, on a machine that the operations were made for.
///
/// # Errors
///
/// [`Uncovered`] names the first one that is not.
pub fn check(code: &Code, machine: &Machine) -> Result<(), Uncovered> {
    let mut entered = filled(false, code.ops.len())?;
    for (op, index) in code.ops.iter().zip(0..) {
        if let Some(target) = op.target() {
            *entered.get_mut(target.0 as usize).ok_or(Uncovered::Target { op: index })? = true;
        }
    }
    for function in &code.functions {
        if let Some(start) = entered.get_mut(function.ops.start as usize) {
            *start = true;
        }
    }
    let mut shown: Vec<Shown> = Vec::new();
    for (index, op) in code.ops.iter().enumerate() {
        if entered[index] {
            shown.clear();
        }
        // A sum is what no check covers.
        if matches!(op, Op::LoadSum { .. } | Op::StoreSum { .. } | Op::StoreImmSum { .. }) {
            return Err(Uncovered::Access { at: code.at[index] });
        }
        if let Some(access) = accessed(op) {
            if !covers(&shown, access) {
                return Err(Uncovered::Access { at: code.at[index] });
            }
        }
        match *op {
            // These hold nothing for long.
            Op::Check { base: Loc::SCRATCH | Loc::NONE, .. } => {}
            Op::Check { base, off, bytes, write, .. } => {
                let from = i64::from(off);
                if shown.len() == LOOK_BACK {
                    shown.remove(0);
                }
                grow(&mut shown, Shown { base, from, to: from + i64::from(bytes), write })?;
            }
            Op::Helper { .. } | Op::Call { .. } | Op::CallReg { .. } => shown.clear(),
            _ => {}
        }
        let (dst, destroyed) = (op.result(), machine.destroyed(op));
        shown.retain(|shown| Some(shown.base) != dst && !destroyed.contains(shown.base.0));
        if op.is_end() {
            shown.clear();
        }
    }
    Ok(())
}

/// Says whether checks cover an access, each a part of it.
fn covers(shown: &[Shown], access: Accessed) -> bool {
    let from = i64::from(access.off);
    let to = from + i64::from(access.size.bytes());
    let mut covered = from;
    while covered < to {
        let fits = |shown: &&Shown| {
            shown.base == access.base
                && (shown.from..shown.to).contains(&covered)
                && (shown.write || !access.write)
        };
        match shown.iter().rev().find(fits) {
            Some(shown) => covered = shown.to,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{FunctionCode, OpIdx};
    use crate::source::Region;
    use skep_isa::LoadKind;

    const P: Loc = Loc(0);
    const X: Loc = Loc(1);

    fn check_of(off: i32, bytes: u16, write: bool) -> Op {
        Op::Check { base: P, off, bytes, write, region: Region::Unknown }
    }

    fn load(off: i32) -> Op {
        Op::Load { kind: LoadKind::U32, dst: X, base: P, off }
    }

    fn store(off: i32) -> Op {
        Op::Store { size: Size::W, base: P, off, src: X }
    }

    fn verdict(ops: &[Op]) -> bool {
        verdict_on(&Machine::INTERPRETER, ops)
    }

    fn verdict_on(machine: &Machine, ops: &[Op]) -> bool {
        let mut ops = ops.to_vec();
        ops.push(Op::Return { src: X });
        let at = (0..ops.len() as u32).map(InsnIdx).collect();
        let function = FunctionCode {
            ops: 0..ops.len() as u32,
            takes: 1,
            params: [P, Loc::NONE, Loc::NONE, Loc::NONE, Loc::NONE],
            locs: 2,
            uses_stack: false,
        };
        let functions = [function].to_vec();
        check(&Code { ops, at, functions, ..Code::default() }, machine).is_ok()
    }

    #[test]
    fn an_access_wants_a_check_of_all_its_bytes() {
        assert!(verdict(&[check_of(4, 4, false), load(4)]));
        assert!(verdict(&[check_of(0, 16, false), load(4), load(12)]));
        assert!(verdict(&[check_of(4, 2, false), check_of(6, 2, false), load(4)]));
        assert!(verdict(&[check_of(0, 4, true), store(0), load(0)]));
        for bad in [
            &[load(4)][..],
            &[check_of(4, 3, false), load(4)],
            &[check_of(5, 4, false), load(4)],
            &[check_of(4, 2, false), check_of(7, 2, false), load(4)],
            &[check_of(0, 4, false), store(0)],
            &[load(0), check_of(0, 4, false)],
        ] {
            assert!(!verdict(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_was_shown_ends() {
        let move_base = Op::Move { dst: P, src: X };
        assert!(!verdict(&[check_of(0, 4, false), move_base, load(0)]));
        let helper = Op::Helper { id: 1, dst: Loc::NONE, args: crate::ops::Args { start: 0, len: 0 } };
        assert!(!verdict(&[check_of(0, 4, false), helper, load(0)]));
        // Somebody else comes to the load too.
        assert!(!verdict(&[check_of(0, 4, false), load(0), Op::Jump { to: OpIdx(1) }]));
        assert!(verdict(&[check_of(0, 4, false), load(0), Op::Jump { to: OpIdx(0) }]));
        assert!(!verdict(&[
            check_of(0, 4, false),
            Op::Jump { to: OpIdx(3) },
            Op::Move { dst: X, src: P },
            load(0)
        ]));
    }

    #[test]
    fn what_is_destroyed_shows_nothing() {
        use crate::machine::RegMask;
        use skep_isa::{AluOp, Width};
        let machine = Machine { registers: 2, divisions: RegMask(1), ..Machine::INTERPRETER };
        let divide = Op::Alu { op: AluOp::Div, width: Width::W64, dst: X, a: X, b: X };
        let ops = [check_of(0, 4, false), divide, load(0)];
        assert!(verdict(&ops));
        assert!(!verdict_on(&machine, &ops));
    }

    #[test]
    fn a_target_must_be_there() {
        assert!(!verdict(&[Op::Jump { to: OpIdx(7) }]));
    }
}
