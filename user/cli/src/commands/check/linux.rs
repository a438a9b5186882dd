//! The verdict of the running kernel, by loading the program and letting go of it.

use crate::failure::{Failure, log_tail};
use crate::shapes::check::{KernelVerdict, Verdict};
use skep::{Autoload, ErrorKind, Kernel, Object};
use skep_abi::ProgType;
use skep_elf::ObjectSpec;
use skep_model::ProgramSpec;
use std::path::Path;
use std::time::Instant;

/// Loads one program of an object.
///
/// # Errors
/// Where the object or the program cannot be opened again.
pub(super) fn check(
    linux: &Kernel,
    path: &Path,
    spec: &ObjectSpec,
    program: &ProgramSpec,
    kind: Option<ProgType>,
) -> Result<KernelVerdict, Failure> {
    let mut object = Object::open(path)?;
    object.only_program(&program.name)?;
    let mut wanted = object.program_mut(&program.name)?;
    wanted.set_autoload(Autoload::Yes);
    let declared = program.attach.as_ref().map(|attach| attach.prog_type);
    if let Some(kind) = kind.filter(|kind| declared != Some(*kind)) {
        wanted.set_type(kind);
    }
    // A check leaves nothing behind, and finds nothing that somebody else has left.
    for map in &spec.maps {
        object.map_mut(&map.name)?.do_not_pin();
    }
    let start = Instant::now();
    let result = object.load(linux);
    let time_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let error = match result {
        Ok(loaded) => {
            let info = loaded.program(&program.name)?.info()?;
            // The field is since Linux 5.16.
            let processed_insns = Some(info.verified_insns).filter(|&count| count != 0);
            let time_ns = Some(time_ns);
            return Ok(KernelVerdict { processed_insns, time_ns, ..KernelVerdict::new(Verdict::Accepted) });
        }
        Err(error) => error,
    };
    let errno = error.errno().map(|errno| errno.name().map_or(errno.raw().to_string(), str::to_owned));
    match error.kind() {
        // Nobody has looked at the program.
        ErrorKind::Permission => {
            let reason = format!("{error}; run it as root, or with the capabilities that the type needs");
            Ok(KernelVerdict { errno, ..KernelVerdict::unsupported(reason) })
        }
        ErrorKind::Object | ErrorKind::Setting | ErrorKind::Unsupported if errno.is_none() => {
            Ok(KernelVerdict::unsupported(error.to_string()))
        }
        _ => {
            let log = error.verifier_log();
            Ok(KernelVerdict {
                errno,
                processed_insns: log.and_then(processed),
                log_tail: log.map(log_tail),
                reason: log.is_none().then(|| error.to_string()),
                time_ns: Some(time_ns),
                ..KernelVerdict::new(Verdict::Rejected)
            })
        }
    }
}

/// Reads `processed 14 insns (limit 1000000) …` (`print_verification_stats`, kernel/bpf/verifier.c).
fn processed(log: &str) -> Option<u32> {
    log.lines().rev().find_map(|line| line.strip_prefix("processed ")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_the_count() {
        let log = "1: (95) exit\nR0 !read_ok\nprocessed 2 insns (limit 1000000) max_states_per_insn 0\n";
        assert_eq!((processed(log), processed("")), (Some(2), None));
    }
}
