//! Whether each access of checked code lies behind a check that covers it: an own analysis of the operations, which knows
//! nothing of how they were made.
//!
//! What a check has shown holds as long as control goes straight on, the places that its address is made of are neither written
//! nor destroyed by the machine, and nothing is called, for whoever is called may take memory away.
//!
//! A check that relies on a [`Room`](Op::Room) counts only where the room is that of its base, on every way that leads there; and
//! what a place relative to the function's own stack is needs no check. Both are followed through branches and loops.

use crate::error::BuildErrorKind;
use crate::machine::Machine;
use crate::ops::{Code, FunctionCode, Loc, Measure, Op};
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
    /// Names the place of what is added, shifted left so far, if there is one.
    pub index: Option<(Loc, u8)>,
    /// Is added.
    pub off: i32,
    /// Counts the bytes.
    pub size: Size,
    /// Says whether it writes.
    pub write: bool,
}

/// Says what memory an operation accesses, if any.
pub fn accessed(op: &Op) -> Option<Accessed> {
    let plain = |base, off, size, write| Accessed { base, index: None, off, size, write };
    let sum = |base, index, off, size, write| Accessed { base, index: Some(index), off, size, write };
    Some(match *op {
        Op::Load { kind, base, off, .. } => plain(base, off, kind.size(), false),
        Op::LoadAcquire { size, base, off, .. } => plain(base, off, size, false),
        Op::Store { size, base, off, .. }
        | Op::StoreImm { size, base, off, .. }
        | Op::StoreRelease { size, base, off, .. } => plain(base, off, size, true),
        Op::Atomic { width, base, off, .. } | Op::Cmpxchg { width, base, off, .. } => {
            plain(base, off, width.size(), true)
        }
        Op::LoadSum { kind, base, index, scale, off, .. } => {
            sum(base, (index, scale), off, kind.size(), false)
        }
        Op::StoreSum { size, base, index, scale, off, .. }
        | Op::StoreImmSum { size, base, index, scale, off, .. } => sum(base, (index, scale), off, size, true),
        _ => return None,
    })
}

/// Counts the checks that are looked back at: an access stands close behind its own, and the time this takes is
/// proportional to the operations.
const LOOK_BACK: usize = 32;

/// Is a check whose result still holds.
struct Shown {
    base: Loc,
    index: Option<(Loc, u8)>,
    from: i64,
    to: i64,
    write: bool,
}

/// Is what a place may be known to hold.
#[derive(Clone, Copy)]
enum Fact {
    /// The frame pointer.
    Frame { at: Loc },
    /// The room behind what is in another place.
    Room { at: Loc, base: Loc, end: u32, scale: u8, write: bool },
}

/// Is a set of the facts of a function.
type Facts = u64;

/// Bounds the facts of a function that are followed.
pub const MAX_FACTS: usize = Facts::BITS as usize;

impl Fact {
    /// Returns what holds behind an operation.
    fn of(op: &Op) -> Option<Fact> {
        match *op {
            Op::FramePointer { dst } => Some(Fact::Frame { at: dst }),
            Op::Room { dst, base, end, scale, write, .. } if dst != base => {
                Some(Fact::Room { at: dst, base, end, scale, write })
            }
            _ => None,
        }
    }

    /// Returns the places that it holds as long as they do.
    fn places(&self) -> [Option<Loc>; 2] {
        match *self {
            Fact::Frame { at } => [Some(at), None],
            Fact::Room { at, base, .. } => [Some(at), Some(base)],
        }
    }
}

/// Says in what way an operation has to be looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It accesses memory.
    Access,
    /// What it shows holds behind it.
    Check,
    /// It makes a [`Fact`].
    Fact,
    /// It leads to another operation.
    Jump,
    /// It calls.
    Call,
    /// The next operation does not follow, nor any other one.
    End,
    /// It has a result at most.
    Other,
}

impl Kind {
    fn of(op: &Op) -> Kind {
        match op {
            Op::Load { .. }
            | Op::LoadAcquire { .. }
            | Op::Store { .. }
            | Op::StoreImm { .. }
            | Op::StoreRelease { .. }
            | Op::Atomic { .. }
            | Op::Cmpxchg { .. }
            | Op::LoadSum { .. }
            | Op::StoreSum { .. }
            | Op::StoreImmSum { .. } => Kind::Access,
            Op::Check { .. } | Op::CheckRoom { .. } | Op::CheckSum { .. } => Kind::Check,
            Op::FramePointer { .. } | Op::Room { .. } => Kind::Fact,
            Op::Jump { .. } | Op::Branch { .. } | Op::BranchImm { .. } => Kind::Jump,
            Op::Helper { .. } | Op::Call { .. } | Op::CallReg { .. } | Op::Packet { .. } => Kind::Call,
            Op::Return { .. } | Op::ReturnNumber { .. } => Kind::End,
            Op::Move { .. }
            | Op::Const { .. }
            | Op::Alu { .. }
            | Op::AluImm { .. }
            | Op::Neg { .. }
            | Op::Sext { .. }
            | Op::Trunc { .. }
            | Op::Swap { .. }
            | Op::Rotl { .. }
            | Op::Select { .. }
            | Op::SelectImm { .. }
            | Op::Set { .. }
            | Op::SetImm { .. }
            | Op::Charge { .. } => Kind::Other,
        }
    }
}

fn is_call(op: &Op) -> bool {
    Kind::of(op) == Kind::Call
}

/// Checks that every access is covered, on a machine that the operations were made for, where each function's stack has so
/// many bytes.
///
/// # Errors
///
/// [`Uncovered`] names the first one that is not.
pub fn check(code: &Code, machine: &Machine, stack_bytes: u32) -> Result<(), Uncovered> {
    let mut next = 0;
    for function in &code.functions {
        let ops = code.ops.get(function.ops.start as usize..function.ops.end as usize);
        let (Some(ops), true) = (ops, function.ops.start == next) else {
            return Err(Uncovered::Target { op: next });
        };
        next = function.ops.end;
        let ended = Ended { by_place: Vec::new(), by_call: 0 };
        Walk {
            code,
            function,
            ops,
            machine,
            stack_bytes,
            facts: Vec::new(),
            made_at: Vec::new(),
            ended,
            entries: Vec::new(),
        }
        .check()?;
    }
    if next as usize == code.ops.len() { Ok(()) } else { Err(Uncovered::Target { op: next }) }
}

/// Says which facts end.
struct Ended {
    /// Holds those that end where each place is written or destroyed; the last is for all places that the function does not
    /// have.
    by_place: Vec<Facts>,
    /// Holds those that a call ends.
    by_call: Facts,
}

impl Ended {
    fn new(facts: &[Fact], locs: u16) -> Result<Ended, BuildErrorKind> {
        let mut ended = Ended { by_place: filled(0, usize::from(locs) + 1)?, by_call: 0 };
        for (number, fact) in facts.iter().enumerate() {
            for place in fact.places().into_iter().flatten() {
                let place = usize::from(place.0.min(locs));
                ended.by_place[place] |= 1 << number;
            }
            if let Fact::Room { .. } = fact {
                ended.by_call |= 1 << number;
            }
        }
        Ok(ended)
    }

    fn at(&self, place: Loc) -> Facts {
        self.by_place.get(usize::from(place.0)).or(self.by_place.last()).copied().unwrap_or(0)
    }
}

struct Walk<'w> {
    code: &'w Code,
    function: &'w FunctionCode,
    ops: &'w [Op],
    machine: &'w Machine,
    stack_bytes: u32,
    facts: Vec<Fact>,
    /// Holds, for each fact, the operation that makes it.
    made_at: Vec<usize>,
    ended: Ended,
    /// Holds, for each operation that something leads to, the facts that hold on every way to it; empty where there are no
    /// facts at all.
    entries: Vec<Facts>,
}

impl Walk<'_> {
    fn check(mut self) -> Result<(), Uncovered> {
        let mut entered = filled(false, self.ops.len())?;
        for (op, index) in self.ops.iter().zip(self.function.ops.start..) {
            match Kind::of(op) {
                Kind::Jump => {
                    let to = self.target(op).ok_or(Uncovered::Target { op: index })?;
                    entered[to] = true;
                }
                Kind::Fact if self.facts.len() < MAX_FACTS => {
                    if let Some(fact) = Fact::of(op) {
                        grow(&mut self.facts, fact)?;
                        grow(&mut self.made_at, (index - self.function.ops.start) as usize)?;
                    }
                }
                _ => {}
            }
        }
        if let Some(start) = entered.first_mut() {
            *start = true;
        }
        if !self.facts.is_empty() {
            self.ended = Ended::new(&self.facts, self.function.locs)?;
            self.entries = filled(Facts::MAX, self.ops.len())?;
            self.follow(&entered)?;
        }
        self.look(&entered)
    }

    /// Returns where an operation leads, if that is inside the function.
    fn target(&self, op: &Op) -> Option<usize> {
        let to = op.target()?.0.checked_sub(self.function.ops.start)? as usize;
        (to < self.ops.len()).then_some(to)
    }

    /// Follows the facts through the function: from its start, and again from wherever a way brings fewer than were known.
    fn follow(&mut self, entered: &[bool]) -> Result<(), Uncovered> {
        let mut waits = filled(false, self.ops.len())?;
        let mut waiting = Vec::new();
        // The first operation is entered with nothing known.
        if let (Some(entry), Some(waits)) = (self.entries.first_mut(), waits.first_mut()) {
            (*entry, *waits) = (0, true);
        }
        grow(&mut waiting, 0)?;
        while let Some(start) = waiting.pop() {
            if !waits[start] {
                continue;
            }
            waits[start] = false;
            let mut known = self.entries[start];
            for (index, op) in self.ops.iter().enumerate().skip(start) {
                if index > start && entered[index] {
                    let met = self.entries[index] & known;
                    if met == self.entries[index] && !waits[index] {
                        break;
                    }
                    waits[index] = false;
                    self.entries[index] = met;
                    known = met;
                }
                known = self.step(known, index, op);
                if let Some(to) = self.target(op) {
                    let met = self.entries[to] & known;
                    if met != self.entries[to] {
                        self.entries[to] = met;
                        if !waits[to] {
                            waits[to] = true;
                            grow(&mut waiting, to)?;
                        }
                    }
                }
                if op.is_end() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns the facts behind an operation.
    fn step(&self, mut known: Facts, index: usize, op: &Op) -> Facts {
        if self.facts.is_empty() {
            return 0;
        }
        if let Some(dst) = op.result() {
            known &= !self.ended.at(dst);
        }
        let mut destroyed = self.machine.destroyed(op).0;
        while destroyed != 0 {
            known &= !self.ended.at(Loc(destroyed.trailing_zeros() as u16));
            destroyed &= destroyed - 1;
        }
        if is_call(op) {
            known &= !self.ended.by_call;
        }
        if Fact::of(op).is_some() {
            if let Ok(number) = self.made_at.binary_search(&index) {
                known |= 1 << number;
            }
        }
        known
    }

    /// Looks at every access.
    fn look(&self, entered: &[bool]) -> Result<(), Uncovered> {
        let mut shown: Vec<Shown> = Vec::new();
        // Which places these stand on, each as one of 64.
        let mut places = 0u64;
        let one = |loc: Loc| 1 << (loc.0 % 64);
        let mut known = 0;
        let has_facts = !self.facts.is_empty();
        for (index, (op, entered)) in self.ops.iter().zip(entered).enumerate() {
            if *entered {
                shown.clear();
                places = 0;
                known = self.entries.get(index).copied().unwrap_or(0);
            }
            match Kind::of(op) {
                Kind::Access => {
                    let Some(access) = accessed(op) else { continue };
                    if !covers(&shown, access) && !self.is_own_stack(known, access) {
                        let at = self.code.at.get(self.function.ops.start as usize + index);
                        return Err(Uncovered::Access { at: at.copied().unwrap_or(InsnIdx::ZERO) });
                    }
                }
                Kind::Check => {
                    // These hold nothing for long.
                    let aside = |loc| loc == Loc::SCRATCH || loc == Loc::NONE;
                    let more = self.shows(known, op);
                    let more = more
                        .filter(|more| !aside(more.base) && !more.index.is_some_and(|(loc, _)| aside(loc)));
                    if let Some(more) = more {
                        if shown.len() == LOOK_BACK {
                            shown.remove(0);
                        }
                        places |= one(more.base) | more.index.map_or(0, |(loc, _)| one(loc));
                        grow(&mut shown, more)?;
                    }
                }
                Kind::Call | Kind::End => {
                    shown.clear();
                    places = 0;
                }
                Kind::Jump if op.is_end() => {
                    shown.clear();
                    places = 0;
                }
                Kind::Jump | Kind::Fact | Kind::Other => {}
            }
            // As long as nothing is shown, nothing can be lost.
            if places != 0 {
                let (dst, destroyed) = (op.result(), self.machine.destroyed(op));
                if places & (dst.map_or(0, one) | destroyed.0) != 0 {
                    let lost = |loc: Loc| Some(loc) == dst || destroyed.contains(loc.0);
                    shown.retain(|shown| !lost(shown.base) && !shown.index.is_some_and(|(loc, _)| lost(loc)));
                }
            }
            if has_facts {
                known = self.step(known, index, op);
            }
        }
        Ok(())
    }

    /// Says whether an access is to the stack of the function itself.
    fn is_own_stack(&self, known: Facts, access: Accessed) -> bool {
        let from = i64::from(access.off);
        self.function.uses_stack
            && access.index.is_none()
            && from >= -i64::from(self.stack_bytes)
            && from + i64::from(access.size.bytes()) <= 0
            && self.holds(known, |fact| matches!(*fact, Fact::Frame { at } if at == access.base))
    }

    fn holds(&self, known: Facts, wanted: impl Fn(&Fact) -> bool) -> bool {
        self.facts.iter().enumerate().any(|(number, fact)| known >> number & 1 != 0 && wanted(fact))
    }

    /// Returns what an operation shows where it does not end the run.
    fn shows(&self, known: Facts, op: &Op) -> Option<Shown> {
        // What must be in the place of the room so that the comparison with it means what it should.
        let has_room = |room: Loc, base: Loc, end: i64, scale: u8, write: bool| {
            self.holds(known, |fact| match *fact {
                Fact::Room { at, base: of, end: to, scale: by, write: writes } => {
                    (at, of, i64::from(to), by) == (room, base, end, scale) && (writes || !write)
                }
                Fact::Frame { .. } => false,
            })
        };
        match *op {
            Op::Check { base, off, bytes, write, .. } => {
                let from = i64::from(off);
                Some(Shown { base, index: None, from, to: from + i64::from(bytes), write })
            }
            Op::CheckRoom { base, room, off, size, write, .. } => {
                let (from, to) = (i64::from(off), i64::from(off) + i64::from(size.bytes()));
                let fits = from >= 0 && has_room(room, base, 1, 0, write);
                fits.then_some(Shown { base, index: None, from, to, write })
            }
            Op::CheckSum { base, index, room, off, what, .. } => {
                let (from, to) = (i64::from(off), i64::from(off) + i64::from(what.size().bytes()));
                let index = (index, what.scale());
                let fits = match what.measure() {
                    Measure::Index => from >= 0 && has_room(room, base, to, what.scale(), what.write()),
                    Measure::Distance => has_room(room, base, to - from, 0, what.write()),
                };
                fits.then_some(Shown { base, index: Some(index), from, to, write: what.write() })
            }
            _ => None,
        }
    }
}

/// Says whether the checks together show every byte of an access.
fn covers(shown: &[Shown], access: Accessed) -> bool {
    let from = i64::from(access.off);
    let to = from + i64::from(access.size.bytes());
    let mut covered = from;
    while covered < to {
        let fits = |shown: &&Shown| {
            (shown.base, shown.index) == (access.base, access.index)
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
        check(&Code { ops, at, functions, ..Code::default() }, machine, 512).is_ok()
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
