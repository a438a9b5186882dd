//! One of two values, without a branch.
//!
//! Compilers for this instruction set have no conditional move, so a choice between two values becomes a branch over a move.
//! Where two ways from a branch meet again at once, with nothing done on either but that numbers are made, what is different
//! afterwards is chosen there.

use super::params::Incoming;
use crate::error::BuildErrorKind;
use crate::lower::inverse;
use crate::machine::Machine;
use crate::ssa::{Block, Edge, Function, List, Node, Rhs, Term, Val};
use skep_isa::{Cond, Width};

/// Counts the values that are chosen at most where two ways meet; more are better jumped over.
const MOST: usize = 3;

/// Is a branch whose ways meet.
struct Meeting {
    /// Names the blocks on the way, which do nothing.
    between: [Option<Block>; 2],
    /// Names the block where they meet.
    at: Block,
    /// Holds what each way brings.
    then: List,
    other: List,
    test: Test,
}

/// Is what a branch asks.
#[derive(Clone, Copy)]
struct Test {
    cond: Cond,
    width: Width,
    a: Val,
    b: Rhs,
}

/// Replaces branches.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn choose(function: &mut Function, machine: &Machine) -> Result<(), BuildErrorKind> {
    if !function.blocks.iter().any(|block| matches!(block.term, Term::Branch { .. })) {
        return Ok(());
    }
    let incoming = Incoming::new(function)?;
    let mut are_copies = false;
    for number in 0..function.blocks.len() {
        if let Some(meeting) = meeting(function, &incoming, number) {
            replace(function, number, &meeting, machine);
            are_copies |= function.params_of(&function.blocks[meeting.at.index()]).next().is_some();
        }
    }
    if are_copies {
        super::params::remove_copies(function)?;
    }
    Ok(())
}

/// Finds where the ways of a block's branch meet, if they do at once.
fn meeting(function: &Function, incoming: &Incoming, number: usize) -> Option<Meeting> {
    let Term::Branch { cond, width, a, b, then, other } = function.blocks[number].term else { return None };
    let (then_between, then) = through(function, incoming, number, &then)?;
    let (other_between, other) = through(function, incoming, number, &other)?;
    let at = then.to;
    let meets = at == other.to && at.index() > number && incoming.of(at.index()).len() == 2;
    if !meets || then_between.is_none() && other_between.is_none() {
        return None;
    }
    let pairs = || function.list(then.args).iter().zip(function.list(other.args));
    let differing = || pairs().filter(|(then, other)| then != other);
    let different = differing().count();
    let test = Test { cond, width, a, b };
    // A choice waits for what it asks; where that comes from memory, a processor that guesses goes on. The smaller or larger
    // of two numbers is wanted itself, so there is nothing to go on with.
    let asked = |val: &Val| *val == a || b == Rhs::Val(*val);
    let picks = |(then, other): (&Val, &Val)| asked(then) || asked(other);
    let waits = is_read(function, a) || matches!(b, Rhs::Val(b) if is_read(function, b));
    if waits && !differing().all(picks) {
        return None;
    }
    let between = [then_between, other_between];
    (different <= MOST).then_some(Meeting { between, at, then: then.args, other: other.args, test })
}

/// Says whether a value was just read from memory.
fn is_read(function: &Function, mut val: Val) -> bool {
    while let Node::Trunc { a, .. } | Node::Sext { a, .. } | Node::AluImm { a, .. } = function.node(val) {
        val = a;
    }
    matches!(function.node(val), Node::Load { .. })
}

/// Follows a way through a block that does nothing and that nothing else leads to, if there is one.
fn through(
    function: &Function,
    incoming: &Incoming,
    from: usize,
    edge: &Edge,
) -> Option<(Option<Block>, Edge)> {
    if edge.charge != 0 {
        return None;
    }
    let block = &function.blocks[edge.to.index()];
    let idle = |val: Val| matches!(function.nodes[val.index()], Node::Nop | Node::Const(_));
    match block.term {
        Term::Jump(next)
            if edge.to.index() > from
                && next.charge == 0
                && incoming.of(edge.to.index()).len() == 1
                && block.nodes().all(idle) =>
        {
            Some((Some(edge.to), next))
        }
        _ => Some((None, *edge)),
    }
}

/// Goes all ways one after the other, and chooses where they have met.
fn replace(function: &mut Function, number: usize, meeting: &Meeting, machine: &Machine) {
    let mut position = 0;
    for param in function.blocks[meeting.at.index()].head() {
        if !function.nodes[param.index()].is_param() {
            continue;
        }
        let then = function.list(meeting.then)[position];
        let other = function.list(meeting.other)[position];
        // What both bring goes on being a parameter, which is a copy.
        if then != other {
            function.nodes[param.index()] = choice(function, meeting.test, then, other, machine);
        } else {
            let (start, kept) = (meeting.then.start as usize, kept(function, meeting.at, param));
            function.pool[start + kept] = then;
        }
        position += 1;
    }
    let left = function.params_of(&function.blocks[meeting.at.index()]).count() as u32;
    let args = List { start: meeting.then.start, len: left };
    let jump = |to, args| Term::Jump(Edge { to, args, charge: 0 });
    let mut from = number;
    for block in meeting.between.into_iter().flatten() {
        function.blocks[from].term = jump(block, List::default());
        from = block.index();
    }
    function.blocks[from].term = jump(meeting.at, args);
}

/// Chooses by what a branch asked: whether it held is a number itself, on machines that have that.
fn choice(function: &Function, test: Test, then: Val, other: Val, machine: &Machine) -> Node {
    let Test { cond, width, a, b } = test;
    let numbers = (function.constant(then), function.constant(other));
    match (numbers, inverse(cond)) {
        ((Some(1), Some(0)), _) if machine.sets => Node::Set { cond, width, a, b },
        ((Some(0), Some(1)), Some(cond)) if machine.sets => Node::Set { cond, width, a, b },
        _ => Node::Select { cond, width, a, b, then, other },
    }
}

/// Counts the parameters in front of one.
fn kept(function: &Function, block: Block, param: Val) -> usize {
    function.params_of(&function.blocks[block.index()]).take_while(|val| *val != param).count()
}
