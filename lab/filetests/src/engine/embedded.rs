//! The embedded kernel, through `bpf(2)`.

use super::seam::{Outcome, run};
use super::{Ending, Engine, Knows};
use crate::Case;
use skep_abi::Errno;
use skep_embedded::Config;
use skep_sys::Kernel;

/// An embedded kernel of its own for each case.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedded;

impl Engine for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn knows(&self) -> Knows {
        Knows::Harm
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        let embedded = skep_embedded::Embedded::new(Config::new()).map_err(|errno| errno.to_string())?;
        if case.fuel < FUEL {
            return Ok(Ending::NotHere("its runs have more fuel"));
        }
        let (outcome, loaded) = run(&Kernel::from_sys(embedded.clone()), case)?;
        Ok(match outcome {
            Outcome::Returned(number, left) => Ending::Returned(number, left),
            Outcome::NotHere(why) => Ending::NotHere(why),
            Outcome::Refused(errno, log) => Ending::Refused(None, format!("{errno}: {log}")),
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

/// What a case has for fuel where it does not say: less is asked for on purpose.
const FUEL: u64 = 100_000;
