//! The same work by skep and by a peer, in interleaved rounds.
//!
//! A line per case: what was measured, nanoseconds of each side, and the ratio of the medians (below 1: skep is faster).

use std::time::Instant;

/// A measurement, or why it cannot be made here.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// One side: does the work once and gives the number of units done.
pub(crate) type Side = Box<dyn FnMut() -> Outcome<u64>>;

/// A case: the same work, by skep and by a peer.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) ours: fn() -> Outcome<Side>,
    pub(crate) theirs: fn() -> Outcome<Side>,
}

/// Measures every case and prints its line.
pub(crate) fn measure(cases: &[Case], rounds: u32) {
    println!(
        "{:<48} {:>12} {:>12} {:>7}  peer is",
        "case (medians of interleaved rounds, ns)", "skep", "peer", "ratio"
    );
    for case in cases {
        match line(case, rounds as usize) {
            Ok(line) => println!("{line}"),
            Err(why) => println!("skipped: {}: {why}", case.name),
        }
    }
}

fn line(case: &Case, rounds: usize) -> Outcome<String> {
    let (ours, theirs) = (case.ours)().and_then(|ours| Ok((ours, (case.theirs)()?)))?;
    let (ours, theirs) = interleave(rounds, ours, theirs)?;
    Ok(format!("{:<48} {ours:>12.1} {theirs:>12.1} {:>7.2}  {}", case.name, ours / theirs, case.peer))
}

/// Runs both sides in turn, once to warm up and then as often as asked; gives the medians in nanoseconds a unit.
fn interleave(rounds: usize, mut ours: Side, mut theirs: Side) -> Outcome<(f64, f64)> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    once(&mut ours)?;
    once(&mut theirs)?;
    for _ in 0..rounds {
        left.push(once(&mut ours)?);
        right.push(once(&mut theirs)?);
    }
    Ok((median(left), median(right)))
}

fn once(side: &mut Side) -> Outcome<f64> {
    let start = Instant::now();
    let units = side()?;
    Ok(start.elapsed().as_nanos() as f64 / units.max(1) as f64)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
