//! Running a case on an engine, and comparing.

mod embedded;
mod exact;
#[cfg(target_os = "linux")]
mod linux;
mod seam;

pub use embedded::Embedded;
pub use exact::Exact;
#[cfg(target_os = "linux")]
pub use linux::Linux;

use crate::{Case, Expected, Input};

/// How a program ended on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned this, and left this memory or packet.
    Returned(u64, Vec<u8>),
    /// It was stopped on a slot: the kind of error, and the message.
    Stopped(u32, String, String),
    /// It was not loaded because of a slot, where that is known; the message.
    Refused(Option<u32>, String),
    /// It cannot be run here, and why.
    NotHere(&'static str),
}

/// How much an engine knows of a program that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// All that the reference machine knows.
    Everything,
    /// What cannot be done without breaking out: bounds, null, fuel.
    Harm,
    /// It refuses beforehand what might go wrong, as Linux's verifier does.
    Beforehand,
}

/// Something that runs programs.
pub trait Engine {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Tells how much it knows of a program that goes wrong.
    fn knows(&self) -> Knows;

    /// Runs a case; an error says why it cannot be run here at all.
    fn run(&self, case: &Case) -> Result<Ending, String>;
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It came to what it says.
    Fits,
    /// It cannot be run here, and why.
    NotHere(&'static str),
}

/// Runs a case and compares.
///
/// # Errors
/// What is different, or why it could not be run although it should.
pub fn check(engine: &dyn Engine, case: &Case) -> Result<Checked, String> {
    match engine.run(case)? {
        Ending::NotHere(why) => Ok(Checked::NotHere(why)),
        ending if fits(engine.knows(), case, &ending) => Ok(Checked::Fits),
        ending => Err(format!("wanted {}, found {}", wanted(case), found(case, &ending))),
    }
}

fn fits(knows: Knows, case: &Case, ending: &Ending) -> bool {
    // Behind the seam the memory is a map's value, which messages name.
    let said = |message: &Option<String>, found: &str| {
        knows != Knows::Everything || message.as_ref().is_none_or(|wanted| wanted == found)
    };
    match (&case.expected, ending) {
        (Expected::StopsExact(..), _) if knows != Knows::Everything => true,
        // What the verifier is known not to see through, so that a change is seen.
        (_, Ending::Refused(..)) if knows == Knows::Beforehand && case.linux_refuses => true,
        (_, _) if knows == Knows::Beforehand && case.linux_refuses => false,
        // What Linux is certain to refuse, the embedded kernel refuses at load too.
        (_, Ending::Refused(..)) if knows == Knows::Harm && case.linux_refuses => true,
        (Expected::Returns(wanted), Ending::Returned(found, left)) => {
            // A test run gives 32 bits of what a program with a context returns.
            let whole = knows == Knows::Everything || matches!(case.input, Input::Memory(_));
            let wanted = if whole { *wanted } else { u64::from(*wanted as u32) };
            wanted == *found && case.leaves.as_ref().is_none_or(|wanted| wanted == left)
        }
        (Expected::Stops(place, ..), Ending::Refused(slot, _)) if knows == Knows::Beforehand => {
            *slot == Some(place.slot)
        }
        (Expected::Refused(..), Ending::Refused(..)) if knows != Knows::Everything => true,
        (
            Expected::Stops(place, kind, message) | Expected::StopsExact(place, kind, message),
            Ending::Stopped(slot, found, text),
        ) => place.slot == *slot && kind == found && said(message, text),
        (Expected::Refused(place, message), Ending::Refused(slot, text)) => {
            *slot == Some(place.slot) && said(message, text)
        }
        _ => false,
    }
}

fn wanted(case: &Case) -> String {
    let text = |message: &Option<String>| message.as_ref().map_or(String::new(), |text| format!(": {text}"));
    match &case.expected {
        Expected::Returns(number) => match &case.leaves {
            None => format!("{number:#x}"),
            Some(bytes) => format!("{number:#x}, leaving {bytes:02x?}"),
        },
        Expected::Stops(place, kind, message) | Expected::StopsExact(place, kind, message) => {
            format!("{kind} on line {}{}", place.line, text(message))
        }
        Expected::Refused(place, message) => format!("a refusal of line {}{}", place.line, text(message)),
    }
}

fn found(case: &Case, ending: &Ending) -> String {
    let line = |slot: &u32| case.lines.get(*slot as usize).copied().unwrap_or(0);
    match ending {
        Ending::Returned(number, bytes) if case.leaves.is_some() => {
            format!("{number:#x}, leaving {bytes:02x?}")
        }
        Ending::Returned(number, _) => format!("{number:#x}"),
        Ending::Stopped(slot, kind, text) => format!("{kind} on line {}: {text}", line(slot)),
        Ending::Refused(Some(slot), text) => format!("a refusal of line {}: {text}", line(slot)),
        Ending::Refused(None, text) => format!("a refusal: {text}"),
        Ending::NotHere(why) => format!("that it cannot be run: {why}"),
    }
}
