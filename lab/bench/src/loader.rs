//! Reading and loading objects, beside other loaders.
//!
//! A line per case: what was measured, nanoseconds of each side, and the ratio of the medians (below 1: skep is faster).

mod cases;
mod rounds;

use rounds::{Case, Outcome};

/// Measures every case and prints its line.
pub(crate) fn measure(rounds: u32) {
    println!(
        "{:<46} {:>12} {:>12} {:>7}  peer is",
        "case (medians of interleaved rounds, ns)", "skep", "peer", "ratio"
    );
    for case in cases::all() {
        match line(&case, rounds as usize) {
            Ok(line) => println!("{line}"),
            Err(why) => println!("skipped: {}: {why}", case.name),
        }
    }
}

fn line(case: &Case, rounds: usize) -> Outcome<String> {
    let (ours, theirs) = (case.ours)().and_then(|ours| Ok((ours, (case.theirs)()?)))?;
    let (ours, theirs) = rounds::interleave(rounds, ours, theirs)?;
    Ok(format!("{:<46} {ours:>12.1} {theirs:>12.1} {:>7.2}  {}", case.name, ours / theirs, case.peer))
}
