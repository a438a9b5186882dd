//! The three calls that make things, as every part of a load makes them.

use crate::Kernel;
use skep_abi::{BtfLoad, Errno, MapCreate, ProgLoad};
use skep_sys::{BtfFd, CallError, MapFd, ProgFd, ProgLoadMemory};

/// How often a load is tried that a signal interrupts (`kernel/bpf/verifier.c` answers EAGAIN), as libbpf does.
const ATTEMPTS: u32 = 5;

impl Kernel {
    /// Creates a map.
    pub(crate) fn map_create(&self, create: &MapCreate) -> Result<MapFd, CallError> {
        self.locking(|| self.sys().map_create(create))
    }

    /// Loads BTF.
    pub(crate) fn btf_load(&self, btf: &[u8]) -> Result<BtfFd, CallError> {
        self.locking(|| self.sys().btf_load(&mut BtfLoad::default(), btf, &mut []))
    }

    /// Loads a program, again where a signal has interrupted it.
    pub(crate) fn prog_load(
        &self,
        load: &ProgLoad,
        memory: &mut ProgLoadMemory<'_>,
    ) -> Result<ProgFd, CallError> {
        let mut attempt = || {
            let memory = ProgLoadMemory { log: &mut *memory.log, ..*memory };
            self.sys().prog_load(&mut load.clone(), memory)
        };
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match self.locking(&mut attempt) {
                Err(CallError::Errno(Errno::EAGAIN)) if left != 0 => continue,
                answer => return answer,
            }
        }
    }
}
