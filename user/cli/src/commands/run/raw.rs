//! Bare instructions, as user-space virtual machines run them: r1 is the memory, r2 its length, nothing is verified.

use super::refuse_all_but_exact;
use crate::args::{RunArgs, RunKernel};
use crate::failure::{Failure, Place};
use crate::json;
use crate::object;
use crate::shapes::run::{NsPerRun, RunError, RunReport};
use skep_exact::{
    CallEnd, Entry, Fuel, HelperLink, MapRef, MapShape, Platform, Program, RegisterCalls, Rules, Stack,
    UninitStack, World, run as execute,
};
use skep_isa::{ByteOrder, RawInsn, raw};
use skep_mem::{Arg, Bytes, Invoke, MapIndex, Ret};
use std::path::Path;
use std::time::Instant;

/// The helper of the conformance suite that ends the run.
const UNWIND: u32 = 5;

/// What surrounds bare instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surroundings {
    /// Nothing.
    Bare,
    /// The conformance suite's helper.
    Conformance,
}

impl Platform for Surroundings {
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, id: u32) -> HelperLink {
        match (self, id) {
            (Surroundings::Conformance, UNWIND) => HelperLink::Plain,
            _ => HelperLink::Refused(None),
        }
    }
}

impl<'m> World<'m> for Surroundings {
    fn call(&self, id: u32, args: &[Arg<'m>], _: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        match (id, args.first()) {
            (UNWIND, Some(Arg::Int(number))) => Err(CallEnd::Unwind(*number)),
            _ => Err(CallEnd::Unknown),
        }
    }
}

/// Runs the instructions of a file.
///
/// # Errors
/// Says what of the files is bad.
pub(super) fn run(path: &Path, args: &RunArgs) -> Result<RunReport, Failure> {
    if args.on != RunKernel::Embedded {
        return Err(Failure::usage("bare instructions run in skep's own machine only"));
    }
    refuse_all_but_exact(args.engine, args.checks)?;
    let bytes = object::read(path)?;
    let slots = raw::from_bytes(&bytes, ByteOrder::NATIVE).map_err(|error| {
        let offset = (bytes.len() - bytes.len() % RawInsn::BYTES) as u64;
        Failure::bad("instructions", error).at(super::in_file(path, offset))
    })?;
    let input = args.mem.as_deref().map(object::read).transpose()?.unwrap_or_default();
    let surroundings = if args.conformance { Surroundings::Conformance } else { Surroundings::Bare };
    let register_calls = match surroundings {
        Surroundings::Bare => RegisterCalls::Refused,
        Surroundings::Conformance => RegisterCalls::Allowed(vec![UNWIND]),
    };
    let rules = Rules { uninit_stack: UninitStack::Zero, register_calls, ..Rules::default() };
    let program = Program::new(&slots, &surroundings, rules).map_err(|error| {
        Failure::bad("rejected", error.kind).at(Place { insn: Some(error.at.0), ..Place::file(path) })
    })?;
    let stack = Stack::new().map_err(|error| Failure::bad("memory", error))?;

    let mut report = RunReport { on: "embedded", engine: "exact", checks: true, ..RunReport::default() };
    report.text.unit = "run";
    let mut memory = input.clone();
    let mut times_ns = Vec::new();
    for _ in 0..args.repeat {
        memory.copy_from_slice(&input);
        let fuel = Fuel::new(args.fuel);
        let start = Instant::now();
        let outcome =
            execute(&program, &surroundings, &stack, Entry::Memory(Bytes::from_mut(&mut memory)), &fuel);
        times_ns.push(start.elapsed().as_nanos() as f64);
        report.runs += 1;
        report.executed = Some(outcome.executed);
        match outcome.result {
            Ok(value) => report.returned = Some(format!("{value:#x}")),
            Err(fault) => {
                report.error = Some(RunError {
                    kind: fault.kind.code().to_owned(),
                    insn: Some(fault.at.0),
                    message: fault.kind.to_string(),
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
