//! Opcodes and instructions, by rbpf's names.

use skep_isa::{ByteOrder, RawInsn};

/// Counts the instructions that a program may have.
pub const PROG_MAX_INSNS: usize = 1_000_000;
/// Counts the bytes of an instruction.
pub const INSN_SIZE: usize = 8;
/// Counts the bytes that a program may have.
pub const PROG_MAX_SIZE: usize = PROG_MAX_INSNS * INSN_SIZE;
/// Counts the bytes of the stack.
pub const STACK_SIZE: usize = 512;
/// Counts the bytes of a function's stack.
pub const LOCAL_FUNCTION_STACK_SIZE: u16 = 256;
/// Counts the functions that may be active.
pub const MAX_CALL_DEPTH: usize = 8;

/// Names opcodes, or their parts.
macro_rules! codes {
    ($($name:ident = $value:expr),+ $(,)?) => {
        $(#[doc = concat!("Is `", stringify!($name), "`.")] pub const $name: u8 = $value;)+
    };
}

codes! {
    BPF_LD = 0, BPF_LDX = 1, BPF_ST = 2, BPF_STX = 3, BPF_ALU = 4, BPF_JMP = 5, BPF_JMP32 = 6, BPF_ALU64 = 7,
    BPF_W = 0x00, BPF_H = 0x08, BPF_B = 0x10, BPF_DW = 0x18,
    BPF_IMM = 0x00, BPF_ABS = 0x20, BPF_IND = 0x40, BPF_MEM = 0x60, BPF_XADD = 0xc0,
    BPF_K = 0x00, BPF_X = 0x08,
    BPF_ADD = 0x00, BPF_SUB = 0x10, BPF_MUL = 0x20, BPF_DIV = 0x30, BPF_OR = 0x40, BPF_AND = 0x50, BPF_LSH = 0x60,
    BPF_RSH = 0x70, BPF_NEG = 0x80, BPF_MOD = 0x90, BPF_XOR = 0xa0, BPF_MOV = 0xb0, BPF_ARSH = 0xc0, BPF_END = 0xd0,
    BPF_JA = 0x00, BPF_JEQ = 0x10, BPF_JGT = 0x20, BPF_JGE = 0x30, BPF_JSET = 0x40, BPF_JNE = 0x50, BPF_JSGT = 0x60,
    BPF_JSGE = 0x70, BPF_CALL = 0x80, BPF_EXIT = 0x90, BPF_JLT = 0xa0, BPF_JLE = 0xb0, BPF_JSLT = 0xc0, BPF_JSLE = 0xd0,
    BPF_CLS_MASK = 0x07, BPF_ALU_OP_MASK = 0xf0,
    LD_DW_IMM = 0x18, NEG32 = 0x84, NEG64 = 0x87, LE = 0xd4, BE = 0xdc,
    JA = 0x05, CALL = 0x85, TAIL_CALL = 0x8d, EXIT = 0x95,
    LD_ABS_B = 0x30, LD_ABS_H = 0x28, LD_ABS_W = 0x20, LD_ABS_DW = 0x38,
    LD_IND_B = 0x50, LD_IND_H = 0x48, LD_IND_W = 0x40, LD_IND_DW = 0x58,
    LD_B_REG = 0x71, LD_H_REG = 0x69, LD_W_REG = 0x61, LD_DW_REG = 0x79,
    ST_B_IMM = 0x72, ST_H_IMM = 0x6a, ST_W_IMM = 0x62, ST_DW_IMM = 0x7a,
    ST_B_REG = 0x73, ST_H_REG = 0x6b, ST_W_REG = 0x63, ST_DW_REG = 0x7b, ST_W_XADD = 0xc3, ST_DW_XADD = 0xdb,
}

/// Names the four forms of an arithmetic operation.
macro_rules! alu {
    ($($op:ident: $imm32:ident $reg32:ident $imm64:ident $reg64:ident),+ $(,)?) => {
        codes! {
            $($imm32 = BPF_ALU | $op, $reg32 = BPF_ALU | BPF_X | $op,
              $imm64 = BPF_ALU64 | $op, $reg64 = BPF_ALU64 | BPF_X | $op),+
        }
    };
}

alu! {
    BPF_ADD: ADD32_IMM ADD32_REG ADD64_IMM ADD64_REG, BPF_SUB: SUB32_IMM SUB32_REG SUB64_IMM SUB64_REG,
    BPF_MUL: MUL32_IMM MUL32_REG MUL64_IMM MUL64_REG, BPF_DIV: DIV32_IMM DIV32_REG DIV64_IMM DIV64_REG,
    BPF_OR: OR32_IMM OR32_REG OR64_IMM OR64_REG, BPF_AND: AND32_IMM AND32_REG AND64_IMM AND64_REG,
    BPF_LSH: LSH32_IMM LSH32_REG LSH64_IMM LSH64_REG, BPF_RSH: RSH32_IMM RSH32_REG RSH64_IMM RSH64_REG,
    BPF_MOD: MOD32_IMM MOD32_REG MOD64_IMM MOD64_REG, BPF_XOR: XOR32_IMM XOR32_REG XOR64_IMM XOR64_REG,
    BPF_MOV: MOV32_IMM MOV32_REG MOV64_IMM MOV64_REG, BPF_ARSH: ARSH32_IMM ARSH32_REG ARSH64_IMM ARSH64_REG,
}

/// Names the four forms of a jump.
macro_rules! jumps {
    ($($op:ident: $imm:ident $reg:ident $imm32:ident $reg32:ident),+ $(,)?) => {
        codes! {
            $($imm = BPF_JMP | $op, $reg = BPF_JMP | BPF_X | $op,
              $imm32 = BPF_JMP32 | $op, $reg32 = BPF_JMP32 | BPF_X | $op),+
        }
    };
}

jumps! {
    BPF_JEQ: JEQ_IMM JEQ_REG JEQ_IMM32 JEQ_REG32, BPF_JGT: JGT_IMM JGT_REG JGT_IMM32 JGT_REG32,
    BPF_JGE: JGE_IMM JGE_REG JGE_IMM32 JGE_REG32, BPF_JLT: JLT_IMM JLT_REG JLT_IMM32 JLT_REG32,
    BPF_JLE: JLE_IMM JLE_REG JLE_IMM32 JLE_REG32, BPF_JSET: JSET_IMM JSET_REG JSET_IMM32 JSET_REG32,
    BPF_JNE: JNE_IMM JNE_REG JNE_IMM32 JNE_REG32, BPF_JSGT: JSGT_IMM JSGT_REG JSGT_IMM32 JSGT_REG32,
    BPF_JSGE: JSGE_IMM JSGE_REG JSGE_IMM32 JSGE_REG32, BPF_JSLT: JSLT_IMM JSLT_REG JSLT_IMM32 JSLT_REG32,
    BPF_JSLE: JSLE_IMM JSLE_REG JSLE_IMM32 JSLE_REG32,
}

/// Is one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insn {
    /// Is the opcode.
    pub opc: u8,
    /// Is the destination register.
    pub dst: u8,
    /// Is the source register.
    pub src: u8,
    /// Is the offset.
    pub off: i16,
    /// Is the immediate.
    pub imm: i32,
}

impl Insn {
    /// Returns the bytes.
    pub fn to_array(&self) -> [u8; INSN_SIZE] {
        RawInsn::new(self.opc, self.dst, self.src, self.off, self.imm).to_bytes(ByteOrder::Little)
    }

    /// Returns the bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.to_array().to_vec()
    }
}

/// Returns an instruction by its number.
///
/// # Panics
///
/// If there is none.
pub fn get_insn(prog: &[u8], idx: usize) -> Insn {
    let mut bytes = [0; INSN_SIZE];
    bytes.copy_from_slice(&prog[idx * INSN_SIZE..][..INSN_SIZE]);
    let raw = RawInsn::from_bytes(bytes, ByteOrder::Little);
    Insn { opc: raw.code, dst: raw.dst(), src: raw.src(), off: raw.off, imm: raw.imm }
}

/// Returns all slots.
///
/// # Panics
///
/// If the last is not whole.
pub fn to_insn_vec(prog: &[u8]) -> Vec<Insn> {
    assert!(
        prog.len() % INSN_SIZE == 0,
        "Error: eBPF program length must be a multiple of {INSN_SIZE} octets"
    );
    (0..prog.len() / INSN_SIZE).map(|idx| get_insn(prog, idx)).collect()
}
