//! Programs that compute addresses near every border, in every way that a compiler might lose track of, and use them.

use crate::helpers;
use crate::layout::{AREAS, Layout};
use skep_isa::{Addr, AluOp, Cond, Insn, LoadKind, Movsx, Operand, RawInsn, Reg, Size, Width};
use skep_lab_filetests::generate::{ATOMICS, CONDS, LOADS, Numbers, SIZES};

/// Hold pointers, over calls too.
const POINTERS: [Reg; 3] = [Reg::R6, Reg::R7, Reg::R8];
/// Hold anything for a while.
const SCRATCH: [Reg; 6] = [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5];
/// Counts rounds.
const COUNTER: Reg = Reg::R9;
/// Where functions keep what r1 was.
const KEPT: i16 = -8;

fn alu(op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op, dst, src }
}

const fn mov(dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src }
}

struct Digger<'n, 'l> {
    n: &'n mut Numbers,
    layout: &'l Layout,
    borders: Vec<u64>,
    /// Counts, of a hundred choices, those that lead anywhere; all others lead to where the program may go on.
    boldness: u64,
    /// Counts the other programs that it may go on in; where there are any, functions are not called by their numbers.
    more: u64,
    functions: usize,
    calls: Vec<(usize, usize)>,
    /// One for each slot; the second of a wide load has none.
    insns: Vec<Option<Insn>>,
}

/// Makes a program, one of several where there are more.
pub(super) fn slots(n: &mut Numbers, layout: &Layout, more: u64) -> Vec<RawInsn> {
    let functions = n.below(3) as usize;
    let borders = layout.borders();
    let boldness = n.pick(&[0, 2, 5, 10, 30, 100]);
    let mut digger =
        Digger { n, layout, borders, boldness, more, functions, calls: Vec::new(), insns: Vec::new() };
    let starts: Vec<usize> = (0..=functions).map(|number| digger.function(number)).collect();
    for (at, function) in std::mem::take(&mut digger.calls) {
        let off = starts[function] as i32 - at as i32 - 1;
        match &mut digger.insns[at] {
            Some(Insn::LoadAddr { addr, .. }) => *addr = Addr::Code { off },
            insn => *insn = Some(Insn::CallLocal { off }),
        }
    }
    digger.insns.iter().flatten().flat_map(|insn| insn.encode().to_vec()).collect()
}

impl Digger<'_, '_> {
    fn put(&mut self, insn: Insn) {
        self.insns.push(Some(insn));
        if insn.slots() == 2 {
            self.insns.push(None);
        }
    }

    fn is_bold(&mut self) -> bool {
        self.n.below(100) < self.boldness
    }

    /// Gives a register for a pointer. The first one holds the input's, until somebody is bold.
    fn target(&mut self) -> Reg {
        if self.is_bold() { self.n.pick(&POINTERS) } else { self.n.pick(&POINTERS[1..]) }
    }

    fn pointer(&mut self) -> Reg {
        self.n.pick(&POINTERS)
    }

    fn scratch(&mut self) -> Reg {
        self.n.pick(&SCRATCH)
    }

    fn function(&mut self, number: usize) -> usize {
        let start = self.insns.len();
        self.put(mov(Reg::R6, Operand::Reg(Reg::R1)));
        let second = if self.is_bold() { Reg::R2 } else { Reg::R6 };
        self.put(mov(Reg::R7, Operand::Reg(second)));
        self.put(mov(Reg::R8, Operand::Reg(Reg::R6)));
        self.put(mov(COUNTER, Operand::Reg(Reg::R2)));
        if self.n.once_in(2) {
            self.put(Insn::Store { size: Size::Dw, base: Reg::FP, off: KEPT, src: Operand::Reg(Reg::R1) });
        }
        let follows = number == 0 && self.more > 0;
        let len = if follows && self.n.once_in(2) { 1 } else { 3 + self.n.below(10) };
        self.block(number, 0, len);
        if follows {
            self.follow();
        }
        if self.boldness > 0 && !self.n.once_in(3) {
            self.leap();
        }
        for reg in [Reg::R1, Reg::R6, Reg::R7, Reg::R8] {
            self.put(alu(AluOp::Mul, Reg::R0, Operand::Imm(31)));
            self.put(alu(AluOp::Add, Reg::R0, Operand::Reg(reg)));
        }
        self.put(Insn::Exit);
        start
    }

    fn block(&mut self, function: usize, depth: u32, len: u64) {
        for _ in 0..len {
            match self.n.below(20) {
                0..=3 => self.find(),
                4..=5 => self.shift(),
                6..=8 => self.access(),
                9..=12 => self.cluster(),
                13 if depth < 3 => self.fork(function, depth),
                14 if depth < 2 => self.walk(function, depth),
                15 => self.guarded(),
                16 if self.n.once_in(2) => self.borrow(),
                16 => self.keep(),
                17 if self.more > 0 && self.n.once_in(2) => self.follow(),
                17 => self.help(),
                19 if self.boldness > 0 && self.n.once_in(2) => self.hop(),
                18 if function < self.functions => self.call(function + 1),
                _ => self.compute(),
            }
        }
    }

    /// Gets a pointer into memory that has some room on both sides.
    fn find(&mut self) {
        if self.is_bold() {
            return self.find_any();
        }
        let dst = self.target();
        let inside = 16 + 8 * self.n.below(6);
        match self.n.below(6) {
            0 => {
                let area = self.n.pick(&self.layout.areas);
                self.put(Insn::LoadImm64 { dst, value: area.base + inside });
            }
            1 => {
                let off = inside as u32;
                self.put(Insn::LoadAddr { dst, addr: Addr::MapValueIndex { index: 0, off } });
            }
            2 => {
                self.put(mov(dst, Operand::Reg(Reg::FP)));
                self.put(alu(AluOp::Sub, dst, Operand::Imm(64)));
            }
            3 => {
                let id = if self.n.once_in(3) { helpers::FROZEN } else { helpers::LOW };
                self.put(Insn::CallHelper { id });
                self.put(mov(dst, Operand::Reg(Reg::R0)));
                self.put(alu(AluOp::Add, dst, Operand::Imm(inside as i32)));
            }
            _ => {
                self.put(mov(dst, Operand::Reg(Reg::R6)));
                self.put(alu(AluOp::Add, dst, Operand::Imm(inside as i32)));
            }
        }
    }

    /// Gets what may be a pointer.
    fn find_any(&mut self) {
        let dst = self.pointer();
        match self.n.below(9) {
            0 => {
                let value = self.n.pick(&self.borders);
                self.put(Insn::LoadImm64 { dst, value });
            }
            1 => {
                let value = self.n.pick(&self.borders).wrapping_add(self.n.below(33)).wrapping_sub(16);
                self.put(Insn::LoadImm64 { dst, value });
            }
            2 => {
                let off = self.n.below(self.layout.areas[3].len.max(1)) as u32;
                self.put(Insn::LoadAddr { dst, addr: Addr::MapValueIndex { index: 0, off } });
            }
            3 => {
                let src = self.pointer();
                self.put(mov(dst, Operand::Reg(src)));
            }
            4 => self.put(mov(dst, Operand::Reg(Reg::FP))),
            5 => self.put(Insn::Load { kind: LoadKind::U64, dst, base: Reg::FP, off: KEPT }),
            6 => {
                let (base, off) = (self.pointer(), 8 * self.n.below(8) as i16);
                self.put(Insn::Load { kind: LoadKind::U64, dst, base, off });
            }
            7 => {
                let choice = self.n.below(8) as i32;
                self.put(mov(Reg::R1, Operand::Imm(choice)));
                self.put(Insn::CallHelper { id: helpers::LOW });
                self.put(mov(dst, Operand::Reg(Reg::R0)));
            }
            _ => {
                let (area, near) = (self.n.below(AREAS.len() as u64), self.n.below(0x200));
                self.put(mov(Reg::R1, Operand::Imm(area as i32)));
                self.put(mov(Reg::R2, Operand::Imm(near as i32)));
                self.put(Insn::CallHelper { id: helpers::AREA });
                self.put(mov(dst, Operand::Reg(Reg::R0)));
            }
        }
    }

    /// Gives a distance that leads from one border to another now and then.
    fn distance(&mut self) -> i64 {
        let area = self.n.pick(&self.layout.areas);
        let near = self.n.below(18) as i64 - 9;
        match self.n.below(8) {
            // What only some of a number's bits see.
            7 => self.n.pick(&[1i64 << 32, -1 << 32, 1 << 16, 1 << 31, 1 << 40, 1 << 48, i64::MIN]),
            0 => near,
            1 => area.len as i64 + near,
            2 => -(area.len as i64) + near,
            3 => {
                self.n.pick(&[i64::from(i16::MAX), i64::from(i16::MIN), i64::from(i32::MAX), i32::MIN.into()])
            }
            4 => i64::from(self.layout.stack_bytes) + near,
            5 => (self.n.pick(&self.borders).wrapping_sub(area.base)) as i64,
            _ => self.n.below(64) as i64,
        }
    }

    /// Moves a pointer a little.
    fn shift(&mut self) {
        if self.is_bold() {
            return self.shift_anyhow();
        }
        let (dst, by) = (self.target(), 8 * self.n.below(3) as i32);
        let op = self.n.pick(&[AluOp::Add, AluOp::Sub]);
        match self.n.below(3) {
            0 => {
                let (reg, kind, off) = (self.scratch(), self.n.pick(&LOADS), 8 * self.n.below(4) as i16);
                self.put(Insn::Load { kind, dst: reg, base: Reg::R6, off });
                self.put(alu(AluOp::And, reg, Operand::Imm(7)));
                self.put(alu(AluOp::Lsh, reg, Operand::Imm(by / 8)));
                self.put(alu(op, dst, Operand::Reg(reg)));
            }
            1 => {
                let reg = self.scratch();
                self.put(mov(reg, Operand::Imm(by)));
                self.put(alu(op, dst, Operand::Reg(reg)));
            }
            _ => self.put(alu(op, dst, Operand::Imm(by))),
        }
    }

    /// Moves a pointer, or makes something else of it.
    fn shift_anyhow(&mut self) {
        let dst = self.pointer();
        let by = self.distance();
        match self.n.below(8) {
            0..=2 => {
                let op = self.n.pick(&[AluOp::Add, AluOp::Sub]);
                self.put(alu(op, dst, Operand::Imm(by as i32)));
            }
            3 | 7 => {
                let reg = self.scratch();
                self.put(Insn::LoadImm64 { dst: reg, value: by as u64 });
                let op = self.n.pick(&[AluOp::Add, AluOp::Sub]);
                self.put(alu(op, dst, Operand::Reg(reg)));
            }
            4 => {
                // An index from memory, with a scale.
                let (reg, base) = (self.scratch(), self.pointer());
                let kind = self.n.pick(&LOADS);
                let off = self.n.below(40) as i16;
                self.put(Insn::Load { kind, dst: reg, base, off });
                if self.n.once_in(2) {
                    self.put(alu(AluOp::And, reg, Operand::Imm(0x3f)));
                }
                let scale = self.n.below(4) as i32;
                self.put(alu(AluOp::Lsh, reg, Operand::Imm(scale)));
                self.put(alu(AluOp::Add, dst, Operand::Reg(reg)));
            }
            5 => {
                // What only numbers of 32 bits survive.
                let src = Operand::Reg(dst);
                self.put(Insn::Alu { width: Width::W32, op: AluOp::Mov, dst, src });
            }
            6 => {
                let kind = self.n.pick(&[Movsx::S32To64, Movsx::S16To64]);
                let src = self.scratch();
                self.put(mov(src, Operand::Imm(by as i32)));
                self.put(Insn::Movsx { kind, dst: src, src });
                self.put(alu(AluOp::Add, dst, Operand::Reg(src)));
            }
            _ => {
                let op = self.n.pick(&[AluOp::And, AluOp::Or, AluOp::Xor]);
                let imm = self.n.pick(&[-1, -8, -4096, 7, 1, i32::MIN]);
                self.put(alu(op, dst, Operand::Imm(imm)));
            }
        }
    }

    /// Accesses memory through a pointer that was good, a little or a lot beyond where it may: the last thing that a function
    /// does.
    fn leap(&mut self) {
        let size = self.n.pick(&SIZES);
        let area = self.n.pick(&self.layout.areas);
        let mut end = area.len as i64 - i64::from(size.bytes());
        match self.n.below(4) {
            3 => {
                end = -i64::from(size.bytes());
                self.put(mov(Reg::R7, Operand::Reg(Reg::FP)));
            }
            0 => {
                let id = self.n.pick(&[helpers::LOW, helpers::FROZEN]);
                self.put(mov(Reg::R1, Operand::Imm(0)));
                self.put(Insn::CallHelper { id });
                self.put(mov(Reg::R7, Operand::Reg(Reg::R0)));
            }
            1 => self.put(Insn::LoadAddr { dst: Reg::R7, addr: Addr::MapValueIndex { index: 0, off: 0 } }),
            _ => self.put(mov(Reg::R7, Operand::Reg(Reg::R6))),
        }
        let by = match self.n.below(6) {
            0 => self.n.pick(&[1i64 << 32, -1 << 32, 1 << 31, 1 << 63, 1 << 40]),
            1 => -1 - self.n.below(8) as i64,
            2 => end,
            3..=4 => end + 1,
            _ => end + self.n.below(10) as i64,
        };
        match self.n.once_in(2) {
            true => {
                self.put(Insn::LoadImm64 { dst: Reg::R2, value: by as u64 });
                self.put(alu(AluOp::Add, Reg::R7, Operand::Reg(Reg::R2)));
            }
            false => self.put(alu(AluOp::Add, Reg::R7, Operand::Imm(by as i32))),
        }
        if self.n.once_in(4) {
            self.put(mov(Reg::R1, Operand::Reg(Reg::R7)));
            self.put(mov(Reg::R2, Operand::Imm(7)));
            self.put(Insn::CallHelper { id: helpers::FILL });
        }
        self.one(Reg::R7, 0, size);
        if self.n.once_in(2) {
            self.one(Reg::R7, 1, size);
        }
    }

    /// Uses memory that a helper lends for a while, at one place before it is taken away and afterwards.
    fn borrow(&mut self) {
        let (base, size) = (self.target(), self.n.pick(&SIZES));
        let off = 8 * self.n.below(3) as i16;
        self.put(mov(COUNTER, Operand::Imm(2)));
        self.put(Insn::CallHelper { id: helpers::OPEN });
        self.put(mov(base, Operand::Reg(Reg::R0)));
        let start = self.insns.len();
        self.one(base, off, size);
        let id = if self.n.below(200) < self.boldness { helpers::CLOSE } else { helpers::OPEN };
        self.put(Insn::CallHelper { id });
        self.put(alu(AluOp::Sub, COUNTER, Operand::Imm(1)));
        let off = (start as i32 - self.insns.len() as i32 - 1) as i16;
        let (dst, src) = (COUNTER, Operand::Imm(0));
        self.put(Insn::Branch { width: Width::W64, cond: Cond::Sgt, dst, src, off });
    }

    /// Goes from one memory to another, and uses what is there.
    fn hop(&mut self) {
        let (dst, reg) = (self.target(), self.scratch());
        let areas = &self.layout.areas;
        let (from, to) = (self.n.pick(areas), self.n.pick(areas));
        let from = if self.n.once_in(2) { areas[0] } else { from };
        self.put(mov(dst, Operand::Reg(Reg::R6)));
        self.put(Insn::LoadImm64 { dst: reg, value: to.base.wrapping_sub(from.base).wrapping_add(16) });
        self.put(alu(AluOp::Add, dst, Operand::Reg(reg)));
        if self.n.once_in(2) {
            let (size, off) = (self.n.pick(&SIZES), 8 * self.n.below(2) as i16);
            self.one(dst, off, size);
        }
    }

    /// Gives an offset of an access that lies at a border of something if the pointer does.
    fn off(&mut self, size: Size) -> i16 {
        let bytes = size.bytes() as i16;
        if !self.is_bold() {
            return bytes * self.n.below(32 / bytes as u64) as i16;
        }
        let len = self.n.pick(&self.layout.areas).len as i16;
        match self.n.below(8) {
            0 => len.wrapping_sub(bytes),
            1 => len.wrapping_sub(bytes).wrapping_add(1),
            2 => -1,
            3 => -bytes,
            4 => self.n.pick(&[i16::MAX, i16::MIN, 4096 - 1, 4095 - 8]),
            5 => -(self.n.below(64) as i16),
            _ => self.n.below(64) as i16,
        }
    }

    fn one(&mut self, base: Reg, off: i16, size: Size) {
        let insn = match self.n.below(9) {
            0..=3 => {
                let kinds: Vec<_> = LOADS.into_iter().filter(|kind| kind.size() == size).collect();
                Insn::Load { kind: self.n.pick(&kinds), dst: self.scratch(), base, off }
            }
            4..=5 => Insn::Store { size, base, off, src: Operand::Reg(self.scratch()) },
            6 => Insn::Store { size, base, off, src: Operand::Imm(self.n.edge() as i32) },
            7 if matches!(size, Size::W | Size::Dw) => {
                let width = if size == Size::W { Width::W32 } else { Width::W64 };
                Insn::Atomic { width, op: self.n.pick(&ATOMICS), base, off, src: self.scratch() }
            }
            7 => Insn::StoreRelease { size, base, off, src: self.scratch() },
            _ => Insn::LoadAcquire { size, dst: self.scratch(), base, off },
        };
        self.put(insn);
    }

    fn access(&mut self) {
        let size = self.n.pick(&SIZES);
        match self.n.once_in(6) {
            true => {
                let off = if self.is_bold() {
                    // Where the function's stack ends, or all of them do.
                    let edge = self.n.pick(&[0, -(self.layout.stack_bytes as i16)]);
                    edge - size.bytes() as i16 + self.n.below(10) as i16 - 1
                } else {
                    self.off(size).wrapping_sub(64)
                };
                self.one(Reg::FP, off, size);
            }
            false => {
                let (base, off) = (self.pointer(), self.off(size));
                self.one(base, off, size);
            }
        }
    }

    /// Accesses several places from one base, as compilers merge the checks of; what lies between may move the base.
    fn cluster(&mut self) {
        let base = self.pointer();
        let size = self.n.pick(&SIZES);
        let mut off = self.off(size);
        let bytes = size.bytes() as i16;
        let step = self.n.pick(&[bytes, bytes, 8, -bytes, 16]);
        for _ in 0..2 + self.n.below(5) {
            let size = if self.n.once_in(3) { self.n.pick(&SIZES) } else { size };
            self.one(base, off, size);
            off = off.wrapping_add(step);
            match self.n.below(14) {
                0 => self.compute(),
                1 if base != Reg::R6 => self.put(alu(AluOp::Add, base, Operand::Imm(i32::from(step)))),
                2 => off = self.off(size),
                _ => {}
            }
        }
    }

    fn branch(&mut self, dst: Reg, src: Operand) -> usize {
        let width = self.n.pick(&[Width::W32, Width::W64, Width::W64]);
        let cond = self.n.pick(&CONDS);
        self.put(Insn::Branch { width, cond, dst, src, off: 0 });
        self.insns.len() - 1
    }

    /// Lets a jump lead to what comes next.
    fn land(&mut self, at: usize) {
        let off = (self.insns.len() - at - 1) as i16;
        if let Some(Insn::Branch { off: to, .. } | Insn::Goto { off: to }) = &mut self.insns[at] {
            *to = off;
        }
    }

    /// Comes to the same pointer, or access, on two ways.
    fn fork(&mut self, function: usize, depth: u32) {
        let (reg, imm) = (self.scratch(), self.n.edge() as i32);
        let at = self.branch(reg, Operand::Imm(imm));
        let base = self.pointer();
        match self.n.below(3) {
            // One way has checked more.
            0 => {
                let size = self.n.pick(&SIZES);
                let off = self.off(size);
                self.one(base, off, size);
                self.land(at);
                self.one(base, off, size);
                self.one(base, 0, Size::B);
            }
            // The pointer is another one.
            1 => {
                self.find();
                let over = self.insns.len();
                self.put(Insn::Goto { off: 0 });
                self.land(at);
                self.shift();
                self.land(over);
                self.cluster();
            }
            _ => {
                let len = 1 + self.n.below(4);
                self.block(function, depth + 1, len);
                self.land(at);
            }
        }
    }

    /// Walks along memory, perhaps past its end.
    fn walk(&mut self, function: usize, depth: u32) {
        let base = self.target();
        let (times, step) = match self.is_bold() {
            true => (300, self.n.pick(&[1, 2, 4, 8, 8, -8, 64, 4096])),
            false => (1 + self.n.below(8) as i32, self.n.pick(&[1, 2, 4, 8])),
        };
        self.put(mov(COUNTER, Operand::Imm(times)));
        let start = self.insns.len();
        let size = self.n.pick(&SIZES);
        let off = self.n.below(9) as i16;
        self.one(base, off, size);
        if self.n.once_in(3) {
            self.block(function, depth + 1, 2);
        }
        self.put(alu(AluOp::Add, base, Operand::Imm(step)));
        self.put(alu(AluOp::Sub, COUNTER, Operand::Imm(1)));
        let off = (start as i32 - self.insns.len() as i32 - 1) as i16;
        let (dst, src) = (COUNTER, Operand::Imm(0));
        self.put(Insn::Branch { width: Width::W64, cond: Cond::Sgt, dst, src, off });
    }

    /// Accesses behind a comparison with a length that is right, or nearly.
    fn guarded(&mut self) {
        let (index, base) = (self.scratch(), Reg::R6);
        let off = 8 * self.n.below(4) as i16;
        let size = self.n.pick(&SIZES);
        let limit = self.layout.areas[0].len as i32 - size.bytes() as i32 + i32::from(self.is_bold());
        self.put(Insn::Load { kind: LoadKind::U8, dst: index, base: Reg::R6, off });
        let (dst, src) = (index, Operand::Imm(limit));
        self.put(Insn::Branch { width: Width::W64, cond: Cond::Gt, dst, src, off: 0 });
        let at = self.insns.len() - 1;
        self.put(alu(AluOp::Add, base, Operand::Reg(index)));
        self.one(base, 0, size);
        self.put(alu(AluOp::Sub, base, Operand::Reg(index)));
        self.land(at);
    }

    /// Puts a pointer away, or gets it back.
    fn keep(&mut self) {
        let off = KEPT - 8 * self.n.below(3) as i16;
        let reg = self.target();
        let insn = match self.n.below(3) {
            0 if self.is_bold() => Insn::Load { kind: LoadKind::U64, dst: reg, base: Reg::FP, off },
            1 => Insn::Store { size: self.n.pick(&SIZES), base: Reg::FP, off, src: Operand::Reg(reg) },
            _ => Insn::Store { size: Size::Dw, base: Reg::FP, off, src: Operand::Reg(reg) },
        };
        self.put(insn);
    }

    fn help(&mut self) {
        let pointer = self.pointer();
        self.put(mov(Reg::R1, Operand::Reg(pointer)));
        let by = self.distance();
        if self.is_bold() {
            self.put(alu(AluOp::Add, Reg::R1, Operand::Imm(by as i32)));
        }
        let len = self.n.below(64) as i32;
        self.put(mov(Reg::R2, Operand::Imm(len)));
        let id = match self.n.below(10) {
            0 => helpers::SUM,
            1 => helpers::UNWIND,
            2 => helpers::MIX,
            _ => helpers::FILL,
        };
        match self.more == 0 && self.n.once_in(8) {
            true => {
                let named = if self.n.once_in(8) { -1 } else { id as i32 };
                self.put(mov(Reg::R0, Operand::Imm(named)));
                self.put(Insn::CallReg { reg: Reg::R0 });
            }
            false => self.put(Insn::CallHelper { id }),
        }
    }

    /// Goes on in another program, or nearly.
    fn follow(&mut self) {
        let position = match self.is_bold() {
            true => self.n.pick(&[-1, i32::MIN, i32::MAX, 1 << 16, self.more as i32 + 1]),
            false => self.n.below(self.more + 2) as i32,
        };
        self.put(mov(Reg::R3, Operand::Imm(position)));
        if self.is_bold() {
            let (kind, off) = (self.n.pick(&LOADS), self.n.below(40) as i16);
            self.put(Insn::Load { kind, dst: Reg::R3, base: Reg::R6, off });
        }
        self.put(Insn::CallHelper { id: helpers::FOLLOW });
    }

    fn call(&mut self, function: usize) {
        let pointer = self.pointer();
        self.put(mov(Reg::R1, Operand::Reg(pointer)));
        let pointer = self.pointer();
        self.put(mov(Reg::R2, Operand::Reg(pointer)));
        self.put(alu(AluOp::Add, Reg::R2, Operand::Imm(8)));
        // Now and then without end.
        let function = if self.n.once_in(8) { function.saturating_sub(1).max(1) } else { function };
        if self.more == 0 && self.n.once_in(3) {
            return self.visit(function);
        }
        self.calls.push((self.insns.len(), function));
        if self.more > 0 || !self.n.once_in(4) {
            return self.put(Insn::CallLocal { off: 0 });
        }
        // By its number, or nearly.
        self.put(Insn::LoadAddr { dst: Reg::R0, addr: Addr::Code { off: 0 } });
        if self.is_bold() {
            let by = self.n.pick(&[1, 8, 64, -8, i32::MIN]);
            self.put(alu(AluOp::Add, Reg::R0, Operand::Imm(by)));
        }
        self.put(Insn::CallReg { reg: Reg::R0 });
    }

    /// Lets a helper call a function.
    fn visit(&mut self, function: usize) {
        self.calls.push((self.insns.len(), function));
        self.put(Insn::LoadAddr { dst: Reg::R1, addr: Addr::Code { off: 0 } });
        if self.is_bold() {
            let by = self.n.pick(&[1, 8, -1, i32::MIN]);
            self.put(alu(AluOp::Add, Reg::R1, Operand::Imm(by)));
        }
        let pointer = self.pointer();
        self.put(mov(Reg::R2, Operand::Reg(pointer)));
        let rounds = self.n.below(3) as i32;
        self.put(mov(Reg::R3, Operand::Imm(rounds)));
        self.put(Insn::CallHelper { id: helpers::EACH });
        if self.n.once_in(2) {
            self.put(mov(Reg::R7, Operand::Reg(pointer)));
        }
    }

    fn compute(&mut self) {
        let (dst, src) = (self.scratch(), self.scratch());
        let width = self.n.pick(&[Width::W32, Width::W64]);
        let op = self.n.pick(&[AluOp::Add, AluOp::Sub, AluOp::Xor, AluOp::Mul, AluOp::Mov, AluOp::Arsh]);
        let src = match self.n.below(3) {
            0 if op != AluOp::Arsh => Operand::Imm(self.n.edge() as i32),
            1 if op != AluOp::Arsh => Operand::Reg(self.pointer()),
            _ => Operand::Reg(src),
        };
        self.put(Insn::Alu { width, op, dst, src });
    }
}
