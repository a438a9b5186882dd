//! Which memory a register points to, as far as one look at each instruction tells: the same rules as those of
//! [`passes::regions`](crate::passes::regions).
//!
//! At the head of a loop it is assumed that what is only moved on in the loop still points where it did. Each way back looks
//! whether that was right; where it was not, the function is made again, and nothing is assumed.

use crate::source::Region;
use skep_isa::{AluOp, Insn, Operand, Reg, Width};

/// Says where each register points to, in two bits each: r0 in the lowest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origins(u32);

/// May point anywhere, or is no pointer.
const ANY: u32 = 0;
/// Points into what r1 points to when the program is entered.
const INPUT: u32 = 1;
/// Points into the stack.
const STACK: u32 = 2;
/// Holds the lower bit of each register.
const LOW: u32 = 0x5555_5555;

impl Origins {
    /// Stands where control has not led yet.
    pub(super) const UNSEEN: Origins = Origins(u32::MAX);

    /// Holds what is known where a function is entered.
    pub(super) fn entry(is_main: bool) -> Origins {
        let r1 = if is_main { INPUT } else { ANY };
        Origins(STACK << (2 * Reg::FP.number()) | r1 << (2 * Reg::R1.number()))
    }

    /// Holds what is known without any knowledge.
    pub(super) fn unknown() -> Origins {
        Origins::entry(false)
    }

    fn of(self, reg: Reg) -> u32 {
        self.0 >> (2 * reg.number()) & 3
    }

    fn set(&mut self, reg: Reg, origin: u32) {
        let at = 2 * reg.number();
        self.0 = self.0 & !(3 << at) | origin << at;
    }

    /// Names the memory that a register points to.
    pub(super) fn region(self, reg: Reg) -> Region {
        match self.of(reg) {
            INPUT => Region::INPUT,
            STACK => Region::Stack,
            _ => Region::Unknown,
        }
    }

    /// Keeps what is known on both ways.
    pub(super) fn meet(self, other: Origins) -> Origins {
        let apart = self.0 ^ other.0;
        let apart = (apart | apart >> 1) & LOW;
        Origins(self.0 & !(apart * 3))
    }

    /// Forgets a set of registers.
    #[inline]
    pub(super) fn without(self, regs: u16) -> Origins {
        // Each bit of the set, twice.
        let mut bits = u32::from(regs);
        bits = (bits | bits << 8) & 0x00ff_00ff;
        bits = (bits | bits << 4) & 0x0f0f_0f0f;
        bits = (bits | bits << 2) & 0x3333_3333;
        bits = (bits | bits << 1) & LOW;
        Origins(self.0 & !(bits * 3))
    }

    /// Follows an instruction.
    #[inline(always)]
    pub(super) fn follow(&mut self, insn: Insn) {
        match insn {
            Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) } => {
                self.set(dst, self.of(src));
            }
            Insn::Alu { width: Width::W64, op: AluOp::Add | AluOp::Sub, src: Operand::Imm(_), .. } => {}
            Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src: Operand::Reg(src) } => {
                self.set(
                    dst,
                    match (self.of(dst), self.of(src)) {
                        (pointer, ANY) | (ANY, pointer) => pointer,
                        _ => ANY,
                    },
                );
            }
            Insn::Alu { width: Width::W64, op: AluOp::Sub, dst, src: Operand::Reg(src) } => {
                if self.of(src) != ANY {
                    self.set(dst, ANY);
                }
            }
            insn => *self = self.without(insn.writes().bits()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_that_meet_keep_what_both_know() {
        let main = Origins::entry(true);
        let mut other = main;
        other.set(Reg::R6, INPUT);
        assert_eq!(main.meet(other), main);
        other.set(Reg::R1, STACK);
        assert_eq!(main.meet(other), Origins::unknown());
        assert_eq!(main.without(0b10), Origins::unknown());
        assert_eq!(main.region(Reg::R1), Region::INPUT);
        assert_eq!(other.region(Reg::R1), Region::Stack);
        assert_eq!(other.region(Reg::R0), Region::Unknown);
        assert_eq!(other.region(Reg::FP), Region::Stack);
    }

    #[test]
    fn sums_point_where_their_pointer_does() {
        let mut known = Origins::entry(true);
        let two = |op, dst, src| Insn::Alu { width: Width::W64, op, dst, src };
        let follow = |known: &mut Origins, insn: Insn| known.follow(insn);
        follow(&mut known, two(AluOp::Mov, Reg::R2, Operand::Reg(Reg::R1)));
        follow(&mut known, two(AluOp::Add, Reg::R2, Operand::Imm(8)));
        follow(&mut known, two(AluOp::Add, Reg::R3, Operand::Reg(Reg::R2)));
        assert_eq!([Reg::R2, Reg::R3].map(|reg| known.region(reg)), [Region::INPUT; 2]);
        follow(&mut known, two(AluOp::Sub, Reg::R2, Operand::Reg(Reg::R3)));
        follow(&mut known, two(AluOp::Add, Reg::R3, Operand::Reg(Reg::R1)));
        assert_eq!([Reg::R2, Reg::R3].map(|reg| known.region(reg)), [Region::Unknown; 2]);
        follow(&mut known, two(AluOp::And, Reg::R1, Operand::Imm(-8)));
        assert_eq!(known, Origins::unknown());
    }
}
