//! The embedded kernel, through `bpf(2)`.

use super::seam::{Loaded, Outcome, returns, run};
use super::{Ending, Engine, Refusal};
use crate::{Case, Expected, Input};
use skep_abi::Errno;
use skep_embedded::{Admit, Config, Observer};
use skep_sys::Kernel;
use std::sync::{Arc, Mutex};

/// An embedded kernel of its own for each case.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedded;

impl Engine for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn follows(&self, case: &Case) -> Expected {
        if case.register_calls {
            return Expected::NotHere;
        }
        match &case.expected {
            Expected::Returns(number) => returns(case, *number),
            // The memory is a map's value here.
            Expected::Stops(place, kind, message) => {
                let named = |text: &String| match case.input {
                    Input::Memory(_) => text.replace("the memory", "a value of map 0"),
                    Input::Context { .. } => text.clone(),
                };
                Expected::Stops(*place, kind.clone(), message.as_ref().map(named))
            }
            // Its verifier has words of its own.
            Expected::Refused(place, _) => Expected::Refused(*place, None),
            expected @ (Expected::Ends | Expected::Anything | Expected::NotHere) => expected.clone(),
        }
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        if case.register_calls {
            return Ok(Ending::NotHere("it has no calls through registers"));
        }
        // What a program does wrong is to be seen when it runs.
        let config = Config::new().admit(Admit::Structured);
        let embedded = skep_embedded::Embedded::new(config).map_err(|errno| errno.to_string())?;
        if case.fuel < FUEL {
            return Ok(Ending::NotHere("its runs have more fuel"));
        }
        let (outcome, loaded) = run(&Kernel::from_sys(embedded.clone()), case)?;
        Ok(match outcome {
            Outcome::Returned(number, left) => Ending::Returned(number, left),
            Outcome::NotHere(why) => Ending::NotHere(why),
            Outcome::Refused(errno, log) => {
                let (slot, text) = refusal(&log, &loaded);
                Ending::Refused(Refusal { slot, errno: Some(errno), text })
            }
            Outcome::Failed(Errno::EFAULT) => {
                let faults = embedded.faults();
                let fault = faults.last().ok_or("a run fails without a report")?.fault;
                // What the exits became is before the program.
                let slot = loaded.slot(fault.at.0).unwrap_or(u32::MAX);
                Ending::Stopped(slot, fault.kind.code().to_owned(), fault.kind.to_string())
            }
            Outcome::Failed(errno) => return Err(format!("the run fails: {errno}")),
        })
    }
}

/// An embedded kernel that runs what it has verified without checks, on the engine that this names; what it does not run so is not here.
#[derive(Clone, Copy, Debug)]
pub struct Verified(pub skep_embedded::Engine);

/// Hears what runs the programs that are loaded.
#[derive(Default)]
struct Engines(Mutex<Vec<skep_embedded::Engine>>);

impl Observer for Engines {
    fn loaded(&self, report: &skep_embedded::LoadReport) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(report.engine);
    }
}

impl Engine for Verified {
    fn name(&self) -> &'static str {
        match self.0 {
            skep_embedded::Engine::Interpreter => "embedded, verified, on the interpreter",
            _ => "embedded, verified, on the JIT",
        }
    }

    fn follows(&self, case: &Case) -> Expected {
        match &case.expected {
            Expected::Returns(number) => returns(case, *number),
            // What a run would do wrong is refused before.
            _ => Expected::NotHere,
        }
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        if case.register_calls {
            return Ok(Ending::NotHere("it has no calls through registers"));
        }
        let engines = Arc::new(Engines::default());
        let config = Config::new().engine(self.0).observer(Arc::clone(&engines) as Arc<dyn Observer>);
        let embedded = skep_embedded::Embedded::new(config).map_err(|errno| errno.to_string())?;
        if case.fuel < FUEL {
            return Ok(Ending::NotHere("its runs have more fuel"));
        }
        let (outcome, loaded) = run(&Kernel::from_sys(embedded.clone()), case)?;
        let engines = engines.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if engines.iter().any(|engine| *engine != self.0) {
            return Ok(Ending::NotHere("it stays on the reference machine"));
        }
        Ok(match outcome {
            Outcome::Returned(number, left) => Ending::Returned(number, left),
            Outcome::NotHere(why) => Ending::NotHere(why),
            Outcome::Refused(..) => Ending::NotHere("its verifier does not take it"),
            Outcome::Failed(Errno::EFAULT) => {
                let faults = embedded.faults();
                let fault = faults.last().ok_or("a run fails without a report")?.fault;
                let slot = loaded.slot(fault.at.0).unwrap_or(u32::MAX);
                Ending::Stopped(slot, fault.kind.code().to_owned(), fault.kind.to_string())
            }
            Outcome::Failed(errno) => return Err(format!("the run fails: {errno}")),
        })
    }
}

/// What a case has for fuel where it does not say: less is asked for on purpose.
const FUEL: u64 = 100_000;

/// Reads the line that says what is wrong: `instruction N: TEXT` where an instruction is to blame.
fn refusal(log: &str, loaded: &Loaded) -> (Option<u32>, String) {
    let placed = log.lines().find(|line| line.starts_with("instruction "));
    let line = placed.or(log.lines().next()).unwrap_or_default();
    let placed = line.strip_prefix("instruction ").and_then(|rest| rest.split_once(": "));
    match placed.and_then(|(number, text)| Some((number.parse().ok()?, text))) {
        Some((at, text)) => (loaded.slot(at), text.to_owned()),
        None => (None, line.to_owned()),
    }
}
