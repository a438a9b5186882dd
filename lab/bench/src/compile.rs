//! How long compiling takes, for programs of a hundred to a million instructions: whether it is proportional to them, and how
//! it compares with rbpf's JIT.

use crate::clock::Stopwatch;
use crate::machine::{Alone, options};
use skep_embedded::CodePages;
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::{Access, Level, Metering, Options, Source};
use skep_isa::{
    AluOp, ByteOrder, Cond, Insn, LoadKind, Operand, Program as Bytecode, RawInsn, Reg, Size, Width, raw,
    structure,
};
use skep_jit::x86_64::Target;
use skep_vm::jit::{JitProgram, features};
use std::error::Error;
use std::time::Duration;

/// How many instructions the programs have.
const SIZES: [usize; 6] = [100, 500, 1_000, 10_000, 100_000, 1_000_000];

/// How many instructions are surely not too many for rbpf 0.4.1: its machine code must fit into one page (`NUM_PAGES` in its
/// `jit.rs`), or it panics.
const RBPF_MOST: usize = 500;

/// How many instructions a round compiles at least, so that what is small is compiled often.
const TURN: usize = 20_000;

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
    compiler: Compiler,
}

#[derive(Clone, Copy)]
enum Compiler {
    Skep(Level, Access, Engine),
    Rbpf,
}

#[derive(Clone, Copy)]
enum Engine {
    Jit,
    Interpreter,
}

const fn skep(name: &'static str, level: Level, access: Access, engine: Engine) -> Way {
    Way { name, compiler: Compiler::Skep(level, access, engine) }
}

const WAYS: [Way; 7] = [
    Way { name: "rbpf 0.4.1, jit", compiler: Compiler::Rbpf },
    skep("jit -O0", Level::O0, Access::Unchecked, Engine::Jit),
    skep("jitc -O0", Level::O0, Access::Checked, Engine::Jit),
    skep("intc -O0", Level::O0, Access::Checked, Engine::Interpreter),
    skep("jit -O", Level::O, Access::Unchecked, Engine::Jit),
    skep("jitc -O", Level::O, Access::Checked, Engine::Jit),
    skep("intc -O", Level::O, Access::Checked, Engine::Interpreter),
];

/// One program in each side's form.
struct Program {
    slots: Vec<RawInsn>,
    bytes: Vec<u8>,
}

/// Measures in rounds in which each way's turn comes once, and prints nanoseconds an instruction: the least of all, from slots
/// to what the engine runs.
pub(crate) fn measure(rounds: u32) -> Result<(), Box<dyn Error>> {
    for shape in SHAPES {
        let mut programs = Vec::new();
        for size in SIZES {
            let slots = program(size, shape);
            let bytes = raw::to_bytes(&slots, ByteOrder::Little)?;
            programs.push(Program { slots, bytes });
        }
        let mut least = [[f64::INFINITY; SIZES.len()]; WAYS.len()];
        for _ in 0..rounds {
            for (column, program) in programs.iter().enumerate() {
                for (row, way) in WAYS.iter().enumerate() {
                    for _ in 0..TURN.div_ceil(program.slots.len()) {
                        let took = once(program, *way).map_err(|error| format!("{}: {error}", way.name))?;
                        let Some(took) = took else { break };
                        least[row][column] = least[row][column].min(took);
                    }
                }
            }
        }
        print!("{:<18}", shape.name);
        SIZES.iter().for_each(|size| print!("{size:>10}"));
        println!();
        for (way, least) in WAYS.iter().zip(least) {
            print!("  {:<16}", way.name);
            for (program, least) in programs.iter().zip(least) {
                match least.is_finite() {
                    true => print!("{:>10.1}", least / program.slots.len() as f64),
                    false => print!("{:>10}", "-"),
                }
            }
            println!();
        }
    }
    println!("nanoseconds an instruction, system calls included; rbpf's code has one page at most");
    Ok(())
}

/// Compiles a program, and returns how many nanoseconds that took; nothing where the program is too large for the compiler.
fn once(program: &Program, way: Way) -> Result<Option<f64>, Box<dyn Error>> {
    let took = match way.compiler {
        Compiler::Skep(level, access, engine) => {
            let metering = match access {
                Access::Checked => Metering::Metered,
                Access::Unchecked => Metering::Free,
            };
            by_skep(&program.slots, &Options { level, ..options(access, metering) }, engine)?
        }
        Compiler::Rbpf if program.slots.len() > RBPF_MOST => return Ok(None),
        Compiler::Rbpf => by_rbpf(&program.bytes)?,
    };
    Ok(Some(took.as_nanos() as f64))
}

fn by_rbpf(bytes: &[u8]) -> Result<Duration, Box<dyn Error>> {
    let start = Stopwatch::start();
    let mut machine = rbpf::EbpfVmRaw::new(Some(bytes))?;
    machine.jit_compile()?;
    let took = start.elapsed();
    drop(machine);
    Ok(took)
}

fn by_skep(slots: &[RawInsn], options: &Options, engine: Engine) -> Result<Duration, Box<dyn Error>> {
    let start = Stopwatch::start();
    let bytecode = Bytecode::decode(slots)?;
    let structure = structure::check(&bytecode)?;
    let source = Source { program: &bytecode, structure: &structure, link: &Alone };
    Ok(match engine {
        Engine::Jit => {
            let target = Target::new(features(), options.access, options.metering);
            let code = compile(source, &target.machine(), options)?;
            let program = match options.access {
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
            let code = compile(source, &Machine::INTERPRETER, options)?;
            let program = skep_vm::Program::checked(&code, options.stack_bytes)?;
            let took = start.elapsed();
            drop(program);
            took
        }
    })
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
