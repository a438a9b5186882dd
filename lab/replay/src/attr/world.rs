//! A kernel, what is open in it, and the one way to call it: attributes and areas are damaged as the input says, then
//! watched.

use super::input::Input;
use skep_abi::{Cmd, Errno, InfoByFd, MapCreate, MapInfo, MapType, ProgLoad, ProgTestRun, ProgType};
use skep_embedded::{Config, Embedded, Engine, Interface, Mirror, Time, Tracepoint};
use skep_mem::testing::fail_nth;
use skep_mem::{Capability, Task};
use skep_model::platform::maps::MAPS;
use skep_sys::{
    Area, AreaMemory, Call, Fd, FileCall, FileKind, Kernel, ObjectKind, OpenMode, RawMapping, Reply, Sys,
};
use std::mem::offset_of;
use std::num::NonZeroU32;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The CPUs of the kernel.
pub(super) const CPUS: u32 = 2;
/// The most bytes of a map, and of a mapping.
pub(super) const MOST_BYTES: u64 = 1 << 17;
/// The instructions that one run may execute.
const FUEL: u64 = 5_000;
/// The bytes around an area, which nobody may touch.
const GUARD: usize = 16;
const GUARD_BYTE: u8 = 0xa5;
/// Where the embedded kernel believes the attributes to be, and how far apart areas are: a pointer to one of these
/// may be anywhere.
const BASE: u64 = 0x100_0000_1000;
const STEP: u64 = 1 << 40;

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Map,
    Prog,
    Btf,
    Link,
    Event,
    File,
}

/// An open descriptor; programs are remembered with their type, so that they can be attached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) fd: Fd,
    pub(super) what: What,
    pub(super) prog_type: ProgType,
}

/// Who reads and who writes an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
    InOut,
}

/// An area to lend.
#[derive(Debug)]
pub(super) struct Lend {
    within: Option<usize>,
    field: usize,
    way: Way,
    bytes: Vec<u8>,
}

pub(super) fn lend(field: usize, way: Way, bytes: Vec<u8>) -> Lend {
    Lend { within: None, field, way, bytes }
}

pub(super) fn lend_inside(outer: usize, field: usize, bytes: Vec<u8>) -> Lend {
    Lend { within: Some(outer), field, way: Way::Out, bytes }
}

pub(super) struct World {
    pub(super) embedded: Embedded,
    pub(super) interface: Option<Interface>,
    pub(super) tracepoint: Option<Tracepoint>,
    pub(super) open: Vec<Open>,
    pub(super) mappings: Vec<RawMapping>,
    /// Which allocation of the next command is refused, where the allocator can.
    pub(super) starved: Option<u8>,
    /// Whether what it loads is compiled.
    compiles: bool,
    has_all_rights: bool,
}

impl World {
    pub(super) fn new(choice: u8) -> Option<World> {
        const DENIED: [Option<Capability>; 8] = [
            None,
            None,
            None,
            None,
            Some(Capability::Bpf),
            Some(Capability::SysAdmin),
            Some(Capability::NetAdmin),
            Some(Capability::Perfmon),
        ];
        let task = Task { pid: 7, tgid: 7, uid: 0, gid: 0, comm: *b"fuzz\0\0\0\0\0\0\0\0\0\0\0\0" };
        let mut config = Config::new()
            .cpus(NonZeroU32::new(CPUS)?)
            .descriptors(64)
            .fuel(FUEL)
            .seed(1)
            .task(task)
            .time(Time::Fixed(1_000_000_000))
            .mirror(if choice & 8 == 0 { Mirror::Nowhere } else { Mirror::WherePossible });
        let compiles = choice & 16 == 0;
        if !compiles {
            config = config.engine(Engine::Exact);
        }
        let denied = DENIED[usize::from(choice % 8)];
        if let Some(capability) = denied {
            config = config.without(capability);
            if capability != Capability::SysAdmin {
                // It stands for all others.
                config = config.without(Capability::SysAdmin);
            }
        }
        let embedded = Embedded::new(config).ok()?;
        let mut world = World {
            embedded,
            interface: None,
            tracepoint: None,
            open: Vec::new(),
            mappings: Vec::new(),
            starved: None,
            compiles,
            has_all_rights: denied.is_none(),
        };
        world.add_places();
        Some(world)
    }

    /// Adds the interface and the tracepoint, where they are not.
    pub(super) fn add_places(&mut self) {
        if self.interface.is_none() {
            self.interface = self.embedded.add_interface("eth0").ok();
        }
        if self.tracepoint.is_none() {
            self.tracepoint = self.embedded.add_tracepoint("lab", "enter").ok();
        }
    }

    /// Chooses a descriptor: mostly one that is such a thing, else any that is open, else none.
    pub(super) fn fd(&mut self, input: &mut Input<'_>, what: What) -> i32 {
        self.choose(input, |open| open.what == what)
    }

    /// Chooses a program, mostly of a type; where there is none, one is loaded.
    pub(super) fn prog(&mut self, input: &mut Input<'_>, prog_type: ProgType) -> i32 {
        let fits = |open: &Open| open.what == What::Prog && open.prog_type == prog_type;
        if !self.open.iter().any(fits) {
            let load = ProgLoad { prog_type: prog_type.0, insn_cnt: 2, ..ProgLoad::default() };
            let insns = super::programs::returning(1).concat();
            let lends = vec![
                lend(offset_of!(ProgLoad, insns), Way::In, insns),
                lend(offset_of!(ProgLoad, license), Way::In, b"GPL\0".to_vec()),
            ];
            let _ = self.send(Cmd::PROG_LOAD, load.as_bytes().to_vec(), lends);
        }
        self.choose(input, fits)
    }

    fn choose(&mut self, input: &mut Input<'_>, fits: impl Fn(&Open) -> bool) -> i32 {
        const NONE: [i32; 8] = [0, 1, 3, -1, i32::MIN, i32::MAX, 66, 67];
        let choice = input.byte();
        let fitting: Vec<_> = self.open.iter().filter(|open| fits(open)).collect();
        let number = |open: Option<&Open>| match open.map(|open| open.fd) {
            Some(Fd::Virtual(number)) => number,
            _ => 3,
        };
        match choice {
            0..0xd0 if !fitting.is_empty() => {
                // The latest first.
                number(fitting.iter().rev().nth(usize::from(choice) % fitting.len()).copied())
            }
            0..0xf0 if !self.open.is_empty() => number(self.open.get(usize::from(choice) % self.open.len())),
            _ => NONE[usize::from(choice % 8)],
        }
    }

    /// Runs a command with its attributes, damaged as the input says.
    pub(super) fn command<T: IntoBytes + Immutable>(
        &mut self,
        input: &mut Input<'_>,
        cmd: Cmd,
        attr: &T,
        lends: Vec<Lend>,
    ) -> Result<Reply, Errno> {
        let (mut bytes, mut lends) = (attr.as_bytes().to_vec(), lends);
        for _ in 0..4 {
            match input.byte() {
                0..0xe0 => break,
                kind => damage(input, kind, &mut bytes, &mut lends),
            }
        }
        self.send(cmd, bytes, lends)
    }

    /// Runs a command and watches what it does to memory.
    pub(super) fn send(
        &mut self,
        cmd: Cmd,
        mut bytes: Vec<u8>,
        mut lends: Vec<Lend>,
    ) -> Result<Reply, Errno> {
        bound(cmd, &mut bytes);
        lends.retain(|lend| lend.within.is_some() || lend.field + 8 <= bytes.len());
        for lend in &mut lends {
            let guard = [GUARD_BYTE; GUARD];
            lend.bytes = [&guard[..], &lend.bytes, &guard].concat();
        }
        let before: Vec<_> = lends.iter().map(|lend| lend.bytes.clone()).collect();
        let ways: Vec<_> = lends.iter().map(|lend| lend.way).collect();
        let prog_type = ProgType(u32_at(&bytes, offset_of!(ProgLoad, prog_type)));
        let areas: Vec<_> = lends.iter_mut().map(Lend::area).collect();
        // The compiler's own checkers do not reckon with too little memory: then it is the next command's.
        let has_checkers = cfg!(any(debug_assertions, fuzzing)) && self.compiles && cmd == Cmd::PROG_LOAD;
        let starved = if has_checkers { None } else { self.starved.take() };
        let (reply, is_starved) = match starved {
            None => (self.embedded.bpf(cmd, &mut bytes, areas), false),
            Some(nth) => fail_nth(nth.into(), || self.embedded.bpf(cmd, &mut bytes, areas)),
        };
        // A program may go on without what a helper could not have.
        if is_starved && cmd != Cmd::PROG_TEST_RUN {
            assert!(matches!(reply, Ok(_) | Err(Errno::ENOMEM)), "{cmd}: {reply:?} for want of memory");
        }
        for ((lend, before), way) in lends.iter().zip(&before).zip(ways) {
            let end = before.len() - GUARD;
            let same = |from, to| lend.bytes[from..to] == before[from..to];
            assert!(same(0, GUARD) && same(end, before.len()), "{cmd}: written around an area");
            assert!(way != Way::In || same(GUARD, end), "{cmd}: written what is only read");
        }
        if let Ok(Reply::Fd(fd)) = reply {
            let (what, prog_type) = match cmd {
                Cmd::MAP_CREATE | Cmd::MAP_GET_FD_BY_ID => (What::Map, ProgType::UNSPEC),
                Cmd::PROG_LOAD => (What::Prog, prog_type),
                Cmd::BTF_LOAD | Cmd::BTF_GET_FD_BY_ID => (What::Btf, ProgType::UNSPEC),
                Cmd::LINK_CREATE | Cmd::RAW_TRACEPOINT_OPEN | Cmd::LINK_GET_FD_BY_ID => {
                    (What::Link, ProgType::UNSPEC)
                }
                _ => (What::Prog, ProgType::UNSPEC),
            };
            self.keep(Open { fd, what, prog_type });
        }
        checked(reply)
    }

    /// Makes any other call.
    pub(super) fn call(&mut self, call: Call<'_>) -> Result<Reply, Errno> {
        checked(self.embedded.call(call))
    }

    /// Remembers a new descriptor.
    pub(super) fn keep(&mut self, new: Open) {
        assert!(matches!(new.fd, Fd::Virtual(3..)), "{new:?}: a standard stream's");
        assert!(self.open.iter().all(|open| open.fd != new.fd), "{new:?} is open already");
        self.open.push(new);
    }

    /// Gives the sizes of a map's keys, and of its values as commands see them.
    pub(super) fn shape(&self, fd: i32) -> (usize, usize, MapType) {
        let mut info = MapInfo::default();
        let mut attr =
            InfoByFd { bpf_fd: fd as u32, info_len: size_of::<MapInfo>() as u32, ..InfoByFd::default() };
        let area = Area::new(offset_of!(InfoByFd, info), AreaMemory::InOut(info.as_mut_bytes()));
        let is_map = self.open.iter().any(|open| open.fd == Fd::Virtual(fd) && open.what == What::Map);
        if !is_map || self.embedded.bpf(Cmd::OBJ_GET_INFO_BY_FD, attr.as_mut_bytes(), [area]).is_err() {
            return (4, 8, MapType::UNSPEC);
        }
        let kind = MapType(info.type_);
        let value = match kind {
            MapType::PERCPU_ARRAY | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH => {
                (info.value_size as usize).next_multiple_of(8) * CPUS as usize
            }
            _ => info.value_size as usize,
        };
        (info.key_size as usize, value, kind)
    }

    /// Checks what holds after every call.
    pub(super) fn check(&self) {
        assert_eq!(self.embedded.open_descriptors(), self.open.len(), "descriptors are lost or left");
    }

    /// Takes everything back, and looks for what is left.
    pub(super) fn end(mut self) {
        self.interface = None;
        self.tracepoint = None;
        for mapping in std::mem::take(&mut self.mappings) {
            assert!(self.call(Call::Unmap(mapping)).is_ok(), "a mapping goes away");
        }
        for open in std::mem::take(&mut self.open) {
            assert!(self.call(Call::Close(open.fd)).is_ok(), "{open:?} can be closed");
        }
        self.remove_pins("/sys/fs/bpf");
        self.check();
        assert_eq!(self.embedded.page_bytes(), 0, "pages are left");
        if self.has_all_rights {
            let kernel = Kernel::from_sys(self.embedded.clone());
            // The kernel's own types have number 1, and stay.
            let kinds =
                [(ObjectKind::Map, 0), (ObjectKind::Prog, 0), (ObjectKind::Link, 0), (ObjectKind::Btf, 1)];
            for (kind, after) in kinds {
                assert_eq!(kernel.next_id(kind, after).ok(), Some(None), "{kind:?}: an object is left");
            }
        }
    }

    fn remove_pins(&mut self, dir: &str) {
        let mut entries = Vec::new();
        let Ok(Reply::Fd(fd)) = self.call(Call::File(FileCall::Open(dir, OpenMode::Directory))) else {
            panic!("{dir} cannot be opened");
        };
        assert!(self.call(Call::File(FileCall::List(fd, &mut entries))).is_ok());
        assert!(self.call(Call::Close(fd)).is_ok());
        for entry in entries {
            let path = format!("{dir}/{}", entry.name);
            let removed = match entry.kind {
                FileKind::Directory => {
                    self.remove_pins(&path);
                    self.call(Call::File(FileCall::RemoveDir(&path)))
                }
                _ => self.call(Call::File(FileCall::Remove(&path))),
            };
            assert!(removed.is_ok(), "{path} can be removed: {removed:?}");
        }
    }
}

impl Lend {
    fn area(&mut self) -> Area<'_> {
        let end = self.bytes.len() - GUARD;
        let bytes = &mut self.bytes[GUARD..end];
        let memory = match self.way {
            Way::In => AreaMemory::In(bytes),
            Way::Out => AreaMemory::Out(bytes),
            Way::InOut => AreaMemory::InOut(bytes),
        };
        Area { within: self.within, field: self.field, memory }
    }
}

/// A number of Linux's, or no error.
fn checked(reply: Result<Reply, Errno>) -> Result<Reply, Errno> {
    if let Err(errno) = reply {
        assert!(errno.name().is_some(), "{errno:?} is no error of Linux's");
    }
    reply
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| u32::read_from_bytes(bytes).ok()).unwrap_or(0)
}

/// Damages attributes or areas.
fn damage(input: &mut Input<'_>, kind: u8, bytes: &mut Vec<u8>, lends: &mut Vec<Lend>) {
    let at = usize::from(input.byte());
    let put = |bytes: &mut [u8], at: usize, value: &[u8]| {
        let room = (bytes.len() / value.len()).max(1);
        if let Some(place) = bytes.get_mut(at % room * value.len()..).and_then(|to| to.get_mut(..value.len()))
        {
            place.copy_from_slice(value);
        }
    };
    let lent = lends.len().max(1);
    match kind % 8 {
        0 => bytes.resize(at, 0),
        1 => bytes.resize(256, at as u8),
        2 => put(bytes, at, &input.number32().to_ne_bytes()),
        3 => put(bytes, at, &input.number().to_ne_bytes()),
        4 => put(bytes, at, &(BASE + STEP * (input.number() % 12) + input.number() % 64).to_ne_bytes()),
        5 if !lends.is_empty() => drop(lends.remove(at % lent)),
        6 if !lends.is_empty() => lends[at % lent].bytes.resize(usize::from(input.byte()), 0),
        _ if !lends.is_empty() => lends[at % lent].way = input.pick(&[Way::In, Way::Out, Way::InOut]),
        _ => {}
    }
}

/// Keeps what is asked for within what a run of the fuzzer can bear: the size of maps that would be made, the number
/// of runs.
fn bound(cmd: Cmd, bytes: &mut [u8]) {
    let set = |bytes: &mut [u8], at: usize, value: u32| {
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
    };
    if cmd == Cmd::PROG_TEST_RUN {
        let repeat = offset_of!(ProgTestRun, repeat);
        let times = u32_at(bytes, repeat).min(3);
        set(bytes, repeat, times);
    } else if cmd == Cmd::MAP_CREATE {
        let at = offset_of!(MapCreate, max_entries);
        let kind = MapType(u32_at(bytes, offset_of!(MapCreate, map_type)));
        let key = u32_at(bytes, offset_of!(MapCreate, key_size));
        let value = u32_at(bytes, offset_of!(MapCreate, value_size));
        let (entries, flags) = (u32_at(bytes, at), u32_at(bytes, offset_of!(MapCreate, map_flags)));
        let is_made =
            MAPS.iter().any(|row| row.kind == kind && row.check(key, value, entries, flags).is_ok());
        let each = match kind {
            MapType::RINGBUF => 1,
            _ => 64 + u64::from(key) + u64::from(value) * u64::from(CPUS),
        };
        if is_made && each * u64::from(entries) > MOST_BYTES {
            set(bytes, at, 1.max(MOST_BYTES / each) as u32);
            if each > MOST_BYTES {
                set(bytes, offset_of!(MapCreate, key_size), key.min(64));
                set(bytes, offset_of!(MapCreate, value_size), value.min(64));
            }
        }
    }
}
