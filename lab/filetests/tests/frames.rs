//! What profilers see of machine code: names of its pieces, and frames that `rbp` chains together.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use skep_embedded::{CodePages, PerfMap};
use skep_ir::lower::compile;
use skep_ir::{Access, Address, Level, Link, Metering, Options, Source};
use skep_isa::{Addr, Program as Bytecode, structure, text};
use skep_jit::x86_64::Target;
use skep_mem::Fuel;
use skep_vm::jit::{CodePiece, JitOptions, JitProgram, features};
use skep_vm::{Cpu, NoCalls, Plain, Regions};

// Walks frames as `perf` does: from the caller's `rbp` (r1 is where to, r2 how many) the address of each frame and that to
// which it returns.
core::arch::global_asm!(
    ".globl skep_lab_walk",
    "skep_lab_walk:",
    "mov rax, rbp",
    "2:",
    "test rsi, rsi",
    "jz 3f",
    "mov [rdi], rax",
    "mov rcx, [rax + 8]",
    "mov [rdi + 8], rcx",
    "mov rax, [rax]",
    "add rdi, 16",
    "dec rsi",
    "jmp 2b",
    "3:",
    "xor eax, eax",
    "ret",
);

// SAFETY: the function is above; it takes what it reads of these and gives a number.
unsafe extern "C" {
    safe fn skep_lab_walk(to: u64, count: u64, _: u64, _: u64, _: u64, _: u64) -> u64;
}

struct Walker;

impl Link for Walker {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, _: u32) -> Option<u8> {
        Some(2)
    }
}

/// A main function that calls one that calls one, each with something on its stack and something that lives over the call.
const NESTED: &str = "
    r6 = r1
    *(u64 *)(r10 - 8) = r6
    r7 = r10
    r7 += -8
    call middle
    r0 += r6
    r0 -= r6
    exit
middle:
    r8 = r1
    r9 = r2
    call inner
    r0 += r8
    r0 += r9
    r0 -= r8
    r0 -= r9
    exit
inner:
    r6 = r2
    r3 = r10
    *(u64 *)(r3 - 16) = r1
    call 1
    r0 += r6
    exit
";

fn made(level: Level, access: Access, metering: Metering) -> JitProgram<CodePages> {
    let assembled = text::assemble(NESTED, &()).expect("it is a program");
    let bytecode = Bytecode::decode(assembled.slots()).expect("it is valid");
    let structure = structure::check(&bytecode).expect("it has a shape");
    let source = Source { program: &bytecode, structure: &structure, link: &Walker };
    let options = Options { level, access, metering, ..Options::default() };
    let target = Target::new(features(), access, metering);
    let code = compile(source, &target.machine(), &options).expect("it compiles");
    let plain = [Plain { id: 1, function: skep_lab_walk, units: 1 }];
    let options = JitOptions { plain: &plain, ..JitOptions::from(512) };
    match access {
        Access::Checked => JitProgram::checked(&code, &target, options, CodePages),
        // SAFETY: the program accesses its stack alone.
        Access::Unchecked => unsafe { JitProgram::unchecked(&code, &target, options, CodePages) },
    }
    .expect("it can be emitted")
}

fn all() -> Vec<JitProgram<CodePages>> {
    let mut programs = Vec::new();
    for level in [Level::O0, Level::O] {
        for access in [Access::Checked, Access::Unchecked] {
            for metering in [Metering::Metered, Metering::Free] {
                programs.push(made(level, access, metering));
            }
        }
    }
    programs
}

/// Finds the piece that an address is in.
fn around(program: &JitProgram<CodePages>, address: u64) -> Option<CodePiece> {
    program.pieces().find(|piece| (piece.address..piece.address + piece.len).contains(&(address as usize)))
}

#[test]
fn frames_are_chained() {
    for program in all() {
        let mut frames = [[0u64; 2]; 3];
        let to = frames.as_mut_ptr().expose_provenance() as u64;
        let fuel = Fuel::new(1000);
        let result = program.run(&mut Cpu::new(), &mut Regions::new(), [to, 3, 0, 0, 0], &fuel, &NoCalls);
        assert_eq!(result, Ok(3));
        // SAFETY: the array is there; the function has written it, which the compiler does not see.
        let [inner, middle, main] = unsafe { (&raw const frames).read_volatile() };
        let returns_to = |frame: [u64; 2]| around(&program, frame[1]).map(|piece| piece.function);
        assert_eq!(returns_to(inner), Some(Some(1)), "{frames:x?}");
        assert_eq!(returns_to(middle), Some(Some(0)), "{frames:x?}");
        assert_eq!(returns_to(main), None, "to who has entered: {frames:x?}");
        assert!(inner[0] < middle[0] && middle[0] < main[0], "{frames:x?}");
    }
}

#[test]
fn pieces_are_all_of_the_code() {
    for program in all() {
        let mut end = program.bytes().as_ptr().addr();
        for piece in program.pieces() {
            assert_eq!(piece.address, end);
            end += piece.len;
            let start = &program.bytes()[piece.address - program.bytes().as_ptr().addr()..];
            // push rbp; mov rbp, rsp
            assert_eq!(start.starts_with(&[0x55, 0x48, 0x89, 0xe5]), piece.function.is_some(), "{piece:?}");
        }
        assert_eq!(end, program.bytes().as_ptr_range().end.addr());
        let functions: Vec<_> = program.pieces().filter_map(|piece| piece.function).collect();
        assert_eq!(functions, [0, 1, 2]);
    }
}

#[test]
fn perf_finds_names() {
    let program = made(Level::O, Access::Checked, Metering::Metered);
    let mut map = PerfMap::open().expect("a file");
    for piece in program.pieces() {
        map.add(piece.address, piece.len, format_args!("bpf_prog_{:?}", piece.function)).expect("a line");
    }
    let text = std::fs::read_to_string(PerfMap::path()).expect("it is there");
    std::fs::remove_file(PerfMap::path()).expect("it is ours");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), program.pieces().count());
    for (line, piece) in lines.iter().zip(program.pieces()) {
        let [address, len, name] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(usize::from_str_radix(address, 16), Ok(piece.address));
        assert_eq!(usize::from_str_radix(len, 16), Ok(piece.len));
        assert_eq!(name, format!("bpf_prog_{:?}", piece.function));
    }
}
