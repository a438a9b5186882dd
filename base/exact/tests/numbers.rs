//! `Pointers::Numbers`: pointers as the numbers that user-space virtual machines have, checked all the same.

mod common;

use common::{Bare, EXIT, add, alu, atomic, imm64, load_at, mov, slots, store};
use skep_exact::{
    CallEnd, Entry, Fuel, HelperLink, MapRef, MapShape, Outcome, Platform, Pointers, Program, Rights, Rules,
    Stack, UninitRegisters, UninitStack, World, run,
};
use skep_isa::Reg::{R0, R1, R2, R3, R6, R10};
use skep_isa::{AluOp, AtomicOp, Insn, LoadKind, Size, Width};
use skep_mem::{Arg, Block, Bytes, Invoke, Lend, MapIndex, Ret};

/// Where other memory is, by its address.
const READ_WRITE: u64 = 0x5000;
const READ_ONLY: u64 = 0x6000;

/// Lends other memory, and has a helper that fills memory with nines, or tells its first byte.
struct Lab<'m> {
    other: Bytes<'m>,
}

impl Platform for Lab<'_> {
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, _: u32) -> HelperLink {
        HelperLink::Plain
    }
}

const FILL: u32 = 1;
const FIRST: u32 = 2;

impl<'m> World<'m> for Lab<'m> {
    fn memory_at(&self, address: u64, len: usize) -> Option<(Bytes<'m>, Rights)> {
        [(READ_WRITE, Rights::ReadWrite), (READ_ONLY, Rights::ReadOnly)].into_iter().find_map(
            |(start, rights)| {
                let offset = usize::try_from(address.checked_sub(start)?).ok()?;
                Some((self.other.slice(offset, len).ok()?, rights))
            },
        )
    }

    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let [Arg::Int(address), Arg::Int(len), ..] = *args else { return Err(CallEnd::Unknown) };
        let how = if id == FILL { Lend::Write } else { Lend::Read };
        let Some(bytes) = invoke.lend(address, len as usize, how) else { return Ok(Ret::Int(u64::MAX)) };
        match id {
            FILL => bytes.fill(9),
            _ => return Ok(Ret::Int(bytes.load_u8(0).unwrap_or(0).into())),
        }
        Ok(Ret::Int(0))
    }
}

fn outcome(insns: &[Insn], uninit_stack: UninitStack) -> Outcome {
    let other = Block::copy_of(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let lab = Lab { other: other.bytes() };
    let rules = Rules { pointers: Pointers::Numbers, uninit_stack, ..Rules::default() };
    let program = Program::new(&slots(insns), &lab, rules).unwrap();
    let stack = Stack::new().unwrap();
    let memory = Block::copy_of(&[10, 11, 12, 13, 14, 15, 16, 17]).unwrap();
    run(&program, &lab, &stack, Entry::Memory(memory.bytes()), &Fuel::new(10_000))
}

#[track_caller]
fn returns(insns: &[Insn], want: u64) {
    assert_eq!(outcome(insns, UninitStack::Fault).result, Ok(want), "{insns:?}");
}

#[track_caller]
fn stops(insns: &[Insn], at: u32, code: &str) {
    let fault = outcome(insns, UninitStack::Fault).result.unwrap_err();
    assert_eq!((fault.at.0, fault.kind.code()), (at, code), "{fault}");
}

fn call(id: u32) -> Insn {
    Insn::CallHelper { id }
}

#[test]
fn every_operation_sees_a_pointers_number() {
    let xor = |reg| alu(Width::W64, AluOp::Xor, reg, -1);
    returns(&[xor(R1), xor(R1), load_at(LoadKind::U8, R0, R1, 3), EXIT], 13);
    returns(&[alu(Width::W64, AluOp::Mul, R1, 0), mov(R0, R1), EXIT], 0);
    let aligned = [
        mov(R1, R10),
        add(R1, -3),
        alu(Width::W64, AluOp::And, R1, -8),
        store(Size::Dw, R1, 0, 5),
        load_at(LoadKind::U64, R0, R10, -8),
        EXIT,
    ];
    returns(&aligned, 5);
    // The same is a fault where pointers are distinct from numbers.
    let fault = common::result(&[xor(R1), mov(R0, 0), EXIT]).unwrap_err();
    assert_eq!((fault.at.0, fault.kind.code()), (0, "pointer_arithmetic"));
}

#[test]
fn a_pointer_survives_memory_in_parts() {
    let split = [
        store(Size::W, R10, -8, R1),
        alu(Width::W64, AluOp::Rsh, R1, 32),
        store(Size::W, R10, -4, R1),
        load_at(LoadKind::U64, R1, R10, -8),
        load_at(LoadKind::U8, R0, R1, 7),
        EXIT,
    ];
    if cfg!(target_endian = "little") {
        returns(&split, 17);
    }
    let through = [
        store(Size::Dw, R1, 0, R1),
        load_at(LoadKind::U64, R2, R1, 0),
        store(Size::B, R2, 3, 77),
        load_at(LoadKind::U8, R0, R1, 3),
        EXIT,
    ];
    returns(&through, 77);
    let spoilt =
        [store(Size::Dw, R10, -8, R1), store(Size::B, R10, -8, 0), load_at(LoadKind::U8, R0, R10, -8), EXIT];
    returns(&spoilt, 0);
    let kept = [
        store(Size::Dw, R10, -8, R1),
        mov(R2, 0),
        atomic(Width::W64, AtomicOp::Add, R10, -8, R2),
        load_at(LoadKind::U64, R1, R10, -8),
        load_at(LoadKind::U8, R0, R1, 0),
        EXIT,
    ];
    returns(&kept, 10);
}

#[test]
fn memory_is_found_by_its_address() {
    let at = |address: u64, insn| [imm64(R1, address), insn, EXIT];
    let load = |off| load_at(LoadKind::U8, R0, R1, off);
    returns(&at(READ_WRITE, load(0)), 1);
    returns(&at(READ_ONLY, load(7)), 8);
    returns(&at(READ_ONLY + 9, load(-2)), 8);
    stops(&at(READ_WRITE, load(8)), 2, "not_a_pointer");
    stops(&at(READ_WRITE, load(-1)), 2, "not_a_pointer");
    stops(&at(READ_WRITE + 1, load_at(LoadKind::U64, R0, R1, 0)), 2, "not_a_pointer");
    stops(&at(READ_ONLY, store(Size::B, R1, 0, 1)), 2, "no_right");
    stops(&at(0, load(0)), 2, "null_pointer");
    returns(&[imm64(R1, READ_WRITE), store(Size::B, R1, 1, 7), load_at(LoadKind::U8, R0, R1, 1), EXIT], 7);
}

#[test]
fn numbers_lead_no_further_than_pointers() {
    let back = |off, insn| [alu(Width::W64, AluOp::Or, R1, 0), add(R1, off), insn, EXIT];
    let load = load_at(LoadKind::U8, R0, R1, 0);
    returns(&back(7, load), 17);
    stops(&back(8, load), 2, "out_of_bounds");
    stops(&back(-1, load), 2, "not_a_pointer");
    // A frame that has returned stays gone.
    let dangling = [
        Insn::CallLocal { off: 3 },
        mov(R1, R0),
        load_at(LoadKind::U8, R0, R1, -8),
        EXIT,
        store(Size::Dw, R10, -8, 1),
        mov(R0, R10),
        alu(Width::W64, AluOp::Or, R0, 0),
        EXIT,
    ];
    stops(&dangling, 2, "use_after_free");
}

#[test]
fn helpers_are_lent_what_the_program_may_use() {
    let on_stack = |before: &[Insn], len, id| {
        let call = [mov(R1, R10), add(R1, -8), mov(R2, len), call(id)];
        [before, &call, &[EXIT]].concat()
    };
    let written = [store(Size::Dw, R10, -8, 5)];
    if cfg!(target_endian = "little") {
        returns(&on_stack(&written, 8, FIRST), 5);
    }
    returns(&on_stack(&written, 9, FIRST), u64::MAX);
    returns(&on_stack(&[], 8, FIRST), u64::MAX);
    let unwritten = outcome(&on_stack(&[], 8, FIRST), UninitStack::Zero).result;
    assert_eq!(unwritten, Ok(0));
    // What a helper writes is data, also over a pointer.
    let filled = [
        store(Size::Dw, R10, -8, R1),
        mov(R1, R10),
        add(R1, -8),
        mov(R2, 8),
        call(FILL),
        load_at(LoadKind::U64, R0, R10, -8),
        EXIT,
    ];
    returns(&filled, 0x0909_0909_0909_0909);
    let other = |address, id| [imm64(R1, address), mov(R2, 8), call(id), EXIT];
    returns(&other(READ_ONLY, FIRST), 1);
    returns(&other(READ_ONLY, FILL), u64::MAX);
    returns(&other(READ_WRITE, FILL), 0);
    returns(&other(READ_WRITE + 1, FILL), u64::MAX);
}

#[test]
fn unwritten_registers_may_be_zero() {
    let rules = Rules { uninit_registers: UninitRegisters::Zero, ..Rules::default() };
    let result = |insns: &[Insn]| common::on_memory(insns, rules.clone(), &[0; 8]).0.result;
    assert_eq!(result(&[EXIT]), Ok(0));
    assert_eq!(result(&[alu(Width::W64, AluOp::Add, R0, R3), add(R0, 2), EXIT]), Ok(2));
    let call = Insn::CallLocal { off: 2 };
    let callee = [mov(R3, 7), mov(R0, R6), EXIT];
    assert_eq!(
        result(&[&[mov(R6, 5), call, alu(Width::W64, AluOp::Add, R0, R3), EXIT][..], &callee].concat()),
        Ok(0)
    );
}

#[test]
fn nothing_is_an_input_too() {
    let program = |insns: &[Insn]| Program::new(&slots(insns), &Bare, Rules::default()).unwrap();
    let stack = Stack::new().unwrap();
    let result = |insns: &[Insn]| run(&program(insns), &Bare, &stack, Entry::Nothing, &Fuel::new(100)).result;
    assert_eq!(result(&[mov(R0, R1), alu(Width::W64, AluOp::Or, R0, R2), EXIT]), Ok(0));
    assert_eq!(result(&[mov(R0, R3), EXIT]).unwrap_err().kind.code(), "uninitialised");
}
