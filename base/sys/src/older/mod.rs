//! A kernel that seems older than it is, so that a loader's fallbacks run without an old kernel.

mod btf;
mod insns;
mod release;
mod table;

use crate::spin::Spin;
use crate::{Attr, Call, FileCall, Kernel, Reply, Sys};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;
use skep_abi::{
    AttachType, BtfInfo, BtfLoad, Cmd, Errno, InfoByFd, LinkCreate, MapCreate, MapInfo, MapType, ProgAttach,
    ProgInfo, ProgLoad, ProgQuery, ProgType,
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

/// One thing that a kernel can be made to lack, whatever its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hidden {
    /// A command.
    Command(Cmd),
    /// A type of maps.
    MapType(MapType),
    /// A type of programs.
    ProgType(ProgType),
    /// An attach type, of links and of programs that are attached without one.
    AttachType(AttachType),
    /// Flags of `BPF_MAP_CREATE`.
    MapFlags(u32),
    /// Flags of `BPF_PROG_LOAD`.
    ProgFlags(u32),
    /// Names of maps and programs.
    Names,
    /// What a program is loaded to be attached to (`expected_attach_type`).
    ExpectedAttachType,
    /// A kind of BTF types, by its number.
    BtfKind(u32),
    /// Functions in BTF that say they are global.
    GlobalFunctions,
    /// Sections in BTF that are empty.
    EmptySections,
    /// Sections in BTF whose name begins with `?`.
    OptionalSections,
    /// A helper, by its number.
    Helper(u32),
    /// Instructions.
    Insns(Insns),
}

/// Kinds of instructions that came one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Insns {
    /// More than 4096 of them.
    Many,
    /// Jumps on less.
    JumpLess,
    /// Jumps on 32 bits.
    Jump32,
    /// Calls of functions of the program.
    FunctionCall,
    /// Loads of addresses of functions of the program.
    FunctionAddress,
    /// Loads of addresses inside the value of a map.
    MapValue,
    /// Loads of maps by an index.
    MapByIndex,
    /// Loads of addresses of the kernel's variables.
    KernelVariable,
    /// Calls of functions of the kernel.
    KernelCall,
    /// Atomic operations other than addition.
    Atomic,
    /// Those of the fourth version of the instruction set.
    Version4,
}

/// Answers as another kernel does, but refuses what the version that it plays does not have, as that version would:
/// commands, map, program and attach types, attribute fields, flags of maps and programs, kinds of BTF, instructions and
/// helpers, and a few files. Lengths of infos are that version's, and so is the release that it says it is.
///
/// What programs do is not looked at: kfuncs, loops, and what the verifier can prove stay as they are.
pub struct Older {
    inner: Arc<dyn Sys>,
    version: KernelVersion,
    hidden: Vec<Hidden>,
    release: Spin<release::Readers>,
}

/// Newer than all.
const NEWEST: KernelVersion = KernelVersion::new(u8::MAX, u8::MAX);

impl Older {
    /// Wraps a kernel so that it seems to be of a version.
    pub fn new(kernel: &Kernel, version: KernelVersion) -> Older {
        let inner = Arc::clone(kernel.sys());
        Older { inner, version, hidden: Vec::new(), release: Spin::default() }
    }

    /// Wraps a kernel so that it seems to lack some things, and is of its own version otherwise.
    pub fn without(kernel: &Kernel, hidden: &[Hidden]) -> Older {
        Older { hidden: hidden.to_vec(), ..Older::new(kernel, NEWEST) }
    }

    fn knows(&self, known: &[Known], value: u32, hidden: Hidden) -> Result<(), Errno> {
        let row = known.iter().find(|row| row.value == value);
        match row {
            Some(row) if row.since > self.version => Err(Errno::EINVAL),
            _ if self.hidden.contains(&hidden) => Err(Errno::EINVAL),
            // What the tables do not know is for the wrapped kernel to refuse.
            _ => Ok(()),
        }
    }

    fn knows_flags(&self, known: &[Known], flags: u32, hidden: impl Fn(&Hidden) -> u32) -> Result<(), Errno> {
        let newer = known.iter().filter(|row| row.since > self.version).fold(0, |bits, row| bits | row.value);
        let hidden = self.hidden.iter().fold(0, |bits, one| bits | hidden(one));
        if flags & (newer | hidden) == 0 { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// Checks that a field that is hidden by itself holds nothing.
    fn knows_field(&self, hidden: Hidden, attr: &Attr<'_>, at: usize, len: usize) -> Result<(), Errno> {
        let is_set = || attr.bytes().iter().skip(at).take(len).any(|byte| *byte != 0);
        if self.hidden.contains(&hidden) && is_set() { Err(Errno::EINVAL) } else { Ok(()) }
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
        self.knows(table::COMMANDS, cmd.0, Hidden::Command(cmd))?;
        self.knows_fields(attr)?;
        let number = |at| number(attr.bytes(), at);
        let attach =
            |at| self.knows(table::ATTACH_TYPES, number(at), Hidden::AttachType(AttachType(number(at))));
        match cmd {
            Cmd::MAP_CREATE => {
                let kind = number(offset_of!(MapCreate, map_type));
                self.knows(table::MAP_TYPES, kind, Hidden::MapType(MapType(kind)))?;
                self.knows_field(Hidden::Names, attr, offset_of!(MapCreate, map_name), 16)?;
                self.knows_flags(table::MAP_FLAGS, number(offset_of!(MapCreate, map_flags)), |hidden| {
                    if let Hidden::MapFlags(flags) = hidden { *flags } else { 0 }
                })
            }
            Cmd::PROG_LOAD => {
                let kind = number(offset_of!(ProgLoad, prog_type));
                self.knows(table::PROG_TYPES, kind, Hidden::ProgType(ProgType(kind)))?;
                self.knows_field(Hidden::Names, attr, offset_of!(ProgLoad, prog_name), 16)?;
                let expected = offset_of!(ProgLoad, expected_attach_type);
                self.knows_field(Hidden::ExpectedAttachType, attr, expected, 4)?;
                self.knows_flags(table::PROG_FLAGS, number(offset_of!(ProgLoad, prog_flags)), |hidden| {
                    if let Hidden::ProgFlags(flags) = hidden { *flags } else { 0 }
                })
            }
            Cmd::LINK_CREATE => attach(offset_of!(LinkCreate, attach_type)),
            Cmd::PROG_ATTACH | Cmd::PROG_DETACH => attach(offset_of!(ProgAttach, attach_type)),
            Cmd::PROG_QUERY => attach(offset_of!(ProgQuery, attach_type)),
            Cmd::BTF_LOAD => match memory(attr, offset_of!(BtfLoad, btf)) {
                Some(btf) => btf::check(self, btf),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Looks at a program's instructions; what is refused is said in the log, if there is one.
    fn check_insns(&self, attr: &mut Attr<'_>) -> Result<(), Errno> {
        if attr.cmd() != Cmd::PROG_LOAD {
            return Ok(());
        }
        let Some(insns) = memory(attr, offset_of!(ProgLoad, insns)) else { return Ok(()) };
        let Err(refusal) = insns::check(self, insns) else { return Ok(()) };
        let (_, mut areas) = attr.parts_mut();
        let log = areas.find(|area| area.within.is_none() && area.field == offset_of!(ProgLoad, log_buf));
        if let Some(log) = log.and_then(|area| area.memory.bytes_mut()) {
            let room = log.len().saturating_sub(1).min(refusal.log.len());
            log[..room].copy_from_slice(&refusal.log.as_bytes()[..room]);
            if let Some(end) = log.get_mut(room) {
                *end = 0;
            }
        }
        Err(refusal.errno)
    }

    fn bpf(&self, mut attr: Attr<'_>) -> Result<Reply, Errno> {
        self.check(&attr)?;
        self.check_insns(&mut attr)?;
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
            _ if asked == size_of::<BtfInfo>() => table::BTF_INFO,
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

/// The memory behind a pointer field.
fn memory<'a>(attr: &'a Attr<'_>, field: usize) -> Option<&'a [u8]> {
    attr.areas().find(|area| area.within.is_none() && area.field == field).map(|area| area.memory.bytes())
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
            Call::MapBtf if self.version < table::MAPPED_BTF => Err(Errno::ENODEV),
            Call::File(call) if self.version != NEWEST => self.file(call),
            Call::Close(fd) => {
                self.release.lock().end(fd);
                self.inner.call(Call::Close(fd))
            }
            other => self.inner.call(other),
        }
    }
}

impl Older {
    /// Lets nobody read the wrapped kernel's release.
    fn file(&self, call: FileCall<'_>) -> Result<Reply, Errno> {
        match call {
            FileCall::Open(release::PATH, mode) => {
                let fd = self.inner.call(Call::File(FileCall::Open(release::PATH, mode)))?.into_fd()?;
                let noted = self.release.lock().begin(fd);
                if let Err(errno) = noted {
                    let _ = self.inner.call(Call::Close(fd));
                    return Err(errno);
                }
                Ok(Reply::Fd(fd))
            }
            FileCall::Read(fd, into) => {
                let read = self.release.lock().read(fd, self.version, into);
                match read {
                    Some(count) => Ok(Reply::Count(count)),
                    None => self.inner.call(Call::File(FileCall::Read(fd, into))),
                }
            }
            FileCall::ReadAt(fd, at, into) => {
                let read = self.release.lock().read_at(fd, self.version, at, into);
                match read {
                    Some(count) => Ok(Reply::Count(count)),
                    None => self.inner.call(Call::File(FileCall::ReadAt(fd, at, into))),
                }
            }
            other => self.inner.call(Call::File(other)),
        }
    }
}

impl fmt::Debug for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            NEWEST => write!(f, "Older(without {:?})", self.hidden),
            version => write!(f, "Older(Linux {version})"),
        }
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

/// Tells since when Linux has a helper, by its number; `None` where the tables do not know it.
pub fn helper_since(id: u32) -> Option<KernelVersion> {
    insns::helper_since(id)
}

/// Gives the size of a version's `union bpf_attr` in bytes; `E2BIG` answers anything set beyond.
pub fn attr_size(version: KernelVersion) -> usize {
    table::attr_size(version)
}

fn since(known: &[Known], value: u32) -> Option<KernelVersion> {
    known.iter().find(|row| row.value == value).map(|row| row.since)
}
