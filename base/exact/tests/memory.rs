//! Loads, stores and atomic operations, on the stack and on memory.

mod common;

use common::{EXIT, atomic, imm64, load_at, mov, on_memory, returns, store};
use skep_exact::{Rules, UninitStack};
use skep_isa::AtomicOp::{Add, And, Cmpxchg, FetchAdd, FetchAnd, FetchOr, FetchXor, Or, Xchg, Xor};
use skep_isa::Reg::{R0, R1, R2, R10};
use skep_isa::{AtomicOp, Insn, LoadKind, Size, Width};

const A: u64 = 0x8182_8384_8586_8788;

/// Kind, and what it gives of `A` stored as eight bytes in the machine's order, from byte 0 on.
fn loads() -> [(LoadKind, u64); 7] {
    let low = |size: usize| {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&A.to_ne_bytes()[..size]);
        if cfg!(target_endian = "big") {
            u64::from_be_bytes(bytes) >> (64 - 8 * size)
        } else {
            u64::from_le_bytes(bytes)
        }
    };
    [
        (LoadKind::U8, low(1)),
        (LoadKind::U16, low(2)),
        (LoadKind::U32, low(4)),
        (LoadKind::U64, A),
        (LoadKind::S8, low(1) as u8 as i8 as u64),
        (LoadKind::S16, low(2) as u16 as i16 as u64),
        (LoadKind::S32, low(4) as u32 as i32 as u64),
    ]
}

#[test]
fn loads_extend() {
    for (kind, want) in loads() {
        returns(&[imm64(R2, A), store(Size::Dw, R1, 8, R2), load_at(kind, R0, R1, 8), EXIT], want);
        returns(&[imm64(R2, A), store(Size::Dw, R10, -8, R2), load_at(kind, R0, R10, -8), EXIT], want);
        // Memory has no alignment, the stack neither.
        returns(&[imm64(R2, A), store(Size::Dw, R1, 3, R2), load_at(kind, R0, R1, 3), EXIT], want);
        returns(&[imm64(R2, A), store(Size::Dw, R10, -13, R2), load_at(kind, R0, R10, -13), EXIT], want);
    }
}

#[test]
fn stores_truncate_and_touch_nothing_else() {
    for (size, len) in [(Size::B, 1), (Size::H, 2), (Size::W, 4), (Size::Dw, 8)] {
        for offset in 0..=16 - len {
            let narrow = |value: u64| {
                let bytes = value.to_ne_bytes();
                let from = if cfg!(target_endian = "big") { 8 - len } else { 0 };
                bytes[from..from + len].to_vec()
            };
            for (value, program) in [
                (A, vec![imm64(R2, A), store(size, R1, offset as i16, R2), mov(R0, 0), EXIT]),
                ((-2i64) as u64, vec![store(size, R1, offset as i16, -2), mov(R0, 0), EXIT]),
            ] {
                let (outcome, memory) = on_memory(&program, Rules::default(), &[0x55; 16]);
                let mut want = [0x55; 16];
                want[offset..offset + len].copy_from_slice(&narrow(value));
                assert_eq!((outcome.result, &memory[..]), (Ok(0), &want[..]), "{size:?} at {offset}");
            }
        }
    }
}

/// Operation, memory before, operand, memory after.
const ATOMICS: &[(AtomicOp, u64, u64, u64)] = &[
    (Add, 1, 2, 3),
    (Add, u64::MAX, 1, 0),
    (Or, 0x0f, 0xf000_0000_0000_00f0, 0xf000_0000_0000_00ff),
    (And, 0xff00_ff00_ff00_ff00, 0xf0f0_f0f0_f0f0_f0f0, 0xf000_f000_f000_f000),
    (Xor, u64::MAX, 1, u64::MAX - 1),
    (FetchAdd, 0x1_0000_0001, 0xffff_ffff, 0x2_0000_0000),
    (FetchOr, 1, 2, 3),
    (FetchAnd, 3, 2, 2),
    (FetchXor, 3, 2, 1),
    (Xchg, A, 7, 7),
];

#[test]
fn atomic_operations() {
    for &(op, before, operand, after) in ATOMICS {
        let fetched = if op.fetches() { before } else { operand };
        for (base, off) in [(R1, 8), (R10, -16)] {
            let begin = [imm64(R0, before), store(Size::Dw, base, off, R0), imm64(R2, operand)];
            let run = |insns: &[Insn], want| returns(&[&begin[..], insns, &[EXIT]].concat(), want);
            run(&[atomic(Width::W64, op, base, off, R2), load_at(LoadKind::U64, R0, base, off)], after);
            run(&[atomic(Width::W64, op, base, off, R2), mov(R0, R2)], fetched);
            // The 32-bit form changes the low half only, and zero-extends what it fetches.
            let low = if cfg!(target_endian = "big") { off + 4 } else { off };
            let narrow = atomic(Width::W32, op, base, low, R2);
            run(
                &[narrow, load_at(LoadKind::U64, R0, base, off)],
                before & !0xffff_ffff | after & 0xffff_ffff,
            );
            run(&[narrow, mov(R0, R2)], if op.fetches() { before & 0xffff_ffff } else { operand });
        }
    }
}

#[test]
fn compare_and_exchange() {
    let swap = |width, before, expected, new, off: i16| {
        [
            imm64(R0, before),
            store(Size::Dw, R1, 8, R0),
            imm64(R0, expected),
            imm64(R2, new),
            atomic(width, Cmpxchg, R1, off, R2),
            load_at(LoadKind::U64, R1, R1, 8),
            Insn::Alu { width: Width::W64, op: skep_isa::AluOp::Xor, dst: R0, src: R1.into() },
            EXIT,
        ]
    };
    // The result is old xor new memory.
    returns(&swap(Width::W64, 5, 5, 9, 8), 5 ^ 9);
    returns(&swap(Width::W64, 5, 6, 9, 8), 0);
    let low = if cfg!(target_endian = "big") { 12 } else { 8 };
    // Only the low half of r0 is compared, and r0 is zero-extended.
    returns(&swap(Width::W32, 0x7_0000_0005, 0x3_0000_0005, 9, low), 5 ^ 0x7_0000_0009);
    returns(&swap(Width::W32, 0x7_0000_0005, 6, 9, low), 5 ^ 0x7_0000_0005);
}

#[test]
fn ordered_loads_and_stores() {
    for (size, want) in [(Size::B, 0x88), (Size::H, 0x8788), (Size::W, 0x8586_8788), (Size::Dw, A)] {
        for (base, off) in [(R1, 16), (R10, -8)] {
            let program = [
                imm64(R2, A),
                Insn::StoreRelease { size, base, off, src: R2 },
                Insn::LoadAcquire { size, dst: R0, base, off },
                EXIT,
            ];
            returns(&program, want);
        }
    }
}

#[test]
fn unwritten_stack_reads_as_zero_where_that_is_allowed() {
    let program = [mov(R0, 5), store(Size::B, R10, -8, R0), load_at(LoadKind::U64, R0, R10, -8), EXIT];
    let rules = Rules { uninit_stack: UninitStack::Zero, ..Rules::default() };
    let want = if cfg!(target_endian = "big") { 5 << 56 } else { 5 };
    for _ in 0..2 {
        assert_eq!(on_memory(&program, rules.clone(), &[]).0.result, Ok(want));
    }
    // A function's frame is zeroed every time, whatever the function before left there.
    let program = [
        Insn::CallLocal { off: 2 },
        Insn::CallLocal { off: 1 },
        EXIT,
        load_at(LoadKind::U64, R0, R10, -8),
        store(Size::Dw, R10, -8, 7),
        EXIT,
    ];
    assert_eq!(on_memory(&program, rules, &[]).0.result, Ok(0));
}

#[test]
fn legacy_packet_loads_need_the_context() {
    use skep_isa::PacketSize;
    for insn in [
        Insn::LoadAbs { size: PacketSize::W, off: 0 },
        Insn::LoadInd { size: PacketSize::B, src: R1, off: 0 },
    ] {
        common::stops(
            &[mov(skep_isa::Reg::R6, 1), mov(R1, 1), insn, EXIT],
            2,
            "not_a_pointer",
            "read wants memory, found 0x1",
        );
    }
}
