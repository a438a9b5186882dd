//! Running a case on an engine, and comparing.

mod compiled;
mod embedded;
mod evaluator;
mod exact;
mod interpreter;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod jit;
#[cfg(target_os = "linux")]
mod linux;
mod placed;
mod seam;

pub use embedded::{Embedded, Verified};
pub use evaluator::Evaluator;
pub use exact::Exact;
pub use interpreter::Interpreter;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use jit::Jit;
#[cfg(target_os = "linux")]
pub use linux::Linux;
pub use placed::Placed;

use crate::{Case, Expected, Place};
use skep_abi::Errno;

/// The names by which a case speaks of engines.
pub const ENGINES: [&str; 5] = ["exact", "embedded", "interpreter", "jit", "linux"];

/// How a program ended on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned this, and left this memory or packet.
    Returned(u64, Vec<u8>),
    /// It was stopped on a slot: the kind of error, and the message.
    Stopped(u32, String, String),
    /// It was not loaded.
    Refused(Refusal),
    /// It cannot be run here, and why.
    NotHere(&'static str),
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub ending: Ending,
    /// The fuel that was taken; none where it was not counted.
    pub charged: Option<u64>,
}

/// Why a program was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The slot; none where it is the program as a whole.
    pub slot: Option<u32>,
    /// What the system call failed with, if there was one.
    pub errno: Option<Errno>,
    /// The reason.
    pub text: String,
}

/// Something that runs programs.
pub trait Engine {
    /// Its name, one of [`ENGINES`].
    fn name(&self) -> &'static str;

    /// Tells what follows for this engine from what a case says without naming an engine.
    fn follows(&self, case: &Case) -> Expected;

    /// Runs a case; an error says why it cannot be run here at all.
    fn run(&self, case: &Case) -> Result<Ending, String>;
}

/// Tells what must come of a case on an engine.
pub fn wanted(engine: &dyn Engine, case: &Case) -> Expected {
    case.besides(engine.name()).cloned().unwrap_or_else(|| engine.follows(case))
}

/// Runs a case and compares.
///
/// # Errors
/// What is different, or why it could not be run although it should.
pub fn check(engine: &dyn Engine, case: &Case) -> Result<(), String> {
    let ending = engine.run(case)?;
    let wanted = wanted(engine, case);
    if fits(case, &wanted, &ending) {
        return Ok(());
    }
    Err(format!("wanted {}, found {}", say_wanted(case, &wanted), say_found(case, &ending)))
}

fn fits(case: &Case, wanted: &Expected, ending: &Ending) -> bool {
    let said = |message: &Option<String>, found: &str| message.as_ref().is_none_or(|text| text == found);
    let left = |bytes: &Vec<u8>| case.leaves.as_ref().is_none_or(|wanted| wanted == bytes);
    match (wanted, ending) {
        (Expected::Returns(wanted), Ending::Returned(found, bytes)) => wanted == found && left(bytes),
        (Expected::Ends, Ending::Returned(_, bytes)) => left(bytes),
        (Expected::Stops(place, kind, message), Ending::Stopped(slot, found, text)) => {
            place.slot == *slot && kind == found && said(message, text)
        }
        (Expected::Refused(place, message), Ending::Refused(refusal)) => {
            place.map(|place| place.slot) == refusal.slot && said(message, &refusal.text)
        }
        (Expected::NotHere, Ending::NotHere(_)) | (Expected::Anything, _) => true,
        _ => false,
    }
}

fn say_wanted(case: &Case, wanted: &Expected) -> String {
    let text = |message: &Option<String>| message.as_ref().map_or(String::new(), |text| format!(": {text}"));
    let leaving = || case.leaves.as_ref().map_or(String::new(), |bytes| format!(", leaving {bytes:02x?}"));
    match wanted {
        Expected::Returns(number) => format!("{number:#x}{}", leaving()),
        Expected::Ends => format!("any number{}", leaving()),
        Expected::Stops(place, kind, message) => format!("{kind} on line {}{}", place.line, text(message)),
        Expected::Refused(Some(Place { line, .. }), message) => {
            format!("a refusal of line {line}{}", text(message))
        }
        Expected::Refused(None, message) => format!("a refusal of the whole program{}", text(message)),
        Expected::NotHere => "that it cannot be run".to_owned(),
        Expected::Anything => "anything".to_owned(),
    }
}

fn say_found(case: &Case, ending: &Ending) -> String {
    let line = |slot: &u32| case.lines.get(*slot as usize).copied().unwrap_or(0);
    match ending {
        Ending::Returned(number, bytes) if case.leaves.is_some() => {
            format!("{number:#x}, leaving {bytes:02x?}")
        }
        Ending::Returned(number, _) => format!("{number:#x}"),
        Ending::Stopped(slot, kind, text) => format!("{kind} on line {}: {text}", line(slot)),
        Ending::Refused(Refusal { slot: Some(slot), text, .. }) => {
            format!("a refusal of line {}: {text}", line(slot))
        }
        Ending::Refused(refusal) => format!("a refusal of the whole program: {}", refusal.text),
        Ending::NotHere(why) => format!("that it cannot be run: {why}"),
    }
}
