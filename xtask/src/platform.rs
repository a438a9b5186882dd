//! `cargo xtask platform [--check]`: asks the running kernel what the model's platform says of Linux 6.18.
//!
//! It loads some hundred thousand programs of a few instructions, creates some thousand maps, reads the prototypes of
//! helpers in the kernel's memory, and writes the answers down in `base/model/tests/data`, which the model's tests compare with its tables on every machine. `--check` compares
//! with the committed answers, and checks the prototype of each helper, whose cases are not written down.
//!
//! It needs Linux 6.18 on x86-64, as root; elsewhere it is skipped.

mod answers;
mod ask;
mod behind;
mod calls;
mod maps;
mod protos;

use crate::cargo::root;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use ask::Asker;

/// The releases that are asked.
const SERIES: &str = "6.18.";

/// What makes a file of answers.
type Make = fn(&Asker) -> Result<String>;

/// Where the answers lie, relative to the workspace, and who makes them.
const FILES: &[(&str, Make)] = &[
    ("base/model/tests/data/linux-6.18.txt", answers::programs),
    ("base/model/tests/data/linux-6.18-maps.txt", maps::creations),
    ("base/model/tests/data/linux-6.18-helpers.txt", protos::prototypes),
];

/// Writes the answers, or compares them.
pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let write = match args {
        [] => true,
        [word] if word == "--check" => false,
        _ => bail!("usage: cargo xtask platform [--check]"),
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if !cfg!(target_arch = "x86_64") || !release.starts_with(SERIES) {
        return Ok(Outcome::Skipped(format!("runs `{release}`, wanted {SERIES}x on x86-64")));
    }
    let asker = match Asker::new() {
        Ok(asker) => asker,
        Err(errno) => return Ok(Outcome::Skipped(format!("bpf(2) answers {errno}, wanted root's rights"))),
    };
    let mut stale = Vec::new();
    for &(name, make) in FILES {
        let path = root().join(name);
        let text = make(&asker)?;
        if write {
            std::fs::write(&path, &text).with_context(|| path.display().to_string())?;
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    if !stale.is_empty() {
        bail!("Linux {release} answers otherwise than {}", stale.join(", "));
    }
    let cases = calls::check(&asker)?;
    Ok(Outcome::Done(format!("Linux {release} answers as the tables say; {cases} cases of helper calls")))
}
