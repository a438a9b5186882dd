//! Comparing one instruction, and all operands of a kind.

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind, Register};
use skep_jit::x86_64::{Gpr, Index, Inst, Mem, Rm, Scale, Size, SizedImm, Width};
use std::sync::OnceLock;

pub(crate) use iced_x86::Mnemonic;

/// Both widths, as sizes too.
pub(crate) const WIDTHS: [(Width, Size); 2] = [(Width::W32, Size::B4), (Width::W64, Size::B8)];

/// Both sides of each border between classes of displacement.
const DISPLACEMENTS: [i32; 9] = [0, 1, -1, 127, -128, 128, -129, i32::MAX, i32::MIN];

/// Both sides of each border between classes of immediates.
pub(crate) const IMMEDIATES: [i32; 11] =
    [0, 1, -1, 127, -128, 128, -129, 255, 0x7fff_8000, i32::MAX, i32::MIN];

/// What an operand should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Reg(Register),
    /// The value, cut to as many bytes as the processor makes of it.
    Imm {
        value: u64,
        bytes: usize,
    },
    Mem {
        base: Register,
        index: Register,
        scale: u32,
        disp: i64,
        bytes: usize,
    },
}

/// A register of this size.
pub(crate) fn reg(size: Size, reg: Gpr) -> Op {
    const BYTES: [Register; 16] = [
        Register::AL,
        Register::CL,
        Register::DL,
        Register::BL,
        Register::SPL,
        Register::BPL,
        Register::SIL,
        Register::DIL,
        Register::R8L,
        Register::R9L,
        Register::R10L,
        Register::R11L,
        Register::R12L,
        Register::R13L,
        Register::R14L,
        Register::R15L,
    ];
    let number = u32::from(reg.number());
    Op::Reg(match size {
        Size::B1 => BYTES[reg.index()],
        Size::B2 => Register::AX + number,
        Size::B4 => Register::EAX + number,
        Size::B8 => Register::RAX + number,
    })
}

fn full(gpr: Gpr) -> Register {
    Register::RAX + u32::from(gpr.number())
}

/// Memory of this size.
pub(crate) fn mem(size: Size, mem: Mem) -> Op {
    mem_bytes(size.bytes(), mem)
}

/// Memory of so many bytes; `lea` has none.
pub(crate) fn mem_bytes(bytes: usize, mem: Mem) -> Op {
    let (base, index, scale, disp) = match mem {
        Mem::Base { base, disp } => (full(base), Register::None, 1, disp),
        Mem::Indexed { base, index, scale, disp } => (full(base), full(index.reg()), scale.factor(), disp),
        Mem::Scaled { index, scale, disp } => (Register::None, full(index.reg()), scale.factor(), disp),
        Mem::Label(_) => unreachable!("labels are the assembler's tests'"),
    };
    Op::Mem { base, index, scale, disp: i64::from(disp), bytes }
}

/// A register or memory of this size.
pub(crate) fn rm(size: Size, operand: Rm) -> Op {
    match operand {
        Rm::Reg(gpr) => reg(size, gpr),
        Rm::Mem(place) => mem(size, place),
    }
}

/// An immediate, sign-extended or cut to this size.
pub(crate) fn imm(size: Size, value: i64) -> Op {
    Op::Imm { value: cut(value as u64, size.bytes()), bytes: size.bytes() }
}

fn cut(value: u64, bytes: usize) -> u64 {
    value & (u64::MAX >> (64 - 8 * bytes))
}

/// Asserts that the instruction is this one, and that it is nothing more.
#[track_caller]
pub(crate) fn check(inst: Inst, mnemonic: Mnemonic, wanted: &[Op]) {
    compare(inst, mnemonic, wanted, Lock::Absent);
}

/// The same with a `lock` prefix.
#[track_caller]
pub(crate) fn check_locked(inst: Inst, mnemonic: Mnemonic, wanted: &[Op]) {
    compare(inst, mnemonic, wanted, Lock::Present);
}

#[derive(PartialEq, Eq, Debug)]
enum Lock {
    Absent,
    Present,
}

#[track_caller]
fn compare(inst: Inst, mnemonic: Mnemonic, wanted: &[Op], lock: Lock) {
    let bytes = inst.bytes();
    // The bytes behind the instruction are ones that would be taken for more of it.
    let mut padded = [0xff; 32];
    padded[..inst.len()].copy_from_slice(&bytes[..inst.len()]);
    let read = Decoder::with_ip(64, &padded, 0, DecoderOptions::NONE).decode();
    let same = !read.is_invalid()
        && read.len() == inst.len()
        && read.mnemonic() == mnemonic
        && read.has_lock_prefix() == (lock == Lock::Present)
        && !read.has_rep_prefix()
        && !read.has_repne_prefix()
        && read.segment_prefix() == Register::None
        && read.op_count() as usize == wanted.len()
        && wanted.iter().enumerate().all(|(at, op)| operand(&read, at as u32) == Some(*op));
    assert!(
        same,
        "{inst:?} reads as `{read}`, {} bytes, wanted {mnemonic:?} {wanted:x?} {lock:?}",
        read.len()
    );
}

fn operand(read: &Instruction, at: u32) -> Option<Op> {
    let bytes = match read.op_kind(at) {
        OpKind::Register => return Some(Op::Reg(read.op_register(at))),
        OpKind::Memory => {
            return Some(Op::Mem {
                base: read.memory_base(),
                index: read.memory_index(),
                scale: read.memory_index_scale(),
                disp: read.memory_displacement64() as i64,
                bytes: read.memory_size().size(),
            });
        }
        OpKind::Immediate8 => 1,
        OpKind::Immediate16 | OpKind::Immediate8to16 => 2,
        OpKind::Immediate32 | OpKind::Immediate8to32 => 4,
        OpKind::Immediate64 | OpKind::Immediate8to64 | OpKind::Immediate32to64 => 8,
        _ => return None,
    };
    Some(Op::Imm { value: cut(read.immediate(at), bytes), bytes })
}

/// Every register as an index.
pub(crate) fn indexes() -> impl Iterator<Item = Index> {
    Gpr::ALL.into_iter().filter_map(Index::new)
}

/// Every place in memory that can be written down, but for the numbers of displacements: one of each class.
pub(crate) fn mems() -> &'static [Mem] {
    static MEMS: OnceLock<Vec<Mem>> = OnceLock::new();
    MEMS.get_or_init(|| {
        let mut all = Vec::new();
        for disp in DISPLACEMENTS {
            all.extend(Gpr::ALL.map(|base| Mem::base(base, disp)));
            for (index, scale) in indexes().flat_map(|index| Scale::ALL.map(|scale| (index, scale))) {
                all.push(Mem::Scaled { index, scale, disp });
                all.extend(Gpr::ALL.map(|base| Mem::indexed(base, index, scale, disp)));
            }
        }
        all
    })
}

/// Every base with every index and every class of displacement; the scale turns.
pub(crate) fn few_mems() -> &'static [Mem] {
    static MEMS: OnceLock<Vec<Mem>> = OnceLock::new();
    MEMS.get_or_init(|| {
        let mut all = Vec::new();
        for disp in DISPLACEMENTS {
            all.extend(Gpr::ALL.map(|base| Mem::base(base, disp)));
            for index in indexes() {
                let scale = Scale::ALL[all.len() % 4];
                all.push(Mem::Scaled { index, scale, disp });
                for base in Gpr::ALL {
                    let scale = Scale::ALL[(all.len() + base.index() / 4) % 4];
                    all.push(Mem::indexed(base, index, scale, disp));
                }
            }
        }
        all
    })
}

/// Every register with each of [`few_mems`].
pub(crate) fn reg_mems() -> impl Iterator<Item = (Gpr, Mem)> {
    Gpr::ALL.into_iter().flat_map(|reg| few_mems().iter().map(move |mem| (reg, *mem)))
}

/// Every register, then each of [`few_mems`].
pub(crate) fn rms() -> impl Iterator<Item = Rm> {
    Gpr::ALL.into_iter().map(Rm::from).chain(few_mems().iter().map(|mem| Rm::from(*mem)))
}

/// Every register with each of [`rms`].
pub(crate) fn reg_rms() -> impl Iterator<Item = (Gpr, Rm)> {
    Gpr::ALL.into_iter().flat_map(|reg| rms().map(move |rm| (reg, rm)))
}

/// Every three registers, and every two with each of [`few_mems`], the first one turning.
pub(crate) fn reg_reg_rms() -> impl Iterator<Item = (Gpr, Gpr, Rm)> {
    let registers = reg_regs()
        .flat_map(|(first, second)| Gpr::ALL.into_iter().map(move |third| (first, second, Rm::from(third))));
    let memory = reg_mems()
        .enumerate()
        .map(|(turn, (second, mem))| (Gpr::ALL[(turn + turn / 16) % 16], second, Rm::from(mem)));
    registers.chain(memory)
}

/// Every pair of registers.
pub(crate) fn reg_regs() -> impl Iterator<Item = (Gpr, Gpr)> {
    Gpr::ALL.into_iter().flat_map(|left| Gpr::ALL.map(|right| (left, right)))
}

/// Each of the immediates at each size that it can have.
pub(crate) fn sized_imms() -> impl Iterator<Item = SizedImm> {
    let of = |value| Size::ALL.into_iter().filter_map(move |size| SizedImm::truncate(size, value));
    IMMEDIATES.into_iter().flat_map(move |value| of(i64::from(value) as u64))
}
