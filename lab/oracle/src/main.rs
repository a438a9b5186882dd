//! `skep-lab-oracle mutants OBJECT...` breaks the programs of objects, one instruction at a time; `contain OBJECT...` runs them, and looks
//! whether whatever happens was reckoned with; `beside OBJECT...` asks the running Linux, too.

use clap::{Args, Parser, Subcommand};
use skep::Btf;
use skep_lab_oracle::mutants::{Effort, Tally, of_object};
use skep_lab_oracle::{beside, contain};
use skep_verifier::Limits;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Hold the verifier against the reference machine.
#[derive(Parser)]
#[command(name = "skep-lab-oracle")]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Break programs: what the reference machine stops, the verifier must refuse.
    Mutants(Mutants),
    /// Run programs step by step: whatever happens must lie in a state that the verifier looked at.
    Contain(Contain),
    /// Ask the running Linux, too, of changed and of made programs (root only).
    Beside(beside::Options),
}

#[derive(Args)]
struct Contain {
    /// Have the running Linux make maps and relocate (root only).
    #[arg(long)]
    linux: bool,
    /// Runs of each program.
    #[arg(long, default_value_t = 200)]
    runs: u64,
    /// The seed of all inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The objects.
    #[arg(required = true)]
    objects: Vec<PathBuf>,
}

#[derive(Args)]
struct Mutants {
    /// Have the running Linux make maps and relocate (root only), and say what it makes of findings.
    #[arg(long)]
    linux: bool,
    /// Runs of each mutant.
    #[arg(long, default_value_t = 24)]
    runs: u64,
    /// Mutants of each program at most.
    #[arg(long, default_value_t = 1000)]
    mutants: usize,
    /// Fail where the machine stops fewer.
    #[arg(long, default_value_t = 0)]
    least: usize,
    /// The seed of what is chosen and of all inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The objects.
    #[arg(required = true)]
    objects: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match Options::parse().what {
        What::Mutants(options) => break_all(&options),
        What::Contain(options) => contain_all(&options),
        What::Beside(options) => ask_both(&options),
    }
}

/// Breaks all programs of the objects.
fn break_all(options: &Mutants) -> ExitCode {
    let (kernel, types) = match surroundings(options.linux) {
        Ok(both) => both,
        Err(code) => return code,
    };
    let effort = Effort { runs: options.runs, mutants: options.mutants, seed: options.seed };
    let mut tally = Tally::default();
    let mut said = 0;
    for path in &options.objects {
        if let Err(error) = of_object(&kernel, types.as_ref(), path, effort, &mut tally) {
            eprintln!("left out: {error}");
        }
        for finding in tally.findings.iter().skip(said) {
            println!("{finding}");
        }
        said = tally.findings.len();
    }
    println!(
        "{} programs ({} left out), {} mutants, {} stopped by the machine, {} of these accepted by the verifier; {} accepted of those that were not stopped",
        tally.programs,
        tally.left_out,
        tally.mutants,
        tally.stopped,
        tally.findings.len(),
        tally.accepted,
    );
    if tally.findings.is_empty() && tally.stopped >= options.least {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs all programs of the objects, and looks at every step.
fn contain_all(options: &Contain) -> ExitCode {
    let (kernel, types) = match surroundings(options.linux) {
        Ok(both) => both,
        Err(code) => return code,
    };
    let mut tally = contain::Tally::default();
    let mut said = 0;
    for path in &options.objects {
        let effort = contain::Effort {
            runs: options.runs,
            seed: options.seed,
            insns: Limits::LINUX.insns,
            fuel: 300_000,
        };
        if let Err(error) = contain::of_object(&kernel, types.as_ref(), path, effort, &mut tally) {
            eprintln!("left out: {error}");
        }
        for miss in tally.misses.iter().skip(said) {
            println!("{miss}");
        }
        said = tally.misses.len();
    }
    for stop in &tally.stopped {
        println!("{stop}");
    }
    for why in &tally.unlike {
        println!("accepted, and refused where less is pruned: {why}");
    }
    println!(
        "{} programs ({} left out), {} steps, {} at instructions with too many states, {} that were not reckoned with",
        tally.programs,
        tally.left_out,
        tally.steps,
        tally.unsaid,
        tally.misses.len(),
    );
    let is_sound = tally.misses.is_empty() && tally.stopped.is_empty() && tally.unlike.is_empty();
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Asks both verifiers.
fn ask_both(options: &beside::Options) -> ExitCode {
    let (kernel, types) = match surroundings(true) {
        Ok(both) => both,
        Err(code) => return code,
    };
    match beside::run(&kernel, types.as_ref(), options) {
        Ok(tally) => {
            println!("{tally}");
            let is_complete = tally.programs == 0 || tally.completeness() >= options.least;
            if tally.is_sound() && is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("oracle: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The kernel that makes maps, and its types.
fn surroundings(linux: bool) -> Result<(skep::Kernel, Option<Arc<Btf<'static>>>), ExitCode> {
    let kernel = match linux {
        true => skep::Kernel::linux(),
        false => match skep::Kernel::embedded(skep::embedded::Config::default()) {
            Ok(kernel) => kernel,
            Err(error) => {
                eprintln!("oracle: {error}");
                return Err(ExitCode::FAILURE);
            }
        },
    };
    let types = kernel.sys().file_read("/sys/kernel/btf/vmlinux").ok();
    let types = types.and_then(|bytes| Btf::from_vec(bytes).ok()).map(Arc::new);
    Ok((kernel, types))
}
