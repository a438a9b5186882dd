//! What a load takes by each loader: time, calls, memory. One process a load, in turns.

use crate::{File, Outcome, heap, libbpf, ours, peers, seam};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each side's turn comes.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these loaders.
    #[arg(long, value_delimiter = ',')]
    by: Vec<Loader>,
    /// Load once by this loader, and print what it took: what each process does.
    #[arg(long, hide = true)]
    once: Option<Loader>,
    /// Fail where libbpf loads what skep does not, or makes fewer calls, or holds less on the heap by a twentieth: what
    /// does not vary.
    #[arg(long)]
    check: bool,
    /// Count the heap, and not the time.
    #[arg(long, hide = true)]
    heap: bool,
    /// The objects.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Who loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Loader {
    Skep,
    Libbpf,
    LibbpfRs,
    Aya,
}

impl Loader {
    fn word(self) -> &'static str {
        match self {
            Self::Skep => "skep",
            Self::Libbpf => "libbpf",
            Self::LibbpfRs => "libbpf-rs",
            Self::Aya => "aya",
        }
    }

    /// Its name with its version, from the lock that this program is built by.
    fn named(self) -> String {
        let (name, package) = match self {
            Self::Skep => return "skep".to_owned(),
            Self::Libbpf => ("libbpf", "libbpf-sys"),
            Self::LibbpfRs => ("libbpf-rs", "libbpf-rs"),
            Self::Aya => ("aya", "aya"),
        };
        let entry = format!("name = \"{package}\"\nversion = \"");
        let version = include_str!("../Cargo.lock").split_once(&entry).map(|(_, rest)| rest);
        let version = version.and_then(|rest| rest.split(['"', '+']).next());
        format!("{name} {}", version.unwrap_or_default())
    }

    /// Loads a whole object, from its file to the last program, and tells `loaded` before it lets go.
    fn load(self, file: &File, loaded: &mut dyn FnMut()) -> Outcome<()> {
        match self {
            Self::Skep => ours::whole(file, loaded),
            Self::Libbpf => libbpf::whole(file, loaded),
            Self::LibbpfRs => peers::libbpf_rs(file, loaded),
            Self::Aya => peers::aya(file, loaded),
        }
    }
}

/// What one load took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Took {
    /// Nanoseconds on the clock.
    wall: u64,
    /// Of them outside of `bpf(2)`.
    outside: u64,
    /// Nanoseconds of the processor for the process, kernel included.
    cpu: u64,
    /// Of them outside of `bpf(2)`.
    cpu_outside: u64,
    /// Nanoseconds on the clock outside of `bpf(2)` of one more load in the same process, whose code is in memory by then.
    again: u64,
    /// `bpf(2)` calls.
    calls: u64,
    /// Pages that the process touched for the first time.
    faults: u64,
    /// The most bytes on the heap at once.
    heap: u64,
    /// Bytes on the heap when all was loaded.
    left: u64,
    /// The most memory of the process that was resident, in bytes, program and libraries included.
    resident: u64,
}

/// One column of the table: its title, and how it is read.
type Column = (&'static str, fn(&Took) -> u64);

const COLUMNS: &[Column] = &[
    ("wall us", |took| took.wall / 1000),
    ("outside us", |took| took.outside / 1000),
    ("cpu us", |took| took.cpu / 1000),
    ("outside us", |took| took.cpu_outside / 1000),
    ("again us", |took| took.again / 1000),
    ("calls", |took| took.calls),
    ("faults", |took| took.faults),
    ("heap KiB", |took| took.heap >> 10),
    ("left KiB", |took| took.left >> 10),
    ("rss KiB", |took| took.resident >> 10),
];

/// Measures, and prints a line for each object and loader: medians.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    if let (Some(loader), Some(path)) = (options.once, options.files.first()) {
        let file = File { path: path.clone() };
        let took = if options.heap { memory(loader, &file)? } else { time(loader, &file)? };
        println!("{}", serde_json::to_string(&took)?);
        return Ok(());
    }
    let loaders = if options.by.is_empty() { Loader::value_variants() } else { &options.by };
    let programs = loaders.iter().map(|loader| Program::of(*loader)).collect::<Outcome<Vec<_>>>()?;
    println!("{}", conditions(options.rounds, loaders));
    let titles: Vec<String> = COLUMNS.iter().map(|(title, _)| format!("{title:>11}")).collect();
    println!("{:<48} {:<9}{}", "", "", "      clock, and of it  processor, and of it");
    println!("{:<48} {:<9}{}", "object (medians)", "by", titles.concat());
    let mut worse = Vec::new();
    for path in &options.files {
        let name = File { path: path.clone() }.name();
        let mut answers = Vec::new();
        for (loader, took) in loaders.iter().zip(in_turns(&programs, path, options.rounds)?) {
            let cells = match &took {
                Ok(took) => COLUMNS.iter().map(|(_, read)| format!("{:>11}", median(took, *read))).collect(),
                Err(why) => format!("    does not load: {why}"),
            };
            println!("{name:<48} {:<9}{cells}", loader.word());
            answers.push((*loader, took));
        }
        worse.extend(is_worse(&answers).map(|why| format!("{name}: {why}")));
    }
    if options.check && !worse.is_empty() {
        return Err(worse.join("\n").into());
    }
    Ok(())
}

/// What each loader took in each round, or why it does not load.
type Answer = Result<Vec<Took>, String>;

/// The order of a round: in as many rounds as there are of an even number, each comes once behind each other one
/// (E. J. Williams, 1949), as what one leaves in the caches, or has driven out of them, is the next one's. The first of a round comes
/// behind itself, not counted, so that it does not come behind the last of the round before.
fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| {
        let first = if place % 2 == 0 { count - place / 2 } else { place / 2 + 1 };
        (first + round) % count
    })
}

/// A copy of this program for one loader.
///
/// In one program, those that share code, as libbpf and libbpf-rs do, would find in caches what the other has left there.
struct Program {
    loader: Loader,
    path: PathBuf,
}

impl Program {
    fn of(loader: Loader) -> Outcome<Program> {
        let own = std::env::current_exe()?;
        let path = own.with_extension(format!("{}.{}", loader.word(), std::process::id()));
        let program = Program { loader, path };
        fs::copy(&own, &program.path)?;
        Ok(program)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}

/// Lets all loaders load a file in turns, and each once more for its heap: to count it takes time.
fn in_turns(programs: &[Program], path: &Path, rounds: u32) -> Outcome<Vec<Answer>> {
    let mut answers: Vec<Answer> = vec![Ok(Vec::new()); programs.len()];
    for round in 0..rounds as usize {
        for (place, turn) in order(programs.len(), round).enumerate() {
            let (program, answer) = (&programs[turn], &mut answers[turn]);
            if let Ok(rounds) = answer {
                if place == 0 {
                    let _ = in_a_process(program, path, &[])?;
                }
                match in_a_process(program, path, &[])? {
                    Ok(round) => rounds.push(round),
                    Err(why) => *answer = Err(why),
                }
            }
        }
    }
    for (program, answer) in programs.iter().zip(&mut answers) {
        if let Ok(rounds) = answer {
            let memory = in_a_process(program, path, &["--heap"])??;
            for round in rounds {
                (round.heap, round.left) = (memory.heap, memory.left);
            }
        }
    }
    Ok(answers)
}

/// What of skep's is worse than libbpf's, of what is the same in each round.
fn is_worse(answers: &[(Loader, Answer)]) -> Option<String> {
    let of = |wanted: Loader| answers.iter().find(|(loader, _)| *loader == wanted).map(|(_, answer)| answer);
    let Some(Ok(libbpf)) = of(Loader::Libbpf) else { return None };
    let skep = match of(Loader::Skep)? {
        Ok(skep) => skep,
        Err(why) => return Some(format!("only libbpf loads it: {why}")),
    };
    // What is allowed besides, as a part of libbpf's: paths have other lengths elsewhere, and are on the heap.
    let fixed: [(Column, u64); 2] =
        [(("calls", |took| took.calls), 0), (("bytes on the heap", |took| took.heap), 20)];
    let mut more = fixed.iter().filter_map(|((title, read), part)| {
        let (ours, theirs) = (median(skep, *read), median(libbpf, *read));
        let most = theirs + theirs.checked_div(*part).unwrap_or(0);
        (ours > most).then(|| format!("{ours} {title}, {theirs} by libbpf"))
    });
    more.next()
}

/// Who is measured, where, and how often.
fn conditions(rounds: u32, loaders: &[Loader]) -> String {
    let text = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = text("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let release = text("/proc/sys/kernel/osrelease");
    let names: Vec<String> = loaders.iter().map(|loader| loader.named()).collect();
    format!(
        "{}; Linux {} on {cpus} CPUs ({}), load {}; {rounds} rounds in turns, one process a load",
        names.join(", "),
        release.trim(),
        model.map_or("unknown", |(_, model)| model),
        text("/proc/loadavg").split(' ').next().unwrap_or_default(),
    )
}

fn median(took: &[Took], read: fn(&Took) -> u64) -> u64 {
    let mut values: Vec<u64> = took.iter().map(read).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Measures one load; the inner error is why there is none.
fn in_a_process(program: &Program, path: &Path, more: &[&str]) -> Outcome<Result<Took, String>> {
    let mut command = Command::new(&program.path);
    command.args(["time", "--once", program.loader.word()]).args(more).arg(path).stdin(Stdio::null());
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Ok(Err(said.lines().last().unwrap_or_default().chars().take(100).collect()));
    }
    Ok(Ok(serde_json::from_slice(&output.stdout)?))
}

fn time(loader: Loader, file: &File) -> Outcome<Took> {
    let first = once(loader, file)?;
    let resident = u64::try_from(usage().ru_maxrss).unwrap_or(0) << 10;
    Ok(Took { resident, again: once(loader, file)?.outside, ..first })
}

fn once(loader: Loader, file: &File) -> Outcome<Took> {
    let faults = usage().ru_minflt;
    let (cpu, start) = (seam::cpu_time(), Instant::now());
    let (outcome, inside) = seam::measure(|| loader.load(file, &mut || ()));
    let wall = u64::try_from(start.elapsed().as_nanos())?;
    let cpu = seam::cpu_time().saturating_sub(cpu);
    let faults = u64::try_from(usage().ru_minflt - faults).unwrap_or(0);
    outcome?;
    Ok(Took {
        wall,
        outside: wall.saturating_sub(inside.wall),
        cpu,
        cpu_outside: cpu.saturating_sub(inside.cpu),
        calls: inside.calls,
        faults,
        ..Took::default()
    })
}

fn memory(loader: Loader, file: &File) -> Outcome<Took> {
    let mut left = 0;
    heap::begin();
    let outcome = loader.load(file, &mut || left = heap::now());
    let heap = heap::end();
    outcome?;
    Ok(Took { heap, left, ..Took::default() })
}

/// What this process has used of the machine.
fn usage() -> libc::rusage {
    // SAFETY: numbers may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: it writes one such value.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_once_behind_each_other() {
        for count in [2, 4, 6] {
            let rounds: Vec<Vec<usize>> = (0..count).map(|round| order(count, round).collect()).collect();
            let mut pairs: Vec<_> = rounds.iter().flat_map(|round| round.windows(2)).collect();
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(pairs.len(), count * (count - 1), "{rounds:?}");
            let all = |round: &Vec<usize>| (0..count).all(|one| round.contains(&one));
            assert!(rounds.iter().all(all), "{rounds:?}");
        }
    }

    #[test]
    fn medians_are_of_the_column() {
        let took = |wall| Took { wall, ..Took::default() };
        assert_eq!(median(&[took(9000), took(1000), took(2000)], COLUMNS[0].1), 2);
        assert_eq!(median(&[], COLUMNS[0].1), 0);
    }

    #[test]
    fn more_calls_more_heap_and_no_load_are_worse() {
        let took = |calls, heap| Ok(vec![Took { calls, heap, ..Took::default() }]);
        let judge =
            |skep: Answer, libbpf: Answer| is_worse(&[(Loader::Skep, skep), (Loader::Libbpf, libbpf)]);
        let refused = || Err("no".to_owned());
        assert_eq!(judge(took(3, 5), took(3, 5)), None);
        assert_eq!(judge(took(4, 5), took(3, 9)).as_deref(), Some("4 calls, 3 by libbpf"));
        assert_eq!(judge(took(3, 6), took(9, 5)).as_deref(), Some("6 bytes on the heap, 5 by libbpf"));
        assert_eq!(judge(refused(), took(9, 9)).as_deref(), Some("only libbpf loads it: no"));
        assert_eq!(judge(took(9, 9), refused()), None);
    }

    #[test]
    fn peers_have_the_versions_that_they_are_locked_to() {
        for loader in Loader::value_variants() {
            assert!(
                loader.named().chars().any(|c| c.is_ascii_digit()) || *loader == Loader::Skep,
                "{loader:?}"
            );
        }
    }
}
