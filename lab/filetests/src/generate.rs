//! Programs from a number: branches, loops, local calls, memory, the stack, atomic operations, a helper; nearly all of their
//! accesses in bounds.
//!
//! Every register holds something where it is read, and pointers stay in registers of their own, so that the reference
//! machine finds nothing wrong but what is wrong for every engine: an access out of bounds, too many calls, no fuel.

use crate::helpers::{EACH, FILL, MIX, RING, SUM, UNWIND};
use crate::{Case, Expected, Input};
use skep_isa::{
    Addr, AluOp, AtomicOp, Cond, Endian, Insn, LoadKind, Movsx, Operand, Reg, Size, SwapWidth, Width,
};
use skep_model::platform::FuncId;

/// A small generator of numbers, the same everywhere (xorshift64*).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Makes one.
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Gives the next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Gives a number below another.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.number() >> 16) % n
    }

    /// Says yes once in so many times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Gives one of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Gives a number that is often at an edge.
    pub fn edge(&mut self) -> u64 {
        let near = self.below(3).wrapping_sub(1);
        match self.below(4) {
            0 => self.pick(&[0u64, 1 << 31, 1 << 32, 1 << 63, 0xffff, 0x80, 0x8000]).wrapping_add(near),
            1 => self.number() >> self.below(64),
            _ => self.number(),
        }
    }
}

/// Operators on two values.
pub const OPS: [AluOp; 13] = [
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
    AluOp::Arsh,
];
/// Comparisons.
pub const CONDS: [Cond; 11] = [
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
/// Sign extensions.
pub const MOVES: [Movsx; 5] = [Movsx::S8To32, Movsx::S16To32, Movsx::S8To64, Movsx::S16To64, Movsx::S32To64];
/// Loads.
pub const LOADS: [LoadKind; 7] =
    [LoadKind::U8, LoadKind::U16, LoadKind::U32, LoadKind::U64, LoadKind::S8, LoadKind::S16, LoadKind::S32];
/// Sizes.
pub const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::Dw];
/// Atomic operations.
pub const ATOMICS: [AtomicOp; 10] = [
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

/// Registers that hold numbers all along.
const NUMBERS: [Reg; 8] = [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R8, Reg::R9];
/// Holds the memory's address.
const MEMORY: Reg = Reg::R6;
/// Holds an address for a while.
const POINTER: Reg = Reg::R7;
/// The lowest offset of the stack that programs use, counters above it.
const STACK: i16 = -160;
/// The stack above this offset holds the counters of loops.
const COUNTERS: i16 = -32;

/// Has the opcode and the source field of what loads a number of 64 bits (RFC 9669 §5.4).
const LOAD_NUMBER: (u8, u8) = (0x18, 0);

const fn mov(dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src }
}

const fn alu(op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op, dst, src }
}

/// Says what a program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Everything but what only helpers do, and now and then an access out of bounds.
    Wild,
    /// All of that, and helpers that take memory, call functions, end the run, and give out records.
    Helped,
    /// What Linux takes too: no helper of our own, no call but from the first function, nothing out of bounds.
    Tame,
}

/// Makes a case; the same number always makes the same.
pub fn generate(seed: u64, flavour: Flavour) -> Case {
    let mut n = Numbers::new(seed);
    let len = 64 + 8 * n.below(25);
    let memory: Vec<u8> = (0..len).map(|_| n.number() as u8).collect();
    let functions = n.below(4) as usize;
    let mut maker = Maker {
        n,
        names: Vec::new(),
        flavour,
        len: len as i16,
        functions,
        slots: Vec::new(),
        calls: Vec::new(),
        insns: Vec::new(),
    };
    let starts: Vec<usize> = (0..=functions).map(|number| maker.function(number)).collect();
    for (at, function) in std::mem::take(&mut maker.calls) {
        let off = starts[function] as i32 - at as i32 - 1;
        maker.insns[at] = Some(Insn::CallLocal { off });
    }
    for (at, function) in std::mem::take(&mut maker.names) {
        let off = starts[function] as i32 - at as i32 - 1;
        maker.insns[at] = Some(Insn::LoadAddr { dst: POINTER, addr: Addr::Code { off } });
    }
    let slots: Vec<_> = maker.insns.iter().flatten().flat_map(|insn| insn.encode().to_vec()).collect();
    let fuel = match maker.n.below(4) {
        0 if flavour != Flavour::Tame => maker.n.below(400),
        _ => 1_000_000,
    };
    Case {
        name: format!("seed {seed}"),
        lines: vec![0; slots.len()],
        slots,
        input: Input::Memory(memory),
        fuel,
        unwritten_is_zero: flavour != Flavour::Tame,
        register_calls: flavour != Flavour::Tame,
        expected: Expected::Anything,
        besides: Vec::new(),
        leaves: None,
    }
}

/// Lets a program's registers start as zero. What starts as any number has all its bits set as far as a compiler can know, and
/// next to nothing is done with that; with what starts as zero and becomes more in a loop, much can be done wrong.
#[must_use]
pub fn from_zeros(mut case: Case) -> Case {
    let mut is_second = false;
    for slot in &mut case.slots {
        let is_first = !is_second && (slot.code, slot.src()) == LOAD_NUMBER;
        if is_first || is_second {
            slot.imm = 0;
        }
        is_second = is_first;
    }
    case.name.push_str(", from zeros");
    case
}

struct Maker {
    n: Numbers,
    flavour: Flavour,
    /// Counts the bytes of the memory.
    len: i16,
    /// Counts the functions besides the first.
    functions: usize,
    /// Holds the function's slots of the stack, where each is accessed as itself only: offset and size.
    slots: Vec<(i16, Size)>,
    /// Holds slots of calls, and whom they call.
    calls: Vec<(usize, usize)>,
    /// Holds slots of wide loads, and which functions they name.
    names: Vec<(usize, usize)>,
    /// One for each slot; the second of a wide load has none.
    insns: Vec<Option<Insn>>,
}

impl Maker {
    fn put(&mut self, insn: Insn) {
        self.insns.push(Some(insn));
        if insn.slots() == 2 {
            self.insns.push(None);
        }
    }

    fn scalar(&mut self) -> Reg {
        self.n.pick(&NUMBERS)
    }

    fn operand(&mut self) -> Operand {
        match self.n.below(3) {
            0 => Operand::Imm(self.imm()),
            _ => Operand::Reg(self.scalar()),
        }
    }

    /// Gives a number that is often one by which operations become simpler.
    fn imm(&mut self) -> i32 {
        match self.n.below(3) {
            0 => self.n.pick(&[1 << self.n.clone().below(31), 0, 1, -1, 0xff, 0xffff]),
            _ => self.n.edge() as i32,
        }
    }

    /// Makes a function, and tells where it starts.
    fn function(&mut self, number: usize) -> usize {
        let start = self.insns.len();
        self.put(mov(MEMORY, Operand::Reg(Reg::R1)));
        for reg in NUMBERS {
            if number == 0 || !matches!(reg, Reg::R2 | Reg::R3 | Reg::R4 | Reg::R5) {
                let value = self.n.edge();
                self.put(Insn::LoadImm64 { dst: reg, value });
            }
        }
        self.slots = match self.n.once_in(2) {
            true => (STACK..COUNTERS).step_by(24).map(|off| (off, self.n.pick(&SIZES))).collect(),
            false => Vec::new(),
        };
        let words = || (STACK..COUNTERS).step_by(8).map(|off| (off, Size::Dw));
        let slots = if self.slots.is_empty() { words().collect() } else { self.slots.clone() };
        // What is not checked is not zeroed either.
        for (off, size) in slots.iter().copied() {
            let src = if self.n.once_in(2) { Operand::Imm(0) } else { Operand::Reg(self.scalar()) };
            self.put(Insn::Store { size, base: Reg::R10, off, src });
        }
        if number == 0 && self.flavour == Flavour::Tame {
            // Linux refuses what nothing leads to.
            (1..=self.functions).for_each(|callee| self.call_of(callee));
        }
        let len = 3 + self.n.below(12);
        self.block(number, 0, len);
        for reg in &NUMBERS[1..] {
            self.put(alu(AluOp::Mul, Reg::R0, Operand::Imm(31)));
            self.put(alu(AluOp::Add, Reg::R0, Operand::Reg(*reg)));
        }
        for (off, size) in slots {
            let kind = LOADS.into_iter().find(|kind| kind.size() == size).unwrap_or(LoadKind::U64);
            self.put(Insn::Load { kind, dst: Reg::R1, base: Reg::R10, off });
            self.put(alu(AluOp::Xor, Reg::R0, Operand::Reg(Reg::R1)));
            self.put(alu(AluOp::Mul, Reg::R0, Operand::Imm(33)));
        }
        self.put(Insn::Exit);
        start
    }

    fn block(&mut self, function: usize, depth: i16, len: u64) {
        for _ in 0..len {
            if self.flavour == Flavour::Helped && self.n.once_in(6) {
                self.help(function);
                continue;
            }
            match self.n.below(28) {
                0..=7 => self.compute(),
                8..=10 => self.stack(),
                11..=14 => self.memory(),
                15..=16 => self.anywhere(),
                17 => self.atomic(),
                18 => self.ordered(),
                19..=22 if depth < 4 => self.branch(function, depth),
                23..=24 if depth < 3 => self.repeat(function, depth),
                25 if self.functions > 0 => self.call(function),
                26 if self.flavour != Flavour::Tame => self.help(function),
                27 => self.idioms(),
                _ => self.compute(),
            }
        }
    }

    fn compute(&mut self) {
        let (dst, width) = (self.scalar(), self.n.pick(&[Width::W32, Width::W64]));
        let insn = match self.n.below(10) {
            0 => Insn::Neg { width, dst },
            1 => Insn::Movsx { kind: self.n.pick(&MOVES), dst, src: self.scalar() },
            2 => {
                let op = self.n.pick(&[Endian::ToLe, Endian::ToBe, Endian::Swap]);
                Insn::ByteSwap {
                    op,
                    width: self.n.pick(&[SwapWidth::W16, SwapWidth::W32, SwapWidth::W64]),
                    dst,
                }
            }
            3 => Insn::Alu { width, op: AluOp::Mov, dst, src: self.operand() },
            _ => {
                let op = self.n.pick(&OPS);
                let src = match (op, self.operand()) {
                    // What Linux refuses of immediates (check_alu_op in kernel/bpf/verifier.c).
                    (AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, Operand::Imm(0)) => Operand::Imm(7),
                    (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(imm)) => {
                        Operand::Imm(imm & (width.bits() as i32 - 1))
                    }
                    (_, src) => src,
                };
                Insn::Alu { width, op, dst, src }
            }
        };
        self.put(insn);
    }

    /// Makes sequences that a compiler may make one operation of.
    fn idioms(&mut self) {
        let (a, b) = (self.scalar(), self.scalar());
        let width = self.n.pick(&[Width::W32, Width::W64]);
        let bits = width.bits() as i32;
        match self.n.below(5) {
            // A rotation.
            0 => {
                let by = self.n.below(bits as u64) as i32;
                let other = if self.n.once_in(8) { by } else { (bits - by) & (bits - 1) };
                let join = self.n.pick(&[AluOp::Or, AluOp::Xor, AluOp::Add]);
                self.put(Insn::Alu { width, op: AluOp::Mov, dst: a, src: Operand::Reg(b) });
                self.put(Insn::Alu { width, op: AluOp::Lsh, dst: a, src: Operand::Imm(by) });
                self.put(Insn::Alu { width, op: AluOp::Rsh, dst: b, src: Operand::Imm(other) });
                self.put(Insn::Alu { width, op: join, dst: a, src: Operand::Reg(b) });
            }
            // Quotient and remainder of one pair.
            1 => {
                let c = self.scalar();
                let (div, rem) = self.n.pick(&[(AluOp::Div, AluOp::Mod), (AluOp::Sdiv, AluOp::Smod)]);
                self.put(mov(c, Operand::Reg(a)));
                self.put(Insn::Alu { width, op: div, dst: a, src: Operand::Reg(b) });
                self.put(Insn::Alu { width, op: rem, dst: c, src: Operand::Reg(b) });
            }
            // A multiple, divided again: where a reciprocal that is rounded the wrong way shows.
            2 => {
                let power = 1 << (1 + self.n.below(15));
                let imm = if self.n.once_in(3) { power } else { 3 + self.n.below(97) as i32 };
                let op = self.n.pick(&[AluOp::Div, AluOp::Mod, AluOp::Sdiv, AluOp::Smod]);
                let small = match self.n.once_in(2) {
                    true => Insn::Movsx { kind: Movsx::S16To64, dst: a, src: a },
                    false => Insn::Alu { width, op: AluOp::And, dst: a, src: Operand::Imm(0xffff) },
                };
                self.put(small);
                self.put(Insn::Alu { width, op: AluOp::Mul, dst: a, src: Operand::Imm(imm) });
                self.put(Insn::Alu { width, op, dst: a, src: Operand::Imm(imm) });
            }
            // One of two values.
            3 => {
                let (c, cond) = (self.scalar(), self.n.pick(&CONDS));
                self.put(mov(c, Operand::Reg(a)));
                let src = self.operand();
                self.put(Insn::Branch { width, cond, dst: b, src, off: 1 });
                let src = self.operand();
                self.put(mov(c, src));
            }
            // A number byte by byte.
            _ => {
                let bytes = self.n.pick(&[2i16, 4, 8]);
                let base = self.n.below(8) as i16;
                let up = self.n.once_in(2);
                self.put(mov(a, Operand::Imm(0)));
                for i in 0..bytes {
                    let shift = 8 * i32::from(if up { i } else { bytes - 1 - i });
                    self.put(Insn::Load { kind: LoadKind::U8, dst: b, base: MEMORY, off: base + i });
                    self.put(alu(AluOp::Lsh, b, Operand::Imm(shift)));
                    self.put(alu(AluOp::Or, a, Operand::Reg(b)));
                }
            }
        }
    }

    fn access(&mut self, base: Reg, off: i16, size: Size) {
        let insn = match self.n.below(2) {
            0 => {
                let kinds: Vec<_> = LOADS.into_iter().filter(|kind| kind.size() == size).collect();
                Insn::Load { kind: self.n.pick(&kinds), dst: self.scalar(), base, off }
            }
            _ => Insn::Store { size, base, off, src: self.operand() },
        };
        self.put(insn);
    }

    fn stack(&mut self) {
        let (off, size) = if self.slots.is_empty() {
            let size = self.n.pick(&SIZES);
            let bytes = size.bytes() as i16;
            let places = (COUNTERS - STACK) / bytes;
            (STACK + bytes * self.n.below(places as u64) as i16, size)
        } else {
            self.slots[self.n.below(self.slots.len() as u64) as usize]
        };
        // Through a copy of r10, the slot is not only the frame's own.
        let base = match self.n.below(12) {
            0 => {
                self.put(mov(POINTER, Operand::Reg(Reg::R10)));
                POINTER
            }
            _ => Reg::R10,
        };
        self.access(base, off, size);
    }

    fn memory(&mut self) {
        let size = self.n.pick(&SIZES);
        let room = self.len - size.bytes() as i16;
        let off = match self.flavour {
            Flavour::Wild | Flavour::Helped if self.n.once_in(150) => room + 1 + self.n.below(8) as i16,
            Flavour::Wild | Flavour::Helped if self.n.once_in(150) => -1 - self.n.below(8) as i16,
            _ => self.n.below(room as u64 + 1) as i16,
        };
        self.access(MEMORY, off, size);
    }

    /// Accesses the memory where a number says.
    fn anywhere(&mut self) {
        let size = self.n.pick(&SIZES);
        let number = self.scalar();
        self.put(mov(POINTER, Operand::Reg(number)));
        // The memory has at least 64 bytes.
        let mask = match self.flavour {
            Flavour::Wild | Flavour::Helped if self.n.once_in(40) => 0xff,
            _ => 0x1f,
        };
        self.put(alu(AluOp::And, POINTER, Operand::Imm(mask)));
        self.put(alu(AluOp::Add, POINTER, Operand::Reg(MEMORY)));
        let off = self.n.below(24) as i16;
        self.access(POINTER, off, size);
        if self.n.once_in(2) {
            self.access(POINTER, off, self.n.clone().pick(&SIZES));
        }
    }

    fn atomic(&mut self) {
        let width = self.n.pick(&[Width::W32, Width::W64]);
        let bytes = width.size().bytes() as i16;
        let (base, off) = match self.n.below(2) {
            side if side == 0 || !self.slots.is_empty() => {
                (MEMORY, bytes * self.n.below((self.len / bytes) as u64) as i16)
            }
            _ => (Reg::R10, STACK + bytes * self.n.below(((COUNTERS - STACK) / bytes) as u64) as i16),
        };
        let op = self.n.pick(&ATOMICS);
        let src = self.scalar();
        self.put(Insn::Atomic { width, op, base, off, src });
    }

    fn ordered(&mut self) {
        let size = self.n.pick(&SIZES);
        let bytes = size.bytes() as i16;
        let off = bytes * self.n.below((self.len / bytes) as u64) as i16;
        let reg = self.scalar();
        let insn = match self.n.below(2) {
            0 => Insn::LoadAcquire { size, dst: reg, base: MEMORY, off },
            _ => Insn::StoreRelease { size, base: MEMORY, off, src: reg },
        };
        self.put(insn);
    }

    fn branch(&mut self, function: usize, depth: i16) {
        let width = self.n.pick(&[Width::W32, Width::W64]);
        let (cond, dst, src) = (self.n.pick(&CONDS), self.scalar(), self.operand());
        let at = self.insns.len();
        self.put(Insn::Exit);
        let len = self.n.below(5);
        self.block(function, depth + 1, len);
        if self.n.once_in(2) {
            let over = self.insns.len();
            self.put(Insn::Exit);
            let len = self.n.below(5);
            self.insns[at] = Some(Insn::Branch { width, cond, dst, src, off: (over - at) as i16 });
            self.block(function, depth + 1, len);
            let off = (self.insns.len() - over - 1) as i32;
            self.insns[over] = Some(match self.n.below(4) {
                0 => Insn::Gotol { off },
                _ => Insn::Goto { off: off as i16 },
            });
        } else {
            let off = (self.insns.len() - at - 1) as i16;
            self.insns[at] = Some(Insn::Branch { width, cond, dst, src, off });
        }
    }

    fn repeat(&mut self, function: usize, depth: i16) {
        let slot = -8 * (depth + 1);
        let counter = |size| Insn::Store { size, base: Reg::R10, off: slot, src: Operand::Reg(POINTER) };
        let times = 1 + self.n.below(5) as i32;
        self.put(mov(POINTER, Operand::Imm(times)));
        self.put(counter(Size::Dw));
        let start = self.insns.len();
        let len = 1 + self.n.below(5);
        self.block(function, depth + 1, len);
        let may_leave = self.n.once_in(4);
        if may_leave {
            self.put(Insn::MayGoto { off: 4 });
        }
        self.put(Insn::Load { kind: LoadKind::U64, dst: POINTER, base: Reg::R10, off: slot });
        self.put(alu(AluOp::Sub, POINTER, Operand::Imm(1)));
        self.put(counter(Size::Dw));
        let off = start as i32 - self.insns.len() as i32 - 1;
        self.put(Insn::Branch {
            width: Width::W64,
            cond: Cond::Ne,
            dst: POINTER,
            src: Operand::Imm(0),
            off: off as i16,
        });
    }

    /// Gives r1 to r5 something after a call.
    fn refill(&mut self) {
        for reg in [Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5] {
            let src =
                if self.n.once_in(2) { Operand::Reg(Reg::R0) } else { Operand::Imm(self.n.edge() as i32) };
            self.put(mov(reg, src));
        }
    }

    fn call(&mut self, function: usize) {
        let callee = 1 + self.n.below(self.functions as u64) as usize;
        // Only later functions, but now and then: calls without end are ended by their depth.
        let rare = self.flavour != Flavour::Tame && self.n.once_in(3);
        if callee <= function && !rare || self.flavour == Flavour::Tame && function > 0 {
            return self.compute();
        }
        self.call_of(callee);
    }

    fn call_of(&mut self, callee: usize) {
        self.put(mov(Reg::R1, Operand::Reg(MEMORY)));
        if self.flavour != Flavour::Tame && self.n.once_in(3) {
            return self.call_through(callee);
        }
        self.calls.push((self.insns.len(), callee));
        self.put(Insn::CallLocal { off: 0 });
        self.refill();
    }

    /// Calls a function, or now and then one of two, through a register.
    fn call_through(&mut self, callee: usize) {
        self.name(callee);
        if self.n.once_in(3) {
            let (cond, dst, src) = (self.n.pick(&CONDS), self.n.pick(&[Reg::R8, Reg::R9]), self.operand());
            // Over the two slots of the other name.
            self.put(Insn::Branch { width: Width::W64, cond, dst, src, off: 2 });
            let other = 1 + self.n.below(self.functions as u64) as usize;
            self.name(callee.max(other));
        }
        self.put(Insn::CallReg { reg: POINTER });
        self.refill();
    }

    /// Loads the number of a function.
    fn name(&mut self, function: usize) {
        self.names.push((self.insns.len(), function));
        self.put(Insn::LoadAddr { dst: POINTER, addr: Addr::Code { off: 0 } });
    }

    fn help(&mut self, function: usize) {
        match self.n.below(if self.flavour == Flavour::Helped { 16 } else { 6 }) {
            6..=8 => return self.lend(),
            9..=11 if self.functions > 0 => return self.each(function),
            12..=14 => return self.record(),
            15 => {
                let src = if self.n.once_in(2) { Operand::Reg(self.scalar()) } else { Operand::Imm(1) };
                self.put(mov(Reg::R1, src));
                self.put(Insn::CallHelper { id: UNWIND });
            }
            0 => {
                let id = if self.n.once_in(5) { MIX - 1 } else { MIX };
                self.put(mov(POINTER, Operand::Imm(id as i32)));
                self.put(Insn::CallReg { reg: POINTER });
            }
            _ => self.put(Insn::CallHelper { id: MIX }),
        }
        self.refill();
    }

    /// Lends memory to a helper.
    fn lend(&mut self) {
        let len = self.n.below(24) as i32;
        let (base, off) = match self.n.below(3) {
            // Only where all of the stack is written.
            0 if self.slots.is_empty() => {
                (Reg::R10, i32::from(STACK) + self.n.below((COUNTERS - STACK - 24) as u64) as i32)
            }
            _ if self.n.once_in(20) => (MEMORY, i32::from(self.len) - len + 1),
            _ => (MEMORY, self.n.below(self.len as u64 - 24) as i32),
        };
        let byte = self.operand();
        self.put(mov(Reg::R3, byte));
        self.put(mov(Reg::R1, Operand::Reg(base)));
        self.put(alu(AluOp::Add, Reg::R1, Operand::Imm(off)));
        self.put(mov(Reg::R2, Operand::Imm(len)));
        let id = self.n.pick(&[SUM, FILL]);
        self.put(Insn::CallHelper { id });
        self.refill();
    }

    /// Has a helper call a function.
    fn each(&mut self, function: usize) {
        let callee = 1 + self.n.below(self.functions as u64) as usize;
        if callee <= function && !self.n.once_in(4) {
            return self.compute();
        }
        self.name(callee);
        self.put(mov(Reg::R2, Operand::Reg(POINTER)));
        if self.n.once_in(20) {
            self.put(mov(Reg::R2, Operand::Imm(8)));
        }
        let times = self.n.below(5) as i32;
        self.put(mov(Reg::R1, Operand::Imm(times)));
        self.put(mov(Reg::R3, Operand::Reg(MEMORY)));
        self.put(Insn::CallHelper { id: EACH });
        self.refill();
    }

    /// Reserves a record, writes to it, and gives it back, all in one go: none is left open.
    fn record(&mut self) {
        let size = 8 * (1 + self.n.below(4) as i16);
        self.put(Insn::LoadAddr { dst: Reg::R1, addr: Addr::MapFd { fd: RING } });
        self.put(mov(Reg::R2, Operand::Imm(size.into())));
        self.put(mov(Reg::R3, Operand::Imm(0)));
        self.put(Insn::CallHelper { id: FuncId::RINGBUF_RESERVE.0 });
        self.put(mov(POINTER, Operand::Reg(Reg::R0)));
        self.renew();
        let at = self.insns.len();
        self.put(Insn::Exit);
        for _ in 0..1 + self.n.below(4) {
            let bytes = self.n.pick(&SIZES);
            let room = size - bytes.bytes() as i16;
            let off = match self.n.once_in(100) {
                true => room + 1 + self.n.below(4) as i16,
                false => self.n.below(room as u64 + 1) as i16,
            };
            self.access(POINTER, off, bytes);
        }
        if self.n.once_in(3) {
            // A helper between, that takes the record itself.
            self.put(mov(Reg::R1, Operand::Reg(POINTER)));
            self.put(mov(Reg::R2, Operand::Imm(size.into())));
            self.put(Insn::CallHelper { id: SUM });
            self.refill();
            self.access(POINTER, 0, Size::Dw);
        }
        self.put(mov(Reg::R1, Operand::Reg(POINTER)));
        self.put(mov(Reg::R2, Operand::Imm(0)));
        let id = self.n.pick(&[FuncId::RINGBUF_SUBMIT, FuncId::RINGBUF_DISCARD]).0;
        self.put(Insn::CallHelper { id });
        self.renew();
        if self.n.once_in(30) {
            self.access(POINTER, 0, Size::W);
        }
        let off = (self.insns.len() - at - 1) as i16;
        self.insns[at] = Some(match self.n.once_in(2) {
            true => {
                Insn::Branch { width: Width::W64, cond: Cond::Eq, dst: POINTER, src: Operand::Imm(0), off }
            }
            // There always is room, for no more than one is open in each function.
            false => Insn::Goto { off: 0 },
        });
    }

    /// Gives r0 to r5 something after a call that leaves a pointer, or nothing, in r0.
    fn renew(&mut self) {
        let value = self.n.edge();
        self.put(Insn::LoadImm64 { dst: Reg::R0, value });
        self.refill();
    }
}
