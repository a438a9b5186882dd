//! The verifier held against the reference machine, on every object that there is, and beside Linux, on programs that nobody has written.

use crate::objects::{self, Object};
use crate::outcome::Outcome;
use crate::{cache, cargo, corpus, debian, tools};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The mutants that the machine must stop at least, where all objects are broken: what finds nothing is worth nothing.
const LEAST: usize = 5000;

/// Why skep may accept what Linux refuses.
const EXPLAINED: &str = "lab/oracle/explained.txt";

/// Programs of the short form, and its objects beside the examples': those of packages that other checks download, too.
const FEW: &str = "4000";
const FEW_OBJECTS: &[&str] = &["bookworm_xdp-tools/", "bookworm_xdp-tests/", "bookworm_libbpf-tools/b"];

/// The signal with which a kernel ends a process in which it failed (`SIGKILL`), and how often that may happen in a run.
const KILLED: i32 = 9;
const MOST_DEATHS: u32 = 20;

/// Where Debian has Linux's verifier, whose words are looked for.
const RELEASE: &str = "trixie";
const SOURCE: &str = "linux-source-6.12";
const SPEAKERS: &[&str] = &["verifier.c", "btf.c", "cgroup.c", "log.c"];

/// Break programs at one instruction: what the reference machine stops, the verifier must refuse. With `--linux` ask the running Linux,
/// too, of programs that are changed and of such as are made anew.
#[derive(Parser)]
#[command(name = "cargo xtask oracle")]
struct Options {
    /// Only objects whose `PACKAGE/FILE` has this in it (may be repeated).
    #[arg(long)]
    only: Vec<String>,
    /// The self-tests of Linux 6.12, too.
    #[arg(long)]
    selftests: bool,
    /// Ask the running Linux.
    #[arg(long)]
    linux: bool,
    /// How many programs both are asked of.
    #[arg(long, requires = "linux", value_name = "N")]
    programs: Option<u64>,
    /// The seed of these.
    #[arg(long, requires = "linux", default_value_t = 1)]
    seed: u64,
    /// A few programs, of few objects.
    #[arg(long, requires = "linux", conflicts_with_all = ["only", "selftests", "programs"])]
    short: bool,
    /// Write the programs of findings here.
    #[arg(long, requires = "linux", value_name = "FILE")]
    findings: Option<PathBuf>,
    /// For `skep-lab-oracle mutants`, as `-- --runs 100`.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("oracle").chain(args.iter().map(String::as_str)));
    if !tools::is_root() {
        return Ok(Outcome::Skipped("needs root (to make maps)".to_owned()));
    }
    if let Some(reason) = debian::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let mut build = cargo::cargo();
    build.args(["build", "--quiet", "--release", "--message-format=json", "-p", "skep-lab-oracle"]);
    let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    ensure!(output.status.success(), "cannot build lab/oracle ({})", output.status);
    let programs = cargo::executables(&String::from_utf8_lossy(&output.stdout));
    let program = programs.into_iter().next_back().context("cargo names no program")?;
    if options.linux {
        return beside(&program, &options);
    }
    let mut objects = objects::fetch_corpus()?;
    if options.selftests {
        objects.extend(corpus::selftests()?);
    }
    let is_wanted = |object: &Object| {
        let name = object.name();
        options.only.is_empty() || options.only.iter().any(|part| name.contains(part))
    };
    objects.retain(is_wanted);
    objects.sort();
    ensure!(!objects.is_empty(), "no object is called so");
    let mut command = Command::new(&program);
    command.args(["mutants", "--linux"]);
    if options.only.is_empty() {
        command.args(["--least", &LEAST.to_string()]);
    }
    command.args(&options.rest).args(objects.iter().map(|object| &object.file));
    let status = command.stdin(Stdio::null()).status().context("cannot run lab/oracle")?;
    ensure!(status.success(), "the oracle ended with {status}");
    Ok(Outcome::Done(format!("{} objects", objects.len())))
}

/// Asks the running Linux, too. A long run goes on where it was interrupted.
fn beside(program: &Path, options: &Options) -> Result<Outcome> {
    let mut objects = if options.short { objects::fetch()? } else { objects::fetch_corpus()? };
    let only: Vec<&str> = match options.short {
        true => FEW_OBJECTS.to_vec(),
        false => options.only.iter().map(String::as_str).collect(),
    };
    objects.retain(|object| only.is_empty() || only.iter().any(|part| object.name().contains(part)));
    objects.sort();
    let mut files: Vec<PathBuf> = objects.into_iter().map(|object| object.file).collect();
    for example in ["syscount/syscount", "tail-calls/tail_calls", "xdp-firewall/xdp_firewall"] {
        files.push(cargo::root().join(format!("examples/{example}.bpf.o")));
    }
    let mut command = Command::new(program);
    command.args(["beside", "--seed", &options.seed.to_string()]);
    command.arg("--explained").arg(cargo::root().join(EXPLAINED));
    match options.programs {
        _ if options.short => drop(command.args(["--programs", FEW])),
        None => {}
        Some(programs) => {
            let kept = cache::dir("oracle")?.join(format!("seed-{}.json", options.seed));
            command.args(["--programs", &programs.to_string(), "--keep"]).arg(kept);
            command.arg("--phrases").arg(phrases()?);
        }
    }
    if let Some(path) = &options.findings {
        command.arg("--findings").arg(path);
    }
    command.args(&options.rest);
    if options.selftests {
        command.arg("--selftests").args(corpus::selftests()?.into_iter().map(|object| object.file));
    }
    command.arg("--").args(&files);
    command.stdin(Stdio::null());
    for deaths in 0.. {
        let status = command.status().context("cannot run lab/oracle")?;
        // A kernel that fails on a program kills who asks; the program is left out when it goes on.
        if status.signal() == Some(KILLED) && options.programs.is_some() && deaths < MOST_DEATHS {
            continue;
        }
        ensure!(status.success(), "the oracle ended with {status}");
        break;
    }
    Ok(Outcome::Done(format!("{} objects", files.len())))
}

/// What Linux's verifier has to say, as the formats of its source have it: a file of one a line.
fn phrases() -> Result<PathBuf> {
    let file = cache::dir("oracle")?.join(format!("phrases-{SOURCE}"));
    if file.exists() {
        return Ok(file);
    }
    let package = debian::Archive::of_release(RELEASE)?.unpacked(SOURCE)?;
    let mut all = BTreeSet::new();
    for speaker in SPEAKERS {
        let mut tar = Command::new("tar");
        tar.arg("-xOf").arg(package.join(format!("usr/src/{SOURCE}.tar.xz")));
        let output = tar.arg(format!("{SOURCE}/kernel/bpf/{speaker}")).output().context("cannot run tar")?;
        ensure!(output.status.success(), "tar cannot unpack {speaker} ({})", output.status);
        all.extend(formats(&String::from_utf8_lossy(&output.stdout)));
    }
    ensure!(all.len() > 200, "Linux's verifier says only {} things", all.len());
    let fresh = file.with_extension("part");
    fs::write(&fresh, all.into_iter().collect::<Vec<_>>().join("\n"))?;
    fs::rename(&fresh, &file)?;
    Ok(file)
}

/// The formats of calls of `verbose` and `bpf_log`, without the ends of their lines.
fn formats(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for call in ["verbose(env, ", "verbose_linfo(env, ", "bpf_log(log, "] {
        for (at, _) in source.match_indices(call.trim_end()) {
            let mut rest = source[at + call.trim_end().len()..].trim_start();
            let mut text = String::new();
            // Literals that follow each other are one.
            while let Some(literal) = rest.strip_prefix('"') {
                let Some(end) = literal.find('"') else { break };
                text.push_str(&literal[..end]);
                rest = literal[end + 1..].trim_start();
            }
            let text = text.trim_end_matches("\\n").trim();
            // What does not end a line says nothing alone.
            if text.len() > 4 {
                found.insert(text.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_the_literals_of_what_logs() {
        let source = "verbose(env, \"R%d !read_ok\\n\", regno);\n\tverbose(env,\n\t\t\"x\");\n bpf_log(log, \"one \"\n \"two\\n\");";
        let found: Vec<String> = formats(source).into_iter().collect();
        assert_eq!(found, ["R%d !read_ok", "one two"]);
    }
}
