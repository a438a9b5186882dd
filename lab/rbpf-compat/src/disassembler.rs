//! Bytes to text, as rbpf writes it: `add64 r1, 0x5`.

use crate::ebpf::{self, Insn};
use std::fmt::LowerHex;

/// Is an instruction in words; both halves of a wide one are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HLInsn {
    /// Is the opcode.
    pub opc: u8,
    /// Is the mnemonic.
    pub name: String,
    /// Is the whole text.
    pub desc: String,
    /// Is the destination register.
    pub dst: u8,
    /// Is the source register.
    pub src: u8,
    /// Is the offset.
    pub off: i16,
    /// Is the immediate, of 64 bits in a wide instruction.
    pub imm: i64,
}

/// Mnemonics of arithmetic and of jumps, by the upper four bits of the opcode.
const ALU: [&str; 13] =
    ["add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor", "mov", "arsh"];
const JUMPS: [&str; 14] =
    ["ja", "jeq", "jgt", "jge", "jset", "jne", "jsgt", "jsge", "", "", "jlt", "jle", "jslt", "jsle"];

fn signed(number: impl Into<i64>) -> String {
    let number = number.into();
    let sign = if number < 0 { '-' } else { '+' };
    format!("{sign}{:#x}", number.unsigned_abs())
}

fn size(opc: u8) -> &'static str {
    match opc & 0x18 {
        ebpf::BPF_W => "w",
        ebpf::BPF_H => "h",
        ebpf::BPF_B => "b",
        _ => "dw",
    }
}

/// Gives the mnemonic and the text of one that is not wide.
fn describe(insn: &Insn) -> Option<(String, String)> {
    let Insn { opc, dst, src, off, imm } = *insn;
    let operand = if opc & ebpf::BPF_X == 0 { format!("{imm:#x}") } else { format!("r{src}") };
    let size = size(opc);
    let op = usize::from(opc >> 4);
    let (name, rest) = match (opc & ebpf::BPF_CLS_MASK, opc & 0xe0) {
        (ebpf::BPF_LD, ebpf::BPF_ABS) => (format!("ldabs{size}"), format!("{imm:#x}")),
        (ebpf::BPF_LD, ebpf::BPF_IND) => (format!("ldind{size}"), format!("r{src}, {imm:#x}")),
        (ebpf::BPF_LDX, ebpf::BPF_MEM) => (format!("ldx{size}"), format!("r{dst}, [r{src}{}]", signed(off))),
        (ebpf::BPF_ST, ebpf::BPF_MEM) => (format!("st{size}"), format!("[r{dst}{}], {imm:#x}", signed(off))),
        (ebpf::BPF_STX, ebpf::BPF_MEM) => (format!("stx{size}"), format!("[r{dst}{}], r{src}", signed(off))),
        (ebpf::BPF_STX, ebpf::BPF_XADD) => {
            (format!("stxxadd{size}"), format!("[r{dst}{}], r{src}", signed(off)))
        }
        (ebpf::BPF_ALU, _) if opc & 0xf0 == ebpf::BPF_END => {
            let name = if opc == ebpf::LE { "le" } else { "be" };
            return Some((name.to_owned(), format!("{name}{imm} r{dst}")));
        }
        (ebpf::BPF_ALU | ebpf::BPF_ALU64, _) => {
            let bits = if opc & ebpf::BPF_CLS_MASK == ebpf::BPF_ALU { "32" } else { "64" };
            let rest =
                if opc & 0xf0 == ebpf::BPF_NEG { format!("r{dst}") } else { format!("r{dst}, {operand}") };
            (format!("{}{bits}", ALU.get(op)?), rest)
        }
        _ => match opc {
            ebpf::JA => ("ja".to_owned(), signed(off)),
            ebpf::EXIT => ("exit".to_owned(), String::new()),
            ebpf::TAIL_CALL => ("tail_call".to_owned(), String::new()),
            ebpf::CALL if src == 0 => ("call".to_owned(), format!("{imm:#x}")),
            ebpf::CALL if src == 1 => ("callx".to_owned(), format!("{imm:#x}")),
            _ => {
                let bits = match opc & ebpf::BPF_CLS_MASK {
                    ebpf::BPF_JMP => "",
                    ebpf::BPF_JMP32 => "32",
                    _ => return None,
                };
                let name = JUMPS.get(op).filter(|name| !matches!(**name, "" | "ja"))?;
                (format!("{name}{bits}"), format!("r{dst}, {operand}, {}", signed(off)))
            }
        },
    };
    let desc = if rest.is_empty() { name.clone() } else { format!("{name} {rest}") };
    Some((name, desc))
}

/// Describes each instruction.
///
/// # Panics
///
/// If something is no instruction that rbpf knows.
pub fn to_insn_vec(prog: &[u8]) -> Vec<HLInsn> {
    let mut slots = ebpf::to_insn_vec(prog).into_iter().enumerate();
    let mut insns = Vec::new();
    while let Some((at, insn)) = slots.next() {
        let mut imm = i64::from(insn.imm);
        let (name, desc) = if insn.opc == ebpf::LD_DW_IMM {
            let high = slots.next().map_or(0, |(_, second)| second.imm);
            imm = (u64::from(insn.imm as u32) | u64::from(high as u32) << 32) as i64;
            ("lddw".to_owned(), format!("lddw r{}, {}", insn.dst, hex(imm)))
        } else {
            describe(&insn).unwrap_or_else(|| {
                panic!("[Disassembler] Error: unknown eBPF opcode {:#2x} (insn #{at})", insn.opc)
            })
        };
        let Insn { opc, dst, src, off, .. } = insn;
        insns.push(HLInsn { opc, name, desc, dst, src, off, imm });
    }
    insns
}

fn hex(number: impl LowerHex) -> String {
    format!("{number:#x}")
}

/// Prints each instruction.
///
/// # Panics
///
/// As [`to_insn_vec`].
pub fn disassemble(prog: &[u8]) {
    for insn in to_insn_vec(prog) {
        println!("{}", insn.desc);
    }
}
