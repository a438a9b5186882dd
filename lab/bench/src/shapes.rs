//! Programs with maps, as real ones are: on the running Linux, on machines beside any kernel, and in the embedded kernel.

mod report;
mod sides;

use crate::clock::Stopwatch;
use clap::Args;
use sides::{Runner, SIDES, Side};
use skep_lab_shapes::{SHAPES, Shape};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// How often each side's turn comes for each shape.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these shapes (names, with commas between).
    #[arg(long, value_delimiter = ',')]
    shapes: Vec<String>,
    /// Write everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How long a side runs a shape in one round, about.
const TURN: Duration = Duration::from_millis(2);
/// The most runs of one turn: with those that warm it up they fill a fifth of the ring, which nobody reads.
const MOST: u32 = 100_000;

/// What came of a shape on one side: the median of nanoseconds a run, or why there is none.
type Measured = Result<f64, String>;

/// What was found so far.
struct Found {
    times: u32,
    runs: Vec<f64>,
}

/// Measures, and prints what came of it.
pub(crate) fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    if let Some(name) = options.shapes.iter().find(|name| SHAPES.iter().all(|shape| shape.name != *name)) {
        return Err(format!("no shape is called `{name}`").into());
    }
    let wanted =
        |shape: &&Shape| options.shapes.is_empty() || options.shapes.iter().any(|name| name == shape.name);
    let shapes: Vec<&Shape> = SHAPES.iter().filter(wanted).collect();
    let first = |shape| SIDES.iter().map(|side| begin(side, shape)).collect();
    let mut all: Vec<Vec<Result<Found, String>>> = shapes.iter().map(|shape| first(shape)).collect();
    for _ in 0..options.rounds {
        for (shape, row) in shapes.iter().zip(&mut all) {
            for (side, cell) in SIDES.iter().zip(row) {
                let Ok(found) = cell else { continue };
                if let Err(why) = turn(side, shape, found) {
                    *cell = Err(why);
                }
            }
        }
    }
    let measured: Vec<Vec<Measured>> = all
        .into_iter()
        .map(|row| row.into_iter().map(|cell| cell.map(|found| median(found.runs))).collect())
        .collect();
    report::print(&shapes, &measured);
    if let Some(path) = &options.json {
        let json = report::json(&shapes, &measured, options.rounds);
        std::fs::write(path, json).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Finds how many runs make a turn; they warm it up too.
fn begin(side: &Side, shape: &Shape) -> Result<Found, String> {
    let mut times = 16;
    loop {
        let mut took = Duration::ZERO;
        // A fresh one each time: rings fill.
        (side.with)(shape, &mut |runner| {
            took = timed(shape, runner, times)?;
            Ok(())
        })?;
        if took >= TURN / 2 || times == MOST {
            let exact = f64::from(times) * TURN.as_secs_f64() / took.as_secs_f64();
            return Ok(Found { times: (exact as u32).clamp(1, MOST), runs: Vec::new() });
        }
        times = (times * 2).min(MOST);
    }
}

fn turn(side: &Side, shape: &Shape, found: &mut Found) -> Result<(), String> {
    let (times, warm) = (found.times, found.times.div_ceil(16));
    (side.with)(shape, &mut |runner| {
        timed(shape, runner, warm)?;
        let took = timed(shape, runner, times)?;
        found.runs.push(took.as_nanos() as f64 / f64::from(times));
        // All runs have done their work, and not only the last.
        let runs = u64::from(warm) + u64::from(times);
        match runner.counted()? {
            Some(counted) if counted != runs => Err(format!("{counted} of {runs} runs were counted")),
            _ => Ok(()),
        }
    })
}

fn timed(shape: &Shape, runner: &mut dyn Runner, times: u32) -> Result<Duration, String> {
    let start = Stopwatch::start();
    let result = runner.run(times)?;
    let took = start.elapsed();
    match result == shape.result {
        true => Ok(took),
        false => Err(format!("wrong result {result:#x}, not {:#x}", shape.result)),
    }
}

/// The middle one of some times, of which there is at least one.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
