//! Random arithmetic, jumps, stack accesses and atomic operations: every engine computes what the reference machine
//! computes.

use skep_isa::{AluOp, Endian, Insn, LoadKind, Operand, Reg, Size, SwapWidth, Width};
use skep_lab_filetests::generate::{ATOMICS, CONDS, LOADS, MOVES, Numbers, OPS, SIZES};
use skep_lab_filetests::{Case, Embedded, Ending, Engine, Exact, Expected, Input, Interpreter, check};

/// Registers that hold numbers all along.
const REGS: [Reg; 10] =
    [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R6, Reg::R7, Reg::R8, Reg::R9];
/// Bytes of the stack that are written at the start.
const STACK: i16 = 32;

fn insn(n: &mut Numbers) -> Insn {
    let (dst, src) = (n.pick(&REGS), n.pick(&REGS));
    let width = n.pick(&[Width::W32, Width::W64]);
    // The verifier wants stack accesses aligned.
    let aligned = |n: &mut Numbers, size: Size| {
        let bytes = size.bytes() as i16;
        -STACK + bytes * n.below((STACK / bytes) as u64) as i16
    };
    match n.below(16) {
        0..=5 => {
            let op = if n.once_in(14) { AluOp::Mov } else { n.pick(&OPS) };
            let imm = n.edge() as i32;
            // What the verifier refuses of immediates (check_alu_op in kernel/bpf/verifier.c).
            let imm = match op {
                AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod if imm == 0 => 3,
                AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => imm & (width.bits() as i32 - 1),
                _ => imm,
            };
            let src = if n.below(3) == 0 { Operand::Imm(imm) } else { Operand::Reg(src) };
            Insn::Alu { width, op, dst, src }
        }
        6 => Insn::Neg { width, dst },
        7 => Insn::Movsx { kind: n.pick(&MOVES), dst, src },
        8 => {
            let op = n.pick(&[Endian::ToLe, Endian::ToBe, Endian::Swap]);
            Insn::ByteSwap { op, width: n.pick(&[SwapWidth::W16, SwapWidth::W32, SwapWidth::W64]), dst }
        }
        9..=10 => {
            let kind = n.pick(&LOADS);
            Insn::Load { kind, dst, base: Reg::R10, off: aligned(n, kind.size()) }
        }
        11..=12 => {
            let size = n.pick(&SIZES);
            let src = if n.below(3) == 0 { Operand::Imm(n.edge() as i32) } else { Operand::Reg(src) };
            Insn::Store { size, base: Reg::R10, off: aligned(n, size), src }
        }
        13 => {
            let off = aligned(n, width.size());
            Insn::Atomic { width, op: n.pick(&ATOMICS), base: Reg::R10, off, src }
        }
        _ => {
            let src = if n.below(2) == 0 { Operand::Imm(n.edge() as i32) } else { Operand::Reg(src) };
            Insn::Branch { width, cond: n.pick(&CONDS), dst, src, off: 1 + n.below(3) as i16 }
        }
    }
}

/// A program that ends with all that it has computed in r0.
fn program(n: &mut Numbers) -> Vec<Insn> {
    let mut insns: Vec<Insn> = REGS.iter().map(|&dst| Insn::LoadImm64 { dst, value: n.edge() }).collect();
    for slot in 1..=STACK / 8 {
        let src = Operand::Reg(n.pick(&REGS));
        insns.push(Insn::Store { size: Size::Dw, base: Reg::R10, off: -8 * slot, src });
    }
    insns.extend((0..40).map(|_| insn(n)));
    // Jumps lead at most three further, so three more make all of them end here.
    let mix = |op, src| Insn::Alu { width: Width::W64, op, dst: Reg::R0, src };
    insns.extend([mix(AluOp::Xor, Operand::Reg(Reg::R1)); 3]);
    for &reg in &REGS[1..] {
        insns.extend([mix(AluOp::Mul, Operand::Imm(31)), mix(AluOp::Add, Operand::Reg(reg))]);
    }
    for slot in 1..=STACK / 8 {
        let load = Insn::Load { kind: LoadKind::U64, dst: Reg::R1, base: Reg::R10, off: -8 * slot };
        insns.extend([load, mix(AluOp::Mul, Operand::Imm(31)), mix(AluOp::Add, Operand::Reg(Reg::R1))]);
    }
    insns.push(Insn::Exit);
    insns
}

fn case(seed: u64) -> Case {
    let mut numbers = Numbers::new(seed);
    let slots: Vec<_> = program(&mut numbers).iter().flat_map(|insn| insn.encode().to_vec()).collect();
    let mut case = Case {
        name: format!("seed {seed}"),
        lines: vec![0; slots.len()],
        slots,
        input: Input::Memory(Vec::new()),
        fuel: 1000,
        unwritten_is_zero: false,
        register_calls: false,
        expected: Expected::Returns(0),
        besides: Vec::new(),
        leaves: None,
    };
    match Exact.run(&case) {
        Ok(Ending::Returned(number, _)) => case.expected = Expected::Returns(number),
        other => panic!("{}: {other:?}", case.name),
    }
    case.fuel = u64::MAX;
    case
}

fn agrees(engine: &dyn Engine, cases: u64) {
    let mut returned = std::collections::BTreeSet::new();
    for seed in 0..cases {
        let case = case(seed);
        assert_eq!(check(engine, &case), Ok(()), "{} on {}: {:x?}", case.name, engine.name(), case.slots);
        if let Expected::Returns(number) = case.expected {
            returned.insert(number);
        }
    }
    assert!(returned.len() as u64 > cases / 2, "programs compute something: {}", returned.len());
}

#[test]
fn the_embedded_kernel_agrees() {
    agrees(&Embedded, 50);
}

#[test]
fn the_interpreter_agrees() {
    agrees(&Interpreter, 2000);
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn machine_code_agrees() {
    agrees(&skep_lab_filetests::Jit, 300);
}

#[cfg(target_os = "linux")]
#[test]
fn linux_agrees() {
    let linux = skep_lab_filetests::Linux::new();
    match linux.is_usable() {
        Ok(()) => agrees(&linux, 300),
        Err(why) => println!("skipped: linux_agrees: {why}"),
    }
}
