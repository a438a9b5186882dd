//! BTF commands.

use super::{CallError, len_u32};
use crate::{AreaMemory, Attr, Call, Fd, Handle, Kernel};
use core::mem::offset_of;
use skep_abi::{BtfLoad, Cmd};

/// Open BTF.
#[derive(Debug)]
pub struct BtfFd {
    handle: Handle,
}

impl BtfFd {
    /// Takes a handle for BTF; where it is none, each operation answers `EINVAL`.
    pub fn from_handle(handle: Handle) -> BtfFd {
        BtfFd { handle }
    }

    /// Gives the handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Gives the descriptor.
    pub fn fd(&self) -> Fd {
        self.handle.fd()
    }
}

impl Kernel {
    /// Loads BTF (`BPF_BTF_LOAD`). Pointers and lengths of `load` are set; `btf_log_true_size` is filled in.
    ///
    /// # Errors
    /// `EINVAL` where the BTF is refused, and the log says why; `E2BIG` beyond 16 MiB; `ENOSPC` where the log did not
    /// fit; `EPERM`.
    pub fn btf_load(&self, load: &mut BtfLoad, btf: &[u8], log: &mut [u8]) -> Result<BtfFd, CallError> {
        *load = BtfLoad {
            btf: 0,
            btf_log_buf: 0,
            btf_size: len_u32("btf", btf.len())?,
            btf_log_size: len_u32("log", log.len())?,
            ..*load
        };
        let attr = Attr::new(Cmd::BTF_LOAD, load)
            .lend(offset_of!(BtfLoad, btf), AreaMemory::In(btf))
            .lend(offset_of!(BtfLoad, btf_log_buf), AreaMemory::Out(log));
        Ok(BtfFd::from_handle(self.open(Call::Bpf(attr))?))
    }
}
