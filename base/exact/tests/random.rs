//! Random programs: whatever they are, nothing panics, nothing outside is touched, and the same run gives the same
//! outcome.

mod common;

use common::slots;
use skep_exact::{
    CallEnd, CtxValue, Entry, Fuel, HelperLink, MapRef, MapShape, Outcome, Packet, PacketPoint, Platform,
    Pointers, Program, RegisterCalls, Rights, Rules, Stack, UninitRegisters, UninitStack, World, run,
};
use skep_isa::{
    Addr, AluOp, AtomicOp, Cond, Endian, Insn, LoadKind, Movsx, Operand, PacketSize, RawInsn, Reg, Size,
    SwapWidth, Width,
};
use skep_mem::{Arg, Block, Bytes, CallbackArg, FuncIndex, Invoke, MapIndex, RecordToken, Ret};
use skep_model::platform::context::{Landing, Meaning};
use skep_model::platform::{self, FuncId, MapType, ProgType};
use std::cell::Cell;

/// A small generator of numbers, the same everywhere (xorshift64*).
struct Numbers(Cell<u64>);

impl Numbers {
    fn new(seed: u64) -> Numbers {
        Numbers(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    fn next(&self) -> u64 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn number(&self) -> i32 {
        match self.below(6) {
            0 => self.pick(&[i32::MIN, i32::MAX, -1, 0x7fff, -0x8000]),
            1 => self.next() as i32,
            _ => self.below(72) as i32 - 8,
        }
    }
}

const MAPS: [MapShape; 3] = [
    MapShape { kind: MapType::ARRAY, key_size: 4, value_size: 16, rights: Rights::ReadWrite },
    MapShape { kind: MapType::RINGBUF, key_size: 0, value_size: 0, rights: Rights::ReadWrite },
    MapShape { kind: MapType::PROG_ARRAY, key_size: 4, value_size: 4, rights: Rights::ReadOnly },
];

struct Linux;

impl Platform for Linux {
    fn map(&self, map: MapRef) -> Option<MapIndex> {
        match map {
            MapRef::Index(index) if index < 3 => Some(MapIndex(index)),
            _ => None,
        }
    }

    fn maps(&self) -> &[MapShape] {
        &MAPS
    }

    fn helper(&self, id: u32) -> HelperLink {
        match platform::Platform::LINUX_6_18.helper(FuncId(id)) {
            _ if id == 1000 => HelperLink::Plain,
            Ok(helper) => HelperLink::Known(helper),
            Err(_) => HelperLink::Refused(None),
        }
    }
}

/// A world that answers at random, right or wrong.
struct Chaos<'m> {
    numbers: Numbers,
    memory: Bytes<'m>,
    programs: &'m [Program],
    funcs: usize,
}

impl<'m> Chaos<'m> {
    fn bytes(&self) -> Bytes<'m> {
        let len = self.numbers.pick(&[0, 4, 8, 16, 16, 64]);
        self.memory.slice(self.numbers.below(self.memory.len() - len), len).unwrap()
    }

    fn map(&self) -> MapIndex {
        MapIndex(self.numbers.below(5) as u32)
    }
}

impl<'m> World<'m> for Chaos<'m> {
    fn memory_at(&self, address: u64, len: usize) -> Option<(Bytes<'m>, Rights)> {
        let rights = if address % 2 == 0 { Rights::ReadWrite } else { Rights::ReadOnly };
        Some((self.memory.slice(usize::try_from(address).ok()?, len).ok()?, rights))
    }

    fn call(&self, _: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        for arg in args {
            match *arg {
                Arg::Bytes(bytes) | Arg::Record(_, _, bytes) => bytes.fill(self.numbers.next() as u8),
                Arg::Func(func) => {
                    for _ in 0..self.numbers.below(4) {
                        let func = match self.numbers.below(8) {
                            0 => FuncIndex(self.numbers.below(self.funcs) as u32),
                            _ => func,
                        };
                        let args: Vec<_> = (0..self.numbers.below(7))
                            .map(|_| match self.numbers.below(5) {
                                0 => CallbackArg::Int(self.numbers.next()),
                                1 => CallbackArg::Map(self.map()),
                                2 => CallbackArg::Key(self.bytes()),
                                3 => CallbackArg::Value(self.map(), self.bytes()),
                                _ => CallbackArg::Pass(self.numbers.below(7)),
                            })
                            .collect();
                        let answer = invoke.invoke(func, &args);
                        if self.numbers.below(8) != 0 {
                            answer?;
                        }
                    }
                }
                _ => {}
            }
        }
        match self.numbers.below(10) {
            0 => Err(self.numbers.pick(&[CallEnd::Halt, CallEnd::Unknown, CallEnd::Unwind(5)])),
            1 => invoke.charge(self.numbers.next() % 100).map(|()| Ret::Null).map_err(CallEnd::from),
            2..=4 => Ok(Ret::Int(self.numbers.next() % 64)),
            5..=6 => Ok(Ret::MapValue(self.map(), self.bytes())),
            7..=8 => Ok(Ret::Record(self.map(), RecordToken(self.numbers.next()), self.bytes())),
            _ => Ok(Ret::Null),
        }
    }

    fn ctx_load(&self, landing: Landing, _: Size) -> Option<CtxValue<'m>> {
        Some(match landing.field.meaning {
            Meaning::PacketData => CtxValue::Packet(PacketPoint::Data),
            Meaning::PacketEnd => CtxValue::Packet(PacketPoint::End),
            Meaning::PacketMeta => CtxValue::Packet(PacketPoint::Meta),
            Meaning::RxQueueIndex => CtxValue::Memory(self.bytes(), Rights::ReadOnly),
            _ => CtxValue::Field(self.numbers.next()),
        })
    }

    fn ctx_store(&self, _: Landing, _: Size, _: u64) -> Option<()> {
        (self.numbers.below(2) == 0).then_some(())
    }

    fn packet(&self) -> Option<Packet<'m>> {
        let bytes = self.bytes();
        (self.numbers.below(8) != 0).then_some(Packet { bytes, data: self.numbers.below(bytes.len() + 1) })
    }

    fn map_value(&self, _: MapIndex) -> Option<Bytes<'m>> {
        (self.numbers.below(8) != 0).then(|| self.bytes())
    }

    fn tail_call(&self, _: MapIndex, index: u32) -> Option<&'m Program> {
        self.programs.get(index as usize % 4)
    }
}

const WIDTHS: [Width; 2] = [Width::W32, Width::W64];
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::Dw];
const OPS: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];
const CONDS: [Cond; 11] = [
    Cond::Eq,
    Cond::Gt,
    Cond::Ge,
    Cond::Set,
    Cond::Ne,
    Cond::Sgt,
    Cond::Sge,
    Cond::Lt,
    Cond::Le,
    Cond::Slt,
    Cond::Sle,
];
const ATOMICS: [AtomicOp; 10] = [
    AtomicOp::Add,
    AtomicOp::Or,
    AtomicOp::And,
    AtomicOp::Xor,
    AtomicOp::FetchAdd,
    AtomicOp::FetchOr,
    AtomicOp::FetchAnd,
    AtomicOp::FetchXor,
    AtomicOp::Xchg,
    AtomicOp::Cmpxchg,
];
const LOADS: [LoadKind; 7] =
    [LoadKind::U8, LoadKind::U16, LoadKind::U32, LoadKind::U64, LoadKind::S8, LoadKind::S16, LoadKind::S32];
const HELPERS: [FuncId; 14] = [
    FuncId::MAP_LOOKUP_ELEM,
    FuncId::MAP_UPDATE_ELEM,
    FuncId::KTIME_GET_NS,
    FuncId::TRACE_PRINTK,
    FuncId::TAIL_CALL,
    FuncId::GET_CURRENT_COMM,
    FuncId::CSUM_DIFF,
    FuncId::XDP_ADJUST_HEAD,
    FuncId::RINGBUF_RESERVE,
    FuncId::RINGBUF_SUBMIT,
    FuncId::LOOP,
    FuncId::FOR_EACH_MAP_ELEM,
    FuncId::STRTOL,
    FuncId(1000),
];

/// Makes one instruction; places in the program are filled in later.
fn insn(n: &Numbers) -> Insn {
    let dst = n.pick(&Reg::ALL[..10]);
    let base = n.pick(&[Reg::R10, Reg::R10, Reg::R1, Reg::R6, Reg::R0, n.pick(&Reg::ALL)]);
    let reg = n.pick(&Reg::ALL);
    let src = if n.below(2) == 0 { Operand::Imm(n.number()) } else { Operand::Reg(reg) };
    let width = n.pick(&WIDTHS);
    let size = n.pick(&SIZES);
    let off = match n.below(12) {
        0 => n.next() as i16,
        _ if base == Reg::R10 => -8 * n.below(4) as i16 - n.pick(&[0, 0, 8, 8, 4, 3]),
        _ => n.below(20) as i16 & !n.pick(&[0, 3, 7]),
    };
    match n.below(34) {
        0..=5 => Insn::Alu { width, op: AluOp::Mov, dst, src },
        6..=9 => Insn::Alu { width: Width::W64, op: n.pick(&[AluOp::Add, AluOp::Sub]), dst, src },
        10..=11 => Insn::Alu { width, op: n.pick(&OPS), dst, src },
        12 => Insn::Neg { width, dst },
        13 => Insn::Movsx { kind: n.pick(&[Movsx::S8To32, Movsx::S32To64, Movsx::S16To64]), dst, src: reg },
        14 => {
            let op = n.pick(&[Endian::ToLe, Endian::ToBe, Endian::Swap]);
            Insn::ByteSwap { op, width: n.pick(&[SwapWidth::W16, SwapWidth::W32, SwapWidth::W64]), dst }
        }
        15 => Insn::LoadImm64 { dst, value: n.next() },
        16 => Insn::LoadAddr { dst, addr: Addr::MapIndex { index: n.below(3) as u32 } },
        17 => Insn::LoadAddr { dst, addr: Addr::MapValueIndex { index: 0, off: n.below(16) as u32 } },
        18 => Insn::LoadAddr { dst, addr: Addr::Code { off: 0 } },
        19..=21 => Insn::Load { kind: n.pick(&LOADS), dst, base, off },
        22..=24 => Insn::Store { size, base, off, src },
        25 => Insn::Atomic { width, op: n.pick(&ATOMICS), base, off, src: dst },
        26 => Insn::LoadAcquire { size, dst, base, off },
        27 => Insn::StoreRelease { size, base, off, src: reg },
        28..=29 => Insn::Branch { width, cond: n.pick(&CONDS), dst, src, off: 0 },
        30 => n.pick(&[Insn::Goto { off: 0 }, Insn::Gotol { off: 0 }, Insn::MayGoto { off: 0 }]),
        31 => n.pick(&[Insn::CallLocal { off: 0 }, Insn::CallReg { reg }]),
        32 => {
            let size = n.pick(&[PacketSize::B, PacketSize::H, PacketSize::W]);
            n.pick(&[
                Insn::LoadAbs { size, off: n.number() },
                Insn::LoadInd { size, src: reg, off: n.number() },
                Insn::Exit,
            ])
        }
        _ => Insn::CallHelper { id: n.pick(&HELPERS).0 },
    }
}

/// Makes a program of a few functions, each ending in an exit, whose jumps stay inside.
fn program(n: &Numbers) -> Vec<Insn> {
    let mut functions: Vec<Vec<Insn>> = Vec::new();
    for _ in 0..1 + n.below(3) {
        let mut body: Vec<Insn> = (0..2 + n.below(24)).map(|_| insn(n)).collect();
        // Something to begin with, lest most programs end at once.
        let begin = [
            Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R6, src: Reg::R1.into() },
            Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: 0.into() },
            Insn::Store { size: Size::Dw, base: Reg::R10, off: -8, src: 0.into() },
            Insn::Store { size: Size::Dw, base: Reg::R10, off: -16, src: Reg::R10.into() },
        ];
        body.splice(0..0, begin.into_iter().take(1 + n.below(4)));
        body.push(Insn::Exit);
        functions.push(body);
    }
    let at = |insns: &[Insn]| insns.iter().map(|insn| insn.slots()).sum::<u32>() as i32;
    let mut starts = vec![0];
    for function in &functions {
        starts.push(starts[starts.len() - 1] + at(function));
    }
    for (number, function) in functions.iter_mut().enumerate() {
        let places: Vec<i32> = (0..function.len()).map(|i| at(&function[..i])).collect();
        for (i, insn) in function.iter_mut().enumerate() {
            let to = n.pick(&places) - places[i] - 1;
            // Never to the main function, or it would be every function's neighbour.
            let called = n.pick(&starts[..starts.len() - 1]) - starts[number] - places[i] - 1;
            match insn {
                Insn::Goto { off } | Insn::MayGoto { off } | Insn::Branch { off, .. } => *off = to as i16,
                Insn::Gotol { off } => *off = to,
                Insn::CallLocal { off } | Insn::LoadAddr { addr: Addr::Code { off }, .. } => *off = called,
                _ => {}
            }
        }
    }
    functions.concat()
}

fn rules(n: &Numbers) -> Rules {
    let platform = platform::Platform::LINUX_6_18;
    let prog = match n.below(3) {
        0 => None,
        1 => platform.prog(ProgType::XDP),
        _ => platform.prog(ProgType::SCHED_CLS),
    };
    Rules {
        prog,
        uninit_stack: n.pick(&[UninitStack::Fault, UninitStack::Zero]),
        register_calls: RegisterCalls::Allowed(vec![1000, 0]),
        uninit_registers: n.pick(&[UninitRegisters::Fault, UninitRegisters::Zero]),
        pointers: n.pick(&[Pointers::Distinct, Pointers::Numbers]),
        ..Rules::default()
    }
}

/// What is around the memory that a program may reach.
const GUARD: usize = 64;

fn run_once(program: &Program, programs: &[Program], seed: u64) -> (Outcome, Vec<u8>) {
    let block = Block::zeroed(256 + 2 * GUARD).unwrap();
    block.bytes().fill(0xa5);
    let memory = block.bytes().slice(GUARD, 256).unwrap();
    let world = Chaos { numbers: Numbers::new(seed), memory, programs, funcs: program.len() };
    let entry = if seed % 3 == 0 { Entry::Memory(memory.slice(0, 64).unwrap()) } else { Entry::Context };
    let stack = Stack::new().unwrap();
    let fuel = Fuel::new(3000);
    let outcome = run(program, &world, &stack, entry, &fuel);
    assert_eq!(fuel.left() + outcome.charged, 3000);
    let mut after = vec![0; 256 + 2 * GUARD];
    block.bytes().copy_out(0, &mut after).unwrap();
    assert!(after[..GUARD].iter().chain(&after[256 + GUARD..]).all(|&byte| byte == 0xa5));
    (outcome, after)
}

#[test]
fn random_programs_do_no_harm() {
    let rounds = if cfg!(miri) { 40 } else { 6000 };
    let mut ends = std::collections::BTreeMap::new();
    for seed in 0..rounds {
        let n = Numbers::new(seed);
        let load = |_| Program::new(&slots(&program(&n)), &Linux, rules(&n));
        let programs: Vec<Program> = (0..3).map(load).filter_map(Result::ok).collect();
        let Some(first) = programs.first() else { continue };
        let one = run_once(first, &programs, seed);
        assert_eq!(one, run_once(first, &programs, seed), "seed {seed}");
        *ends.entry(one.0.result.map_or_else(|fault| fault.kind.code(), |_| "returned")).or_insert(0) += 1;
        if let Err(fault) = one.0.result {
            assert!(!fault.to_string().is_empty());
            assert_ne!(fault.kind.code(), "no_instruction", "seed {seed}: {fault}");
        }
    }
    // The generator reaches what it is meant to reach.
    if !cfg!(miri) {
        for code in
            ["returned", "out_of_bounds", "uninitialised", "bad_helper_argument", "fuel", "call_depth"]
        {
            assert!(ends.get(code).is_some_and(|&count| count >= 5), "{code}: {ends:?}");
        }
    }
}

#[test]
fn random_slots_are_loaded_or_refused() {
    let n = Numbers::new(7);
    let mut loaded = 0;
    for _ in 0..if cfg!(miri) { 100 } else { 50_000 } {
        let mut slots: Vec<RawInsn> = (0..1 + n.below(6))
            .map(|_| {
                let (dst, src) = (n.below(12) as u8, n.pick(&[0, 0, 0, 1, 2, 5]));
                let off = n.pick(&[0, 0, 1, -1, 8]);
                RawInsn::new(n.next() as u8, dst, src, off, n.pick(&[0, 0, 1, 64, -1, 0x100, 0x110]))
            })
            .collect();
        slots.push(RawInsn::new(0x95, 0, 0, 0, 0));
        if let Ok(program) = Program::new(&slots, &Linux, rules(&n)) {
            loaded += 1;
            run_once(&program, &[], n.next());
        }
    }
    assert!(cfg!(miri) || loaded > 500, "{loaded}");
}
