//! What has to hold for every object of the packages.

use super::load::{self, Loads};
use super::{Object, Order, code_sections};
use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail, ensure};
use skep_elf::ObjectSpec;
use skep_isa::{ByteOrder, Program, RawInsn, raw};
use skep_model::RelocTarget;
use std::fs;
use std::path::Path;
use std::process::Command;

/// How many objects the packages are known to carry in all.
const LEAST: usize = 100;

/// Checks them all, and then says what failed.
pub(super) fn run(objects: &[Object]) -> Result<Outcome> {
    ensure!(objects.len() >= LEAST, "{} objects, the packages are known for {LEAST}", objects.len());
    let skep = cargo::skep()?;
    let mut loads = Loads::begin();
    let (mut slots, mut without_core) = (0, 0);
    let mut faults = Vec::new();
    for object in objects {
        match check(object, &skep) {
            Err(error) => faults.push(format!("{}: {error:#}", object.name())),
            Ok(checked) => {
                slots += checked.slots;
                if !checked.has_core {
                    without_core += 1;
                    loads.object(object)?;
                }
            }
        }
    }
    let note = load::finish(loads, &mut faults);
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !faults.is_empty() {
        bail!("{} faults in {} objects ({note})", faults.len(), objects.len());
    }
    let count = objects.len();
    Ok(Outcome::Done(format!("{count} objects, {slots} slots, {without_core} without CO-RE; {note}")))
}

struct Checked {
    slots: usize,
    has_core: bool,
}

fn check(object: &Object, skep: &Path) -> Result<Checked> {
    let bytes = fs::read(&object.file)?;
    let spec = ObjectSpec::parse(&object.name(), &bytes)?;
    let slots = same_after_decoding(&bytes)?;
    for program in &spec.programs {
        let decoded = Program::decode(&program.insns).with_context(|| program.name.clone())?;
        ensure!(decoded.encode().eq(program.insns.iter().copied()), "{}: encodes to others", program.name);
    }
    show(skep, &object.file, spec.programs.len())?;
    let mut relocations = spec.programs.iter().flat_map(|program| &program.relocations);
    let has_core = relocations.any(|relocation| matches!(relocation.target, RelocTarget::Core { .. }));
    Ok(Checked { slots, has_core })
}

/// Decodes and encodes the sections of code, which have to be the same bytes then; counts their slots.
fn same_after_decoding(bytes: &[u8]) -> Result<usize> {
    let (order, sections) = code_sections(bytes).context("no ELF image")?;
    let order = match order {
        Order::Little => ByteOrder::Little,
        Order::Big => ByteOrder::Big,
    };
    let mut count = 0;
    for section in sections {
        let slots = raw::from_bytes(section, order)?;
        let encoded: Vec<RawInsn> = Program::decode(&slots)?.encode().collect();
        ensure!(raw::to_bytes(&encoded, order)? == section, "decoded and encoded, the code is another");
        count += slots.len();
    }
    Ok(count)
}

/// Has the command show the object, and looks whether all its programs are there.
fn show(skep: &Path, file: &Path, programs: usize) -> Result<()> {
    let output = Command::new(skep).args(["show", "--json"]).arg(file).output().context("cannot run skep")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "skep show ends with {}: {said}", output.status);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).context("skep show")?;
    let shown = document["programs"].as_array().map(Vec::len);
    ensure!(shown == Some(programs), "skep show has {shown:?} of {programs} programs");
    Ok(())
}
