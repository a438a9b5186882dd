//! The command.

use clap::{Parser, ValueEnum};
use skep_isa::Program;
use skep_lab_escape::campaign::{Finding, Tally, try_seed, try_way};
use skep_lab_escape::corral::Corral;
use skep_lab_escape::ground::Ground;
use skep_lab_escape::make::make;
use skep_lab_escape::signals;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static CORRAL: Corral = Corral;

/// Runs programs that try to reach what they may not.
#[derive(Parser)]
#[command(name = "escape")]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// How long, in seconds.
    #[arg(long = "seconds", default_value_t = u64::MAX)]
    seconds: u64,
    /// Run one seed.
    #[arg(long, conflicts_with_all = ["from", "count", "seconds"])]
    seed: Option<u64>,
    /// Print that seed's program and what it is run with.
    #[arg(long, requires = "seed")]
    show: bool,
    /// Do what should never happen while a seed is run, to see that it is seen.
    #[arg(long, value_enum, requires = "from")]
    plant: Option<Plant>,
    /// Run that seed in one way.
    #[arg(long, requires = "seed")]
    way: Option<usize>,
}

/// What should never happen.
#[derive(Clone, Copy, ValueEnum)]
enum Plant {
    Read,
    Write,
    Panic,
}

pub(crate) fn main() -> ExitCode {
    let options = Options::parse();
    let ground = match Ground::take() {
        Ok(ground) => ground,
        Err(why) => {
            eprintln!("no ground: {why}");
            return ExitCode::FAILURE;
        }
    };
    if let (Some(seed), true) = (options.seed, options.show) {
        show(seed);
    }
    signals::watch();
    signals::begin();
    if let (Some(seed), Some(way)) = (options.seed, options.way) {
        signals::running(seed, way as u32);
        let mut tally = Tally::default();
        let done = try_way(&ground, &make(seed), way, &mut tally);
        return report(done.map_err(|what| Finding { seed, way, what }), &tally, Duration::ZERO);
    }
    let (from, count) = options.seed.map_or((options.from, options.count), |seed| (seed, 1));
    let begin = Instant::now();
    let mut tally = Tally::default();
    for seed in from..from.saturating_add(count) {
        signals::begin();
        if let Some(plant) = options.plant {
            signals::running(seed, 0);
            match plant {
                Plant::Read => drop(ground.beyond().load_u8(0)),
                Plant::Write => drop(ground.beyond().store_u8(0, 1)),
                Plant::Panic => panic!("planted"),
            }
        }
        if let Err(finding) = try_seed(&ground, seed, &mut tally) {
            return report(Err(finding), &tally, begin.elapsed());
        }
        if begin.elapsed().as_secs() >= options.seconds {
            break;
        }
    }
    report(Ok(()), &tally, begin.elapsed())
}

/// Prints a seed's programs.
fn show(seed: u64) {
    let made = make(seed);
    println!("{:?}, fuel {}, {:x?}", made.kind, made.fuel, made.layout);
    for slots in [&made.slots].into_iter().chain(&made.more) {
        match Program::decode(slots) {
            Ok(program) => program.iter().for_each(|(at, insn)| println!("{at:>4}: {insn:?}")),
            Err(error) => println!("{error}"),
        }
        println!();
    }
}

fn report(done: Result<(), Finding>, tally: &Tally, took: Duration) -> ExitCode {
    println!("{tally}");
    println!("{:.1} s", took.as_secs_f64());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(finding) => {
            eprintln!("{finding}");
            ExitCode::from(signals::ESCAPED as u8)
        }
    }
}
