//! What becomes of an object: whether it is read, shown, written as text and back, loaded and run.

use crate::{cargo, vectors};
use anyhow::{Context, Result, ensure};
use skep::embedded::Config;
use skep::{ErrorKind, Kernel, Object, ProgType, TestRun};
use skep_elf::ObjectSpec;
use skep_isa::text::{Dialect, Labels, assemble, disassemble};
use skep_isa::{Program, RawInsn};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments for programs that take no packet.
const ARGUMENTS: [u8; 96] = [0; 96];

/// An object that every Linux loads, to find out whether anything can be loaded here.
const PROBE: &str = "lab/vectors/code/branches.v1.bpf.o";

/// What objects are tried with.
pub(super) struct Judge {
    skep: PathBuf,
    /// The running kernel, or why nothing can be loaded into it.
    linux: Result<Kernel, String>,
    packet: Vec<u8>,
}

/// What became of an object; an error is in words.
#[derive(Debug)]
pub(super) struct Verdict {
    /// It was read, shown, decoded, and its text made the same instructions.
    pub(super) read: Result<(), String>,
    /// It was loaded and run in the embedded kernel.
    pub(super) embedded: Result<(), String>,
    /// Likewise in the running one, if that can be used.
    pub(super) linux: Option<Result<(), String>>,
}

impl Judge {
    pub(super) fn prepare(is_root: bool) -> Result<Self> {
        let linux = match is_root {
            false => Err("needs root".to_owned()),
            true => Object::open(cargo::root().join(PROBE))
                .and_then(|object| object.load(&Kernel::linux()))
                .map(|_| Kernel::linux())
                .map_err(|error| error.to_string()),
        };
        Ok(Self { skep: cargo::skep()?, linux, packet: vectors::packet()? })
    }

    /// The running kernel, or why it is not used.
    pub(super) fn linux(&self) -> Result<&Kernel, &str> {
        self.linux.as_ref().map_err(String::as_str)
    }

    /// Tries an object.
    pub(super) fn verdict(&self, file: &Path) -> Result<Verdict> {
        let embedded = Kernel::embedded(Config::new())?;
        let words = |error: anyhow::Error| format!("{error:#}");
        Ok(Verdict {
            read: self.read(file).map_err(words),
            embedded: self.load_and_run(file, &embedded).map_err(words),
            linux: self.linux.as_ref().ok().map(|linux| self.load_and_run(file, linux).map_err(words)),
        })
    }

    fn read(&self, file: &Path) -> Result<()> {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        let spec = ObjectSpec::parse("object", &bytes)?;
        for program in &spec.programs {
            same_after_text(&program.insns).with_context(|| format!("program {}", program.name))?;
        }
        let output = Command::new(&self.skep).args(["show", "--json"]).arg(file).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "skep show ends with {}: {said}", output.status);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).context("skep show")?;
        let shown = document["programs"].as_array().map(Vec::len);
        ensure!(shown == Some(spec.programs.len()), "skep show has {shown:?} of its programs");
        Ok(())
    }

    /// Loads without leaving pins, and runs what can be run by itself: programs of the vectors return 0, or the line of the source
    /// that found something wrong.
    fn load_and_run(&self, file: &Path, kernel: &Kernel) -> Result<()> {
        let mut object = Object::open(file)?;
        for map in object.maps().map(str::to_owned).collect::<Vec<_>>() {
            object.map_mut(&map)?.do_not_pin();
        }
        for program in object.load(kernel)?.programs() {
            let input = match program.prog_type() {
                ProgType::RAW_TRACEPOINT => TestRun::new().with_ctx(&ARGUMENTS),
                _ => TestRun::packet(&self.packet),
            };
            match program.test_run(&input) {
                Ok(run) => ensure!(run.retval == 0, "program {} returns {}", program.name(), run.retval),
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Decodes, encodes, writes in both dialects and assembles, which has to give the same instructions each time.
fn same_after_text(slots: &[RawInsn]) -> Result<()> {
    let decoded = Program::decode(slots)?;
    ensure!(decoded.encode().eq(slots.iter().copied()), "encodes to other instructions");
    let labels = Labels::find(slots, &())?;
    for dialect in [Dialect::Linux, Dialect::Mnemonic] {
        let mut text = String::new();
        disassemble(slots, dialect, &labels, &(), &mut text)?;
        let assembled = assemble(&text, &())?;
        ensure!(assembled.slots() == slots, "{dialect:?} text assembles to other instructions");
    }
    Ok(())
}

impl Verdict {
    /// Where this one fails and the other does not, or the other way round.
    pub(super) fn differences(&self, other: &Verdict) -> Vec<String> {
        let pairs = [
            ("read", Some(&self.read), Some(&other.read)),
            ("embedded", Some(&self.embedded), Some(&other.embedded)),
            ("Linux", self.linux.as_ref(), other.linux.as_ref()),
        ];
        let mut found = Vec::new();
        for (what, this, other) in pairs {
            match (this, other) {
                (Some(Err(error)), Some(Ok(()))) => found.push(format!("{what}: {error}")),
                (Some(Ok(())), Some(Err(error))) => {
                    found.push(format!("{what}: goes well, where the committed one fails with: {error}"));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_both_ways() {
        let verdict = |embedded: Result<(), String>| Verdict { read: Ok(()), embedded, linux: None };
        let (good, bad) = (verdict(Ok(())), verdict(Err("why".to_owned())));
        assert!(good.differences(&good).is_empty() && bad.differences(&bad).is_empty());
        assert_eq!(bad.differences(&good), ["embedded: why"]);
        assert_eq!(good.differences(&bad).len(), 1);
    }

    #[test]
    fn text_of_the_committed_objects_gives_the_same_instructions() {
        let bytes = fs::read(cargo::root().join(PROBE)).expect("the probe");
        let spec = ObjectSpec::parse("probe", &bytes).expect("an object");
        assert!(!spec.programs.is_empty());
        spec.programs.iter().for_each(|program| same_after_text(&program.insns).expect("the same"));
    }
}
