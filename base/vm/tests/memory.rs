//! What a program of 4,000 instructions costs: while it is compiled, and afterwards.

use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::{Address, Level, Link, Options, Source};
use skep_isa::{
    Addr, AluOp, Cond, Insn, LoadKind, Operand, Program as Bytecode, Reg, Size, Width, structure,
};
use skep_vm::Program;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Counts bytes.
struct Counting;

// SAFETY: every request goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOC: Counting = Counting;

struct Alone;

impl Link for Alone {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, _: u32) -> Option<u8> {
        None
    }
}

/// Makes arithmetic, accesses to memory and the stack, and a branch in every eight instructions.
fn program(len: usize) -> Vec<Insn> {
    let regs = [Reg::R0, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R7, Reg::R8, Reg::R9];
    let alu = |op, dst, src| Insn::Alu { width: Width::W64, op, dst, src };
    let mut insns: Vec<_> = regs.map(|reg| alu(AluOp::Mov, reg, Operand::Imm(3))).to_vec();
    let mut state = 1u64;
    let mut pick = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % n
    };
    while insns.len() < len - 10 {
        let (dst, other) = (regs[pick(8)], regs[pick(8)]);
        let off = -8 - 8 * pick(20) as i16;
        insns.push(match pick(8) {
            0 => Insn::Load { kind: LoadKind::U32, dst, base: Reg::R1, off: 4 * pick(16) as i16 },
            1 => {
                Insn::Store { size: Size::W, base: Reg::R1, off: 4 * pick(16) as i16, src: Operand::Reg(dst) }
            }
            2 => Insn::Load { kind: LoadKind::U64, dst, base: Reg::R10, off },
            3 => Insn::Store { size: Size::Dw, base: Reg::R10, off, src: Operand::Reg(dst) },
            4 => {
                let (cond, src) = (Cond::Gt, Operand::Reg(other));
                Insn::Branch { width: Width::W64, cond, dst, src, off: pick(8) as i16 }
            }
            5 => alu(AluOp::Xor, dst, Operand::Reg(other)),
            6 => alu(AluOp::Mul, dst, Operand::Imm(31)),
            _ => alu(AluOp::Add, dst, Operand::Reg(other)),
        });
    }
    insns.resize(len - 1, alu(AluOp::Add, Reg::R0, Operand::Imm(1)));
    insns.push(Insn::Exit);
    insns
}

#[test]
fn a_program_of_four_thousand_instructions_stays_small() {
    let slots: Vec<_> = program(4000).iter().flat_map(|insn| insn.encode().to_vec()).collect();
    for level in [Level::O, Level::O0] {
        let before = HELD.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let program = {
            let bytecode = Bytecode::decode(&slots).unwrap();
            let structure = structure::check(&bytecode).unwrap();
            let source = Source { program: &bytecode, structure: &structure, link: &Alone };
            let options = Options { level, ..Options::default() };
            let code = compile(source, &Machine::INTERPRETER, &options).unwrap();
            Program::checked(&code, options.stack_bytes).unwrap()
        };
        let (kept, most) = (HELD.load(Ordering::Relaxed) - before, MOST.load(Ordering::Relaxed) - before);
        println!(
            "{level:?}: {} KiB kept, {} KiB at most, {} instructions",
            kept >> 10,
            most >> 10,
            program.len()
        );
        assert!(kept < 300 << 10, "{level:?}: {kept} bytes are kept");
        assert!(most < 4 << 20, "{level:?}: {most} bytes at most");
    }
}
