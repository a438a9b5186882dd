//! What counts as a check that covers an access: code that no compiler makes, and what `Program::checked` says of it.

use skep_ir::ops::{Code, FunctionCode, Loc, Op, OpIdx};
use skep_ir::{Access, Address, Link, Options, Region, Source, lower, machine::Machine};
use skep_isa::{Addr, AtomicOp, Cond, Insn, InsnIdx, LoadKind, Size, Width, structure};
use skep_vm::{Program, ProgramError};

const BASE: Loc = Loc(0);
const OTHER: Loc = Loc(1);

fn check(off: i32, bytes: u16, write: bool) -> Op {
    Op::Check { base: BASE, off, bytes, write, region: Region::Unknown }
}

const fn load(kind: LoadKind, off: i32) -> Op {
    Op::Load { kind, dst: OTHER, base: BASE, off }
}

const fn store(size: Size, off: i32) -> Op {
    Op::Store { size, base: BASE, off, src: OTHER }
}

const CHANGE: Op =
    Op::Atomic { op: AtomicOp::Add, width: Width::W64, dst: Loc::NONE, base: BASE, off: 0, src: OTHER };
/// Stands between a check and an access, so that they are not one instruction.
const BETWEEN: Op = Op::Const { dst: OTHER, value: 1 };
const OVERWRITE: Op = Op::Const { dst: BASE, value: 1 };
const SKIP: Op = Op::BranchImm { cond: Cond::Eq, width: Width::W64, a: OTHER, imm: 0, to: OpIdx(2) };

/// Makes a program of these operations and a return; says which of them has no check.
fn unchecked(ops: &[Op]) -> Option<u32> {
    let mut code = Code::default();
    code.ops = [ops, &[Op::Return { src: OTHER }]].concat();
    code.at = (0..code.ops.len() as u32).map(InsnIdx).collect();
    let ops = 0..code.ops.len() as u32;
    code.functions = vec![FunctionCode { ops, takes: 1, params: [BASE; 5], locs: 2, uses_stack: false }];
    of(&code)
}

fn of(code: &Code) -> Option<u32> {
    match Program::checked(code, 512) {
        Ok(_) => None,
        Err(ProgramError::Unchecked { at }) => Some(at.0),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_check_covers_what_lies_in_it() {
    use LoadKind::{U8, U64};
    for access in [load(U64, 0), load(U8, 7), store(Size::Dw, 0), store(Size::B, 7), CHANGE] {
        assert_eq!(unchecked(&[check(0, 8, true), access]), None, "{access:?}");
        assert_eq!(unchecked(&[check(0, 8, true), BETWEEN, access]), None, "{access:?}");
        assert_eq!(unchecked(&[access]), Some(0), "{access:?}");
        assert_eq!(unchecked(&[access, check(0, 8, true)]), Some(0), "{access:?}");
    }
}

#[test]
fn a_check_covers_nothing_beside_it() {
    use LoadKind::{U8, U16, U64};
    for access in [load(U8, 8), load(U8, -1), load(U16, 7), load(U16, -1), load(U64, 1), store(Size::W, 5)] {
        assert_eq!(unchecked(&[check(0, 8, true), access]), Some(1), "{access:?}");
        assert_eq!(unchecked(&[check(0, 8, true), BETWEEN, access]), Some(2), "{access:?}");
    }
}

#[test]
fn a_check_for_reading_covers_no_writing() {
    for access in [store(Size::Dw, 0), CHANGE] {
        assert_eq!(unchecked(&[check(0, 8, false), access]), Some(1), "{access:?}");
        assert_eq!(unchecked(&[check(0, 8, false), BETWEEN, access]), Some(2), "{access:?}");
    }
    assert_eq!(unchecked(&[check(0, 8, false), BETWEEN, load(LoadKind::U64, 0)]), None);
}

#[test]
fn a_check_holds_until_the_base_is_another() {
    let access = load(LoadKind::U64, 0);
    assert_eq!(unchecked(&[check(0, 8, false), OVERWRITE, access]), Some(2));
    let itself = Op::Load { kind: LoadKind::U64, dst: BASE, base: BASE, off: 0 };
    assert_eq!(unchecked(&[check(0, 8, false), itself, access]), Some(2));
    // What is loaded from the base in front of it says nothing of it either.
    assert_eq!(unchecked(&[check(0, 8, false), BETWEEN, itself, access]), Some(3));
}

#[test]
fn a_check_holds_where_every_way_comes_by_it() {
    let access = load(LoadKind::U64, 0);
    assert_eq!(unchecked(&[SKIP, check(0, 8, false), access]), Some(2));
    assert_eq!(unchecked(&[check(0, 8, false), SKIP, access]), Some(2), "it may be better some day");
    assert_eq!(unchecked(&[SKIP, BETWEEN, check(0, 8, false), access]), None);
}

/// Has one helper.
struct One;

impl Link for One {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, _: u32) -> Option<u8> {
        Some(0)
    }
}

#[test]
fn whoever_is_called_may_take_memory_away() {
    let slots = [Insn::CallHelper { id: 1 }, Insn::Exit].map(|insn| insn.encode().to_vec()).concat();
    let program = skep_isa::Program::decode(&slots).unwrap();
    let structure = structure::check(&program).unwrap();
    let source = Source { program: &program, structure: &structure, link: &One };
    let options = Options { access: Access::Checked, ..Options::default() };
    let code = lower::compile(source, &Machine::INTERPRETER, &options).unwrap();
    let call = code.ops.iter().position(|op| matches!(op, Op::Helper { .. })).unwrap();
    let around = |checks: &[Op]| {
        let mut code = code.clone();
        let ops = [checks, &[code.ops[call], load(LoadKind::U64, 0), Op::Return { src: OTHER }]].concat();
        code.at = (0..ops.len() as u32).map(InsnIdx).collect();
        let range = 0..ops.len() as u32;
        code.functions =
            vec![FunctionCode { ops: range, takes: 1, params: [BASE; 5], locs: 2, uses_stack: false }];
        code.ops = ops;
        if let Op::Helper { dst, .. } = &mut code.ops[checks.len()] {
            *dst = OTHER;
        }
        code
    };
    assert_eq!(of(&around(&[check(0, 8, false)])), Some(2));
    let mut after = around(&[]);
    after.ops.insert(1, check(0, 8, false));
    after.at.insert(1, InsnIdx(9));
    after.functions[0].ops.end += 1;
    assert_eq!(of(&after), None);
}
