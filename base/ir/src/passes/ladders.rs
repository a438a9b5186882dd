//! Numbers that a program puts together from their bytes become one load.
//!
//! Compilers that must not assume alignment read a number byte by byte, shift each into its place and join them. Where the
//! bytes are adjacent, from one base, each used for nothing else, and nothing between the loads touches memory but the loads
//! of this base, one load does the same, with a swap where the bytes come in the other order.

use crate::error::BuildErrorKind;
use crate::ssa::{Function, Node, Renaming, Val, filled};
use alloc_crate::vec::Vec;
use skep_isa::{AluOp, LoadKind, SwapWidth, Width};

/// Is part of a number, read from memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    /// Names the value that the addresses are relative to.
    base: Val,
    /// Is the offset of the first byte.
    off: i32,
    /// Counts the bytes.
    bytes: u8,
    /// Counts the bits below the least significant of them.
    shift: u8,
    order: Order,
    /// Counts what has touched memory before.
    epoch: u32,
    /// Names the last load.
    last: Val,
}

/// Says which byte comes first in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// There is only one.
    Any,
    Little,
    Big,
}

/// Merges loads.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn merge(function: &mut Function) -> Result<(), BuildErrorKind> {
    let joins = |node: &Node| matches!(node, Node::Alu { op: AluOp::Or | AluOp::Xor | AluOp::Add, .. });
    let reads = |node: &Node| matches!(node, Node::Load { kind: LoadKind::U8, .. });
    if !function.nodes.iter().any(reads) || !function.nodes.iter().any(joins) {
        return Ok(());
    }
    let uses = super::uses(function)?;
    let mut pieces: Vec<Option<Piece>> = filled(None, function.nodes.len())?;
    let mut epoch = 0;
    // What is read from a base; another base's load is between.
    let mut base = None;
    for block in &function.blocks {
        epoch += 1;
        for val in block.nodes() {
            let node = function.nodes[val.index()];
            match node {
                Node::Load { addr, .. } if base != Some(addr.base) => {
                    base = Some(addr.base);
                    epoch += 1;
                }
                Node::Check { .. } | Node::Load { .. } => {}
                node if !node.is_pure() => epoch += 1,
                _ => {}
            }
            pieces[val.index()] = piece(&pieces, &uses, val, node, epoch);
        }
    }
    rewrite(function, &pieces)
}

/// Says what part of a number a value is.
fn piece(pieces: &[Option<Piece>], uses: &[u32], val: Val, node: Node, epoch: u32) -> Option<Piece> {
    // Of a piece of a larger one, only the larger one is read.
    let inner = |val: Val| pieces[val.index()].filter(|_| uses[val.index()] == 1);
    match node {
        // Only bytes: of wider ones each would have to be read at once.
        Node::Load { kind: LoadKind::U8, addr } => {
            let (base, off) = (addr.base, addr.off);
            Some(Piece { base, off, bytes: 1, shift: 0, order: Order::Any, epoch, last: val })
        }
        Node::AluImm { op: AluOp::Lsh, width, a, imm } => {
            let piece = inner(a)?;
            let shift = u32::from(piece.shift).checked_add(imm as u32)?;
            let fits = imm as u32 % 8 == 0 && shift + 8 * u32::from(piece.bytes) <= width.bits();
            fits.then_some(Piece { shift: shift as u8, ..piece })
        }
        Node::Alu { op: AluOp::Or | AluOp::Xor | AluOp::Add, width, a, b } => {
            let (a, b) = (inner(a)?, inner(b)?);
            let joined = join(a, b).or_else(|| join(b, a))?;
            let fits = u32::from(joined.shift) + 8 * u32::from(joined.bytes) <= width.bits();
            fits.then_some(joined)
        }
        _ => None,
    }
}

/// Puts two pieces together, the first of which has the lower bits.
fn join(low: Piece, high: Piece) -> Option<Piece> {
    let adjacent = low.base == high.base
        && low.epoch == high.epoch
        && low.shift + 8 * low.bytes == high.shift
        && low.bytes + high.bytes <= 8;
    if !adjacent {
        return None;
    }
    let last = low.last.max(high.last);
    let bytes = low.bytes + high.bytes;
    let is = |order: Order, piece: Piece| piece.order == order || piece.order == Order::Any;
    let order = |order| is(order, low) && is(order, high);
    if low.off.checked_add(i32::from(low.bytes)) == Some(high.off) && order(Order::Little) {
        Some(Piece { order: Order::Little, bytes, last, ..low })
    } else if high.off.checked_add(i32::from(high.bytes)) == Some(low.off) && order(Order::Big) {
        Some(Piece { order: Order::Big, bytes, last, off: high.off, ..low })
    } else {
        None
    }
}

/// Replaces the largest pieces.
fn rewrite(function: &mut Function, pieces: &[Option<Piece>]) -> Result<(), BuildErrorKind> {
    let mut becomes = Renaming::default();
    let mut changed = false;
    let mut pending = Vec::new();
    // From the end, so that whoever is part of a larger number is gone when its turn comes.
    for index in (0..function.nodes.len()).rev() {
        let (Some(piece), Node::Alu { a, b, .. }) = (pieces[index], function.nodes[index]) else { continue };
        let kind = match piece.bytes {
            2 => LoadKind::U16,
            4 => LoadKind::U32,
            8 => LoadKind::U64,
            _ => continue,
        };
        // The later operand comes behind all loads.
        let spare = a.max(b);
        if piece.shift != 0 && spare == piece.last {
            continue;
        }
        // Everything below goes; the last load stays and reads all of it.
        pending.clear();
        pending.extend([a, b]);
        while let Some(val) = pending.pop() {
            let node = core::mem::replace(&mut function.nodes[val.index()], Node::Nop);
            if let Node::Load { addr, .. } = node {
                if val == piece.last {
                    let addr = crate::ssa::MemAddr { off: piece.off, ..addr };
                    function.nodes[val.index()] = Node::Load { kind, addr };
                }
            } else {
                pending.try_reserve(2).map_err(|_| BuildErrorKind::OutOfMemory)?;
                pending.extend(node.operands());
            }
        }
        let native = if cfg!(target_endian = "little") { Order::Little } else { Order::Big };
        let swap = (piece.order != native).then_some(match kind {
            LoadKind::U16 => SwapWidth::W16,
            LoadKind::U32 => SwapWidth::W32,
            _ => SwapWidth::W64,
        });
        let whole = match swap {
            None => piece.last,
            Some(width) if piece.shift == 0 => {
                function.nodes[index] = Node::Swap { width, a: piece.last };
                Val(index as u32)
            }
            Some(width) => {
                function.nodes[spare.index()] = Node::Swap { width, a: piece.last };
                spare
            }
        };
        if piece.shift != 0 {
            let imm = i32::from(piece.shift);
            function.nodes[index] = Node::AluImm { op: AluOp::Lsh, width: Width::W64, a: whole, imm };
        } else if swap.is_none() {
            function.nodes[index] = Node::Nop;
            becomes.set(Val(index as u32), whole)?;
            changed = true;
        }
    }
    if changed {
        super::rename(function, &becomes);
    }
    Ok(())
}
