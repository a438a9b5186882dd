//! How long compiling takes, for programs of a thousand to a million instructions: whether it is proportional to them.

use crate::clock::Stopwatch;
use crate::machine::{Alone, options};
use skep_embedded::CodePages;
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::{Access, Level, Metering, Options, Source};
use skep_isa::{
    AluOp, Cond, Insn, LoadKind, Operand, Program as Bytecode, RawInsn, Reg, Size, Width, structure,
};
use skep_jit::x86_64::Target;
use skep_vm::Program;
use skep_vm::jit::{JitProgram, features};
use std::error::Error;

/// How many instructions the programs have.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// What is compiled.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    /// How many instructions a function has.
    function: usize,
}

const SHAPES: [Shape; 2] =
    [Shape { name: "one function", function: usize::MAX }, Shape { name: "functions of 100", function: 100 }];

/// A way to compile.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    level: Level,
    access: Access,
    engine: Engine,
}

#[derive(Clone, Copy)]
enum Engine {
    Jit,
    Interpreter,
}

const WAYS: [Way; 6] = [
    Way { name: "jit -O0", level: Level::O0, access: Access::Unchecked, engine: Engine::Jit },
    Way { name: "jitc -O0", level: Level::O0, access: Access::Checked, engine: Engine::Jit },
    Way { name: "intc -O0", level: Level::O0, access: Access::Checked, engine: Engine::Interpreter },
    Way { name: "jit -O", level: Level::O, access: Access::Unchecked, engine: Engine::Jit },
    Way { name: "jitc -O", level: Level::O, access: Access::Checked, engine: Engine::Jit },
    Way { name: "intc -O", level: Level::O, access: Access::Checked, engine: Engine::Interpreter },
];

/// Measures, and prints nanoseconds an instruction: the least of the rounds, from slots to what the engine runs.
pub(crate) fn measure(rounds: u32) -> Result<(), Box<dyn Error>> {
    for shape in SHAPES {
        print!("{:<18}", shape.name);
        SIZES.iter().for_each(|size| print!("{size:>12}"));
        println!();
        let programs: Vec<_> = SIZES.iter().map(|size| program(*size, shape)).collect();
        for way in WAYS {
            print!("  {:<16}", way.name);
            for slots in &programs {
                let mut least = f64::INFINITY;
                for _ in 0..rounds {
                    least = least.min(once(slots, way).map_err(|error| format!("{}: {error}", way.name))?);
                }
                print!("{:>12.1}", least / slots.len() as f64);
            }
            println!();
        }
    }
    println!("nanoseconds an instruction, system calls included");
    Ok(())
}

/// Compiles a program, and returns how many nanoseconds that took.
fn once(slots: &[RawInsn], way: Way) -> Result<f64, Box<dyn Error>> {
    let metering = match way.access {
        Access::Checked => Metering::Metered,
        Access::Unchecked => Metering::Free,
    };
    let options = Options { level: way.level, ..options(way.access, metering) };
    let start = Stopwatch::start();
    let bytecode = Bytecode::decode(slots)?;
    let structure = structure::check(&bytecode)?;
    let source = Source { program: &bytecode, structure: &structure, link: &Alone };
    let took = match way.engine {
        Engine::Jit => {
            let target = Target::new(features(), options.access, options.metering);
            let code = compile(source, &target.machine(), &options)?;
            let program = match way.access {
                Access::Checked => JitProgram::checked(&code, &target, options.stack_bytes, CodePages)?,
                // SAFETY: nobody runs it.
                Access::Unchecked => {
                    unsafe { JitProgram::unchecked(&code, &target, options.stack_bytes, CodePages) }?
                }
            };
            let took = start.elapsed();
            drop(program);
            took
        }
        Engine::Interpreter => {
            let code = compile(source, &Machine::INTERPRETER, &options)?;
            let program = Program::checked(&code, options.stack_bytes)?;
            let took = start.elapsed();
            drop(program);
            took
        }
    };
    Ok(took.as_nanos() as f64)
}

/// Makes arithmetic, accesses to memory and the stack, forward branches and loops.
fn program(len: usize, shape: Shape) -> Vec<RawInsn> {
    let mut insns: Vec<Insn> = Vec::with_capacity(len);
    let mut state = 1u64;
    let mut pick = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % n
    };
    let regs = [Reg::R0, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R7, Reg::R8, Reg::R9];
    let alu = |op, dst, src| Insn::Alu { width: Width::W64, op, dst, src };
    while insns.len() < len {
        let start = insns.len();
        let body = shape.function.min(len - start);
        insns.extend(regs.map(|reg| alu(AluOp::Mov, reg, Operand::Imm(3))));
        // Where the furthest branch leads, and where the loop begins that is open.
        let (mut reach, mut head) = (0, None);
        while insns.len() - start < body.saturating_sub(12) {
            let (dst, other) = (regs[pick(8)], regs[pick(8)]);
            let off = -8 - 8 * pick(6) as i16;
            let here = insns.len();
            insns.push(match pick(16) {
                0 | 1 => Insn::Load { kind: LoadKind::U32, dst, base: Reg::R1, off: 4 * pick(16) as i16 },
                2 | 3 => {
                    let off = 4 * pick(16) as i16;
                    Insn::Store { size: Size::W, base: Reg::R1, off, src: Operand::Reg(dst) }
                }
                4 => Insn::Load { kind: LoadKind::U64, dst, base: Reg::R10, off },
                5 => Insn::Store { size: Size::Dw, base: Reg::R10, off, src: Operand::Reg(dst) },
                6 | 7 => {
                    let (cond, src, off) = (Cond::Gt, Operand::Reg(other), pick(8));
                    reach = reach.max(here + 1 + off);
                    Insn::Branch { width: Width::W64, cond, dst, src, off: off as i16 }
                }
                // Loops are entered where they begin.
                8 if here >= reach => match head.take() {
                    Some(head) => {
                        let (cond, src) = (Cond::Lt, Operand::Imm(7));
                        let off = (head as i64 - here as i64 - 1) as i16;
                        Insn::Branch { width: Width::W64, cond, dst, src, off }
                    }
                    None => {
                        head = Some(here);
                        alu(AluOp::And, dst, Operand::Imm(-2))
                    }
                },
                9 | 10 => alu(AluOp::Xor, dst, Operand::Reg(other)),
                11 => alu(AluOp::Mul, dst, Operand::Imm(31)),
                12 => alu(AluOp::Rsh, dst, Operand::Imm(7)),
                _ => alu(AluOp::Add, dst, Operand::Reg(other)),
            });
        }
        // Where the last branches may lead, and the call of the next function, which takes r1.
        while insns.len() - start < body.saturating_sub(2) {
            insns.push(alu(AluOp::Add, Reg::R0, Operand::Imm(1)));
        }
        if insns.len() + 2 < len {
            insns.push(Insn::CallLocal { off: 1 });
        }
        insns.push(Insn::Exit);
    }
    insns.iter().flat_map(|insn| insn.encode().to_vec()).collect()
}
