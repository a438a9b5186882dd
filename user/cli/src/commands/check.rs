//! `skep check`: each program of each object on its own, as if it alone were loaded.

mod embedded;
mod explain;
mod linux;
mod told;

use crate::args::CheckArgs;
use crate::failure::{Failure, Status};
use crate::output::{Report, complain};
use crate::render::diagnostic;
use crate::shapes::check::{CheckedObject, CheckedProgram, Verdict};
use crate::{kernel, object, types, vocabulary};
use serde_json::{Value, json};
use skep::Kernel;
use skep_abi::ProgType;
use skep_btf::Btf;
use skep_elf::ObjectSpec;
use skep_model::ProgramSpec;
use std::cell::OnceCell;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// The verdicts.
pub(crate) struct Check {
    objects: Vec<CheckedObject>,
}

/// Checks the programs of the objects.
///
/// # Errors
/// Where this machine or build cannot, and where the command line names what is not there. An object that cannot be read is part
/// of the answer.
pub(crate) fn run(args: &CheckArgs) -> Result<Check, Failure> {
    let kind = args.kind.as_deref().map(prog_type).transpose()?;
    // One for all programs: what it finds out of Linux, it finds out once.
    let linux = args.on.has_linux().then(kernel::linux).transpose()?;
    let named = args.btf.as_deref().map(|path| types::read(&types::Source::File { path, base: None }));
    let types = named.transpose()?.map_or_else(OnceCell::new, |types| OnceCell::from(Some(types)));
    let asked = Asked { args, kind, linux: linux.as_ref(), types };
    let mut objects = Vec::new();
    for path in &args.objects {
        objects.push(check_object(path, &asked)?);
    }
    Ok(Check { objects })
}

/// What is wanted of every program.
struct Asked<'a> {
    args: &'a CheckArgs,
    /// The type, whatever sections are called.
    kind: Option<ProgType>,
    /// The running kernel, where its verdict is wanted.
    linux: Option<&'a Kernel>,
    /// The types of the kernel that the programs are for: those named, or else the running kernel's, where it has any.
    types: OnceCell<Option<Arc<Btf<'static>>>>,
}

impl Asked<'_> {
    fn types(&self) -> Option<&Btf<'static>> {
        self.types.get_or_init(|| types::read(&types::Source::Kernel).ok()).as_deref()
    }
}

/// Reads the name of a program type, as `xdp` or `BPF_PROG_TYPE_XDP`.
fn prog_type(name: &str) -> Result<ProgType, Failure> {
    let known = ProgType::ALL.iter().copied();
    let is_it = |kind: &ProgType| vocabulary::prog_type_name(*kind) == name || kind.name() == Some(name);
    known.clone().find(is_it).ok_or_else(|| {
        let names: Vec<String> = known.map(vocabulary::prog_type_name).collect();
        Failure::usage(format_args!("there is no program type called {name}"))
            .help(format!("the types are {}", names.join(", ")))
    })
}

fn check_object(path: &Path, asked: &Asked<'_>) -> Result<CheckedObject, Failure> {
    let file = path.display().to_string();
    let spec = match object::open(path) {
        Ok(spec) => spec,
        Err(failure) => {
            complain(&failure);
            return Ok(CheckedObject { path: file, error: Some(failure), programs: Vec::new() });
        }
    };
    let picked: Vec<&ProgramSpec> = match &asked.args.program {
        Some(name) => vec![object::program(&spec, name)?],
        None => spec.programs.iter().collect(),
    };
    let mut programs = Vec::new();
    for program in picked {
        programs.push(check_program(path, &spec, program, asked)?);
    }
    Ok(CheckedObject { path: file, error: None, programs })
}

fn check_program(
    path: &Path,
    spec: &ObjectSpec,
    program: &ProgramSpec,
    asked: &Asked<'_>,
) -> Result<CheckedProgram, Failure> {
    let kind = asked.kind.or(program.attach.as_ref().map(|attach| attach.prog_type));
    let mut checked = CheckedProgram {
        section: program.section.clone(),
        name: program.name.clone(),
        kind: kind.map(vocabulary::prog_type_name),
        insns: program.insns.len(),
        embedded: None,
        linux: None,
        rejection: None,
        text: String::new(),
    };
    if asked.args.on.has_embedded() {
        let needs = kind.is_some_and(|kind| told::needs_kernel(spec, program, kind));
        let types = if needs || asked.args.btf.is_some() { asked.types() } else { None };
        let (verdict, rejection) = embedded::check(spec, program, kind, types);
        checked.embedded = Some(verdict);
        if let Some(rejection) = rejection {
            checked.text = explain::text(&rejection, spec, program);
            checked.rejection = Some(explain::shape(rejection, spec, program));
        }
    }
    if let Some(linux) = asked.linux {
        checked.linux = Some(linux::check(linux, path, spec, program, kind)?);
    }
    Ok(checked)
}

impl Report for Check {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for object in &self.objects {
            for program in &object.programs {
                diagnostic::program(&object.path, program, out)?;
            }
            if object.error.is_none() && object.programs.is_empty() {
                writeln!(out, "{}: has no programs", object.path)?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json!({ "objects": self.objects })
    }

    /// What is not modelled counts as not accepted, but only where nothing is bad.
    fn status(&self) -> Status {
        let verdicts = || self.objects.iter().flat_map(|object| &object.programs).flat_map(|p| p.verdicts());
        let is_bad = self.objects.iter().any(|object| object.error.is_some())
            || verdicts().any(|verdict| verdict == Verdict::Rejected);
        match is_bad {
            true => Status::Bad,
            false if verdicts().any(|verdict| verdict == Verdict::Unsupported) => Status::Unable,
            false => Status::Done,
        }
    }
}
