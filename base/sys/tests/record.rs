//! Recordings of a kernel made for the test, which has one descriptor, one file and one page of memory.

use core::sync::atomic::{AtomicU64, Ordering};
use skep_abi::{Errno, MapCreate, MapType};
use skep_mem::{Block, Bytes};
use skep_sys::record::{Difference, RecordingError};
use skep_sys::{
    AreaMemory, Attr, Call, CallError, DirEntry, Fd, FileCall, FileKind, FileStat, Kernel, OpenMode,
    Protection, RawMapping, Record, Recording, Replay, Reply, Sys,
};
use std::sync::Arc;

const PAGE: usize = 256;

/// Each wait writes a number to the page, where the last word is the caller's.
struct Toy {
    page: Block,
    waits: AtomicU64,
    reads: AtomicU64,
    lists: AtomicU64,
}

impl Toy {
    fn new() -> Toy {
        let page = Block::zeroed(PAGE).unwrap();
        Toy { page, waits: AtomicU64::new(0), reads: AtomicU64::new(0), lists: AtomicU64::new(0) }
    }

    fn page(&self) -> Bytes<'_> {
        self.page.bytes()
    }

    fn bpf(mut attr: Attr<'_>) -> Result<Reply, Errno> {
        if attr.makes_fd() {
            return Ok(Reply::Fd(Fd::Os(7)));
        }
        let (_, areas) = attr.parts_mut();
        let mut key = Vec::new();
        for area in areas {
            match &mut area.memory {
                AreaMemory::In(bytes) => key = bytes.to_vec(),
                AreaMemory::Out(bytes) | AreaMemory::InOut(bytes) => {
                    bytes[0] = key[0] + 1;
                }
            }
        }
        if key == [9; 4] { Err(Errno::ENOENT) } else { Ok(Reply::Count(0)) }
    }
}

impl Sys for Toy {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::Bpf(attr) => Toy::bpf(attr),
            Call::Map(map) => {
                let base = self.page().as_ptr();
                // SAFETY: the page is aligned to 64, lives as long as the kernel, and is reached through `Bytes` only.
                Ok(Reply::Mapping(unsafe { RawMapping::new(base, map.len.min(PAGE), 1) }))
            }
            Call::Wait(fds, _) => {
                let wait = self.waits.fetch_add(1, Ordering::Relaxed);
                let theirs = self.page().load_u64(PAGE - 8).unwrap();
                self.page().store_u64(wait as usize % 8 * 8, 100 + wait + theirs).unwrap();
                fds[0].ready = wait % 2 == 0;
                Ok(Reply::Count(1 - wait % 2))
            }
            Call::File(FileCall::Open(..)) => Ok(Reply::Fd(Fd::Os(8))),
            Call::File(FileCall::Read(_, into)) => {
                let text = [b"kernel ".as_slice(), b"words", b""]
                    [self.reads.fetch_add(1, Ordering::Relaxed) as usize % 3];
                into[..text.len()].copy_from_slice(text);
                Ok(Reply::Count(text.len() as u64))
            }
            Call::File(FileCall::List(_, entries)) => {
                if self.lists.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
                    return Ok(Reply::Count(0));
                }
                entries.push(DirEntry { name: "one".into(), kind: FileKind::Directory });
                Ok(Reply::Count(3))
            }
            Call::File(FileCall::Stat(_)) => {
                Ok(Reply::Stat(FileStat { kind: FileKind::Directory, len: 1, device: 2, inode: 3 }))
            }
            Call::Unmap(_) | Call::Close(_) => Ok(Reply::None),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }
}

/// What a caller sees; `key` is the one that it looks up.
fn caller(kernel: &Kernel, key: u8) -> Result<Vec<u64>, CallError> {
    let mut seen = Vec::new();
    let create = MapCreate {
        map_type: MapType::HASH.0,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        ..Default::default()
    };
    let map = kernel.map_create(&create)?;
    assert_eq!(map.handle().as_os_fd().is_some(), map.fd() == Fd::Os(7));
    let memory = kernel.map(map.handle(), 0, PAGE, Protection::ReadWrite)?;
    for round in 0..5 {
        // What is written reaches the kernel; the others' words come back.
        memory.store_release_u64(PAGE - 8, round).unwrap();
        seen.push(u64::from(kernel.wait_readable(map.fd(), Some(1))?));
        seen.extend((0..8).map(|word| memory.load_acquire_u64(word * 8).unwrap()));
    }
    let mut value = [0xee; 8];
    map.lookup(&[key; 4], &mut value, 0)?;
    seen.push(u64::from_ne_bytes(value));
    assert_eq!(map.lookup(&[9; 4], &mut value, 0), Err(CallError::Errno(Errno::ENOENT)));
    assert_eq!(value[0], 10, "a failed call gives bytes back too");
    assert_eq!(kernel.file_read("/kernel")?, b"kernel words");
    let entries = kernel.dir_list("/dir")?;
    assert_eq!(entries, [DirEntry { name: "one".into(), kind: FileKind::Directory }]);
    assert_eq!(kernel.file_stat("/dir")?.inode, 3);
    assert_eq!(kernel.dir_make("/dir"), Err(CallError::Errno(Errno::EOPNOTSUPP)));
    Ok(seen)
}

fn record() -> (Vec<u64>, Recording) {
    let record = Arc::new(Record::new(&Kernel::from_sys(Toy::new())));
    let seen = caller(&Kernel::from_arc(Arc::clone(&record) as _), 4).unwrap();
    (seen, record.take().unwrap())
}

fn replay(recording: Recording) -> (Arc<Replay>, Kernel) {
    let replay = Arc::new(Replay::new(recording));
    let kernel = Kernel::from_arc(Arc::clone(&replay) as _);
    (replay, kernel)
}

#[test]
fn a_replay_shows_what_was_seen() {
    let (seen, recording) = record();
    assert!(seen.contains(&108), "the kernel saw what was written: {seen:?}");
    assert_eq!(seen, caller(&Kernel::from_sys(Toy::new()), 4).unwrap(), "recording changes nothing");
    let bytes = recording.to_bytes().unwrap();
    let again = Recording::from_bytes(&bytes).unwrap();
    assert_eq!(again, recording);
    let names: Vec<&str> = again.names().collect();
    assert_eq!(names[..3], ["BPF_MAP_CREATE", "mmap", "poll"]);
    let (replay, kernel) = replay(again);
    assert_eq!(caller(&kernel, 4).unwrap(), seen);
    assert_eq!((replay.left(), replay.mismatch()), (0, None));
    // Beyond the end.
    assert_eq!(kernel.call(Call::Close(Fd::Virtual(3))).err(), None);
    assert_eq!(replay.mismatch(), None);
    assert_eq!(kernel.file_open("/kernel", OpenMode::Read).unwrap_err().errno(), Errno::EPROTO);
    assert_eq!(replay.mismatch().unwrap().difference, Difference::Ended);
}

#[test]
fn another_call_is_told_by_its_place() {
    let (_, recording) = record();
    let (other_key, kernel) = replay(recording.clone());
    assert_eq!(caller(&kernel, 5), Err(CallError::Errno(Errno::EPROTO)));
    let mismatch = other_key.mismatch().unwrap();
    assert_eq!(
        mismatch.to_string(),
        "call 7 (BPF_MAP_LOOKUP_ELEM): the area of the pointer at 8 differs at byte 0: recorded 0x04, found 0x05"
    );

    let (other_call, kernel) = replay(recording.clone());
    assert_eq!(kernel.file_open("/kernel", OpenMode::Read).unwrap_err().errno(), Errno::EPROTO);
    assert_eq!(other_call.mismatch().unwrap().to_string(), "call 0 (open): BPF_MAP_CREATE was recorded");

    let (other_writes, kernel) = replay(recording);
    let create = MapCreate {
        map_type: MapType::HASH.0,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        ..Default::default()
    };
    let map = kernel.map_create(&create).unwrap();
    let memory = kernel.map(map.handle(), 0, PAGE, Protection::ReadWrite).unwrap();
    memory.store_release_u64(PAGE - 16, 1).unwrap();
    assert!(kernel.wait_readable(map.fd(), Some(1)).is_err());
    drop(memory);
    let mismatch = other_writes.mismatch().unwrap().to_string();
    assert!(mismatch.starts_with("call 2 (poll): "), "{mismatch}");
}

#[test]
fn no_bytes_make_a_recording_panic() {
    let (_, recording) = record();
    let bytes = recording.to_bytes().unwrap();
    let step = if cfg!(miri) { 1511 } else { 1 };
    for end in (0..bytes.len()).step_by(step) {
        assert!(Recording::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Recording::from_bytes(&longer), Err(RecordingError::Length { .. })));
    for at in (0..bytes.len()).step_by(step) {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            if let Ok(recording) = Recording::from_bytes(&bytes) {
                let (_, kernel) = replay(recording);
                let _ = liberal(&kernel);
            }
        }
    }
}

/// The caller's calls without its assertions.
fn liberal(kernel: &Kernel) -> Result<(), CallError> {
    let create = MapCreate {
        map_type: MapType::HASH.0,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        ..Default::default()
    };
    let map = kernel.map_create(&create)?;
    let memory = kernel.map(map.handle(), 0, PAGE, Protection::ReadWrite)?;
    for round in 0..5 {
        let _ = memory.store_release_u64(PAGE - 8, round);
        kernel.wait_readable(map.fd(), Some(1))?;
    }
    let mut value = [0xee; 8];
    map.lookup(&[4; 4], &mut value, 0)?;
    let _ = map.lookup(&[9; 4], &mut value, 0);
    kernel.file_read("/kernel")?;
    kernel.dir_list("/dir")?;
    kernel.file_stat("/dir")?;
    kernel.dir_make("/dir")
}
