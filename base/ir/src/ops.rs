//! What engines run: a list of operations over registers and slots of the frame.

use crate::source::{Level, Region};
use alloc_crate::vec::Vec;
use core::fmt;
use core::ops::Range;
use skep_isa::{AluOp, AtomicOp, Cond, InsnIdx, LoadKind, Movsx, PacketSize, Size, SwapWidth, Width};

/// Names where a value is: the machine's registers first, then slots of eight bytes in the frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Loc(pub u16);

impl Loc {
    /// Names no place: the result is not wanted.
    pub const NONE: Loc = Loc(u16::MAX);
    /// Names a register that the engine keeps to itself, for moves in a circle.
    pub const SCRATCH: Loc = Loc(u16::MAX - 1);
    /// Bounds the places that a function may have.
    pub const LIMIT: u16 = u16::MAX - 2;
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Loc::NONE => f.write_str("_"),
            Loc::SCRATCH => f.write_str("scratch"),
            Loc(number) => write!(f, "${number}"),
        }
    }
}

/// Names an operation of a [`Code`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpIdx(pub u32);

/// Is an argument of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// What a place holds.
    Loc(Loc),
    /// A number.
    Number(u64),
}

/// Is a list of arguments in a [`Code`]'s pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Args {
    pub(crate) start: u32,
    pub(crate) len: u8,
}

/// Is one operation. Where it has two operands, they may be in the same place, and the result may be where either is, unless
/// the [`Machine`](crate::machine::Machine) has [two addresses](crate::machine::Machine::two_address).
///
/// All have their result in the same two bytes, behind one byte at most, so that it can be read before it is known which
/// operation it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Op {
    /// `dst = src`.
    Move { dst: Loc, src: Loc },
    /// `dst = value`.
    Const { dst: Loc, value: u64 },
    /// `dst = the address just above the function's stack`.
    FramePointer { dst: Loc },
    /// `dst = a op b`.
    Alu { op: AluOp, dst: Loc, a: Loc, b: Loc, width: Width },
    /// `dst = a op imm`, the number sign-extended.
    AluImm { op: AluOp, dst: Loc, a: Loc, width: Width, imm: i32 },
    /// `dst = -a`.
    Neg { width: Width, dst: Loc, a: Loc },
    /// `dst = sign-extended part of a`.
    Sext { kind: Movsx, dst: Loc, a: Loc },
    /// `dst = low bytes of a`.
    Trunc { size: Size, dst: Loc, a: Loc },
    /// `dst = swapped low bytes of a`.
    Swap { width: SwapWidth, dst: Loc, a: Loc },
    /// `dst = a rotated left`.
    Rotl { amount: u8, dst: Loc, a: Loc, width: Width },
    /// `dst = then` if the comparison holds, or else `other`.
    Select { cond: Cond, dst: Loc, a: Loc, b: Loc, then: Loc, other: Loc, width: Width },
    /// `dst = then` if the comparison with a number, sign-extended, holds, or else `other`.
    SelectImm { cond: Cond, dst: Loc, a: Loc, then: Loc, imm: i32, other: Loc, width: Width },
    /// `dst = 1` if the comparison holds, or else 0. Only for machines that [have it](crate::machine::Machine::sets).
    Set { cond: Cond, dst: Loc, a: Loc, b: Loc, width: Width },
    /// `dst = 1` if the comparison with a number, sign-extended, holds, or else 0. Likewise.
    SetImm { cond: Cond, dst: Loc, a: Loc, width: Width, imm: i32 },
    /// Ends the run unless `bytes` bytes at `base + off` may be accessed.
    Check { write: bool, base: Loc, bytes: u16, region: Region, off: i32 },
    /// `dst` counts the indices, from 0 on, at which so much may be accessed that it ends `end + (index << scale)` bytes behind
    /// `base`: nothing where `base` is outside the region. Only for machines with [rooms](crate::machine::Machine::rooms).
    Room { scale: u8, dst: Loc, base: Loc, region: Region, write: bool, end: u32 },
    /// Ends the run unless what `size` bytes at `base + off` need is in `room`, or they may be accessed nevertheless.
    CheckRoom { size: Size, base: Loc, room: Loc, region: Region, write: bool, off: i32 },
    /// Ends the run unless what is [measured](Measure) is below `room`, or what is at `base + (index << scale) + off` may be
    /// accessed nevertheless.
    CheckSum { what: What, base: Loc, index: Loc, room: Loc, region: Region, off: i32 },
    /// `dst = *(base + off)`.
    Load { kind: LoadKind, dst: Loc, base: Loc, off: i32 },
    /// `*(base + off) = src`.
    Store { size: Size, base: Loc, src: Loc, off: i32 },
    /// `*(base + off) = imm`, sign-extended.
    StoreImm { size: Size, base: Loc, off: i32, imm: i32 },
    /// `dst = *(base + (index << scale) + off)`.
    LoadSum { kind: LoadKind, dst: Loc, base: Loc, index: Loc, scale: u8, off: i32 },
    /// `*(base + (index << scale) + off) = src`.
    StoreSum { size: Size, base: Loc, index: Loc, src: Loc, off: i32, scale: u8 },
    /// `*(base + (index << scale) + off) = imm`, sign-extended.
    StoreImmSum { size: Size, base: Loc, index: Loc, scale: u8, off: i32, imm: i32 },
    /// Changes `*(base + off)` atomically; `dst` gets what was there, if wanted.
    Atomic { op: AtomicOp, dst: Loc, base: Loc, src: Loc, width: Width, off: i32 },
    /// Stores `src` if `*(base + off)` equals `expected`; `dst` gets what was there.
    Cmpxchg { width: Width, dst: Loc, base: Loc, expected: Loc, src: Loc, off: i32 },
    /// `dst = *(base + off)` with acquire order.
    LoadAcquire { size: Size, dst: Loc, base: Loc, off: i32 },
    /// `*(base + off) = src` with release order.
    StoreRelease { size: Size, base: Loc, src: Loc, off: i32 },
    /// `dst = helper(args)`.
    Helper { dst: Loc, id: u32, args: Args },
    /// `dst = function(args)`.
    Call { dst: Loc, function: u32, args: Args },
    /// `dst = what the first of args names (the rest of args)`: a function, by its [number](crate::handle), or a helper.
    CallReg { dst: Loc, args: Args },
    /// `dst = *(the packet of the first of args + the second)`, in network order; where there are no such bytes, the function
    /// returns zero.
    Packet { size: PacketSize, dst: Loc, args: Args },
    /// Ends the run unless this much fuel is left, and takes it.
    Charge { units: u32 },
    /// Goes on elsewhere.
    Jump { to: OpIdx },
    /// Goes on elsewhere if the comparison holds.
    Branch { cond: Cond, a: Loc, b: Loc, width: Width, to: OpIdx },
    /// Goes on elsewhere if the comparison with a number, sign-extended, holds.
    BranchImm { cond: Cond, a: Loc, width: Width, imm: i32, to: OpIdx },
    /// Leaves the function with a result.
    Return { src: Loc },
    /// Leaves the function with a number.
    ReturnNumber { value: u64 },
}

/// Says what a check of a sum compares with the room behind its base.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// The index: the room counts indices, for accesses that end where this one does.
    Index,
    /// The distance from the base, whose sum may wrap as the address does: the room counts the bytes at which as much may be
    /// accessed as here.
    Distance,
}

/// Says in one byte how an access at a sum goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct What(u8);

impl What {
    /// Packs how far the index is shifted left (0 to 3), how much is accessed, whether it is written, and what is compared.
    pub const fn new(scale: u8, size: Size, write: bool, measure: Measure) -> What {
        let size = (size.bytes().trailing_zeros() as u8) << 2;
        What(scale & 3 | size | (write as u8) << 4 | (measure as u8) << 5)
    }

    /// Says what is compared.
    pub const fn measure(self) -> Measure {
        if self.0 & 1 << 5 == 0 { Measure::Index } else { Measure::Distance }
    }

    /// Says how far the index is shifted left.
    pub const fn scale(self) -> u8 {
        self.0 & 3
    }

    /// Says how much is accessed.
    pub const fn size(self) -> Size {
        match self.0 >> 2 & 3 {
            0 => Size::B,
            1 => Size::H,
            2 => Size::W,
            _ => Size::Dw,
        }
    }

    /// Says whether it is written.
    pub const fn write(self) -> bool {
        self.0 & 1 << 4 != 0
    }
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.write() { "write" } else { "read" };
        write!(f, "{access} {:?} << {} by {:?}", self.size(), self.scale(), self.measure())
    }
}

/// Is one function's operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCode {
    /// Holds its operations; the first is where it is entered.
    pub ops: Range<u32>,
    /// Lists which of r1 to r5 it takes, as a set: bit 0 is r1. A call's arguments are those, in order.
    pub takes: u8,
    /// Says where what a caller has in r1 to r5 is put; [`Loc::NONE`] where the function has no use for it.
    pub params: [Loc; 5],
    /// Counts the places that it uses: registers of the machine and slots.
    pub locs: u16,
    /// Says whether it touches its stack in memory.
    pub uses_stack: bool,
}

/// Is a whole program, ready for an engine.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Holds the operations of all functions.
    pub ops: Vec<Op>,
    /// Holds, for each operation, the instruction it stems from.
    pub at: Vec<InsnIdx>,
    /// Holds the functions, numbered as in the program's structure.
    pub functions: Vec<FunctionCode>,
    /// Says whether functions may be called by their [number](crate::handle): through a register, or by a helper.
    pub by_number: bool,
    /// Names the functions that programs start with, where several are [joined](crate::join::join); empty where the first is
    /// the only one.
    pub entries: Vec<u32>,
    pub(crate) pool: Vec<Arg>,
    /// Says how much was done for the operations, and so is worth doing with them.
    pub level: Level,
}

impl FunctionCode {
    /// Yields where the arguments of a call are put, in the order in which the call lists them.
    pub fn taken(&self) -> impl Iterator<Item = Loc> + use<'_> {
        self.params.iter().enumerate().filter(|(reg, _)| self.takes >> reg & 1 != 0).map(|(_, place)| *place)
    }
}

impl Op {
    /// Returns where it writes its result, if it has one that is wanted.
    #[inline(always)]
    pub fn result(&self) -> Option<Loc> {
        let dst = match *self {
            Op::Move { dst, .. }
            | Op::Const { dst, .. }
            | Op::FramePointer { dst }
            | Op::Alu { dst, .. }
            | Op::AluImm { dst, .. }
            | Op::Neg { dst, .. }
            | Op::Sext { dst, .. }
            | Op::Trunc { dst, .. }
            | Op::Swap { dst, .. }
            | Op::Rotl { dst, .. }
            | Op::Select { dst, .. }
            | Op::SelectImm { dst, .. }
            | Op::Set { dst, .. }
            | Op::SetImm { dst, .. }
            | Op::Room { dst, .. }
            | Op::Load { dst, .. }
            | Op::LoadSum { dst, .. }
            | Op::Atomic { dst, .. }
            | Op::Cmpxchg { dst, .. }
            | Op::LoadAcquire { dst, .. }
            | Op::Helper { dst, .. }
            | Op::Call { dst, .. }
            | Op::CallReg { dst, .. }
            | Op::Packet { dst, .. } => dst,
            Op::Check { .. }
            | Op::CheckRoom { .. }
            | Op::CheckSum { .. }
            | Op::Store { .. }
            | Op::StoreImm { .. }
            | Op::StoreSum { .. }
            | Op::StoreImmSum { .. }
            | Op::StoreRelease { .. }
            | Op::Charge { .. }
            | Op::Jump { .. }
            | Op::Branch { .. }
            | Op::BranchImm { .. }
            | Op::Return { .. }
            | Op::ReturnNumber { .. } => return None,
        };
        (dst != Loc::NONE).then_some(dst)
    }

    /// Returns where it leads besides the next operation.
    pub fn target(&self) -> Option<OpIdx> {
        match *self {
            Op::Jump { to } | Op::Branch { to, .. } | Op::BranchImm { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Returns the first place that it names, if all it does is to compute, load or store: that of its result, if it has one.
    #[inline(always)]
    pub fn first_if_plain(&self) -> Option<Loc> {
        match *self {
            Op::Move { dst: first, .. }
            | Op::Const { dst: first, .. }
            | Op::Alu { dst: first, .. }
            | Op::AluImm { dst: first, .. }
            | Op::Neg { dst: first, .. }
            | Op::Sext { dst: first, .. }
            | Op::Trunc { dst: first, .. }
            | Op::Swap { dst: first, .. }
            | Op::Rotl { dst: first, .. }
            | Op::Select { dst: first, .. }
            | Op::SelectImm { dst: first, .. }
            | Op::Set { dst: first, .. }
            | Op::SetImm { dst: first, .. }
            | Op::Load { dst: first, .. }
            | Op::Store { base: first, .. }
            | Op::StoreImm { base: first, .. }
            | Op::LoadSum { dst: first, .. }
            | Op::StoreSum { base: first, .. }
            | Op::StoreImmSum { base: first, .. } => Some(first),
            _ => None,
        }
    }

    /// Says whether the next operation never follows.
    pub fn is_end(&self) -> bool {
        matches!(self, Op::Jump { .. } | Op::Return { .. } | Op::ReturnNumber { .. })
    }
}

impl Code {
    /// Returns a list of arguments.
    pub fn args(&self, args: Args) -> &[Arg] {
        &self.pool[args.start as usize..args.start as usize + usize::from(args.len)]
    }
}

impl Args {
    /// Counts the arguments.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Says whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, function) in self.functions.iter().enumerate() {
            writeln!(f, "function {number} takes {:?}", function.params)?;
            for index in function.ops.clone() {
                writeln!(f, "{index:5}: {:?}", self.ops[index as usize])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out() {
        for (scale, write) in (0..4).flat_map(|scale| [(scale, false), (scale, true)]) {
            for size in [Size::B, Size::H, Size::W, Size::Dw] {
                for measure in [Measure::Index, Measure::Distance] {
                    let what = What::new(scale, size, write, measure);
                    assert_eq!((what.scale(), what.size(), what.write()), (scale, size, write));
                    assert_eq!(what.measure(), measure);
                }
            }
        }
    }

    #[test]
    fn operations_are_small() {
        assert!(size_of::<Op>() <= 16, "{}", size_of::<Op>());
    }
}
