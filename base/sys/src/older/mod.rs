//! A kernel that seems older than it is, so that a loader's fallbacks run without an old kernel.

mod btf;
mod table;

use crate::{Area, Attr, Call, FileCall, Kernel, Reply, Sys};
use alloc::sync::Arc;
use core::fmt;
use core::mem::offset_of;
use skep_abi::{
    AttachType, BtfLoad, Cmd, Errno, InfoByFd, LinkCreate, MapCreate, MapInfo, MapType, ProgAttach, ProgInfo,
    ProgLoad, ProgQuery, ProgType,
};
use table::Known;

/// A version of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The first number.
    pub major: u8,
    /// The second number.
    pub minor: u8,
}

impl KernelVersion {
    /// Makes a version.
    pub const fn new(major: u8, minor: u8) -> KernelVersion {
        KernelVersion { major, minor }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Answers as another kernel does, but refuses what the version that it plays does not have, as that version would:
/// commands, map, program and attach types, attribute fields, flags of maps and programs, kinds of BTF, and a few
/// files. Lengths of program and map infos are that version's.
///
/// What programs do is not looked at: helpers, kfuncs, instructions and what the verifier can prove stay as they are.
pub struct Older {
    inner: Arc<dyn Sys>,
    version: KernelVersion,
}

impl Older {
    /// Wraps a kernel.
    pub fn new(kernel: &Kernel, version: KernelVersion) -> Older {
        Older { inner: Arc::clone(kernel.sys()), version }
    }

    fn knows(&self, known: &[Known], value: u32) -> Result<(), Errno> {
        let row = known.iter().find(|row| row.value == value);
        match row {
            Some(row) if row.since > self.version => Err(Errno::EINVAL),
            // What the tables do not know is for the wrapped kernel to refuse.
            _ => Ok(()),
        }
    }

    fn knows_flags(&self, known: &[Known], flags: u32) -> Result<(), Errno> {
        let newer = known.iter().filter(|row| row.since > self.version).fold(0, |bits, row| bits | row.value);
        if flags & newer == 0 { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// Checks that nothing is set beyond the last field that the version knows: `EINVAL` inside its `union bpf_attr`
    /// (`kernel/bpf/syscall.c`, `CHECK_ATTR`), `E2BIG` beyond (`bpf_check_uarg_tail_zero`).
    fn knows_fields(&self, attr: &Attr<'_>) -> Result<(), Errno> {
        let union = table::attr_size(self.version);
        let known = table::last_field(attr.cmd(), self.version).unwrap_or(union);
        let pointers = attr.areas().filter(|area| area.within.is_none()).map(|area| area.field);
        let numbers = attr.bytes().iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at);
        match pointers.chain(numbers).filter(|at| *at >= known).max() {
            None => Ok(()),
            Some(at) if at >= union => Err(Errno::E2BIG),
            Some(_) => Err(Errno::EINVAL),
        }
    }

    fn check(&self, attr: &Attr<'_>) -> Result<(), Errno> {
        let cmd = attr.cmd();
        self.knows(table::COMMANDS, cmd.0)?;
        self.knows_fields(attr)?;
        let number = |at| number(attr.bytes(), at);
        match cmd {
            Cmd::MAP_CREATE => {
                self.knows(table::MAP_TYPES, number(offset_of!(MapCreate, map_type)))?;
                self.knows_flags(table::MAP_FLAGS, number(offset_of!(MapCreate, map_flags)))
            }
            Cmd::PROG_LOAD => {
                self.knows(table::PROG_TYPES, number(offset_of!(ProgLoad, prog_type)))?;
                self.knows_flags(table::PROG_FLAGS, number(offset_of!(ProgLoad, prog_flags)))
            }
            Cmd::LINK_CREATE => self.knows(table::ATTACH_TYPES, number(offset_of!(LinkCreate, attach_type))),
            Cmd::PROG_ATTACH | Cmd::PROG_DETACH => {
                self.knows(table::ATTACH_TYPES, number(offset_of!(ProgAttach, attach_type)))
            }
            Cmd::PROG_QUERY => self.knows(table::ATTACH_TYPES, number(offset_of!(ProgQuery, attach_type))),
            Cmd::BTF_LOAD => {
                let is_btf = |area: &&Area<'_>| area.field == offset_of!(BtfLoad, btf);
                match attr.areas().find(is_btf) {
                    Some(area) => btf::check(area.memory.bytes(), self.version),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn bpf(&self, mut attr: Attr<'_>) -> Result<Reply, Errno> {
        self.check(&attr)?;
        if attr.cmd() != Cmd::OBJ_GET_INFO_BY_FD {
            return self.inner.call(Call::Bpf(attr));
        }
        let Some(known) = self.info_size(&attr) else {
            return self.inner.call(Call::Bpf(attr));
        };
        if beyond_is_set(&attr, known) {
            return Err(Errno::E2BIG);
        }
        let reply = self.inner.call(Call::Bpf(attr.reborrow()))?;
        let (bytes, areas) = attr.parts_mut();
        let info = offset_of!(InfoByFd, info);
        for area in areas.filter(|area| area.within.is_none() && area.field == info) {
            if let Some(tail) = area.memory.bytes_mut().and_then(|info| info.get_mut(known..)) {
                tail.fill(0);
            }
        }
        let len = offset_of!(InfoByFd, info_len);
        bytes[len..len + 4].copy_from_slice(&(known as u32).to_ne_bytes());
        Ok(reply)
    }

    /// Gives the length of the info struct that the version has, where that is less than what is asked for. Which
    /// struct it is shows in its length.
    fn info_size(&self, attr: &Attr<'_>) -> Option<usize> {
        let asked = number(attr.bytes(), offset_of!(InfoByFd, info_len)) as usize;
        let sizes = match asked {
            _ if asked == size_of::<ProgInfo>() => table::PROG_INFO,
            _ if asked == size_of::<MapInfo>() => table::MAP_INFO,
            _ => return None,
        };
        let known = sizes.iter().rfind(|row| row.since <= self.version)?;
        Some(known.value as usize).filter(|known| *known < asked)
    }

    fn hides(&self, path: &str) -> bool {
        let hidden = |row: &&table::HiddenPath| row.since > self.version && path.starts_with(row.path);
        table::PATHS.iter().find(hidden).is_some()
    }
}

/// Tells whether an info struct asks for something beyond what is known.
fn beyond_is_set(attr: &Attr<'_>, known: usize) -> bool {
    let info = offset_of!(InfoByFd, info);
    attr.areas().any(|area| match area.within {
        None => area.field == info && area.memory.bytes().iter().skip(known).any(|byte| *byte != 0),
        Some(outer) => outer == info && area.field >= known,
    })
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_ne_bytes)
}

impl Sys for Older {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::Bpf(attr) => self.bpf(attr),
            Call::File(FileCall::Open(path, _) | FileCall::Stat(path)) if self.hides(path) => {
                Err(Errno::ENOENT)
            }
            other => self.inner.call(other),
        }
    }
}

impl fmt::Debug for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Older(Linux {})", self.version)
    }
}

/// Tells since when Linux has a map type; `None` where the tables do not know it.
pub fn map_type_since(map_type: MapType) -> Option<KernelVersion> {
    since(table::MAP_TYPES, map_type.0)
}

/// Tells since when Linux has a program type; `None` where the tables do not know it.
pub fn prog_type_since(prog_type: ProgType) -> Option<KernelVersion> {
    since(table::PROG_TYPES, prog_type.0)
}

/// Tells since when Linux has an attach type; `None` where the tables do not know it.
pub fn attach_type_since(attach_type: AttachType) -> Option<KernelVersion> {
    since(table::ATTACH_TYPES, attach_type.0)
}

/// Tells since when Linux has a command; `None` where the tables do not know it.
pub fn command_since(cmd: Cmd) -> Option<KernelVersion> {
    since(table::COMMANDS, cmd.0)
}

/// Gives the size of a version's `union bpf_attr` in bytes; `E2BIG` answers anything set beyond.
pub fn attr_size(version: KernelVersion) -> usize {
    table::attr_size(version)
}

fn since(known: &[Known], value: u32) -> Option<KernelVersion> {
    known.iter().find(|row| row.value == value).map(|row| row.since)
}
