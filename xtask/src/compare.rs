//! The firewall and the dispatcher over the capture: the same verdicts, maps and events on every kernel.
//!
//! The kernels are the embedded one, the running Linux, and those that `boot` starts. What the comparison is worth, the
//! planted bugs tell: each of them must make it fail by a verdict.

mod answer;

use crate::boot::{self, Content, Guest, KERNELS};
use crate::outcome::Outcome;
use crate::{cargo, planted, tools, vectors};
use answer::Answer;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// An example that is run over the capture.
struct Subject {
    name: &'static str,
    source: &'static str,
    object: &'static str,
    program: &'static str,
}

const SUBJECTS: &[Subject] = &[
    Subject {
        name: "firewall",
        source: "examples/xdp-firewall/xdp_firewall.bpf.c",
        object: "examples/xdp-firewall/xdp_firewall.bpf.o",
        program: "xdp_firewall",
    },
    Subject {
        name: "dispatcher",
        source: "examples/tail-calls/tail_calls.bpf.c",
        object: "examples/tail-calls/tail_calls.bpf.o",
        program: "dispatch",
    },
];

const CAPTURE: &str = "examples/xdp-firewall/traffic.pcap";

/// How many bugs are planted at least.
const LEAST_BUGS: usize = 12;

/// How long one other kernel may take, its start included.
const LIMIT: Duration = Duration::from_secs(300);

/// What `skep` exits with where the kernel or its rights do not suffice.
const UNABLE: i32 = 3;

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`compare` takes no `{word}`");
    }
    let skep = cargo::skep()?;
    let mut right = Vec::new();
    for subject in SUBJECTS {
        right.push(embedded(&skep, subject, Path::new(subject.object))?);
    }
    let packets: Vec<_> = right.iter().map(|answer| answer.verdicts.len().to_string()).collect();
    let mut notes = vec![format!("{} packets on embedded", packets.join(" and "))];
    notes.extend(running_linux(&skep, &right)?);
    notes.extend(other_kernels(&skep, &right)?);
    notes.extend(bugs(&skep, &right)?);
    Ok(Outcome::Done(notes.join(", ")))
}

/// Compares with the running kernel; where it cannot be asked, says so and goes on.
fn running_linux(skep: &Path, right: &[Answer]) -> Result<Option<String>> {
    if !tools::is_root() {
        println!("skipped: the running Linux: needs root");
        return Ok(None);
    }
    for (subject, right) in SUBJECTS.iter().zip(right) {
        let output = ask(skep, subject, Path::new(subject.object), "linux")?;
        if output.status.code() == Some(UNABLE) {
            let reason = String::from_utf8_lossy(&output.stderr);
            println!("skipped: the running Linux: {}", reason.lines().next().unwrap_or("no bpf(2)"));
            return Ok(None);
        }
        let found = answer_of(&output).with_context(|| format!("{} on linux", subject.name))?;
        refuse_difference(subject, "the running Linux", right, &found)?;
    }
    Ok(Some("the same on the running Linux".to_owned()))
}

/// Compares with the kernels that are booted; where they cannot be, says so and goes on.
fn other_kernels(skep: &Path, right: &[Answer]) -> Result<Option<String>> {
    if let Some(reason) = boot::missing() {
        for kernel in KERNELS {
            println!("skipped: Linux {}: {reason}", kernel.version);
        }
        return Ok(None);
    }
    let guest = guest(skep);
    for kernel in KERNELS {
        let ran = boot::run_in(kernel, &guest)?;
        let place = format!("Linux {}", kernel.version);
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status == 0, "{place}: skep exits with {}: {said}", ran.status);
        let text = String::from_utf8(ran.stdout).with_context(|| place.clone())?;
        let documents: Vec<_> = text.lines().collect();
        ensure!(documents.len() == SUBJECTS.len(), "{place}: {} answers", documents.len());
        for ((subject, right), document) in SUBJECTS.iter().zip(right).zip(documents) {
            let found = Answer::parse(document).with_context(|| format!("{} on {place}", subject.name))?;
            refuse_difference(subject, &place, right, &found)?;
        }
    }
    let versions: Vec<_> = KERNELS.iter().map(|kernel| kernel.version).collect();
    Ok(Some(format!("in {}", versions.join(", "))))
}

/// A guest that runs every subject, one document to a line.
fn guest(skep: &Path) -> Guest {
    let root = cargo::root();
    let mut guest = Guest::new(LIMIT);
    guest.send("/bin/skep", Content::File(skep.to_owned()));
    guest.send("/data/capture", Content::File(root.join(CAPTURE)));
    let mut script = String::new();
    for Subject { name, object, program, .. } in SUBJECTS {
        let place = format!("/data/{name}.bpf.o");
        guest.send(&place, Content::File(root.join(object)));
        script +=
            &format!("skep run {place} --program {program} --on linux --pcap /data/capture --json || exit\n");
    }
    guest.command = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    guest
}

/// Makes sure that every planted bug is found, by a verdict.
fn bugs(skep: &Path, right: &[Answer]) -> Result<Option<String>> {
    let clang = match vectors::compiler() {
        Ok(clang) => clang,
        Err(reason) => {
            println!("skipped: the planted bugs: {reason}");
            return Ok(None);
        }
    };
    let bugs = planted::build(&clang)?;
    ensure!(bugs.len() >= LEAST_BUGS, "{} bugs are planted, wanted {LEAST_BUGS}", bugs.len());
    let mut missed = Vec::new();
    for bug in &bugs {
        let at = SUBJECTS.iter().position(|subject| Path::new(subject.source) == bug.source);
        let at = at.with_context(|| format!("{}: no subject is {}", bug.name, bug.source.display()))?;
        let found = embedded(skep, &SUBJECTS[at], &bug.object)?;
        match right[at].verdicts_that_differ(&found).as_slice() {
            [] => missed.push(bug.name.as_str()),
            [first, ..] if right[at].difference(&found).is_some() => println!("{}: {first}", bug.name),
            _ => bail!("{}: verdicts differ, and the comparison finds no difference", bug.name),
        }
    }
    ensure!(missed.is_empty(), "no verdict tells of {}", missed.join(", "));
    Ok(Some(format!("{} planted bugs found", bugs.len())))
}

fn refuse_difference(subject: &Subject, place: &str, right: &Answer, found: &Answer) -> Result<()> {
    match right.difference(found) {
        None => Ok(()),
        Some(difference) => bail!("{}: on embedded and on {place}: {difference}", subject.name),
    }
}

fn embedded(skep: &Path, subject: &Subject, object: &Path) -> Result<Answer> {
    let output = ask(skep, subject, object, "embedded")?;
    answer_of(&output).with_context(|| format!("{} on embedded", object.display()))
}

fn ask(skep: &Path, subject: &Subject, object: &Path, kernel: &str) -> Result<Output> {
    let mut command = Command::new(skep);
    command.current_dir(cargo::root()).arg("run").arg(object);
    command.args(["--program", subject.program, "--on", kernel, "--pcap", CAPTURE, "--json"]);
    command.output().context("cannot run skep")
}

fn answer_of(output: &Output) -> Result<Answer> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "skep ends with {}: {said}", output.status);
    Answer::parse(std::str::from_utf8(&output.stdout)?)
}
