//! Random programs that compute addresses of many shapes and use them soon or late, once or often: machine code makes one
//! operand of what several instructions say, and must still come to what the interpreter comes to.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::Numbers;
use skep_isa::{AluOp, Insn, LoadKind, Operand, Reg, Size, Width};
use skep_lab_filetests::{Case, Ending, Engine, Expected, Input, Jit};

/// Hold numbers.
const NUMBERS: [Reg; 4] = [Reg::R0, Reg::R7, Reg::R8, Reg::R9];
/// Hold addresses, or what becomes one.
const POINTERS: [Reg; 3] = [Reg::R3, Reg::R4, Reg::R5];
const LOADS: [LoadKind; 7] =
    [LoadKind::U8, LoadKind::U16, LoadKind::U32, LoadKind::U64, LoadKind::S8, LoadKind::S16, LoadKind::S32];
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::Dw];
const OPS: [AluOp; 7] = [AluOp::Add, AluOp::Sub, AluOp::Mul, AluOp::Or, AluOp::And, AluOp::Xor, AluOp::Arsh];
/// Bytes of memory: an index of eight, scaled by eight, and an offset below this half of it.
const MEMORY: usize = 160;

fn alu(op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op, dst, src }
}

fn piece(n: &mut Numbers, insns: &mut Vec<Insn>) {
    let (number, pointer) = (n.pick(&NUMBERS), n.pick(&POINTERS));
    let off = n.below(80) as i16;
    match n.below(10) {
        0..=3 => {
            // A pointer: index, scale and base in one order or the other.
            let scale = n.below(4) as i32;
            insns.push(alu(AluOp::Mov, Reg::R2, Operand::Reg(number)));
            insns.push(alu(AluOp::And, Reg::R2, Operand::Imm(7)));
            if scale != 0 {
                insns.push(alu(AluOp::Lsh, Reg::R2, Operand::Imm(scale)));
            }
            let (first, second) = if n.below(2) == 0 { (Reg::R2, Reg::R6) } else { (Reg::R6, Reg::R2) };
            insns.push(alu(AluOp::Mov, pointer, Operand::Reg(first)));
            insns.push(alu(AluOp::Add, pointer, Operand::Reg(second)));
        }
        4..=6 => {
            insns.push(Insn::Load { kind: n.pick(&LOADS), dst: number, base: pointer, off });
            if n.below(2) == 0 {
                let width = n.pick(&[Width::W32, Width::W64]);
                let src = Operand::Reg(number);
                insns.push(Insn::Alu { width, op: n.pick(&OPS), dst: n.pick(&NUMBERS), src });
            }
        }
        7 => {
            let src =
                if n.below(3) == 0 { Operand::Imm(n.below(1 << 20) as i32) } else { Operand::Reg(number) };
            insns.push(Insn::Store { size: n.pick(&SIZES), base: pointer, off, src });
        }
        8 => insns.push(alu(n.pick(&OPS), number, Operand::Reg(n.pick(&NUMBERS)))),
        // What an address is made of changes before it is used, or after.
        _ => {
            let imm = Operand::Imm(n.below(8) as i32);
            insns.push(alu(AluOp::Add, n.pick(&[Reg::R2, number]), imm));
        }
    }
}

fn case(seed: u64) -> Case {
    let mut n = Numbers::new(seed);
    let mut insns = vec![alu(AluOp::Mov, Reg::R6, Operand::Reg(Reg::R1))];
    insns.extend(NUMBERS.iter().map(|&dst| Insn::LoadImm64 { dst, value: n.below(1 << 40) }));
    insns.extend(POINTERS.iter().map(|&dst| alu(AluOp::Mov, dst, Operand::Reg(Reg::R1))));
    insns.push(alu(AluOp::Mov, Reg::R2, Operand::Imm(0)));
    for _ in 0..30 {
        piece(&mut n, &mut insns);
    }
    for &reg in &NUMBERS[1..] {
        insns.push(alu(AluOp::Mul, Reg::R0, Operand::Imm(31)));
        insns.push(alu(AluOp::Add, Reg::R0, Operand::Reg(reg)));
    }
    insns.push(Insn::Exit);
    let slots: Vec<_> = insns.iter().flat_map(|insn| insn.encode().to_vec()).collect();
    Case {
        name: format!("seed {seed}"),
        lines: vec![0; slots.len()],
        slots,
        input: Input::Memory((0..MEMORY).map(|byte| byte as u8 ^ seed as u8).collect()),
        fuel: 10_000,
        unwritten_is_zero: false,
        register_calls: false,
        expected: Expected::Returns(0),
        besides: Vec::new(),
        leaves: None,
    }
}

#[test]
fn addresses_of_every_shape_are_used_as_they_are_computed() {
    for seed in 0..400 {
        let case = case(seed);
        let ending = Jit.run(&case).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert!(matches!(ending, Ending::Returned(..)), "seed {seed}: {ending:?}");
    }
}
