//! Program commands.

use super::{CallError, len_u32};
use crate::{AreaMemory, Attr, AttrError, Call, Fd, Handle, Kernel, MapFd};
use alloc::vec::Vec;
use core::mem::offset_of;
use skep_abi::{Cmd, ProgAttach, ProgBindMap, ProgLoad, ProgQuery, ProgStreamRead, ProgTestRun, flags};
use zerocopy::IntoBytes;

/// Records of one size, in a row; which size is the producer's business and is told to the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Records<'a> {
    /// Bytes of one record.
    pub size: u32,
    /// All records.
    pub bytes: &'a [u8],
}

impl Records<'_> {
    /// Gives size and number, as attributes carry them; both are 0 where there are no records.
    fn size_and_count(&self, what: &'static str) -> Result<(u32, u32), AttrError> {
        if self.bytes.is_empty() {
            return Ok((0, 0));
        }
        let size = self.size as usize;
        if size == 0 || self.bytes.len() % size != 0 {
            let wanted = self.bytes.len().checked_next_multiple_of(size.max(1)).unwrap_or(usize::MAX);
            return Err(AttrError::WrongLength { what, wanted, found: self.bytes.len() });
        }
        Ok((self.size, len_u32(what, self.bytes.len() / size)?))
    }
}

/// The descriptors that instructions refer to by index.
#[derive(Clone, Copy, Debug)]
pub enum FdArray<'a> {
    /// Only those that an instruction refers to matter (Linux 5.14).
    ByIndex(&'a [Fd]),
    /// All are maps or BTF objects, and all maps are bound to the program (Linux 6.14).
    Bound(&'a [Fd]),
}

impl Default for FdArray<'_> {
    fn default() -> Self {
        FdArray::ByIndex(&[])
    }
}

/// The memory behind the pointer fields of `BPF_PROG_LOAD`.
#[derive(Debug, Default)]
pub struct ProgLoadMemory<'a> {
    /// The instructions, 8 bytes each.
    pub insns: &'a [u8],
    /// The licence, without NUL.
    pub license: &'a str,
    /// Takes the verifier's log.
    pub log: &'a mut [u8],
    /// The descriptors that instructions refer to by index.
    pub fd_array: FdArray<'a>,
    /// Types of the functions (`bpf_func_info`).
    pub func_info: Records<'a>,
    /// Source lines (`bpf_line_info`).
    pub line_info: Records<'a>,
    /// CO-RE relocations for the kernel to do (`bpf_core_relo`).
    pub core_relos: Records<'a>,
    /// A PKCS#7 signature over the instructions.
    pub signature: &'a [u8],
}

/// An open program.
#[derive(Debug)]
pub struct ProgFd {
    handle: Handle,
}

/// Memory of a test run.
#[derive(Debug, Default)]
pub struct TestRunMemory<'a> {
    /// The packet, where the program type takes one.
    pub data_in: &'a [u8],
    /// Takes the packet as the program left it.
    pub data_out: &'a mut [u8],
    /// The context, where the program type takes one. Programs of the type `SYSCALL` find their arguments here, and the
    /// kernel writes back what became of them (`bpf_prog_test_run_syscall`, net/bpf/test_run.c).
    pub ctx_in: &'a mut [u8],
    /// Takes the context as the program left it.
    pub ctx_out: &'a mut [u8],
}

impl ProgFd {
    /// Takes a handle for a program; where it is none, each operation answers `EINVAL`.
    pub fn from_handle(handle: Handle) -> ProgFd {
        ProgFd { handle }
    }

    /// Gives the handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Gives the descriptor.
    pub fn fd(&self) -> Fd {
        self.handle.fd()
    }

    /// Runs the program (`BPF_PROG_TEST_RUN`). Takes `repeat`, `flags`, `cpu` and `batch_size` from `run`, and fills
    /// in `retval`, `duration` and the sizes of what came out, which may be more than there was room for.
    ///
    /// # Errors
    /// `ENOSPC` where `data_out` or `ctx_out` is too short: filled as far as it goes, and `run` is filled in too.
    /// `ENOTSUPP` where the type has no test runs.
    pub fn test_run(&self, run: &mut ProgTestRun, memory: TestRunMemory<'_>) -> Result<(), CallError> {
        *run = ProgTestRun {
            prog_fd: self.fd().raw(),
            data_size_in: len_u32("data_in", memory.data_in.len())?,
            data_size_out: len_u32("data_out", memory.data_out.len())?,
            ctx_size_in: len_u32("ctx_in", memory.ctx_in.len())?,
            ctx_size_out: len_u32("ctx_out", memory.ctx_out.len())?,
            data_in: 0,
            data_out: 0,
            ctx_in: 0,
            ctx_out: 0,
            ..*run
        };
        let attr = Attr::new(Cmd::PROG_TEST_RUN, run)
            .lend(offset_of!(ProgTestRun, data_in), AreaMemory::In(memory.data_in))
            .lend(offset_of!(ProgTestRun, data_out), AreaMemory::Out(memory.data_out))
            .lend(offset_of!(ProgTestRun, ctx_in), AreaMemory::InOut(memory.ctx_in))
            .lend(offset_of!(ProgTestRun, ctx_out), AreaMemory::Out(memory.ctx_out));
        self.handle.kernel().call(Call::Bpf(attr))?;
        Ok(())
    }

    /// Makes the program keep `map` alive (`BPF_PROG_BIND_MAP`).
    ///
    /// # Errors
    /// `EINVAL` before Linux 5.10.
    pub fn bind_map(&self, map: &MapFd) -> Result<(), CallError> {
        let mut bind = ProgBindMap { prog_fd: self.fd().raw(), map_fd: map.fd().raw(), flags: 0 };
        self.handle.kernel().call(Call::Bpf(Attr::new(Cmd::PROG_BIND_MAP, &mut bind)))?;
        Ok(())
    }

    /// Reads what the program printed to a stream, `BPF_STREAM_STDOUT` or `_STDERR`
    /// (`BPF_PROG_STREAM_READ_BY_FD`). Gives the number of bytes.
    ///
    /// # Errors
    /// `EINVAL` before Linux 6.17; `ENOENT` where there is no such stream.
    pub fn stream_read(&self, stream_id: u32, into: &mut [u8]) -> Result<usize, CallError> {
        let room = into.len();
        let mut read = ProgStreamRead {
            stream_buf_len: len_u32("stream", room)?,
            stream_id,
            prog_fd: self.fd().raw(),
            ..ProgStreamRead::default()
        };
        let attr = Attr::new(Cmd::PROG_STREAM_READ_BY_FD, &mut read)
            .lend(offset_of!(ProgStreamRead, stream_buf), AreaMemory::Out(into));
        let count = self.handle.kernel().call(Call::Bpf(attr))?.into_count()?;
        Ok((count as usize).min(room))
    }
}

/// What `BPF_PROG_QUERY` fills; every list that is not empty has the same length.
#[derive(Debug, Default)]
pub struct ProgQueryMemory<'a> {
    /// Ids of the programs.
    pub prog_ids: &'a mut [u32],
    /// Attach flags of each program (Linux 6.0).
    pub prog_attach_flags: &'a mut [u32],
    /// Ids of the links, 0 where a program is attached without one (Linux 6.6).
    pub link_ids: &'a mut [u32],
    /// Attach flags of each link (Linux 6.6).
    pub link_attach_flags: &'a mut [u32],
}

impl Kernel {
    /// Loads a program (`BPF_PROG_LOAD`). Pointer fields, counts and lengths of `load` are set from `memory`;
    /// `log_true_size` is filled in, also where the program is refused.
    ///
    /// # Errors
    /// `EACCES` or `EINVAL` where the verifier refuses the program, and says why in the log; `ENOSPC` where the log did
    /// not fit; `E2BIG` where the program is too long; `EPERM`.
    pub fn prog_load(&self, load: &mut ProgLoad, memory: ProgLoadMemory<'_>) -> Result<ProgFd, CallError> {
        if memory.insns.len() % 8 != 0 {
            let wanted = memory.insns.len().next_multiple_of(8);
            let found = memory.insns.len();
            return Err(AttrError::WrongLength { what: "insns", wanted, found }.into());
        }
        let license = super::nul_terminated("license", memory.license)?;
        let (fds, bound) = match memory.fd_array {
            FdArray::ByIndex(fds) => (fds, 0),
            FdArray::Bound(fds) => (fds, len_u32("fd_array", fds.len())?),
        };
        if !fds.is_empty() {
            check_fd_indices(memory.insns, fds.len())?;
        }
        let fd_numbers = numbers(fds)?;
        let (func_info_rec_size, func_info_cnt) = memory.func_info.size_and_count("func_info")?;
        let (line_info_rec_size, line_info_cnt) = memory.line_info.size_and_count("line_info")?;
        let (core_relo_rec_size, core_relo_cnt) = memory.core_relos.size_and_count("core_relos")?;
        *load = ProgLoad {
            insn_cnt: len_u32("insns", memory.insns.len() / 8)?,
            insns: 0,
            license: 0,
            log_size: len_u32("log", memory.log.len())?,
            log_buf: 0,
            func_info_rec_size,
            func_info: 0,
            func_info_cnt,
            line_info_rec_size,
            line_info: 0,
            line_info_cnt,
            core_relo_cnt,
            fd_array: 0,
            core_relos: 0,
            core_relo_rec_size,
            fd_array_cnt: bound,
            signature: 0,
            signature_size: len_u32("signature", memory.signature.len())?,
            ..*load
        };
        let attr = Attr::new(Cmd::PROG_LOAD, load)
            .lend(offset_of!(ProgLoad, insns), AreaMemory::In(memory.insns))
            .lend(offset_of!(ProgLoad, license), AreaMemory::In(&license))
            .lend(offset_of!(ProgLoad, log_buf), AreaMemory::Out(memory.log))
            .lend(offset_of!(ProgLoad, fd_array), AreaMemory::In(fd_numbers.as_slice().as_bytes()))
            .lend(offset_of!(ProgLoad, func_info), AreaMemory::In(memory.func_info.bytes))
            .lend(offset_of!(ProgLoad, line_info), AreaMemory::In(memory.line_info.bytes))
            .lend(offset_of!(ProgLoad, core_relos), AreaMemory::In(memory.core_relos.bytes))
            .lend(offset_of!(ProgLoad, signature), AreaMemory::In(memory.signature));
        Ok(ProgFd::from_handle(self.open(Call::Bpf(attr))?))
    }

    /// Attaches a program without a link (`BPF_PROG_ATTACH`).
    ///
    /// # Errors
    /// `EEXIST` where it is attached already; `EINVAL` where type and target do not fit.
    pub fn prog_attach(&self, attach: &ProgAttach) -> Result<(), CallError> {
        let mut attach = *attach;
        self.call(Call::Bpf(Attr::new(Cmd::PROG_ATTACH, &mut attach)))?;
        Ok(())
    }

    /// Detaches a program that was attached without a link (`BPF_PROG_DETACH`).
    ///
    /// # Errors
    /// `ENOENT` where it is not attached.
    pub fn prog_detach(&self, detach: &ProgAttach) -> Result<(), CallError> {
        let mut detach = *detach;
        self.call(Call::Bpf(Attr::new(Cmd::PROG_DETACH, &mut detach)))?;
        Ok(())
    }

    /// Lists the programs attached to a target (`BPF_PROG_QUERY`). Fills in `prog_cnt`, which may be more than there
    /// was room for, `attach_flags` and `revision`.
    ///
    /// # Errors
    /// `ENOSPC` where the lists are too short; they are filled as far as they go.
    pub fn prog_query(&self, query: &mut ProgQuery, memory: ProgQueryMemory<'_>) -> Result<(), CallError> {
        let ProgQueryMemory { prog_ids, prog_attach_flags, link_ids, link_attach_flags } = memory;
        let count = prog_ids.len();
        for (what, list) in [
            ("prog_attach_flags", &*prog_attach_flags),
            ("link_ids", link_ids),
            ("link_attach_flags", link_attach_flags),
        ] {
            if !list.is_empty() && list.len() != count {
                return Err(AttrError::WrongLength { what, wanted: count * 4, found: list.len() * 4 }.into());
            }
        }
        *query = ProgQuery {
            prog_ids: 0,
            prog_cnt: len_u32("prog_ids", count)?,
            prog_attach_flags: 0,
            link_ids: 0,
            link_attach_flags: 0,
            ..*query
        };
        let attr = Attr::new(Cmd::PROG_QUERY, query)
            .lend(offset_of!(ProgQuery, prog_ids), AreaMemory::Out(prog_ids.as_mut_bytes()))
            .lend(offset_of!(ProgQuery, prog_attach_flags), AreaMemory::Out(prog_attach_flags.as_mut_bytes()))
            .lend(offset_of!(ProgQuery, link_ids), AreaMemory::Out(link_ids.as_mut_bytes()))
            .lend(
                offset_of!(ProgQuery, link_attach_flags),
                AreaMemory::Out(link_attach_flags.as_mut_bytes()),
            );
        self.call(Call::Bpf(attr))?;
        Ok(())
    }
}

fn numbers(fds: &[Fd]) -> Result<Vec<i32>, AttrError> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(fds.len()).map_err(|_| AttrError::NoMemory)?;
    numbers.extend(fds.iter().map(|fd| fd.number()));
    Ok(numbers)
}

/// The opcode of a 64-bit load of an immediate (RFC 9669 §5.4).
const LOAD_IMM64: u8 = 0x18;
/// The opcode of a call.
const CALL: u8 = 0x85;

/// Checks each index into `fd_array` that the kernel would use: without a count it reads where the instruction says
/// (`kernel/bpf/verifier.c`, `resolve_pseudo_ldimm64` and `__find_kfunc_desc_btf`).
fn check_fd_indices(insns: &[u8], fds: usize) -> Result<(), AttrError> {
    for insn in insns.chunks_exact(8) {
        let source = if cfg!(target_endian = "big") { insn[1] & 0xf } else { insn[1] >> 4 };
        let wanted = match (insn[0], source) {
            (LOAD_IMM64, flags::BPF_PSEUDO_MAP_IDX | flags::BPF_PSEUDO_MAP_IDX_VALUE) => {
                u32::from_ne_bytes([insn[4], insn[5], insn[6], insn[7]]) as usize
            }
            (CALL, flags::BPF_PSEUDO_KFUNC_CALL) => usize::from(u16::from_ne_bytes([insn[2], insn[3]])),
            _ => continue,
        };
        if wanted >= fds {
            return Err(AttrError::NotInList { what: "fd_array", wanted, found: fds });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_beyond_the_descriptors_are_refused() {
        let load = |index: u8| {
            let registers = if cfg!(target_endian = "big") { 0x15 } else { 0x51 };
            let mut insn = [LOAD_IMM64, registers, 0, 0, 0, 0, 0, 0];
            insn[4..].copy_from_slice(&u32::from(index).to_ne_bytes());
            insn
        };
        assert_eq!(check_fd_indices(&load(1), 2), Ok(()));
        let refused = AttrError::NotInList { what: "fd_array", wanted: 2, found: 2 };
        assert_eq!(check_fd_indices(&load(2), 2), Err(refused));
    }

    #[test]
    fn records_have_a_size_that_divides_them() {
        assert_eq!(Records::default().size_and_count("r"), Ok((0, 0)));
        assert_eq!(Records { size: 8, bytes: &[0; 24] }.size_and_count("r"), Ok((8, 3)));
        for size in [0, 5, 25, u32::MAX] {
            assert!(Records { size, bytes: &[0; 24] }.size_and_count("r").is_err(), "{size}");
        }
    }
}
