//! Whether the places fit the function: an own analysis, which knows nothing of intervals.
//!
//! It follows, along every way through the function, which value each place holds, and looks at every read. Where ways meet,
//! a place holds a value only if it does on all of them.

use super::Places;
use crate::machine::{Machine, RegMask};
use crate::ops::Loc;
use crate::ssa::{Function, Node, Term, Val};
use alloc_crate::collections::BTreeMap;
use alloc_crate::vec;
use alloc_crate::vec::Vec;
use core::fmt;

/// Says where a place does not hold what is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// Names the value that is read.
    pub val: Val,
    /// Names the place it should be in.
    pub place: Loc,
    /// Names the value that is there instead, if any is.
    pub found: Option<Val>,
    /// Names the node that reads it; the node count stands for a block's end.
    pub reader: Val,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} reads {} from {}, which holds ", self.reader, self.val, self.place)?;
        match self.found {
            Some(found) => write!(f, "{found}"),
            None => f.write_str("nothing known"),
        }
    }
}

impl core::error::Error for Misplaced {}

type State = BTreeMap<Loc, Val>;

/// Checks places.
///
/// # Errors
///
/// [`Misplaced`] names the first read that would find something else.
pub fn check(function: &Function, machine: &Machine, places: &Places) -> Result<(), Misplaced> {
    let mut before: Vec<Option<State>> = vec![None; function.blocks.len()];
    let checker = Checker { function, machine, places };
    let mut entry = State::new();
    for param in function.params_of(&function.blocks[0]) {
        // What has no place is found nowhere.
        if places.of(param) != Loc::NONE {
            entry.insert(places.of(param), param);
        }
    }
    before[0] = Some(entry);
    let mut pending = vec![0usize];
    // First to a fixed point, then once more to look.
    while let Some(number) = pending.pop() {
        let Some(state) = before[number].clone() else { continue };
        let after = checker.through(number, state, &mut |_, _| Ok(()))?;
        for (target, state) in checker.leave(number, &after, &mut |_, _| Ok(()))? {
            let met = match &before[target] {
                None => state,
                Some(known) => meet(known, &state),
            };
            if before[target].as_ref() != Some(&met) {
                before[target] = Some(met);
                pending.push(target);
            }
        }
    }
    for (number, state) in before.into_iter().enumerate() {
        let Some(state) = state else { continue };
        let look = |state: &State, read: Read| checker.look(state, read);
        let after = checker.through(number, state, &mut { look })?;
        checker.leave(number, &after, &mut { look })?;
    }
    Ok(())
}

fn meet(a: &State, b: &State) -> State {
    a.iter().filter(|(place, val)| b.get(place) == Some(val)).map(|(place, val)| (*place, *val)).collect()
}

/// Is one read of a value.
struct Read {
    val: Val,
    reader: Val,
    /// Says that a number may be made where it goes.
    moved: bool,
}

type Look<'l> = &'l mut dyn FnMut(&State, Read) -> Result<(), Misplaced>;

struct Checker<'c> {
    function: &'c Function,
    machine: &'c Machine,
    places: &'c Places,
}

impl Checker<'_> {
    fn look(&self, state: &State, read: Read) -> Result<(), Misplaced> {
        if read.moved && matches!(self.function.nodes[read.val.index()], Node::Const(_)) {
            return Ok(());
        }
        let place = self.places.of(read.val);
        let found = state.get(&place).copied();
        if found == Some(read.val) && place != Loc::NONE {
            return Ok(());
        }
        Err(Misplaced { val: read.val, place, found, reader: read.reader })
    }

    /// Follows a block's nodes.
    fn through(&self, number: usize, mut state: State, look: Look<'_>) -> Result<State, Misplaced> {
        for val in self.function.blocks[number].nodes() {
            let node = self.function.nodes[val.index()];
            if matches!(node, Node::Nop | Node::Param) {
                continue;
            }
            for operand in node.operands() {
                look(&state, Read { val: operand, reader: val, moved: false })?;
            }
            for operand in node.args().map_or(&[][..], |list| self.function.list(list)) {
                look(&state, Read { val: *operand, reader: val, moved: true })?;
            }
            let destroyed = self.destroyed(node);
            state.retain(|place, _| {
                !(destroyed.contains(place.0) && place.0 < u16::from(self.machine.registers))
            });
            let place = self.places.of(val);
            for operand in self.read_late(node, destroyed).into_iter().flatten() {
                // The result, or what is destroyed, is written before this is read.
                look(&state, Read { val: operand, reader: val, moved: false })?;
                if node.has_value() && place != Loc::NONE && place == self.places.of(operand) {
                    return Err(Misplaced { val: operand, place, found: Some(val), reader: val });
                }
            }
            if node.has_value() && place != Loc::NONE {
                state.insert(place, val);
            }
        }
        Ok(state)
    }

    /// Follows a block's ways out.
    fn leave(&self, number: usize, state: &State, look: Look<'_>) -> Result<Vec<(usize, State)>, Misplaced> {
        let function = self.function;
        let reader = Val(function.nodes.len() as u32);
        let term = &function.blocks[number].term;
        for val in term.operands() {
            look(state, Read { val, reader, moved: matches!(term, Term::Return(_)) })?;
        }
        let mut out = Vec::new();
        for edge in term.edges() {
            let mut target = state.clone();
            let args = function.list(edge.args);
            for arg in args {
                look(state, Read { val: *arg, reader, moved: true })?;
            }
            for param in function.params_of(&function.blocks[edge.to.index()]) {
                target.insert(self.places.of(param), param);
            }
            out.push((edge.to.index(), target));
        }
        Ok(out)
    }

    /// Returns the operands that are read after something is written.
    fn read_late(&self, node: Node, destroyed: RegMask) -> [Option<Val>; 2] {
        let Machine { two_address, destroys_first, .. } = *self.machine;
        match node {
            Node::Alu { a, b, .. } => {
                let after_result = two_address && a != b;
                let after_destroying = destroys_first && destroyed != RegMask(0);
                [(after_result || after_destroying).then_some(b), None]
            }
            Node::Atomic { addr, src, .. } | Node::Cmpxchg { addr, src, .. } if destroys_first => {
                [Some(addr.base), Some(src)]
            }
            _ => [None, None],
        }
    }

    fn destroyed(&self, node: Node) -> RegMask {
        use skep_isa::AluOp;
        match node {
            Node::Helper { .. } | Node::Call { .. } | Node::CallReg { .. } | Node::Packet { .. } => {
                self.machine.calls
            }
            Node::Alu { op, .. } | Node::AluImm { op, .. }
                if matches!(op, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod) =>
            {
                self.machine.divisions
            }
            Node::Alu { op: AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, .. } => self.machine.shifts,
            Node::Atomic { .. } | Node::Cmpxchg { .. } => self.machine.exchanges,
            _ => RegMask(0),
        }
    }
}
