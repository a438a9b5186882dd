//! Programs that are compiled: operations of the interpreter, and machine code in a buffer that the caller brings.

use super::Check;
use super::text::insns;
use alloc::boxed::Box;
use alloc::vec;
use core::error::Error;
use core::ptr::NonNull;
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Address, Link, Options, Source};
use skep_isa::{Addr, ByteOrder, Program as Bytecode, raw, structure};
use skep_jit::x86_64::Target;
use skep_mem::{Bytes, CodeBuffer, Fuel};
use skep_vm::jit::{JitProgram, features};
use skep_vm::{Cpu, NoCalls, Program, Regions, Stop};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "a compiled program is interpreted", run: || expect(interpreted) },
    Check { name: "a compiled program is run as machine code", run: || expect(machine_code) },
    Check { name: "the virtual machine runs a program on every engine", run: || expect(virtual_machine) },
];

/// Sums the bytes of its memory twice over, by a function and by way of the stack.
const SUM: &str = "
    r6 = r1
    r7 = r2
    r8 = 0
    *(u64 *)(r10 - 8) = 2
again:
    r1 = r6
    r2 = r7
    call sum
    r8 += r0
    r1 = *(u64 *)(r10 - 8)
    r1 += -1
    *(u64 *)(r10 - 8) = r1
    if r1 != 0 goto again
    r0 = r8
    exit
sum:
    r0 = 0
    if r2 == 0 goto done
next:
    r3 = *(u8 *)(r1 + 0)
    r0 += r3
    r1 += 1
    r2 += -1
    if r2 != 0 goto next
done:
    exit";

/// There is nothing around the program.
struct Alone;

impl Link for Alone {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, _: u32) -> Option<u8> {
        None
    }
}

fn compiled(machine: &Machine) -> Result<Code, Box<dyn Error>> {
    let slots = insns(SUM);
    let program = Bytecode::decode(&raw::from_bytes(slots.as_flattened(), ByteOrder::Little)?)?;
    let structure = structure::check(&program)?;
    let source = Source { program: &program, structure: &structure, link: &Alone };
    Ok(compile(source, machine, &Options::default())?)
}

/// Runs it on all of a memory, and on one byte less than it is told.
fn sums(run: impl Fn(&mut Regions<'_>, [u64; 5]) -> Result<u64, Stop>) -> Result<(), Box<dyn Error>> {
    let mut memory = [1, 2, 3, 4, 5, 6, 7];
    let bytes = Bytes::from_mut(&mut memory);
    let args = [bytes.addr() as u64, bytes.len() as u64, 0, 0, 0];
    let mut regions = Regions::new();
    regions.add_writable(bytes)?;
    assert_eq!(run(&mut regions, args), Ok(56));
    let mut regions = Regions::new();
    regions.add_writable(bytes.slice(0, 6)?)?;
    let stop = run(&mut regions, args).expect_err("the last byte is not allowed");
    assert_eq!((stop.at.0, stop.kind.code()), (16, "out_of_bounds"));
    Ok(())
}

fn interpreted() -> Result<(), Box<dyn Error>> {
    let program = Program::checked(&compiled(&Machine::INTERPRETER)?, 512)?;
    sums(|regions, args| program.run(&mut Cpu::new(), regions, args, &Fuel::new(1000), &NoCalls))
}

fn machine_code() -> Result<(), Box<dyn Error>> {
    let target = Target::new(features(), skep_ir::Access::Checked, skep_ir::Metering::Metered);
    let code = compiled(&target.machine())?;
    with_code(|buffer| {
        let program = JitProgram::checked(&code, &target, 512, buffer)?;
        sums(|regions, args| program.run(&mut Cpu::new(), regions, args, &Fuel::new(1000), &NoCalls))
    })
}

/// Gives memory for machine code to a check, for as long as it runs.
fn with_code(check: impl FnOnce(&CodeBuffer) -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let mut memory = vec![0u64; 1024].into_boxed_slice();
    let base = NonNull::from(&mut *memory).cast::<u8>();
    // SAFETY: the heap's memory may be executed here, this is nobody else's until the end of the function, and x86
    // executes what was written without being told.
    let buffer = unsafe { CodeBuffer::new(base, 8 * 1024) };
    check(&buffer)
}

fn virtual_machine() -> Result<(), Box<dyn Error>> {
    use skep_machine::{Engine, Helper, Input, Param, Setup, StopKind};
    with_code(|code| {
        for engine in Engine::ALL {
            let count = Helper::new("count", &[Param::READ, Param::Len], |calls: &mut u64, args| {
                *calls += 1;
                Ok(args.bytes(0).len() as u64)
            });
            let setup = Setup::new().engine(engine).code(code).helper(1, count);
            let program = setup.assemble("r6 = *(u8 *)(r1 + 2)\ncall count\nr0 += r6\nexit")?;
            let machine = setup.load(program)?;
            let mut cpu = skep_machine::Cpu::new(0).with_fuel(1000);
            assert_eq!(machine.run(&mut cpu, Input::Memory(&mut [1, 2, 3])), Ok(6));
            let stop = machine.run(&mut cpu, Input::Memory(&mut [1, 2])).expect_err("there is no third byte");
            assert_eq!((stop.at().0, stop.kind(), *cpu.state()), (0, StopKind::OutOfBounds, 1));
        }
        Ok(())
    })
}

fn expect(check: fn() -> Result<(), Box<dyn Error>>) {
    if let Err(error) = check() {
        panic!("{error}");
    }
}
