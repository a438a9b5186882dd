//! What bounds a run: fuel, frames, tail calls, stack.

use crate::{bare, each, is, program, stops};
use skep_machine::{Cpu, Engine, Fuel, Input, SetupErrorKind, StopKind};
use std::sync::Arc;
use std::thread;

#[test]
fn a_run_ends_when_its_fuel_is_spent() {
    each(|engine| {
        let machine = bare(engine, "r0 = 0\nagain: r0 += 1\nif r0 != 1000 goto again\nexit");
        let mut cpu = Cpu::new(()).with_fuel(1000);
        let stop = machine.run(&mut cpu, Input::None).unwrap_err();
        assert_eq!(stop.kind(), StopKind::Fuel);
        assert_eq!(machine.run(&mut cpu, Input::None).unwrap_err().kind(), StopKind::Fuel, "it stays spent");
        cpu.fuel().fill(10_000);
        assert_eq!(machine.run(&mut cpu, Input::None), Ok(1000));
        let left = cpu.fuel().left();
        assert!((7900..8100).contains(&left), "{left}");
    });
}

#[test]
fn the_reference_machine_counts_instructions() {
    each(|engine| {
        let first = program("r0 = 0\nr3 = 1\ncall 12\nexit");
        let second = program("r1 = 2\nagain: r1 += -1\nif r1 != 0 goto again\nr0 = 0\nexit");
        let machine = crate::setup::<()>(engine).tail_calls(12).load_all([first, second]).unwrap();
        let mut cpu = Cpu::default();
        assert_eq!(cpu.executed(), None);
        for _ in 0..2 {
            machine.run(&mut cpu, Input::None).unwrap();
            assert_eq!(cpu.executed(), (engine == Engine::Exact).then_some(3 + 7));
        }
    });
}

#[test]
fn fuel_may_be_unlimited() {
    each(|engine| {
        let machine = bare(engine, "r0 = 0\nagain: r0 += 1\nif r0 != 100000 goto again\nexit");
        let mut cpu = Cpu::default();
        assert_eq!(machine.run(&mut cpu, Input::None), Ok(100_000));
        assert_eq!(cpu.fuel().left(), Fuel::UNLIMITED);
    });
}

#[test]
fn another_thread_stops_a_run() {
    each(|engine| {
        let machine = bare(engine, "again: *(u8 *)(r1 + 0) = 1\ngoto again");
        let mut cpu = Cpu::new(());
        let fuel = Arc::clone(cpu.fuel());
        let mut memory = [0];
        let seen = thread::scope(|scope| {
            let run = scope.spawn(|| machine.run(&mut cpu, Input::Memory(&mut memory)).unwrap_err());
            while !run.is_finished() {
                fuel.stop();
                thread::yield_now();
            }
            run.join().unwrap()
        });
        assert_eq!(seen.kind(), StopKind::Fuel);
    });
}

#[test]
fn threads_share_a_machine() {
    each(|engine| {
        let machine =
            bare(engine, "r0 = *(u8 *)(r1 + 0)\n*(u64 *)(r10 - 8) = r0\nr0 = *(u64 *)(r10 - 8)\nexit");
        thread::scope(|scope| {
            for number in 0..4_u8 {
                let machine = &machine;
                scope.spawn(move || {
                    let mut cpu = Cpu::default();
                    for _ in 0..100 {
                        assert_eq!(machine.run(&mut cpu, Input::Memory(&mut [number])), Ok(number.into()));
                    }
                });
            }
        });
    });
}

/// Counts down in r1 through calls of itself.
const DEEP: &str = "
    r1 = 6
    call down
    exit
down:
    r0 = 8
    if r1 == 0 goto out
    r1 += -1
    call down
out:
    exit";

#[test]
fn eight_functions_may_be_active() {
    each(|engine| {
        assert_eq!(bare(engine, DEEP).run(&mut Cpu::default(), Input::None), Ok(8));
    });
    stops(&DEEP.replace("r1 = 6", "r1 = 7"), 6, StopKind::CallDepth);
}

#[test]
fn each_function_has_as_much_stack_as_was_said() {
    let text = |bytes: u32| {
        format!(
            "*(u8 *)(r10 - {bytes}) = 1\ncall f\nexit\nf: *(u8 *)(r10 - {bytes}) = 2\nr0 = *(u8 *)(r10 - {bytes})\nexit"
        )
    };
    each(|engine| {
        for bytes in [8, 64, 512, 4096, 0x8000] {
            let setup = || crate::setup::<()>(engine).stack_bytes(bytes);
            let machine = setup().load(program(&text(bytes))).unwrap();
            let mut cpu = Cpu::default();
            assert_eq!(machine.run(&mut cpu, Input::None), Ok(2));
            if bytes < 0x8000 {
                let machine =
                    setup().load(program(&format!("*(u8 *)(r10 - {}) = 1\nexit", bytes + 1))).unwrap();
                is(&machine.run(&mut cpu, Input::None).unwrap_err(), 0, StopKind::OutOfBounds);
            }
        }
        for found in [0, 4, 12, 0x1_0008, u32::MAX] {
            let error =
                crate::setup::<()>(engine).stack_bytes(found).load(program("r0 = 0\nexit")).unwrap_err();
            assert_eq!(error.kind, SetupErrorKind::StackBytes { found });
        }
    });
}

#[test]
fn a_frame_is_gone_when_its_function_returns() {
    each(|engine| {
        // r6 to r9 and r10 are the caller's again; the callee's frame is below it.
        let text = "r6 = 1\n*(u64 *)(r10 - 8) = 3\ncall f\nr1 = *(u64 *)(r10 - 8)\nr0 += r1\nr0 += r6\nexit\n\
                    f: r6 = 100\n*(u64 *)(r10 - 8) = 200\nr0 = 5\nexit";
        assert_eq!(bare(engine, text).run(&mut Cpu::default(), Input::None), Ok(9));
    });
}

#[test]
fn programs_follow_one_another_thirty_three_times() {
    each(|engine| {
        // Counts in the input, which stays the same.
        let text = "r2 = *(u8 *)(r1 + 0)\nr2 += 1\n*(u8 *)(r1 + 0) = r2\nr3 = 0\ncall 12\nexit";
        let machine = crate::setup::<()>(engine).tail_calls(12).load(program(text)).unwrap();
        let mut memory = [0];
        let mut cpu = Cpu::default();
        for _ in 0..2 {
            memory[0] = 0;
            assert_eq!(machine.run(&mut cpu, Input::Memory(&mut memory)), Ok(u64::MAX));
            assert_eq!(memory, [34]);
        }
    });
}

#[test]
fn a_tail_call_to_nowhere_goes_on() {
    each(|engine| {
        for index in ["1", "-1", "0x100000000 ll"] {
            let text = format!("r3 = {index}\ncall 12\nr0 += 5\nexit");
            let first = program(&text);
            let machine = crate::setup::<()>(engine).tail_calls(12).load(first).unwrap();
            let found = machine.run(&mut Cpu::new(()).with_fuel(10_000), Input::None);
            // The third is index 0 in its lower half, as in Linux: it follows itself until it may not any more.
            assert_eq!(found, Ok(4), "{text}");
        }
    });
}

#[test]
fn a_stop_names_the_program() {
    each(|engine| {
        let first = program("r3 = 1\ncall 12\nexit");
        let second = program("r0 = 0\nr0 = *(u8 *)(r0 + 0)\nexit");
        let machine = crate::setup::<()>(engine).tail_calls(12).load_all([first, second]).unwrap();
        let stop = machine.run(&mut Cpu::default(), Input::None).unwrap_err();
        is(&stop, 1, StopKind::OutOfBounds);
        assert_eq!(stop.program(), 1);
        assert!(stop.to_string().starts_with("program 1, instruction 1: "), "{stop}");
    });
}

#[test]
fn calls_through_registers_find_helpers() {
    let setup = |engine| {
        let seven = skep_machine::Helper::numbers("seven", |_: &mut (), _| Ok(7));
        crate::setup(engine).register_calls().helper(5, seven)
    };
    each(|engine| {
        let run =
            |text: &str| setup(engine).load(program(text)).unwrap().run(&mut Cpu::default(), Input::None);
        assert_eq!(run("r1 = 5\ncallx r1\nexit"), Ok(7));
        is(&run("r1 = 0x100000005 ll\ncallx r1\nexit").unwrap_err(), 2, StopKind::BadCallTarget);
        is(&run("r1 = 6\ncallx r1\nexit").unwrap_err(), 1, StopKind::BadCallTarget);
    });
}

#[test]
fn calls_through_registers_find_functions() {
    each(|engine| {
        let run = |text: &str| {
            let machine = crate::setup::<()>(engine).register_calls().load(program(text)).unwrap();
            machine.run(&mut Cpu::default(), Input::None)
        };
        let square = "callx r6\nexit\nsquare: r0 = r1\nr0 *= r1\nexit";
        assert_eq!(run(&format!("r6 = subprog[square] ll\nr1 = 7\n{square}")), Ok(49));
        // The number is a number: what is computed names a function as well, and one beyond the last names none.
        assert_eq!(run(&format!("r1 = 7\nr6 = subprog[square] ll\nr6 -= r1\nr6 += r1\n{square}")), Ok(49));
        let beyond = run(&format!("r6 = subprog[square] ll\nr6 += 8\n{square}")).unwrap_err();
        is(&beyond, 3, StopKind::BadCallTarget);
        // It is no memory.
        is(
            &run("r1 = subprog[f] ll\nr0 = *(u8 *)(r1 + 0)\nexit\nf: exit").unwrap_err(),
            2,
            StopKind::OutOfBounds,
        );
        let deep = "r1 = 0\nr2 = subprog[f] ll\ncallx r2\nexit\nf: r2 = subprog[f] ll\ncallx r2\nexit";
        is(&run(deep).unwrap_err(), 7, StopKind::CallDepth);
    });
}
