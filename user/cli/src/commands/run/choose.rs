//! Which program is run, and which ones must be loaded for it.

use crate::args::RunArgs;
use crate::failure::{Failure, Place};
use skep::{Autoload, Object, ProgramSpec};
use skep_model::SlotTarget;
use skep_model::platform::Platform;
use skep_model::platform::prog::TestRun;
use std::collections::BTreeSet;

/// What a program is run on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Packets of a capture.
    Capture,
    /// A file's bytes.
    Data,
}

impl Input {
    /// The input that the command line gives.
    ///
    /// # Errors
    /// It gives none.
    pub(super) fn of(args: &RunArgs) -> Result<Input, Failure> {
        match (&args.pcap, &args.data) {
            (Some(_), _) => Ok(Input::Capture),
            (None, Some(_)) => Ok(Input::Data),
            (None, None) => {
                Err(Failure::usage("wanted something to run on").help("give --data, --pcap or --attach"))
            }
        }
    }

    fn fits(self, how: TestRun) -> bool {
        match self {
            Input::Capture => how == TestRun::Packet,
            Input::Data => matches!(how, TestRun::Packet | TestRun::Args),
        }
    }
}

/// Picks the program to run, and has only it loaded, with those that its tail calls may lead to.
///
/// # Errors
/// There is no such program, or several might be meant.
pub(super) fn to_test(object: &mut Object, name: Option<&str>, input: Input) -> Result<String, Failure> {
    let slots = in_slots(object)?;
    let name = match name {
        Some(name) => {
            object.program(name).map_err(|error| with_names(Failure::from(error), object))?;
            name.to_owned()
        }
        None => only(object, &slots, input)?,
    };
    let all: Vec<String> = object.programs().map(str::to_owned).collect();
    for program in &all {
        let wanted = *program == name || slots.contains(program);
        object.program_mut(program)?.set_autoload(if wanted { Autoload::Yes } else { Autoload::No });
    }
    unpin(object)?;
    Ok(name)
}

/// Has the program loaded that is named, or all that load by themselves.
///
/// # Errors
/// There is no such program.
pub(super) fn to_attach(object: &mut Object, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    let slots = in_slots(object)?;
    object.only_program(name).map_err(Failure::from)?;
    for program in slots {
        object.program_mut(&program)?.set_autoload(Autoload::Yes);
    }
    Ok(())
}

/// The programs that stand in program arrays from the start.
fn in_slots(object: &Object) -> Result<BTreeSet<String>, Failure> {
    let mut found = BTreeSet::new();
    for map in object.maps() {
        let targets = object.map(map)?.initial.iter().map(|slot| &slot.target);
        found.extend(targets.filter_map(|target| match target {
            SlotTarget::Program(name) => Some(name.clone()),
            SlotTarget::Map(_) => None,
        }));
    }
    Ok(found)
}

/// Finds the one program that fits the input and is nobody's tail call.
fn only(object: &Object, slots: &BTreeSet<String>, input: Input) -> Result<String, Failure> {
    let fits = |spec: &ProgramSpec| {
        let kind = spec.attach.as_ref().map(|attach| attach.prog_type);
        let row = kind.and_then(|kind| Platform::LINUX_6_18.prog(kind));
        row.is_some_and(|row| input.fits(row.test_run))
    };
    let mut found = Vec::new();
    for name in object.programs() {
        if fits(object.program(name)?) && !slots.contains(name) {
            found.push(name);
        }
    }
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(with_names(Failure::usage("the object has no program that runs on such input"), object)),
        _ => Err(with_names(Failure::usage("several programs fit; name one with --program"), object)),
    }
}

/// Adds the names of the programs there are.
fn with_names(failure: Failure, object: &Object) -> Failure {
    let names: Vec<&str> = object.programs().collect();
    let place = Place { file: Some(object.file().to_owned()), ..Place::default() };
    failure.at(place).help(format!("the object's programs: {}", names.join(", ")))
}

/// A run on given input leaves nothing behind, and starts from nothing.
fn unpin(object: &mut Object) -> Result<(), Failure> {
    let maps: Vec<String> = object.maps().map(str::to_owned).collect();
    for map in maps {
        object.map_mut(&map)?.do_not_pin();
    }
    Ok(())
}
