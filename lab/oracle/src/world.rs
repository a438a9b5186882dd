//! Surroundings of a run that do whatever tables and prototypes allow, by a seed.

use crate::{Case, Random};
use skep_abi::{FuncId, MapType};
use skep_exact::{
    CallEnd, CtxRefusal, CtxValue, Entry, FaultKind, Fuel, HelperLink, LoadError, MapRef, MapShape, Packet,
    PacketPoint, Platform, Program, Rights, Rules, Stack, Step, UninitStack, Value, run_observed,
};
use skep_exact::{Fault, World as Around};
use skep_isa::{Addr, RawInsn, Size};
use skep_mem::{Arg, Block, Bytes, CallbackArg, Invoke, MapIndex, NoMemory, RecordToken, Ret};
use skep_model::platform::context::{Landing, Meaning};
use skep_model::platform::helper::{
    Arg as Wanted, Callback, Caller, Effects, Helper, MemAccess, Ret as Promised,
};
use skep_model::platform::{self, helper::Prototype};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Values of each map.
const VALUES: usize = 3;
/// The largest value that is played with.
const LARGEST_VALUE: usize = 1 << 20;
/// Bytes for the packet, for records, for keys that callbacks see, and behind a pointer in a context: of that buffer's end no
/// verifier knows, what it is attached to does (`bpf_probe_register`, kernel/trace/bpf_trace.c).
const PACKET: usize = 512;
const RECORDS: usize = 1 << 14;
const KEY: usize = 512;
const BUFFER: usize = 1 << 16;
/// Calls of a callback by one helper.
const CALLBACKS: u64 = 8;
/// Instructions of one run.
const FUEL: u64 = 300_000;

/// The memory of a run.
pub struct Stage {
    maps: Vec<Block>,
    packet: Block,
    records: Block,
    key: Block,
    buffer: Block,
}

impl Stage {
    /// Fills the memory that a case's runs want.
    ///
    /// # Errors
    /// Where there is not so much memory, or a map's values are too large to play with.
    pub fn new(case: &Case, random: &mut Random) -> Result<Stage, NoMemory> {
        let mut maps = Vec::new();
        for (map, _) in &case.maps {
            let size = map.info.value_size as usize;
            if size > LARGEST_VALUE {
                return Err(NoMemory);
            }
            let mut bytes = vec![0; stride(size) * VALUES];
            // Zero is what most maps hold, and what checks are for.
            if !random.once_in(4) {
                random.fill(&mut bytes);
            }
            if let Some(frozen) = &map.frozen {
                bytes[..size].copy_from_slice(frozen);
            }
            maps.push(Block::copy_of(&bytes)?);
        }
        let block = |len: usize, random: &mut Random| {
            let mut bytes = vec![0; len];
            random.fill(&mut bytes);
            Block::copy_of(&bytes)
        };
        Ok(Stage {
            maps,
            packet: Block::copy_of(&packet(random))?,
            records: block(RECORDS, random)?,
            key: block(KEY, random)?,
            buffer: block(BUFFER, random)?,
        })
    }
}

fn stride(size: usize) -> usize {
    size.next_multiple_of(8).max(8)
}

/// A frame that may be one of Ethernet, IP and TCP or UDP, or of anything.
fn packet(random: &mut Random) -> [u8; PACKET] {
    let mut bytes = [0; PACKET];
    random.fill(&mut bytes);
    if random.once_in(4) {
        return bytes;
    }
    if random.once_in(3) {
        bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
        bytes[14] = 0x60;
        bytes[20] = [6, 17, 58, 0, 43, 44][random.below(6) as usize];
    } else {
        bytes[12..14].copy_from_slice(&[8, 0]);
        bytes[14] = 0x40 | if random.once_in(3) { random.below(16) as u8 } else { 5 };
        bytes[20..22].fill(0);
        bytes[23] = [6, 17, 1, 4, 41][random.below(5) as usize];
    }
    if random.once_in(8) {
        bytes[12..14].copy_from_slice(&[0x81, 0]);
    }
    bytes
}

/// What surrounds one run.
pub struct World<'m> {
    case: &'m Case,
    stage: &'m Stage,
    random: RefCell<Random>,
    /// Metadata, data and end in the packet's memory.
    window: Cell<(usize, usize, usize)>,
    /// Where the next record begins.
    reserved: Cell<usize>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It returned.
    Returned(u64),
    /// The program did what no verified program may do.
    Stopped(Fault),
    /// It needs what is not here, or did not end in time.
    Undecided(Fault),
}

/// How the machine finds what a case's instructions name.
struct Linker<'c> {
    case: &'c Case,
    shapes: Vec<MapShape>,
}

impl Platform for Linker<'_> {
    fn map(&self, map: MapRef) -> Option<MapIndex> {
        let addr = match map {
            MapRef::Fd(fd) => Addr::MapFd { fd },
            MapRef::Index(index) => Addr::MapIndex { index },
        };
        self.case.map_at(addr).map(|index| MapIndex(index as u32))
    }

    fn maps(&self) -> &[MapShape] {
        &self.shapes
    }

    fn helper(&self, id: u32) -> HelperLink {
        match called(self.case, id) {
            Some((helper, prototype)) => HelperLink::Known(as_called(helper, prototype)),
            None => HelperLink::Refused(None),
        }
    }
}

impl<'m> World<'m> {
    /// Links slots with what a case has.
    ///
    /// # Errors
    /// Names the first instruction that the machine does not run.
    pub fn link(case: &Case, slots: &[RawInsn]) -> Result<Program, LoadError> {
        let shapes = case.maps.iter().map(|(map, _)| MapShape {
            kind: MapType(map.info.type_),
            key_size: map.info.key_size,
            value_size: map.info.value_size,
            rights: match map.info.map_flags {
                flags if flags & skep_abi::flags::BPF_F_RDONLY_PROG != 0 => Rights::ReadOnly,
                flags if flags & skep_abi::flags::BPF_F_WRONLY_PROG != 0 => Rights::WriteOnly,
                _ => Rights::ReadWrite,
            },
        });
        let linker = Linker { case, shapes: shapes.collect() };
        let rules = Rules {
            prog: platform::Platform::LINUX_6_18.prog(case.kind),
            attach: case.attach,
            // As Linux lets programs of root.
            uninit_stack: UninitStack::Zero,
            ..Rules::default()
        };
        Program::new(slots, &linker, rules)
    }

    /// Runs a program once.
    pub fn run(case: &'m Case, program: &'m Program, stage: &'m Stage, stack: &Stack, seed: u64) -> Ran {
        World::watch(case, program, stage, stack, (seed, FUEL), |_, _| {})
    }

    /// Runs a program once, for so many instructions at most, while somebody looks on, who is told at which byte of its memory the
    /// packet's data begin.
    pub fn watch(
        case: &'m Case,
        program: &'m Program,
        stage: &'m Stage,
        stack: &Stack,
        (seed, fuel): (u64, u64),
        mut see: impl FnMut(&Step<'_>, usize),
    ) -> Ran {
        let mut random = Random::new(seed);
        let window = window(&mut random);
        let world = World {
            case,
            stage,
            random: RefCell::new(random),
            window: Cell::new(window),
            reserved: Cell::new(0),
        };
        let mut watch = |step: &Step<'_>| {
            let (meta, data, _) = world.window.get();
            see(step, data - meta);
        };
        let fuel = Fuel::new(fuel);
        match run_observed(program, &world, stack, Entry::Context, &fuel, &mut watch).result {
            Ok(value) => Ran::Returned(value),
            Err(fault) if is_wrong(&fault.kind) => Ran::Stopped(fault),
            Err(fault) => Ran::Undecided(fault),
        }
    }

    fn value(&self, map: MapIndex, which: usize) -> Option<Bytes<'m>> {
        let (of, _) = self.case.maps.get(map.0 as usize)?;
        let size = of.info.value_size as usize;
        self.stage.maps.get(map.0 as usize)?.bytes().slice(which * stride(size), size).ok()
    }

    fn entries(&self, map: MapIndex) -> u64 {
        self.case.maps.get(map.0 as usize).map_or(0, |(map, _)| u64::from(map.info.max_entries))
    }

    /// The index that a look-up in an array asks for.
    fn index(&self, map: MapIndex, args: &[Arg<'m>]) -> Option<u64> {
        let (of, _) = self.case.maps.get(map.0 as usize)?;
        let is_array = [MapType::ARRAY, MapType::PERCPU_ARRAY].contains(&MapType(of.info.type_));
        let key = args.iter().find_map(|arg| if let Arg::Bytes(key) = arg { Some(*key) } else { None });
        key.filter(|_| is_array)?.load_u32(0).ok().map(u64::from)
    }

    fn number(&self) -> u64 {
        self.random.borrow_mut().number()
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    fn fill(&self, bytes: Bytes<'m>) {
        let mut text = vec![0; bytes.len()];
        if self.below(4) != 0 {
            self.random.borrow_mut().fill(&mut text);
        }
        // It is as long as what is copied from.
        let _ = bytes.copy_in(0, &text);
    }

    /// Writes what a prototype says that the helper writes.
    fn write(&self, prototype: &Prototype, args: &[Arg<'m>]) {
        let map = args.iter().find_map(|arg| match arg {
            Arg::Map(map) => self.case.maps.get(map.0 as usize),
            _ => None,
        });
        let kind = map.map(|map| MapType(map.0.info.type_));
        for (wanted, arg) in prototype.args.iter().zip(args) {
            let writes = match kind.map_or(*wanted, |kind| wanted.of_map(kind)) {
                Wanted::Mem(access, _) | Wanted::Fixed { access, .. } => access != MemAccess::Read,
                Wanted::MapValueOut => true,
                _ => false,
            };
            if let (true, Arg::Bytes(bytes)) = (writes, arg) {
                self.fill(*bytes);
            }
        }
    }

    /// Calls the program back as the helper does.
    fn call_back(
        &self,
        prototype: &Prototype,
        args: &[Arg<'m>],
        invoke: &mut dyn Invoke<'m>,
    ) -> Result<Option<u64>, CallEnd> {
        let is_callback = |wanted: &&Wanted| matches!(wanted, Wanted::Func(_));
        let (Some(Wanted::Func(how)), Some(func)) = (
            prototype.args.iter().find(is_callback),
            args.iter().find_map(|arg| if let Arg::Func(func) = arg { Some(*func) } else { None }),
        ) else {
            return Ok(None);
        };
        match (how, args) {
            (Callback::Loop, [Arg::Int(times), ..]) => {
                let times = (*times).min(self.below(CALLBACKS + 1));
                for index in 0..times {
                    if invoke.invoke(func, &[CallbackArg::Int(index), CallbackArg::Pass(2)])? != 0 {
                        return Ok(Some(index + 1));
                    }
                }
                Ok(Some(times))
            }
            (Callback::MapElem, [Arg::Map(map), ..]) => {
                // No more than there are: what is in the one value of a map that cannot change is known.
                let times = self.below(self.entries(*map).min(VALUES as u64) + 1);
                for index in 0..times {
                    let size = self.case.maps.get(map.0 as usize).map_or(0, |(map, _)| map.info.key_size);
                    let key = self.stage.key.bytes().slice(0, size as usize);
                    let (Ok(key), Some(value)) = (key, self.value(*map, index as usize)) else {
                        return Err(CallEnd::Unknown);
                    };
                    let args = [
                        CallbackArg::Map(*map),
                        CallbackArg::Key(key),
                        CallbackArg::Value(*map, value),
                        CallbackArg::Pass(2),
                    ];
                    if invoke.invoke(func, &args)? != 0 {
                        return Ok(Some(index + 1));
                    }
                }
                Ok(Some(times))
            }
            // It is called later, or by what is not here.
            (Callback::Timer, _) => Ok(Some(0)),
            _ => Err(CallEnd::Unknown),
        }
    }

    /// What a helper answers: anything that its prototype promises.
    fn answer(&self, prototype: &Prototype, args: &[Arg<'m>]) -> Result<Ret<'m>, CallEnd> {
        let map = args.iter().find_map(|arg| if let Arg::Map(map) = arg { Some(*map) } else { None });
        let size = |position: u8| match args.get(usize::from(position).wrapping_sub(1)) {
            Some(Arg::Int(size)) => *size,
            _ => 0,
        };
        Ok(match prototype.ret {
            Promised::Int => Ret::Int(self.number()),
            Promised::Void => Ret::Int(0),
            Promised::UpToSize(position) => match self.below(3) {
                0 => Ret::Int((-(self.below(4095) as i64) - 1) as u64),
                _ => Ret::Int(self.below(size(position).saturating_add(1))),
            },
            Promised::Cpu => Ret::Int(self.below(u64::from(self.case.cpus))),
            Promised::MapValueOrNull => {
                let map = map.ok_or(CallEnd::Unknown)?;
                let holds_values = self.case.maps.get(map.0 as usize).is_some_and(|(map, inner)| {
                    inner.is_none()
                        && map.info.value_size != 0
                        && !OF_OBJECTS.contains(&MapType(map.info.type_))
                });
                let (which, is_there) = match self.index(map, args) {
                    // An array has what is below its end, always, and nothing else.
                    Some(index) => (index, self.entries(map) > index),
                    None => (self.below(VALUES as u64), self.below(4) != 0),
                };
                match self.value(map, (which % VALUES as u64) as usize) {
                    Some(value) if holds_values && is_there => Ret::MapValue(map, value),
                    _ => Ret::Null,
                }
            }
            Promised::RecordOrNull => {
                let map = map.ok_or(CallEnd::Unknown)?;
                let wanted =
                    args.iter().find_map(|arg| if let Arg::Int(size) = arg { Some(*size) } else { None });
                let wanted = usize::try_from(wanted.unwrap_or(0)).map_err(|_| CallEnd::Unknown)?;
                let at = self.reserved.get();
                match self.stage.records.bytes().slice(at, wanted) {
                    Ok(bytes) if self.below(4) != 0 => {
                        self.reserved.set(at + wanted.next_multiple_of(8));
                        Ret::Record(map, RecordToken(at as u64), bytes)
                    }
                    _ => Ret::Null,
                }
            }
            // There are none of these here, which may always be.
            Promised::SocketOrNull(_)
            | Promised::BtfOrNull(_)
            | Promised::DynptrMemOrNull
            | Promised::PercpuOrNull
            | Promised::KptrOrNull => Ret::Null,
            _ => return Err(CallEnd::Unknown),
        })
    }
}

/// A helper, and how a case's program calls it.
fn called(case: &Case, id: u32) -> Option<(&'static Helper, &'static Prototype)> {
    let caller = Caller { attach: Some(case.attach), ..Caller::of(case.kind, case.licence) };
    platform::Platform::LINUX_6_18.call_by(FuncId(id), &caller).ok()
}

/// A helper with the prototype that some programs call it by; there are few, and they are kept.
fn as_called(helper: &'static Helper, prototype: &'static Prototype) -> &'static Helper {
    static KEPT: Mutex<BTreeMap<(u32, usize), &'static Helper>> = Mutex::new(BTreeMap::new());
    if helper.prototype.as_ref() == Some(prototype) {
        return helper;
    }
    let variant = helper.variants.iter().position(|variant| variant.prototype == *prototype);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.entry((helper.id.0, variant.unwrap_or(usize::MAX)))
        .or_insert_with(|| Box::leak(Box::new(Helper { prototype: Some(*prototype), ..*helper })))
}

/// Maps whose values are objects of the kernel.
const OF_OBJECTS: &[MapType] = &[
    MapType::ARRAY_OF_MAPS,
    MapType::HASH_OF_MAPS,
    MapType::PROG_ARRAY,
    MapType::PERF_EVENT_ARRAY,
    MapType::CGROUP_ARRAY,
    MapType::SOCKMAP,
    MapType::SOCKHASH,
    MapType::XSKMAP,
    MapType::REUSEPORT_SOCKARRAY,
    MapType::STACK_TRACE,
    MapType::DEVMAP,
    MapType::DEVMAP_HASH,
    MapType::CPUMAP,
];

/// Places metadata, data and end: packets are often as short as they may be.
fn window(random: &mut Random) -> (usize, usize, usize) {
    let meta = if random.once_in(2) { 0 } else { random.below(9) as usize * 4 };
    let len = match random.below(4) {
        0 => 14 + random.below(4),
        1 => 14 + random.below(60),
        2 => random.below(30),
        _ => 14 + random.below(400),
    };
    // The frame begins where the data does, so that headers are where programs look for them.
    (0, meta, (meta + len as usize).min(PACKET))
}

impl<'m> Around<'m> for World<'m> {
    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let (helper, prototype) = called(self.case, id).ok_or(CallEnd::Unknown)?;
        self.write(prototype, args);
        if let Some(count) = self.call_back(prototype, args, invoke)? {
            return Ok(Ret::Int(count));
        }
        let answer = self.answer(prototype, args)?;
        if helper.effects.has(Effects::CHANGES_PACKET) {
            self.window.set(window(&mut self.random.borrow_mut()));
        }
        Ok(answer)
    }

    fn ctx_load(&self, landing: Landing, size: Size) -> Option<CtxValue<'m>> {
        let bits = |bytes: u32| if bytes >= 8 { u64::MAX } else { (1 << (bytes * 8)) - 1 };
        match landing.field.meaning {
            Meaning::PacketData => Some(CtxValue::Packet(PacketPoint::Data)),
            Meaning::PacketEnd => Some(CtxValue::Packet(PacketPoint::End)),
            Meaning::PacketMeta => Some(CtxValue::Packet(PacketPoint::Meta)),
            Meaning::TracepointBuffer => Some(CtxValue::Memory(self.stage.buffer.bytes(), Rights::ReadWrite)),
            // There may be no socket.
            Meaning::Sk | Meaning::FullSkOrNull => Some(CtxValue::Field(0)),
            meaning if meaning.is_pointer() => None,
            _ if landing.field.size <= 8 => {
                Some(CtxValue::Field(self.number() & bits(u32::from(landing.field.size))))
            }
            _ => Some(CtxValue::Part(self.number() & bits(size.bytes()))),
        }
    }

    fn ctx_store(&self, landing: Landing, _: Size, _: u64) -> Option<()> {
        (!landing.field.meaning.is_pointer()).then_some(())
    }

    fn packet(&self) -> Option<Packet<'m>> {
        let (meta, data, end) = self.window.get();
        let bytes = self.stage.packet.bytes().slice(meta, end - meta).ok()?;
        Some(Packet { bytes, data: data - meta })
    }

    fn map_value(&self, map: MapIndex) -> Option<Bytes<'m>> {
        self.value(map, 0)
    }
}

/// Tells what a verified program never does from what the machine or the world cannot do.
fn is_wrong(kind: &FaultKind) -> bool {
    match kind {
        // What is behind a map's own address may be read, by the kernel's types, which are not here.
        FaultKind::NotMemory { found: Value::Map(_), .. } => false,
        FaultKind::OutOfBounds { .. }
        | FaultKind::UninitRegister { .. }
        | FaultKind::UninitStack { .. }
        | FaultKind::NullPointer { .. }
        | FaultKind::NotAPointer { .. }
        | FaultKind::NotMemory { .. }
        | FaultKind::UseAfterFree { .. }
        | FaultKind::NoRight { .. }
        | FaultKind::Misaligned { .. }
        | FaultKind::PointerArithmetic { .. }
        | FaultKind::CallDepth
        | FaultKind::BadArgument { .. }
        | FaultKind::BadCallTarget { .. }
        | FaultKind::LeakedReference { .. }
        | FaultKind::BadReturn { .. } => true,
        FaultKind::Context { why, .. } => matches!(why, CtxRefusal::Table(_) | CtxRefusal::NotMemory),
        // Fuel, memory, helpers and fields that are not here; and parts of pointers, which a global function may read of the
        // stack that it is lent, to Linux, too, for that is plain memory to it.
        _ => false,
    }
}
