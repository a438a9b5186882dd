//! Every operation on every pair of registers, with all the others in use: machine code has registers of its own for
//! shifts, divisions, byte stores and comparisons, and has to bring the program's there and back. What must come of a
//! program is computed here, by RFC 9669 and nothing of the engines.

use skep_isa::{
    AluOp, AtomicOp, Builder, Cond, Endian, LoadKind, Movsx, Operand, Reg, Size, SwapWidth, Width,
};
use skep_lab_filetests::generate::{ATOMICS, CONDS, LOADS, OPS, SIZES};
use skep_lab_filetests::{Case, Embedded, Engine, Exact, Expected, Input, Interpreter, check};

/// Where the address of the memory is kept while its register is in use, on the stack.
const SAVED: i16 = -8;

/// Where the registers go at the end.
const REGS: i16 = -88;

/// What memory operations work on.
const CELL: i16 = -96;

/// A program as it grows, and what its registers and its cell hold by then.
struct Model {
    b: Builder,
    regs: [u64; 10],
    cell: u64,
    state: u64,
}

fn reg(index: usize) -> Reg {
    Reg::ALL[index]
}

impl Model {
    /// A number whose halves, bytes and signs differ each time.
    fn number(&mut self) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.state ^ self.state >> 31
    }

    /// An offset, often the least or the greatest that there is.
    fn offset(&mut self) -> i16 {
        match self.number() >> 62 {
            0 => i16::MIN,
            1 => i16::MAX,
            _ => self.number() as i16,
        }
    }

    /// Keeps a register from becoming what every operation leaves alone.
    fn stir(&mut self, dst: usize) {
        let imm = self.number() as i32;
        self.b.alu(AluOp::Xor, reg(dst), imm);
        self.regs[dst] ^= i64::from(imm) as u64;
    }

    fn set(&mut self, dst: usize, value: u64) {
        self.b.imm64(reg(dst), value);
        self.regs[dst] = value;
    }

    /// Makes a register the address of the cell less a distance.
    fn point(&mut self, base: usize, off: i16) {
        self.b.mov(reg(base), Reg::R10).add(reg(base), i32::from(CELL) - i32::from(off));
    }

    fn alu(&mut self, width: Width, op: AluOp, dst: usize, src: usize) {
        match width {
            Width::W64 => self.b.alu(op, reg(dst), reg(src)),
            Width::W32 => self.b.alu32(op, reg(dst), reg(src)),
        };
        self.regs[dst] = alu(width, op, self.regs[dst], self.regs[src]);
    }

    fn neg(&mut self, width: Width, dst: usize) {
        match width {
            Width::W64 => self.b.neg(reg(dst)),
            Width::W32 => self.b.neg32(reg(dst)),
        };
        self.regs[dst] = alu(width, AluOp::Sub, 0, self.regs[dst]);
    }

    /// Jumps over a change of a register, or does not.
    fn branch(&mut self, width: Width, cond: Cond, dst: usize, src: Operand) {
        let label = self.b.label();
        match width {
            Width::W64 => self.b.branch(cond, reg(dst), src, label),
            Width::W32 => self.b.branch32(cond, reg(dst), src, label),
        };
        let right = match src {
            Operand::Reg(src) => self.regs[src.index()],
            Operand::Imm(imm) => i64::from(imm) as u64,
        };
        let before = self.regs[dst];
        self.stir(dst);
        if holds(width, cond, before, right) {
            self.regs[dst] = before;
        }
        self.b.bind(label);
    }

    fn movsx(&mut self, kind: Movsx, dst: usize, src: usize) {
        self.b.movsx(kind, reg(dst), reg(src));
        let value = self.regs[src];
        let extended = match kind.from() {
            Size::B => i64::from(value as i8),
            Size::H => i64::from(value as i16),
            _ => i64::from(value as i32),
        } as u64;
        self.regs[dst] = if kind.width() == Width::W32 { u64::from(extended as u32) } else { extended };
    }

    /// On a machine whose bytes go from the least to the greatest.
    fn byte_swap(&mut self, op: Endian, width: SwapWidth, dst: usize) {
        self.b.byte_swap(op, width, reg(dst));
        let bits = width.bits();
        let kept = self.regs[dst] & (u64::MAX >> (64 - bits));
        self.regs[dst] = if op == Endian::ToLe { kept } else { kept.swap_bytes() >> (64 - bits) };
    }

    fn load(&mut self, kind: LoadKind, dst: usize, base: usize) {
        let off = self.offset();
        self.point(base, off);
        self.b.load(kind, reg(dst), reg(base), off);
        let value = match kind {
            LoadKind::U8 => u64::from(self.cell as u8),
            LoadKind::U16 => u64::from(self.cell as u16),
            LoadKind::U32 => u64::from(self.cell as u32),
            LoadKind::U64 => self.cell,
            LoadKind::S8 => i64::from(self.cell as i8) as u64,
            LoadKind::S16 => i64::from(self.cell as i16) as u64,
            LoadKind::S32 => i64::from(self.cell as i32) as u64,
        };
        if base != dst {
            let other = self.number();
            self.set(base, other);
        }
        self.regs[dst] = value;
    }

    fn store(&mut self, size: Size, base: usize, src: usize) {
        let off = self.offset();
        self.point(base, off);
        self.b.store(size, reg(base), off, reg(src));
        self.put(size, self.regs[src]);
        let other = self.number();
        self.set(base, other);
    }

    fn store_number(&mut self, size: Size, base: usize) {
        let (off, imm) = (self.offset(), self.number() as i32);
        self.point(base, off);
        self.b.store(size, reg(base), off, imm);
        self.put(size, i64::from(imm) as u64);
        let other = self.number();
        self.set(base, other);
    }

    fn load_acquire(&mut self, size: Size, dst: usize, base: usize) {
        let off = self.offset();
        self.point(base, off);
        self.b.load_acquire(size, reg(dst), reg(base), off);
        let value = self.cell & (u64::MAX >> (64 - size.bits()));
        if base != dst {
            let other = self.number();
            self.set(base, other);
        }
        self.regs[dst] = value;
    }

    fn store_release(&mut self, size: Size, base: usize, src: usize) {
        let off = self.offset();
        self.point(base, off);
        self.b.store_release(size, reg(base), off, reg(src));
        self.put(size, self.regs[src]);
        let other = self.number();
        self.set(base, other);
    }

    /// Writes the lowest bytes of the cell.
    fn put(&mut self, size: Size, value: u64) {
        let mask = u64::MAX >> (64 - size.bits());
        self.cell = self.cell & !mask | value & mask;
    }

    fn atomic(&mut self, width: Width, op: AtomicOp, base: usize, src: usize) {
        let off = self.offset();
        if op == AtomicOp::Cmpxchg && self.number() >> 63 == 0 {
            // Half of the time they are equal.
            self.b.store(Size::Dw, Reg::R10, CELL, Reg::R0);
            self.cell = self.regs[0];
        }
        self.point(base, off);
        match width {
            Width::W64 => self.b.atomic(op, reg(base), off, reg(src)),
            Width::W32 => self.b.atomic32(op, reg(base), off, reg(src)),
        };
        let cut = |value: u64| if width == Width::W32 { u64::from(value as u32) } else { value };
        let (old, operand) = (cut(self.cell), self.regs[src]);
        let new = match op {
            AtomicOp::Add | AtomicOp::FetchAdd => old.wrapping_add(operand),
            AtomicOp::Or | AtomicOp::FetchOr => old | operand,
            AtomicOp::And | AtomicOp::FetchAnd => old & operand,
            AtomicOp::Xor | AtomicOp::FetchXor => old ^ operand,
            AtomicOp::Xchg => operand,
            AtomicOp::Cmpxchg if old == cut(self.regs[0]) => operand,
            AtomicOp::Cmpxchg => old,
        };
        self.put(width.size(), new);
        match op {
            AtomicOp::Cmpxchg => self.regs[0] = old,
            _ if op.fetches() => self.regs[src] = old,
            _ => {}
        }
        let other = self.number();
        self.set(base, other);
    }
}

/// RFC 9669 §4.1.
fn alu(width: Width, op: AluOp, dst: u64, src: u64) -> u64 {
    if width == Width::W32 {
        let (left, right) = (dst as u32, src as u32);
        return u64::from(match op {
            AluOp::Arsh => ((left as i32) >> (right & 31)) as u32,
            AluOp::Rsh => left >> (right & 31),
            AluOp::Lsh => left << (right & 31),
            AluOp::Sdiv if right == 0 => 0,
            AluOp::Sdiv => (left as i32).wrapping_div(right as i32) as u32,
            AluOp::Smod if right == 0 => left,
            AluOp::Smod => (left as i32).wrapping_rem(right as i32) as u32,
            // The others do to the lower half what they do to a number that is no larger.
            _ => alu(Width::W64, op, left.into(), right.into()) as u32,
        });
    }
    match op {
        AluOp::Add => dst.wrapping_add(src),
        AluOp::Sub => dst.wrapping_sub(src),
        AluOp::Mul => dst.wrapping_mul(src),
        AluOp::Div => dst.checked_div(src).unwrap_or(0),
        AluOp::Sdiv if src == 0 => 0,
        AluOp::Sdiv => (dst as i64).wrapping_div(src as i64) as u64,
        AluOp::Or => dst | src,
        AluOp::And => dst & src,
        AluOp::Lsh => dst << (src & 63),
        AluOp::Rsh => dst >> (src & 63),
        AluOp::Mod => dst.checked_rem(src).unwrap_or(dst),
        AluOp::Smod if src == 0 => dst,
        AluOp::Smod => (dst as i64).wrapping_rem(src as i64) as u64,
        AluOp::Xor => dst ^ src,
        AluOp::Mov => src,
        AluOp::Arsh => ((dst as i64) >> (src & 63)) as u64,
    }
}

/// RFC 9669 §4.3.
fn holds(width: Width, cond: Cond, dst: u64, src: u64) -> bool {
    let (left, right) = match width {
        Width::W64 => (dst, src),
        // What the sign says of the lower halves, it says of them extended by it.
        Width::W32 => (i64::from(dst as i32) as u64, i64::from(src as i32) as u64),
    };
    match cond {
        Cond::Eq => left == right,
        Cond::Ne => left != right,
        Cond::Set => left & right != 0,
        Cond::Gt => left > right,
        Cond::Ge => left >= right,
        Cond::Lt => left < right,
        Cond::Le => left <= right,
        Cond::Sgt => left as i64 > right as i64,
        Cond::Sge => left as i64 >= right as i64,
        Cond::Slt => (left as i64) < right as i64,
        Cond::Sle => left as i64 <= right as i64,
    }
}

/// Makes a case: all registers are loaded from memory, so that no engine knows them, and written back.
fn case(name: String, body: impl FnOnce(&mut Model)) -> Case {
    let mut model = Model { b: Builder::new(), regs: [0; 10], cell: 0, state: name.len() as u64 };
    model.regs = std::array::from_fn(|_| model.number());
    model.cell = model.number();
    let words = |model: &Model| -> Vec<u8> {
        model.regs.iter().chain([&model.cell]).flat_map(|word| word.to_ne_bytes()).collect()
    };
    let memory = words(&model);
    let place = |index: usize| 8 * index as i16;
    model.b.store(Size::Dw, Reg::R10, SAVED, Reg::R1);
    model.b.load(LoadKind::U64, Reg::R0, Reg::R1, place(10)).store(Size::Dw, Reg::R10, CELL, Reg::R0);
    for index in [0, 2, 3, 4, 5, 6, 7, 8, 9, 1] {
        model.b.load(LoadKind::U64, reg(index), Reg::R1, place(index));
    }
    body(&mut model);
    for index in 0..10 {
        model.b.store(Size::Dw, Reg::R10, REGS + place(index), reg(index));
    }
    model.b.load(LoadKind::U64, Reg::R1, Reg::R10, SAVED);
    for (index, from) in (0..10).map(|index| (index, REGS + place(index))).chain([(10, CELL)]) {
        model.b.load(LoadKind::U64, Reg::R2, Reg::R10, from).store(Size::Dw, Reg::R1, place(index), Reg::R2);
    }
    let (program, _) =
        model.b.mov(Reg::R0, 0).exit().finish().unwrap_or_else(|error| panic!("{name}: {error}"));
    let slots: Vec<_> = program.encode().collect();
    Case {
        lines: (1..).take(slots.len()).collect(),
        slots,
        leaves: Some(words(&model)),
        name,
        input: Input::Memory(memory),
        fuel: 100_000,
        unwritten_is_zero: false,
        register_calls: false,
        expected: Expected::Returns(0),
        besides: Vec::new(),
    }
}

/// A case for each operation, with every pair of registers that it can have.
fn all_cases() -> Vec<Case> {
    let pairs = || (0..10).flat_map(|dst| (0..10).map(move |src| (dst, src)));
    let others = || pairs().filter(|(base, src)| base != src);
    let mut cases = Vec::new();
    for width in [Width::W32, Width::W64] {
        for op in OPS.into_iter().chain([AluOp::Mov]) {
            cases.push(case(format!("{op:?} {width:?}"), |model| {
                for (dst, src) in pairs() {
                    model.alu(width, op, dst, src);
                    model.stir(dst);
                }
            }));
        }
        cases.push(case(format!("neg {width:?}"), |model| (0..10).for_each(|dst| model.neg(width, dst))));
        for cond in CONDS {
            cases.push(case(format!("{cond:?} {width:?}"), |model| {
                for (dst, src) in pairs() {
                    model.branch(width, cond, dst, reg(src).into());
                }
                for (dst, imm) in (0..10).flat_map(|dst| [i32::MIN, -1, 0, 1, i32::MAX].map(|imm| (dst, imm)))
                {
                    // Equal numbers are rare, so half of them are made.
                    if imm & 1 == 0 {
                        model.set(dst, i64::from(imm) as u64);
                    }
                    model.branch(width, cond, dst, imm.into());
                }
            }));
        }
        for op in ATOMICS {
            cases.push(case(format!("atomic {op:?} {width:?}"), |model| {
                // To compare an address with a number is no program's business.
                for (base, src) in others().filter(|(base, _)| op != AtomicOp::Cmpxchg || *base != 0) {
                    model.atomic(width, op, base, src);
                    model.stir(src);
                }
            }));
        }
    }
    for kind in [Movsx::S8To32, Movsx::S16To32, Movsx::S8To64, Movsx::S16To64, Movsx::S32To64] {
        cases.push(case(format!("{kind:?}"), |model| {
            for (dst, src) in pairs() {
                model.movsx(kind, dst, src);
                model.stir(dst);
            }
        }));
    }
    for kind in LOADS {
        cases.push(case(format!("load {kind:?}"), |model| {
            for (dst, base) in pairs() {
                model.load(kind, dst, base);
                model.stir(dst);
            }
        }));
    }
    for size in SIZES {
        cases.push(case(format!("store {size:?}"), |model| {
            others().for_each(|(base, src)| model.store(size, base, src));
            (0..10).for_each(|base| model.store_number(size, base));
        }));
        cases.push(case(format!("acquire and release {size:?}"), |model| {
            for (dst, base) in pairs() {
                model.load_acquire(size, dst, base);
                model.stir(dst);
            }
            others().for_each(|(base, src)| model.store_release(size, base, src));
        }));
    }
    if cfg!(target_endian = "little") {
        cases.push(case("byte order".to_owned(), |model| {
            for op in [Endian::ToLe, Endian::ToBe, Endian::Swap] {
                for width in [SwapWidth::W16, SwapWidth::W32, SwapWidth::W64] {
                    for dst in 0..10 {
                        model.byte_swap(op, width, dst);
                        model.stir(dst);
                    }
                }
            }
        }));
    }
    cases
}

fn all_pass(engine: &dyn Engine) {
    let cases = all_cases();
    assert!(cases.len() > 80, "{} cases", cases.len());
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| check(engine, case).err().map(|error| format!("{}: {error}", case.name)))
        .collect();
    assert!(failed.is_empty(), "{} on {}:\n{}", failed.len(), engine.name(), failed.join("\n"));
}

#[test]
fn exact() {
    all_pass(&Exact);
}

#[test]
fn embedded() {
    all_pass(&Embedded);
}

#[test]
fn interpreter() {
    all_pass(&Interpreter);
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn jit() {
    all_pass(&skep_lab_filetests::Jit);
}

#[cfg(target_os = "linux")]
#[test]
fn linux() {
    let linux = skep_lab_filetests::Linux::new();
    match linux.is_usable() {
        Ok(()) => all_pass(&linux),
        Err(why) => println!("skipped: linux: {why}"),
    }
}

#[test]
fn a_wrong_model_fails() {
    let mut case = case("Add W64".to_owned(), |model| model.alu(Width::W64, AluOp::Add, 3, 4));
    assert_eq!(check(&Exact, &case), Ok(()));
    case.leaves.as_mut().expect("memory")[3 * 8] ^= 1;
    check(&Exact, &case).expect_err("another sum");
}
