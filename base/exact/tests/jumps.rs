//! Every jump, in both widths and both operand forms; calls and loops.

mod common;

use common::{Bare, EXIT, add, imm64, jump, load, mov, returns, stops};
use skep_exact::{Entry, Fuel, LoadErrorKind, MAX_FRAMES, Outcome, Stack, run};
use skep_isa::Cond::{Eq, Ge, Gt, Le, Lt, Ne, Set, Sge, Sgt, Sle, Slt};
use skep_isa::Reg::{R0, R1, R2, R6, R10};
use skep_isa::{Cond, Insn, Width};

const NEG1: u64 = u64::MAX;
const MIN: u64 = i64::MIN as u64;

/// Operands, and for each width the comparisons that hold; all others do not.
const TABLE: &[(u64, u64, &[Cond], &[Cond])] = &[
    (0, 0, &[Eq, Ge, Le, Sge, Sle], &[Eq, Ge, Le, Sge, Sle]),
    (1, 0, &[Ne, Gt, Ge, Sgt, Sge], &[Ne, Gt, Ge, Sgt, Sge]),
    (0, 1, &[Ne, Lt, Le, Slt, Sle], &[Ne, Lt, Le, Slt, Sle]),
    (5, 5, &[Eq, Ge, Le, Sge, Sle, Set], &[Eq, Ge, Le, Sge, Sle, Set]),
    (NEG1, 1, &[Ne, Gt, Ge, Slt, Sle, Set], &[Ne, Gt, Ge, Slt, Sle, Set]),
    (1, NEG1, &[Ne, Lt, Le, Sgt, Sge, Set], &[Ne, Lt, Le, Sgt, Sge, Set]),
    (NEG1, NEG1, &[Eq, Ge, Le, Sge, Sle, Set], &[Eq, Ge, Le, Sge, Sle, Set]),
    (0xffff_ffff, NEG1, &[Ne, Lt, Le, Sgt, Sge, Set], &[Eq, Ge, Le, Sge, Sle, Set]),
    (0x1_0000_0000, 0, &[Ne, Gt, Ge, Sgt, Sge], &[Eq, Ge, Le, Sge, Sle]),
    (0x8000_0000, 1, &[Ne, Gt, Ge, Sgt, Sge], &[Ne, Gt, Ge, Slt, Sle]),
    (MIN, 1, &[Ne, Gt, Ge, Slt, Sle], &[Ne, Lt, Le, Slt, Sle]),
    (MIN, MIN, &[Eq, Ge, Le, Sge, Sle, Set], &[Eq, Ge, Le, Sge, Sle]),
    (0x8000_0000, (-0x8000_0000i64) as u64, &[Ne, Lt, Le, Sgt, Sge, Set], &[Eq, Ge, Le, Sge, Sle, Set]),
    (0xf0, 0x0f, &[Ne, Gt, Ge, Sgt, Sge], &[Ne, Gt, Ge, Sgt, Sge]),
];

const ALL: [Cond; 11] = [Eq, Gt, Ge, Set, Ne, Sgt, Sge, Lt, Le, Slt, Sle];

#[test]
fn comparisons() {
    for &(a, b, holds64, holds32) in TABLE {
        for (width, holds) in [(Width::W64, holds64), (Width::W32, holds32)] {
            for cond in ALL {
                let want = u64::from(holds.contains(&cond));
                let after = |branch| [mov(R0, 1), imm64(R1, a), imm64(R2, b), branch, mov(R0, 0), EXIT];
                returns(&after(jump(width, cond, R1, R2, 1)), want);
                if let Ok(imm) = i32::try_from(b as i64) {
                    returns(&after(jump(width, cond, R1, imm, 1)), want);
                }
            }
        }
    }
}

#[test]
fn jumps_without_condition() {
    returns(&[mov(R0, 1), Insn::Goto { off: 1 }, mov(R0, 2), EXIT], 1);
    returns(&[mov(R0, 1), Insn::Gotol { off: 1 }, mov(R0, 2), EXIT], 1);
    let back = [mov(R0, 0), add(R0, 1), jump(Width::W64, Lt, R0, 10, -2), EXIT];
    returns(&back, 10);
}

#[test]
#[cfg(not(miri))]
fn may_goto_jumps_after_eight_million_times() {
    let program = load(&[mov(R0, 3), Insn::MayGoto { off: 1 }, Insn::Goto { off: -2 }, EXIT]).unwrap();
    let stack = Stack::new().unwrap();
    let outcome = run(&program, &Bare, &stack, Entry::Context, &Fuel::new(Fuel::UNLIMITED));
    let executed = 1 + 2 * 8 * 1024 * 1024 + 1 + 1;
    assert_eq!(outcome, Outcome { result: Ok(3), executed, charged: 4 + 2 * 8 * 1024 * 1024 });
}

#[test]
fn local_calls_keep_the_callers_registers() {
    // main: r6 = 7; r1 = 5; call f; r0 += r6; exit    f: r6 = 100; r0 = r1; r0 += 1; exit
    let program = [
        mov(R6, 7),
        mov(R1, 5),
        Insn::CallLocal { off: 2 },
        add(R0, R6),
        EXIT,
        mov(R6, 100),
        mov(R0, R1),
        add(R0, 1),
        EXIT,
    ];
    returns(&program, 13);
}

#[test]
fn a_callee_starts_with_nothing_but_its_arguments() {
    let program = [mov(R6, 7), mov(R0, 0), Insn::CallLocal { off: 1 }, EXIT, mov(R0, R6), EXIT];
    stops(&program, 4, "uninitialised", "r6 is read and holds nothing");
    let program = [mov(R0, 7), Insn::CallLocal { off: 1 }, EXIT, add(R0, 1), EXIT];
    stops(&program, 3, "uninitialised", "r0 is read and holds nothing");
    let program = [mov(R1, 1), Insn::CallLocal { off: 2 }, mov(R0, R1), EXIT, mov(R0, 0), EXIT];
    stops(&program, 2, "uninitialised", "r1 is read and holds nothing");
}

#[test]
fn calls_are_eight_deep() {
    // f(n): if n == 0 return 0; return f(n - 1) + 1
    let recursive = |n| {
        [
            mov(R1, n),
            Insn::CallLocal { off: 1 },
            EXIT,
            mov(R0, 0),
            jump(Width::W64, Eq, R1, 0, 3),
            add(R1, -1),
            Insn::CallLocal { off: -4 },
            add(R0, 1),
            EXIT,
        ]
    };
    let deepest = MAX_FRAMES as i32 - 2;
    returns(&recursive(deepest), deepest as u64);
    stops(&recursive(deepest + 1), 6, "call_depth", "more than 8 functions are active");
}

#[test]
fn what_does_not_hang_together_is_not_loaded() {
    for (program, at) in [
        (&[mov(R0, 0)][..], 0),
        (&[Insn::Goto { off: 5 }, EXIT], 0),
        (&[Insn::Goto { off: -2 }, EXIT], 0),
        (&[mov(R0, 0), Insn::CallLocal { off: 7 }, EXIT], 1),
        (&[], 0),
    ] {
        let error = load(program).unwrap_err();
        assert!(matches!(error.kind, LoadErrorKind::Structure(_)), "{error}");
        assert_eq!(error.at.0, at, "{error}");
    }
    assert_eq!(load(&[mov(R10, 0), EXIT]).unwrap_err().kind, LoadErrorKind::FramePointer);
    for (insn, what) in [
        (Insn::Gotox { dst: R1 }, "a jump through a register"),
        (Insn::CallReg { reg: R1 }, "a call through a register"),
        (Insn::AddrSpaceCast { dst: R1, src: R2, to: 1, from: 0 }, "a cast between address spaces"),
        (Insn::CallKfunc { btf_id: 1, fd_index: 0 }, "a call of a kernel function"),
    ] {
        assert_eq!(load(&[insn, EXIT]).unwrap_err().kind, LoadErrorKind::Unsupported { what });
    }
}
