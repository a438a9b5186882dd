//! Addresses that are sums: a base and an index, times 1, 2, 4 or 8.
//!
//! Only where accesses are not checked: a check wants the sum itself.

use crate::error::BuildErrorKind;
use crate::ssa::{Function, MemAddr, Node, Sum, Val, filled};
use skep_isa::{AluOp, Width};

/// Lets accesses add up their addresses, where all readers of a sum are accesses of its own block.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn fuse(function: &mut Function) -> Result<(), BuildErrorKind> {
    let is_sum = |node: &Node| matches!(node, Node::Alu { op: AluOp::Add, width: Width::W64, .. });
    if !function.nodes.iter().any(is_sum) {
        return Ok(());
    }
    let uses = super::uses(function)?;
    // Counts the readers of each value that could add it up.
    let mut takers = filled(0u32, function.nodes.len())?;
    for block in &function.blocks {
        for val in block.nodes() {
            if let Some(base) = base(function.node(val)) {
                let near = base.0 >= block.first.0;
                if near && is_sum(&function.node(base)) {
                    takers[base.index()] += 1;
                }
            }
        }
    }
    for index in 0..function.nodes.len() {
        let Some(base) = base(function.nodes[index]) else { continue };
        if takers[base.index()] == 0 || takers[base.index()] != uses[base.index()] {
            continue;
        }
        let Node::Alu { a, b, .. } = function.node(base) else { continue };
        let scaled = |val: Val| match function.node(val) {
            Node::AluImm { op: AluOp::Lsh, width: Width::W64, a, imm: scale @ 1..=3 }
                if uses[val.index()] == 1 =>
            {
                Some((a, scale as u8))
            }
            _ => None,
        };
        let (base, (index_val, scale)) = match (scaled(a), scaled(b)) {
            (_, Some(scaled)) => (a, scaled),
            (Some(scaled), None) => (b, scaled),
            (None, None) => (a, (b, 0)),
        };
        let sum = |off| Sum { base, index: index_val, off, scale };
        function.nodes[index] = match function.nodes[index] {
            Node::Load { kind, addr } => Node::LoadSum { kind, sum: sum(addr.off) },
            Node::Store { size, addr, value } => Node::StoreSum { size, sum: sum(addr.off), value },
            Node::StoreImm { size, addr, imm } => Node::StoreImmSum { size, sum: sum(addr.off), imm },
            node => node,
        };
    }
    Ok(())
}

/// Returns what an access that could add up its address is relative to.
fn base(node: Node) -> Option<Val> {
    match node {
        // What is stored must not be the sum itself.
        Node::Store { addr: MemAddr { base, .. }, value, .. } => (value != base).then_some(base),
        Node::Load { addr, .. } | Node::StoreImm { addr, .. } => Some(addr.base),
        _ => None,
    }
}
