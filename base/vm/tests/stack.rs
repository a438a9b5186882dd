//! What functions of a checked program find on their stacks.

use skep_ir::{Address, Link, Options, Source, lower::compile, machine::Machine};
use skep_isa::{Addr, InsnIdx, structure, text};
use skep_mem::Fuel;
use skep_vm::{Cpu, NoCalls, Program, Regions, StopKind};

/// Has nothing outside the program.
struct Alone;

impl Link for Alone {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, _: u32) -> Option<u8> {
        None
    }
}

fn program(source: &str) -> Program {
    let assembled = text::assemble(source, &|_: &str| None).unwrap();
    let bytecode = skep_isa::Program::decode(assembled.slots()).unwrap();
    let structure = structure::check(&bytecode).unwrap();
    let source = Source { program: &bytecode, structure: &structure, link: &Alone };
    let code = compile(source, &Machine::INTERPRETER, &Options::default()).unwrap();
    Program::checked(&code, 512).unwrap()
}

fn run(program: &Program, cpu: &mut Cpu) -> Result<u64, skep_vm::Stop> {
    program.run(cpu, &mut Regions::new(), [0; 5], &Fuel::new(1000), &NoCalls)
}

/// Gives what it finds, and leaves something else; through a copy of r10, so that it is memory.
const LEAVES: &str = "leaves:\nr2 = r10\nr0 = *(u64 *)(r2 - 8)\nr3 = 7\n*(u64 *)(r2 - 8) = r3\nexit\n";

#[test]
fn what_a_function_left_the_next_does_not_find() {
    let twice = format!("call leaves\nr6 = r0\ncall leaves\nr0 += r6\nexit\n{LEAVES}");
    let (twice, mut cpu) = (program(&twice), Cpu::new());
    assert_eq!(run(&twice, &mut cpu), Ok(0));
    // Nor does the next run.
    assert_eq!(run(&twice, &mut cpu), Ok(0));
}

#[test]
fn a_frame_that_is_left_is_no_memory() {
    let source = "call leaves_address\nr0 = *(u64 *)(r0 - 8)\nexit\nleaves_address:\nr0 = r10\nr3 = 7\n*(u64 *)(r0 - 8) = r3\nexit\n";
    let stop = run(&program(source), &mut Cpu::new()).unwrap_err();
    assert_eq!(stop.at, InsnIdx(1));
    assert!(matches!(stop.kind, StopKind::Read { bytes: 8, .. }), "{stop}");
}

#[test]
fn a_caller_s_frame_is() {
    let source =
        "r1 = r10\nr3 = 7\n*(u64 *)(r10 - 8) = r3\ncall reads\nexit\nreads:\nr0 = *(u64 *)(r1 - 8)\nexit\n";
    assert_eq!(run(&program(source), &mut Cpu::new()), Ok(7));
}
