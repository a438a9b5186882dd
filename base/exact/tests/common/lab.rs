//! A small world: six maps, a packet, the context of XDP, and a handful of helpers that do what Linux's do.

use super::common::slots;
use skep_exact::{
    CallEnd, CtxValue, Entry, Fault, Fuel, HelperLink, LoadError, MapRef, MapShape, Outcome, Packet,
    PacketPoint, Platform, Program, Rights, Rules, Stack, World, run,
};
use skep_isa::{Insn, Size};
use skep_mem::{Arg, Block, Bytes, CallbackArg, Invoke, MapIndex, RecordToken, Ret};
use skep_model::platform::context::{Landing, Meaning};
use skep_model::platform::{self, FuncId, MapType, ProgType};
use std::cell::{Cell, RefCell};

pub(crate) const ARRAY: i32 = 0;
pub(crate) const RING: i32 = 1;
pub(crate) const PROGS: i32 = 2;
pub(crate) const RODATA: i32 = 3;
pub(crate) const SINK: i32 = 4;
pub(crate) const FILTER: i32 = 5;

const fn shape(kind: MapType, key_size: u32, value_size: u32, rights: Rights) -> MapShape {
    MapShape { kind, key_size, value_size, rights }
}

const MAPS: [MapShape; 6] = [
    shape(MapType::ARRAY, 4, 16, Rights::ReadWrite),
    shape(MapType::RINGBUF, 0, 0, Rights::ReadWrite),
    shape(MapType::PROG_ARRAY, 4, 4, Rights::ReadWrite),
    shape(MapType::ARRAY, 4, 16, Rights::ReadOnly),
    shape(MapType::ARRAY, 4, 16, Rights::WriteOnly),
    shape(MapType::BLOOM_FILTER, 0, 8, Rights::ReadWrite),
];

/// Where the packet begins in its memory.
const HEAD: usize = 32;

/// The memory of a world.
pub(crate) struct Memory {
    array: Block,
    rodata: Block,
    sink: Block,
    ring: Block,
    packet: Block,
}

impl Memory {
    pub(crate) fn new() -> Memory {
        let memory = |len| Block::zeroed(len).unwrap();
        let lab = Memory {
            array: memory(64),
            rodata: memory(16),
            sink: memory(16),
            ring: memory(4096),
            packet: memory(96),
        };
        lab.rodata.bytes().copy_in(0, b"hello\0world!!!!!").unwrap();
        for i in 0..96 {
            lab.packet.bytes().store_u8(i, i as u8).unwrap();
        }
        lab
    }
}

/// Links with the six maps and every helper of Linux 6.18.
pub(crate) struct Linux;

impl Platform for Linux {
    fn map(&self, map: MapRef) -> Option<MapIndex> {
        match map {
            MapRef::Fd(fd) if (fd as usize) < MAPS.len() => Some(MapIndex(fd as u32)),
            _ => None,
        }
    }

    fn maps(&self) -> &[MapShape] {
        &MAPS
    }

    fn helper(&self, id: u32) -> HelperLink {
        match platform::Platform::LINUX_6_18.helper(FuncId(id)) {
            Ok(helper) => HelperLink::Known(helper),
            Err(_) => HelperLink::Refused(None),
        }
    }
}

/// One run's world.
pub(crate) struct Lab<'m> {
    memory: &'m Memory,
    programs: &'m [Program],
    /// Where the packet begins.
    head: Cell<usize>,
    /// The end of the ring's last record.
    reserved: Cell<usize>,
    /// What helpers have seen.
    pub(crate) log: RefCell<Vec<String>>,
}

impl<'m> Lab<'m> {
    pub(crate) fn new(memory: &'m Memory, programs: &'m [Program]) -> Lab<'m> {
        let (head, reserved) = (Cell::new(HEAD), Cell::new(0));
        Lab { memory, programs, head, reserved, log: RefCell::new(Vec::new()) }
    }

    fn note(&self, line: String) {
        self.log.borrow_mut().push(line);
    }

    fn element(&self, index: u32) -> Option<Bytes<'m>> {
        self.memory.array.bytes().slice(index as usize * 16, 16).ok()
    }
}

impl<'m> World<'m> for Lab<'m> {
    fn ctx_load(&self, landing: Landing, _: Size) -> Option<CtxValue<'m>> {
        match landing.field.meaning {
            Meaning::PacketData => Some(CtxValue::Packet(PacketPoint::Data)),
            Meaning::PacketEnd => Some(CtxValue::Packet(PacketPoint::End)),
            Meaning::PacketMeta => Some(CtxValue::Packet(PacketPoint::Meta)),
            Meaning::IngressIfindex => Some(CtxValue::Field(0x8877_6655)),
            Meaning::Mark => Some(CtxValue::Field(0x8182_8384)),
            _ => None,
        }
    }

    fn ctx_store(&self, landing: Landing, size: Size, value: u64) -> Option<()> {
        self.note(format!("{} = {value:#x} ({size:?})", landing.field.name));
        (landing.field.meaning == Meaning::Mark).then_some(())
    }

    fn packet(&self) -> Option<Packet<'m>> {
        // Four bytes of metadata come before the data.
        let from = self.head.get() - 4;
        Some(Packet { bytes: self.memory.packet.bytes().slice(from, 96 - from).ok()?, data: 4 })
    }

    fn map_value(&self, map: MapIndex) -> Option<Bytes<'m>> {
        match map.0 as i32 {
            ARRAY => self.element(0),
            RODATA => Some(self.memory.rodata.bytes()),
            SINK => Some(self.memory.sink.bytes()),
            _ => None,
        }
    }

    fn tail_call(&self, map: MapIndex, index: u32) -> Option<&'m Program> {
        assert_eq!(map.0 as i32, PROGS);
        self.programs.get(index as usize)
    }

    fn switched(&self, program: &'m Program) {
        self.note(format!("runs {}", program.tag()));
    }

    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        match (FuncId(id), args) {
            (FuncId::MAP_LOOKUP_ELEM, &[Arg::Map(map), Arg::Bytes(key)]) => {
                assert_eq!(key.len(), 4);
                Ok(self
                    .element(key.load_u32(0).unwrap())
                    .map_or(Ret::Null, |value| Ret::MapValue(map, value)))
            }
            (FuncId::MAP_UPDATE_ELEM, &[Arg::Map(_), Arg::Bytes(key), Arg::Bytes(value), Arg::Int(_)]) => {
                match self.element(key.load_u32(0).unwrap()) {
                    Some(element) => element.copy_from(0, value).unwrap(),
                    None => return Ok(Ret::Int(-7i64 as u64)),
                }
                Ok(Ret::Int(0))
            }
            // Nothing was ever pushed.
            (FuncId::MAP_PEEK_ELEM, &[Arg::Map(_), Arg::Bytes(value)]) => {
                assert_eq!(value.len(), 8);
                Ok(Ret::Int(-2i64 as u64))
            }
            (FuncId::LOOP, &[Arg::Int(times), Arg::Func(func), Arg::Opaque, Arg::Int(_)]) => {
                for i in 0..times {
                    if invoke.invoke(func, &[CallbackArg::Int(i), CallbackArg::Pass(2)])? == 1 {
                        return Ok(Ret::Int(i + 1));
                    }
                }
                Ok(Ret::Int(times))
            }
            (FuncId::FOR_EACH_MAP_ELEM, &[Arg::Map(map), Arg::Func(func), Arg::Opaque, Arg::Int(_)]) => {
                for i in 0..4u32 {
                    let key = self.memory.ring.bytes().slice(4088, 4).unwrap();
                    key.store_u32(0, i).unwrap();
                    let value = CallbackArg::Value(map, self.element(i).unwrap());
                    let args = [CallbackArg::Map(map), CallbackArg::Key(key), value, CallbackArg::Pass(2)];
                    invoke.invoke(func, &args)?;
                }
                Ok(Ret::Int(4))
            }
            (FuncId::RINGBUF_RESERVE, &[Arg::Map(map), Arg::Int(size), Arg::Int(_)]) => {
                let at = self.reserved.get();
                let Ok(bytes) = self.memory.ring.bytes().slice(at, size as usize) else {
                    return Ok(Ret::Null);
                };
                self.reserved.set(at + size as usize);
                Ok(Ret::Record(map, RecordToken(at as u64), bytes))
            }
            (
                FuncId::RINGBUF_SUBMIT | FuncId::RINGBUF_DISCARD,
                [Arg::Record(_, token, bytes), Arg::Int(_)],
            ) => {
                self.note(format!("record {} = {:#x}", token.0, bytes.load_u64(0).unwrap()));
                Ok(Ret::Int(0))
            }
            (FuncId::XDP_ADJUST_HEAD, &[Arg::Ctx, Arg::Int(delta)]) => {
                self.head.set(self.head.get().wrapping_add_signed(delta as isize));
                Ok(Ret::Int(0))
            }
            (FuncId::GET_CURRENT_COMM, &[Arg::Bytes(comm), Arg::Int(size)]) => {
                assert_eq!(comm.len() as u64, size);
                comm.fill(b'x');
                Ok(Ret::Int(0))
            }
            (FuncId::CSUM_DIFF, &[from, Arg::Int(_), to, Arg::Int(_), Arg::Int(seed)]) => {
                let len = |arg| if let Arg::Bytes(bytes) = arg { bytes.len() } else { 0 };
                Ok(Ret::Int(seed + len(from) as u64 * 100 + len(to) as u64))
            }
            (FuncId::STRNCMP, &[Arg::Bytes(one), Arg::Int(_), Arg::Bytes(other)]) => {
                Ok(Ret::Int((one.len() * 100 + other.len()) as u64))
            }
            (FuncId::TRACE_PRINTK, &[Arg::Bytes(_), Arg::Int(_), a, b, c]) => {
                self.note(format!("{a:?} {b:?} {c:?}"));
                Ok(Ret::Int(0))
            }
            (FuncId::STRTOL, &[Arg::Bytes(_), Arg::Int(_), Arg::Int(_), Arg::Bytes(out)]) => {
                out.store_u64(0, 42).unwrap();
                Ok(Ret::Int(2))
            }
            // What these answer is wrong, so that the machine's checks can be seen.
            (FuncId::KTIME_GET_NS, &[]) => Ok(Ret::Null),
            (FuncId::GET_SMP_PROCESSOR_ID, &[]) => {
                invoke.charge(500).map(|()| Ret::Int(3)).map_err(CallEnd::from)
            }
            (FuncId::GET_PRANDOM_U32, &[]) => Err(CallEnd::Unwind(77)),
            (FuncId::JIFFIES64, &[]) => Err(CallEnd::Unknown),
            (id, args) => panic!("{id:?} {args:?}"),
        }
    }
}

/// Loads a program of a type.
pub(crate) fn load_as(kind: ProgType, insns: &[Insn], tag: u32) -> Result<Program, LoadError> {
    let prog = platform::Platform::LINUX_6_18.prog(kind);
    Program::new(&slots(insns), &Linux, Rules { tag, prog, ..Rules::default() })
}

/// Runs an XDP program, and gives what it did and what its helpers saw.
pub(crate) fn run_xdp(insns: &[Insn]) -> (Outcome, Vec<String>) {
    run_with(ProgType::XDP, insns, &[])
}

/// Runs a program of a type, with programs to tail-call.
pub(crate) fn run_with(kind: ProgType, insns: &[Insn], programs: &[Program]) -> (Outcome, Vec<String>) {
    let program = load_as(kind, insns, 0).unwrap();
    let (memory, stack) = (Memory::new(), Stack::new().unwrap());
    let lab = Lab::new(&memory, programs);
    let outcome = run(&program, &lab, &stack, Entry::Context, &Fuel::new(1_000_000));
    let log = lab.log.take();
    (outcome, log)
}

/// Runs an XDP program, and checks that it returns `want`.
#[track_caller]
pub(crate) fn xdp_returns(insns: &[Insn], want: u64) {
    match run_xdp(insns).0.result {
        Ok(found) => assert_eq!(found, want, "{insns:?}"),
        Err(fault) => panic!("{fault}: {insns:?}"),
    }
}

/// Runs an XDP program, and checks that it stops on the instruction `at` with this kind and message.
#[track_caller]
pub(crate) fn xdp_stops(insns: &[Insn], at: u32, code: &str, message: &str) -> Fault {
    let fault = run_xdp(insns).0.result.expect_err("a fault");
    assert_eq!((fault.kind.code(), fault.at.0), (code, at), "{fault}");
    assert_eq!(fault.kind.to_string(), message);
    fault
}

pub(crate) fn map(dst: skep_isa::Reg, fd: i32) -> Insn {
    Insn::LoadAddr { dst, addr: skep_isa::Addr::MapFd { fd } }
}

pub(crate) fn map_value(dst: skep_isa::Reg, fd: i32, off: u32) -> Insn {
    Insn::LoadAddr { dst, addr: skep_isa::Addr::MapValueFd { fd, off } }
}

pub(crate) fn func(dst: skep_isa::Reg, off: i32) -> Insn {
    Insn::LoadAddr { dst, addr: skep_isa::Addr::Code { off } }
}

pub(crate) fn call(id: FuncId) -> Insn {
    Insn::CallHelper { id: id.0 }
}
