//! Interleaved rounds: every engine's turn comes once in each, for each program.

use super::engine::{Engine, Prepared, Task};
use crate::clock::Stopwatch;
use skep_lab_programs::digest;
use std::time::Duration;

/// How long an engine runs a program in one round, about.
const TURN: Duration = Duration::from_millis(1);

/// What one engine did with one program.
pub(super) enum Measured {
    /// Medians.
    Times(Times),
    /// Why there is nothing.
    Not(String),
}

/// Medians over the rounds.
pub(super) struct Times {
    /// Nanoseconds of a run.
    pub(super) run: f64,
    /// Nanoseconds that it took to get the program ready, where that is the engine's work.
    pub(super) compile: Option<f64>,
    /// Operations that a run executes, where the engine runs them one by one.
    pub(super) operations: Option<u64>,
}

/// What was found so far.
struct Found {
    times: u64,
    operations: Option<u64>,
    runs: Vec<f64>,
    compiles: Vec<f64>,
}

/// Measures: for each program, what each engine did.
pub(super) fn run(tasks: &[Task], engines: &[&dyn Engine], rounds: u32) -> Vec<Vec<Measured>> {
    let first = |task| engines.iter().map(move |engine| begin(*engine, task)).collect();
    let mut all: Vec<Vec<Result<Found, String>>> = tasks.iter().map(first).collect();
    for _ in 0..rounds {
        for (task, row) in tasks.iter().zip(&mut all) {
            for (engine, cell) in engines.iter().zip(row) {
                let Ok(found) = cell else { continue };
                if let Err(why) = turn(*engine, task, found) {
                    *cell = Err(why);
                }
            }
        }
    }
    all.into_iter().map(|row| row.into_iter().map(end).collect()).collect()
}

/// Runs a program until it is warm: checks what it comes to, and finds how many runs make a turn.
fn begin(engine: &dyn Engine, task: &Task) -> Result<Found, String> {
    let mut prepared = engine.prepare(task)?;
    check(task, &mut prepared)?;
    let operations = engine.operations(task).transpose()?;
    let mut times = 1;
    loop {
        let took = timed(&mut prepared, times)?;
        if took >= TURN / 2 {
            let exact = times as f64 * TURN.as_secs_f64() / took.as_secs_f64();
            let times = (exact as u64).max(1);
            return Ok(Found { times, operations, runs: Vec::new(), compiles: Vec::new() });
        }
        times *= 2;
    }
}

fn check(task: &Task, prepared: &mut Prepared<'_>) -> Result<(), String> {
    let result = prepared.runner.run(2)?;
    if result != task.expected.result {
        return Err(format!("wrong result {result:#x}, not {:#x}", task.expected.result));
    }
    if digest(&prepared.runner.memory()?) != task.expected.memory {
        return Err("right result, wrong memory".to_owned());
    }
    Ok(())
}

fn turn(engine: &dyn Engine, task: &Task, found: &mut Found) -> Result<(), String> {
    // Made again in each round, so that where its code happens to lie changes too.
    let mut prepared = engine.prepare(task)?;
    prepared.runner.run(1)?;
    let took = timed(&mut prepared, found.times)?;
    found.runs.push(took.as_nanos() as f64 / found.times as f64);
    found.compiles.extend(prepared.compile.map(|time| time.as_nanos() as f64));
    Ok(())
}

fn timed(prepared: &mut Prepared<'_>, times: u64) -> Result<Duration, String> {
    let start = Stopwatch::start();
    prepared.runner.run(times)?;
    Ok(start.elapsed())
}

fn end(found: Result<Found, String>) -> Measured {
    match found {
        Ok(found) => {
            let compile = (!found.compiles.is_empty()).then(|| median(found.compiles));
            Measured::Times(Times { run: median(found.runs), compile, operations: found.operations })
        }
        Err(why) => Measured::Not(why),
    }
}

/// The middle one of some times, of which there is at least one.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
