//! Both sides of every object.

use crate::differ::{self, Difference};
use crate::load::{Load, Verdict};
use crate::report::{Extent, Report};
use crate::{File, Outcome, Side, Unit};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Which objects, and what of them.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What is loaded at once.
    #[arg(long, default_value = "program")]
    unit: Unit,
    /// Compare what reaches `bpf(2)`, too.
    #[arg(long)]
    bytes: bool,
    /// Have the kernel seem to know no tags on declarations, as before Linux 5.16.
    #[arg(long, requires = "bytes")]
    without_tags: bool,
    /// Ask for no logs of what is refused; for machines that are emulated.
    #[arg(long, conflicts_with = "bytes")]
    verdicts: bool,
    /// Give a program up after so many seconds; for machines that are emulated.
    #[arg(long)]
    limit: Option<u64>,
    /// Write the answers here, a line of JSON for each object as soon as it is done; `-` is stdout, which then has nothing
    /// else.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    judge: Judge,
    /// The objects, or folders of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// What the answers are held against.
#[derive(clap::Args)]
struct Judge {
    /// What is known: `load: REASON` for what only libbpf loads, `sent: KIND` for what is sent differently, a line each.
    /// Anything else is a failure.
    #[arg(long)]
    known: Option<PathBuf>,
    /// Fail, too, on what is known and not found.
    #[arg(long, requires = "known")]
    all_known: bool,
}

impl Judge {
    fn of(&self, report: &Report) -> Outcome<()> {
        let Some(known) = &self.known else { return Ok(()) };
        let extent = if self.all_known { Extent::All } else { Extent::Some };
        report.judge(&std::fs::read_to_string(known)?, extent)
    }
}

/// What both sides made of one program, or of a whole object.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Pair {
    /// `PACKAGE/FILE`.
    pub(crate) object: String,
    /// The program; none for a whole object.
    pub(crate) program: Option<String>,
    /// Its section.
    pub(crate) section: Option<String>,
    /// skep's answer.
    pub(crate) skep: Verdict,
    /// libbpf's.
    pub(crate) libbpf: Verdict,
    /// What reached `bpf(2)` and was not the same, where both have loaded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) differences: Option<Vec<Difference>>,
    /// Of a whole object that skep does not load, how many programs there are, and how many of them it loads alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<Parts>,
}

/// Programs of an object, each loaded alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Parts {
    pub(crate) all: usize,
    pub(crate) loaded: usize,
}

/// Compares and reports.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut report = Report::default();
    let is_piped = options.json.as_deref() == Some(Path::new("-"));
    let mut lines: Option<Box<dyn Write>> = match &options.json {
        None => None,
        Some(_) if is_piped => Some(Box::new(std::io::stdout())),
        Some(path) => Some(Box::new(std::fs::File::create(path)?)),
    };
    for path in all_files(&options.files)? {
        let file = File { path };
        let answered = Answered { object: file.name(), pairs: pairs(&file, options)? };
        if let Some(lines) = &mut lines {
            writeln!(lines, "{}", serde_json::to_string(&answered)?)?;
            lines.flush()?;
        }
        report.add(answered.pairs);
    }
    if !is_piped {
        report.print();
    }
    options.judge.of(&report)
}

/// An object's answers: a line.
#[derive(serde::Serialize, serde::Deserialize)]
struct Answered {
    object: String,
    pairs: Vec<Pair>,
}

/// Answers of an earlier comparison.
#[derive(clap::Args)]
pub(crate) struct Again {
    #[command(flatten)]
    judge: Judge,
    /// The answers, as lines of JSON.
    answers: PathBuf,
}

/// Reports an earlier comparison, perhaps of another kernel.
pub(crate) fn again(options: &Again) -> Outcome<()> {
    let mut report = Report::default();
    for line in std::fs::read_to_string(&options.answers)?.lines() {
        report.add(serde_json::from_str::<Answered>(line)?.pairs);
    }
    report.print();
    options.judge.of(&report)
}

/// The files, and all files below the folders, in order.
pub(crate) fn all_files(named: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let below = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Outcome<Vec<_>>>()?;
        let mut below = all_files(&below)?;
        below.sort();
        files.append(&mut below);
    }
    Ok(files)
}

/// Has both sides load an object, at the same time: a load waits for one processor, and there are two even where they are
/// emulated.
fn pairs(file: &File, options: &Options) -> Outcome<Vec<Pair>> {
    let unit = options.unit;
    let by = |side| answers(side, file, unit, options).map_err(|error| error.to_string());
    let (skep, libbpf) = thread::scope(|scope| {
        let skep = scope.spawn(|| by(Side::Skep));
        let libbpf = by(Side::Libbpf);
        (skep.join().unwrap_or_else(|_| Err("a thread has panicked".to_owned())), libbpf)
    });
    let mut pairs = join(&file.name(), unit, skep?, libbpf?);
    for pair in pairs.iter_mut().filter(|pair| unit == Unit::Object && !pair.skep.is_loaded()) {
        let alone = answers(Side::Skep, file, Unit::Program, options)?;
        let loaded = alone.iter().filter(|load| load.verdict.is_loaded()).count();
        pair.parts = Some(Parts { all: alone.len(), loaded });
    }
    Ok(pairs)
}

/// Pairs the answers by program, in skep's order and then libbpf's. A side that could not read the object has the same
/// answer for all of its programs.
fn join(object: &str, unit: Unit, skep: Vec<Load>, libbpf: Vec<Load>) -> Vec<Pair> {
    if unit == Unit::Object || [&skep, &libbpf].iter().all(|loads| unread(loads).is_some()) {
        let first = |loads: Vec<Load>| loads.into_iter().next().unwrap_or_else(absent);
        return vec![pair(object, (None, None), first(skep), first(libbpf))];
    }
    let whole = (unread(&skep), unread(&libbpf));
    let mut order: Vec<(String, Option<String>)> = Vec::new();
    let mut table = |loads: Vec<Load>| {
        let mut by_name = BTreeMap::new();
        for load in loads {
            let Some(name) = load.program.clone() else { continue };
            if order.iter().all(|(known, _)| *known != name) {
                order.push((name.clone(), load.section.clone()));
            }
            by_name.insert(name, load);
        }
        by_name
    };
    let (mut skep, mut libbpf) = (table(skep), table(libbpf));
    let both = |(name, section): (String, Option<String>)| {
        let skep = skep.remove(&name).or_else(|| whole.0.clone()).unwrap_or_else(absent);
        let libbpf = libbpf.remove(&name).or_else(|| whole.1.clone()).unwrap_or_else(absent);
        pair(object, (Some(name), section), skep, libbpf)
    };
    order.into_iter().map(both).collect()
}

fn pair(
    object: &str,
    (program, section): (Option<String>, Option<String>),
    skep: Load,
    libbpf: Load,
) -> Pair {
    let differences = skep.sent.zip(libbpf.sent).map(|(skep, libbpf)| differ::between(&skep, &libbpf));
    let object = object.to_owned();
    Pair { object, program, section, skep: skep.verdict, libbpf: libbpf.verdict, differences, parts: None }
}

/// The answer where a side could not read the object.
fn unread(loads: &[Load]) -> Option<Load> {
    loads.iter().find(|load| matches!(load.verdict, Verdict::Unread { .. })).cloned()
}

fn absent() -> Load {
    Load::unread("does not list this program".to_owned())
}

/// Runs one side on an object in processes of its own: one, and another one for the rest whenever one dies.
fn answers(side: Side, file: &File, unit: Unit, options: &Options) -> Outcome<Vec<Load>> {
    let mut loads = Vec::new();
    loop {
        // By this name it is the same program even where a new one has taken its place meanwhile.
        let mut child = Command::new("/proc/self/exe")
            .args(["load", "--by", side.word(), "--unit", unit.word(), "--skip", &loads.len().to_string()])
            .args(options.bytes.then_some("--record"))
            .args(options.without_tags.then_some("--without-tags"))
            .args(options.verdicts.then_some("--verdicts"))
            .arg(&file.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no pipe")?;
        let (say, said) = mpsc::channel();
        let reader =
            thread::spawn(move || BufReader::new(output).lines().try_for_each(|line| say.send(line)));
        let is_late = loop {
            let line = match options.limit {
                Some(limit) => said.recv_timeout(Duration::from_secs(limit)),
                None => said.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match line {
                Ok(line) => loads.push(serde_json::from_str(&line?)?),
                Err(error) => break error == RecvTimeoutError::Timeout,
            }
        };
        if is_late {
            child.kill()?;
        }
        let status = child.wait()?;
        // What it sends to is gone by now, or its pipe: it ends either way.
        let _ = reader.join();
        if status.success() {
            return Ok(loads);
        }
        let how = match options.limit.filter(|_| is_late) {
            Some(limit) => format!("no answer in {limit} s"),
            None => status.to_string(),
        };
        let verdict = Verdict::Died { how };
        let program = next_program(file, loads.len());
        let is_last = program.is_none();
        loads.push(Load { program, section: None, verdict, sent: None });
        if unit == Unit::Object || is_last {
            return Ok(loads);
        }
    }
}

/// The name of the program at a position, as far as skep can read the object.
fn next_program(file: &File, index: usize) -> Option<String> {
    let bytes = std::fs::read(&file.path).ok()?;
    let spec = skep_elf::ObjectSpec::parse(&file.name(), &bytes).ok()?;
    spec.programs.get(index).map(|program| program.name.clone())
}
