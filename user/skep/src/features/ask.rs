//! How a question is asked, and how an answer is read.

use super::insn::Insn;
use crate::Kernel;
use crate::error::{Error, Result};
use skep_abi::{Errno, MapCreate, MapType, ProgLoad, ProgType};
use skep_sys::{CallError, MapFd, ProgFd, ProgLoadMemory};

/// By these a kernel refuses what it does not know (`CHECK_ATTR`, `bpf_check_uarg_tail_zero`, `find_prog_type`,
/// kernel/bpf/syscall.c; `check_helper_call`, kernel/bpf/verifier.c).
const UNKNOWN: &[Errno] = &[Errno::EINVAL, Errno::E2BIG, Errno::ENOTSUPP, Errno::EOPNOTSUPP];

/// Reads an answer: the kernel has it, or does not know it.
///
/// # Errors
/// Any other refusal.
pub(super) fn taken<T>(call: &'static str, answer: std::result::Result<T, CallError>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(CallError::Errno(errno)) if UNKNOWN.contains(&errno) => Ok(false),
        Err(error) => Err(Error::call(call, error)),
    }
}

/// Reads an answer that is a refusal either way: this one shows that the kernel has got as far as the feature.
///
/// # Errors
/// A refusal that says nothing of it.
pub(super) fn refused<T>(
    call: &'static str,
    answer: std::result::Result<T, CallError>,
    with: Errno,
) -> Result<bool> {
    match answer {
        Err(CallError::Errno(errno)) if errno == with => Ok(true),
        other => taken(call, other).map(|_| false),
    }
}

/// The shortest program: `r0 = 0; exit`.
pub(super) const RETURN_0: [Insn; 2] = [super::insn::set(0, 0), super::insn::EXIT];

/// Loads a program.
pub(super) fn load(
    kernel: &Kernel,
    attr: &ProgLoad,
    insns: &[Insn],
    memory: ProgLoadMemory<'_>,
) -> std::result::Result<ProgFd, CallError> {
    let mut memory = ProgLoadMemory { insns: insns.as_flattened(), license: "GPL", ..memory };
    kernel.prog_load(attr, &mut memory)
}

/// Tells whether a program of a type loads.
pub(super) fn loads(kernel: &Kernel, prog_type: ProgType, insns: &[Insn]) -> Result<bool> {
    let attr = ProgLoad { prog_type: prog_type.0, ..ProgLoad::default() };
    taken("BPF_PROG_LOAD", load(kernel, &attr, insns, ProgLoadMemory::default()))
}

/// Loads a program that any kernel takes.
pub(super) fn plain(kernel: &Kernel, attr: &ProgLoad) -> Result<ProgFd> {
    let answer = load(kernel, attr, &RETURN_0, ProgLoadMemory::default());
    answer.map_err(|error| Error::call("BPF_PROG_LOAD", error))
}

/// Makes an array of one value that any kernel takes.
pub(super) fn array(kernel: &Kernel, value_size: u32) -> Result<MapFd> {
    let create = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size,
        max_entries: 1,
        ..MapCreate::default()
    };
    kernel.map_create(&create).map_err(|error| Error::call("BPF_MAP_CREATE", error))
}
