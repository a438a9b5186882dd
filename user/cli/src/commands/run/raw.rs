//! Bare instructions, as user-space virtual machines run them: r1 is the memory, r2 its length, nothing is verified.

use crate::args::{Checks, Engine as Wanted, RunArgs, RunKernel};
use crate::failure::{Failure, Place};
use crate::json;
use crate::object;
use crate::shapes::run::{NsPerRun, RunError, RunReport};
use skep_isa::raw::{self, BytesError};
use skep_isa::{ByteOrder, RawInsn};
use skep_machine::{
    Code, Cpu, Engine, Input, Level, Machine, Program, ProgramError, Promise, Setup, helpers,
};
use std::path::Path;
use std::time::Instant;

/// Runs the instructions of a file.
///
/// # Errors
/// Says what of the files is bad.
pub(super) fn run(path: &Path, args: &RunArgs) -> Result<RunReport, Failure> {
    if args.on != RunKernel::Embedded {
        return Err(Failure::usage("bare instructions run in skep's own machine only"));
    }
    let engine = engine(args)?;
    let start = Instant::now();
    let machine = load(path, args, engine)?;
    let compile_ns = u64::try_from(start.elapsed().as_nanos()).ok();
    let input = args.mem.as_deref().map(object::read).transpose()?.unwrap_or_default();

    let checks = args.checks != Some(Checks::Off);
    let mut report =
        RunReport { on: "embedded", engine: engine.name(), checks, compile_ns, ..RunReport::default() };
    report.text.unit = "run";
    let mut memory = input.clone();
    let mut times_ns = Vec::new();
    let mut cpu = Cpu::new(());
    for _ in 0..args.repeat {
        memory.copy_from_slice(&input);
        cpu.fuel().fill(args.fuel);
        let start = Instant::now();
        let start_with = if args.mem.is_some() { Input::Memory(&mut memory) } else { Input::None };
        let result = machine.run(&mut cpu, start_with);
        times_ns.push(start.elapsed().as_nanos() as f64);
        report.runs += 1;
        report.executed = cpu.executed();
        report.fuel = Some(args.fuel - cpu.fuel().left());
        match result {
            Ok(value) => report.returned = Some(format!("{value:#x}")),
            Err(stop) => {
                report.error = Some(RunError {
                    kind: stop.kind().code().to_owned(),
                    insn: Some(stop.at().0),
                    message: stop.message().to_string(),
                    program: None,
                    source: None,
                });
                break;
            }
        }
    }
    report.ns_per_run = NsPerRun::of(times_ns);
    report.mem_out = args.mem.is_some().then(|| json::hex(&memory));
    Ok(report)
}

/// The memory for machine code that this system gives.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const CODE: Option<&dyn Code> = Some(&skep_embedded::CodePages);
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const CODE: Option<&dyn Code> = None;

/// Finds the engine that is asked for, or the fastest.
fn engine(args: &RunArgs) -> Result<Engine, Failure> {
    let has_jit = CODE.is_some() && Engine::Jit.is_here();
    match (args.engine, args.checks) {
        (Some(Wanted::Jit), _) if !has_jit => {
            Err(Failure::unable("engine", "there is no engine `jit` on this machine")
                .help("say --engine interpreter, or leave --engine out"))
        }
        (Some(Wanted::Exact), Some(Checks::Off)) => {
            Err(Failure::unable("checks", "the engine `exact` checks every access, and cannot do without"))
        }
        (Some(Wanted::Exact), _) => Ok(Engine::Exact),
        (Some(Wanted::Jit), _) => Ok(Engine::Jit),
        (Some(Wanted::Interpreter), _) => Ok(Engine::Interpreter),
        (None, _) => Ok(if has_jit { Engine::Jit } else { Engine::Interpreter }),
    }
}

fn load(path: &Path, args: &RunArgs, engine: Engine) -> Result<Machine<'static>, Failure> {
    let bytes = object::read(path)?;
    let slots = raw::from_bytes(&bytes, ByteOrder::NATIVE).map_err(|error: BytesError| {
        let offset = (bytes.len() - bytes.len() % RawInsn::BYTES) as u64;
        Failure::bad("instructions", error).at(super::in_file(path, offset))
    })?;
    let rejected = |insn: Option<u32>, message: String| {
        Failure::bad("rejected", message).at(Place { insn, ..Place::file(path) })
    };
    let program = Program::from_slots(&slots).map_err(|error| {
        let message = match &error {
            ProgramError::Decode(error) => error.kind.to_string(),
            ProgramError::Structure(error) => error.kind.to_string(),
            other => other.to_string(),
        };
        rejected(error.at().map(|at| at.0), message)
    })?;
    let level = if args.opt == Some(0) { Level::O0 } else { Level::O };
    let mut setup = Setup::new().engine(engine).level(level);
    if let Some(code) = CODE {
        setup = setup.code(code);
    }
    if args.conformance {
        setup = setup.helper(helpers::UNWIND, helpers::unwind()).register_calls();
    }
    if args.checks == Some(Checks::Off) {
        // SAFETY: `--checks off` is the word of whoever runs this command, on whose account it runs, that the program touches
        // nothing but its memory and its stack.
        setup = setup.unchecked(unsafe { Promise::new() });
    }
    setup.load(program).map_err(|error| rejected(error.at.map(|at| at.0), error.kind.to_string()))
}
