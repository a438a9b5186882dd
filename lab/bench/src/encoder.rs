//! Encoding x86-64: the same instructions, drawn once, by the assembler of `jit` and by iced's.

use crate::pairs::{self, Case, Outcome, Side};
use iced_x86::code_asm::{CodeAssembler, CodeLabel};
use iced_x86::{Code, Instruction, MemoryOperand, Register};
use skep_jit::x86_64::{
    Alu, Assembler, Cond, Flags, Gpr, Inst, Label, Mem, Narrow, Options, Shift, Size, Tag, Width,
};

/// Instructions in the program.
const COUNT: usize = 4000;
/// How often the program is encoded in one round.
const TIMES: usize = 50;
/// How far a jump leads at most, in instructions: some are short, some are not.
const REACH: usize = 100;
/// What a program's instructions are drawn from: registers that an allocator would hand out.
const REGISTERS: [Gpr; 13] = [
    Gpr::Rax,
    Gpr::Rcx,
    Gpr::Rdx,
    Gpr::Rbx,
    Gpr::Rsi,
    Gpr::Rdi,
    Gpr::R8,
    Gpr::R9,
    Gpr::R10,
    Gpr::R12,
    Gpr::R13,
    Gpr::R14,
    Gpr::R15,
];

const CASES: [Case; 1] = [Case {
    name: "encode, relax and write x86-64, per instruction",
    peer: "iced-x86 1.22",
    ours: by_skep,
    theirs: by_iced,
}];

/// Measures every case and prints its line.
pub(crate) fn measure(rounds: u32) {
    pairs::measure(&CASES, rounds);
}

/// One instruction, in words of neither side.
#[derive(Clone, Copy)]
struct Step {
    kind: Kind,
    dst: Gpr,
    src: Gpr,
    number: i32,
}

#[derive(Clone, Copy)]
enum Kind {
    Add,
    Mov32,
    Compare,
    AndImm,
    MovImm,
    ShiftLeft,
    Load,
    LoadByte,
    Extend,
    Store,
    Jump(usize),
}

/// Draws the program: about a third is arithmetic, a quarter touches memory, a seventh jumps.
fn program() -> Vec<Step> {
    let mut state = 0x5eed_u64;
    let mut below = |bound: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    };
    let step = |at: usize| {
        let kind = match below(14) {
            0..3 => Kind::Add,
            3 => Kind::Mov32,
            4 => Kind::Compare,
            5 => Kind::AndImm,
            6 => Kind::MovImm,
            7 => Kind::ShiftLeft,
            8..10 => Kind::Load,
            10 => Kind::LoadByte,
            11 => Kind::Extend,
            12 => Kind::Store,
            _ => Kind::Jump((at + below(2 * REACH)).saturating_sub(REACH).min(COUNT - 1)),
        };
        let number = [1, -8, 24, 0x1234, -0x2000][below(5)];
        Step { kind, dst: REGISTERS[below(13)], src: REGISTERS[below(13)], number }
    };
    (0..COUNT).map(step).collect()
}

fn by_skep() -> Outcome<Side> {
    let program = program();
    let mut out = vec![0; 16 * COUNT];
    let mut encode = move || {
        let mut a = Assembler::new(Options::default());
        let labels: Vec<Label> = program.iter().map(|_| a.label()).collect();
        for (at, step) in program.iter().enumerate() {
            let Step { dst, src, number, .. } = *step;
            a.bind(labels[at]);
            a.mark(Tag(at as u32));
            match step.kind {
                Kind::Add => a.put(Inst::alu(Alu::Add, Width::W64, dst, src)),
                Kind::Mov32 => a.put(Inst::mov(Width::W32, dst, src)),
                Kind::Compare => a.put(Inst::alu(Alu::Cmp, Width::W64, dst, src)),
                Kind::AndImm => a.put(Inst::alu_imm(Alu::And, Width::W32, dst, number)),
                Kind::MovImm => a.put(Inst::mov_imm(dst, number as u64, Flags::Keep)),
                Kind::ShiftLeft => {
                    a.put(Inst::shift_imm(Shift::Shl, Width::W64, dst, number as u8 & 63));
                }
                Kind::Load => a.put(Inst::mov_zx(Size::B8, dst, Mem::base(src, number))),
                Kind::LoadByte => a.put(Inst::mov_zx(Size::B1, dst, Mem::base(src, number))),
                Kind::Extend => a.put(Inst::mov_sx(Width::W64, Narrow::B4, dst, src)),
                Kind::Store => a.put(Inst::store(Size::B4, Mem::base(dst, number), src)),
                Kind::Jump(target) => a.jcc(Cond::E, labels[target]),
            }
        }
        let plan = a.plan()?;
        let len = plan.write(&mut out, 0)?;
        if plan.side_table()?.rows().len() != COUNT || len < 2 * COUNT {
            return Err("the code is not whole".into());
        }
        Ok(())
    };
    Ok(Box::new(move || repeat(&mut encode)))
}

fn by_iced() -> Outcome<Side> {
    let program = program();
    let mut encode = move || {
        let mut a = CodeAssembler::new(64)?;
        let mut labels: Vec<CodeLabel> = program.iter().map(|_| a.create_label()).collect();
        for (at, step) in program.iter().enumerate() {
            let Step { number, .. } = *step;
            let [dst, src] = [step.dst, step.src].map(|gpr| Register::RAX + u32::from(gpr.number()));
            let [dst32, src32] = [step.dst, step.src].map(|gpr| Register::EAX + u32::from(gpr.number()));
            let at_reg = |base| MemoryOperand::with_base_displ(base, i64::from(number));
            let and = if i8::try_from(number).is_ok() { Code::And_rm32_imm8 } else { Code::And_rm32_imm32 };
            a.set_label(&mut labels[at])?;
            let inst = match step.kind {
                Kind::Add => Instruction::with2(Code::Add_rm64_r64, dst, src)?,
                Kind::Mov32 => Instruction::with2(Code::Mov_rm32_r32, dst32, src32)?,
                Kind::Compare => Instruction::with2(Code::Cmp_rm64_r64, dst, src)?,
                Kind::AndImm => Instruction::with2(and, dst32, number)?,
                Kind::MovImm => Instruction::with2(Code::Mov_rm64_imm32, dst, number)?,
                Kind::ShiftLeft => Instruction::with2(Code::Shl_rm64_imm8, dst, number & 63)?,
                Kind::Load => Instruction::with2(Code::Mov_r64_rm64, dst, at_reg(src))?,
                Kind::LoadByte => Instruction::with2(Code::Movzx_r32_rm8, dst32, at_reg(src))?,
                Kind::Extend => Instruction::with2(Code::Movsxd_r64_rm32, dst, src32)?,
                Kind::Store => Instruction::with2(Code::Mov_rm32_r32, at_reg(dst), src32)?,
                Kind::Jump(target) => {
                    a.je(labels[target])?;
                    continue;
                }
            };
            a.add_instruction(inst)?;
        }
        if a.assemble(0)?.len() < 2 * COUNT {
            return Err("the code is not whole".into());
        }
        Ok(())
    };
    Ok(Box::new(move || repeat(&mut encode)))
}

fn repeat(encode: &mut impl FnMut() -> Outcome<()>) -> Outcome<u64> {
    for _ in 0..TIMES {
        encode()?;
    }
    Ok((TIMES * COUNT) as u64)
}
