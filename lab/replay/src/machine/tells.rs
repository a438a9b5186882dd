//! Whether a program may look at the number of an address, which is another one on the reference machine.
//!
//! One look at all instructions, wherever control goes: a register that anything puts a pointer in may hold one everywhere.

use super::world::OF_NUMBERS;
use skep_isa::{Addr, AluOp, Cond, Insn, LoadKind, Operand, Reg, RegSet, Size, Width};
use skep_machine::Program;

/// The bits of an input's first byte that choose the kind of input, and its kinds whose buffer holds addresses.
const KINDS: u8 = 3;
const WITH_ADDRESSES: u8 = 2;
/// Helpers of Linux's that return addresses.
const LOOK_UP: u32 = 1;

/// What may hold a pointer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    regs: RegSet,
    memory: bool,
}

/// Says whether a program may.
pub(super) fn addresses(program: &Program, shape: u8) -> bool {
    let mut held = Held { regs: RegSet::of(Reg::FP).with(Reg::R1), memory: shape & KINDS >= WITH_ADDRESSES };
    loop {
        let before = held;
        program.code().iter().for_each(|(_, insn)| held.follow(insn));
        if held == before {
            break;
        }
    }
    program.code().iter().any(|(_, insn)| held.tells(insn))
}

impl Held {
    fn has(&self, src: Operand) -> bool {
        src.reg().is_some_and(|reg| self.regs.contains(reg))
    }

    fn follow(&mut self, insn: Insn) {
        match insn {
            Insn::Alu { op: AluOp::Mov | AluOp::Add | AluOp::Sub, dst, src, .. } if self.has(src) => {
                self.regs = self.regs.with(dst);
            }
            Insn::LoadAddr { dst, addr } if !matches!(addr, Addr::Code { .. }) => {
                self.regs = self.regs.with(dst);
            }
            Insn::Store { size: Size::Dw, src, .. } if self.has(src) => self.memory = true,
            Insn::Load { kind: LoadKind::U64, dst, .. } if self.memory => self.regs = self.regs.with(dst),
            Insn::CallHelper { id: LOOK_UP } => self.regs = self.regs.with(Reg::R0),
            _ => {}
        }
    }

    fn tells(&self, insn: Insn) -> bool {
        let reads = insn.reads().iter().any(|reg| self.regs.contains(reg));
        match insn {
            Insn::Alu { width: Width::W64, op: AluOp::Mov, .. } => false,
            Insn::Alu { width: Width::W64, op: AluOp::Add | AluOp::Sub, dst, src } => {
                self.regs.contains(dst) && self.has(src)
            }
            Insn::Branch { width: Width::W64, cond: Cond::Eq | Cond::Ne, src: Operand::Imm(0), .. } => false,
            Insn::Load { kind: LoadKind::U64, .. } => false,
            Insn::Load { .. } | Insn::LoadAcquire { .. } => self.memory,
            Insn::Store { size: Size::Dw, base: Reg::FP, .. } => false,
            Insn::Store { src, .. } => self.has(src),
            Insn::StoreRelease { src, .. } => self.memory || self.regs.contains(src),
            Insn::Atomic { src, .. } => self.memory || self.regs.contains(src) || self.regs.contains(Reg::R0),
            Insn::CallLocal { .. } => false,
            Insn::CallHelper { id } => self.memory || reads && OF_NUMBERS.contains(&id),
            _ => reads,
        }
    }
}
