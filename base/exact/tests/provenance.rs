//! What stops a run: each kind of error on the instruction that makes it.

mod common;

use common::{EXIT, add, alu, atomic, imm64, jump, load_at, mov, result, returns, stops, store};
use skep_isa::Reg::{R0, R1, R2, R3, R6, R7, R10};
use skep_isa::{AluOp, AtomicOp, Cond, Endian, Insn, LoadKind, Movsx, Size, SwapWidth, Width};

#[test]
fn registers_hold_nothing_at_first() {
    for insn in [
        mov(R0, R3),
        add(R3, 1),
        alu(Width::W32, AluOp::Mov, R0, R3),
        Insn::Neg { width: Width::W64, dst: R3 },
        Insn::Movsx { kind: Movsx::S8To64, dst: R0, src: R3 },
        Insn::ByteSwap { op: Endian::Swap, width: SwapWidth::W16, dst: R3 },
        jump(Width::W64, Cond::Eq, R3, 0, 0),
        jump(Width::W64, Cond::Eq, R1, R3, 0),
        load_at(LoadKind::U8, R0, R3, 0),
        store(Size::B, R3, 0, 1),
        store(Size::B, R1, 0, R3),
        atomic(Width::W64, AtomicOp::Add, R1, 0, R3),
        atomic(Width::W64, AtomicOp::Xchg, R3, 0, R1),
        Insn::StoreRelease { size: Size::B, base: R1, off: 0, src: R3 },
    ] {
        stops(&[mov(R2, 0), insn, EXIT], 1, "uninitialised", "r3 is read and holds nothing");
    }
    stops(&[EXIT], 0, "uninitialised", "r0 is read and holds nothing");
    let compared = [mov(R2, 0), atomic(Width::W64, AtomicOp::Cmpxchg, R1, 0, R2), EXIT];
    stops(&compared, 1, "uninitialised", "r0 is read and holds nothing");
}

#[test]
fn accesses_stay_inside() {
    for (kind, off, width) in [
        (LoadKind::U8, 64, 1),
        (LoadKind::U16, 63, 2),
        (LoadKind::S32, 61, 4),
        (LoadKind::U64, 57, 8),
        (LoadKind::U8, -1, 1),
    ] {
        let message = format!("read of {width} bytes at offset {off} of the memory, which has 64 bytes");
        stops(&[load_at(kind, R0, R1, off), EXIT], 0, "out_of_bounds", &message);
    }
    stops(
        &[store(Size::Dw, R1, 60, 1), EXIT],
        0,
        "out_of_bounds",
        "write of 8 bytes at offset 60 of the memory, which has 64 bytes",
    );
    stops(
        &[mov(R2, 1), atomic(Width::W32, AtomicOp::Add, R1, 64, R2), EXIT],
        1,
        "out_of_bounds",
        "atomic change of 4 bytes at offset 64 of the memory, which has 64 bytes",
    );
    stops(
        &[store(Size::B, R10, 0, 1), EXIT],
        0,
        "out_of_bounds",
        "write of 1 bytes at offset 0 of the stack frame, which has 512 bytes",
    );
    stops(
        &[store(Size::Dw, R10, -513, 1), EXIT],
        0,
        "out_of_bounds",
        "write of 8 bytes at offset -513 of the stack frame, which has 512 bytes",
    );
    // Offsets wrap as registers do, and are looked at as a whole.
    let far = [imm64(R2, i64::MAX as u64), add(R1, R2), add(R1, R2), load_at(LoadKind::U64, R0, R1, 0), EXIT];
    assert_eq!(result(&far).unwrap_err().kind.code(), "out_of_bounds");
}

#[test]
fn a_pointer_may_lie_outside_until_it_is_used() {
    returns(&[add(R1, 4096), add(R1, -4096), load_at(LoadKind::U8, R0, R1, 0), EXIT], 0);
}

#[test]
fn numbers_are_no_pointers() {
    stops(
        &[mov(R1, 0), load_at(LoadKind::U8, R0, R1, 0), EXIT],
        1,
        "null_pointer",
        "read through a null pointer",
    );
    stops(&[mov(R1, 0), store(Size::B, R1, 4, 0), EXIT], 1, "null_pointer", "write through a null pointer");
    stops(
        &[mov(R1, 4096), load_at(LoadKind::U8, R0, R1, 0), EXIT],
        1,
        "not_a_pointer",
        "read wants a pointer, found the number 0x1000",
    );
}

#[test]
fn a_pointer_that_became_a_number_is_no_pointer() {
    // Through memory that keeps no provenance, through a 32-bit copy, through a double negation.
    let stored = [
        store(Size::Dw, R1, 0, R1),
        load_at(LoadKind::U64, R2, R1, 0),
        load_at(LoadKind::U8, R0, R2, 0),
        EXIT,
    ];
    assert_eq!(result(&stored).unwrap_err().kind.code(), "not_a_pointer");
    let copied = [alu(Width::W32, AluOp::Mov, R1, R1), load_at(LoadKind::U8, R0, R1, 0), EXIT];
    assert_eq!(result(&copied).unwrap_err().kind.code(), "not_a_pointer");
    let neg = Insn::Neg { width: Width::W64, dst: R1 };
    let negated = [neg, neg, load_at(LoadKind::U8, R0, R1, 0), EXIT];
    assert_eq!(result(&negated).unwrap_err().at.0, 2);
}

#[test]
fn pointers_move_and_differ() {
    let sub = |width, dst, src| alu(width, AluOp::Sub, dst, src);
    // A number plus a pointer is a pointer too.
    returns(&[store(Size::B, R1, 5, 9), mov(R2, 5), add(R2, R1), load_at(LoadKind::U8, R0, R2, 0), EXIT], 9);
    returns(&[mov(R2, R1), add(R2, 40), sub(Width::W64, R2, R1), mov(R0, R2), EXIT], 40);
    returns(&[mov(R2, R1), add(R2, 40), sub(Width::W64, R1, R2), mov(R0, R1), EXIT], (-40i64) as u64);
    returns(&[mov(R2, R1), add(R2, 40), sub(Width::W32, R1, R2), mov(R0, R1), EXIT], (-40i32) as u32 as u64);
    let moved_back = [
        store(Size::B, R1, 5, 9),
        add(R1, 10),
        mov(R2, 5),
        sub(Width::W64, R1, R2),
        load_at(LoadKind::U8, R0, R1, 0),
        EXIT,
    ];
    returns(&moved_back, 9);
}

#[test]
fn pointers_compare_by_offset_and_are_not_null() {
    for width in [Width::W64, Width::W32] {
        let less = |a: i32, b: i32| {
            [
                mov(R2, R1),
                mov(R3, R1),
                add(R2, a),
                add(R3, b),
                mov(R0, 1),
                jump(width, Cond::Lt, R2, R3, 1),
                mov(R0, 0),
                EXIT,
            ]
        };
        returns(&less(3, 4), 1);
        returns(&less(4, 4), 0);
        returns(&less(-1, 0), 1);
        returns(&[mov(R0, 1), jump(width, Cond::Ne, R1, 0, 1), mov(R0, 0), EXIT], 1);
        returns(&[mov(R0, 1), jump(width, Cond::Ne, R1, R10, 1), mov(R0, 0), EXIT], 1);
    }
}

#[test]
fn other_arithmetic_on_pointers_is_refused() {
    for (width, op) in [
        (Width::W64, AluOp::And),
        (Width::W64, AluOp::Or),
        (Width::W64, AluOp::Xor),
        (Width::W64, AluOp::Mul),
        (Width::W64, AluOp::Div),
        (Width::W64, AluOp::Sdiv),
        (Width::W64, AluOp::Mod),
        (Width::W64, AluOp::Smod),
        (Width::W64, AluOp::Lsh),
        (Width::W64, AluOp::Rsh),
        (Width::W64, AluOp::Arsh),
        (Width::W32, AluOp::Add),
        (Width::W32, AluOp::And),
    ] {
        let message = format!("{op:?} wants numbers, found a pointer (object 0+512)");
        // The frame is the first object of a run.
        stops(&[mov(R2, R10), alu(width, op, R2, 8), EXIT], 1, "pointer_arithmetic", &message);
        stops(&[mov(R2, 8), alu(width, op, R2, R10), EXIT], 1, "pointer_arithmetic", &message);
    }
    for op in [AluOp::Add, AluOp::And] {
        let both = [mov(R2, R10), alu(Width::W64, op, R2, R1), EXIT];
        assert_eq!(result(&both).unwrap_err().kind.code(), "pointer_arithmetic");
    }
    let from_number = [mov(R2, 8), alu(Width::W64, AluOp::Sub, R2, R10), EXIT];
    assert_eq!(result(&from_number).unwrap_err().kind.code(), "pointer_arithmetic");
}

#[test]
fn stack_bytes_must_be_written_before_they_are_read() {
    let at = |off: i64| format!("the stack is read at r10{off}, where nothing was written");
    stops(&[load_at(LoadKind::U8, R0, R10, -1), EXIT], 0, "uninitialised", &at(-1));
    let part = [store(Size::W, R10, -8, 0), load_at(LoadKind::U64, R0, R10, -8), EXIT];
    stops(&part, 1, "uninitialised", &at(-4));
    let hole =
        [store(Size::B, R10, -8, 0), store(Size::B, R10, -6, 0), load_at(LoadKind::U32, R0, R10, -8), EXIT];
    stops(&hole, 2, "uninitialised", &at(-7));
    let changed = [mov(R2, 1), atomic(Width::W64, AtomicOp::Add, R10, -8, R2), EXIT];
    stops(&changed, 1, "uninitialised", &at(-8));
    // What one call of a function wrote, the next does not find.
    let twice = [
        Insn::CallLocal { off: 2 },
        Insn::CallLocal { off: 3 },
        EXIT,
        store(Size::Dw, R10, -8, 0),
        EXIT,
        load_at(LoadKind::U64, R0, R10, -8),
        EXIT,
    ];
    stops(&twice, 5, "uninitialised", &at(-8));
}

#[test]
fn pointers_on_the_stack_stay_whole() {
    let spill = [
        store(Size::Dw, R10, -8, R1),
        load_at(LoadKind::U64, R2, R10, -8),
        load_at(LoadKind::U8, R0, R2, 0),
        EXIT,
    ];
    returns(&spill, 0);
    let message = "a pointer on the stack wants a whole aligned 8-byte access";
    for (kind, off) in [(LoadKind::U32, -8), (LoadKind::U8, -1), (LoadKind::S32, -4), (LoadKind::U64, -12)] {
        let program =
            [store(Size::Dw, R10, -16, 0), store(Size::Dw, R10, -8, R1), load_at(kind, R0, R10, off), EXIT];
        stops(&program, 2, "partial_pointer", message);
    }
    for (size, off) in [(Size::W, -8), (Size::B, -8), (Size::Dw, -12)] {
        stops(&[store(size, R10, off, R1), EXIT], 0, "partial_pointer", message);
    }
    let changed =
        [store(Size::Dw, R10, -8, R1), mov(R2, 1), atomic(Width::W64, AtomicOp::Add, R10, -8, R2), EXIT];
    stops(&changed, 2, "partial_pointer", message);
    // A byte written into it leaves data, no pointer.
    let broken = [
        store(Size::Dw, R10, -8, R1),
        store(Size::B, R10, -8, 0),
        load_at(LoadKind::U64, R2, R10, -8),
        load_at(LoadKind::U8, R0, R2, 0),
        EXIT,
    ];
    assert_eq!(result(&broken).unwrap_err().at.0, 3);
}

#[test]
fn a_callers_frame_is_memory_and_a_returned_one_is_gone() {
    let callers = [
        store(Size::Dw, R10, -8, 1),
        mov(R1, R10),
        Insn::CallLocal { off: 2 },
        load_at(LoadKind::U64, R0, R10, -8),
        EXIT,
        store(Size::Dw, R1, -8, 77),
        mov(R0, 0),
        EXIT,
    ];
    returns(&callers, 77);
    let returned = [
        Insn::CallLocal { off: 2 },
        load_at(LoadKind::U64, R0, R0, -8),
        EXIT,
        store(Size::Dw, R10, -8, 1),
        mov(R0, R10),
        EXIT,
    ];
    stops(&returned, 1, "use_after_free", "read of the stack frame, which is gone");
    // Not even while another call of the same depth is active.
    let another = [
        Insn::CallLocal { off: 3 },
        mov(R1, R0),
        Insn::CallLocal { off: 4 },
        EXIT,
        store(Size::Dw, R10, -8, 1),
        mov(R0, R10),
        EXIT,
        load_at(LoadKind::U64, R0, R1, -8),
        EXIT,
    ];
    stops(&another, 7, "use_after_free", "read of the stack frame, which is gone");
}

#[test]
fn dangling_pointers_survive_any_number_of_calls() {
    // r6 = frame of a call that returned; 1000 more calls; *r6
    let program = [
        Insn::CallLocal { off: 7 },
        mov(R6, R0),
        mov(R7, 1000),
        Insn::CallLocal { off: 4 },
        add(R7, -1),
        jump(Width::W64, Cond::Ne, R7, 0, -3),
        load_at(LoadKind::U8, R0, R6, -1),
        EXIT,
        store(Size::Dw, R10, -8, 1),
        mov(R0, R10),
        EXIT,
    ];
    stops(&program, 6, "use_after_free", "read of the stack frame, which is gone");
}

#[test]
fn atomics_are_aligned() {
    let message = "atomic access at offset 4 of the memory wants alignment to 8";
    for insn in [
        atomic(Width::W64, AtomicOp::Add, R1, 4, R2),
        Insn::LoadAcquire { size: Size::Dw, dst: R0, base: R1, off: 4 },
        Insn::StoreRelease { size: Size::Dw, base: R1, off: 4, src: R2 },
    ] {
        stops(&[mov(R2, 1), insn, EXIT], 1, "misaligned", message);
    }
    stops(
        &[mov(R2, 1), store(Size::Dw, R10, -8, 0), atomic(Width::W32, AtomicOp::Add, R10, -6, R2), EXIT],
        2,
        "misaligned",
        "atomic access at offset -6 of the stack frame wants alignment to 4",
    );
}

#[test]
fn functions_are_no_memory() {
    let func = Insn::LoadAddr { dst: R1, addr: skep_isa::Addr::Code { off: 3 } };
    let program = [func, load_at(LoadKind::U64, R0, R1, 0), EXIT, mov(R0, 0), EXIT];
    stops(&program, 2, "not_a_pointer", "read wants memory, found function 1");
}

#[test]
fn fuel_is_spent() {
    let program = [mov(R0, 0), Insn::Goto { off: -1 }];
    stops(&program, 1, "fuel", "the fuel is spent");
}

#[test]
fn a_fault_names_the_function() {
    let program = [Insn::CallLocal { off: 1 }, EXIT, mov(R0, 0), add(R1, R3), EXIT];
    let fault = result(&program).unwrap_err();
    assert_eq!((fault.at.0, fault.func.0, fault.program), (3, 2, 0));
    assert_eq!(fault.to_string(), "instruction 3: r3 is read and holds nothing");
}
