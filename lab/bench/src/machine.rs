//! Engines that run programs, beside native code: the same bytecode for all of them.

mod engine;
mod exact;
mod interpreter;
mod jit;
mod linux;
mod native;
mod ops;
mod rbpf;
mod report;
mod rounds;
mod solana;

pub(crate) use interpreter::{Alone, options};

use clap::Args;
use engine::{ENGINES, Engine, Task};
use skep_lab_programs::Cpu;
use std::error::Error;
use std::path::PathBuf;

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// How often each engine's turn comes for each program.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these programs (names, with commas between).
    #[arg(long, value_delimiter = ',')]
    programs: Vec<String>,
    /// Only these engines; native code without vectors, which all are compared with, is always there.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Run the bytecode of `-mcpu=v4`.
    #[arg(long)]
    v4: bool,
    /// Write everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures, and prints what came of it.
pub(crate) fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    let cpu = if options.v4 { Cpu::V4 } else { Cpu::V3 };
    let mut tasks = Vec::new();
    for program in skep_lab_programs::all()? {
        if options.programs.is_empty() || options.programs.iter().any(|name| name == program.name) {
            tasks.push(Task::new(program, cpu)?);
        }
    }
    if let Some(name) = options.programs.iter().find(|name| tasks.iter().all(|task| task.name() != *name)) {
        return Err(format!("no program is called `{name}`").into());
    }
    let engines = choose(&options.engines)?;
    let measured = rounds::run(&tasks, &engines, options.rounds);
    report::print(&tasks, &engines, &measured);
    if let Some(path) = &options.json {
        let json = report::json(&tasks, &engines, &measured, options.rounds, cpu);
        std::fs::write(path, json).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn choose(names: &[String]) -> Result<Vec<&'static dyn Engine>, String> {
    if let Some(name) = names.iter().find(|name| ENGINES.iter().all(|engine| engine.name() != *name)) {
        let known: Vec<_> = ENGINES.iter().map(|engine| engine.name()).collect();
        return Err(format!("no engine is called `{name}`; there are {}", known.join(", ")));
    }
    let wanted = |engine: &&&dyn Engine| names.is_empty() || names.iter().any(|name| name == engine.name());
    // The first is what all are compared with.
    Ok(ENGINES.iter().enumerate().filter(|(i, engine)| *i == 0 || wanted(engine)).map(|(_, e)| *e).collect())
}
