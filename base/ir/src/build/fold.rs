//! Folding as values are made: constants, identities, rotates, chains of additions.
//!
//! Whatever is recognised here costs nothing later. At [`Level::O0`](crate::Level::O0) nothing is.

use super::Builder;
use crate::error::BuildErrorKind;
use crate::passes::simplify;
use crate::source::Level;
use crate::ssa::{MemAddr, Node, Val};
use skep_isa::{AluOp, Movsx, Size, SwapWidth, Width};

impl Builder<'_> {
    pub(super) fn constant(&mut self, number: u64) -> Result<Val, BuildErrorKind> {
        self.push(Node::Const(number))
    }

    pub(super) fn alu(&mut self, op: AluOp, width: Width, a: Val, b: Val) -> Result<Val, BuildErrorKind> {
        self.folded(Node::Alu { op, width, a, b })
    }

    pub(super) fn alu_imm(
        &mut self,
        op: AluOp,
        width: Width,
        a: Val,
        imm: i32,
    ) -> Result<Val, BuildErrorKind> {
        self.folded(Node::AluImm { op, width, a, imm })
    }

    pub(super) fn neg(&mut self, width: Width, a: Val) -> Result<Val, BuildErrorKind> {
        self.folded(Node::Neg { width, a })
    }

    pub(super) fn sext(&mut self, kind: Movsx, a: Val) -> Result<Val, BuildErrorKind> {
        self.folded(Node::Sext { kind, a })
    }

    pub(super) fn swap(&mut self, width: SwapWidth, a: Val) -> Result<Val, BuildErrorKind> {
        self.folded(Node::Swap { width, a })
    }

    /// Keeps the low bytes; a value that has no more stays as it is.
    pub(super) fn truncate(&mut self, size: Size, a: Val) -> Result<Val, BuildErrorKind> {
        if size == Size::Dw {
            return Ok(a);
        }
        self.folded(Node::Trunc { size, a })
    }

    /// Returns the address of an access, with additions of numbers moved into the offset.
    pub(super) fn address(&self, base: Val, off: i32) -> MemAddr {
        let addr = MemAddr { base, off };
        if self.options.level == Level::O0 { addr } else { simplify::address(&self.out.nodes, addr) }
    }

    /// Simplifies an access to memory.
    pub(super) fn simpler(&self, node: Node) -> Node {
        if self.options.level == Level::O0 { node } else { simplify::access(&self.out.nodes, node) }
    }

    /// Returns what a comparison of this width reads of a value.
    pub(super) fn compared(&self, width: Width, val: Val) -> Val {
        if self.options.level == Level::O0 || width == Width::W64 {
            val
        } else {
            simplify::strip(&self.out.nodes, Size::W, val)
        }
    }

    /// Adds a node, or finds a value that equals it.
    fn folded(&mut self, node: Node) -> Result<Val, BuildErrorKind> {
        if self.options.level == Level::O0 {
            return self.push(node);
        }
        match simplify::simplify(&self.out.nodes, node) {
            simplify::Simple::Val(val) => Ok(val),
            simplify::Simple::Node(node) => match self.paired(node)? {
                Some(val) => Ok(val),
                None => self.push(node),
            },
        }
    }
}
