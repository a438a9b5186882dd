//! Every test runs on every engine.

mod callbacks;
mod helpers;
mod inputs;
mod limits;
mod maps;
mod memory;
mod overrun;
mod records;
mod refusals;

use skep_machine::{Code, Cpu, Engine, Input, Machine, Program, Setup, Stop, StopKind};

/// The memory for machine code that tests have, where they have any.
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
const CODE: Option<&dyn Code> = Some(&skep_mem::testing::TestCode);
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(miri))))]
const CODE: Option<&dyn Code> = None;

/// Starts a setup for an engine.
fn setup<'m, S>(engine: Engine) -> Setup<'m, S> {
    let setup = Setup::new().engine(engine);
    match CODE {
        Some(code) => setup.code(code),
        None => setup,
    }
}

/// Runs a test once for each engine.
#[track_caller]
fn each(mut test: impl FnMut(Engine)) {
    for engine in Engine::ALL.into_iter().filter(|engine| *engine != Engine::Jit || CODE.is_some()) {
        println!("on {}", engine.name());
        test(engine);
    }
}

#[track_caller]
fn program(text: &str) -> Program {
    Program::from_text(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Makes a machine without anything.
#[track_caller]
fn bare(engine: Engine, text: &str) -> Machine<'static> {
    setup(engine).load(program(text)).unwrap()
}

/// Runs a program with this input on every engine, and checks what it returns, and that all of them count alike.
#[track_caller]
fn returns(text: &str, mut input: impl FnMut() -> Vec<u8>, want: u64) {
    let mut spent = None;
    each(|engine| {
        let mut memory = input();
        let mut cpu = Cpu::new(()).with_fuel(1_000_000);
        let found = bare(engine, text).run(&mut cpu, Input::Memory(&mut memory));
        assert_eq!(found, Ok(want), "{text}");
        assert_eq!(*spent.get_or_insert(cpu.fuel().left()), cpu.fuel().left(), "{text}");
    });
}

/// Runs a program on every engine, and checks on which instruction it is stopped, and why.
#[track_caller]
fn stops(text: &str, at: u32, kind: StopKind) {
    each(|engine| {
        let mut memory = [0; 16];
        let mut cpu = Cpu::new(()).with_fuel(1_000_000);
        let stop = bare(engine, text).run(&mut cpu, Input::Memory(&mut memory)).unwrap_err();
        is(&stop, at, kind);
    });
}

#[track_caller]
fn is(stop: &Stop, at: u32, kind: StopKind) {
    assert_eq!((stop.at().0, stop.kind()), (at, kind), "{stop}");
}
