//! What a value is, or what is done at a place.

use super::{List, Rhs, Val};
use crate::ops::What;
use crate::source::Region;
use skep_isa::{AluOp, AtomicOp, Cond, LoadKind, Movsx, PacketSize, Size, SwapWidth, Width};

/// Is an address: a value and an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemAddr {
    /// Holds the value.
    pub base: Val,
    /// Is added to it.
    pub off: i32,
}

/// Is an address that is a sum: `base + (index << scale) + off`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    /// Holds the first value.
    pub base: Val,
    /// Holds the second.
    pub index: Val,
    /// Is added to them.
    pub off: i32,
    /// Says how far the second is shifted left, 0 to 3.
    pub scale: u8,
}

/// Is what one place in the program computes or does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// Nothing; a pass has removed what was here.
    Nop,
    /// Is a parameter of its block.
    Param,
    /// Is a number.
    Const(u64),
    /// Is the address just above the function's stack, r10.
    FramePointer,
    /// Computes `a op b`; never [`AluOp::Mov`].
    #[allow(missing_docs)]
    Alu { op: AluOp, width: Width, a: Val, b: Val },
    /// Computes `a op imm`, the number sign-extended; never [`AluOp::Mov`].
    #[allow(missing_docs)]
    AluImm { op: AluOp, width: Width, a: Val, imm: i32 },
    /// Computes `-a`.
    #[allow(missing_docs)]
    Neg { width: Width, a: Val },
    /// Sign-extends a part of `a`.
    #[allow(missing_docs)]
    Sext { kind: Movsx, a: Val },
    /// Keeps the low bytes of `a`, the rest becomes zero.
    #[allow(missing_docs)]
    Trunc { size: Size, a: Val },
    /// Swaps the low bytes of `a`, the rest becomes zero.
    #[allow(missing_docs)]
    Swap { width: SwapWidth, a: Val },
    /// Rotates `a` left.
    #[allow(missing_docs)]
    Rotl { width: Width, a: Val, amount: u8 },
    /// Is `then` if the comparison holds, and `other` if not.
    #[allow(missing_docs)]
    Select { cond: Cond, width: Width, a: Val, b: Rhs, then: Val, other: Val },
    /// Is one if the comparison holds, and zero if not.
    #[allow(missing_docs)]
    Set { cond: Cond, width: Width, a: Val, b: Rhs },
    /// Checks that an access may happen, and ends the run if not.
    Check {
        /// Says where.
        addr: MemAddr,
        /// Counts the bytes.
        bytes: u32,
        /// Says whether it writes.
        write: bool,
        /// Says against what.
        region: Region,
    },
    /// Counts the indices, from 0 on, at which so much may be accessed that it ends `end + (index << scale)` bytes behind
    /// `base`; or fewer, for checks look again where there is not enough.
    Room {
        /// Holds the address.
        base: Val,
        /// Counts the bytes to the end of what is accessed at index 0; not zero.
        end: u32,
        /// Says how far the index is shifted left.
        scale: u8,
        /// Says whether it is written.
        write: bool,
        /// Says what memory is meant.
        region: Region,
    },
    /// Is a [`Check`](Node::Check) that is done where the [`Room`](Node::Room) of its base suffices.
    #[allow(missing_docs)]
    CheckRoom { addr: MemAddr, size: Size, write: bool, region: Region, room: Val },
    /// Is a check of an access at a sum that is done where the [`Room`](Node::Room) of its base suffices; see
    /// [`Op::CheckSum`](crate::ops::Op::CheckSum).
    #[allow(missing_docs)]
    CheckSum { base: Val, index: Val, off: i32, what: What, region: Region, room: Val },
    /// Loads and extends.
    #[allow(missing_docs)]
    Load { kind: LoadKind, addr: MemAddr },
    /// Stores the low bytes of a value.
    #[allow(missing_docs)]
    Store { size: Size, addr: MemAddr, value: Val },
    /// Stores the low bytes of a number.
    #[allow(missing_docs)]
    StoreImm { size: Size, addr: MemAddr, imm: i32 },
    /// Loads from a sum and extends.
    #[allow(missing_docs)]
    LoadSum { kind: LoadKind, sum: Sum },
    /// Stores the low bytes of a value at a sum.
    #[allow(missing_docs)]
    StoreSum { size: Size, sum: Sum, value: Val },
    /// Stores the low bytes of a number at a sum.
    #[allow(missing_docs)]
    StoreImmSum { size: Size, sum: Sum, imm: i32 },
    /// Changes memory atomically; the value is what was there before, zero-extended.
    #[allow(missing_docs)]
    Atomic { op: AtomicOp, width: Width, addr: MemAddr, src: Val },
    /// Stores `src` if memory equals `expected`; the value is what was there before, zero-extended.
    #[allow(missing_docs)]
    Cmpxchg { width: Width, addr: MemAddr, expected: Val, src: Val },
    /// Loads with acquire order, zero-extended.
    #[allow(missing_docs)]
    LoadAcquire { size: Size, addr: MemAddr },
    /// Stores with release order.
    #[allow(missing_docs)]
    StoreRelease { size: Size, addr: MemAddr, value: Val },
    /// Calls a helper; the value is r0.
    #[allow(missing_docs)]
    Helper { id: u32, args: List },
    /// Calls a function of the program; the value is r0.
    #[allow(missing_docs)]
    Call { function: u32, args: List },
    /// Calls what a value names, a function by its [number](crate::handle) or a helper: the first of the list; the others are
    /// r1–r5. The value is r0.
    #[allow(missing_docs)]
    CallReg { args: List },
    /// Loads from the packet of a context, the first of the list, at an offset, the second, in network order; the value is r0.
    /// Where there are no such bytes, the function returns zero.
    #[allow(missing_docs)]
    Packet { size: PacketSize, args: List },
    /// Takes fuel, and ends the run if there is not enough.
    Charge(u32),
}

/// Holds the values that a node reads, without those of its list.
#[derive(Clone, Copy, Debug)]
pub struct Operands([Option<Val>; 4]);

impl IntoIterator for Operands {
    type Item = Val;
    type IntoIter = core::iter::Flatten<core::array::IntoIter<Option<Val>, 4>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

impl Node {
    /// Returns the values that it reads, without those of its list.
    #[inline]
    pub fn operands(&self) -> Operands {
        let (mut list, mut count) = ([None; 4], 0);
        self.each_operand(|val| {
            list[count] = Some(val);
            count += 1;
        });
        Operands(list)
    }

    /// Shows `visit` each value that it reads, without those of its list.
    #[inline]
    pub fn each_operand(&self, mut visit: impl FnMut(Val)) {
        let mut copy = *self;
        copy.map_operands(|val| {
            visit(val);
            val
        });
    }

    /// Lets `map` replace each value that it reads, without those of its list.
    #[inline]
    pub fn map_operands(&mut self, mut map: impl FnMut(Val) -> Val) {
        match self {
            Node::Nop | Node::Param | Node::Const(_) | Node::FramePointer | Node::Charge(_) => {}
            Node::Helper { .. } | Node::Call { .. } | Node::CallReg { .. } | Node::Packet { .. } => {}
            Node::Alu { a, b, .. } => {
                *a = map(*a);
                *b = map(*b);
            }
            Node::AluImm { a, .. }
            | Node::Neg { a, .. }
            | Node::Sext { a, .. }
            | Node::Trunc { a, .. }
            | Node::Swap { a, .. }
            | Node::Rotl { a, .. } => *a = map(*a),
            Node::Set { a, b, .. } => {
                *a = map(*a);
                if let Rhs::Val(b) = b {
                    *b = map(*b);
                }
            }
            Node::Select { a, b, then, other, .. } => {
                *a = map(*a);
                if let Rhs::Val(b) = b {
                    *b = map(*b);
                }
                *then = map(*then);
                *other = map(*other);
            }
            Node::Check { addr, .. }
            | Node::Load { addr, .. }
            | Node::LoadAcquire { addr, .. }
            | Node::StoreImm { addr, .. } => addr.base = map(addr.base),
            Node::Room { base, .. } => *base = map(*base),
            Node::CheckRoom { addr, room, .. } => {
                addr.base = map(addr.base);
                *room = map(*room);
            }
            Node::CheckSum { base, index, room, .. } => {
                *base = map(*base);
                *index = map(*index);
                *room = map(*room);
            }
            Node::LoadSum { sum, .. } | Node::StoreImmSum { sum, .. } => {
                sum.base = map(sum.base);
                sum.index = map(sum.index);
            }
            Node::StoreSum { sum, value, .. } => {
                sum.base = map(sum.base);
                sum.index = map(sum.index);
                *value = map(*value);
            }
            Node::Store { addr, value, .. } | Node::StoreRelease { addr, value, .. } => {
                addr.base = map(addr.base);
                *value = map(*value);
            }
            Node::Atomic { addr, src, .. } => {
                addr.base = map(addr.base);
                *src = map(*src);
            }
            Node::Cmpxchg { addr, expected, src, .. } => {
                addr.base = map(addr.base);
                *expected = map(*expected);
                *src = map(*src);
            }
        }
    }

    /// Says whether it is a parameter of its block.
    #[inline]
    pub const fn is_param(&self) -> bool {
        matches!(self, Node::Param)
    }

    /// Returns its list, if it has one.
    #[inline]
    pub fn args(&self) -> Option<List> {
        match *self {
            Node::Helper { args, .. }
            | Node::Call { args, .. }
            | Node::CallReg { args }
            | Node::Packet { args, .. } => Some(args),
            _ => None,
        }
    }

    /// Says whether it may be removed when nobody reads its value.
    #[inline]
    pub fn is_pure(&self) -> bool {
        matches!(
            self,
            Node::Nop
                | Node::Param
                | Node::Const(_)
                | Node::FramePointer
                | Node::Alu { .. }
                | Node::AluImm { .. }
                | Node::Neg { .. }
                | Node::Sext { .. }
                | Node::Trunc { .. }
                | Node::Swap { .. }
                | Node::Rotl { .. }
                | Node::Select { .. }
                | Node::Set { .. }
                | Node::Room { .. }
        )
    }

    /// Says whether it has a value.
    #[inline]
    pub fn has_value(&self) -> bool {
        !matches!(
            self,
            Node::Nop
                | Node::Check { .. }
                | Node::CheckRoom { .. }
                | Node::CheckSum { .. }
                | Node::Store { .. }
                | Node::StoreImm { .. }
                | Node::StoreSum { .. }
                | Node::StoreImmSum { .. }
                | Node::StoreRelease { .. }
                | Node::Charge(_)
        )
    }

    /// Says whether the upper half of its value is zero whatever its operands are.
    pub fn is_narrow(&self) -> bool {
        match *self {
            Node::Const(number) => number >> 32 == 0,
            Node::Set { .. } => true,
            Node::Alu { width, .. } | Node::AluImm { width, .. } | Node::Neg { width, .. } => {
                width == Width::W32
            }
            Node::Rotl { width, .. } | Node::Atomic { width, .. } | Node::Cmpxchg { width, .. } => {
                width == Width::W32
            }
            Node::Sext { kind, .. } => kind.width() == Width::W32,
            Node::Trunc { size, .. } => size != Size::Dw,
            Node::Swap { width, .. } => width != SwapWidth::W64,
            Node::Load { kind, .. } | Node::LoadSum { kind, .. } => {
                matches!(kind, LoadKind::U8 | LoadKind::U16 | LoadKind::U32)
            }
            Node::LoadAcquire { size, .. } => size != Size::Dw,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_small() {
        assert!(size_of::<Node>() <= 24, "{}", size_of::<Node>());
    }
}
