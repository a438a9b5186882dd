//! Guarded reads of this process's memory, by the one system call that fails instead of faulting.

use skep_mem::{Probe, ProbeFault, ProbeSpace};

/// Reads this process through the system; both spaces are the same here.
#[derive(Debug)]
pub(super) struct SelfProbe(());

/// Bytes read at once while a string's end is looked for: the next multiple of it is never beyond an unreadable page.
const CHUNK: usize = 256;

impl SelfProbe {
    /// Gives the probe where the system lets a process read itself.
    pub(super) fn new() -> Option<SelfProbe> {
        let known = [0x5ea3_u64];
        let mut found = [0; 8];
        let probe = SelfProbe(());
        probe.read(ProbeSpace::Kernel, known.as_ptr().expose_provenance() as u64, &mut found).ok()?;
        (u64::from_ne_bytes(found) == known[0]).then_some(probe)
    }
}

// SAFETY: the system copies, and answers with an error where an address is not readable; it writes `into` only.
unsafe impl Probe for SelfProbe {
    fn read(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<(), ProbeFault> {
        if into.is_empty() {
            return Ok(());
        }
        own_memory::read(addr, into).ok_or_else(|| why_not(space, addr))
    }

    fn read_str(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<usize, ProbeFault> {
        let Some(last) = into.len().checked_sub(1) else { return Ok(0) };
        let mut at = 0;
        while at < into.len() {
            let from = addr.checked_add(at as u64).ok_or(ProbeFault::Unreachable)?;
            let chunk = (CHUNK - from as usize % CHUNK).min(into.len() - at);
            let part = &mut into[at..at + chunk];
            self.read(space, from, part)?;
            if let Some(nul) = part.iter().position(|byte| *byte == 0) {
                return Ok(at + nul + 1);
            }
            at += chunk;
        }
        into[last] = 0;
        Ok(into.len())
    }

    /// Always refuses: the current task is the process that the kernel lives in, and what a program wrote there
    /// would be a write behind the back of Rust.
    fn write_user(&self, _addr: u64, _from: &[u8]) -> Result<(), ProbeFault> {
        Err(ProbeFault::Unreachable)
    }
}

/// Tells why an address could not be read, as Linux on x86-64 with four levels of pages would: the lower half is user
/// space, the upper half the kernel, and what is between is nothing. Here the kernel's memory is in the lower half, so
/// what can be read there is read; what cannot is none of the kernel's.
fn why_not(space: ProbeSpace, addr: u64) -> ProbeFault {
    let own_half = match space {
        ProbeSpace::User => 0,
        ProbeSpace::Kernel => 0x1_ffff,
    };
    if addr >> 47 == own_half { ProbeFault::Unreachable } else { ProbeFault::Outside }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod own_memory {
    pub(super) fn read(addr: u64, into: &mut [u8]) -> Option<()> {
        let addr = usize::try_from(addr).ok()?;
        let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(addr), iov_len: into.len() };
        // A process id cannot be negative.
        let own = std::process::id() as libc::pid_t;
        // SAFETY: the local vector is a slice that lives until after the call; the remote one is only read by the
        // system, which answers with an error where it is not mapped.
        let count = unsafe { libc::process_vm_readv(own, &raw const local, 1, &raw const remote, 1, 0) };
        (usize::try_from(count) == Ok(into.len())).then_some(())
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod own_memory {
    pub(super) fn read(_addr: u64, _into: &mut [u8]) -> Option<()> {
        None
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    fn address(bytes: &[u8]) -> u64 {
        bytes.as_ptr().expose_provenance() as u64
    }

    #[test]
    fn reads_what_is_mapped_and_nothing_else() {
        let Some(probe) = SelfProbe::new() else {
            return eprintln!("skipped: this system does not let a process read itself");
        };
        let mut into = [0; 5];
        assert_eq!(probe.read(ProbeSpace::User, address(b"hello"), &mut into), Ok(()));
        assert_eq!(&into, b"hello");
        let (outside, unreachable) = (Err(ProbeFault::Outside), Err(ProbeFault::Unreachable));
        for (addr, kernel, user) in [
            (0, outside, unreachable),
            (8, outside, unreachable),
            (1 << 63, outside, outside),
            (u64::MAX - 2, unreachable, outside),
        ] {
            for (space, wanted) in [(ProbeSpace::Kernel, kernel), (ProbeSpace::User, user)] {
                assert_eq!(probe.read(space, addr, &mut into), wanted, "{addr:#x}");
                assert_eq!(probe.read_str(space, addr, &mut into), wanted.map(|()| 0), "{addr:#x}");
            }
        }
    }

    #[test]
    fn strings_end_at_their_nul_or_are_cut() {
        let Some(probe) = SelfProbe::new() else {
            return eprintln!("skipped: this system does not let a process read itself");
        };
        let text = [[b'x'; 700].as_slice(), b"\0"].concat();
        let mut into = [1; 1024];
        assert_eq!(probe.read_str(ProbeSpace::User, address(&text), &mut into), Ok(701));
        assert_eq!(into[..701], text);
        assert_eq!(probe.read_str(ProbeSpace::User, address(&text), &mut into[..4]), Ok(4));
        assert_eq!(into[..4], *b"xxx\0");
        assert_eq!(probe.read_str(ProbeSpace::User, address(&text), &mut []), Ok(0));
    }
}
