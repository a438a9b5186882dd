//! Random sets of programs that go on in one another, joined to one piece of machine code: they must come to what the
//! interpreter comes to, which runs one after the other, with the same fuel left, or stop at the same instruction.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::Numbers;
use skep_embedded::CodePages;
use skep_ir::join::{Joined, can_be_joined, join};
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Access, Address, Level, Link, Metering, Options, Source};
use skep_isa::{Addr, InsnIdx, Program as Bytecode, structure, text};
use skep_jit::x86_64::{Features, Target};
use skep_mem::{Block, Fuel};
use skep_vm::jit::{JitOptions, JitProgram, TailCalls, features};
use skep_vm::{CallEnd, Calls, Cpu, Program, Reach, Regions, Stop, StopKind};
use std::cell::Cell;

const TAIL_CALL: u32 = 12;
const MOST: u32 = 7;

/// Answers tail calls as who runs programs one by one does.
struct Follows {
    programs: u32,
    left: Cell<u32>,
    next: Cell<Option<u32>>,
}

impl<'m> Calls<'m> for Follows {
    fn helper(&self, id: u32, args: [u64; 5], _: &Reach<'_, 'm>) -> Result<u64, CallEnd> {
        if id != TAIL_CALL {
            return Err(CallEnd::Stop(StopKind::UnknownHelper { id }));
        }
        let next = args[2] as u32;
        if next >= self.programs || self.left.get() == 0 {
            return Ok(u64::MAX);
        }
        self.left.set(self.left.get() - 1);
        self.next.set(Some(next));
        Err(CallEnd::Unwind(0))
    }
}

struct Outside;

impl Link for Outside {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, _: u32) -> Option<u8> {
        Some(5)
    }
}

/// Writes one of so many programs: it counts in the memory, keeps a few values, may use its stack and a function, and goes on
/// in another one, or in none.
fn program(n: &mut Numbers, programs: u64) -> String {
    let mut text = String::from("r6 = r1\nr9 = r2\nr9 += r3\nr9 += r4\nr9 += r5\n");
    text += &format!("r7 = *(u32 *)(r6 + 0)\nr7 += {}\n*(u32 *)(r6 + 0) = r7\n", 1 + n.below(9));
    let kept = n.below(7);
    for slot in 0..kept {
        // Slots of constant places become values.
        text += &format!(
            "r0 = *(u32 *)(r6 + {})\nr0 += {slot}\n*(u64 *)(r10 - {}) = r0\n",
            4 * (slot % 4),
            64 + 8 * slot
        );
    }
    let uses_stack = n.below(2) == 0;
    if uses_stack {
        text += "r2 = r10\nr2 += -8\n*(u64 *)(r2 + 0) = r7\nr1 = r2\nr2 = r9\ncall f\nr9 ^= r0\n";
    }
    if n.below(3) == 0 {
        text += "r1 = r7\nr1 &= 3\nagain:\nr9 += r1\nr1 -= 1\nif r1 s> 0 goto again\n";
    }
    if n.below(3) != 0 {
        // Not always to memory that is there.
        text += "r1 = r6\nr2 = r7\nr2 &= 31\nr1 += r2\nr9 += 1\nr0 = *(u8 *)(r1 + 0)\nr9 += r0\n";
    }
    if n.below(2) == 0 {
        text += &format!("if r7 & {} goto stay\n", n.pick(&[1, 2, 4, 8, 16, 32]));
    }
    match n.below(3) {
        0 => text += &format!("r3 = {}\n", n.below(programs + 1)),
        _ => text += &format!("r3 = r7\nr3 %= {}\n", programs + 1),
    }
    text += "r1 = 0\nr2 = 0\ncall 12\nr9 += r0\nstay:\n";
    for slot in 0..kept {
        text += &format!("r0 = *(u64 *)(r10 - {})\nr9 *= 31\nr9 += r0\n", 64 + 8 * slot);
    }
    text += "r0 = r9\nr0 += r7\nexit\n";
    if uses_stack {
        text += "f:\nr0 = *(u64 *)(r1 + 0)\nr0 += r2\n*(u64 *)(r10 - 16) = r0\nr3 = r10\nr3 += -16\nr0 = *(u32 *)(r3 + 0)\nexit\n";
    }
    text
}

/// How a run ended, in which program, what fuel was left, and what the memory held.
type Ended = (Result<u64, (usize, Stop)>, u64, Vec<u8>);

fn codes(programs: &[Bytecode], machine: &Machine, options: &Options) -> Vec<Code> {
    let code = |program: &Bytecode| {
        let structure = structure::check(program).expect("it has a shape");
        compile(Source { program, structure: &structure, link: &Outside }, machine, options)
            .expect("it compiles")
    };
    programs.iter().map(code).collect()
}

/// Runs with fresh memory; all runs have it at the same place.
fn run(
    block: &Block,
    fuel: u64,
    how: impl FnOnce(&mut Cpu, &mut Regions<'_>, [u64; 5], &Fuel) -> Result<u64, (usize, Stop)>,
) -> Ended {
    let bytes = block.bytes();
    let content: Vec<u8> = (0..bytes.len()).map(|at| if at % 4 == 0 { at as u8 } else { 0 }).collect();
    bytes.copy_in(0, &content).expect("inside");
    let mut regions = Regions::new();
    regions.add_writable(bytes).expect("memory");
    let fuel = Fuel::new(fuel);
    let args = [bytes.addr() as u64, bytes.len() as u64, 0, 0, 0];
    let result = how(&mut Cpu::new(), &mut regions, args, &fuel);
    let mut left = vec![0; bytes.len()];
    bytes.copy_out(0, &mut left).expect("inside");
    (result, fuel.left(), left)
}

/// Runs one after the other.
fn one_by_one(codes: &[Code], block: &Block, units: u64) -> Ended {
    let programs: Vec<Program> =
        codes.iter().map(|code| Program::checked(code, 512).expect("it is checked")).collect();
    run(block, units, |cpu, regions, args, fuel| {
        let follows =
            Follows { programs: programs.len() as u32, left: Cell::new(MOST), next: Cell::new(None) };
        let mut number = 0;
        loop {
            let result = programs[number].run(cpu, regions, args, fuel, &follows);
            match follows.next.take() {
                Some(next) => number = next as usize,
                None => return result.map_err(|stop| (number, stop)),
            }
        }
    })
}

fn joined(codes: &[Code], target: &Target, access: Access, block: &Block, units: u64) -> Ended {
    assert!(codes.iter().all(can_be_joined));
    let Joined { code, starts } = join(codes).expect("they fit");
    let tail_calls = TailCalls { ids: &[TAIL_CALL], most: MOST };
    let options = JitOptions { tail_calls, ..JitOptions::from(512) };
    let program = match access {
        Access::Checked => JitProgram::checked(&code, target, options, CodePages),
        // SAFETY: only programs are run so whose accesses were all let through before.
        Access::Unchecked => unsafe { JitProgram::unchecked(&code, target, options, CodePages) },
    }
    .expect("it can be emitted");
    for insn in iced_x86::Decoder::new(64, program.bytes(), iced_x86::DecoderOptions::NONE).iter().take(20) {
        assert!(!insn.is_invalid());
    }
    // Whoever asks the runner is not joined.
    let nobody = Follows { programs: 0, left: Cell::new(0), next: Cell::new(None) };
    run(block, units, |cpu, regions, args, fuel| {
        program.run(cpu, regions, args, fuel, &nobody).map_err(|stop| {
            let number = starts.partition_point(|start| *start <= stop.at) - 1;
            (number, Stop { at: InsnIdx(stop.at.0 - starts[number].0), ..stop })
        })
    })
}

#[test]
fn joined_programs_go_on_as_single_ones_do() {
    let block = Block::copy_of(&[0; 24]).expect("memory");
    let (mut returned, mut stopped, mut spent) = (0, 0, 0);
    for seed in 0..120 {
        let mut n = Numbers::new(seed);
        let count = 1 + n.below(4);
        let texts: Vec<String> = (0..count).map(|_| program(&mut n, count)).collect();
        let assembled = |text: &String| {
            let assembled = text::assemble(text, &()).unwrap_or_else(|error| panic!("{error}: {text}"));
            Bytecode::decode(assembled.slots()).expect("it is valid")
        };
        let programs: Vec<Bytecode> = texts.iter().map(assembled).collect();
        let plenty = 100_000;
        let enough = {
            let codes = codes(&programs, &Machine::INTERPRETER, &Options::default());
            plenty - one_by_one(&codes, &block, plenty).1
        };
        for units in [plenty, enough, enough - 1, n.below(enough), n.below(enough)] {
            let interpreted = codes(&programs, &Machine::INTERPRETER, &Options::default());
            let wanted = one_by_one(&interpreted, &block, units);
            match &wanted.0 {
                Ok(_) => returned += 1,
                Err((_, Stop { kind: StopKind::Fuel, .. })) => spent += 1,
                Err(_) => stopped += 1,
            }
            for level in [Level::O0, Level::O] {
                for (features, registers) in [(features(), 13), (Features::NONE, 3)] {
                    for access in [Access::Checked, Access::Unchecked] {
                        if access == Access::Unchecked
                            && wanted.0.as_ref().is_err_and(|(_, stop)| stop.kind != StopKind::Fuel)
                        {
                            continue;
                        }
                        let options = Options { level, access, ..Options::default() };
                        let target =
                            Target::new(features, access, Metering::Metered).with_registers(registers);
                        let codes = codes(&programs, &target.machine(), &options);
                        let found = joined(&codes, &target, access, &block, units);
                        assert_eq!(
                            found, wanted,
                            "seed {seed}, {options:?}, {registers}, {units}: {texts:#?}"
                        );
                    }
                }
            }
        }
    }
    assert!(returned > 100 && stopped > 10 && spent > 100, "{returned} {stopped} {spent}");
}
