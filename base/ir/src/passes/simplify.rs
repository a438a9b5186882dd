//! What a node is worth, given what its operands are.

use crate::arith;
use crate::build::as_imm;
use crate::ssa::{MemAddr, Node, Val};
use skep_isa::{AluOp, Movsx, Size, SwapWidth, Width};

/// Is what a node turned out to be.
pub(crate) enum Simple {
    /// A value that is already there.
    Val(Val),
    /// A node, maybe a simpler one.
    Node(Node),
}

impl From<Node> for Simple {
    fn from(node: Node) -> Simple {
        Simple::Node(node)
    }
}

/// Simplifies a node that computes; others it gives back.
pub(crate) fn simplify(nodes: &[Node], node: Node) -> Simple {
    match node {
        Node::Alu { op, width, a, b } => alu(nodes, op, width, a, b),
        Node::AluImm { op, width, a, imm } => alu_imm(nodes, op, width, a, imm),
        Node::Neg { width, a } => match constant(nodes, a) {
            Some(a) => Node::Const(arith::neg(width, a)).into(),
            None => node.into(),
        },
        Node::Sext { kind, a } => sext(nodes, kind, a),
        Node::Trunc { size, a } => trunc(nodes, size, a),
        Node::Swap { width, a } => match (constant(nodes, a), nodes[a.index()]) {
            (Some(a), _) => Node::Const(arith::swap(width, a)).into(),
            (None, Node::Swap { width: SwapWidth::W64, a }) if width == SwapWidth::W64 => Simple::Val(a),
            _ => node.into(),
        },
        Node::Rotl { width, a, amount } => match constant(nodes, a) {
            Some(a) => Node::Const(arith::rotl(width, a, u32::from(amount))).into(),
            None => node.into(),
        },
        _ => node.into(),
    }
}

/// Simplifies any node, accesses to memory too.
pub(crate) fn again(nodes: &[Node], node: Node) -> Simple {
    simplify(nodes, access(nodes, node))
}

/// Simplifies an access to memory; other nodes it gives back.
pub(crate) fn access(nodes: &[Node], mut node: Node) -> Node {
    match &mut node {
        Node::Check { addr, .. } | Node::Load { addr, .. } | Node::LoadAcquire { addr, .. } => {
            *addr = address(nodes, *addr);
        }
        Node::Store { size, addr, value } => {
            *addr = address(nodes, *addr);
            *value = strip(nodes, *size, *value);
            if let Some(imm) = constant(nodes, *value).and_then(as_imm) {
                node = Node::StoreImm { size: *size, addr: *addr, imm };
            }
        }
        Node::StoreImm { addr, .. }
        | Node::StoreRelease { addr, .. }
        | Node::Atomic { addr, .. }
        | Node::Cmpxchg { addr, .. } => *addr = address(nodes, *addr),
        _ => {}
    }
    node
}

/// Moves additions of numbers from the base into the offset.
pub(crate) fn address(nodes: &[Node], mut addr: MemAddr) -> MemAddr {
    while let Node::AluImm { op: AluOp::Add, width: Width::W64, a, imm } = nodes[addr.base.index()] {
        let Some(off) = addr.off.checked_add(imm) else { break };
        addr = MemAddr { base: a, off };
    }
    addr
}

/// Looks through what only clears bits that nobody reads: the reader takes the low `size`.
pub(crate) fn strip(nodes: &[Node], size: Size, mut val: Val) -> Val {
    while let Node::Trunc { size: kept, a } = nodes[val.index()] {
        if kept < size {
            break;
        }
        val = a;
    }
    val
}

fn constant(nodes: &[Node], val: Val) -> Option<u64> {
    match nodes[val.index()] {
        Node::Const(number) => Some(number),
        _ => None,
    }
}

fn commutes(op: AluOp) -> bool {
    matches!(op, AluOp::Add | AluOp::Mul | AluOp::Or | AluOp::And | AluOp::Xor)
}

/// Says whether the operation's low half depends on the low halves of its operands alone: all of 32 bits do.
fn operands_at(nodes: &[Node], width: Width, val: Val) -> Val {
    match width {
        Width::W32 => strip(nodes, Size::W, val),
        Width::W64 => val,
    }
}

fn alu(nodes: &[Node], op: AluOp, width: Width, a: Val, b: Val) -> Simple {
    let (a, b) = (operands_at(nodes, width, a), operands_at(nodes, width, b));
    let (a, b) = if commutes(op) && constant(nodes, a).is_some() { (b, a) } else { (a, b) };
    if let Some(number) = constant(nodes, b) {
        if let Some(a) = constant(nodes, a) {
            return Node::Const(arith::alu(width, op, a, number)).into();
        }
        if op == AluOp::And && width == Width::W64 && number == u64::from(u32::MAX) {
            return trunc(nodes, Size::W, a);
        }
        let imm = match width {
            Width::W64 => as_imm(number),
            Width::W32 => Some(number as i32),
        };
        if let Some(imm) = imm {
            return alu_imm(nodes, op, width, a, imm);
        }
    }
    if a == b {
        match op {
            AluOp::Sub | AluOp::Xor => return Node::Const(0).into(),
            AluOp::And | AluOp::Or => return whole(nodes, width, a),
            _ => {}
        }
    }
    if let Some(rotated) = rotate(nodes, op, width, a, b) {
        return rotated.into();
    }
    Node::Alu { op, width, a, b }.into()
}

/// Gives `a` as an operation of this width leaves it.
fn whole(nodes: &[Node], width: Width, a: Val) -> Simple {
    match width {
        Width::W64 => Simple::Val(a),
        Width::W32 => trunc(nodes, Size::W, a),
    }
}

/// Recognises two opposite shifts of one value, put together.
fn rotate(nodes: &[Node], op: AluOp, width: Width, a: Val, b: Val) -> Option<Node> {
    if !matches!(op, AluOp::Or | AluOp::Xor | AluOp::Add) {
        return None;
    }
    let shift = |val: Val| match nodes[val.index()] {
        Node::AluImm { op, width: at, a, imm } if at == width => Some((op, a, imm as u32)),
        _ => None,
    };
    let (left, right) = match (shift(a)?, shift(b)?) {
        (left @ (AluOp::Lsh, ..), right @ (AluOp::Rsh, ..)) => (left, right),
        (right @ (AluOp::Rsh, ..), left @ (AluOp::Lsh, ..)) => (left, right),
        _ => return None,
    };
    let whole = left.2 + right.2 == width.bits() && left.2 != 0 && right.2 != 0;
    (left.1 == right.1 && whole).then_some(Node::Rotl { width, a: left.1, amount: left.2 as u8 })
}

fn alu_imm(nodes: &[Node], op: AluOp, width: Width, a: Val, imm: i32) -> Simple {
    let a = operands_at(nodes, width, a);
    let number = i64::from(imm) as u64;
    if let Some(a) = constant(nodes, a) {
        return Node::Const(arith::alu(width, op, a, number)).into();
    }
    // Shifts look at the low bits of their amount only.
    let amount = (imm as u32) & (width.bits() - 1);
    match op {
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if amount == 0 => return whole(nodes, width, a),
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => return shift(nodes, op, width, a, amount),
        AluOp::Add | AluOp::Sub | AluOp::Or | AluOp::Xor if imm == 0 => return whole(nodes, width, a),
        AluOp::Mul | AluOp::Div | AluOp::Sdiv if imm == 1 => return whole(nodes, width, a),
        AluOp::And if imm == -1 => return whole(nodes, width, a),
        AluOp::And | AluOp::Mul | AluOp::Div | AluOp::Sdiv if imm == 0 => return Node::Const(0).into(),
        AluOp::Mod | AluOp::Smod if imm == 0 => return whole(nodes, width, a),
        AluOp::Mod | AluOp::Smod if imm == 1 => return Node::Const(0).into(),
        AluOp::And if imm == 0xff => return trunc(nodes, Size::B, a),
        AluOp::And if imm == 0xffff => return trunc(nodes, Size::H, a),
        AluOp::Sub => {
            if let Some(imm) = imm.checked_neg() {
                return alu_imm(nodes, AluOp::Add, width, a, imm);
            }
        }
        AluOp::Mul if imm > 0 && imm.count_ones() == 1 => {
            return shift(nodes, AluOp::Lsh, width, a, imm.trailing_zeros());
        }
        AluOp::Div if imm > 0 && imm.count_ones() == 1 => {
            return shift(nodes, AluOp::Rsh, width, a, imm.trailing_zeros());
        }
        AluOp::Mod if imm > 0 && imm.count_ones() == 1 => {
            return alu_imm(nodes, AluOp::And, width, a, imm - 1);
        }
        _ => {}
    }
    // (x + c) + d, (x & c) & d and their kin are one operation.
    if let Node::AluImm { op: inner, width: at, a: x, imm: first } = nodes[a.index()] {
        if inner == op && at == width {
            let both = match op {
                AluOp::Add if width == Width::W64 => first.checked_add(imm),
                AluOp::Add => Some(first.wrapping_add(imm)),
                AluOp::And => Some(first & imm),
                AluOp::Or => Some(first | imm),
                AluOp::Xor => Some(first ^ imm),
                _ => None,
            };
            if let Some(imm) = both {
                return alu_imm(nodes, op, width, x, imm);
            }
        }
    }
    Node::AluImm { op, width, a, imm }.into()
}

fn shift(nodes: &[Node], op: AluOp, width: Width, a: Val, amount: u32) -> Simple {
    if let Node::AluImm { op: AluOp::Lsh, width: at, a: x, imm } = nodes[a.index()] {
        if at == width && imm as u32 == amount {
            let kept = width.bits() - amount;
            match (op, kept) {
                (AluOp::Rsh, 8) => return trunc(nodes, Size::B, x),
                (AluOp::Rsh, 16) => return trunc(nodes, Size::H, x),
                (AluOp::Rsh, 32) => return trunc(nodes, Size::W, x),
                (AluOp::Arsh, 8 | 16 | 32) => {
                    let kind = match (kept, width) {
                        (8, Width::W32) => Movsx::S8To32,
                        (8, Width::W64) => Movsx::S8To64,
                        (16, Width::W32) => Movsx::S16To32,
                        (16, Width::W64) => Movsx::S16To64,
                        _ => Movsx::S32To64,
                    };
                    return sext(nodes, kind, x);
                }
                _ => {}
            }
        }
    }
    Node::AluImm { op, width, a, imm: amount as i32 }.into()
}

fn sext(nodes: &[Node], kind: Movsx, a: Val) -> Simple {
    let a = strip(nodes, kind.from(), a);
    match constant(nodes, a) {
        Some(a) => Node::Const(arith::movsx(kind, a)).into(),
        None => Node::Sext { kind, a }.into(),
    }
}

fn trunc(nodes: &[Node], size: Size, a: Val) -> Simple {
    let mut a = strip(nodes, size, a);
    // What an extension has put above the kept bytes goes again.
    while let Node::Sext { kind, a: from } = nodes[a.index()] {
        if kind.from() < size {
            break;
        }
        a = strip(nodes, size, from);
    }
    if let Some(a) = constant(nodes, a) {
        return Node::Const(arith::truncate(size, a)).into();
    }
    let node = nodes[a.index()];
    let fits = match node {
        Node::Trunc { size: kept, .. } => kept <= size,
        Node::Load { kind, .. } => !kind.is_signed() && kind.size() <= size,
        Node::LoadAcquire { size: read, .. } => read <= size,
        Node::Swap { width: SwapWidth::W16, .. } => size >= Size::H,
        Node::AluImm { op: AluOp::And, imm, .. } => imm >= 0 && i64::from(imm) < 1 << size.bits().min(40),
        _ => size == Size::W && node.is_narrow(),
    };
    if fits { Simple::Val(a) } else { Node::Trunc { size, a }.into() }
}
