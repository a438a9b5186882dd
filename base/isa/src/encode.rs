//! From meaning to slots.

use crate::table::{Next, Op};
use crate::{Addr, Insn, Operand, RawInsn, Reg};
use core::ops::Deref;

/// Holds the one or two slots of an instruction; it is a slice of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoded {
    slots: [RawInsn; 2],
    len: u8,
}

impl Encoded {
    /// Returns the first slot.
    #[inline]
    pub const fn first(&self) -> RawInsn {
        self.slots[0]
    }
}

impl Deref for Encoded {
    type Target = [RawInsn];

    #[inline]
    fn deref(&self) -> &[RawInsn] {
        &self.slots[..usize::from(self.len)]
    }
}

/// Collects the operands that an operation may have.
#[derive(Default)]
struct Operands {
    dst: u8,
    src: u8,
    off: i16,
    imm: i32,
    next_imm: i32,
}

impl Operands {
    fn dst(mut self, reg: Reg) -> Self {
        self.dst = reg.number();
        self
    }

    fn src(mut self, reg: Reg) -> Self {
        self.src = reg.number();
        self
    }

    fn operand(self, src: Operand) -> Self {
        match src {
            Operand::Imm(imm) => self.imm(imm),
            Operand::Reg(reg) => self.src(reg),
        }
    }

    fn off(mut self, off: i16) -> Self {
        self.off = off;
        self
    }

    fn imm(mut self, imm: i32) -> Self {
        self.imm = imm;
        self
    }

    fn next_imm(mut self, imm: i32) -> Self {
        self.next_imm = imm;
        self
    }
}

impl Insn {
    /// Returns the slots that store the instruction. Every `Insn` has an encoding, and [`decode`](crate::decode) gives
    /// the same `Insn` back.
    #[inline]
    pub fn encode(self) -> Encoded {
        let row = self.op().row();
        let operands = self.operands();
        let mut slot = row.base();
        slot.regs |= operands.dst | operands.src << 4;
        slot.off |= operands.off;
        slot.imm |= operands.imm;
        let second = RawInsn { imm: operands.next_imm, ..RawInsn::default() };
        Encoded { slots: [slot, second], len: if row.next == Next::None { 1 } else { 2 } }
    }

    /// Returns the operation without its operands: the key into the [table](crate::table).
    #[inline]
    pub const fn op(self) -> Op {
        match self {
            Insn::Alu { width, op, src, .. } => Op::Alu(width, op, src.kind()),
            Insn::Neg { width, .. } => Op::Neg(width),
            Insn::Movsx { kind, .. } => Op::Movsx(kind),
            Insn::ByteSwap { op, width, .. } => Op::ByteSwap(op, width),
            Insn::AddrSpaceCast { .. } => Op::AddrSpaceCast,
            Insn::LoadImm64 { .. } => Op::LoadImm64,
            Insn::LoadAddr { addr, .. } => Op::LoadAddr(addr.kind()),
            Insn::LoadAbs { size, .. } => Op::LoadAbs(size),
            Insn::LoadInd { size, .. } => Op::LoadInd(size),
            Insn::Load { kind, .. } => Op::Load(kind),
            Insn::Store { size, src, .. } => Op::Store(size, src.kind()),
            Insn::Atomic { width, op, .. } => Op::Atomic(width, op),
            Insn::LoadAcquire { size, .. } => Op::LoadAcquire(size),
            Insn::StoreRelease { size, .. } => Op::StoreRelease(size),
            Insn::Goto { .. } => Op::Goto,
            Insn::Gotol { .. } => Op::Gotol,
            Insn::Gotox { .. } => Op::Gotox,
            Insn::Branch { width, cond, src, .. } => Op::Branch(width, cond, src.kind()),
            Insn::MayGoto { .. } => Op::MayGoto,
            Insn::CallHelper { .. } => Op::CallHelper,
            Insn::CallLocal { .. } => Op::CallLocal,
            Insn::CallKfunc { .. } => Op::CallKfunc,
            Insn::CallReg { .. } => Op::CallReg,
            Insn::Exit => Op::Exit,
        }
    }

    fn operands(self) -> Operands {
        let none = Operands::default();
        match self {
            Insn::Alu { dst, src, .. } => none.dst(dst).operand(src),
            Insn::Neg { dst, .. } | Insn::ByteSwap { dst, .. } | Insn::Gotox { dst } => none.dst(dst),
            Insn::Movsx { dst, src, .. } => none.dst(dst).src(src),
            Insn::AddrSpaceCast { dst, src, to, from } => {
                none.dst(dst).src(src).imm((u32::from(to) << 16 | u32::from(from)) as i32)
            }
            Insn::LoadImm64 { dst, value } => {
                none.dst(dst).imm(value as u32 as i32).next_imm((value >> 32) as i32)
            }
            Insn::LoadAddr { dst, addr } => match addr {
                Addr::MapFd { fd } => none.dst(dst).imm(fd),
                Addr::MapValueFd { fd, off } => none.dst(dst).imm(fd).next_imm(off as i32),
                Addr::Variable { btf_id, btf_fd } => none.dst(dst).imm(btf_id as i32).next_imm(btf_fd),
                Addr::Code { off } => none.dst(dst).imm(off),
                Addr::MapIndex { index } => none.dst(dst).imm(index as i32),
                Addr::MapValueIndex { index, off } => none.dst(dst).imm(index as i32).next_imm(off as i32),
            },
            Insn::LoadAbs { off, .. } => none.imm(off),
            Insn::LoadInd { src, off, .. } => none.src(src).imm(off),
            Insn::Load { dst, base, off, .. } | Insn::LoadAcquire { dst, base, off, .. } => {
                none.dst(dst).src(base).off(off)
            }
            Insn::Store { base, off, src, .. } => none.dst(base).off(off).operand(src),
            Insn::Atomic { base, off, src, .. } | Insn::StoreRelease { base, off, src, .. } => {
                none.dst(base).off(off).src(src)
            }
            Insn::Goto { off } | Insn::MayGoto { off } => none.off(off),
            Insn::Gotol { off } | Insn::CallLocal { off } => none.imm(off),
            Insn::Branch { dst, src, off, .. } => none.dst(dst).operand(src).off(off),
            Insn::CallHelper { id } => none.imm(id as i32),
            Insn::CallKfunc { btf_id, fd_index } => none.imm(btf_id as i32).off(fd_index),
            Insn::CallReg { reg } => none.dst(reg),
            Insn::Exit => none,
        }
    }
}
