//! The calls that may come with a token, as every part of a load makes them.

use crate::Kernel;
use skep_abi::flags::BPF_F_TOKEN_FD;
use skep_abi::{BtfLoad, Errno, MapCreate, ProgLoad};
use skep_sys::{BtfFd, CallError, Fd, MapFd, ProgFd, ProgLoadMemory};

/// How often a load is tried that a signal interrupts (`kernel/bpf/verifier.c` answers EAGAIN), as libbpf does.
const ATTEMPTS: u32 = 5;

/// The flag and the descriptor of a token, if there is one.
fn with(token: Option<Fd>) -> (u32, i32) {
    token.map_or((0, 0), |token| (BPF_F_TOKEN_FD, token.number()))
}

impl Kernel {
    /// Creates a map.
    pub(crate) fn map_create(&self, create: &MapCreate) -> Result<MapFd, CallError> {
        self.permitted(|token| {
            let (flag, map_token_fd) = with(token);
            let map_flags = create.map_flags | flag;
            self.sys().map_create(&MapCreate { map_flags, map_token_fd, ..*create })
        })
    }

    /// Loads BTF.
    pub(crate) fn btf_load(&self, btf: &[u8]) -> Result<BtfFd, CallError> {
        self.permitted(|token| {
            let (btf_flags, btf_token_fd) = with(token);
            let mut load = BtfLoad { btf_flags, btf_token_fd, ..BtfLoad::default() };
            self.sys().btf_load(&mut load, btf, &mut [])
        })
    }

    /// Opens BTF by its id.
    pub(crate) fn open_btf(&self, id: u32) -> Result<BtfFd, CallError> {
        match self.delegated(|token| self.sys().btf_by_id(id, token)) {
            // Before Linux 6.15 this call takes no token.
            Err(CallError::Errno(Errno::EINVAL)) if self.has_token() => self.sys().btf_by_id(id, None),
            answer => answer,
        }
    }

    /// Loads a program, again where a signal has interrupted it.
    pub(crate) fn prog_load(
        &self,
        load: &ProgLoad,
        memory: &mut ProgLoadMemory<'_>,
    ) -> Result<ProgFd, CallError> {
        let mut attempt = |token| {
            let memory = ProgLoadMemory { log: &mut *memory.log, ..*memory };
            let (flag, prog_token_fd) = with(token);
            let prog_flags = load.prog_flags | flag;
            self.sys().prog_load(&mut ProgLoad { prog_flags, prog_token_fd, ..*load }, memory)
        };
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match self.permitted(&mut attempt) {
                Err(CallError::Errno(Errno::EAGAIN)) if left != 0 => continue,
                answer => return answer,
            }
        }
    }
}
