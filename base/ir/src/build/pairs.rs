//! Quotient and remainder of one pair: one division gives both, as r = a - (a / b) * b.
//!
//! That holds for every pair, by RFC 9669 §4.1: by zero the quotient is zero and the remainder the dividend; of the smallest
//! number by minus one the quotient is that number, and its product with minus one too.

use super::Builder;
use crate::error::BuildErrorKind;
use crate::ssa::{Node, Rhs, Val};
use skep_isa::{AluOp, Width};

/// Counts the nodes that the other one of a pair is looked for among.
const NEAR: usize = 16;

/// Is what a division divides.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    width: Width,
    a: Val,
    b: Rhs,
}

fn division(node: Node) -> Option<(AluOp, Pair)> {
    match node {
        Node::Alu { op, width, a, b } => Some((op, Pair { width, a, b: Rhs::Val(b) })),
        Node::AluImm { op, width, a, imm } => Some((op, Pair { width, a, b: Rhs::Imm(imm) })),
        _ => None,
    }
}

/// Returns what finds the other number of a pair, and says whether that is the remainder.
fn partner(op: AluOp) -> Option<(AluOp, bool)> {
    match op {
        AluOp::Div => Some((AluOp::Mod, true)),
        AluOp::Sdiv => Some((AluOp::Smod, true)),
        AluOp::Mod => Some((AluOp::Div, false)),
        AluOp::Smod => Some((AluOp::Sdiv, false)),
        _ => None,
    }
}

impl Builder<'_> {
    /// Finds the value of a division whose partner stands a little in front of it in its block.
    pub(super) fn paired(&mut self, node: Node) -> Result<Option<Val>, BuildErrorKind> {
        let Some((op, pair)) = division(node) else { return Ok(None) };
        let Some((other, other_is_remainder)) = partner(op) else { return Ok(None) };
        let end = self.out.nodes.len();
        let start = self.block.index().max(end.saturating_sub(NEAR));
        let near = (start..end).rev().find(|at| division(self.out.nodes[*at]) == Some((other, pair)));
        let Some(near) = near else { return Ok(None) };
        if !other_is_remainder {
            return self.remainder(Val(near as u32), pair).map(Some);
        }
        // The remainder was wanted first: what divides stands there from now on, unless somebody has read it meanwhile.
        let found = Val(near as u32);
        let reads = |node: &Node| {
            let list = node.args().map_or(&[][..], |list| self.out.list(list));
            node.operands().into_iter().chain(list.iter().copied()).any(|val| val == found)
        };
        if self.out.nodes[near + 1..].iter().any(reads) {
            return Ok(None);
        }
        self.out.nodes[near] = node;
        let remainder = self.remainder(found, pair)?;
        for val in self.env.iter_mut().filter(|val| **val == found) {
            *val = remainder;
        }
        Ok(Some(found))
    }

    fn remainder(&mut self, quotient: Val, pair: Pair) -> Result<Val, BuildErrorKind> {
        let Pair { width, a, b } = pair;
        let product = match b {
            Rhs::Val(b) => self.alu(AluOp::Mul, width, quotient, b)?,
            Rhs::Imm(imm) => self.alu_imm(AluOp::Mul, width, quotient, imm)?,
        };
        self.alu(AluOp::Sub, width, a, product)
    }
}

#[cfg(test)]
mod tests {
    use crate::build::build;
    use crate::ssa::Node;
    use crate::{Access, Level, Link, Metering, Options, Source};
    use skep_isa::{Addr, AluOp, Builder, Reg, structure};

    struct Nothing;

    impl Link for Nothing {
        fn address(&self, _: Addr) -> Option<crate::Address> {
            None
        }

        fn helper(&self, _: u32) -> Option<u8> {
            None
        }
    }

    /// Counts the divisions that are left of a program.
    fn divisions(level: Level, write: impl FnOnce(&mut Builder)) -> usize {
        let mut b = Builder::new();
        write(&mut b);
        let (program, _) = b.exit().finish().unwrap();
        let structure = structure::check(&program).unwrap();
        let source = Source { program: &program, structure: &structure, link: &Nothing };
        let options =
            Options { level, access: Access::Unchecked, metering: Metering::Free, ..Options::default() };
        let unit = build(source, &options).unwrap();
        crate::ssa::verify::check(&unit).unwrap();
        let is_division =
            |node: &&Node| super::division(**node).is_some_and(|(op, _)| super::partner(op).is_some());
        unit.functions[0].nodes.iter().filter(is_division).count()
    }

    #[test]
    fn one_division_gives_both() {
        for ops in [[AluOp::Div, AluOp::Mod], [AluOp::Mod, AluOp::Div], [AluOp::Smod, AluOp::Sdiv]] {
            let both = |b: &mut Builder| {
                b.mov(Reg::R0, Reg::R1).alu(ops[0], Reg::R0, Reg::R2).alu(ops[1], Reg::R1, Reg::R2);
                b.alu(AluOp::Xor, Reg::R0, Reg::R1);
            };
            assert_eq!(divisions(Level::O, both), 1, "{ops:?}");
            assert_eq!(divisions(Level::O0, both), 2, "{ops:?}");
            let by_number = |b: &mut Builder| {
                b.mov(Reg::R0, Reg::R1).alu32(ops[0], Reg::R0, 10).alu32(ops[1], Reg::R1, 10);
                b.alu(AluOp::Xor, Reg::R0, Reg::R1);
            };
            assert_eq!(divisions(Level::O, by_number), 1, "{ops:?}");
        }
    }

    #[test]
    fn other_pairs_are_divided() {
        let widths = |b: &mut Builder| {
            b.mov(Reg::R0, Reg::R1).alu(AluOp::Div, Reg::R0, Reg::R2).alu32(AluOp::Mod, Reg::R1, Reg::R2);
        };
        let signs = |b: &mut Builder| {
            b.mov(Reg::R0, Reg::R1).alu(AluOp::Div, Reg::R0, Reg::R2).alu(AluOp::Smod, Reg::R1, Reg::R2);
        };
        // The remainder is read before the quotient is wanted.
        let between = |b: &mut Builder| {
            b.mov(Reg::R0, Reg::R1).alu(AluOp::Mod, Reg::R0, Reg::R2).alu(AluOp::Mul, Reg::R0, Reg::R0);
            b.alu(AluOp::Div, Reg::R1, Reg::R2).alu(AluOp::Xor, Reg::R0, Reg::R1);
        };
        assert_eq!(divisions(Level::O, widths), 2);
        assert_eq!(divisions(Level::O, signs), 2);
        assert_eq!(divisions(Level::O, between), 2);
    }
}
