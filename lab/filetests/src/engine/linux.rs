//! The running Linux kernel.

use super::seam::{Outcome, returns, run};
use super::{Ending, Engine, Refusal};
use crate::{Case, Expected};
use skep_abi::{MapCreate, MapType};
use skep_model::platform::version::Version;
use skep_sys::Kernel;

/// The running Linux kernel, whose verifier refuses beforehand.
#[derive(Debug)]
pub struct Linux {
    kernel: Kernel,
}

impl Linux {
    /// Takes the running kernel.
    pub fn new() -> Linux {
        Linux { kernel: skep_linux::kernel() }
    }

    /// Tells whether this kernel has all instructions, and lets this process load programs; an error says why not.
    pub fn is_usable(&self) -> Result<(), String> {
        let release =
            self.kernel.file_read("/proc/sys/kernel/osrelease").map_err(|error| error.to_string())?;
        let version = Version::parse(&String::from_utf8_lossy(&release));
        if version.is_none_or(|version| version < Version::new(6, 15)) {
            return Err("ordered loads and stores came with Linux 6.15".to_owned());
        }
        let create = MapCreate { map_type: MapType::ARRAY.0, key_size: 4, ..MapCreate::default() };
        match self.kernel.map_create(&MapCreate { value_size: 8, max_entries: 1, ..create }) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("this process may not create a map: {error}")),
        }
    }
}

impl Default for Linux {
    fn default() -> Linux {
        Linux::new()
    }
}

impl Engine for Linux {
    fn name(&self) -> &'static str {
        "linux"
    }

    fn follows(&self, case: &Case) -> Expected {
        if case.register_calls {
            return Expected::NotHere;
        }
        match &case.expected {
            Expected::Returns(number) => returns(case, *number),
            // Its verifier refuses beforehand, in words of its own.
            Expected::Stops(place, ..) => Expected::Refused(Some(*place), None),
            Expected::Refused(place, _) => Expected::Refused(*place, None),
            expected @ (Expected::Ends | Expected::Anything | Expected::NotHere) => expected.clone(),
        }
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        if case.register_calls {
            return Ok(Ending::NotHere("it has no calls through registers"));
        }
        if case.unwritten_is_zero {
            return Ok(Ending::NotHere("its frames hold what was there before"));
        }
        let (outcome, loaded) = run(&self.kernel, case)?;
        Ok(match outcome {
            Outcome::Returned(number, left) => Ending::Returned(number, left),
            Outcome::NotHere(why) => Ending::NotHere(why),
            Outcome::Failed(errno) => return Err(format!("the run fails: {errno}")),
            Outcome::Refused(errno, log) => {
                let slot = last_insn(&log).and_then(|at| loaded.slot(at));
                let text = reason(&log).to_owned();
                Ending::Refused(Refusal { slot, errno: Some(errno), text })
            }
        })
    }
}

/// Finds the instruction that the verifier looked at last: its log has a line `N: (code) text` for each.
fn last_insn(log: &str) -> Option<u32> {
    let number = |line: &str| line.split_once(": (").and_then(|(number, _)| number.parse().ok());
    log.lines().filter_map(number).next_back()
}

/// Finds the log's last line of words, which the verifier's own count follows.
fn reason(log: &str) -> &str {
    let line = log.lines().rev().find(|line| !line.starts_with("processed "));
    line.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_instruction_is_the_one_refused() {
        let log = "0: R1=ctx() R10=fp0\n0: (b7) r0 = 1  ; R0=1\n12: (71) r0 = *(u8 *)(r1 +64)\nR1 max value\nprocessed 3 insns\n";
        assert_eq!(last_insn(log), Some(12));
        assert_eq!(reason(log), "R1 max value");
        assert_eq!(last_insn("last insn is not an exit or jmp\n"), None);
    }
}
