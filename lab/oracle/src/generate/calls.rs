//! Statements that call: helpers, functions, and helpers that call functions.

use super::state::{Area, Kind, Slot};
use super::stock::{LENT, Takes};
use super::{Pending, Role, Writer, reg};
use skep_abi::{FuncId, MapType};
use skep_isa::{Addr, AluOp, Cond, LoadKind, Reg, Size};
use skep_model::platform::Platform;
use skep_model::platform::helper::{
    Acquired, Arg, Effects, MemAccess, Nullable, Prototype, Ret, Socket, Zero,
};
use skep_verifier::SpecialKind;

/// The last helper of Linux 6.18.
const LAST: u64 = 211;

/// What is put into a register for a call.
#[derive(Clone, Copy, Debug)]
enum Given {
    /// What another register holds.
    Reg(Reg),
    /// A number.
    Number(i32),
    /// A map of the stock.
    Map(usize),
    /// A place on the stack.
    Stack(i32),
    /// The text in the frozen map.
    Text { fd: i32, off: u32 },
}

/// Numbers of helpers that are called by name here.
const LOOKUP: u32 = FuncId::MAP_LOOKUP_ELEM.0;

impl Writer<'_> {
    fn items(&self, is_wanted: impl Fn(&super::Item) -> bool) -> Vec<usize> {
        (0..self.stock.items.len()).filter(|at| is_wanted(&self.stock.items[*at])).collect()
    }

    fn give(&mut self, at: usize, given: Given) {
        let into = reg(at + 1);
        match given {
            Given::Reg(from) => self.mov(into, from),
            Given::Number(value) => self.constant(into, value),
            Given::Map(map) => {
                let fd = self.stock.items[map].fd;
                self.b.addr(into, Addr::MapFd { fd });
                self.set(into, Kind::Map(map));
            }
            Given::Stack(off) => {
                self.b.mov(into, Reg::FP);
                self.alu(AluOp::Add, into, off);
                self.set(into, Kind::Region { area: Area::Stack, low: off, high: off, null: None });
            }
            Given::Text { fd, off } => {
                self.b.addr(into, Addr::MapValueFd { fd, off });
                self.set(into, Kind::Nothing);
            }
        }
    }

    fn call(&mut self, id: u32, given: &[Given]) {
        for (at, given) in given.iter().enumerate() {
            self.give(at, *given);
        }
        self.b.call_helper(id);
        self.now.forget_scratch();
        self.set(Reg::R0, Kind::Number(u64::MAX));
    }

    /// Looks something up, and most often tests what is found.
    pub(super) fn look_up(&mut self) {
        let maps = self.items(|item| {
            matches!(
                item.kind,
                MapType::ARRAY
                    | MapType::HASH
                    | MapType::PERCPU_ARRAY
                    | MapType::LRU_HASH
                    | MapType::PERCPU_HASH
                    | MapType::LPM_TRIE
            )
        });
        let map = self.one_of(&maps);
        let Some(key) = self.bytes_on_stack(self.stock.items[map].key as i32) else { return };
        if !self.is_stack_pinned && self.random.once_in(2) {
            let value = self.random.below(6) as i32;
            self.b.store(Size::W, Reg::FP, key as i16, value);
        }
        self.call(LOOKUP, &[Given::Map(map), Given::Stack(key)]);
        self.found(Area::Value(map));
    }

    /// R0 has what was looked up.
    fn found(&mut self, area: Area) {
        let null = Some(self.fresh());
        self.set(Reg::R0, Kind::Region { area, low: 0, high: 0, null });
        let mut pointer = Reg::R0;
        if self.random.once_in(2) {
            if let Some(kept) = self.free_kept() {
                self.mov(kept, Reg::R0);
                pointer = kept;
            }
        }
        if !self.random.once_in(8) && !self.forgets() {
            self.test(pointer);
        } else if self.forgets() {
            self.touch_memory();
        }
    }

    /// Looks a map up in another, and something in that.
    pub(super) fn inner_map(&mut self) {
        let maps = self.items(|item| item.inner.is_some());
        let map = self.one_of(&maps);
        let Some(inner) = self.stock.items[map].inner else { return };
        let (Some(outer_key), Some(key)) =
            (self.bytes_on_stack(4), self.bytes_on_stack(self.stock.items[inner].key as i32))
        else {
            return;
        };
        if self.nested > 2 {
            return;
        }
        self.call(LOOKUP, &[Given::Map(map), Given::Stack(outer_key)]);
        let null = self.fresh();
        self.set(Reg::R0, Kind::Inner { map: inner, null: Some(null) });
        let out = self.b.label();
        if !self.forgets() {
            self.b.branch(Cond::Eq, Reg::R0, 0, out);
        }
        let mut failed = self.now.clone();
        failed.decide(null, true);
        self.now.decide(null, false);
        self.mov(Reg::R1, Reg::R0);
        self.give(1, Given::Stack(key));
        self.b.call_helper(LOOKUP);
        self.now.forget_scratch();
        // Values in inner maps are as large as the one it was made with.
        self.found(Area::Value(inner));
        self.b.bind(out);
        self.meet(&failed);
    }

    /// Calls any helper whose arguments are at hand.
    pub(super) fn call_any(&mut self) {
        for _ in 0..20 {
            let id = FuncId(1 + self.random.below(LAST) as u32);
            let Ok((helper, prototype)) = Platform::LINUX_6_18.call(id, self.prog.kind, self.licence) else {
                if self.forgets() {
                    self.call(id.0, &[]);
                    return;
                }
                continue;
            };
            // What is acquired is dealt with elsewhere; and what a program may do to whoever runs it.
            let is_else =
                helper.effects.has(Effects::ACQUIRES) && !matches!(prototype.ret, Ret::SocketOrNull(_));
            if (is_else || helper.effects.has(Effects::SLEEPS)) && !self.forgets() {
                continue;
            }
            if self.holding > 0 && !self.random.once_in(3) {
                continue;
            }
            let Some((given, map)) = self.plan(prototype, helper.effects) else { continue };
            self.call(id.0, &given);
            if helper.effects.has(Effects::CHANGES_PACKET) {
                self.now.forget_packet();
            }
            self.after(prototype, helper.effects, map);
            return;
        }
    }

    /// What a call has left in r0.
    fn after(&mut self, prototype: &Prototype, effects: Effects, map: Option<usize>) {
        let kind = match prototype.ret {
            Ret::Int | Ret::UpToSize(_) => Kind::Number(u64::MAX),
            Ret::Cpu => Kind::Number(u64::from(self.stock.case.cpus).saturating_sub(1)),
            Ret::MapValueOrNull => {
                let Some(map) = map else { return };
                let item = self.stock.items[map];
                match (item.inner, Ret::socket_of(item.kind)) {
                    (Some(inner), _) => Kind::Inner { map: inner, null: Some(self.fresh()) },
                    (_, Some((what, Acquired::No))) => Kind::Socket { what, null: Some(self.fresh()) },
                    (_, Some((what, Acquired::Yes))) => {
                        self.acquired(what);
                        return;
                    }
                    _ if item.value == 0 => Kind::Nothing,
                    _ => {
                        let null = Some(self.fresh());
                        Kind::Region { area: Area::Value(map), low: 0, high: 0, null }
                    }
                }
            }
            Ret::SocketOrNull(what) if effects.has(Effects::ACQUIRES) => {
                self.acquired(what);
                return;
            }
            Ret::SocketOrNull(what) if effects.has(Effects::CASTS) => {
                Kind::Socket { what, null: Some(self.fresh()) }
            }
            _ => Kind::Nothing,
        };
        self.set(Reg::R0, kind);
    }

    /// A socket was acquired: it is tested, used and released.
    fn acquired(&mut self, what: Socket) {
        let Some(kept) = self.free_kept() else { return };
        let null = self.fresh();
        self.set(Reg::R0, Kind::Socket { what, null: Some(null) });
        self.mov(kept, Reg::R0);
        let pinned = std::mem::replace(&mut self.pinned[kept.index()], true);
        let out = self.b.label();
        self.b.branch(Cond::Eq, kept, 0, out);
        let mut failed = self.now.clone();
        failed.decide(null, true);
        self.now.decide(null, false);
        self.holding += 1;
        self.block(3);
        self.holding -= 1;
        if !self.forgets() {
            self.call(FuncId::SK_RELEASE.0, &[Given::Reg(kept)]);
        }
        if self.forgets() {
            self.b.load(LoadKind::U32, Reg::R2, kept, 4);
        }
        self.pinned[kept.index()] = pinned;
        self.now.each(|kind| {
            if matches!(kind, Kind::Socket { .. }) {
                *kind = Kind::Nothing;
            }
        });
        self.b.bind(out);
        self.meet(&failed);
    }

    /// Finds something for each argument.
    fn plan(&mut self, prototype: &Prototype, effects: Effects) -> Option<(Vec<Given>, Option<usize>)> {
        let mut given = Vec::new();
        let mut map = None;
        let mut room = 0;
        for arg in prototype.args {
            given.push(match arg {
                Arg::Any | Arg::Unchecked => match self.find_kept(|kind| matches!(kind, Kind::Number(_))) {
                    Some(number) if self.random.once_in(2) => Given::Reg(number),
                    _ if self.random.once_in(2) => Given::Number(self.random.number() as i32),
                    _ => Given::Number(0),
                },
                Arg::Ctx | Arg::CtxOrNull => Given::Reg(self.find_kept(|kind| kind == Kind::Context)?),
                Arg::Map => {
                    let maps = self.items(|item| prototype.maps.contains(item.kind));
                    let is_careless = self.forgets();
                    let maps = if is_careless { self.items(|_| true) } else { maps };
                    if maps.is_empty() {
                        return None;
                    }
                    let found = self.one_of(&maps);
                    map = Some(found);
                    Given::Map(found)
                }
                Arg::MapKey => {
                    let key = self.stock.items[map?].key;
                    Given::Stack(self.bytes_on_stack(key as i32)?)
                }
                Arg::MapValue | Arg::MapValueOut => {
                    let value = self.stock.items[map?].value as i32;
                    let sizes: Vec<i32> = self.stock.items.iter().map(|item| item.value as i32).collect();
                    let same = self.find_kept(|kind| match kind {
                        Kind::Region { area: Area::Value(of), low: 0, high: 0, null: None } => {
                            sizes.get(of).is_some_and(|size| *size >= value)
                        }
                        _ => false,
                    });
                    match same {
                        Some(same) if self.random.once_in(3) => Given::Reg(same),
                        _ => Given::Stack(self.bytes_on_stack(value)?),
                    }
                }
                Arg::MapValueOrNull => Given::Number(0),
                Arg::Mem(access, null) => {
                    if *null == Nullable::Yes && self.random.once_in(4) {
                        room = 0;
                        Given::Number(0)
                    } else {
                        let (place, size) = self.memory(*access, effects)?;
                        room = size;
                        place
                    }
                }
                Arg::Size(zero) => self.size(room, *zero)?,
                Arg::Fixed { bytes, .. } | Arg::Header(bytes) => {
                    Given::Stack(self.bytes_on_stack(i32::from(*bytes))?)
                }
                Arg::StackOrNull => Given::Number(0),
                Arg::ConstStr => {
                    let frozen = self.items(|item| item.is_read_only && item.is_direct);
                    let fd = self.stock.items[*frozen.first()?].fd;
                    Given::Text { fd, off: 16 }
                }
                Arg::Socket(wanted, null) => {
                    let fits = |kind| match kind {
                        Kind::Socket { what, null: None } => wanted.takes(what),
                        _ => false,
                    };
                    match self.find_kept(fits) {
                        Some(found) => Given::Reg(found),
                        None if *null == Nullable::Yes => Given::Number(0),
                        None => return None,
                    }
                }
                _ => return None,
            });
        }
        Some((given, map))
    }

    /// Memory for a helper, and how much of it there is.
    fn memory(&mut self, access: MemAccess, effects: Effects) -> Option<(Given, i32)> {
        let may_be_packet = effects.has(Effects::TAKES_PACKET);
        let pick = self.random.below(3);
        if pick == 0 {
            let found = self.find_kept(|kind| match kind {
                Kind::Region {
                    area: Area::Value(_) | Area::Lent(_) | Area::Record(_), null: None, ..
                } => true,
                Kind::Packet { known, at, .. } => may_be_packet && known > at,
                _ => false,
            });
            match found.map(|found| (found, self.kind(found))) {
                Some((found, Kind::Region { area, low, high, .. })) => {
                    let (begin, end) = self.extent(area);
                    let is_written = access != MemAccess::Read;
                    let is_read_only = matches!(area, Area::Value(map) if self.stock.items[map].is_read_only);
                    if low >= begin && end > high && !(is_written && is_read_only) {
                        return Some((Given::Reg(found), end - high));
                    }
                }
                Some((found, Kind::Packet { known, at, .. })) => {
                    return Some((Given::Reg(found), known - at));
                }
                _ => {}
            }
        }
        let len = 8 * (1 + self.random.below(5) as i32);
        Some((Given::Stack(self.bytes_on_stack(len)?), len))
    }

    /// A size of at most so much.
    fn size(&mut self, room: i32, zero: Zero) -> Option<Given> {
        if room == 0 {
            return Some(Given::Number(0));
        }
        if self.forgets() {
            return Some(Given::Number(room + 1));
        }
        if self.random.once_in(3) {
            let known = self.find_kept(|kind| matches!(kind, Kind::Number(most) if most <= room as u64));
            if let (Some(known), Zero::Allowed) = (known, zero) {
                return Some(Given::Reg(known));
            }
        }
        Some(Given::Number(1 + self.random.below(room as u64) as i32))
    }

    /// Reserves a record, writes it, and gives it away.
    pub(super) fn ring(&mut self) {
        let is_allowed =
            Platform::LINUX_6_18.call(FuncId::RINGBUF_RESERVE, self.prog.kind, self.licence).is_ok();
        let rings = self.items(|item| item.kind == MapType::RINGBUF);
        let (Some(kept), true, true) = (self.free_kept(), is_allowed, self.nested < 3) else {
            return;
        };
        let size = 8 + 8 * self.random.below(8) as u32;
        self.call(
            FuncId::RINGBUF_RESERVE.0,
            &[Given::Map(rings[0]), Given::Number(size as i32), Given::Number(0)],
        );
        let null = self.fresh();
        let area = Area::Record(size);
        self.set(Reg::R0, Kind::Region { area, low: 0, high: 0, null: Some(null) });
        self.mov(kept, Reg::R0);
        let pinned = std::mem::replace(&mut self.pinned[kept.index()], true);
        let out = self.b.label();
        if !self.forgets() {
            self.b.branch(Cond::Eq, kept, 0, out);
        }
        let mut failed = self.now.clone();
        failed.decide(null, true);
        self.now.decide(null, false);
        self.holding += 1;
        for _ in 0..self.random.below(3) {
            self.touch_memory();
        }
        self.block(3);
        self.holding -= 1;
        let id = if self.random.once_in(4) { FuncId::RINGBUF_DISCARD } else { FuncId::RINGBUF_SUBMIT };
        if !self.forgets() {
            self.call(id.0, &[Given::Reg(kept), Given::Number(0)]);
        }
        if self.forgets() {
            self.call(id.0, &[Given::Reg(kept), Given::Number(0)]);
        }
        self.pinned[kept.index()] = pinned;
        let is_careless = self.forgets();
        self.now.each(|kind| {
            if matches!(kind, Kind::Region { area: Area::Record(_), .. }) && !is_careless {
                *kind = Kind::Nothing;
            }
        });
        self.b.bind(out);
        self.meet(&failed);
    }

    /// Changes a value under its lock, or starts its timer.
    pub(super) fn locked(&mut self) {
        let is_timer = self.random.once_in(3);
        let maps = self.items(|item| match item.special {
            Some((SpecialKind::SpinLock, _)) => !is_timer,
            Some((SpecialKind::Timer, _)) => is_timer,
            _ => false,
        });
        let first = if is_timer { FuncId::TIMER_INIT } else { FuncId::SPIN_LOCK };
        let is_allowed = Platform::LINUX_6_18.call(first, self.prog.kind, self.licence).is_ok();
        let (Some(kept), Some(key), true, true) = (
            self.free_kept(),
            self.bytes_on_stack(4),
            is_allowed || self.forgets(),
            self.nested < 3 && !maps.is_empty() && self.holding == 0,
        ) else {
            return;
        };
        let map = self.one_of(&maps);
        self.call(LOOKUP, &[Given::Map(map), Given::Stack(key)]);
        let null = self.fresh();
        self.set(Reg::R0, Kind::Region { area: Area::Value(map), low: 0, high: 0, null: Some(null) });
        self.mov(kept, Reg::R0);
        let out = self.b.label();
        self.b.branch(Cond::Eq, kept, 0, out);
        let mut failed = self.now.clone();
        failed.decide(null, true);
        self.now.decide(null, false);
        let pinned = std::mem::replace(&mut self.pinned[kept.index()], true);
        if is_timer {
            self.call(first.0, &[Given::Reg(kept), Given::Map(map), Given::Number(1)]);
            if self.may_go_deeper() && self.is_typed {
                let area = Area::Value(map);
                let value = Kind::Region { area, low: 0, high: 0, null: None };
                let key = Kind::Region { area: Area::Shown(4), low: 0, high: 0, null: None };
                let function = self.later(Role::Callback, vec![Kind::Map(map), key, value]);
                self.mov(Reg::R1, kept);
                self.b.function_addr(Reg::R2, function);
                self.b.call_helper(FuncId::TIMER_SET_CALLBACK.0);
                self.now.forget_scratch();
                self.set(Reg::R0, Kind::Number(u64::MAX));
            }
            if self.random.once_in(2) {
                let given = [Given::Reg(kept), Given::Number(0), Given::Number(0)];
                self.call(FuncId::TIMER_START.0, &given);
            }
        } else {
            self.call(first.0, &[Given::Reg(kept)]);
            self.set(Reg::R0, Kind::Nothing);
            self.holding += 1;
            for _ in 0..1 + self.random.below(3) {
                match self.forgets() {
                    true => self.call_any(),
                    false => self.touch_memory(),
                }
            }
            self.holding -= 1;
            if !self.forgets() {
                self.call(FuncId::SPIN_UNLOCK.0, &[Given::Reg(kept)]);
                self.set(Reg::R0, Kind::Nothing);
            }
        }
        self.pinned[kept.index()] = pinned;
        self.b.bind(out);
        self.meet(&failed);
    }

    /// Has a function written later.
    fn later(&mut self, role: Role, args: Vec<Kind>) -> skep_isa::BuilderLabel {
        let label = self.b.label();
        self.pending.push(Pending { label, role, args, depth: self.depth + 1 });
        label
    }

    /// Calls a function of the program's own.
    pub(super) fn call_function(&mut self) {
        if !self.may_go_deeper() || (self.holding > 0 && !self.random.once_in(4)) {
            return;
        }
        let kind = self.prog.kind;
        if self.is_typed && self.random.once_in(2) {
            let fits: Vec<usize> = (0..self.stock.global.len())
                .filter(|at| self.stock.global[*at].kind.is_none_or(|of| of == kind))
                .collect();
            let signature = self.stock.global[self.one_of(&fits)].clone();
            let mut args = Vec::new();
            for (at, takes) in signature.takes.iter().enumerate() {
                let arg = match takes {
                    Takes::Number => {
                        let value = self.random.below(100) as i32;
                        let known = self.find_kept(|kind| matches!(kind, Kind::Number(_)));
                        let given = known.map_or(Given::Number(value), Given::Reg);
                        self.give(at, given);
                        Kind::Number(u64::MAX)
                    }
                    Takes::Context => {
                        let Some(context) = self.find_kept(|kind| kind == Kind::Context) else { return };
                        self.give(at, Given::Reg(context));
                        Kind::Context
                    }
                    Takes::Memory => {
                        match self.bytes_on_stack(LENT as i32) {
                            Some(off) => self.give(at, Given::Stack(off)),
                            None => self.give(at, Given::Number(0)),
                        }
                        let null = Some(self.fresh());
                        Kind::Region { area: Area::Lent(LENT), low: 0, high: 0, null }
                    }
                };
                args.push(arg);
            }
            let function = self.later(Role::Global(signature.id), args);
            self.b.call_local(function);
        } else {
            let mut args = Vec::new();
            for at in 0..1 + self.random.below(4) as usize {
                let given = match self.random.below(4) {
                    0 => self.find_kept(|kind| kind == Kind::Context).map(Given::Reg),
                    1 => self.bytes_on_stack(16).map(Given::Stack),
                    2 => self
                        .find_kept(|kind| {
                            matches!(
                                kind,
                                Kind::Number(_)
                                    | Kind::Region { area: Area::Value(_) | Area::Lent(_), .. }
                                    | Kind::Socket { .. }
                            )
                        })
                        .map(Given::Reg),
                    _ => Some(Given::Number(self.random.below(500) as i32)),
                };
                let given = given.unwrap_or(Given::Number(3));
                self.give(at, given);
                args.push(match (given, self.kind(reg(at + 1))) {
                    // It is not this function's stack there.
                    (Given::Stack(_), _) => {
                        Kind::Region { area: Area::Lent(16), low: 0, high: 0, null: None }
                    }
                    (_, Kind::Region { area: Area::Stack, .. }) => Kind::Nothing,
                    (_, kind) => kind,
                });
            }
            let function = self.later(Role::Static, args);
            self.b.call_local(function);
        }
        self.now.forget_scratch();
        self.now.forget_packet();
        self.set(Reg::R0, Kind::Number(u64::MAX));
    }

    /// Has a helper call a function of the program's.
    pub(super) fn call_back(&mut self) {
        // Linux wants types of what it calls.
        let has_types = self.is_typed || self.random.once_in(40);
        if !self.may_go_deeper() || self.holding > 0 || !has_types {
            return;
        }
        let Some(lent) = self.bytes_on_stack(16) else { return };
        let given = Kind::Region { area: Area::Lent(16), low: 0, high: 0, null: None };
        let is_loop = self.random.once_in(2);
        let id = if is_loop { FuncId::LOOP } else { FuncId::FOR_EACH_MAP_ELEM };
        if Platform::LINUX_6_18.call(id, self.prog.kind, self.licence).is_err() && !self.forgets() {
            return;
        }
        // What the function may change is not known after.
        for slot in &mut self.now.stack {
            if matches!(slot, Slot::Value(Kind::Number(_))) {
                *slot = Slot::Data;
            }
        }
        let function = if is_loop {
            let times = self.find_kept(|kind| matches!(kind, Kind::Number(_)));
            let times = match times {
                Some(times) if self.random.once_in(3) => Given::Reg(times),
                _ => Given::Number(self.random.below(40) as i32),
            };
            self.give(0, times);
            self.later(Role::Callback, vec![Kind::Number(u64::MAX), given])
        } else {
            let maps = self.items(|item| {
                matches!(
                    item.kind,
                    MapType::ARRAY | MapType::HASH | MapType::PERCPU_ARRAY | MapType::LRU_HASH
                ) && item.special.is_none()
            });
            let map = self.one_of(&maps);
            self.give(0, Given::Map(map));
            let key = Area::Shown(self.stock.items[map].key);
            let key = Kind::Region { area: key, low: 0, high: 0, null: None };
            let value = Kind::Region { area: Area::Value(map), low: 0, high: 0, null: None };
            self.later(Role::Callback, vec![Kind::Map(map), key, value, given])
        };
        self.b.function_addr(Reg::R2, function);
        self.set(Reg::R2, Kind::Nothing);
        self.give(2, Given::Stack(lent));
        let flags = i32::from(self.forgets());
        self.give(3, Given::Number(flags));
        self.b.call_helper(id.0);
        self.now.forget_scratch();
        self.now.forget_packet();
        self.set(Reg::R0, Kind::Number(u64::MAX));
    }
}
