//! What most walks over a program need of most of its instructions, known when it is decoded.
//!
//! It says nothing that [`Insn`](crate::Insn) does not say: it is there so that who looks at each instruction need not find out
//! again which one it is, which the processor can only guess.

use crate::table::Op;
use crate::{AluOp, OperandKind, Reg, RegSet, Width};

/// Is what an instruction does with registers, and of which kind it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Holds what [`Insn::reads`](crate::Insn::reads) returns.
    pub reads: RegSet,
    /// Holds what [`Insn::writes`](crate::Insn::writes) returns.
    pub writes: RegSet,
    /// Says of which kind it is.
    pub kind: Kind,
}

impl Facts {
    /// Holds where the second half of a wide instruction is.
    pub(crate) const HALF: Facts = Facts { reads: RegSet::EMPTY, writes: RegSet::EMPTY, kind: Kind::Half };
}

/// Sorts instructions by what walks do with them. Those from [`Atomic`](Kind::Atomic) on are rare, or control goes
/// elsewhere; all before it only compute, load or store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The second half of a wide instruction.
    Half,
    /// A computation with numbers, or with one register.
    Alu,
    /// A computation with two registers.
    AluReg,
    /// A sum or difference of 64 bits with a number.
    Sum,
    /// A sum or difference of 64 bits of two registers.
    SumReg,
    /// A shift by a register.
    ShiftReg,
    /// A division by a number, or its remainder.
    Divide,
    /// A division by a register, or its remainder.
    DivideReg,
    /// A wide load of a number or an address that is no function's.
    Wide,
    /// A load.
    Load,
    /// A store.
    Store,
    /// An atomic access.
    Atomic,
    /// A load or a store with an order.
    Ordered,
    /// A way on that is not the next instruction: a jump, a branch, an exit.
    Jump,
    /// A call, or the address of a function.
    Call,
    /// Anything else.
    Other,
}

impl Kind {
    /// Counts the kinds.
    pub const COUNT: usize = Kind::Other as usize + 1;

    /// Says whether an instruction only computes, loads or stores.
    #[inline(always)]
    pub const fn is_plain(self) -> bool {
        (self as u8) < Kind::Atomic as u8
    }

    pub(crate) const fn of(op: Op) -> Kind {
        match op {
            Op::Alu(_, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, OperandKind::Imm) => Kind::Divide,
            Op::Alu(_, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, OperandKind::Reg) => {
                Kind::DivideReg
            }
            Op::Alu(_, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, OperandKind::Reg) => Kind::ShiftReg,
            Op::Alu(Width::W64, AluOp::Add | AluOp::Sub, OperandKind::Imm) => Kind::Sum,
            Op::Alu(Width::W64, AluOp::Add | AluOp::Sub, OperandKind::Reg) => Kind::SumReg,
            Op::Alu(.., OperandKind::Reg) => Kind::AluReg,
            Op::Alu(.., OperandKind::Imm) | Op::Neg(_) | Op::Movsx(_) | Op::ByteSwap(..) => Kind::Alu,
            Op::LoadAddr(crate::AddrKind::Code) => Kind::Call,
            Op::LoadImm64 | Op::LoadAddr(_) => Kind::Wide,
            Op::Load(_) => Kind::Load,
            Op::Store(..) => Kind::Store,
            Op::Atomic(..) => Kind::Atomic,
            Op::LoadAcquire(_) | Op::StoreRelease(_) => Kind::Ordered,
            Op::Goto | Op::Gotol | Op::Gotox | Op::Branch(..) | Op::MayGoto | Op::Exit => Kind::Jump,
            Op::CallHelper | Op::CallLocal | Op::CallKfunc | Op::CallReg => Kind::Call,
            Op::AddrSpaceCast | Op::LoadAbs(_) | Op::LoadInd(_) => Kind::Other,
        }
    }
}

/// Says which registers an operation names, whatever its fields hold: those that are always there, and whether the fields' are.
/// What is read is in the lower halves, what is written in the upper ones, so that both are found at once.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    always: u32,
    dst: u32,
    src: u32,
}

/// Is r0 in both halves.
const BOTH: u32 = 1 << 16 | 1;

impl Names {
    /// Stand in the fields while it is found out what an operation names, which names neither by itself.
    pub(crate) const DST: Reg = Reg::R8;
    pub(crate) const SRC: Reg = Reg::R9;

    /// Finds out from what is read and written where the fields hold [`DST`](Self::DST) and [`SRC`](Self::SRC).
    pub(crate) const fn from_probe(reads: RegSet, writes: RegSet) -> Names {
        let probes = RegSet::of(Names::DST).with(Names::SRC);
        Names {
            always: Names::join(reads.without(probes).bits(), writes.without(probes).bits()),
            dst: Names::join(all_if(reads.contains(Names::DST)), all_if(writes.contains(Names::DST))),
            src: Names::join(all_if(reads.contains(Names::SRC)), all_if(writes.contains(Names::SRC))),
        }
    }

    const fn join(reads: u16, writes: u16) -> u32 {
        reads as u32 | (writes as u32) << 16
    }

    /// Returns what is read and what is written where the fields hold these.
    #[inline(always)]
    pub(crate) const fn with(self, dst: Reg, src: Reg) -> (RegSet, RegSet) {
        let named = self.always | self.dst & BOTH << dst.number() | self.src & BOTH << src.number();
        (RegSet::from_bits(named as u16), RegSet::from_bits((named >> 16) as u16))
    }
}

const fn all_if(is_named: bool) -> u16 {
    if is_named { u16::MAX } else { 0 }
}
