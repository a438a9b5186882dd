//! skep's verifier beside Linux's, on programs that Linux is asked to load: both verdicts, what they took, where they differ.
//!
//! Each program of each object is loaded alone, by skep's loader, and what the verifier is told is made of exactly what reaches the
//! kernel ([`Capture`]). `judge-one` is the work on one object, in a process of its own; what it dies of is an answer.

mod expect;
mod linux;
mod memory;
mod subject;
mod table;
mod verdict;

use crate::report::Extent;
use crate::{File, Outcome, heap, ours};
use skep::{Btf, Kernel, Object};
use skep_abi::ProgType;
use skep_lab_oracle::{Capture, Case, Sent};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use table::Table;
use verdict::{About, Judged, Linux, Ours, Peaks};

/// Which objects, and what of them.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print only programs whose verdicts differ.
    #[arg(long)]
    different: bool,
    /// Print no programs, only the table.
    #[arg(long, conflicts_with = "different")]
    table: bool,
    /// Only programs whose name has this in it (may be repeated).
    #[arg(long)]
    program: Vec<String>,
    /// The objects are self-tests of the kernel's, whose declaration tags say what is expected.
    #[arg(long)]
    selftests: bool,
    /// Ask both this often, in turns, and take the median of the times.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure memory, too: what the kernel takes for a load, by a cgroup's peak, and what skep's verifier takes of the heap.
    #[arg(long)]
    memory: bool,
    /// Give a program up after so many seconds.
    #[arg(long, default_value_t = 120)]
    limit: u64,
    /// Write each answer here, a line of JSON for each program.
    #[arg(long)]
    json: Option<PathBuf>,
    /// What is accepted although the self-tests expect that it is refused, and why: `OBJECT PROGRAM` a line. Fail on all else.
    #[arg(long, requires = "selftests")]
    known: Option<PathBuf>,
    /// Not all self-tests are here: what is known and not found is no failure.
    #[arg(long, requires = "known")]
    some: bool,
    /// The objects, or folders of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// The work of one process.
#[derive(clap::Args)]
pub(crate) struct One {
    /// Leave so many programs out.
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// Only programs whose name has this in it.
    #[arg(long)]
    program: Vec<String>,
    /// Read what declaration tags say is expected.
    #[arg(long)]
    selftests: bool,
    /// Ask both this often.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Measure memory, too.
    #[arg(long)]
    memory: bool,
    /// The object.
    file: PathBuf,
}

/// A line from the process that does the work.
#[derive(serde::Serialize, serde::Deserialize)]
enum Line {
    /// Linux has answered; skep's verifier is at it.
    Asked(Judged),
    /// Both have.
    Done(Judged),
}

/// Judges objects, each in processes of its own, and reports.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut table = Table::default();
    let mut lines = match &options.json {
        None => None,
        Some(path) => Some(io::BufWriter::new(std::fs::File::create(path)?)),
    };
    for path in crate::compare::all_files(&options.files)? {
        for judged in answers(&File { path }, options)? {
            if let Some(lines) = &mut lines {
                serde_json::to_writer(&mut *lines, &judged)?;
                writeln!(lines)?;
            }
            if !options.table && (!options.different || judged.differs()) {
                println!("{judged}");
            }
            table.add(judged);
        }
    }
    if let Some(mut lines) = lines {
        lines.flush()?;
    }
    table.print(options.selftests);
    match &options.known {
        Some(known) => {
            let extent = if options.some { Extent::Some } else { Extent::All };
            table.hold_against(&std::fs::read_to_string(known)?, extent)
        }
        None => Ok(()),
    }
}

/// Does the work on one object, and prints a line for each answer as soon as it is there.
pub(crate) fn one(options: &One) -> Outcome<()> {
    let bytes = std::fs::read(&options.file)?;
    let name = options.file.display().to_string();
    let file = File { path: options.file.clone() }.name();
    let object = Object::parse(&name, &bytes)?;
    let programs = wanted(&object, &options.program);
    let expected = match (options.selftests, object.btf()) {
        (true, Some(btf)) => Some(expect::Tags::of(btf)),
        _ => None,
    };
    let types = std::fs::read("/sys/kernel/btf/vmlinux").ok();
    let types = types.and_then(|bytes| Btf::from_vec(bytes).ok()).map(Arc::new);
    for program in programs.iter().skip(options.skip) {
        let expected = expected.as_ref().and_then(|tags| tags.of_program(program));
        let section = object.program(program)?.section.clone();
        let judged = Judged::new(&file, program, &section, expected);
        let (send, receive) = mpsc::channel();
        let (before, rounds, memory) = (judged.clone(), options.rounds, options.memory);
        let listener = move |kernel: &skep::sys::Kernel, sent: &Sent, case: Case| {
            // The receiver waits for the load to end.
            let mut judged = judge(kernel, sent, &case, before.clone(), rounds);
            if memory && judged.linux.is_accepted() && judged.ours.as_ref().is_some_and(Ours::is_accepted) {
                match peaks(kernel, sent, &case) {
                    Ok(peaks) => judged.memory = Some(peaks),
                    Err(error) => eprintln!("{}: {error}", judged.name()),
                }
            }
            let _ = send.send(judged);
        };
        let capture = Capture::new(&Kernel::linux(), types.clone(), program, Box::new(listener));
        let kernel = Kernel::from_sys(capture);
        let flags = judged.expected.as_ref().map_or(0, |expected| expected.flags);
        let loaded =
            ours::only(&name, &bytes, Some(program), flags).and_then(|object| object.load(&kernel).map(drop));
        // The last attempt is the one that the loader has kept to.
        let judged = receive.try_iter().last().unwrap_or_else(|| {
            let why = loaded.err().map_or_else(|| "was not asked for".to_owned(), |error| error.to_string());
            Judged { linux: Linux::Unasked { why }, ..judged }
        });
        say(&Line::Done(judged))?;
    }
    Ok(())
}

/// Asks both verifiers for what is about to be loaded.
fn judge(kernel: &skep::sys::Kernel, sent: &Sent, case: &Case, mut judged: Judged, rounds: u32) -> Judged {
    judged.about = Some(About {
        prog_type: ProgType(sent.attr.prog_type).to_string(),
        insns: sent.insns.len() / 8,
        needs: subject::needs(case),
    });
    let expected = judged.expected.as_ref().and_then(|expected| expected.returns);
    judged.linux = linux::ask(kernel, sent, expected);
    // Where skep's verifier ends the process, this much is known.
    let _ = say(&Line::Asked(judged.clone()));
    let mut ours = subject::verify(case);
    let (mut of_linux, mut of_ours) = (Vec::new(), Vec::new());
    for _ in 1..rounds {
        of_linux.extend(linux::ask(kernel, sent, None).took().map(|took| took.time));
        of_ours.extend(subject::verify(case).took().map(|took| took.time));
    }
    if let (Some(linux), Some(skep)) = (judged.linux.took(), ours.took()) {
        judged.linux.set_time(median(of_linux, linux.time));
        ours.set_time(median(of_ours, skep.time));
    }
    judged.ours = Some(ours);
    judged
}

/// The memory that both take.
fn peaks(kernel: &skep::sys::Kernel, sent: &Sent, case: &Case) -> Outcome<Peaks> {
    let linux = memory::peak(|| drop(linux::ask(kernel, sent, None)))?;
    heap::begin();
    let verified = subject::verify(case);
    let ours = heap::end();
    drop(verified);
    Ok(Peaks { linux, ours })
}

/// The one in the middle.
fn median(mut times: Vec<u64>, first: u64) -> u64 {
    times.push(first);
    times.sort_unstable();
    times[times.len() / 2]
}

/// Prints a line for the process that waits.
fn say(line: &Line) -> Outcome<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// The programs of an object that are asked for.
fn wanted(object: &Object, parts: &[String]) -> Vec<String> {
    let is_wanted = |name: &&str| parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()));
    object.programs().filter(is_wanted).map(str::to_owned).collect()
}

/// Runs processes on an object: one, and another one for the rest whenever one dies.
fn answers(file: &File, options: &Options) -> Outcome<Vec<Judged>> {
    let mut all = Vec::new();
    loop {
        let mut command = Command::new("/proc/self/exe");
        command.args([
            "judge-one",
            "--skip",
            &all.len().to_string(),
            "--rounds",
            &options.rounds.to_string(),
        ]);
        for part in &options.program {
            command.args(["--program", part]);
        }
        command.args(options.selftests.then_some("--selftests"));
        command.args(options.memory.then_some("--memory")).arg(&file.path);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no pipe")?;
        let (say, said) = mpsc::channel();
        let reader =
            thread::spawn(move || BufReader::new(output).lines().try_for_each(|line| say.send(line)));
        let mut asked = None;
        let is_late = loop {
            match said.recv_timeout(Duration::from_secs(options.limit)) {
                Ok(line) => match serde_json::from_str(&line?)? {
                    Line::Asked(judged) => asked = Some(judged),
                    Line::Done(judged) => {
                        asked = None;
                        all.push(judged);
                    }
                },
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
            return Ok(all);
        }
        let how = if is_late { format!("no answer in {} s", options.limit) } else { status.to_string() };
        match (asked, next_program(&file.path, options, all.len())) {
            (Some(judged), _) => all.push(Judged { ours: Some(Ours::died(how)), ..judged }),
            (None, Some(program)) => {
                let judged = Judged::new(&file.name(), &program, "", None);
                all.push(Judged { linux: Linux::Unasked { why: how }, ..judged });
            }
            (None, None) => {
                eprintln!("{}: cannot be read ({how})", file.name());
                return Ok(all);
            }
        }
    }
}

/// The name of the program at a position.
fn next_program(path: &Path, options: &Options, index: usize) -> Option<String> {
    let object = Object::parse(&path.display().to_string(), &std::fs::read(path).ok()?).ok()?;
    wanted(&object, &options.program).into_iter().nth(index)
}
