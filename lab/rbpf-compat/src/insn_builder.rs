//! rbpf's builder. [`skep_isa::Builder`] is the one to use: it has labels, and builds nothing invalid.

use crate::ebpf::{
    BE, BPF_ABS, BPF_ALU, BPF_ALU64, BPF_B, BPF_DW, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JEQ, BPF_JGE,
    BPF_JGT, BPF_JLE, BPF_JLT, BPF_JMP, BPF_JNE, BPF_JSET, BPF_JSGE, BPF_JSGT, BPF_JSLE, BPF_JSLT, BPF_LD,
    BPF_LDX, BPF_MEM, BPF_ST, BPF_STX, BPF_W, BPF_X, CALL, EXIT, Insn, LE,
};
use crate::ebpf::{
    BPF_ADD, BPF_AND, BPF_ARSH, BPF_DIV, BPF_LSH, BPF_MOD, BPF_MOV, BPF_MUL, BPF_NEG, BPF_OR, BPF_RSH,
    BPF_SUB, BPF_XOR,
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident { $($name:ident = $value:expr),+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $kind {
                $(#[doc = concat!("Is `", stringify!($value), "`.")] $name = $value as isize),+
            }
        )+
    };
}

kinds! {
    /// Is what the second operand is.
    Source { Imm = BPF_IMM, Reg = BPF_X }
    /// Is the width of arithmetic.
    Arch { X64 = BPF_ALU64, X32 = BPF_ALU }
    /// Is a byte order.
    Endian { Little = LE, Big = BE }
    /// Is the width of an access.
    MemSize { Byte = BPF_B, HalfWord = BPF_H, Word = BPF_W, DoubleWord = BPF_DW }
    /// Is a condition.
    Cond {
        Abs = BPF_JA, Equals = BPF_JEQ, Greater = BPF_JGT, GreaterEquals = BPF_JGE, Lower = BPF_JLT,
        LowerEquals = BPF_JLE, BitAnd = BPF_JSET, NotEquals = BPF_JNE, GreaterSigned = BPF_JSGT,
        GreaterEqualsSigned = BPF_JSGE, LowerSigned = BPF_JSLT, LowerEqualsSigned = BPF_JSLE
    }
}

/// Is an instruction whose fields can be set.
pub trait Instruction: Sized {
    /// Returns the instruction.
    fn get_insn(&self) -> &Insn;

    /// Returns the instruction, to be changed.
    fn get_insn_mut(&mut self) -> &mut Insn;

    /// Returns the opcode.
    fn opt_code_byte(&self) -> u8 {
        self.get_insn().opc
    }

    /// Sets the destination register.
    #[must_use]
    fn set_dst(mut self, dst: u8) -> Self {
        self.get_insn_mut().dst = dst;
        self
    }

    /// Sets the source register.
    #[must_use]
    fn set_src(mut self, src: u8) -> Self {
        self.get_insn_mut().src = src;
        self
    }

    /// Sets the offset.
    #[must_use]
    fn set_off(mut self, offset: i16) -> Self {
        self.get_insn_mut().off = offset;
        self
    }

    /// Sets the immediate.
    #[must_use]
    fn set_imm(mut self, imm: i32) -> Self {
        self.get_insn_mut().imm = imm;
        self
    }
}

/// Gives bytes.
pub trait IntoBytes {
    /// Is what the bytes are in.
    type Bytes;

    /// Returns the bytes.
    fn into_bytes(self) -> Self::Bytes;
}

impl<I: Instruction> IntoBytes for &I {
    type Bytes = Vec<u8>;

    fn into_bytes(self) -> Vec<u8> {
        self.get_insn().to_vec()
    }
}

impl<'a> IntoBytes for &'a BpfCode {
    type Bytes = &'a [u8];

    fn into_bytes(self) -> &'a [u8] {
        &self.bytes
    }
}

/// Is a program that grows.
#[derive(Clone, Debug, Default)]
pub struct BpfCode {
    bytes: Vec<u8>,
}

/// Is an instruction that is not yet part of its program.
#[derive(Debug)]
pub struct Pending<'i> {
    code: &'i mut BpfCode,
    insn: Insn,
}

impl<'i> Pending<'i> {
    /// Makes it part of the program.
    pub fn push(self) -> &'i mut BpfCode {
        self.code.bytes.extend_from_slice(&self.insn.to_array());
        self.code
    }
}

impl Instruction for Pending<'_> {
    fn get_insn(&self) -> &Insn {
        &self.insn
    }

    fn get_insn_mut(&mut self) -> &mut Insn {
        &mut self.insn
    }
}

/// Defines the methods for arithmetic.
macro_rules! arithmetic {
    ($($name:ident = $op:ident),+) => {
        $(
            #[doc = concat!("Starts `", stringify!($op), "`.")]
            pub fn $name(&mut self, source: Source, arch: Arch) -> Pending<'_> {
                self.start(arch as u8 | source as u8 | $op)
            }
        )+
    };
}

impl BpfCode {
    /// Starts without instructions.
    pub fn new() -> BpfCode {
        BpfCode::default()
    }

    fn start(&mut self, opc: u8) -> Pending<'_> {
        Pending { code: self, insn: Insn { opc, dst: 0, src: 0, off: 0, imm: 0 } }
    }

    arithmetic! {
        add = BPF_ADD, sub = BPF_SUB, mul = BPF_MUL, div = BPF_DIV, bit_or = BPF_OR, bit_and = BPF_AND,
        left_shift = BPF_LSH, right_shift = BPF_RSH, modulo = BPF_MOD, bit_xor = BPF_XOR, mov = BPF_MOV,
        signed_right_shift = BPF_ARSH
    }

    /// Starts a negation.
    pub fn negate(&mut self, arch: Arch) -> Pending<'_> {
        self.start(arch as u8 | BPF_NEG)
    }

    /// Starts a change of byte order.
    pub fn swap_bytes(&mut self, endian: Endian) -> Pending<'_> {
        self.start(endian as u8)
    }

    /// Starts a load of an immediate.
    pub fn load(&mut self, mem_size: MemSize) -> Pending<'_> {
        self.start(mem_size as u8 | BPF_IMM | BPF_LD)
    }

    /// Starts a packet load.
    pub fn load_abs(&mut self, mem_size: MemSize) -> Pending<'_> {
        self.start(mem_size as u8 | BPF_ABS | BPF_LD)
    }

    /// Starts a packet load through a register.
    pub fn load_ind(&mut self, mem_size: MemSize) -> Pending<'_> {
        self.start(mem_size as u8 | BPF_IND | BPF_LD)
    }

    /// Starts a load.
    pub fn load_x(&mut self, mem_size: MemSize) -> Pending<'_> {
        self.start(mem_size as u8 | BPF_MEM | BPF_LDX)
    }

    /// Starts a store of an immediate.
    pub fn store(&mut self, mem_size: MemSize) -> Pending<'_> {
        self.start(mem_size as u8 | BPF_MEM | BPF_ST)
    }

    /// Starts a store of a register.
    pub fn store_x(&mut self, mem_size: MemSize) -> Pending<'_> {
        self.start(mem_size as u8 | BPF_MEM | BPF_STX)
    }

    /// Starts a jump.
    pub fn jump_unconditional(&mut self) -> Pending<'_> {
        self.jump_conditional(Cond::Abs, Source::Imm)
    }

    /// Starts a jump on a condition.
    pub fn jump_conditional(&mut self, cond: Cond, src_bit: Source) -> Pending<'_> {
        self.start(cond as u8 | src_bit as u8 | BPF_JMP)
    }

    /// Starts a call.
    pub fn call(&mut self) -> Pending<'_> {
        self.start(CALL)
    }

    /// Starts a return.
    pub fn exit(&mut self) -> Pending<'_> {
        self.start(EXIT)
    }
}
