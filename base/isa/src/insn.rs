//! Meaning: an instruction as a typed value that cannot be an invalid one.

use crate::{
    AddrKind, AluOp, AtomicOp, Cond, Endian, InsnIdx, LoadKind, Movsx, OperandKind, PacketSize, Reg, RegSet,
    Size, SwapWidth, Width,
};

/// Is a second operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operand {
    /// A number, sign-extended to the operation's width.
    Imm(i32),
    /// A register.
    Reg(Reg),
}

impl Operand {
    /// Says which of the two it is.
    #[inline]
    pub const fn kind(self) -> OperandKind {
        match self {
            Operand::Imm(_) => OperandKind::Imm,
            Operand::Reg(_) => OperandKind::Reg,
        }
    }

    /// Returns the register, if it is one.
    #[inline]
    pub const fn reg(self) -> Option<Reg> {
        match self {
            Operand::Imm(_) => None,
            Operand::Reg(reg) => Some(reg),
        }
    }

    #[inline(always)]
    const fn regs(self) -> RegSet {
        match self {
            Operand::Imm(_) => RegSet::EMPTY,
            Operand::Reg(reg) => RegSet::of(reg),
        }
    }
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Operand {
        Operand::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Operand {
        Operand::Imm(imm)
    }
}

/// Is what a wide load refers to when it is no plain number; loading a program resolves it to an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Addr {
    /// A map by file descriptor.
    MapFd {
        /// Holds the descriptor.
        fd: i32,
    },
    /// A byte of a map's first value, the map by file descriptor.
    MapValueFd {
        /// Holds the descriptor.
        fd: i32,
        /// Counts bytes from the value's start.
        off: u32,
    },
    /// A variable of the platform.
    Variable {
        /// Holds the variable's id in the kernel's or a module's BTF.
        btf_id: u32,
        /// Holds the descriptor of the module's BTF object; zero means the kernel's own (`check_pseudo_btf_id` in
        /// `kernel/bpf/verifier.c`).
        btf_fd: i32,
    },
    /// An instruction of the same program, the start of a function.
    Code {
        /// Counts slots from the one after this instruction's first, as in a local call.
        off: i32,
    },
    /// A map by index into the load command's `fd_array`.
    MapIndex {
        /// Holds the index.
        index: u32,
    },
    /// A byte of a map's first value, the map by index.
    MapValueIndex {
        /// Holds the index.
        index: u32,
        /// Counts bytes from the value's start.
        off: u32,
    },
}

impl Addr {
    /// Says which kind it is.
    #[inline]
    pub const fn kind(self) -> AddrKind {
        match self {
            Addr::MapFd { .. } => AddrKind::MapFd,
            Addr::MapValueFd { .. } => AddrKind::MapValueFd,
            Addr::Variable { .. } => AddrKind::Variable,
            Addr::Code { .. } => AddrKind::Code,
            Addr::MapIndex { .. } => AddrKind::MapIndex,
            Addr::MapValueIndex { .. } => AddrKind::MapValueIndex,
        }
    }
}

/// Is one instruction's meaning.
///
/// Jump and call offsets stay relative, in slots from the next one, as they are stored;
/// [`jump_target`](Insn::jump_target) and [`call_target`](Insn::call_target) make them absolute.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Insn {
    /// `dst = dst op src`; for [`AluOp::Mov`] `dst = src`.
    Alu { width: Width, op: AluOp, dst: Reg, src: Operand },
    /// `dst = -dst`.
    Neg { width: Width, dst: Reg },
    /// `dst = sign-extended part of src`.
    Movsx { kind: Movsx, dst: Reg, src: Reg },
    /// `dst = swapped low bits of dst`.
    ByteSwap { op: Endian, width: SwapWidth, dst: Reg },
    /// `dst = src`, moved from one address space to another (Linux 6.9, arenas).
    AddrSpaceCast { dst: Reg, src: Reg, to: u16, from: u16 },
    /// `dst = value`; two slots.
    LoadImm64 { dst: Reg, value: u64 },
    /// `dst = address of something`; two slots.
    LoadAddr { dst: Reg, addr: Addr },
    /// `r0 = bytes of the packet at off`; ends the program if there are none.
    LoadAbs { size: PacketSize, off: i32 },
    /// `r0 = bytes of the packet at src + off`; ends the program if there are none.
    LoadInd { size: PacketSize, src: Reg, off: i32 },
    /// `dst = *(base + off)`.
    Load { kind: LoadKind, dst: Reg, base: Reg, off: i16 },
    /// `*(base + off) = src`.
    Store { size: Size, base: Reg, off: i16, src: Operand },
    /// Changes `*(base + off)` atomically.
    Atomic { width: Width, op: AtomicOp, base: Reg, off: i16, src: Reg },
    /// `dst = *(base + off)`, zero-extended, with acquire order (Linux 6.15).
    LoadAcquire { size: Size, dst: Reg, base: Reg, off: i16 },
    /// `*(base + off) = src` with release order (Linux 6.15).
    StoreRelease { size: Size, base: Reg, off: i16, src: Reg },
    /// Jumps by 16 bits.
    Goto { off: i16 },
    /// Jumps by 32 bits.
    Gotol { off: i32 },
    /// Jumps to the address in a register (Linux 6.19).
    Gotox { dst: Reg },
    /// Jumps if the comparison holds.
    Branch { width: Width, cond: Cond, dst: Reg, src: Operand, off: i16 },
    /// Jumps if the loop has run too long, else goes on (Linux 6.9).
    MayGoto { off: i16 },
    /// Calls a helper by its number.
    CallHelper { id: u32 },
    /// Calls a function of the same program.
    CallLocal { off: i32 },
    /// Calls a function of the platform by BTF id; `fd_index` picks the BTF, zero the kernel's own.
    CallKfunc { btf_id: u32, fd_index: i16 },
    /// Calls the helper or function whose number or address is in a register; not in Linux.
    CallReg { reg: Reg },
    /// Returns.
    Exit,
}

/// Says where control goes after an instruction, as far as the instruction alone tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flow {
    /// To the next instruction; calls come back, so they are this too.
    Next,
    /// To a relative place.
    Jump {
        /// Counts slots from the next one.
        off: i32,
    },
    /// To a relative place or the next instruction.
    Branch {
        /// Counts slots from the next one.
        off: i32,
    },
    /// To a place known at run time only.
    Indirect,
    /// Out of the function.
    Exit,
}

impl Insn {
    /// Counts the slots it takes: two for wide loads, one for all else.
    #[inline]
    pub const fn slots(self) -> u32 {
        match self {
            Insn::LoadImm64 { .. } | Insn::LoadAddr { .. } => 2,
            _ => 1,
        }
    }

    /// Says where control goes next.
    #[inline(always)]
    pub const fn flow(self) -> Flow {
        match self {
            Insn::Goto { off } => Flow::Jump { off: off as i32 },
            Insn::Gotol { off } => Flow::Jump { off },
            Insn::Branch { off, .. } | Insn::MayGoto { off } => Flow::Branch { off: off as i32 },
            Insn::Gotox { .. } => Flow::Indirect,
            Insn::Exit => Flow::Exit,
            _ => Flow::Next,
        }
    }

    /// Returns the slot it may jump to when it stands at `at`; nothing if it never jumps, or jumps to before the
    /// first slot.
    #[inline(always)]
    pub fn jump_target(self, at: InsnIdx) -> Option<InsnIdx> {
        match self.flow() {
            Flow::Jump { off } | Flow::Branch { off } => at.relative(off),
            Flow::Next | Flow::Indirect | Flow::Exit => None,
        }
    }

    /// Returns the offset to a function of the same program that it calls, or takes the address of.
    #[inline]
    pub const fn function_offset(self) -> Option<i32> {
        match self {
            Insn::CallLocal { off } | Insn::LoadAddr { addr: Addr::Code { off }, .. } => Some(off),
            _ => None,
        }
    }

    /// Returns the slot of the function that it calls, or takes the address of, when it stands at `at`.
    #[inline]
    pub fn call_target(self, at: InsnIdx) -> Option<InsnIdx> {
        self.function_offset().and_then(|off| at.relative(off))
    }

    /// Says whether it calls anything.
    #[inline]
    pub const fn is_call(self) -> bool {
        matches!(
            self,
            Insn::CallHelper { .. } | Insn::CallLocal { .. } | Insn::CallKfunc { .. } | Insn::CallReg { .. }
        )
    }

    /// Returns the registers it reads.
    ///
    /// A call counts as reading r1–r5, since only its prototype says which it needs; packet loads read r6, where the
    /// socket buffer is (`Documentation/bpf/classic_vs_extended.rst`); an exit reads r0.
    #[inline(always)]
    pub const fn reads(self) -> RegSet {
        match self {
            Insn::Alu { op: AluOp::Mov, src, .. } => src.regs(),
            Insn::Alu { dst, src, .. } | Insn::Branch { dst, src, .. } => src.regs().with(dst),
            Insn::Neg { dst, .. } | Insn::ByteSwap { dst, .. } | Insn::Gotox { dst } => RegSet::of(dst),
            Insn::Movsx { src, .. } | Insn::AddrSpaceCast { src, .. } => RegSet::of(src),
            Insn::LoadAbs { .. } => RegSet::of(Reg::R6),
            Insn::LoadInd { src, .. } => RegSet::of(Reg::R6).with(src),
            Insn::Load { base, .. } | Insn::LoadAcquire { base, .. } => RegSet::of(base),
            Insn::Store { base, src, .. } => src.regs().with(base),
            Insn::Atomic { op: AtomicOp::Cmpxchg, base, src, .. } => RegSet::of(base).with(src).with(Reg::R0),
            Insn::Atomic { base, src, .. } | Insn::StoreRelease { base, src, .. } => {
                RegSet::of(base).with(src)
            }
            Insn::CallHelper { .. } | Insn::CallLocal { .. } | Insn::CallKfunc { .. } => RegSet::ARGUMENTS,
            Insn::CallReg { reg } => RegSet::ARGUMENTS.with(reg),
            Insn::Exit => RegSet::of(Reg::R0),
            Insn::LoadImm64 { .. }
            | Insn::LoadAddr { .. }
            | Insn::Goto { .. }
            | Insn::Gotol { .. }
            | Insn::MayGoto { .. } => RegSet::EMPTY,
        }
    }

    /// Returns the registers whose value it changes; those that a call leaves undefined count.
    #[inline(always)]
    pub const fn writes(self) -> RegSet {
        match self {
            Insn::Alu { dst, .. }
            | Insn::Neg { dst, .. }
            | Insn::Movsx { dst, .. }
            | Insn::ByteSwap { dst, .. }
            | Insn::AddrSpaceCast { dst, .. }
            | Insn::LoadImm64 { dst, .. }
            | Insn::LoadAddr { dst, .. }
            | Insn::Load { dst, .. }
            | Insn::LoadAcquire { dst, .. } => RegSet::of(dst),
            // check_ld_abs in kernel/bpf/verifier.c: r1-r5 are scratched, r0 holds the result.
            Insn::LoadAbs { .. } | Insn::LoadInd { .. } => RegSet::CALLER_SAVED,
            Insn::Atomic { op: AtomicOp::Cmpxchg, .. } => RegSet::of(Reg::R0),
            Insn::Atomic { op, src, .. } if op.fetches() => RegSet::of(src),
            Insn::CallHelper { .. }
            | Insn::CallLocal { .. }
            | Insn::CallKfunc { .. }
            | Insn::CallReg { .. } => RegSet::CALLER_SAVED,
            Insn::Atomic { .. }
            | Insn::Store { .. }
            | Insn::StoreRelease { .. }
            | Insn::Goto { .. }
            | Insn::Gotol { .. }
            | Insn::Gotox { .. }
            | Insn::Branch { .. }
            | Insn::MayGoto { .. }
            | Insn::Exit => RegSet::EMPTY,
        }
    }
}
