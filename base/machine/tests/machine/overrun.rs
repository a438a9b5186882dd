//! What is executed beyond the fuel: nothing, on any engine.
//!
//! The bound that is promised is a window of [`WINDOW`] instructions and what one helper declares to cost at most. Measured is what
//! programs and helpers count themselves.

use crate::{CODE, program};
use skep_ir::fuel::WINDOW;
use skep_machine::{Cpu, Engine, Fuel, Helper, Input, Level, Machine, Param, Setup, Stop, StopKind};
use std::fmt::Write;
use std::sync::Arc;

/// What a call of the helper costs at most: it declares 64 bytes.
const HELPER: u64 = 1 + 64 / 8;
/// What the engines may go through before they look whether somebody has taken the fuel away.
const UNTIL_A_LOOK: [(Engine, u64); 3] =
    [(Engine::Exact, 1 << 10), (Engine::Interpreter, 1 << 10), (Engine::Jit, 16 << 10)];

/// Counts the instructions of the longest round, which counts them before it has executed them all.
const ROUND: u64 = 9;

/// What the helper has done, and what it stops.
#[derive(Debug, Default)]
struct Work {
    units: u64,
    fuel: Option<Arc<Fuel>>,
}

/// Counts the instructions of each round in the first eight bytes of the memory.
fn count(round: u64) -> String {
    format!("r3 = *(u64 *)(r6 + 0)\nr3 += {round}\n*(u64 *)(r6 + 0) = r3\n")
}

fn straight() -> String {
    let mut text = String::new();
    for at in 0..3 * WINDOW - 100 {
        writeln!(text, "*(u8 *)(r1 + {at}) = 1").unwrap();
    }
    text + "r0 = 0\nexit"
}

/// The shapes of programs: name, text, and whether they count bytes or a number.
fn shapes() -> [(&'static str, String, Counted); 4] {
    let call = format!("r6 = r1\nl: {}r1 = r6\ncall f\ngoto l\nf: r6 = r1\nr0 = 0\nexit", count(ROUND));
    let help = format!("r6 = r1\nl: {}r1 = r6\nr2 = 64\ncall 1\ngoto l", count(7));
    [
        ("a loop", format!("r6 = r1\nl: {}goto l", count(4)), Counted::Number),
        ("straight code", straight(), Counted::Bytes),
        ("calls", call, Counted::Number),
        ("a helper", help, Counted::Number),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Counted {
    Bytes,
    Number,
}

fn machine(engine: Engine, level: Level, text: &str) -> Machine<'static, Work> {
    let work = Helper::new("work", &[Param::READ, Param::Len], |work: &mut Work, args| {
        work.units += 1 + args.bytes(0).len() as u64 / 8;
        Ok(0)
    });
    let stop = Helper::numbers("stop", |work: &mut Work, _| {
        work.fuel.iter().for_each(|fuel| fuel.stop());
        Ok(0)
    });
    let setup = Setup::new().engine(engine).level(level).helper(1, work).helper(2, stop);
    let setup = CODE.into_iter().fold(setup, Setup::code);
    setup.load(program(text)).unwrap()
}

fn ways() -> Vec<(Engine, Level)> {
    let here = Engine::ALL.into_iter().filter(|engine| *engine != Engine::Jit || CODE.is_some());
    here.flat_map(|engine| [(engine, Level::O), (engine, Level::O0)]).collect()
}

/// Runs, and gives how it ended and what it has counted.
fn run(machine: &Machine<'_, Work>, cpu: &mut Cpu<Work>, counted: Counted) -> (Result<u64, Stop>, u64) {
    let mut memory = vec![0; 3 * WINDOW as usize];
    cpu.state_mut().units = 0;
    let result = machine.run(cpu, Input::Memory(&mut memory));
    let executed = match counted {
        Counted::Bytes => memory.iter().map(|byte| u64::from(*byte)).sum(),
        Counted::Number => u64::from_ne_bytes(*memory.first_chunk().unwrap()),
    };
    (result, executed + cpu.state().units)
}

#[test]
fn what_is_executed_is_paid_for() {
    for (engine, level) in ways() {
        for (name, text, counted) in shapes() {
            let machine = machine(engine, level, &text);
            let mut cpu = Cpu::new(Work::default());
            let mut worst = 0;
            for fuel in (0..2 * u64::from(WINDOW)).step_by(131).chain([4095, 4096, 4097, 8191, 8192]) {
                cpu.fuel().fill(fuel);
                let (result, executed) = run(&machine, &mut cpu, counted);
                assert_eq!(result.map_err(|stop| stop.kind()), Err(StopKind::Fuel), "{name}, {fuel}");
                assert_eq!(cpu.fuel().left(), 0);
                let overrun = executed.saturating_sub(fuel);
                assert!(overrun <= u64::from(WINDOW) + HELPER, "{} {level:?}, {name}, {fuel}", engine.name());
                worst = worst.max(overrun);
            }
            println!("{} {level:?}, {name}: {worst} beyond the fuel at most", engine.name());
            assert!(worst < ROUND, "{} {level:?}, {name}: {worst}", engine.name());
        }
    }
}

#[test]
fn a_run_that_is_stopped_goes_on_until_it_looks() {
    for (engine, level) in ways() {
        let machine = machine(engine, level, &format!("r6 = r1\ncall 2\nl: {}goto l", count(4)));
        let mut cpu = Cpu::new(Work::default());
        cpu.state_mut().fuel = Some(Arc::clone(cpu.fuel()));
        let (result, executed) = run(&machine, &mut cpu, Counted::Number);
        assert_eq!(result.map_err(|stop| stop.kind()), Err(StopKind::Fuel));
        let (_, look) = UNTIL_A_LOOK.into_iter().find(|(which, _)| *which == engine).unwrap();
        println!("{} {level:?}: {executed} after the fuel was taken away", engine.name());
        assert!(executed <= look, "{} {level:?}: {executed}", engine.name());
    }
}
