//! Programs that are broken at one instruction: what the machine stops, the verifier must refuse.

use crate::{Case, Mutation, Ran, Random, Stage, World, each_case, mutations};
use skep::sys::{Fd, FdArray, Kernel, ProgLoadMemory, Records};
use skep_abi::ProgLoad;
use skep_btf::Btf;
use skep_exact::{Fault, Stack};
use std::path::Path;
use std::sync::Arc;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Runs of each mutant.
    pub runs: u64,
    /// Mutants of each program at most; those that are tried are chosen by the seed.
    pub mutants: usize,
    /// The seed.
    pub seed: u64,
}

/// What was tried.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Programs that the verifier accepts and the machine runs.
    pub programs: usize,
    /// Programs that it does not accept, or that the machine does not run.
    pub left_out: usize,
    /// Mutants.
    pub mutants: usize,
    /// Those that the machine has stopped.
    pub stopped: usize,
    /// Of those that it has not, how many the verifier accepts.
    pub accepted: usize,
    /// What the verifier accepts and the machine stops.
    pub findings: Vec<Finding>,
}

/// A program that the verifier accepts, and that the machine stops.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The object and the program.
    pub program: String,
    /// What of it was changed; nothing where it is as it was.
    pub mutation: Option<Mutation>,
    /// What stopped it.
    pub fault: Fault,
    /// The seed of the run.
    pub seed: u64,
    /// Whether the kernel that the program was to be loaded into accepts it, too; `None` where it was not asked.
    pub kernel: Option<Taken>,
}

/// What a kernel makes of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It takes it.
    Yes,
    /// It does not.
    No,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.program)?;
        match &self.mutation {
            Some(mutation) => write!(f, "{mutation}")?,
            None => write!(f, "as it is")?,
        }
        write!(f, ": accepted, and stopped: {} (seed {})", self.fault, self.seed)?;
        match self.kernel {
            Some(Taken::Yes) => write!(f, "; the kernel accepts it, too"),
            Some(Taken::No) => write!(f, "; the kernel refuses it"),
            None => Ok(()),
        }
    }
}

/// Breaks each program of an object that a kernel is asked to load.
///
/// # Errors
/// Where the object cannot be read.
pub fn of_object(
    kernel: &skep::Kernel,
    types: Option<&Arc<Btf<'static>>>,
    path: &Path,
    effort: Effort,
    tally: &mut Tally,
) -> Result<(), Box<dyn std::error::Error>> {
    each_case(kernel, types, path, tally, move |program, (kernel, sent), case, tally| {
        let ask = |slots: &[u8]| load(kernel, sent, slots);
        of_case(program, &case, effort, &ask, tally);
    })
}

/// Asks the kernel for other instructions in the place of those that it was about to be sent.
fn load(kernel: &Kernel, sent: &crate::Sent, insns: &[u8]) -> Taken {
    let fds: Vec<Fd> = sent.fd_array.iter().map(|fd| Fd::Os(*fd)).collect();
    let mut attr = ProgLoad { ..sent.attr };
    let license = String::from_utf8_lossy(&sent.license);
    let memory = ProgLoadMemory {
        insns,
        license: &license,
        fd_array: FdArray::ByIndex(&fds),
        func_info: Records { size: sent.attr.func_info_rec_size, bytes: &sent.func_info },
        ..ProgLoadMemory::default()
    };
    if kernel.prog_load(&mut attr, memory).is_ok() { Taken::Yes } else { Taken::No }
}

/// Breaks one program.
pub fn of_case(name: &str, case: &Case, effort: Effort, ask: &dyn Fn(&[u8]) -> Taken, tally: &mut Tally) {
    let (Ok(_), Some(program), Ok(stack)) = (case.verify(&case.slots), case.program(), Stack::new()) else {
        tally.left_out += 1;
        return;
    };
    let mut random = Random::new(effort.seed);
    let finding = |mutation: Option<&Mutation>, slots: &[skep_isa::RawInsn], (fault, seed): (Fault, u64)| {
        let bytes: Vec<u8> =
            slots.iter().flat_map(|slot| slot.to_bytes(skep_isa::ByteOrder::NATIVE)).collect();
        Finding {
            program: name.to_owned(),
            mutation: mutation.cloned(),
            fault,
            seed,
            kernel: Some(ask(&bytes)),
        }
    };
    match runs(case, &case.slots, &stack, effort.runs * 4, effort.seed) {
        Runs::Fine => {}
        Runs::Stopped(fault, seed) => {
            tally.findings.push(finding(None, &case.slots, (fault, seed)));
            return;
        }
        Runs::Unable => {
            tally.left_out += 1;
            return;
        }
    }
    tally.programs += 1;
    let mut all = mutations(&program);
    while all.len() > effort.mutants {
        let which = random.below(all.len() as u64) as usize;
        all.swap_remove(which);
    }
    for mutation in &all {
        let slots = mutation.apply(&case.slots);
        tally.mutants += 1;
        match runs(case, &slots, &stack, effort.runs, effort.seed) {
            Runs::Stopped(fault, seed) => {
                tally.stopped += 1;
                if case.verify(&slots).is_ok() {
                    tally.findings.push(finding(Some(mutation), &slots, (fault, seed)));
                }
            }
            Runs::Fine | Runs::Unable => tally.accepted += usize::from(case.verify(&slots).is_ok()),
        }
    }
}

/// What several runs came to.
enum Runs {
    /// All returned, as far as it could be seen.
    Fine,
    /// One was stopped.
    Stopped(Fault, u64),
    /// None returned.
    Unable,
}

fn runs(case: &Case, slots: &[skep_isa::RawInsn], stack: &Stack, count: u64, seed: u64) -> Runs {
    let Ok(program) = World::link(case, slots) else { return Runs::Unable };
    let mut returned = 0;
    for run in 0..count {
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(run);
        let Ok(stage) = Stage::new(case, &mut Random::new(!seed)) else { return Runs::Unable };
        match World::run(case, &program, &stage, stack, seed) {
            Ran::Returned(_) => returned += 1,
            Ran::Stopped(fault) => return Runs::Stopped(fault, seed),
            // What is missing is missing in each run that comes there; the first tells enough where none returns.
            Ran::Undecided(_) if returned == 0 && run >= 8 => return Runs::Unable,
            Ran::Undecided(_) => {}
        }
    }
    if returned == 0 { Runs::Unable } else { Runs::Fine }
}
