//! How long a load takes on either side: one process a load, in turns.

use crate::load::Verdict;
use crate::{File, Outcome, Side, libbpf, ours, seam};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each side's turn comes.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Load once by this side, and print what it took: what each process does.
    #[arg(long, hide = true)]
    once: Option<Side>,
    /// The objects.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// What one load of a whole object took, from its file to the last program.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Took {
    /// Nanoseconds on the clock.
    wall: u64,
    /// Of them outside of `bpf(2)`.
    outside: u64,
    /// Nanoseconds of the processor for the process, outside of the kernel.
    user: u64,
    /// `bpf(2)` calls.
    calls: u64,
    /// Whether the kernel has taken it.
    loaded: bool,
}

/// One column of the table: its title, and how it is read.
type Column = (&'static str, fn(&Took) -> u64);

const COLUMNS: &[Column] = &[
    ("wall us", |took| took.wall / 1000),
    ("outside us", |took| took.outside / 1000),
    ("user us", |took| took.user / 1000),
    ("calls", |took| took.calls),
];

/// Measures, and prints a line for each object and side: medians.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    if let (Some(side), Some(path)) = (options.once, options.files.first()) {
        println!("{}", serde_json::to_string(&once(side, path)?)?);
        return Ok(());
    }
    let titles: Vec<String> = COLUMNS.iter().map(|(title, _)| format!("{title:>11}")).collect();
    println!("{:<48} {:<7}{}", "object (medians)", "by", titles.concat());
    for path in &options.files {
        let name = File { path: path.clone() }.name();
        let sides = [Side::Skep, Side::Libbpf];
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            for (side, took) in sides.iter().zip(&mut took) {
                took.push(in_a_process(*side, path)?);
            }
        }
        for (side, took) in sides.iter().zip(&took) {
            let cells: Vec<String> = match took.iter().all(|took| took.loaded) {
                true => COLUMNS.iter().map(|(_, read)| format!("{:>11}", median(took, *read))).collect(),
                false => vec!["    does not load".to_owned()],
            };
            println!("{name:<48} {:<7}{}", side.word(), cells.concat());
        }
    }
    Ok(())
}

fn median(took: &[Took], read: fn(&Took) -> u64) -> u64 {
    let mut values: Vec<u64> = took.iter().map(read).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn in_a_process(side: Side, path: &Path) -> Outcome<Took> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["time", "--once", side.word()]).arg(path).stdin(Stdio::null());
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", side.word(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn once(side: Side, path: &Path) -> Outcome<Took> {
    let file = File { path: path.to_path_buf() };
    let (user, start) = (user_time(), Instant::now());
    let (verdict, inside): (Outcome<Verdict>, _) = seam::measure(|| match side {
        Side::Skep => ours::whole(&file),
        Side::Libbpf => libbpf::whole(&file),
    });
    let wall = u64::try_from(start.elapsed().as_nanos())?;
    let user = user_time().saturating_sub(user);
    let outside = wall.saturating_sub(inside.nanoseconds);
    Ok(Took { wall, outside, user, calls: inside.calls, loaded: verdict?.is_loaded() })
}

/// Nanoseconds of the processor that this process has had outside of the kernel.
fn user_time() -> u64 {
    // SAFETY: numbers may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: it writes one such value.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let micros = usage.ru_utime.tv_sec * 1_000_000 + usage.ru_utime.tv_usec;
    u64::try_from(micros).unwrap_or(0) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_column() {
        let took = |wall| Took { wall, outside: 0, user: 0, calls: 1, loaded: true };
        assert_eq!(median(&[took(9000), took(1000), took(2000)], COLUMNS[0].1), 2);
        assert_eq!(median(&[], COLUMNS[0].1), 0);
    }
}
