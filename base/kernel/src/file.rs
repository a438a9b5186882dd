//! What a file descriptor of this kernel means.

use crate::btf::BtfObject;
use crate::error::Result;
use crate::kernel::Inner;
use crate::link::LinkObject;
use crate::map::MapObject;
use crate::perf::PerfEvent;
use crate::prog::Prog;
use crate::request::Request;
use crate::runner::Counting;
use skep_abi::Errno;
use skep_maps::Mode;
use skep_mem::{FileObject, Shared};

/// An open object.
#[derive(Debug)]
pub(crate) enum File {
    /// A map, and what may be done through this file; made by [`File::of_map`].
    Map(Shared<MapObject>, Mode),
    /// A program.
    Prog(Shared<Prog>),
    /// A link.
    Link(Shared<LinkObject>),
    /// Types.
    Btf(Shared<BtfObject>),
    /// A perf event.
    Perf(Shared<PerfEvent>),
    /// What has runs counted.
    Stats(#[expect(dead_code, reason = "held for as long as it is open")] Counting),
}

impl File {
    /// Opens a map.
    pub(crate) fn of_map(map: Shared<MapObject>, mode: Mode) -> File {
        map.add_user();
        File::Map(map, mode)
    }

    /// Gives a number that no other open file has: its address.
    pub(crate) fn owner(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }

    /// Makes what the caller's table holds.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn into_object(self) -> Result<FileObject> {
        Ok(Shared::try_new(self)?.into_any())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let owner = self.owner();
        if let File::Map(map, _) = self {
            map.forget_events(owner);
            map.drop_user();
        }
    }
}

/// Finds the file behind a descriptor.
///
/// # Errors
/// `EBADF` where it is not open; `EINVAL` where it is something else than a file of a BPF kernel.
pub(crate) fn lookup(request: &Request<'_>, fd: u32) -> Result<Shared<File>> {
    let object = request.caller().files().lookup(fd as i32)?;
    object.downcast::<File>().map_err(|_| Errno::EINVAL)
}

/// A map found behind a descriptor.
pub(crate) struct OpenMap {
    pub(crate) map: Shared<MapObject>,
    pub(crate) mode: Mode,
    /// The file's number.
    pub(crate) owner: u64,
}

/// Finds a map behind a descriptor.
///
/// # Errors
/// `EBADF`; `EINVAL` where it is no map of this kernel.
pub(crate) fn map(kernel: &Inner, request: &Request<'_>, fd: u32) -> Result<OpenMap> {
    let file = lookup(request, fd)?;
    match &*file {
        File::Map(map, mode) if map.is_of(&kernel.maps) => {
            Ok(OpenMap { map: map.clone(), mode: *mode, owner: file.owner() })
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Finds a program behind a descriptor.
///
/// # Errors
/// `EBADF`; `EINVAL` where it is no program of this kernel.
pub(crate) fn prog(kernel: &Inner, request: &Request<'_>, fd: u32) -> Result<Shared<Prog>> {
    match &*lookup(request, fd)? {
        File::Prog(prog) if prog.is_of(&kernel.progs) => Ok(prog.clone()),
        _ => Err(Errno::EINVAL),
    }
}

/// Finds types of a loader's behind a descriptor.
///
/// # Errors
/// `EBADF`; `EINVAL` where it is something else; `EACCES` where it is the kernel's own (`map_create`,
/// kernel/bpf/syscall.c; `check_btf_info_early`, kernel/bpf/verifier.c).
pub(crate) fn btf(request: &Request<'_>, fd: u32) -> Result<Shared<BtfObject>> {
    match &*lookup(request, fd)? {
        File::Btf(btf) if btf.is_kernel() => Err(Errno::EACCES),
        File::Btf(btf) => Ok(btf.clone()),
        _ => Err(Errno::EINVAL),
    }
}

/// Finds a link behind a descriptor.
///
/// # Errors
/// `EBADF`; `EINVAL` where it is something else.
pub(crate) fn link(request: &Request<'_>, fd: u32) -> Result<Shared<LinkObject>> {
    match &*lookup(request, fd)? {
        File::Link(link) => Ok(link.clone()),
        _ => Err(Errno::EINVAL),
    }
}

/// Gives a descriptor to the caller.
///
/// # Errors
/// `EMFILE`, `ENOMEM`.
pub(crate) fn install(request: &Request<'_>, file: File) -> Result<i64> {
    request.caller().files().install(file.into_object()?).map(i64::from)
}
