//! `skep run`: a program on a packet, on a capture, attached, or as bare instructions.

mod attach;
mod choose;
pub(crate) mod dump;
mod events;
mod raw;
pub(crate) mod settings;
mod test;

use crate::args::{Checks, Engine, RunArgs, RunKernel};
use crate::failure::{Failure, Place, Status};
use crate::kernel::Target;
use crate::output::Report;
use crate::render;
use crate::shapes::run::RunReport;
use crate::vocabulary;
use serde_json::Value;
use skep::{Loaded, Object};
use skep_embedded::Admit;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// What a run did.
pub(crate) struct Run {
    report: RunReport,
}

/// Which programs are to be loaded.
///
/// # Errors
/// Linux loads what it has verified, and nothing else.
fn admit(args: &RunArgs) -> Result<Admit, Failure> {
    match (args.unverified, args.on) {
        (false, _) => Ok(Admit::Verified),
        (true, RunKernel::Embedded) => Ok(Admit::Structured),
        (true, RunKernel::Linux) => {
            Err(Failure::unable("unverified", "Linux loads what it has verified only"))
        }
    }
}

/// Runs what the command line says.
///
/// # Errors
/// Says what could not be read, loaded or attached. A run that is stopped is part of the answer.
pub(crate) fn run(args: &RunArgs) -> Result<Run, Failure> {
    let report = match (&args.raw, &args.object) {
        (Some(path), _) => raw::run(path, args)?,
        (None, Some(path)) => object(path, args)?,
        (None, None) => return Err(Failure::usage("wanted an object, or --raw")),
    };
    Ok(Run { report })
}

fn object(path: &Path, args: &RunArgs) -> Result<RunReport, Failure> {
    refuse_engine(args)?;
    let mut object = Object::open(path)?;
    if args.attach {
        choose::to_attach(&mut object, args.program.as_deref())?;
    } else {
        let input = choose::Input::of(args)?;
        let program = choose::to_test(&mut object, args.program.as_deref(), input)?;
        settings::set(&mut object, &args.set)?;
        return test::run(&object, &program, args);
    }
    settings::set(&mut object, &args.set)?;
    attach::run(&object, args)
}

/// Says what engines and checks there are where others are asked for.
fn refuse_engine(args: &RunArgs) -> Result<(), Failure> {
    match (args.on, args.engine, args.checks) {
        (RunKernel::Linux, Some(engine), _) => {
            let message = format!(
                "Linux decides by itself what executes a program; it cannot be told `{}`",
                engine.name()
            );
            Err(Failure::unable("engine", message).help("read net.core.bpf_jit_enable with sysctl"))
        }
        (RunKernel::Linux, None, Some(Checks::On)) => {
            Err(Failure::unable("checks", "Linux runs what it has verified, and checks nothing at run time"))
        }
        (RunKernel::Linux, None, _) => Ok(()),
        (RunKernel::Embedded, engine, checks) => refuse_all_but_exact(engine, checks),
    }
}

/// Refuses engines that this build does not have.
fn refuse_all_but_exact(engine: Option<Engine>, checks: Option<Checks>) -> Result<(), Failure> {
    match (engine, checks) {
        (Some(engine @ (Engine::Jit | Engine::Interpreter)), _) => {
            let message = format!("this build has only the engine `exact`, not `{}`", engine.name());
            Err(Failure::unable("engine", message).help("leave --engine out, or say --engine exact"))
        }
        (_, Some(Checks::Off)) => {
            Err(Failure::unable("checks", "the engine `exact` checks every access, and cannot do without"))
        }
        _ => Ok(()),
    }
}

/// Loads the object, with what the answer says of that.
fn load(target: &Target, object: &Object, args: &RunArgs) -> Result<(Loaded, RunReport), Failure> {
    let start = Instant::now();
    let loaded = object.load(&target.kernel)?;
    let load_ns = u64::try_from(start.elapsed().as_nanos()).ok();
    settings::fill(&loaded, object, &args.map_entry)?;
    let report = RunReport {
        on: target.name,
        load_ns,
        notes: loaded.notes().iter().map(ToString::to_string).collect(),
        ..RunReport::default()
    };
    Ok((loaded, report))
}

/// Says what executes a loaded program.
fn engine(on: RunKernel, program: &skep::Program) -> Result<(&'static str, bool), Failure> {
    match on {
        RunKernel::Embedded => Ok((Engine::Exact.name(), true)),
        RunKernel::Linux if program.info()?.jited_prog_len == 0 => Ok((Engine::Interpreter.name(), false)),
        RunKernel::Linux => Ok((Engine::Jit.name(), false)),
    }
}

/// Gives the name of a return value: its verdict, or else the number.
fn verdict(kind: skep::ProgType, value: u32) -> String {
    let row = skep_model::platform::Platform::LINUX_6_18.prog(kind);
    let name = row.and_then(|row| row.verdict(value as i32));
    name.map_or_else(|| (value as i32).to_string(), str::to_owned)
}

/// Describes a program in the answer.
fn describe(report: &mut RunReport, program: &skep::Program, on: RunKernel) -> Result<(), Failure> {
    (report.engine, report.checks) = engine(on, program)?;
    report.program = program.name().to_owned();
    report.kind = Some(vocabulary::prog_type_name(program.prog_type()));
    Ok(())
}

/// A place within a whole file.
fn in_file(path: &Path, offset: u64) -> Place {
    Place { offset: Some(offset), ..Place::file(path) }
}

impl Report for Run {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        render::run::write(&self.report, out)
    }

    fn json(&self) -> Value {
        serde_json::to_value(&self.report).unwrap_or_default()
    }

    fn status(&self) -> Status {
        if self.report.error.is_some() { Status::Bad } else { Status::Done }
    }
}
