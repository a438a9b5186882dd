//! What the covering check says of checks that compare with rooms, and of a function's own stack.

use skep_ir::machine::{Machine, RegMask};
use skep_ir::ops::{Args, Code, FunctionCode, Loc, Measure, Op, OpIdx, What};
use skep_ir::{Region, cover};
use skep_isa::{AluOp, Cond, InsnIdx, LoadKind, Size, Width};

const P: Loc = Loc(0);
const I: Loc = Loc(1);
const ROOM: Loc = Loc(2);
const X: Loc = Loc(3);
const REGION: Region = Region::INPUT;
const MACHINE: Machine =
    Machine { registers: 4, divisions: RegMask(0b100), rooms: true, ..Machine::INTERPRETER };

/// Says whether every access in a function's operations is covered; a return is added.
fn covered(ops: &[Op]) -> bool {
    let mut code = Code::default();
    code.ops.extend_from_slice(ops);
    code.ops.push(Op::Return { src: X });
    code.at = (0..code.ops.len() as u32).map(InsnIdx).collect();
    code.functions.push(FunctionCode {
        ops: 0..code.ops.len() as u32,
        takes: 3,
        params: [P, I, Loc::NONE, Loc::NONE, Loc::NONE],
        locs: 4,
        uses_stack: true,
    });
    cover::check(&code, &MACHINE, 64).is_ok()
}

const fn room(end: u32, scale: u8, write: bool) -> Op {
    Op::Room { dst: ROOM, base: P, end, scale, write, region: REGION }
}

const fn at(off: i32, size: Size, write: bool) -> Op {
    Op::CheckRoom { base: P, room: ROOM, off, size, write, region: REGION }
}

const fn sum(off: i32, what: What) -> Op {
    Op::CheckSum { base: P, index: I, room: ROOM, off, what, region: REGION }
}

const fn load(off: i32) -> Op {
    Op::Load { kind: LoadKind::U32, dst: X, base: P, off }
}

const fn load_sum(scale: u8, off: i32) -> Op {
    Op::LoadSum { kind: LoadKind::U32, dst: X, base: P, index: I, scale, off }
}

const BY_INDEX: What = What::new(2, Size::W, false, Measure::Index);
const BY_DISTANCE: What = What::new(2, Size::W, false, Measure::Distance);

#[test]
fn a_check_counts_with_the_room_of_its_base() {
    assert!(covered(&[room(1, 0, false), at(8, Size::W, false), load(8)]));
    assert!(covered(&[room(1, 0, true), at(8, Size::W, false), load(8)]));
    assert!(covered(&[room(12, 2, false), sum(8, BY_INDEX), load_sum(2, 8)]));
    assert!(covered(&[room(4, 0, false), sum(-8, BY_DISTANCE), load_sum(2, -8)]));
    let in_its_place = Op::Room { dst: P, base: P, end: 1, scale: 0, write: false, region: REGION };
    for bad in [
        // No room, or another one.
        &[at(8, Size::W, false), load(8)][..],
        &[room(4, 0, false), at(8, Size::W, false), load(8)],
        &[room(1, 1, false), at(8, Size::W, false), load(8)],
        &[room(8, 2, false), sum(8, BY_INDEX), load_sum(2, 8)],
        &[room(12, 1, false), sum(8, BY_INDEX), load_sum(2, 8)],
        &[room(12, 0, false), sum(8, BY_DISTANCE), load_sum(2, 8)],
        &[in_its_place, at(8, Size::W, false), load(8)],
        // What is accessed is not what was checked.
        &[room(1, 0, false), at(8, Size::H, false), load(8)],
        &[room(1, 0, false), at(8, Size::W, false), load(9)],
        &[room(12, 2, false), sum(8, BY_INDEX), load_sum(1, 8)],
        &[room(12, 2, false), sum(8, BY_INDEX), load_sum(2, 7)],
        &[room(12, 2, false), sum(8, BY_INDEX), load(8)],
        // In front of the base.
        &[room(1, 0, false), at(-4, Size::W, false), load(-4)],
        &[room(1, 2, false), sum(-3, BY_INDEX), load_sum(2, -3)],
    ] {
        assert!(!covered(bad), "{bad:?}");
    }
}

#[test]
fn what_is_written_has_been_checked_for_that() {
    let store = Op::Store { size: Size::W, base: P, off: 8, src: X };
    assert!(covered(&[room(1, 0, true), at(8, Size::W, true), store]));
    assert!(!covered(&[room(1, 0, false), at(8, Size::W, true), store]));
    assert!(!covered(&[room(1, 0, true), at(8, Size::W, false), store]));
}

#[test]
fn a_room_ends_with_what_it_is_made_of() {
    let check = [at(8, Size::W, false), load(8)];
    let with = |op: Op| [&[room(1, 0, false), op][..], &check].concat();
    assert!(covered(&with(Op::Move { dst: X, src: P })));
    assert!(!covered(&with(Op::Move { dst: P, src: X })));
    assert!(!covered(&with(Op::Move { dst: ROOM, src: X })));
    let divide = Op::Alu { op: AluOp::Div, width: Width::W64, dst: X, a: X, b: I };
    assert!(!covered(&with(divide)), "the machine destroys the room");
    let args = Args::default();
    for call in [
        Op::Helper { id: 1, dst: X, args },
        Op::Call { function: 0, dst: X, args },
        Op::CallReg { dst: X, args },
    ] {
        assert!(!covered(&with(call)), "{call:?}");
    }
    // An index that changes between check and access.
    let moved = [room(4, 0, false), sum(0, BY_DISTANCE), Op::Move { dst: I, src: X }, load_sum(2, 0)];
    assert!(!covered(&moved));
}

#[test]
fn rooms_are_followed_round_loops_and_over_branches() {
    let branch = |to| Op::BranchImm { cond: Cond::Ne, width: Width::W64, a: X, imm: 0, to: OpIdx(to) };
    let (made, check, read) = (room(4, 0, false), sum(0, BY_DISTANCE), load_sum(2, 0));
    assert!(covered(&[made, check, read, branch(1)]));
    // Round the loop something else is in the place, or in that of the pointer.
    let moves = [ROOM, P].map(|dst| Op::Move { dst, src: X });
    assert!(!covered(&[made, check, read, moves[0], branch(1)]));
    assert!(!covered(&[made, check, read, moves[1], branch(1)]));
    assert!(covered(&[made, check, read, moves[1], branch(0)]));
    // On one of two ways there is no room.
    assert!(!covered(&[branch(2), made, check, read]));
    // On each there is one, but none that holds on both.
    assert!(!covered(&[branch(3), made, Op::Jump { to: OpIdx(4) }, made, check, read]));
}

#[test]
fn a_function_may_use_its_own_stack() {
    let frame = Op::FramePointer { dst: P };
    let helper = Op::Helper { id: 1, dst: X, args: Args::default() };
    assert!(covered(&[frame, load(-4)]));
    assert!(covered(&[frame, load(-64)]));
    assert!(covered(&[frame, helper, load(-64)]));
    for bad in [
        &[frame, load(-3)][..],
        &[frame, load(0)],
        &[frame, load(-65)],
        &[load(-4)],
        &[frame, Op::Move { dst: P, src: X }, load(-4)],
        &[frame, load_sum(0, -4)],
    ] {
        assert!(!covered(bad), "{bad:?}");
    }
}
