//! Instructions as Linux's log shows them (`print_bpf_insn` in `kernel/bpf/disasm.c`).
//!
//! It is not the dialect of `skep_isa::text`, which a compiler reads: comparisons are with hexadecimal numbers here, and offsets stand beside
//! their sign. What a wide load refers to is shown as 0, as to those who may not know addresses.

use crate::subject::Subject;
use core::fmt;
use skep_abi::FuncId;
use skep_btf::TypeId;
use skep_isa::{Insn, InsnIdx, RawInsn};

/// An instruction of a program, with its opcode before it.
pub(crate) struct Shown<'s> {
    pub(crate) subject: &'s Subject<'s>,
    pub(crate) at: InsnIdx,
    pub(crate) insn: Option<Insn>,
}

/// By the upper four bits of the opcode; empty where there is no such operation.
const ALU: [&str; 16] =
    ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "", "%=", "^=", "=", "s>>=", "", "", ""];
const JUMPS: [&str; 16] =
    ["", "==", ">", ">=", "&", "!=", "s>", "s>=", "", "", "<", "<=", "s<", "s<=", "", ""];
/// By the size bits of the opcode.
const UNSIGNED: [&str; 4] = ["u32", "u16", "u8", "u64"];
const SIGNED: [&str; 4] = ["s32", "s16", "s8", "s64"];
/// `BPF_FETCH`.
const FETCH: i32 = 1;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.subject.slots.get(self.at.index()..).unwrap_or_default();
        let Some(&slot) = rest.first() else { return Ok(()) };
        write!(f, "({:02x}) ", slot.code)?;
        match slot.code & 7 {
            0 => load_wide(f, slot, rest.get(1).map_or(0, |next| next.imm)),
            1 => {
                let sizes = if slot.code & 0xe0 == 0x80 { SIGNED } else { UNSIGNED };
                let size = by_size(&sizes, slot);
                write!(f, "r{} = *({size} *)(r{} {:+})", slot.dst(), slot.src(), slot.off)
            }
            2 => {
                write!(f, "*({} *)(r{} {:+}) = {}", by_size(&UNSIGNED, slot), slot.dst(), slot.off, slot.imm)
            }
            3 => store(f, slot),
            4 | 7 => alu(f, slot),
            _ => self.jump(f, slot),
        }
    }
}

fn by_size(sizes: &[&'static str; 4], slot: RawInsn) -> &'static str {
    sizes[usize::from(slot.code >> 3 & 3)]
}

fn by_operation(all: &[&'static str; 16], slot: RawInsn) -> &'static str {
    all[usize::from(slot.code >> 4)]
}

fn load_wide(f: &mut fmt::Formatter<'_>, slot: RawInsn, upper: i32) -> fmt::Result {
    /// `BPF_PSEUDO_FUNC`: a distance, not an address.
    const FUNCTION: u8 = 4;
    match slot.code & 0xe0 {
        0x20 => write!(f, "r0 = *({} *)skb[{}]", by_size(&UNSIGNED, slot), slot.imm),
        0x40 => write!(f, "r0 = *({} *)skb[r{} + {}]", by_size(&UNSIGNED, slot), slot.src(), slot.imm),
        _ => {
            let number = u64::from(upper as u32) << 32 | u64::from(slot.imm as u32);
            let shown = if matches!(slot.src(), 0 | FUNCTION) { number } else { 0 };
            write!(f, "r{} = {shown:#x}", slot.dst())
        }
    }
}

fn store(f: &mut fmt::Formatter<'_>, slot: RawInsn) -> fmt::Result {
    let (size, dst, src, off) = (by_size(&UNSIGNED, slot), slot.dst(), slot.src(), slot.off);
    if slot.code & 0xe0 != 0xc0 {
        return write!(f, "*({size} *)(r{dst} {off:+}) = r{src}");
    }
    let wide = if slot.code & 0x18 == 0x18 { "64" } else { "" };
    let operation = slot.imm & !FETCH;
    let name = match operation {
        0x00 => "add",
        0x40 => "or",
        0x50 => "and",
        0xa0 => "xor",
        _ => "",
    };
    match slot.imm {
        0xe1 => write!(f, "r{src} = atomic{wide}_xchg(({size} *)(r{dst} {off:+}), r{src})"),
        0xf1 => write!(f, "r0 = atomic{wide}_cmpxchg(({size} *)(r{dst} {off:+}), r0, r{src})"),
        0x100 => write!(f, "r{dst} = load_acquire(({size} *)(r{src} {off:+}))"),
        0x110 => write!(f, "store_release(({size} *)(r{dst} {off:+}), r{src})"),
        imm if imm & FETCH != 0 => {
            write!(f, "r{src} = atomic{wide}_fetch_{name}(({size} *)(r{dst} {off:+}), r{src})")
        }
        imm => {
            let sign = ALU.get(imm as usize >> 4).copied().unwrap_or_default();
            write!(f, "lock *({size} *)(r{dst} {off:+}) {sign} r{src}")
        }
    }
}

fn alu(f: &mut fmt::Formatter<'_>, slot: RawInsn) -> fmt::Result {
    let (dst, src) = (slot.dst(), slot.src());
    let is_half = slot.code & 7 == 4;
    let letter = if is_half { 'w' } else { 'r' };
    let is_register = slot.code & 8 != 0;
    match slot.code & 0xf0 {
        0xd0 => {
            let order = match (is_half, is_register) {
                (false, _) => "bswap",
                (true, true) => "be",
                (true, false) => "le",
            };
            write!(f, "r{dst} = {order}{} r{dst}", slot.imm)
        }
        0x80 => write!(f, "{letter}{dst} = -{letter}{dst}"),
        0xb0 if is_register && !is_half && slot.off == 1 => {
            let (to, from) = (slot.imm as u32 >> 16, slot.imm as u32 & 0xffff);
            write!(f, "r{dst} = addr_space_cast(r{src}, {to}, {from})")
        }
        operation => {
            let is_division = matches!(operation, 0x30 | 0x90);
            let sign = if is_division && slot.off == 1 { "s" } else { "" };
            let name = by_operation(&ALU, slot);
            let extended = match slot.off {
                8 if operation == 0xb0 => "(s8)",
                16 if operation == 0xb0 => "(s16)",
                32 if operation == 0xb0 => "(s32)",
                _ => "",
            };
            match is_register {
                true => write!(f, "{letter}{dst} {sign}{name} {extended}{letter}{src}"),
                false => write!(f, "{letter}{dst} {sign}{name} {}", slot.imm),
            }
        }
    }
}

impl Shown<'_> {
    fn jump(&self, f: &mut fmt::Formatter<'_>, slot: RawInsn) -> fmt::Result {
        let (dst, src, off, imm) = (slot.dst(), slot.src(), slot.off, slot.imm);
        let is_half = slot.code & 7 == 6;
        let letter = if is_half { 'w' } else { 'r' };
        match slot.code & 0xf0 {
            0x00 if is_half => write!(f, "gotol pc{imm:+}"),
            0x00 => write!(f, "goto pc{off:+}"),
            0x80 => self.call(f, slot),
            0x90 => f.write_str("exit"),
            0xe0 => write!(f, "may_goto pc{off:+}"),
            _ => {
                let sign = by_operation(&JUMPS, slot);
                match slot.code & 8 {
                    0 => write!(f, "if {letter}{dst} {sign} {imm:#x} goto pc{off:+}"),
                    _ => write!(f, "if {letter}{dst} {sign} {letter}{src} goto pc{off:+}"),
                }
            }
        }
    }

    fn call(&self, f: &mut fmt::Formatter<'_>, slot: RawInsn) -> fmt::Result {
        match self.insn {
            Some(Insn::CallLocal { off }) => write!(f, "call pc{off:+}"),
            Some(Insn::CallKfunc { btf_id, .. }) => {
                let types = self.subject.kernel;
                let name = types.and_then(|types| types.get(TypeId(btf_id))).map(|ty| ty.name());
                write!(f, "call {}#{btf_id}", name.unwrap_or("kernel-function"))
            }
            _ => match self.subject.platform.helper(FuncId(slot.imm as u32)) {
                Ok(helper) => write!(f, "call bpf_{}#{}", helper.name, slot.imm),
                Err(_) => write!(f, "call unknown#{}", slot.imm),
            },
        }
    }
}
