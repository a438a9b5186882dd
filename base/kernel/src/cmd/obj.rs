//! `BPF_OBJ_PIN` and `BPF_OBJ_GET`.

use super::end_of;
use crate::error::Result;
use crate::file::{self, File};
use crate::kernel::Inner;
use crate::request::Request;
use alloc::sync::Arc;
use skep_abi::flags::{BPF_F_PATH_FD, BPF_F_RDONLY, BPF_F_WRONLY};
use skep_abi::{Errno, ObjPath};
use skep_maps::Mode;

/// The longest path (`PATH_MAX`).
const PATH: usize = 4096;

pub(super) fn pin(_: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: ObjPath = request.attr(end_of!(ObjPath, path_fd))?;
    // Paths relative to a directory's descriptor are not supported.
    if attr.file_flags & !BPF_F_PATH_FD != 0 || attr.file_flags != 0 || attr.path_fd != 0 {
        return Err(Errno::EINVAL);
    }
    let mut path = path_buffer()?;
    let path = request.string(attr.pathname, &mut path, Errno::ENAMETOOLONG)?;
    let object = match &*file::lookup(request, attr.bpf_fd)? {
        File::Map(map, _) => File::of_map(map.clone(), Mode::ReadWrite),
        File::Prog(prog) => File::Prog(prog.clone()),
        File::Link(link) => File::Link(link.clone()),
        File::Btf(_) | File::Perf(_) | File::Stats(_) => return Err(Errno::EINVAL),
    };
    request.caller().files().pin(path, object.into_object()?)?;
    Ok(0)
}

pub(super) fn get(_: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: ObjPath = request.attr(end_of!(ObjPath, path_fd))?;
    if attr.bpf_fd != 0 || attr.file_flags & !(BPF_F_RDONLY | BPF_F_WRONLY) != 0 || attr.path_fd != 0 {
        return Err(Errno::EINVAL);
    }
    let mode = Mode::from_flags(attr.file_flags)?;
    let mut path = path_buffer()?;
    let path = request.string(attr.pathname, &mut path, Errno::ENAMETOOLONG)?;
    let pinned = request.caller().files().pinned(path)?;
    let pinned = pinned.downcast::<File>().map_err(|_| Errno::EACCES)?;
    let opened = match &*pinned {
        File::Map(map, _) => File::of_map(map.clone(), mode),
        // Programs and links are read and written whole or not at all.
        _ if mode != Mode::ReadWrite => return Err(Errno::EINVAL),
        File::Prog(prog) => File::Prog(prog.clone()),
        File::Link(link) => File::Link(link.clone()),
        File::Btf(_) | File::Perf(_) | File::Stats(_) => return Err(Errno::EINVAL),
    };
    file::install(request, opened)
}

fn path_buffer() -> Result<alloc::vec::Vec<u8>> {
    let mut buffer = alloc::vec::Vec::new();
    buffer.try_reserve_exact(PATH).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(PATH, 0);
    Ok(buffer)
}
