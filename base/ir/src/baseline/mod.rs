//! Operations straight from bytecode, for [`Level::O0`](crate::Level::O0): no values, no passes.
//!
//! Each register of the bytecode, and each variable, has one place in all of a function, and each instruction becomes the
//! operations that it is made of.
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`scan`] | what must be known ahead: where jumps lead, what is still read, which places operations destroy |
//! | [`places`] | where each register is |
//! | [`walk`] | from one instruction to the next: entry, jumps, fuel |
//! | [`insn`] | what each instruction becomes |
//! | [`origins`] | which memory a register points to, as far as one look at each instruction tells |
//!
//! Every walk looks at an instruction a fixed number of times. What cannot be compiled here is left to
//! [`build`](crate::build), which says why: so both ways refuse the same programs in the same words.

mod insn;
mod origins;
mod places;
mod scan;
mod walk;

use crate::machine::Machine;
use crate::ops::Code;
use crate::source::{Options, Source};
use alloc_crate::vec::Vec;
use scan::{Shape, Slot};
use walk::Walk;

/// Says that a program is to be compiled the other way, which finds out where the fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere;

/// Makes operations of a program.
///
/// # Errors
///
/// [`Elsewhere`].
pub(crate) fn compile(source: Source<'_>, machine: &Machine, options: &Options) -> Result<Code, Elsewhere> {
    let mut slots: Vec<Slot> =
        crate::ssa::filled(Slot::default(), source.program.len()).map_err(|_| Elsewhere)?;
    let mut shapes: Vec<Shape> = Vec::new();
    let functions = source.structure.subprograms();
    shapes.try_reserve_exact(functions.len()).map_err(|_| Elsewhere)?;
    for (number, function) in functions.iter().enumerate() {
        let shape = scan::scan(source, machine, options, *function, number, &mut slots)?;
        shapes.push(shape);
    }
    let by_number = shapes.iter().any(|shape| shape.by_number);
    let mut code = Code { level: options.level, by_number, ..Code::default() };
    // Most instructions are one operation, or an access with its check.
    let ops = slots.len().saturating_add(slots.len() / 2).saturating_add(16);
    code.ops.try_reserve(ops).map_err(|_| Elsewhere)?;
    code.at.try_reserve(ops).map_err(|_| Elsewhere)?;
    let mut walk = Walk::new(source, machine, options, &shapes, &mut slots, &mut code);
    for number in 0..shapes.len() {
        walk.function(number)?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Op;
    use crate::source::{Address, Level, Link};
    use skep_isa::{
        Addr, AluOp, Cond, Insn, LoadKind, Operand, Program, RawInsn, Reg, Size, Width, structure,
    };

    struct Alone;

    impl Link for Alone {
        fn address(&self, _: Addr) -> Option<Address> {
            None
        }

        fn helper(&self, id: u32) -> Option<u8> {
            (id == 1).then_some(1)
        }
    }

    fn compiled(insns: &[Insn]) -> Result<Code, Elsewhere> {
        let slots: Vec<RawInsn> = insns.iter().flat_map(|insn| insn.encode().to_vec()).collect();
        let program = Program::decode(&slots).expect("it is a program");
        let structure = structure::check(&program).expect("it hangs together");
        let source = Source { program: &program, structure: &structure, link: &Alone };
        let options = Options { level: Level::O0, ..Options::default() };
        compile(source, &Machine::INTERPRETER, &options)
    }

    const fn mov(dst: Reg, src: Operand) -> Insn {
        Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src }
    }

    #[test]
    fn a_loop_over_the_input_is_checked_against_the_input_alone() {
        let add = |dst, src| Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src };
        let code = compiled(&[
            mov(Reg::R6, Operand::Reg(Reg::R1)),
            mov(Reg::R0, Operand::Imm(0)),
            Insn::Load { kind: LoadKind::U8, dst: Reg::R3, base: Reg::R6, off: 0 },
            add(Reg::R0, Operand::Reg(Reg::R3)),
            add(Reg::R6, Operand::Imm(1)),
            Insn::CallHelper { id: 1 },
            Insn::Branch { width: Width::W64, cond: Cond::Ne, dst: Reg::R0, src: Operand::Imm(0), off: -5 },
            Insn::Exit,
        ]);
        let regions = |code: &Code| {
            let region = |op: &Op| match op {
                Op::Check { region, .. } => Some(*region),
                _ => None,
            };
            code.ops.iter().filter_map(region).collect::<Vec<_>>()
        };
        use crate::source::Region;
        assert_eq!(regions(&code.expect("it is compiled")), [Region::INPUT]);
        // Another pointer comes round: nothing is known of either access.
        let code = compiled(&[
            mov(Reg::R6, Operand::Reg(Reg::R1)),
            mov(Reg::R7, Operand::Reg(Reg::R10)),
            Insn::Store { size: Size::Dw, base: Reg::R6, off: 0, src: Operand::Imm(0) },
            add(Reg::R6, Operand::Reg(Reg::R7)),
            Insn::Branch { width: Width::W64, cond: Cond::Ne, dst: Reg::R6, src: Operand::Imm(0), off: -3 },
            mov(Reg::R0, Operand::Imm(0)),
            Insn::Exit,
        ]);
        assert_eq!(regions(&code.expect("it is compiled")), [Region::Unknown]);
    }

    #[test]
    fn what_is_not_compiled_here_is_an_error() {
        assert_eq!(compiled(&[Insn::CallHelper { id: 2 }, Insn::Exit]).unwrap_err(), Elsewhere);
        let write = mov(Reg::R10, Operand::Imm(0));
        assert_eq!(compiled(&[write, Insn::Exit]).unwrap_err(), Elsewhere);
    }
}
