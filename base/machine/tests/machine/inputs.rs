//! The four shapes of the input.

use crate::{bare, each, is, returns};
use skep_machine::{Cpu, Input, StopKind};

#[test]
fn without_input_both_registers_are_zero() {
    each(|engine| {
        let machine = bare(engine, "r0 = r1\nr0 |= r2\nexit");
        assert_eq!(machine.run(&mut Cpu::default(), Input::None), Ok(0));
        let machine = bare(engine, "r0 = *(u8 *)(r1 + 0)\nexit");
        is(&machine.run(&mut Cpu::default(), Input::None).unwrap_err(), 0, StopKind::OutOfBounds);
    });
}

#[test]
fn what_nobody_has_written_is_zero() {
    let sum = "r0 += r3\nr0 += r4\nr0 += r5\nr0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit";
    returns(sum, || vec![0], 0);
    returns(
        &format!("r6 = 5\nr1 = 6\ncall f\nr0 += r1\nr0 += r2\nr0 += r6\nexit\nf: r2 = 9\n{sum}"),
        || vec![0],
        5,
    );
    returns("exit", Vec::new, 0);
    each(|engine| {
        let helper = skep_machine::Helper::numbers("sum", |_: &mut (), numbers| Ok(numbers.iter().sum()));
        let setup = crate::setup(engine).helper(1, helper);
        let program = setup.assemble("r1 = 3\ncall sum\nr6 = r0\nr2 = 4\ncall sum\nr0 += r6\nexit").unwrap();
        assert_eq!(setup.load(program).unwrap().run(&mut Cpu::default(), Input::None), Ok(7));
    });
}

#[test]
fn memory_comes_with_its_length() {
    returns("r0 = r2\nexit", || vec![0; 77], 77);
    returns("r1 += r2\nr0 = *(u8 *)(r1 - 1)\nexit", || vec![1, 2, 3], 3);
    returns("r0 = r2\nexit", Vec::new, 0);
}

#[test]
fn what_is_written_stays_after_a_stop() {
    each(|engine| {
        let mut memory = [0; 8];
        let machine = bare(engine, "*(u8 *)(r1 + 1) = 7\n*(u8 *)(r1 + 8) = 7\nr0 = 0\nexit");
        let stop = machine.run(&mut Cpu::default(), Input::Memory(&mut memory)).unwrap_err();
        is(&stop, 1, StopKind::OutOfBounds);
        assert_eq!(memory, [0, 7, 0, 0, 0, 0, 0, 0]);
    });
}

#[test]
fn the_caller_fills_metadata() {
    each(|engine| {
        // Two addresses, in two fields that the caller chose.
        let text =
            "r3 = *(u64 *)(r1 + 8)\nr4 = *(u64 *)(r1 + 0)\nr0 = r4\nr0 -= r3\n*(u8 *)(r3 + 0) = 5\nexit";
        let mut memory = [1, 2, 3, 4];
        let start = memory.as_ptr() as u64;
        let mut buffer = [0; 16];
        buffer[..8].copy_from_slice(&(start + 4).to_ne_bytes());
        buffer[8..].copy_from_slice(&start.to_ne_bytes());
        let input = Input::Metadata { buffer: &mut buffer, memory: &mut memory };
        assert_eq!(bare(engine, text).run(&mut Cpu::default(), input), Ok(4));
        assert_eq!(memory, [5, 2, 3, 4]);
    });
}

#[test]
fn metadata_says_how_long_it_is() {
    each(|engine| {
        let input = Input::Metadata { buffer: &mut [0; 24], memory: &mut [] };
        assert_eq!(bare(engine, "r0 = r2\nexit").run(&mut Cpu::default(), input), Ok(24));
    });
}

/// Counts the bytes that are 7, as a packet filter walks a packet.
const SEVENS: &str = "
    r2 = *(u64 *)(r1 + 16)
    r1 = *(u64 *)(r1 + 8)
    r0 = 0
again:
    if r1 >= r2 goto exit
    r3 = *(u8 *)(r1 + 0)
    r1 += 1
    if r3 != 7 goto again
    r0 += 1
    goto again
    exit";

#[test]
fn the_machine_fills_metadata() {
    each(|engine| {
        let machine = bare(engine, SEVENS);
        let mut cpu = Cpu::default();
        let mut buffer = [0xff; 24];
        for (mut memory, want) in [(vec![7, 1, 7, 7], 3), (vec![], 0), (vec![1; 9], 0)] {
            let input =
                Input::FixedMetadata { buffer: &mut buffer, data: 8, data_end: 16, memory: &mut memory };
            assert_eq!(machine.run(&mut cpu, input), Ok(want));
        }
        assert_eq!(buffer[..8], [0xff; 8], "what is no field stays");
    });
}

#[test]
fn the_fields_must_lie_in_the_metadata() {
    each(|engine| {
        let machine = bare(engine, "r0 = 0\nexit");
        for (data, data_end) in [(9, 0), (0, 9), (usize::MAX, 0), (0, usize::MAX - 7)] {
            let input = Input::FixedMetadata { buffer: &mut [0; 16], data, data_end, memory: &mut [1] };
            let stop = machine.run(&mut Cpu::default(), input).unwrap_err();
            is(&stop, 0, StopKind::Input);
            assert!(stop.to_string().contains("do not lie in the 16 bytes of metadata"), "{stop}");
        }
    });
}

#[test]
fn memory_of_one_run_is_out_of_reach_for_the_next() {
    each(|engine| {
        let machine = bare(engine, "r0 = *(u8 *)(r1 + 0)\nr1 = *(u64 *)(r1 + 0)\nr0 = *(u8 *)(r1 + 0)\nexit");
        let secret = [1; 8];
        let mut cpu = Cpu::default();
        let mut memory = (secret.as_ptr() as u64).to_ne_bytes();
        let stop = machine.run(&mut cpu, Input::Memory(&mut memory)).unwrap_err();
        is(&stop, 2, StopKind::OutOfBounds);
    });
}
