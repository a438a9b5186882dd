//! Text of a function, for people.

use super::{Edge, Function, Node, Rhs, Term, Unit};
use core::fmt;

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, function) in self.functions.iter().enumerate() {
            write!(f, "function {number}\n{function}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, block) in self.blocks.iter().enumerate() {
            write!(f, "b{number}(")?;
            for (position, param) in self.params_of(block).enumerate() {
                write!(f, "{}{param}", if position == 0 { "" } else { ", " })?;
            }
            writeln!(f, "):")?;
            for val in block.nodes() {
                let node = self.node(val);
                if matches!(node, Node::Nop | Node::Param) {
                    continue;
                }
                write!(f, "    ")?;
                if node.has_value() {
                    write!(f, "{val} = ")?;
                }
                write!(f, "{node:?}")?;
                if let Some(list) = node.args() {
                    write!(f, " of {:?}", self.list(list))?;
                }
                writeln!(f)?;
            }
            write!(f, "    ")?;
            self.print_term(&block.term, f)?;
        }
        Ok(())
    }
}

impl Function {
    fn print_term(&self, term: &Term, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match term {
            Term::Jump(edge) => writeln!(f, "jump {}", EdgeText(self, edge)),
            Term::Return(val) => writeln!(f, "return {val}"),
            Term::Branch { cond, width, a, b, then, other } => {
                write!(f, "if {a} {cond:?}.{} ", width.bits())?;
                match b {
                    Rhs::Val(val) => write!(f, "{val}")?,
                    Rhs::Imm(imm) => write!(f, "{imm}")?,
                }
                writeln!(f, " jump {} else {}", EdgeText(self, then), EdgeText(self, other))
            }
        }
    }
}

struct EdgeText<'f>(&'f Function, &'f Edge);

impl fmt::Display for EdgeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EdgeText(function, edge) = self;
        write!(f, "{}(", edge.to)?;
        for (position, val) in function.list(edge.args).iter().enumerate() {
            write!(f, "{}{val}", if position == 0 { "" } else { ", " })?;
        }
        write!(f, ")")?;
        if edge.charge != 0 {
            write!(f, " for {}", edge.charge)?;
        }
        Ok(())
    }
}
