//! Programs that are made anew: the maker knows what each register holds while it writes, and forgets a check now and then.

mod calls;
mod code;
mod flow;
mod state;
mod stock;

pub use stock::{Item, Signature, Stock, Takes};

use crate::Random;
use skep_abi::{AttachType, ProgType};
use skep_btf::FuncInfo;
use skep_isa::{AluOp, Builder, BuilderLabel, Insn, Operand, RawInsn, Reg, Size, Width};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_model::platform::prog::{ClassicLoads, Prog};
use state::{Area, Kind, SLOTS, Slot, State};

/// A program.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its instructions.
    pub slots: Vec<RawInsn>,
    /// Its functions, where their types are told.
    pub functions: Vec<FuncInfo>,
    /// Its type.
    pub kind: ProgType,
    /// The attach type that it expects.
    pub attach: AttachType,
    /// What its licence allows.
    pub licence: Licence,
}

/// The types of programs that are made, those that can be run oftener.
const KINDS: &[(ProgType, AttachType)] = &[
    (ProgType::SOCKET_FILTER, AttachType(0)),
    (ProgType::SCHED_CLS, AttachType(0)),
    (ProgType::SCHED_CLS, AttachType(0)),
    (ProgType::SCHED_CLS, AttachType(0)),
    (ProgType::XDP, AttachType(0)),
    (ProgType::XDP, AttachType(0)),
    (ProgType::XDP, AttachType(0)),
    (ProgType::CGROUP_SKB, AttachType::CGROUP_INET_INGRESS),
    (ProgType::CGROUP_SKB, AttachType::CGROUP_INET_EGRESS),
    (ProgType::TRACEPOINT, AttachType(0)),
    (ProgType::RAW_TRACEPOINT, AttachType(0)),
    (ProgType::KPROBE, AttachType(0)),
    (ProgType::PERF_EVENT, AttachType(0)),
    (ProgType::CGROUP_SOCK_ADDR, AttachType::CGROUP_INET4_CONNECT),
    (ProgType::CGROUP_SOCK_ADDR, AttachType::CGROUP_UDP6_SENDMSG),
    (ProgType::SOCK_OPS, AttachType::CGROUP_SOCK_OPS),
    (ProgType::SK_LOOKUP, AttachType::SK_LOOKUP),
    (ProgType::SK_MSG, AttachType(0)),
    (ProgType::SK_SKB, AttachType(0)),
    (ProgType::LWT_XMIT, AttachType(0)),
    (ProgType::CGROUP_SYSCTL, AttachType::CGROUP_SYSCTL),
    (ProgType::CGROUP_SOCKOPT, AttachType::CGROUP_SETSOCKOPT),
    (ProgType::CGROUP_DEVICE, AttachType::CGROUP_DEVICE),
    (ProgType::FLOW_DISSECTOR, AttachType::FLOW_DISSECTOR),
    (ProgType::RAW_TRACEPOINT_WRITABLE, AttachType(0)),
];

/// What a function is to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// Where it begins.
    Main,
    /// It is called from wherever it is called.
    Static,
    /// It is verified by itself, and has this type.
    Global(skep_btf::TypeId),
    /// A helper calls it.
    Callback,
}

/// A function that is called and not yet written.
#[derive(Clone, Debug)]
struct Pending {
    label: BuilderLabel,
    role: Role,
    /// What r1 and following hold.
    args: Vec<Kind>,
    /// How deep in calls it is.
    depth: u32,
}

/// Writes one program.
struct Writer<'a> {
    stock: &'a Stock,
    random: &'a mut Random,
    prog: &'static Prog,
    attach: AttachType,
    licence: Licence,
    b: Builder,
    now: State,
    /// A check is forgotten once in so many times; never, if zero.
    careless: u64,
    /// Statements that may still be written.
    budget: i32,
    /// How deep in blocks one is.
    nested: u32,
    /// How deep in calls the function is.
    depth: u32,
    role: Role,
    /// Bytes of the function's stack that are used.
    frame: i32,
    /// Registers that loops keep.
    pinned: [bool; 10],
    /// Whether the stack's layout is kept by a loop.
    is_stack_pinned: bool,
    /// Something is acquired or locked: the program may not return here.
    holding: u32,
    pending: Vec<Pending>,
    functions: Vec<FuncInfo>,
    /// Whether types of functions are told.
    is_typed: bool,
    ids: u32,
}

/// Makes a program; `None` where what was written does not hang together.
pub fn make(stock: &Stock, random: &mut Random) -> Option<Made> {
    let (kind, attach) = KINDS[random.below(KINDS.len() as u64) as usize];
    let prog = Platform::LINUX_6_18.prog(kind)?;
    let licence = if random.once_in(8) { Licence::Any } else { Licence::Gpl };
    let careless = match random.below(8) {
        0 | 1 => 6 + random.below(12),
        2 | 3 => 30 + random.below(40),
        _ => 0,
    };
    let budget = 12 + random.below(28) as i32;
    let is_typed = !random.once_in(3);
    let mut writer = Writer {
        stock,
        random,
        prog,
        attach,
        licence,
        b: Builder::new(),
        now: State::new(),
        careless,
        budget,
        nested: 0,
        depth: 0,
        role: Role::Main,
        frame: 0,
        pinned: [false; 10],
        is_stack_pinned: false,
        holding: 0,
        pending: Vec::new(),
        functions: Vec::new(),
        is_typed,
        ids: 0,
    };
    writer.main();
    while let Some(next) = writer.pending.pop() {
        writer.function(next);
    }
    let (program, _) = writer.b.finish().ok()?;
    let functions = if is_typed { writer.functions } else { Vec::new() };
    Some(Made { slots: program.encode().collect(), functions, kind, attach, licence })
}

impl Writer<'_> {
    fn main(&mut self) {
        self.begin(&Role::Main, &[Kind::Context]);
        self.frame = 64 + self.random.below(9) as i32 * 16;
        // What calls leave alone keeps the context.
        self.mov(Reg::R6, Reg::R1);
        // Numbers that nobody knows.
        for _ in 0..1 + self.random.below(3) {
            self.touch_context();
        }
        while self.budget > 0 {
            self.statement();
        }
        self.leave();
    }

    fn function(&mut self, pending: Pending) {
        self.b.bind(pending.label);
        self.depth = pending.depth;
        self.begin(&pending.role, &pending.args);
        self.frame = 32 + self.random.below(3) as i32 * 16;
        for (at, kind) in pending.args.iter().enumerate() {
            if *kind == Kind::Context {
                self.mov(Reg::R6, reg(at + 1));
            }
        }
        self.budget = 2 + self.random.below(8) as i32;
        while self.budget > 0 {
            self.statement();
        }
        self.leave();
    }

    fn begin(&mut self, role: &Role, args: &[Kind]) {
        self.role = role.clone();
        self.now = State::new();
        self.pinned = [false; 10];
        self.is_stack_pinned = false;
        self.holding = 0;
        self.nested = 0;
        let type_id = match role {
            Role::Global(id) => *id,
            _ => self.stock.local,
        };
        self.functions.push(FuncInfo { insn_off: self.b.here().0, type_id });
        for (at, kind) in args.iter().enumerate() {
            self.now.regs[at + 1] = *kind;
        }
    }

    /// Returns from the function.
    fn leave(&mut self) {
        let (low, high) = match self.role {
            Role::Main => self.prog.returns.range(self.attach).unwrap_or((-1, 20)),
            Role::Callback => (0, 1),
            Role::Static | Role::Global(_) => (-100, 100),
        };
        let span = (i64::from(high) - i64::from(low)).clamp(0, 1000) as u64;
        let value = i64::from(low) + self.random.below(span + 1) as i64;
        let number = self.find(|kind| matches!(kind, Kind::Number(_)));
        match number {
            Some(number) if self.random.once_in(2) && self.may_return_any() => self.mov(Reg::R0, number),
            Some(number) if self.forgets() => self.mov(Reg::R0, number),
            // A number within, that is not known.
            Some(number) if low == 0 && high >= 1 && self.random.once_in(2) => {
                self.mov(Reg::R0, number);
                self.alu(AluOp::And, Reg::R0, 1);
            }
            _ => self.constant(Reg::R0, value as i32),
        }
        self.b.exit();
    }

    fn may_return_any(&self) -> bool {
        match self.role {
            Role::Main => self.prog.returns.range(self.attach).is_none(),
            Role::Callback => false,
            Role::Static => true,
            // A typed function returns a number, whatever its upper half is.
            Role::Global(_) => true,
        }
    }

    /// Whether something is forgotten now that ought to be done.
    fn forgets(&mut self) -> bool {
        self.careless != 0 && self.random.once_in(self.careless)
    }

    fn fresh(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    fn kind(&self, reg: Reg) -> Kind {
        match reg {
            Reg::FP => Kind::Region { area: Area::Stack, low: 0, high: 0, null: None },
            _ => self.now.regs[reg.index()],
        }
    }

    fn set(&mut self, reg: Reg, kind: Kind) {
        self.now.regs[reg.index()] = kind;
    }

    /// A register that holds such a thing.
    fn find(&mut self, is_wanted: impl Fn(Kind) -> bool) -> Option<Reg> {
        let start = self.random.below(10) as usize;
        (0..10).map(|at| reg((start + at) % 10)).find(|reg| is_wanted(self.kind(*reg)))
    }

    /// The same among those that calls leave alone, and r0.
    fn find_kept(&mut self, is_wanted: impl Fn(Kind) -> bool) -> Option<Reg> {
        let kept = [Reg::R0, Reg::R6, Reg::R7, Reg::R8, Reg::R9];
        let start = self.random.below(5) as usize;
        (0..5).map(|at| kept[(start + at) % 5]).find(|reg| is_wanted(self.kind(*reg)))
    }

    /// A register to write.
    fn free(&mut self) -> Reg {
        for _ in 0..8 {
            let which = match self.random.below(3) {
                0 => 7 + self.random.below(3),
                _ => self.random.below(6),
            } as usize;
            let is_dear = matches!(self.now.regs[which], Kind::Region { .. } | Kind::Packet { .. });
            if self.pinned[which] || (is_dear && self.random.once_in(2)) {
                continue;
            }
            return reg(which);
        }
        Reg::R3
    }

    /// A register to write that calls leave alone.
    fn free_kept(&mut self) -> Option<Reg> {
        let start = self.random.below(3) as usize;
        (0..3).map(|at| 7 + (start + at) % 3).find(|at| !self.pinned[*at]).map(reg)
    }

    /// A register with a number.
    fn number(&mut self) -> Reg {
        if let Some(found) = self.find(|kind| matches!(kind, Kind::Number(_))) {
            return found;
        }
        let into = self.free();
        let value = self.random.number() as i32;
        self.constant(into, value);
        into
    }

    fn mov(&mut self, into: Reg, from: Reg) {
        self.b.mov(into, from);
        let kind = self.kind(from);
        self.set(into, kind);
    }

    fn constant(&mut self, into: Reg, value: i32) {
        self.b.mov(into, value);
        self.set(into, Kind::Number(i64::from(value) as u64));
    }

    fn alu(&mut self, op: AluOp, into: Reg, src: impl Into<Operand>) {
        self.b.alu(op, into, src);
    }

    /// A part of the stack of so many bytes whose slots hold numbers; it is written where nothing is.
    fn bytes_on_stack(&mut self, len: i32) -> Option<i32> {
        let slots = (len.max(1) as usize).div_ceil(8);
        let most = (self.frame / 8) as usize;
        let last = most.checked_sub(slots)?;
        let first = self.random.below(last as u64 + 1) as usize;
        let range = first..first + slots;
        let is_fit = |slot: &Slot| *slot == Slot::Data;
        if self.is_stack_pinned && !self.now.stack[range.clone()].iter().all(is_fit) {
            return None;
        }
        if !self.forgets() {
            for at in range {
                if self.now.stack[at] != Slot::Data {
                    let value = self.random.below(200) as i32 - 20;
                    self.b.store(Size::Dw, Reg::FP, -8 * (at as i16 + 1), value);
                    self.now.stack[at] = Slot::Data;
                }
            }
        }
        // The last slot is the one with the lowest address.
        Some(-8 * (first + slots) as i32)
    }

    /// How many bytes an area has, and where the program's own begin.
    fn extent(&self, area: Area) -> (i32, i32) {
        match area {
            Area::Stack => (-self.frame, 0),
            Area::Value(map) => {
                self.stock.items.get(map).map_or((0, 0), |item| (item.free as i32, item.value as i32))
            }
            Area::Record(size) | Area::Lent(size) | Area::Shown(size) => (0, size as i32),
        }
    }

    fn has_classic_loads(&self) -> bool {
        self.prog.classic_loads == ClassicLoads::Allowed
    }

    /// Adds an instruction on 32 bits.
    fn alu32(&mut self, op: AluOp, dst: Reg, src: impl Into<Operand>) {
        self.b.push(Insn::Alu { width: Width::W32, op, dst, src: src.into() });
    }
}

fn reg(number: usize) -> Reg {
    Reg::ALL[number.min(10)]
}

/// Slots are as many as a stack has.
const _: () = assert!(SLOTS * 8 == 512);
