//! One helper for all tests: run instructions and see what comes of it.
#![allow(dead_code)]

use skep_exact::{
    Entry, Fault, Fuel, HelperLink, LoadError, MapRef, MapShape, Outcome, Platform, Program, Rules, Stack,
    World, run,
};
use skep_isa::{AluOp, AtomicOp, Cond, Insn, InsnIdx, LoadKind, Operand, RawInsn, Reg, Size, Width};
use skep_mem::{Block, MapIndex};

/// Has no maps and no helpers.
pub(crate) struct Bare;

impl Platform for Bare {
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, _: u32) -> HelperLink {
        HelperLink::Refused(None)
    }
}

impl<'m> World<'m> for Bare {}

pub(crate) fn slots(insns: &[Insn]) -> Vec<RawInsn> {
    insns.iter().flat_map(|insn| insn.encode().to_vec()).collect()
}

pub(crate) fn load(insns: &[Insn]) -> Result<Program, LoadError> {
    Program::new(&slots(insns), &Bare, Rules::default())
}

/// Runs with memory in r1 and r2, and gives the outcome with the memory afterwards.
pub(crate) fn on_memory(insns: &[Insn], rules: Rules, memory: &[u8]) -> (Outcome, Vec<u8>) {
    let program = Program::new(&slots(insns), &Bare, rules).unwrap();
    let stack = Stack::new().unwrap();
    let block = Block::copy_of(memory).unwrap();
    let outcome = run(&program, &Bare, &stack, Entry::Memory(block.bytes()), &Fuel::new(1_000_000));
    let mut after = vec![0; memory.len()];
    block.bytes().copy_out(0, &mut after).unwrap();
    (outcome, after)
}

/// Runs without anything and gives what the program returns.
pub(crate) fn result(insns: &[Insn]) -> Result<u64, Fault> {
    on_memory(insns, Rules::default(), &[0; 64]).0.result
}

/// Runs, and checks that the program returns `want`.
#[track_caller]
pub(crate) fn returns(insns: &[Insn], want: u64) {
    match result(insns) {
        Ok(found) => assert_eq!(found, want, "found {found:#x}, wanted {want:#x}: {insns:?}"),
        Err(fault) => panic!("{fault}: {insns:?}"),
    }
}

/// Runs, and checks that it stops on the instruction `at` with this kind and message.
#[track_caller]
pub(crate) fn stops(insns: &[Insn], at: u32, code: &str, message: &str) {
    let fault = result(insns).expect_err("a fault");
    assert_eq!((fault.kind.code(), fault.at), (code, InsnIdx(at)), "{fault}");
    assert_eq!(fault.kind.to_string(), message);
}

pub(crate) fn alu(width: Width, op: AluOp, dst: Reg, src: impl Into<Operand>) -> Insn {
    Insn::Alu { width, op, dst, src: src.into() }
}

pub(crate) fn mov(dst: Reg, src: impl Into<Operand>) -> Insn {
    alu(Width::W64, AluOp::Mov, dst, src)
}

pub(crate) fn add(dst: Reg, src: impl Into<Operand>) -> Insn {
    alu(Width::W64, AluOp::Add, dst, src)
}

pub(crate) fn imm64(dst: Reg, value: u64) -> Insn {
    Insn::LoadImm64 { dst, value }
}

pub(crate) fn load_at(kind: LoadKind, dst: Reg, base: Reg, off: i16) -> Insn {
    Insn::Load { kind, dst, base, off }
}

pub(crate) fn store(size: Size, base: Reg, off: i16, src: impl Into<Operand>) -> Insn {
    Insn::Store { size, base, off, src: src.into() }
}

pub(crate) fn jump(width: Width, cond: Cond, dst: Reg, src: impl Into<Operand>, off: i16) -> Insn {
    Insn::Branch { width, cond, dst, src: src.into(), off }
}

pub(crate) fn atomic(width: Width, op: AtomicOp, base: Reg, off: i16, src: Reg) -> Insn {
    Insn::Atomic { width, op, base, off, src }
}

pub(crate) const EXIT: Insn = Insn::Exit;
