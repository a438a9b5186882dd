//! Runs: the first byte chooses the program's type and the rules, the second what helpers answer, the rest is a
//! program.
//!
//! Promised: whatever the program, loading and running it ends without a panic; the same run comes to the same end;
//! nothing outside the memory that was lent is written; fuel is counted to the unit; a fault is inside the program.

use skep_exact::{
    CallEnd, CtxValue, Entry, Fuel, HelperLink, MapRef, MapShape, Outcome, Packet, PacketPoint, Platform,
    Pointers, Program, RegisterCalls, Rights, Rules, Stack, UninitRegisters, UninitStack, World, run,
};
use skep_isa::{ByteOrder, Size, raw};
use skep_mem::{Arg, Block, Bytes, CallbackArg, Invoke, MapIndex, RecordToken, Ret};
use skep_model::platform::context::{Landing, Meaning};
use skep_model::platform::{self, FuncId, MapType, ProgType};
use std::cell::Cell;

/// The memory that is lent, and what is around it.
const LENT: usize = 128;
const GUARD: usize = 32;
const FUEL: u64 = 2000;

/// A helper that takes and returns numbers.
const PLAIN: u32 = 1000;

const fn shape(kind: MapType, key_size: u32, value_size: u32, rights: Rights) -> MapShape {
    MapShape { kind, key_size, value_size, rights }
}

const MAPS: [MapShape; 4] = [
    shape(MapType::ARRAY, 4, 16, Rights::ReadWrite),
    shape(MapType::RINGBUF, 0, 0, Rights::ReadWrite),
    shape(MapType::PROG_ARRAY, 4, 4, Rights::ReadWrite),
    shape(MapType::ARRAY, 4, 16, Rights::ReadOnly),
];

struct Linux;

impl Platform for Linux {
    fn map(&self, map: MapRef) -> Option<MapIndex> {
        let index = match map {
            MapRef::Fd(fd) => u32::try_from(fd).ok()?,
            MapRef::Index(index) => index,
        };
        (index < MAPS.len() as u32).then_some(MapIndex(index))
    }

    fn maps(&self) -> &[MapShape] {
        &MAPS
    }

    fn helper(&self, id: u32) -> HelperLink {
        match platform::Platform::LINUX_6_18.helper(FuncId(id)) {
            _ if id == PLAIN => HelperLink::Plain,
            Ok(helper) => HelperLink::Known(helper),
            Err(_) => HelperLink::Refused(None),
        }
    }
}

/// Helpers that answer one thing after the other, whether it fits or not.
struct Answers<'m> {
    next: Cell<u8>,
    lent: Bytes<'m>,
    program: &'m Program,
}

impl<'m> Answers<'m> {
    fn next(&self) -> u8 {
        let next = self.next.get();
        self.next.set(next.wrapping_mul(5).wrapping_add(1));
        next >> 2
    }

    fn bytes(&self, len: usize) -> Bytes<'m> {
        let from = usize::from(self.next()) * 8 % LENT;
        self.lent.slice(from, len.min(LENT - from)).unwrap_or(Bytes::empty())
    }
}

impl<'m> World<'m> for Answers<'m> {
    fn call(&self, _: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let (mut map, mut size) = (MapIndex(0), 16);
        for arg in args {
            match *arg {
                Arg::Map(index) => map = index,
                Arg::Int(number) => size = (number % 64) as usize,
                Arg::Bytes(bytes) | Arg::Record(_, _, bytes) => bytes.fill(self.next()),
                Arg::Func(func) => {
                    let args = [
                        CallbackArg::Map(map),
                        CallbackArg::Key(self.bytes(4)),
                        CallbackArg::Value(map, self.bytes(16)),
                        CallbackArg::Pass(2),
                        CallbackArg::Int(u64::from(self.next())),
                    ];
                    for i in 0..self.next() % 4 {
                        invoke.invoke(func, &args[usize::from(i)..])?;
                    }
                }
                Arg::Null | Arg::Ctx | Arg::Opaque => {}
            }
        }
        match self.next() % 16 {
            0 => Err(CallEnd::Unknown),
            1 => Err(CallEnd::Unwind(7)),
            2 => invoke.charge(100).map(|()| Ret::Int(0)).map_err(CallEnd::from),
            3 => Err(CallEnd::Halt),
            4..=6 => Ok(Ret::Int(u64::from(self.next()))),
            7..=10 => Ok(Ret::MapValue(map, self.bytes(16))),
            11..=14 => Ok(Ret::Record(map, RecordToken(0), self.bytes(size))),
            _ => Ok(Ret::Null),
        }
    }

    fn ctx_load(&self, landing: Landing, _: Size) -> Option<CtxValue<'m>> {
        match landing.field.meaning {
            Meaning::PacketData => Some(CtxValue::Packet(PacketPoint::Data)),
            Meaning::PacketEnd => Some(CtxValue::Packet(PacketPoint::End)),
            Meaning::PacketMeta => Some(CtxValue::Packet(PacketPoint::Meta)),
            Meaning::RxQueueIndex => Some(CtxValue::Memory(self.bytes(16), Rights::ReadOnly)),
            Meaning::EgressIfindex | Meaning::Hash => None,
            Meaning::Cb => Some(CtxValue::Part(u64::from(self.next()))),
            _ => Some(CtxValue::Field(u64::from(self.next()) << 8)),
        }
    }

    fn ctx_store(&self, landing: Landing, _: Size, _: u64) -> Option<()> {
        (landing.field.meaning != Meaning::Cb).then_some(())
    }

    fn packet(&self) -> Option<Packet<'m>> {
        let bytes = self.bytes(40);
        Some(Packet { bytes, data: usize::from(self.next()) % (bytes.len() + 1) })
    }

    fn map_value(&self, map: MapIndex) -> Option<Bytes<'m>> {
        (map.0 != 2).then(|| self.bytes(16))
    }

    fn tail_call(&self, _: MapIndex, index: u32) -> Option<&'m Program> {
        (index % 2 == 0).then_some(self.program)
    }
}

fn rules(choice: u8) -> Rules {
    let kind = match choice & 3 {
        0 => ProgType::UNSPEC,
        1 => ProgType::XDP,
        2 => ProgType::SCHED_CLS,
        _ => ProgType::CGROUP_SKB,
    };
    Rules {
        tag: 1,
        prog: platform::Platform::LINUX_6_18.prog(kind),
        uninit_stack: if choice & 4 == 0 { UninitStack::Fault } else { UninitStack::Zero },
        register_calls: if choice & 8 == 0 {
            RegisterCalls::Refused
        } else {
            RegisterCalls::Allowed(vec![PLAIN])
        },
        uninit_registers: if choice & 32 == 0 { UninitRegisters::Fault } else { UninitRegisters::Zero },
        pointers: if choice & 16 == 0 { Pointers::Distinct } else { Pointers::Numbers },
        ..Rules::default()
    }
}

fn run_once(program: &Program, choice: u8, answers: u8) -> (Outcome, Vec<u8>) {
    let block = Block::zeroed(LENT + 2 * GUARD).expect("memory");
    block.bytes().fill(0xa5);
    let lent = block.bytes().slice(GUARD, LENT).expect("inside");
    let world = Answers { next: Cell::new(answers), lent, program };
    let entry =
        if choice & 3 == 0 { Entry::Memory(lent.slice(0, 64).expect("inside")) } else { Entry::Context };
    let fuel = Fuel::new(FUEL);
    let outcome = run(program, &world, &Stack::new().expect("memory"), entry, &fuel);
    assert_eq!(fuel.left() + outcome.charged, FUEL, "fuel is counted");
    let mut after = vec![0; LENT + 2 * GUARD];
    block.bytes().copy_out(0, &mut after).expect("inside");
    let (before, behind) = (&after[..GUARD], &after[GUARD + LENT..]);
    assert!(before.iter().chain(behind).all(|&byte| byte == 0xa5), "nothing outside is written");
    (outcome, after)
}

pub(crate) fn run_input(data: &[u8]) {
    let [choice, answers, bytes @ ..] = data else { return };
    let Ok(slots) = raw::from_bytes(bytes, ByteOrder::Little) else { return };
    let program = match Program::new(&slots, &Linux, rules(*choice)) {
        Ok(program) => program,
        Err(error) => {
            assert!(error.at.index() <= slots.len() && !error.to_string().is_empty());
            return;
        }
    };
    let first = run_once(&program, *choice, *answers);
    assert_eq!(first, run_once(&program, *choice, *answers), "the same run comes to the same end");
    if let Err(fault) = first.0.result {
        assert!(fault.at.index() < slots.len() && !fault.to_string().is_empty() && fault.program == 1);
        assert!(program.functions().iter().any(|function| function.start == fault.func));
        assert_ne!(fault.kind.code(), "no_instruction", "a run stays in its program");
    }
}
