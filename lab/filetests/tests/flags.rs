//! Random programs in which a comparison follows what computed or loaded its operands: machine code compares nothing where the
//! processor's flags tell already, makes one operation of a load and its comparison, and chooses without a branch. It must still
//! come to what the interpreter comes to, whether or not anybody reads what was compared once more.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::Numbers;
use skep_isa::{AluOp, Builder, Cond, LoadKind, Operand, Reg, Width};
use skep_lab_filetests::generate::CONDS;
use skep_lab_filetests::{Case, Ending, Engine, Expected, Input, Jit};

/// Hold numbers; r0 sums up what happened.
const NUMBERS: [Reg; 6] = [Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R7, Reg::R8];
const LOADS: [LoadKind; 4] = [LoadKind::U8, LoadKind::U32, LoadKind::U64, LoadKind::S32];
const OPS: [AluOp; 8] =
    [AluOp::Add, AluOp::Sub, AluOp::And, AluOp::And, AluOp::Or, AluOp::Xor, AluOp::Mul, AluOp::Rsh];
/// Makes zero, one and all bits as likely as anything.
const IMMS: [i32; 10] = [0, 0, 1, -1, -2, 8, 0x7f, 0x80, i32::MAX, i32::MIN];
const MEMORY: usize = 96;

fn operand(n: &mut Numbers) -> Operand {
    if n.below(2) == 0 { Operand::Reg(n.pick(&NUMBERS)) } else { Operand::Imm(n.pick(&IMMS)) }
}

fn alu(b: &mut Builder, width: Width, op: AluOp, dst: Reg, src: Operand) {
    match width {
        Width::W32 => b.alu32(op, dst, src),
        Width::W64 => b.alu(op, dst, src),
    };
}

/// Computes or loads something, and compares it at once.
fn piece(n: &mut Numbers, b: &mut Builder) {
    let widths = [Width::W32, Width::W64];
    let (dst, other) = (n.pick(&NUMBERS), n.pick(&NUMBERS));
    for _ in 0..n.below(3) {
        match n.below(3) {
            0 => {
                b.load(n.pick(&LOADS), dst, Reg::R6, 8 * n.below(MEMORY as u64 / 8) as i16);
            }
            _ => alu(b, n.pick(&widths), n.pick(&OPS), dst, operand(n)),
        }
    }
    let cond = if n.below(2) == 0 { n.pick(&[Cond::Eq, Cond::Ne]) } else { n.pick(&CONDS) };
    let src = match n.below(3) {
        0 => Operand::Imm(0),
        _ => operand(n),
    };
    let (over, end) = (b.label(), b.label());
    // Whether a comparison holds, as a number, or its opposite.
    let number = n.pick(&[None, None, None, None, None, None, Some(0), Some(1)]);
    if let Some(number) = number {
        b.mov(other, number);
    }
    match n.pick(&widths) {
        Width::W32 => b.branch32(cond, dst, src, over),
        Width::W64 => b.branch(cond, dst, src, over),
    };
    if let Some(number) = number {
        b.mov(other, 1 - number).bind(over).bind(end);
        return;
    }
    match n.below(3) {
        // A choice of two values.
        0 => {
            b.mov(other, n.pick(&NUMBERS));
        }
        1 => {
            b.mov(other, n.pick(&IMMS)).mov(dst, n.pick(&NUMBERS));
        }
        // Something that is no choice.
        _ => {
            b.alu(AluOp::Mul, Reg::R0, 31).alu(AluOp::Add, Reg::R0, dst);
            if n.below(2) == 0 {
                b.goto(end);
                b.bind(over).alu(AluOp::Xor, Reg::R0, other).bind(end);
                return;
            }
        }
    }
    b.bind(over).bind(end);
}

fn case(seed: u64) -> Case {
    let mut n = Numbers::new(seed);
    let mut b = Builder::new();
    b.mov(Reg::R6, Reg::R1).mov(Reg::R0, 0);
    for reg in NUMBERS {
        b.load(LoadKind::U64, reg, Reg::R6, 8 * n.below(MEMORY as u64 / 8) as i16);
    }
    for _ in 0..20 {
        piece(&mut n, &mut b);
    }
    for reg in NUMBERS {
        b.alu(AluOp::Mul, Reg::R0, 31).alu(AluOp::Add, Reg::R0, reg);
    }
    let (program, _) = b.exit().finish().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let slots: Vec<_> = program.encode().collect();
    // Small numbers and large ones, and such as are zero in one half only, so that comparisons come out both ways.
    let memory = (0..MEMORY).map(|_| if n.below(3) == 0 { n.below(256) as u8 } else { 0 });
    Case {
        name: format!("seed {seed}"),
        lines: vec![0; slots.len()],
        slots,
        input: Input::Memory(memory.collect()),
        fuel: 10_000,
        unwritten_is_zero: false,
        register_calls: false,
        expected: Expected::Returns(0),
        besides: Vec::new(),
        leaves: None,
    }
}

#[test]
fn comparisons_are_of_what_was_computed() {
    for seed in 0..400 {
        let case = case(seed);
        let ending = Jit.run(&case).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert!(matches!(ending, Ending::Returned(..)), "seed {seed}: {ending:?}");
    }
}
