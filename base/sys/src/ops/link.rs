//! Link commands.

use super::{CallError, len_u32};
use crate::{AreaMemory, Attr, AttrError, Call, Fd, Handle, Kernel};
use core::mem::offset_of;
use skep_abi::{
    AttachType, Cmd, IterCreate, LinkCreate, LinkCreateCgroup, LinkCreateIter, LinkCreateNetfilter,
    LinkCreateNetkit, LinkCreatePerfEvent, LinkCreateTcx, LinkCreateTracing, LinkCreateUprobeMulti,
    LinkDetach, LinkUpdate, RawTracepointOpen,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An open link; what it attached stays attached while any descriptor or pin of it is left.
#[derive(Debug)]
pub struct LinkFd {
    handle: Handle,
}

impl LinkFd {
    /// Takes a handle for a link; where it is none, each operation answers `EINVAL`.
    pub fn from_handle(handle: Handle) -> LinkFd {
        LinkFd { handle }
    }

    /// Gives the handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Gives the descriptor.
    pub fn fd(&self) -> Fd {
        self.handle.fd()
    }

    /// Puts `new` in the place of the program (`BPF_LINK_UPDATE`), if that is `old` where one is given.
    ///
    /// # Errors
    /// `EPERM` where the program is not `old`; `EINVAL` where the kind of link cannot.
    pub fn update(&self, new: Fd, old: Option<Fd>) -> Result<(), CallError> {
        let mut update = LinkUpdate {
            link_fd: self.fd().raw(),
            new_prog_fd: new.raw(),
            flags: old.map_or(0, |_| skep_abi::flags::BPF_F_REPLACE),
            old_prog_fd: old.map_or(0, Fd::raw),
        };
        self.handle.kernel().call(Call::Bpf(Attr::new(Cmd::LINK_UPDATE, &mut update)))?;
        Ok(())
    }

    /// Detaches at once, whoever else holds the link (`BPF_LINK_DETACH`).
    ///
    /// # Errors
    /// `EOPNOTSUPP` where the kind of link cannot.
    pub fn detach(&self) -> Result<(), CallError> {
        let mut detach = LinkDetach { link_fd: self.fd().raw() };
        self.handle.kernel().call(Call::Bpf(Attr::new(Cmd::LINK_DETACH, &mut detach)))?;
        Ok(())
    }

    /// Opens an iterator's output for reading (`BPF_ITER_CREATE`).
    ///
    /// # Errors
    /// `EINVAL` where it is no iterator link.
    pub fn iter_create(&self) -> Result<Handle, CallError> {
        let mut create = IterCreate { link_fd: self.fd().raw(), flags: 0 };
        Ok(self.handle.kernel().open(Call::Bpf(Attr::new(Cmd::ITER_CREATE, &mut create)))?)
    }
}

/// The memory behind the pointer fields of a link to many places of a file; lists that are not empty are as long as that of
/// the offsets.
#[derive(Clone, Copy, Debug, Default)]
pub struct UprobeMultiMemory<'a> {
    /// The file.
    pub path: &'a str,
    /// The places, in bytes from the file's start.
    pub offsets: &'a [u64],
    /// Where the counter of each place's users is.
    pub ref_ctr_offsets: &'a [u64],
    /// The number that programs read at each place.
    pub cookies: &'a [u64],
}

mod sealed {
    pub trait Sealed {
        /// The part that every link type shares.
        fn base(&self) -> &skep_abi::LinkCreate;
    }
}

/// The attributes of a link without pointers: one of `LinkCreate` and its `LinkCreate…` siblings.
pub trait LinkAttr: sealed::Sealed + Copy + FromBytes + IntoBytes + Immutable {}

macro_rules! link_attrs {
    ($($shape:ident $(. $base:ident)?),*) => {
        $(
            impl sealed::Sealed for $shape {
                fn base(&self) -> &LinkCreate {
                    &self $(. $base)?
                }
            }
            impl LinkAttr for $shape {}
        )*
    };
}

link_attrs!(
    LinkCreatePerfEvent.base,
    LinkCreateTracing.base,
    LinkCreateNetfilter.base,
    LinkCreateTcx.base,
    LinkCreateNetkit.base,
    LinkCreateCgroup.base
);

impl sealed::Sealed for LinkCreate {
    fn base(&self) -> &LinkCreate {
        self
    }
}
impl LinkAttr for LinkCreate {}

/// The attach types for which the kernel reads pointers from the attributes (`kernel/bpf/syscall.c`, `link_create`).
const WITH_POINTERS: &[AttachType] = &[
    AttachType::TRACE_ITER,
    AttachType::TRACE_KPROBE_MULTI,
    AttachType::TRACE_KPROBE_SESSION,
    AttachType::TRACE_UPROBE_MULTI,
    AttachType::TRACE_UPROBE_SESSION,
];

impl Kernel {
    /// Attaches a program (`BPF_LINK_CREATE`).
    ///
    /// # Errors
    /// `EINVAL` where program and attach type do not fit, `EBUSY` where the place is taken, `ENODEV`, `EPERM`.
    pub fn link_create(&self, link: &impl LinkAttr) -> Result<LinkFd, CallError> {
        let attach_type = link.base().attach_type;
        if WITH_POINTERS.contains(&AttachType(attach_type)) {
            return Err(AttrError::OtherShape { attach_type }.into());
        }
        let mut link = *link;
        Ok(LinkFd::from_handle(self.open(Call::Bpf(Attr::new(Cmd::LINK_CREATE, &mut link)))?))
    }

    /// Attaches an iterator (`BPF_LINK_CREATE`, `BPF_TRACE_ITER`); `iter_info` is a `union bpf_iter_link_info`, or empty.
    ///
    /// # Errors
    /// `EINVAL` where the program is no iterator or `iter_info` does not fit it.
    pub fn link_create_iter(&self, base: &LinkCreate, iter_info: &[u8]) -> Result<LinkFd, CallError> {
        let mut link = LinkCreateIter {
            base: LinkCreate { attach_type: AttachType::TRACE_ITER.0, ..*base },
            iter_info_len: len_u32("iter_info", iter_info.len())?,
            ..LinkCreateIter::default()
        };
        let attr = Attr::new(Cmd::LINK_CREATE, &mut link)
            .lend(offset_of!(LinkCreateIter, iter_info), AreaMemory::In(iter_info));
        Ok(LinkFd::from_handle(self.open(Call::Bpf(attr))?))
    }

    /// Attaches a program to many places of a file (`BPF_LINK_CREATE`, `BPF_TRACE_UPROBE_MULTI`, or the attach type of
    /// `link` where that is a session's). Takes `prog_fd`, `flags`, `attach_type` and `pid` from `link`.
    ///
    /// # Errors
    /// `EBADF` where the path is no file; `EINVAL`; `ESRCH` where there is no such process.
    pub fn link_create_uprobe_multi(
        &self,
        link: &LinkCreateUprobeMulti,
        memory: UprobeMultiMemory<'_>,
    ) -> Result<LinkFd, CallError> {
        let path = super::nul_terminated("path", memory.path)?;
        let count = memory.offsets.len();
        for (what, list) in [("ref_ctr_offsets", memory.ref_ctr_offsets), ("cookies", memory.cookies)] {
            if !list.is_empty() && list.len() != count {
                return Err(AttrError::WrongLength { what, wanted: count * 8, found: list.len() * 8 }.into());
            }
        }
        let attach_type = match AttachType(link.base.attach_type) {
            session @ AttachType::TRACE_UPROBE_SESSION => session,
            _ => AttachType::TRACE_UPROBE_MULTI,
        };
        let mut link = LinkCreateUprobeMulti {
            base: LinkCreate { attach_type: attach_type.0, ..link.base },
            path: 0,
            offsets: 0,
            ref_ctr_offsets: 0,
            cookies: 0,
            cnt: len_u32("offsets", count)?,
            ..*link
        };
        let attr = Attr::new(Cmd::LINK_CREATE, &mut link)
            .lend(offset_of!(LinkCreateUprobeMulti, path), AreaMemory::In(&path))
            .lend(offset_of!(LinkCreateUprobeMulti, offsets), AreaMemory::In(memory.offsets.as_bytes()))
            .lend(
                offset_of!(LinkCreateUprobeMulti, ref_ctr_offsets),
                AreaMemory::In(memory.ref_ctr_offsets.as_bytes()),
            )
            .lend(offset_of!(LinkCreateUprobeMulti, cookies), AreaMemory::In(memory.cookies.as_bytes()));
        Ok(LinkFd::from_handle(self.open(Call::Bpf(attr))?))
    }

    /// Attaches a program to a raw tracepoint (`BPF_RAW_TRACEPOINT_OPEN`), or where `name` is `None` to the place that
    /// its load named.
    ///
    /// # Errors
    /// `ENOENT` where there is no such tracepoint; `EINVAL`, `EPERM`.
    pub fn raw_tracepoint_open(
        &self,
        name: Option<&str>,
        prog: Fd,
        cookie: u64,
    ) -> Result<LinkFd, CallError> {
        let name = name.map(|name| super::nul_terminated("name", name)).transpose()?.unwrap_or_default();
        let mut open = RawTracepointOpen { prog_fd: prog.raw(), cookie, ..RawTracepointOpen::default() };
        let attr = Attr::new(Cmd::RAW_TRACEPOINT_OPEN, &mut open)
            .lend(offset_of!(RawTracepointOpen, name), AreaMemory::In(&name));
        Ok(LinkFd::from_handle(self.open(Call::Bpf(attr))?))
    }
}
