//! How many bits of each value may be set; what clears or extends bits that are known is removed.

use super::params::Incoming;
use crate::error::BuildErrorKind;
use crate::ssa::{Function, Node, Renaming, Val, filled, grow};
use alloc_crate::vec::Vec;
use skep_isa::{AluOp, LoadKind, Movsx, SwapWidth, Width};

/// Bounds the rounds; a function that needs more stays as it is.
const ROUNDS: usize = 12;

/// Removes truncations, masks and extensions that change nothing, and lets loads extend what they read.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn shorten(function: &mut Function) -> Result<(), BuildErrorKind> {
    extend_as_loaded(function)?;
    if !function.nodes.iter().any(|node| kept(*node).is_some()) {
        return Ok(());
    }
    let Some(bits) = bits(function)? else { return Ok(()) };
    let mut becomes = Renaming::default();
    let mut changed = false;
    for index in 0..function.nodes.len() {
        if let Some((from, most)) = kept(function.nodes[index]) {
            if bits[from.index()] <= most {
                becomes.set(Val(index as u32), from)?;
                function.nodes[index] = Node::Nop;
                changed = true;
            }
        }
    }
    if changed {
        super::rename(function, &becomes);
    }
    Ok(())
}

/// Says which value a node passes on, and how many bits of it at most must be set for it to pass on all.
fn kept(node: Node) -> Option<(Val, u8)> {
    Some(match node {
        Node::Trunc { size, a } => (a, size.bits() as u8),
        // The sign bit is clear.
        Node::Sext { kind, a } => (a, kind.from().bits() as u8 - 1),
        Node::AluImm { op: AluOp::And, a, imm, .. } if imm > 0 && (imm as u32 + 1).is_power_of_two() => {
            (a, imm.count_ones() as u8)
        }
        _ => return None,
    })
}

/// Lets loads extend signs where nobody wants what they read otherwise.
fn extend_as_loaded(function: &mut Function) -> Result<(), BuildErrorKind> {
    let extends = |node: &Node| matches!(node, Node::Sext { kind, .. } if kind.width() == Width::W64);
    if !function.nodes.iter().any(extends) {
        return Ok(());
    }
    let uses = super::uses(function)?;
    let mut becomes = Renaming::default();
    let mut changed = false;
    for index in 0..function.nodes.len() {
        let Node::Sext { kind, a } = function.nodes[index] else { continue };
        let Node::Load { kind: read, addr } = function.nodes[a.index()] else { continue };
        let kind = match (kind, read) {
            (Movsx::S8To64, LoadKind::U8) => LoadKind::S8,
            (Movsx::S16To64, LoadKind::U16) => LoadKind::S16,
            (Movsx::S32To64, LoadKind::U32) => LoadKind::S32,
            _ => continue,
        };
        if uses[a.index()] == 1 {
            function.nodes[a.index()] = Node::Load { kind, addr };
            function.nodes[index] = Node::Nop;
            becomes.set(Val(index as u32), a)?;
            changed = true;
        }
    }
    if changed {
        super::rename(function, &becomes);
    }
    Ok(())
}

/// Bounds the bits of the values that [`kept`] asks for; nothing where that takes too long.
fn bits(function: &Function) -> Result<Option<Vec<u8>>, BuildErrorKind> {
    let incoming = Incoming::new(function)?;
    // From below: what is not known yet to have bits has none.
    let mut bits = filled(0u8, function.nodes.len())?;
    let Asked { list, turns } = asked(function, &incoming, &mut bits)?;
    for _ in 0..ROUNDS {
        let mut changed = false;
        for wanted in list.iter().copied() {
            let most = match function.nodes[wanted.val.index()] {
                // In few steps, so that counters are done with soon.
                Node::Param => {
                    let most = arriving(function, &incoming, wanted, &bits);
                    [0, 1, 8, 16, 31, 32, 63].into_iter().find(|step| most <= *step).unwrap_or(64)
                }
                node => of(node, &bits),
            };
            changed |= bits[wanted.val.index()] != most;
            bits[wanted.val.index()] = most;
        }
        // A parameter that has stayed as it was has been asked before what stands behind it in this round.
        if !(turns && changed) {
            #[cfg(any(debug_assertions, fuzzing))]
            check(function, &incoming, &list, &bits).unwrap_or_else(|val| {
                panic!("\nbounds: {val} may have more than {} bits\n{function}", bits[val.index()])
            });
            return Ok(Some(bits));
        }
    }
    Ok(None)
}

/// Bounds the bits of what arrives at a parameter.
fn arriving(function: &Function, incoming: &Incoming, wanted: Wanted, bits: &[u8]) -> u8 {
    let lists = incoming.of(wanted.block as usize).iter();
    let arguments = lists.map(|list| super::params::brought(function, *list, wanted.position));
    arguments.map(|val| bits[val.index()]).max().unwrap_or(64)
}

/// Checks that each bound holds for what the bounds of its operands allow, by whatever way they were found; then all of them
/// hold, as a run only ever goes from one to the next.
///
/// # Errors
///
/// The value that may have more bits.
#[cfg(any(debug_assertions, fuzzing))]
fn check(function: &Function, incoming: &Incoming, list: &[Wanted], bits: &[u8]) -> Result<(), Val> {
    let holds = |val: Val, most: u8| if most <= bits[val.index()] { Ok(()) } else { Err(val) };
    let known = |val: Val| match function.nodes[val.index()] {
        // Those of the entry are anything, and the others are asked for themselves.
        Node::Param if function.params_of(&function.blocks[0]).any(|param| param == val) => holds(val, 64),
        Node::Param => Ok(()),
        node => holds(val, of(node, bits)),
    };
    for wanted in list.iter().copied() {
        let node = function.nodes[wanted.val.index()];
        if node == Node::Param {
            holds(wanted.val, arriving(function, incoming, wanted, bits))?;
        }
        known(wanted.val)?;
        node.operands().into_iter().try_for_each(known)?;
    }
    Ok(())
}

/// Is a value whose bits depend on those of others; of a parameter, where it stands.
#[derive(Clone, Copy)]
struct Wanted {
    val: Val,
    block: u32,
    position: u32,
}

/// Holds the values that decide what is asked, in order.
struct Asked {
    list: Vec<Wanted>,
    /// Says whether any of them depends on one behind it, by way of a loop.
    turns: bool,
}

/// Finds the values that decide what is asked, and bounds those that depend on no other.
fn asked(function: &Function, incoming: &Incoming, bits: &mut [u8]) -> Result<Asked, BuildErrorKind> {
    let mut seen = filled(false, function.nodes.len())?;
    let (mut list, mut pending, mut turns) = (Vec::new(), Vec::new(), false);
    for node in &function.nodes {
        if let Some((from, _)) = kept(*node) {
            grow(&mut pending, from)?;
        }
    }
    while let Some(val) = pending.pop() {
        if core::mem::replace(&mut seen[val.index()], true) {
            continue;
        }
        let node = function.nodes[val.index()];
        let (mut block, mut position) = (0, 0);
        match node {
            Node::Param => {
                (block, position) = super::params::place(function, val);
                if block == 0 {
                    bits[val.index()] = 64;
                    continue;
                }
                for list in incoming.of(block as usize) {
                    let argument = super::params::brought(function, *list, position);
                    turns |= argument > val;
                    grow(&mut pending, argument)?;
                }
            }
            Node::Trunc { .. }
            | Node::Sext { .. }
            | Node::Select { .. }
            | Node::Alu { .. }
            | Node::AluImm { .. } => {
                pending.try_reserve(4).map_err(|_| BuildErrorKind::OutOfMemory)?;
                node.each_operand(|val| pending.push(val));
            }
            node => {
                bits[val.index()] = of(node, bits);
                continue;
            }
        }
        grow(&mut list, Wanted { val, block, position })?;
    }
    list.sort_unstable_by_key(|wanted| wanted.val);
    Ok(Asked { list, turns })
}

/// Bounds the bits of a value by those of its operands.
fn of(node: Node, bits: &[u8]) -> u8 {
    let at = |val: Val| bits[val.index()];
    let cap = |width: Width, most: u8| most.min(width.bits() as u8);
    match node {
        Node::Const(number) => 64 - number.leading_zeros() as u8,
        Node::Load { kind, .. } if !kind.is_signed() => kind.size().bits() as u8,
        Node::LoadAcquire { size, .. } => size.bits() as u8,
        Node::Atomic { width, .. } | Node::Cmpxchg { width, .. } => width.bits() as u8,
        Node::Trunc { size, a } => at(a).min(size.bits() as u8),
        Node::Swap { width: SwapWidth::W16, .. } => 16,
        Node::Swap { width: SwapWidth::W32, .. } => 32,
        // A number without its sign bit stays as it is.
        Node::Sext { kind, a } if u32::from(at(a)) < kind.from().bits() => at(a),
        Node::Sext { kind, .. } => kind.width().bits() as u8,
        Node::Neg { width, .. } | Node::Rotl { width, .. } => width.bits() as u8,
        Node::Set { .. } => 1,
        Node::Select { then, other, .. } => at(then).max(at(other)),
        Node::Alu { op, width, a, b } => {
            let (a, b) = (at(a), at(b));
            match op {
                AluOp::And => cap(width, a.min(b)),
                AluOp::Or | AluOp::Xor => cap(width, a.max(b)),
                AluOp::Add => cap(width, a.max(b).saturating_add(1)),
                AluOp::Mul => cap(width, a.saturating_add(b)),
                AluOp::Div | AluOp::Mod | AluOp::Rsh => cap(width, a),
                _ => width.bits() as u8,
            }
        }
        Node::AluImm { op, width, a, imm } => {
            let a = at(a);
            let number = match width {
                Width::W32 => u64::from(imm as u32),
                Width::W64 => i64::from(imm) as u64,
            };
            let b = 64 - number.leading_zeros() as u8;
            let amount = (imm as u32 & (width.bits() - 1)) as u8;
            match op {
                AluOp::And => cap(width, a.min(b)),
                AluOp::Or | AluOp::Xor => cap(width, a.max(b)),
                AluOp::Add => cap(width, a.max(b).saturating_add(1)),
                AluOp::Mul => cap(width, a.saturating_add(b)),
                AluOp::Lsh => cap(width, a.saturating_add(amount)),
                AluOp::Rsh => cap(width, a).saturating_sub(amount),
                AluOp::Div => cap(width, a),
                AluOp::Mod if imm != 0 => cap(width, a.min(b)),
                AluOp::Mod => cap(width, a),
                _ => width.bits() as u8,
            }
        }
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_isa::Size;

    #[test]
    fn bounds_hold_for_every_operation_on_small_numbers() {
        // All pairs of numbers of up to five bits, and their complements, by every operator.
        let numbers: Vec<u64> = (0..32).chain((0..32).map(|n: u64| !n)).collect();
        for op in [
            AluOp::Add,
            AluOp::Sub,
            AluOp::Mul,
            AluOp::Div,
            AluOp::Sdiv,
            AluOp::Or,
            AluOp::And,
            AluOp::Lsh,
            AluOp::Rsh,
            AluOp::Mod,
            AluOp::Smod,
            AluOp::Xor,
            AluOp::Arsh,
        ] {
            for width in [Width::W32, Width::W64] {
                for &a in &numbers {
                    for &b in &numbers {
                        let length = |n: u64| 64 - n.leading_zeros() as u8;
                        let known = [length(a), length(b)];
                        let result = length(crate::arith::alu(width, op, a, b));
                        let bound = of(Node::Alu { op, width, a: Val(0), b: Val(1) }, &known);
                        assert!(result <= bound, "{a:#x} {op:?}.{width:?} {b:#x}");
                        if let Ok(imm) = i32::try_from(b as i64) {
                            let bound = of(Node::AluImm { op, width, a: Val(0), imm }, &known);
                            assert!(result <= bound, "{a:#x} {op:?}.{width:?} {imm}");
                        }
                    }
                }
            }
        }
        for (size, bound) in [(Size::B, 5), (Size::Dw, 5)] {
            assert_eq!(of(Node::Trunc { size, a: Val(0) }, &[5]), bound);
        }
    }
}
