//! Statements that compute, load and store.

use super::state::{Area, Kind, Slot};
use super::{Writer, reg};
use skep_abi::ProgType;
use skep_isa::{
    Addr, AluOp, AtomicOp, Cond, Endian, Insn, LoadKind, Movsx, PacketSize, Reg, Size, SwapWidth, Width,
};
use skep_model::platform::context::{Field, Meaning, Pointer, Touch};
use skep_model::platform::helper::Nullable;

const LOADS: &[LoadKind] = &[
    LoadKind::U8,
    LoadKind::U16,
    LoadKind::U32,
    LoadKind::U64,
    LoadKind::U64,
    LoadKind::S8,
    LoadKind::S16,
    LoadKind::S32,
];
const SIZES: &[Size] = &[Size::B, Size::H, Size::W, Size::Dw];
const OPS: &[AluOp] = &[
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
const ATOMICS: &[AtomicOp] = &[
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

impl Writer<'_> {
    pub(super) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.random.below(list.len() as u64) as usize]
    }

    /// Computes with numbers.
    pub(super) fn compute(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            let into = self.number();
            if into == Reg::FP || self.pinned[into.index()] {
                let (from, copy) = (into, self.free());
                if self.pinned[copy.index()] {
                    return;
                }
                self.mov(copy, from);
                continue;
            }
            self.set(into, Kind::Number(u64::MAX));
            match self.random.below(12) {
                0 => {
                    let width = self.one_of(&[Width::W32, Width::W64]);
                    self.b.push(Insn::Neg { width, dst: into });
                }
                1 => {
                    let from = self.number();
                    let kinds =
                        [Movsx::S8To32, Movsx::S16To32, Movsx::S8To64, Movsx::S16To64, Movsx::S32To64];
                    let kind = self.one_of(&kinds);
                    self.b.movsx(kind, into, from);
                }
                2 => {
                    let op = self.one_of(&[Endian::ToLe, Endian::ToBe, Endian::Swap]);
                    let width = self.one_of(&[SwapWidth::W16, SwapWidth::W32, SwapWidth::W64]);
                    self.b.byte_swap(op, width, into);
                }
                3 => {
                    let value = self.random.number();
                    self.b.imm64(into, value);
                    self.set(into, Kind::Number(value));
                }
                4 => {
                    let value = self.random.below(256) as i32;
                    self.constant(into, value);
                }
                5..=7 => {
                    let op = self.one_of(OPS);
                    let from = self.number();
                    let is_plain = !matches!(op, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod);
                    if from == into && !is_plain {
                        continue;
                    }
                    match self.random.once_in(2) {
                        true => self.alu(op, into, from),
                        false => self.alu32(op, into, from),
                    }
                }
                _ => {
                    let op = self.one_of(OPS);
                    let is_short = self.random.once_in(2);
                    let value = match op {
                        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if !self.forgets() => {
                            self.random.below(if is_short { 32 } else { 64 }) as i32
                        }
                        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod if !self.forgets() => {
                            self.random.below(100) as i32 + 1
                        }
                        _ => self.random.number() as i32,
                    };
                    match is_short {
                        true => self.alu32(op, into, value),
                        false => self.alu(op, into, value),
                    }
                }
            }
        }
    }

    /// A register, not one that a loop keeps, with a number of at most this.
    pub(super) fn bounded(&mut self, most: u64) -> Option<Reg> {
        let from = self.number();
        let into = self.free();
        if self.pinned[into.index()] {
            return None;
        }
        if into != from {
            self.mov(into, from);
        }
        let known = match self.kind(into) {
            Kind::Number(known) => known,
            _ => u64::MAX,
        };
        if known <= most || self.forgets() {
            return Some(into);
        }
        let mask = if most == 0 { 0 } else { (1_u64 << (63 - (most + 1).leading_zeros())) - 1 };
        match self.random.below(5) {
            0 if most < 1 << 30 => {
                self.alu32(AluOp::And, into, mask as i32);
                self.set(into, Kind::Number(mask));
            }
            1 if most < 1 << 30 => {
                self.alu(AluOp::Mod, into, most as i32 + 1);
                self.set(into, Kind::Number(most));
            }
            2 if most < 1 << 30 => {
                let by = mask.leading_zeros().min(63);
                self.alu(AluOp::Rsh, into, by as i32);
                self.set(into, Kind::Number(mask));
            }
            3 if most < 1 << 30 => {
                // A branch around a smaller number.
                let within = self.b.label();
                let (width, cond) =
                    (self.one_of(&[Width::W32, Width::W64]), self.one_of(&[Cond::Le, Cond::Lt]));
                let bound = if cond == Cond::Lt { most as i32 + 1 } else { most as i32 };
                let dst = into;
                // Only the lower half is compared, so only that may count.
                if width == Width::W32 {
                    self.alu32(AluOp::Mov, into, into);
                }
                self.b.push_to(Insn::Branch { width, cond, dst, src: bound.into(), off: 0 }, within);
                let value = self.random.below(most + 1) as i32;
                self.b.mov(into, value);
                self.b.bind(within);
                self.set(into, Kind::Number(most));
            }
            _ => {
                self.alu(AluOp::And, into, mask.min(0x7fff_ffff) as i32);
                self.set(into, Kind::Number(mask));
            }
        }
        Some(into)
    }

    /// Loads a field of the context, or stores one.
    pub(super) fn touch_context(&mut self) {
        let (Some(context), Some(base)) = (self.prog.context, self.find(|kind| kind == Kind::Context)) else {
            return;
        };
        let kind = self.prog.kind;
        let is_store = self.random.once_in(5);
        for _ in 0..12 {
            let at = self.random.below(context.fields.len().max(1) as u64) as usize;
            let Some(field) = context.fields.get(at) else { return };
            let touch = if is_store { Touch::Store } else { Touch::Load };
            let size = match self.random.below(3) {
                0 => self.one_of(SIZES),
                _ => Size::from_bytes(u64::from(field.size)).unwrap_or(Size::W),
            };
            let room = u64::from(field.size).saturating_sub(u64::from(size.bytes()));
            let step = u64::from(size.bytes());
            let within = self.random.below(room / step + 1) * step;
            let off = i64::from(field.offset) + within as i64;
            let is_fine = context.access(kind, self.attach, off, size.bytes() as u8, touch).is_ok();
            if !is_fine && !self.forgets() {
                continue;
            }
            if is_store {
                let from = self.number();
                self.b.store(size, base, off as i16, from);
            } else {
                let into = self.free();
                if self.pinned[into.index()] || into == base {
                    return;
                }
                let load = match size {
                    Size::B => LoadKind::U8,
                    Size::H => LoadKind::U16,
                    Size::W => LoadKind::U32,
                    Size::Dw => LoadKind::U64,
                };
                self.b.load(load, into, base, off as i16);
                let loaded = self.loaded(field, size);
                self.set(into, loaded);
            }
            return;
        }
    }

    fn loaded(&mut self, field: &Field, size: Size) -> Kind {
        match field.meaning.pointer() {
            None => Kind::Number(if size == Size::Dw { u64::MAX } else { (1 << size.bits()) - 1 }),
            Some(Pointer::Packet) => Kind::Packet { id: self.fresh(), at: 0, known: 0 },
            Some(Pointer::PacketEnd) => Kind::End,
            Some(Pointer::FlowKeys) => Kind::Region { area: Area::Lent(56), low: 0, high: 0, null: None },
            Some(Pointer::Socket(what, null)) => {
                let null = (null == Nullable::Yes).then(|| self.fresh());
                Kind::Socket { what, null }
            }
            Some(Pointer::PacketMeta | Pointer::Buffer | Pointer::Btf(_)) => Kind::Nothing,
        }
    }

    /// Reads or writes eight bytes or less of the stack by the frame pointer.
    pub(super) fn touch_stack(&mut self) {
        let slot = self.random.below((self.frame / 8).max(1) as u64) as usize;
        let off = -8 * (slot as i16 + 1);
        match self.random.below(4) {
            // Something is kept, whole.
            0 if !self.is_stack_pinned => {
                let from = reg(self.random.below(10) as usize);
                if self.kind(from) != Kind::Nothing || self.forgets() {
                    self.b.store(Size::Dw, Reg::FP, off, from);
                    let kind = self.kind(from);
                    self.now.stack[slot] = Slot::Value(kind);
                }
            }
            1 => {
                let into = self.free();
                let kind = match self.now.stack[slot] {
                    Slot::Value(kind) => kind,
                    Slot::Data => Kind::Number(u64::MAX),
                    Slot::Nothing => return,
                };
                if self.pinned[into.index()] {
                    return;
                }
                let load = if matches!(kind, Kind::Number(_)) { self.one_of(LOADS) } else { LoadKind::U64 };
                let within =
                    self.random.below(8) as i16 / load.size().bytes() as i16 * load.size().bytes() as i16;
                let within = if load == LoadKind::U64 { 0 } else { within };
                self.b.load(load, into, Reg::FP, off + within);
                let kind = match load {
                    LoadKind::U64 => kind,
                    LoadKind::U8 => Kind::Number(255),
                    LoadKind::U16 => Kind::Number(0xffff),
                    _ => Kind::Number(u64::MAX),
                };
                self.set(into, kind);
            }
            2 => {
                // A part of what is there: what is written is a number then.
                if self.is_stack_pinned && self.now.stack[slot] != Slot::Data {
                    return;
                }
                let size = self.one_of(SIZES);
                let within = (8 - size.bytes() as u64) / u64::from(size.bytes());
                let within = self.random.below(within + 1) as i16 * size.bytes() as i16;
                let from = self.number();
                self.b.store(size, Reg::FP, off + within, from);
                self.now.stack[slot] = match self.now.stack[slot] {
                    Slot::Nothing if size != Size::Dw => Slot::Nothing,
                    _ => Slot::Data,
                };
            }
            _ => {
                if !self.is_stack_pinned || self.now.stack[slot] == Slot::Data {
                    let value = self.random.number() as i32;
                    self.b.store(Size::Dw, Reg::FP, off, value);
                    self.now.stack[slot] = Slot::Data;
                }
            }
        }
    }

    /// Points into the stack, sometimes at an offset that is not known.
    pub(super) fn point_to_stack(&mut self) {
        let len = 8 * (1 + self.random.below(6) as i32);
        let Some(off) = self.bytes_on_stack(len) else { return };
        let Some(into) = self.free_kept() else { return };
        let spread = if self.random.once_in(2) { len - 8 } else { 0 };
        self.b.mov(into, Reg::FP);
        self.alu(AluOp::Add, into, off);
        self.set(into, Kind::Region { area: Area::Stack, low: off, high: off, null: None });
        if spread > 0 {
            self.spread(into, spread);
        }
    }

    /// Adds a number that is not known to a pointer.
    fn spread(&mut self, pointer: Reg, most: i32) {
        let Some(by) = self.bounded(most as u64) else { return };
        if by == pointer || self.pinned[pointer.index()] {
            return;
        }
        let Kind::Region { area, low, high, null } = self.kind(pointer) else { return };
        let Kind::Number(known) = self.kind(by) else { return };
        self.alu(AluOp::Add, pointer, by);
        let high = i32::try_from(known).ok().and_then(|known| high.checked_add(known)).unwrap_or(1 << 28);
        self.set(pointer, Kind::Region { area, low, high, null });
    }

    /// Moves a pointer within what it points to.
    pub(super) fn move_pointer(&mut self) {
        let is_movable = |kind| {
            matches!(
                kind,
                Kind::Region { area: Area::Value(_) | Area::Record(_) | Area::Lent(_), null: None, .. }
            )
        };
        let Some(from) = self.find(is_movable) else { return };
        let Kind::Region { area, low, high, null } = self.kind(from) else { return };
        let (_, end) = self.extent(area);
        let into = self.free();
        if self.pinned[into.index()] {
            return;
        }
        let room = end - high;
        if room <= 1 {
            return;
        }
        if into != from {
            self.mov(into, from);
        }
        if self.random.once_in(2) {
            let by = self.random.below(room as u64) as i32;
            self.alu(AluOp::Add, into, by);
            self.set(into, Kind::Region { area, low: low + by, high: high + by, null });
        } else {
            self.spread(into, room - 1);
        }
    }

    /// Loads, stores or changes something behind a pointer.
    pub(super) fn touch_memory(&mut self) {
        let is_careless = self.forgets();
        let is_wanted = |kind| match kind {
            Kind::Region { null, .. } => null.is_none() || is_careless,
            _ => false,
        };
        let Some(base) = self.find(is_wanted) else { return };
        let Kind::Region { area, low, high, .. } = self.kind(base) else { return };
        let (begin, end) = self.extent(area);
        let size = self.one_of(SIZES);
        let bytes = size.bytes() as i32;
        // What an instruction adds, so that all of it lies within.
        let (least, most) = (begin - low, end - bytes - high);
        if most < least {
            return;
        }
        let mut off = least + self.random.below((most - least + 1) as u64) as i32;
        let is_atomic = self.random.once_in(6);
        if is_atomic || area == Area::Stack || self.random.once_in(2) {
            off -= (low + off).rem_euclid(bytes);
        }
        if self.forgets() {
            off = most + 1 + self.random.below(8) as i32;
        }
        let Ok(off) = i16::try_from(off) else { return };
        let is_shown = match area {
            Area::Shown(_) => true,
            Area::Value(map) => self.stock.items.get(map).is_some_and(|item| item.is_read_only),
            _ => false,
        };
        match self.random.below(3) {
            0 => {
                let into = self.free();
                let load = self.one_of(LOADS);
                let load = if load.size() == size { load } else { unsigned(size) };
                if !self.pinned[into.index()] {
                    self.b.load(load, into, base, off);
                    self.set(into, Kind::Number(u64::MAX));
                }
            }
            _ if is_shown && !self.forgets() => {}
            1 if is_atomic && bytes >= 4 => {
                let src = self.number();
                let op = self.one_of(ATOMICS);
                if op == AtomicOp::Cmpxchg {
                    if self.pinned[0] {
                        return;
                    }
                    if !matches!(self.kind(Reg::R0), Kind::Number(_)) {
                        self.constant(Reg::R0, 1);
                    }
                }
                if op.fetches() && self.pinned[src.index()] {
                    return;
                }
                let width = if bytes == 8 { Width::W64 } else { Width::W32 };
                self.b.push(Insn::Atomic { width, op, base, off, src });
                if op.fetches() {
                    let got = if op == AtomicOp::Cmpxchg { Reg::R0 } else { src };
                    self.set(got, Kind::Number(u64::MAX));
                }
                self.written(area, low, high, off, bytes);
            }
            2 if is_atomic => {
                let src = self.number();
                match self.random.once_in(2) {
                    true => {
                        self.b.store_release(size, base, off, src);
                        self.written(area, low, high, off, bytes);
                    }
                    false => {
                        let into = self.free();
                        if !self.pinned[into.index()] {
                            self.b.load_acquire(size, into, base, off);
                            self.set(into, Kind::Number(u64::MAX));
                        }
                    }
                }
            }
            _ => {
                if self.random.once_in(3) {
                    let value = self.random.number() as i32;
                    self.b.store(size, base, off, value);
                } else {
                    let src = self.number();
                    self.b.store(size, base, off, src);
                }
                self.written(area, low, high, off, bytes);
            }
        }
    }

    /// What is stored through a pointer into the stack is a number there.
    fn written(&mut self, area: Area, low: i32, high: i32, off: i16, bytes: i32) {
        if area != Area::Stack {
            return;
        }
        let (first, last) = (low + i32::from(off), high + i32::from(off) + bytes);
        for (at, slot) in self.now.stack.iter_mut().enumerate() {
            let begin = -8 * (at as i32 + 1);
            if begin < last && begin + 8 > first && *slot != Slot::Nothing {
                *slot = Slot::Data;
            }
        }
    }

    /// Names a value of a map directly.
    pub(super) fn name_value(&mut self) {
        let direct: Vec<usize> =
            (0..self.stock.items.len()).filter(|at| self.stock.items[*at].is_direct).collect();
        let map = self.one_of(&direct);
        let item = self.stock.items[map];
        let into = self.free();
        if self.pinned[into.index()] {
            return;
        }
        let mut off = self.random.below(u64::from(item.value) / 4) as u32 * 4;
        if self.forgets() {
            off = item.value + 4;
        }
        self.b.addr(into, Addr::MapValueFd { fd: item.fd, off });
        let at = off as i32;
        self.set(into, Kind::Region { area: Area::Value(map), low: at, high: at, null: None });
    }

    /// Finds out how long the packet is, and uses it.
    pub(super) fn packet(&mut self) {
        let (Some(context), Some(base)) = (self.prog.context, self.find(|kind| kind == Kind::Context)) else {
            return;
        };
        let (Some(data), Some(end)) = (context.field(Meaning::PacketData), context.field(Meaning::PacketEnd))
        else {
            return;
        };
        let kind = self.prog.kind;
        let size = data.size as u8;
        if context.access(kind, self.attach, i64::from(data.offset), size, Touch::Load).is_err() {
            return;
        }
        let load = if data.size == 8 { LoadKind::U64 } else { LoadKind::U32 };
        let (Some(into), id) = (self.free_kept(), self.fresh()) else { return };
        let (bound, scratch) = (Reg::R2, Reg::R3);
        if base == bound || base == scratch || self.pinned[2] || self.pinned[3] {
            return;
        }
        self.b.load(load, into, base, data.offset as i16);
        self.b.load(load, bound, base, end.offset as i16);
        self.set(into, Kind::Packet { id, at: 0, known: 0 });
        self.set(bound, Kind::End);
        let wanted = 1 + self.random.below(60) as i32;
        self.b.mov(scratch, into);
        if self.random.once_in(3) {
            // Somewhere in the packet that is not known.
            let by = Reg::R4;
            let from = self.number();
            self.mov(by, from);
            let mask = self.one_of(&[7, 15, 63, 255, 1023]);
            self.alu(AluOp::And, by, mask);
            self.set(by, Kind::Number(mask as u64));
            self.alu(AluOp::Add, into, by);
            self.b.mov(scratch, into);
        } else if self.random.once_in(3) {
            let by = self.random.below(20) as i32;
            self.alu(AluOp::Add, into, by);
            self.b.mov(scratch, into);
        }
        self.alu(AluOp::Add, scratch, wanted);
        self.set(into, Kind::Packet { id, at: 0, known: 0 });
        self.set(scratch, Kind::Nothing);
        let cond = if self.random.once_in(4) { Cond::Ge } else { Cond::Gt };
        let known = if self.forgets() { wanted + 1 } else { wanted };
        let is_turned = self.random.once_in(3);
        self.around(
            |writer, out| {
                match (cond, is_turned) {
                    (Cond::Gt, false) => writer.b.branch(Cond::Gt, scratch, bound, out),
                    (Cond::Gt, true) => writer.b.branch(Cond::Lt, bound, scratch, out),
                    (_, false) => writer.b.branch(Cond::Ge, scratch, bound, out),
                    (_, true) => writer.b.branch(Cond::Le, bound, scratch, out),
                };
            },
            |writer| {
                writer.now.each(|kind| {
                    if let Kind::Packet { id: other, known: so_far, .. } = kind {
                        if *other == id {
                            *so_far = known;
                        }
                    }
                });
            },
            |_| {},
        );
    }

    /// Reads or writes what is known to be there of the packet.
    pub(super) fn touch_packet(&mut self) {
        let Some(base) = self.find(|kind| matches!(kind, Kind::Packet { known, .. } if known > 0)) else {
            return;
        };
        let Kind::Packet { at, known, .. } = self.kind(base) else { return };
        let size = self.one_of(SIZES);
        let room = known - at - size.bytes() as i32;
        if room < 0 && !self.forgets() {
            return;
        }
        let mut off = self.random.below(room.max(0) as u64 + 1) as i32;
        if self.forgets() {
            off = room + 1;
        }
        let may_write = matches!(self.prog.kind, ProgType::XDP | ProgType::SCHED_CLS | ProgType::LWT_XMIT);
        if (may_write && self.random.once_in(3)) || self.forgets() {
            let src = self.number();
            self.b.store(size, base, off as i16, src);
            return;
        }
        let into = self.free();
        if self.pinned[into.index()] {
            return;
        }
        self.b.load(unsigned(size), into, base, off as i16);
        let most = if size == Size::Dw { u64::MAX } else { (1 << size.bits()) - 1 };
        self.set(into, Kind::Number(most));
    }

    /// Reads the packet as classic programs do.
    pub(super) fn classic_load(&mut self) {
        let can = self.has_classic_loads()
            && self.now.regs[6] == Kind::Context
            && !self.pinned[..6].contains(&true);
        if (!can || self.holding > 0) && !self.forgets() {
            return;
        }
        let size = self.one_of(&[PacketSize::B, PacketSize::H, PacketSize::W]);
        let off = self.random.below(40) as i32;
        match self.random.once_in(3) {
            true => {
                let src = self.number();
                self.b.load_ind(size, src, off);
            }
            false => {
                self.b.load_abs(size, off);
            }
        }
        self.now.forget_scratch();
        self.set(Reg::R0, Kind::Number(0xffff_ffff));
    }
}

/// The load of so many bytes that fills up with zeros.
fn unsigned(size: Size) -> LoadKind {
    match size {
        Size::B => LoadKind::U8,
        Size::H => LoadKind::U16,
        Size::W => LoadKind::U32,
        Size::Dw => LoadKind::U64,
    }
}
