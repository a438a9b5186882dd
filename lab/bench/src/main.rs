//! Measures against named peers: ratios, medians of interleaved rounds, never a verdict.
//!
//! `skep-lab-bench [ROUNDS]` prints a line per case: what was measured, nanoseconds of each side, and the ratio of the
//! medians (below 1: skep is faster). The rounds alternate between the sides, so that a machine whose speed drifts
//! slows both. A case that cannot run here is skipped by name.

mod cases;
mod rounds;

use rounds::{Case, Outcome};
use std::process::ExitCode;

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).map_or(Ok(11), |text| text.parse::<usize>());
    let Ok(rounds @ 1..) = rounds else {
        eprintln!("usage: skep-lab-bench [ROUNDS]");
        return ExitCode::from(2);
    };
    println!(
        "{:<46} {:>12} {:>12} {:>7}  peer is",
        "case (medians of interleaved rounds, ns)", "skep", "peer", "ratio"
    );
    for case in cases::all() {
        match measure(&case, rounds) {
            Ok(line) => println!("{line}"),
            Err(why) => println!("skipped: {}: {why}", case.name),
        }
    }
    ExitCode::SUCCESS
}

fn measure(case: &Case, rounds: usize) -> Outcome<String> {
    let (ours, theirs) = (case.ours)().and_then(|ours| Ok((ours, (case.theirs)()?)))?;
    let (ours, theirs) = rounds::interleave(rounds, ours, theirs)?;
    Ok(format!("{:<46} {ours:>12.1} {theirs:>12.1} {:>7.2}  {}", case.name, ours / theirs, case.peer))
}
