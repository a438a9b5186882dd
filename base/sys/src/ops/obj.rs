//! Commands on objects of any kind: pins, ids, statistics, tokens.

use super::CallError;
use crate::{AreaMemory, Attr, BtfFd, Call, Fd, Handle, Kernel, MapFd};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::offset_of;
use skep_abi::flags::BPF_F_TOKEN_FD;
use skep_abi::{Cmd, EnableStats, Errno, GetId, ObjPath, TaskFdQuery, TokenCreate};

/// The kinds of objects that have ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// Maps.
    Map,
    /// Programs.
    Prog,
    /// BTF.
    Btf,
    /// Links.
    Link,
}

impl ObjectKind {
    fn next_id(self) -> Cmd {
        self.cmds().0
    }

    fn fd_by_id(self) -> Cmd {
        self.cmds().1
    }

    fn cmds(self) -> (Cmd, Cmd) {
        match self {
            ObjectKind::Map => (Cmd::MAP_GET_NEXT_ID, Cmd::MAP_GET_FD_BY_ID),
            ObjectKind::Prog => (Cmd::PROG_GET_NEXT_ID, Cmd::PROG_GET_FD_BY_ID),
            ObjectKind::Btf => (Cmd::BTF_GET_NEXT_ID, Cmd::BTF_GET_FD_BY_ID),
            ObjectKind::Link => (Cmd::LINK_GET_NEXT_ID, Cmd::LINK_GET_FD_BY_ID),
        }
    }
}

/// What the descriptor of another task is (`BPF_TASK_FD_QUERY`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFd {
    /// The number of the program attached through it.
    pub prog_id: u32,
    /// Which kind of event it is (`enum bpf_task_fd_type`).
    pub kind: skep_abi::TaskFdType,
    /// The tracepoint, function or file.
    pub name: String,
    /// The offset in that function or file.
    pub probe_offset: u64,
    /// The address of the probe, or 0.
    pub probe_addr: u64,
}

/// The longest name that the kernel gives of an event, NUL included (`PATH_MAX`).
pub(super) const LONGEST_NAME: usize = 4096;

impl Kernel {
    /// Pins an object at a path in a BPF file system (`BPF_OBJ_PIN`).
    ///
    /// # Errors
    /// `EEXIST`; `ENOENT` where the directory is not there; `EPERM` where it is no BPF file system.
    pub fn obj_pin(&self, object: &Handle, path: &str) -> Result<(), CallError> {
        let path = super::nul_terminated("path", path)?;
        let mut pin = ObjPath { bpf_fd: object.fd().raw(), ..ObjPath::default() };
        let attr =
            Attr::new(Cmd::OBJ_PIN, &mut pin).lend(offset_of!(ObjPath, pathname), AreaMemory::In(&path));
        self.call(Call::Bpf(attr))?;
        Ok(())
    }

    /// Opens what is pinned at a path (`BPF_OBJ_GET`); `file_flags` are `BPF_F_RDONLY`, `BPF_F_WRONLY` or 0.
    ///
    /// # Errors
    /// `ENOENT`; `EACCES` where something else is there, or the object's rights forbid it.
    pub fn obj_get(&self, path: &str, file_flags: u32) -> Result<Handle, CallError> {
        let path = super::nul_terminated("path", path)?;
        // The path's directory descriptor counts with this flag only.
        let file_flags = file_flags & !skep_abi::flags::BPF_F_PATH_FD;
        let mut get = ObjPath { file_flags, ..ObjPath::default() };
        let attr =
            Attr::new(Cmd::OBJ_GET, &mut get).lend(offset_of!(ObjPath, pathname), AreaMemory::In(&path));
        Ok(self.open(Call::Bpf(attr))?)
    }

    /// Finds the smallest id above `after` (`BPF_*_GET_NEXT_ID`); `None` after the last.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn next_id(&self, kind: ObjectKind, after: u32) -> Result<Option<u32>, CallError> {
        let mut get = GetId { start_id: after, ..GetId::default() };
        match self.call(Call::Bpf(Attr::new(kind.next_id(), &mut get))) {
            Ok(_) => Ok(Some(get.next_id)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens an object by its id (`BPF_*_GET_FD_BY_ID`); `open_flags`, for maps only, are as for
    /// [`Kernel::obj_get`].
    ///
    /// # Errors
    /// `ENOENT` where the id is gone; `EPERM`.
    pub fn fd_by_id(&self, kind: ObjectKind, id: u32, open_flags: u32) -> Result<Handle, CallError> {
        let mut get = GetId { start_id: id, open_flags, ..GetId::default() };
        Ok(self.open(Call::Bpf(Attr::new(kind.fd_by_id(), &mut get)))?)
    }

    /// Opens BTF by its id, with a token if there is one (Linux 6.15).
    ///
    /// # Errors
    /// As [`Kernel::fd_by_id`]; `EINVAL` with a token where the kernel takes none for this.
    pub fn btf_by_id(&self, id: u32, token: Option<Fd>) -> Result<BtfFd, CallError> {
        let (open_flags, fd_by_id_token_fd) = token.map_or((0, 0), |token| (BPF_F_TOKEN_FD, token.number()));
        let mut get = GetId { start_id: id, open_flags, fd_by_id_token_fd, ..GetId::default() };
        Ok(BtfFd::from_handle(self.open(Call::Bpf(Attr::new(Cmd::BTF_GET_FD_BY_ID, &mut get)))?))
    }

    /// Opens a map by its id, with its shape.
    ///
    /// # Errors
    /// As [`Kernel::fd_by_id`].
    pub fn map_by_id(&self, id: u32, open_flags: u32) -> Result<MapFd, CallError> {
        self.map_from_handle(self.fd_by_id(ObjectKind::Map, id, open_flags)?)
    }

    /// Switches statistics on for as long as the handle lives (`BPF_ENABLE_STATS`).
    ///
    /// # Errors
    /// `EPERM`; `EINVAL` where there are no such statistics.
    pub fn enable_stats(&self, type_: u32) -> Result<Handle, CallError> {
        let mut enable = EnableStats { type_ };
        Ok(self.open(Call::Bpf(Attr::new(Cmd::ENABLE_STATS, &mut enable)))?)
    }

    /// Makes a token of a BPF file system mounted with delegated rights (`BPF_TOKEN_CREATE`).
    ///
    /// # Errors
    /// `EINVAL` where it is no such file system's root; `ENOENT` where nothing is delegated; `EPERM`.
    pub fn token_create(&self, bpffs: &Handle) -> Result<Handle, CallError> {
        let mut create = TokenCreate { flags: 0, bpffs_fd: bpffs.fd().raw() };
        Ok(self.open(Call::Bpf(Attr::new(Cmd::TOKEN_CREATE, &mut create)))?)
    }

    /// Tells which program and event is behind a descriptor of a task (`BPF_TASK_FD_QUERY`).
    ///
    /// # Errors
    /// `ENOENT` where there is no such task; `ENOTSUPP` where the descriptor is no such event; `EPERM`.
    pub fn task_fd_query(&self, pid: u32, fd: Fd) -> Result<TaskFd, CallError> {
        let mut name = Vec::new();
        name.try_reserve_exact(LONGEST_NAME).map_err(|_| Errno::ENOMEM)?;
        name.resize(LONGEST_NAME, 0);
        let mut query = TaskFdQuery { pid, fd: fd.raw(), buf_len: LONGEST_NAME as u32, ..Default::default() };
        let attr = Attr::new(Cmd::TASK_FD_QUERY, &mut query)
            .lend(offset_of!(TaskFdQuery, buf), AreaMemory::Out(&mut name));
        self.call(Call::Bpf(attr))?;
        Ok(TaskFd {
            prog_id: query.prog_id,
            kind: skep_abi::TaskFdType(query.fd_type),
            name: super::until_nul(name),
            probe_offset: query.probe_offset,
            probe_addr: query.probe_addr,
        })
    }
}
