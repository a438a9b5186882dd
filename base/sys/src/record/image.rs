//! A call as bytes: what the kernel is given, and what it gives back through the call's memory.

use crate::{
    AreaMemory, Attr, Call, DirEntry, Fd, FileCall, FileKind, Interest, Ioctl, Limit, OpenMode, Protection,
    SocketCall,
};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;
use skep_mem::NoMemory;
use zerocopy::IntoBytes;

/// What a field of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    Name = 1,
    Number = 2,
    Fd = 3,
    Text = 4,
    Attr = 5,
    Area = 6,
    Room = 7,
    Bytes = 8,
    Memory = 9,
    Entry = 10,
}

/// All labels, with what they are called in a mismatch.
const LABELS: &[(Label, &str)] = &[
    (Label::Name, "the call"),
    (Label::Number, "number"),
    (Label::Fd, "descriptor"),
    (Label::Text, "text"),
    (Label::Attr, "the attributes"),
    (Label::Area, "the area of the pointer at"),
    (Label::Room, "the room behind the pointer at"),
    (Label::Bytes, "the bytes"),
    (Label::Memory, "what was written into mapping"),
    (Label::Entry, "directory entry"),
];

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LABELS.iter().find(|(label, _)| label == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// One part of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'i> {
    pub(super) label: Label,
    /// Which of that kind: an offset, a position.
    pub(super) at: u64,
    pub(super) bytes: &'i [u8],
}

/// Fields in a row: label, place, length, bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
}

const HEADER: usize = 17;

impl Image {
    pub(super) fn field(&mut self, label: Label, at: u64, bytes: &[u8]) -> Result<(), NoMemory> {
        self.bytes.try_reserve(HEADER.saturating_add(bytes.len()))?;
        self.bytes.push(label as u8);
        self.bytes.extend_from_slice(&at.to_ne_bytes());
        self.bytes.extend_from_slice(&(bytes.len() as u64).to_ne_bytes());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn number(&mut self, at: u64, number: u64) -> Result<(), NoMemory> {
        self.field(Label::Number, at, &number.to_ne_bytes())
    }

    fn fd(&mut self, at: u64, fd: Fd) -> Result<(), NoMemory> {
        self.field(Label::Fd, at, &fd.number().to_ne_bytes())
    }

    fn text(&mut self, text: &str) -> Result<(), NoMemory> {
        self.field(Label::Text, 0, text.as_bytes())
    }
}

/// Reads the first field of an image and gives the rest; `None` where it is not made of fields.
pub(super) fn first(image: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (header, rest) = image.split_at_checked(HEADER)?;
    let (label, _) = LABELS.iter().find(|(label, _)| *label as u8 == header[0])?;
    let at = u64::from_ne_bytes(header[1..9].try_into().ok()?);
    let len = u64::from_ne_bytes(header[9..].try_into().ok()?);
    let (bytes, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((Field { label: *label, at, bytes }, rest))
}

/// Names an area by where its pointer lies: in the attributes, or (counted from 1 in the upper half) inside another.
fn place(within: Option<usize>, field: usize) -> u64 {
    let outer = within.map_or(0, |outer| outer as u64 + 1);
    outer << 32 | field as u64
}

/// Adds what the kernel is given.
pub(super) fn before(image: &mut Image, call: &Call<'_>) -> Result<(), NoMemory> {
    image.field(Label::Name, 0, call.name().as_bytes())?;
    match call {
        Call::Bpf(attr) => before_bpf(image, attr),
        Call::PerfEvent(open) => {
            image.field(Label::Attr, 0, open.attr.as_bytes())?;
            image.text(open.target.unwrap_or_default())?;
            image.number(0, open.pid as u64)?;
            image.number(1, open.cpu as u64)?;
            open.group.map_or(Ok(()), |group| image.fd(0, group))
        }
        Call::Ioctl(fd, ioctl) => {
            image.fd(0, *fd)?;
            match ioctl {
                Ioctl::PerfEnable | Ioctl::PerfDisable => Ok(()),
                Ioctl::PerfSetBpf(prog) => image.fd(1, *prog),
            }
        }
        Call::Map(map) => {
            image.fd(0, map.fd)?;
            image.number(0, map.offset)?;
            image.number(1, map.len as u64)?;
            image.number(2, u64::from(map.protection == Protection::ReadWrite))
        }
        Call::Arena(arena) => {
            image.fd(0, arena.fd)?;
            image.number(0, arena.len as u64)?;
            image.number(1, arena.at.map_or(0, NonZeroUsize::get) as u64)
        }
        Call::Unmap(raw) => image.number(0, raw.cookie() as u64),
        Call::Wait(fds, timeout_ms) => {
            image.number(0, timeout_ms.map_or(u64::MAX, u64::from))?;
            fds.iter().zip(0..).try_for_each(|(wait, at)| {
                image.fd(at, wait.fd)?;
                image.number(at + 1, u64::from(wait.interest == Interest::Writable))
            })
        }
        Call::Watch(fd, _) | Call::Dup(fd) | Call::Close(fd) => image.fd(0, *fd),
        Call::File(call) => before_file(image, call),
        Call::Socket(SocketCall::AttachBpf { socket, prog }) => {
            image.fd(0, *socket)?;
            image.fd(1, *prog)
        }
        Call::Socket(SocketCall::DetachBpf { socket }) => image.fd(0, *socket),
        Call::Limit(Limit::Memlock) | Call::Refresh | Call::MapBtf => Ok(()),
        Call::Limit(Limit::SetMemlock { soft, hard }) => {
            image.number(0, *soft)?;
            image.number(1, *hard)
        }
    }
}

fn before_bpf(image: &mut Image, attr: &Attr<'_>) -> Result<(), NoMemory> {
    image.number(0, u64::from(attr.cmd().0))?;
    image.field(Label::Attr, 0, attr.bytes())?;
    for area in attr.areas() {
        let at = place(area.within, area.field);
        match &area.memory {
            AreaMemory::In(bytes) => image.field(Label::Area, at, bytes)?,
            AreaMemory::InOut(bytes) => image.field(Label::Area, at, bytes)?,
            AreaMemory::Out(bytes) => image.field(Label::Room, at, &(bytes.len() as u64).to_ne_bytes())?,
        }
    }
    Ok(())
}

fn before_file(image: &mut Image, call: &FileCall<'_>) -> Result<(), NoMemory> {
    match call {
        FileCall::Open(path, mode) => {
            image.text(path)?;
            let mode = match mode {
                OpenMode::Read => 0,
                OpenMode::Write => 1,
                OpenMode::Append => 2,
                OpenMode::Directory => 3,
            };
            image.number(0, mode)
        }
        FileCall::Read(fd, into) => {
            image.fd(0, *fd)?;
            image.number(0, into.len() as u64)
        }
        FileCall::ReadAt(fd, at, into) => {
            image.fd(0, *fd)?;
            image.number(0, into.len() as u64)?;
            image.number(1, *at)
        }
        FileCall::Write(fd, from) => {
            image.fd(0, *fd)?;
            image.field(Label::Bytes, 0, from)
        }
        FileCall::List(fd, _) => image.fd(0, *fd),
        FileCall::Stat(path)
        | FileCall::FsMagic(path)
        | FileCall::MakeDir(path)
        | FileCall::Remove(path)
        | FileCall::RemoveDir(path) => image.text(path),
    }
}

/// What is known of a call's memory before it, which tells afterwards what has come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    listed: usize,
}

impl Room {
    pub(super) fn of(call: &Call<'_>) -> Room {
        let listed = match call {
            Call::File(FileCall::List(_, entries)) => entries.len(),
            _ => 0,
        };
        Room { listed }
    }
}

/// Adds what the kernel gave back through the call's memory. `count` is the number it answered with.
pub(super) fn after(
    image: &mut Image,
    call: &Call<'_>,
    room: Room,
    count: Option<u64>,
) -> Result<(), NoMemory> {
    match call {
        Call::Bpf(attr) => {
            image.field(Label::Attr, 0, attr.bytes())?;
            for area in attr.areas() {
                if let AreaMemory::Out(bytes) | AreaMemory::InOut(bytes) = &area.memory {
                    image.field(Label::Area, place(area.within, area.field), without_zeros(bytes))?;
                }
            }
            Ok(())
        }
        Call::Wait(fds, _) => fds
            .iter()
            .zip(0..)
            .try_for_each(|(wait, at)| image.field(Label::Bytes, at, &[u8::from(wait.ready)])),
        Call::File(FileCall::Read(_, into) | FileCall::ReadAt(_, _, into)) => {
            let filled = (count.unwrap_or(0) as usize).min(into.len());
            image.field(Label::Bytes, 0, &into[..filled])
        }
        Call::File(FileCall::List(_, entries)) => entries
            .iter()
            .skip(room.listed)
            .try_for_each(|entry| image.field(Label::Entry, kind_number(entry.kind), entry.name.as_bytes())),
        _ => Ok(()),
    }
}

/// Leaves out the zeros at the end, of which large logs are mostly made.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

const KINDS: &[FileKind] = &[FileKind::Regular, FileKind::Directory, FileKind::Symlink, FileKind::Other];

pub(super) fn kind_number(kind: FileKind) -> u64 {
    KINDS.iter().position(|other| *other == kind).unwrap_or(0) as u64
}

pub(super) fn kind_of(number: u64) -> Option<FileKind> {
    KINDS.get(usize::try_from(number).ok()?).copied()
}

/// Why memory could not be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestoreError {
    /// The recording does not fit the call.
    Misfit,
    NoMemory,
}

impl From<NoMemory> for RestoreError {
    fn from(_: NoMemory) -> RestoreError {
        RestoreError::NoMemory
    }
}

/// Gives back through the call's memory what [`after`] has taken from it.
pub(super) fn restore(call: &mut Call<'_>, mut image: &[u8], count: Option<u64>) -> Result<(), RestoreError> {
    let mut next = |label: Label, at: u64| match first(image) {
        Some((field, rest)) if field.label == label && field.at == at => {
            image = rest;
            Ok(field.bytes)
        }
        _ => Err(RestoreError::Misfit),
    };
    match call {
        Call::Bpf(attr) => {
            let (bytes, areas) = attr.parts_mut();
            fill(bytes, next(Label::Attr, 0)?)?;
            for area in areas {
                let at = place(area.within, area.field);
                if let Some(bytes) = area.memory.bytes_mut() {
                    fill(bytes, next(Label::Area, at)?)?;
                }
            }
        }
        Call::Wait(fds, _) => {
            for (wait, at) in fds.iter_mut().zip(0..) {
                wait.ready = next(Label::Bytes, at)? == [1];
            }
        }
        Call::File(FileCall::Read(_, into) | FileCall::ReadAt(_, _, into)) => {
            let bytes = next(Label::Bytes, 0)?;
            if bytes.len() as u64 != count.unwrap_or(0) {
                return Err(RestoreError::Misfit);
            }
            into.get_mut(..bytes.len()).ok_or(RestoreError::Misfit)?.copy_from_slice(bytes);
        }
        Call::File(FileCall::Write(_, from)) if count.unwrap_or(0) > from.len() as u64 => {
            return Err(RestoreError::Misfit);
        }
        Call::File(FileCall::List(_, entries)) => {
            while let Some((field, rest)) = first(image) {
                let kind = kind_of(field.at).filter(|_| field.label == Label::Entry);
                let kind = kind.ok_or(RestoreError::Misfit)?;
                let text = core::str::from_utf8(field.bytes).map_err(|_| RestoreError::Misfit)?;
                let mut name = String::new();
                name.try_reserve_exact(text.len()).map_err(|_| RestoreError::NoMemory)?;
                name.push_str(text);
                entries.try_reserve(1).map_err(|_| RestoreError::NoMemory)?;
                entries.push(DirEntry { name, kind });
                image = rest;
            }
        }
        _ => {}
    }
    if image.is_empty() { Ok(()) } else { Err(RestoreError::Misfit) }
}

fn fill(into: &mut [u8], from: &[u8]) -> Result<(), RestoreError> {
    let (filled, rest) = into.split_at_mut_checked(from.len()).ok_or(RestoreError::Misfit)?;
    filled.copy_from_slice(from);
    rest.fill(0);
    Ok(())
}
