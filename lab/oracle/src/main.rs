//! `skep-lab-oracle mutants OBJECT...`: breaks the programs of objects, one instruction at a time.

use clap::{Args, Parser, Subcommand};
use skep::Btf;
use skep_lab_oracle::mutants::{Effort, Tally, of_object};
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
    }
}

/// Breaks all programs of the objects.
fn break_all(options: &Mutants) -> ExitCode {
    let kernel = match options.linux {
        true => skep::Kernel::linux(),
        false => match skep::Kernel::embedded(skep::embedded::Config::default()) {
            Ok(kernel) => kernel,
            Err(error) => {
                eprintln!("oracle: {error}");
                return ExitCode::FAILURE;
            }
        },
    };
    let types = kernel.sys().file_read("/sys/kernel/btf/vmlinux").ok();
    let types = types.and_then(|bytes| Btf::from_vec(bytes).ok()).map(Arc::new);
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
