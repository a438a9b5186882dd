//! Measures beside named peers, in interleaved rounds: numbers, never a verdict.
//!
//! `loader` compares reading and loading objects, `encoder` the making of machine code, `machine` the engines that run
//! programs, `shapes` those that run programs with maps, `compile` how long their compiler
//! takes for programs of any size, `verifier` the verifiers. The rounds alternate between the sides, so that a machine whose speed
//! drifts slows all. What cannot run here is skipped by name.
//!
//! This is an unsafe room for one reason: native code and the peers' compiled code are called.

mod clock;
mod compile;
mod encoder;
mod loader;
mod machine;
mod memory;
mod pairs;
mod shapes;
mod verifier;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measure beside named peers, in interleaved rounds.
#[derive(Parser)]
#[command(name = "skep-lab-bench")]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Read and load an object.
    Loader {
        /// How often each side's turn comes.
        #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Encode machine code.
    Encoder {
        /// How often each side's turn comes.
        #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Compile programs of a thousand to a million instructions.
    Compile {
        /// How often each is compiled; the least time counts.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Run the benchmark programs on every engine.
    Machine(machine::Options),
    /// Run programs with maps beside the running Linux.
    Shapes(shapes::Options),
    /// Verify programs that branch beside the running Linux.
    Verifier {
        /// How often each side's turn comes.
        #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
}

fn main() -> ExitCode {
    let measured = match Options::parse().what {
        What::Loader { rounds } => {
            loader::measure(rounds);
            Ok(())
        }
        What::Encoder { rounds } => {
            encoder::measure(rounds);
            Ok(())
        }
        What::Compile { rounds } => compile::measure(rounds),
        What::Machine(options) => machine::measure(&options),
        What::Shapes(options) => shapes::measure(&options),
        What::Verifier { rounds } => verifier::measure(rounds).map_err(Into::into),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
