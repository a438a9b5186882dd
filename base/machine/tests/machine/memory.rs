//! Memory besides the input, and pointers as the numbers that they are.

use crate::{each, is, program, returns, stops};
use skep_machine::{Bytes, Cpu, Input, StopKind};

#[test]
fn lent_memory_has_an_end() {
    each(|engine| {
        let mut table = [1, 2, 3, 4];
        let table = Bytes::from_mut(&mut table);
        for (offset, width, inside) in [
            (0, 8, true),
            (3, 8, true),
            (4, 8, false),
            (-1, 8, false),
            (1, 32, false),
            (0, 32, true),
            (2, 16, true),
            (3, 16, false),
        ] {
            let text = format!("r1 = {:#x} ll\nr0 = *(u{width} *)(r1 {offset:+})\nexit", table.addr());
            let machine = crate::setup::<()>(engine).memory(table).load(program(&text)).unwrap();
            match machine.run(&mut Cpu::default(), Input::None) {
                Ok(_) => assert!(inside, "{text}"),
                Err(stop) => {
                    assert!(!inside, "{text}: {stop}");
                    is(&stop, 2, StopKind::OutOfBounds);
                }
            }
        }
    });
}

#[test]
fn read_only_memory_is_not_written() {
    each(|engine| {
        let mut table = [1_u8; 8];
        let table = Bytes::from_mut(&mut table);
        for (access, ok) in [
            ("r0 = *(u64 *)(r1 + 0)", true),
            ("*(u8 *)(r1 + 0) = 2", false),
            ("lock *(u64 *)(r1 + 0) += r0", false),
        ] {
            let text = format!("r1 = {:#x} ll\nr0 = 0\n{access}\nexit", table.addr());
            let machine = crate::setup::<()>(engine).read_only_memory(table).load(program(&text)).unwrap();
            let found = machine.run(&mut Cpu::default(), Input::None);
            match ok {
                true => assert!(found.is_ok()),
                false => is(&found.unwrap_err(), 3, StopKind::OutOfBounds),
            }
        }
        assert!(table.eq_slice(&[1; 8]));
    });
}

#[test]
fn pointers_may_be_kept_and_computed_with() {
    let input = || (1..=32).collect();
    // Through memory, in whole and in parts.
    returns("*(u64 *)(r1 + 0) = r1\nr3 = *(u64 *)(r1 + 0)\nr0 = *(u8 *)(r3 + 9)\nexit", input, 10);
    returns(
        "*(u32 *)(r10 - 8) = r1\nr3 = r1\nr3 >>= 32\n*(u32 *)(r10 - 4) = r3\nr3 = *(u64 *)(r10 - 8)\nr0 = *(u8 *)(r3 + 9)\nexit",
        input,
        10,
    );
    // Through arithmetic that Linux refuses.
    returns("r3 = r1\nr3 ^= -1\nr3 ^= -1\nr0 = *(u8 *)(r3 + 1)\nexit", input, 2);
    returns("r3 = r10\nr3 += -1\nr3 &= -8\n*(u64 *)(r3 + 0) = 5\nr0 = *(u64 *)(r10 - 8)\nexit", input, 5);
    returns("r3 = r1\nr3 *= 2\nr3 -= r1\nr0 = *(u8 *)(r3 + 2)\nexit", input, 3);
}

#[test]
fn a_part_of_a_pointer_on_the_stack_is_data() {
    returns("*(u64 *)(r10 - 8) = r1\n*(u8 *)(r10 - 8) = 7\nr0 = *(u8 *)(r10 - 8)\nexit", || vec![0; 8], 7);
    returns(
        "*(u64 *)(r10 - 8) = r1\nr3 = -1\nlock *(u64 *)(r10 - 8) |= r3\nr0 = *(u64 *)(r10 - 8)\nexit",
        || vec![0; 8],
        u64::MAX,
    );
}

#[test]
fn nothing_else_is_reached() {
    stops("r0 = *(u8 *)(r2 + 0)\nexit", 0, StopKind::OutOfBounds);
    stops("r0 = *(u8 *)(r1 + 16)\nexit", 0, StopKind::OutOfBounds);
    stops("r0 = *(u64 *)(r1 + 9)\nexit", 0, StopKind::OutOfBounds);
    stops("r0 = *(u8 *)(r1 - 1)\nexit", 0, StopKind::OutOfBounds);
    stops("r0 = *(u8 *)(r10 + 0)\nexit", 0, StopKind::OutOfBounds);
    stops("r0 = 0\n*(u8 *)(r10 - 513) = 1\nexit", 1, StopKind::OutOfBounds);
    stops("r1 = -1\nr0 = *(u64 *)(r1 + 0)\nexit", 1, StopKind::OutOfBounds);
    stops("r1 = 0\nr0 = *(u64 *)(r1 + 8)\nexit", 1, StopKind::OutOfBounds);
    stops("r0 = 1\nlock *(u32 *)(r1 + 2) += r0\nexit", 1, StopKind::Misaligned);
    stops("r0 = 1\nlock *(u64 *)(r1 + 12) += r0\nexit", 1, StopKind::OutOfBounds);
}

#[test]
fn fresh_stack_is_zero() {
    returns("r0 = *(u64 *)(r10 - 512)\nexit", Vec::new, 0);
    each(|engine| {
        // What a run has left on the stack, the next does not find there.
        let text = "r0 = *(u64 *)(r10 - 8)\n*(u64 *)(r10 - 8) = 99\nexit";
        let machine = crate::bare(engine, text);
        let mut cpu = Cpu::default();
        assert_eq!(machine.run(&mut cpu, Input::None), Ok(0));
        assert_eq!(machine.run(&mut cpu, Input::None), Ok(0));
    });
}
