//! Random loops over memory, near its borders and beyond them: where checks compare with the room that is left behind a
//! pointer, what is read and written, refused and charged is as on the reference machine.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::Numbers;
use skep_isa::{AluOp, Cond, Insn, LoadKind, Operand, Reg, Size, Width};
use skep_lab_filetests::{Case, Ending, Engine, Exact, Expected, Input, Jit, MIX};

const LOADS: [LoadKind; 7] =
    [LoadKind::U8, LoadKind::U16, LoadKind::U32, LoadKind::U64, LoadKind::S8, LoadKind::S16, LoadKind::S32];
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::Dw];
const MEMORY: i32 = 96;

/// Gives a number from `low` on, below `high`.
fn between(n: &mut Numbers, low: i32, high: i32) -> i32 {
    low + n.below((high - low) as u64) as i32
}

fn alu(op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op, dst, src }
}

/// Loads or stores at `base + off`.
fn access(n: &mut Numbers, base: Reg, off: i16) -> Vec<Insn> {
    match n.below(3) {
        0 => vec![Insn::Store { size: n.pick(&SIZES), base, off, src: Operand::Reg(Reg::R0) }],
        1 => vec![Insn::Store { size: n.pick(&SIZES), base, off, src: Operand::Imm(between(n, -9, 300)) }],
        _ => vec![
            Insn::Load { kind: n.pick(&LOADS), dst: Reg::R4, base, off },
            alu(AluOp::Mul, Reg::R0, Operand::Imm(31)),
            alu(AluOp::Add, Reg::R0, Operand::Reg(Reg::R4)),
        ],
    }
}

/// Makes a loop: r2 counts, r3 is the index, r6 a pointer from outside; the body uses some of them.
fn looping(n: &mut Numbers, insns: &mut Vec<Insn>, fixed: Reg) {
    // How far memory reaches behind the pointer, about.
    let start = if fixed == Reg::R10 { -(between(n, 0, 90)) } else { between(n, -12, 60) };
    let left = if fixed == Reg::R10 { -start } else { MEMORY - start };
    insns.push(alu(AluOp::Mov, Reg::R6, Operand::Reg(fixed)));
    insns.push(alu(AluOp::Add, Reg::R6, Operand::Imm(start)));
    let scale = n.pick(&[0, 0, 1, 2, 3]);
    let step = n.pick(&[1, 1, 2, 4, 8, -1, -4, -8]);
    let anywhere = between(n, -20, 100);
    let first = n.pick(&[0, 0, 0, 1, left >> scale, anywhere]);
    let count = between(n, 1, 14);
    insns.push(alu(AluOp::Mov, Reg::R2, Operand::Imm(count)));
    insns.push(alu(AluOp::Mov, Reg::R3, Operand::Imm(first)));
    let head = insns.len();
    let mut address = vec![alu(AluOp::Mov, Reg::R5, Operand::Reg(Reg::R3))];
    if scale != 0 {
        address.push(alu(AluOp::Lsh, Reg::R5, Operand::Imm(scale)));
    }
    address.push(alu(AluOp::Add, Reg::R5, Operand::Reg(Reg::R6)));
    for _ in 0..between(n, 1, 4) {
        match n.below(5) {
            0 => {
                let off = between(n, -3, left.max(-2)) as i16;
                insns.extend(access(n, Reg::R6, off));
            }
            1 => {
                let off = between(n, 0, 60) as i16;
                insns.extend(access(n, fixed, if fixed == Reg::R10 { off - 64 } else { off }));
            }
            _ => {
                let off = n.pick(&[0, 0, 0, 4, 16, -1, -8]);
                insns.extend(&address);
                for extra in 0..between(n, 1, 4) {
                    insns.extend(access(n, Reg::R5, (off + 4 * extra) as i16));
                }
            }
        }
    }
    if n.below(6) == 0 {
        // Whoever is called may take memory away; the registers that hold something do not survive, but these do.
        insns.push(alu(AluOp::Mov, Reg::R7, Operand::Reg(Reg::R2)));
        insns.push(alu(AluOp::Mov, Reg::R8, Operand::Reg(Reg::R3)));
        for reg in [Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5] {
            insns.push(alu(AluOp::Mov, reg, Operand::Imm(3)));
        }
        insns.push(Insn::CallHelper { id: MIX });
        insns.push(alu(AluOp::Mov, Reg::R2, Operand::Reg(Reg::R7)));
        insns.push(alu(AluOp::Mov, Reg::R3, Operand::Reg(Reg::R8)));
    }
    insns.push(alu(AluOp::Add, Reg::R3, Operand::Imm(step)));
    insns.push(alu(AluOp::Add, Reg::R2, Operand::Imm(-1)));
    let slots = |insns: &[Insn]| insns.iter().map(|insn| insn.encode().to_vec().len()).sum::<usize>();
    let back = slots(&insns[head..]) + 1;
    insns.push(Insn::Branch {
        width: Width::W64,
        cond: Cond::Ne,
        dst: Reg::R2,
        src: Operand::Imm(0),
        off: -(back as i16),
    });
}

fn case(seed: u64) -> Case {
    let n = &mut Numbers::new(seed);
    let mut insns = vec![
        alu(AluOp::Mov, Reg::R9, Operand::Reg(Reg::R1)),
        alu(AluOp::Mov, Reg::R0, Operand::Imm(between(n, 0, 99))),
    ];
    for off in (-512..0).step_by(8) {
        insns.push(Insn::Store { size: Size::Dw, base: Reg::R10, off, src: Operand::Imm(i32::from(off)) });
    }
    for _ in 0..between(n, 1, 8) {
        let fixed = n.pick(&[Reg::R9, Reg::R9, Reg::R10]);
        looping(n, &mut insns, fixed);
    }
    // Sometimes the last loop is all that is behind its own rooms, and those of the loops before.
    let tail: &[i16] = if n.below(2) == 0 { &[-96, -48, -8] } else { &[] };
    for &off in tail {
        insns.push(Insn::Load { kind: LoadKind::U64, dst: Reg::R4, base: Reg::R10, off });
        insns.push(alu(AluOp::Add, Reg::R0, Operand::Reg(Reg::R4)));
    }
    insns.push(Insn::Exit);
    let slots: Vec<_> = insns.iter().flat_map(|insn| insn.encode().to_vec()).collect();
    Case {
        name: format!("seed {seed}"),
        lines: vec![0; slots.len()],
        slots,
        input: Input::Memory((0..MEMORY).map(|byte| byte as u8 ^ seed as u8).collect()),
        fuel: if n.below(8) == 0 { n.below(400) } else { 10_000 },
        unwritten_is_zero: false,
        register_calls: false,
        expected: Expected::Returns(0),
        besides: Vec::new(),
        leaves: None,
    }
}

#[test]
fn loops_over_memory_end_as_on_the_reference_machine() {
    let (mut returned, mut stopped) = (0, 0);
    for seed in 0..800 {
        let case = case(seed);
        let exact = Exact.run(&case).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let ours = Jit.run(&case).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let same = match (&exact, &ours) {
            // What engines say of an error in words is their own.
            (Ending::Stopped(at, code, _), Ending::Stopped(other, kind, _)) => at == other && code == kind,
            (exact, ours) => exact == ours,
        };
        assert!(same, "seed {seed}: {exact:?} is {ours:?}");
        match exact {
            Ending::Returned(..) => returned += 1,
            _ => stopped += 1,
        }
    }
    assert!(returned > 100 && stopped > 100, "{returned} returned and {stopped} stopped");
}
