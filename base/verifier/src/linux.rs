//! A rejection in the words of Linux, which tools look for in logs, and the number that the load fails with (`kernel/bpf/verifier.c`,
//! `kernel/bpf/log.c`).
//!
//! All of it is found from the state in which the instruction is refused, after the rejection. Where Linux's words are not known,
//! none are said.

mod shown;
mod still;

pub(crate) use shown::{Bits, Kind};
pub(crate) use still::{broken_reference, undecodable, unstructured};

use crate::explore::Explorer;
use crate::rejection::{Rejection, Rule, boxed, no_memory, words};
use crate::state::{OwnedKind, Role, State};
use crate::step::MOST_OFFSET;
use crate::subject::SpecialKind;
use crate::value::{Memory, To, Trust, Value};
use alloc::string::String;
use core::fmt;
use skep_abi::{Errno, FuncId};
use skep_isa::{AluOp, Insn, InsnIdx, Operand, Reg, Width};
use skep_model::platform::HelperRefusal;
use skep_model::platform::helper::{Arg, Caller, MemAccess, Nullable, SocketArg, Zero};

/// What may stand where memory is wanted (`mem_types`).
const MEMORY: &str = "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_";
/// The rest of what Linux says of a pointer without bounds to its offset.
const NEGATIVE: &str = "min value is negative, either use unsigned index or do a if (index >=0) check.";

impl Rejection {
    /// Adds a line of what Linux says.
    pub(crate) fn says(mut self, line: fmt::Arguments<'_>) -> Rejection {
        let text =
            if self.linux.is_empty() { words(line) } else { words(format_args!("{}\n{line}", self.linux)) };
        match text.and_then(|text| boxed(&text)) {
            Some(text) => self.linux = text,
            None => return no_memory(),
        }
        self
    }

    /// Says of a map that it has no value with such an address (`array_map_direct_value_addr`, kernel/bpf/arraymap.c).
    pub(crate) fn says_of_address(self, map: &crate::subject::MapProto<'_>, off: u32) -> Rejection {
        if map.kind != skep_abi::MapType::ARRAY {
            return self.says(format_args!("no direct value access support for this map type"));
        }
        let size = map.value_size;
        let said =
            self.says(format_args!("invalid access to map value pointer, value_size={size} off={off}"));
        if map.max_entries == 1 { said } else { said.fails_with(Errno::ENOTSUPP) }
    }

    /// Says what the load fails with, if not what is usual for the rule.
    pub(crate) fn fails_with(mut self, errno: Errno) -> Rejection {
        self.fails_with = Some(errno);
        self
    }
}

impl Explorer<'_> {
    /// Adds to a rejection what Linux says of such a program.
    pub(crate) fn in_linux_words(&self, rejection: Rejection, state: &State, at: InsnIdx) -> Rejection {
        if !rejection.linux.is_empty() {
            return rejection;
        }
        let Some(insn) = self.program.at(at) else { return rejection };
        let mut said =
            Said { explorer: self, state, at, insn, text: String::new(), errno: None, short: false };
        said.tell(rejection.rule);
        match boxed(&said.text).filter(|_| !said.short) {
            Some(linux) => Rejection { linux, fails_with: said.errno, ..rejection },
            None => no_memory(),
        }
    }
}

/// An access to memory that is refused.
#[derive(Clone, Copy)]
struct Refused {
    reg: Reg,
    value: Value,
    /// What is added to the pointer.
    off: i64,
    size: u32,
    writes: bool,
}

/// What is said of a rejection.
struct Said<'s, 'e> {
    explorer: &'s Explorer<'e>,
    state: &'s State,
    at: InsnIdx,
    insn: Insn,
    text: String,
    errno: Option<Errno>,
    /// Memory ran out.
    short: bool,
}

impl Said<'_, '_> {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        let text =
            if self.text.is_empty() { words(line) } else { words(format_args!("{}\n{line}", self.text)) };
        match text {
            Some(text) => self.text = text,
            None => self.short = true,
        }
    }

    fn value(&self, reg: Reg) -> Value {
        *self.state.reg(reg)
    }

    fn kind(&self, value: Value) -> Kind<'_> {
        Kind::of(self.explorer, value)
    }

    /// The access of a load, a store or an atomic operation.
    fn access(&self) -> Option<Refused> {
        let (reg, off, size, writes) = match self.insn {
            Insn::Load { kind, base, off, .. } => (base, off, kind.size(), false),
            Insn::Store { size, base, off, .. } | Insn::StoreRelease { size, base, off, .. } => {
                (base, off, size, true)
            }
            Insn::LoadAcquire { size, base, off, .. } => (base, off, size, false),
            Insn::Atomic { width, base, off, .. } => (base, off, width.size(), false),
            _ => return None,
        };
        let value = self.value(reg);
        Some(Refused { reg, value, off: i64::from(off), size: size.bytes(), writes })
    }

    fn tell(&mut self, rule: Rule) {
        match self.insn {
            Insn::CallHelper { id } => match rule {
                Rule::Helper | Rule::Lock | Rule::Leak | Rule::Frames | Rule::Waiting | Rule::Processed => {}
                _ => return self.helper_argument(rule, FuncId(id)),
            },
            Insn::CallLocal { .. } => match rule {
                Rule::Lock | Rule::Frames | Rule::Waiting | Rule::Processed => {}
                _ => return self.function_argument(rule),
            },
            _ => {}
        }
        match rule {
            Rule::FramePointer => self.line(format_args!("frame pointer is read only")),
            Rule::Divisor => self.line(format_args!("div by zero")),
            Rule::Shift => {
                if let Insn::Alu { src: Operand::Imm(by), .. } = self.insn {
                    self.line(format_args!("invalid shift {by}"));
                }
            }
            Rule::ClassicLoad => self.classic_load(),
            Rule::Initialised => self.uninitialised(),
            Rule::Endless => {
                let at = self.at;
                self.line(format_args!("infinite loop detected at insn {at}"));
            }
            Rule::Mixed => self.line(format_args!("same insn cannot be used with different pointers")),
            Rule::Null | Rule::Arithmetic if matches!(self.insn, Insn::Alu { .. }) => self.arithmetic(),
            Rule::Null | Rule::Dereference => {
                if let Some(Refused { reg, value, .. }) = self.access() {
                    self.no_access(reg, value);
                }
            }
            Rule::Stack if self.insn == Insn::Exit => {
                self.line(format_args!("cannot return stack pointer to the caller"));
                self.errno = Some(Errno::EINVAL);
            }
            Rule::Context
            | Rule::Object
            | Rule::Packet
            | Rule::Stack
            | Rule::Bounds
            | Rule::Rights
            | Rule::Alignment => {
                if let Some(access) = self.access() {
                    self.memory(rule, access);
                }
            }
            Rule::Special => self.special(),
            Rule::Return => self.result(),
            Rule::Leak => self.leak(),
            Rule::Lock => self.lock(),
            Rule::Helper => self.helper(),
            Rule::Processed => {
                let most = self.explorer.limits.insns;
                self.line(format_args!("BPF program is too large. Processed {} insn", u64::from(most) + 1));
            }
            Rule::Waiting => {
                let most = self.explorer.limits.waiting;
                self.line(format_args!("The sequence of {} jumps is too complex.", u64::from(most) + 1));
            }
            Rule::Frames => {
                let frames = self.state.frames.len() + 1;
                self.line(format_args!("the call stack of {frames} frames is too deep"));
            }
            _ => {}
        }
    }

    fn no_access(&mut self, reg: Reg, value: Value) {
        let line = words(format_args!("R{} invalid mem access '{}'", reg.number(), self.kind(value)));
        self.whole(line);
    }

    /// A line that was put together while something else was looked at.
    fn whole(&mut self, line: Option<String>) {
        match line {
            Some(line) => self.line(format_args!("{line}")),
            None => self.short = true,
        }
    }

    fn uninitialised(&mut self) {
        let (first, second) = match self.insn {
            Insn::Exit => (Some(Reg::R0), None),
            Insn::Alu { op: AluOp::Mov, src, .. } => (src.reg(), None),
            Insn::Alu { dst, src, .. } => (src.reg(), Some(dst)),
            Insn::Branch { dst, src, .. } => (Some(dst), src.reg()),
            Insn::Store { base, src, .. } => (src.reg(), Some(base)),
            Insn::StoreRelease { base, src, .. } | Insn::Atomic { base, src, .. } => (Some(src), Some(base)),
            _ => (None, None),
        };
        let all = self.insn.reads();
        let is_nothing = |reg: &Reg| self.value(*reg).is_nothing();
        let reg = first.into_iter().chain(second).chain(all.iter()).find(is_nothing);
        if let Some(reg) = reg {
            self.line(format_args!("R{} !read_ok", reg.number()));
        }
    }

    fn classic_load(&mut self) {
        use skep_model::platform::prog::ClassicLoads;
        if self.explorer.prog.classic_loads == ClassicLoads::Refused {
            self.line(format_args!("BPF_LD_[ABS|IND] instructions not allowed for this program type"));
        } else if self.value(Reg::R6).certainly_to() != Some(To::Context) {
            self.line(format_args!("at the time of BPF_LD_ABS|IND R6 != pointer to skb"));
        } else {
            self.line(format_args!("LD_ABS is only allowed in functions that return 'int'."));
        }
    }

    /// `adjust_ptr_min_max_vals`, `check_reg_sane_offset`.
    fn arithmetic(&mut self) {
        let Insn::Alu { width, op, dst, src } = self.insn else { return };
        let left = self.value(dst);
        let right = match src {
            Operand::Reg(src) => self.value(src),
            Operand::Imm(imm) => Value::constant(i64::from(imm) as u64),
        };
        let (r, sign) = (dst.number(), sign(op));
        if !left.is_number() && !right.is_number() {
            return self.line(format_args!("R{r} pointer {sign} pointer prohibited"));
        }
        let (pointer, by) = if left.is_number() { (right, left) } else { (left, right) };
        let Some(to) = pointer.to() else { return };
        if width == Width::W32 {
            return self.line(format_args!("R{r} 32-bit pointer arithmetic prohibited"));
        }
        let kind = words(format_args!("{}", self.kind(pointer)));
        let Some(kind) = kind else { return self.short = true };
        if pointer.may_be_null() {
            return self
                .line(format_args!("R{r} pointer arithmetic on {kind} prohibited, null-check it first"));
        }
        let fixed = match to {
            To::PacketEnd | To::Socket(_) => true,
            To::Map(_) | To::InnerMap { .. } => !(by.as_constant() == Some(0) && op == AluOp::Add),
            To::FlowKeys => by.as_constant().is_none(),
            _ => false,
        };
        if fixed {
            return self.line(format_args!("R{r} pointer arithmetic on {kind} prohibited"));
        }
        if let Some(line) = insane(&kind, &by).or_else(|| insane(&kind, &pointer)) {
            self.errno = Some(Errno::EINVAL);
            return self.whole(line.0);
        }
        match op {
            AluOp::Sub if left.is_number() => {
                self.line(format_args!("R{r} tried to subtract pointer from scalar"));
            }
            AluOp::Sub if matches!(to, To::Stack { .. }) => {
                self.line(format_args!("R{r} subtraction from stack pointer prohibited"));
            }
            AluOp::And | AluOp::Or | AluOp::Xor => {
                self.line(format_args!("R{r} bitwise operator {sign} on pointer prohibited"));
            }
            AluOp::Add | AluOp::Sub => {
                // The sum is too far away.
                self.errno = Some(Errno::EINVAL);
                let known = by.as_constant().map_or(0, |by| by as i64);
                let moved = if op == AluOp::Sub { -known } else { known };
                let fixed = pointer.fixed.saturating_add(moved);
                if fixed.abs() >= MOST_OFFSET {
                    self.line(format_args!("{kind} pointer offset {fixed} is not allowed"));
                } else {
                    let sum = pointer.number.add(&by.number);
                    let line = insane(&kind, &Value { number: sum, ..pointer });
                    self.whole(line.map_or(Some(String::new()), |line| line.0));
                }
            }
            _ => self.line(format_args!("R{r} pointer arithmetic with {sign} operator prohibited")),
        }
    }

    /// What is wrong with an access, or with memory that is lent.
    fn memory(&mut self, rule: Rule, access: Refused) {
        let Refused { reg, value, off, size, writes } = access;
        let r = reg.number();
        let start = value.fixed.wrapping_add(off);
        let Some(to) = value.certainly_to() else { return self.no_access(reg, value) };
        match (rule, to) {
            (Rule::Context | Rule::Alignment, To::Context) => self.context(access),
            (Rule::Object, To::Object { type_id, trust }) => {
                let name = self
                    .explorer
                    .subject
                    .kernel
                    .and_then(|types| types.get(type_id))
                    .map_or("", |ty| ty.name());
                let bits = Bits(value.number.bits());
                if self.explorer.subject.licence != skep_model::platform::helper::Licence::Gpl {
                    self.errno = Some(Errno::EINVAL);
                    self.line(format_args!(
                        "Cannot access kernel 'struct {name}' from non-GPL compatible program"
                    ));
                } else if start < 0 {
                    self.line(format_args!("R{r} is ptr_{name} invalid negative access: off={start}"));
                } else if value.number.as_constant() != Some(0) {
                    self.line(format_args!(
                        "R{r} is ptr_{name} invalid variable offset: off={start}, var_off={bits}"
                    ));
                } else if trust == Trust::User {
                    self.line(format_args!("R{r} is ptr_{name} access user memory: off={start}"));
                } else if trust == Trust::PerCpu {
                    self.line(format_args!("R{r} is ptr_{name} access percpu memory: off={start}"));
                } else {
                    self.line(format_args!("access beyond struct {name} at off {start} size {size}"));
                }
            }
            (Rule::Packet, _) => {
                if value.number.smin() < 0 {
                    return self.line(format_args!("R{r} {NEGATIVE}"));
                }
                self.line(format_args!(
                    "invalid access to packet, off={start} size={size}, R{r}(id={},off={start},r={})",
                    value.id.0, value.range
                ));
                self.line(format_args!("R{r} offset is outside of the packet"));
            }
            (Rule::Stack, To::Stack { frame }) => self.stack(access, usize::from(frame)),
            (Rule::Bounds, _) => self.region(access, to),
            (Rule::Rights, _)
                if matches!(
                    self.insn,
                    Insn::Atomic { .. } | Insn::LoadAcquire { .. } | Insn::StoreRelease { .. }
                ) =>
            {
                let kind =
                    words(format_args!("BPF_ATOMIC stores into R{r} {} is not allowed", self.kind(value)));
                self.whole(kind);
            }
            (Rule::Rights, To::MapValue { map, .. }) => {
                let value_size =
                    self.explorer.subject.maps.get(usize::from(map.0)).map_or(0, |map| map.value_size);
                let what = if writes { "write into" } else { "read from" };
                self.line(format_args!(
                    "{what} map forbidden, value_size={value_size} off={start} size={size}"
                ));
            }
            (Rule::Rights, To::MapKey(_)) => self.line(format_args!("write to change key R{r} not allowed")),
            (Rule::Rights, To::Packet | To::PacketMeta) => {
                self.line(format_args!("cannot write into packet"));
            }
            (Rule::Rights, To::Object { .. }) => self.line(format_args!("only read is supported")),
            (Rule::Rights, To::Map(map) | To::InnerMap { map, .. }) => {
                let kind = self.explorer.subject.maps.get(usize::from(map.0)).map(|map| map.kind);
                let name = kind.and_then(skep_model::platform::objects::map_struct).unwrap_or("bpf_map");
                self.line(format_args!("only read from {name} is supported"));
            }
            (Rule::Rights, To::Socket(_)) if !writes => {
                let line =
                    words(format_args!("R{r} invalid {} access off={start} size={size}", self.kind(value)));
                self.whole(line);
            }
            (Rule::Rights, _) => {
                let line = words(format_args!("R{r} cannot write into {}", self.kind(value)));
                self.whole(line);
            }
            (Rule::Alignment, _) => {
                let bits = Bits(value.number.bits());
                let fixed = value.fixed;
                match to {
                    To::Packet | To::PacketMeta => self.line(format_args!(
                        "misaligned packet access off 2+{bits}+{fixed}+{off} size {size}"
                    )),
                    _ => {
                        let what = match to {
                            To::Stack { .. } => "stack ",
                            To::MapValue { .. } => "value ",
                            To::MapKey(_) => "key ",
                            To::FlowKeys => "flow keys ",
                            To::Socket(_) => "sock ",
                            _ => "",
                        };
                        self.line(format_args!(
                            "misaligned {what}access off {bits}+{fixed}+{off} size {size}"
                        ));
                    }
                }
            }
            _ => {}
        }
    }

    /// `__check_ptr_off_reg`, `check_ctx_access`.
    fn context(&mut self, access: Refused) {
        let Refused { reg, value, off, size, .. } = access;
        if !self.moved("ctx", reg, value) {
            self.line(format_args!("invalid bpf_context access off={off} size={size}"));
        }
    }

    /// Says how a pointer was moved that may not be.
    fn moved(&mut self, kind: &str, reg: Reg, value: Value) -> bool {
        let (r, fixed) = (reg.number(), value.fixed);
        if fixed < 0 {
            self.line(format_args!("negative offset {kind} ptr R{r} off={fixed} disallowed"));
        } else if fixed != 0 {
            self.line(format_args!("dereference of modified {kind} ptr R{r} off={fixed} disallowed"));
        } else if value.number.as_constant() != Some(0) {
            let bits = Bits(value.number.bits());
            self.line(format_args!("variable {kind} access var_off={bits} disallowed"));
        } else {
            return false;
        }
        true
    }

    /// `check_stack_access_within_bounds`, and what may be stored and loaded there.
    fn stack(&mut self, access: Refused, frame: usize) {
        let Refused { reg, value, off, size, writes } = access;
        let r = reg.number();
        let start = value.fixed.wrapping_add(off);
        let what = if writes { "write to" } else { "read from" };
        let least = start.saturating_add(value.number.smin());
        let end = start.saturating_add(value.number.smax()).saturating_add(i64::from(size));
        let below = least < -i64::from(self.explorer.limits.stack) || least >= 0;
        let constant = value.number.as_constant().is_some();
        if below || end > 0 {
            let unbounded = value.number.smax() >= MOST_OFFSET || value.number.smin() <= -MOST_OFFSET;
            if !constant && unbounded {
                return self.line(format_args!("invalid unbounded variable-offset {what} stack R{r}"));
            }
            if !below {
                self.errno = Some(Errno::EINVAL);
            }
            return match constant {
                true => self.line(format_args!("invalid {what} stack R{r} off={start} size={size}")),
                false => {
                    let bits = Bits(value.number.bits());
                    self.line(format_args!(
                        "invalid variable-offset {what} stack R{r} var_off={bits} off={start} size={size}"
                    ));
                }
            };
        }
        match self.insn {
            Insn::Store { .. } if size != 8 => self.line(format_args!("invalid size of register spill")),
            Insn::Store { .. } if frame != self.state.top() => {
                self.errno = Some(Errno::EINVAL);
                self.line(format_args!("cannot spill pointers to stack into stack frame of the caller"));
            }
            Insn::Load { .. } => self.line(format_args!("invalid size of register fill")),
            _ => {}
        }
    }

    /// `check_mem_region_access`.
    fn region(&mut self, access: Refused, to: To) {
        let Refused { reg, value, off, size, .. } = access;
        let r = reg.number();
        let start = value.fixed.wrapping_add(off);
        let maps = self.explorer.subject.maps;
        let size_of = |map: crate::value::MapAt, key: bool| {
            maps.get(usize::from(map.0)).map_or(0, |map| if key { map.key_size } else { map.value_size })
        };
        let (whole, what, unit) = match to {
            To::MapValue { map, .. } => (size_of(map, false), "map value", "value_size"),
            To::MapKey(map) => (size_of(map, true), "map key", "key_size"),
            To::Memory { size, .. } => (size, "memory", "mem_size"),
            To::FlowKeys => {
                return self.line(format_args!("invalid access to flow keys off={start} size={size}"));
            }
            To::Buffer(kind) => {
                let what = if kind == Memory::ReadOnly { "rdonly" } else { "rdwr" };
                return self
                    .line(format_args!("R{r} invalid {what} buffer access: off={start}, size={size}"));
            }
            _ => return,
        };
        let (smin, umax) = (value.number.smin(), value.number.umax());
        let least = smin.wrapping_add(start);
        if smin < 0 && (smin == i64::MIN || i32::try_from(least).is_err() || least < 0) {
            return self.line(format_args!("R{r} {NEGATIVE}"));
        }
        let outside = |from: i64| from < 0 || from.saturating_add(i64::from(size)) > i64::from(whole);
        if outside(least) {
            self.line(format_args!("invalid access to {what}, {unit}={whole} off={least} size={size}"));
            return self.line(format_args!("R{r} min value is outside of the allowed memory range"));
        }
        if umax >= MOST_OFFSET as u64 {
            return self.line(format_args!(
                "R{r} unbounded memory access, make sure to bounds check any such access"
            ));
        }
        let most = start.wrapping_add(umax as i64);
        if outside(most) {
            self.line(format_args!("invalid access to {what}, {unit}={whole} off={most} size={size}"));
            self.line(format_args!("R{r} max value is outside of the allowed memory range"));
        }
    }

    fn special(&mut self) {
        use skep_abi::ProgType;
        if let Insn::LoadAddr { addr, .. } = self.insn {
            let maps = self.explorer.subject.maps;
            let map = self.explorer.subject.references.map_of(self.at, addr).and_then(|map| maps.get(map));
            let special = map.and_then(|map| map.special.first());
            let Some(name) = special.and_then(|special| name_of(special.kind)) else { return };
            let who = if self.explorer.subject.kind == ProgType::SOCKET_FILTER {
                "socket filter"
            } else {
                "tracing"
            };
            self.errno = Some(Errno::EINVAL);
            return self.line(format_args!("{who} progs cannot use {name} yet"));
        }
        let Some(access) = self.access() else { return };
        let Some(To::MapValue { map, .. }) = access.value.certainly_to() else { return };
        let Some(map) = self.explorer.subject.maps.get(usize::from(map.0)) else { return };
        let start = access.value.fixed.wrapping_add(access.off);
        let (smin, umax) = (access.value.number.smin(), access.value.number.umax() as i64);
        let (from, to) =
            (start.wrapping_add(smin), start.wrapping_add(umax).wrapping_add(i64::from(access.size)));
        let special = crate::step::touched(map.special, from, to);
        if let Some(name) = special.and_then(|special| name_of(special.kind)) {
            self.line(format_args!("{name} cannot be accessed directly by load/store"));
        }
    }

    /// `check_return_code`, `prepare_func_exit`.
    fn result(&mut self) {
        let result = self.value(Reg::R0);
        let frame = self.state.frame();
        let (who, range) = match frame.role {
            Role::First if frame.function != 0 => {
                let line = words(format_args!(
                    "At subprogram exit the register R0 is not a scalar value ({})",
                    self.kind(result)
                ));
                return self.whole(line);
            }
            Role::First => ("At program exit", self.explorer.wanted_result(self.at)),
            Role::Later => ("At async callback return", Some((0, 0))),
            _ => ("At callback return", Some((0, 1))),
        };
        if !result.is_number() {
            let line =
                words(format_args!("{who} the register R0 is not a known value ({})", self.kind(result)));
            return self.whole(line);
        }
        let Some((low, high)) = range else { return };
        let (smin, smax) = (result.number.smin(), result.number.smax());
        let line = match (smin > i64::MIN, smax < i64::MAX) {
            (true, true) => words(format_args!("smin={smin} smax={smax}")),
            (true, false) => words(format_args!("smin={smin}")),
            (false, true) => words(format_args!("smax={smax}")),
            (false, false) => words(format_args!("unknown scalar value")),
        };
        let Some(has) = line else { return self.short = true };
        self.line(format_args!("{who} the register R0 has {has} should have been in [{low}, {high}]"));
    }

    /// `check_resource_leak`.
    fn leak(&mut self) {
        let who = match self.insn {
            Insn::CallHelper { .. } => "tail_call",
            Insn::LoadAbs { .. } | Insn::LoadInd { .. } => "BPF_LD_[ABS|IND]",
            _ => "BPF_EXIT instruction in main prog",
        };
        let mut objects = 0;
        let state = self.state;
        for owned in state.owned.iter().filter(|owned| owned.kind == OwnedKind::Object) {
            objects += 1;
            self.line(format_args!("Unreleased reference id={} alloc_insn={}", owned.id.0, owned.at));
        }
        match objects {
            0 => self.line(format_args!("{who} cannot be used inside bpf_spin_lock-ed region")),
            _ => self.line(format_args!("{who} would lead to reference leak")),
        }
    }

    fn lock(&mut self) {
        let held = self.state.owned.iter().any(|owned| owned.is_lock());
        match self.insn {
            Insn::CallLocal { .. } => {
                self.line(format_args!("global function calls are not allowed while holding a lock,"));
                self.line(format_args!("use static function instead"));
            }
            Insn::CallHelper { id } if FuncId(id) == FuncId::SPIN_UNLOCK => {
                let how = if held { "of different lock" } else { "without taking a lock" };
                self.line(format_args!("bpf_spin_unlock {how}"));
            }
            _ => self.line(format_args!("function calls are not allowed while holding a lock")),
        }
    }

    /// `check_helper_call`.
    fn helper(&mut self) {
        let Insn::CallHelper { id } = self.insn else { return };
        let subject = self.explorer.subject;
        let caller = Caller { attach: Some(subject.attach), ..Caller::of(subject.kind, subject.licence) };
        match subject.platform.call_by(FuncId(id), &caller) {
            Ok(_) => self.line(format_args!("helper call might sleep in a non-sleepable prog")),
            Err(HelperRefusal::Unknown(_)) => self.line(format_args!("invalid func unknown#{id}")),
            Err(HelperRefusal::Licence(_)) => {
                self.line(format_args!(
                    "cannot call GPL-restricted function from non-GPL compatible program"
                ));
            }
            Err(_) => {
                let name = subject.platform.helper(FuncId(id)).map_or("unknown", |helper| helper.name);
                self.line(format_args!("program of this type cannot use helper bpf_{name}#{id}"));
            }
        }
    }
}

/// What makes an offset impossible, whatever it is added to (`check_reg_sane_offset`).
fn insane(kind: &str, by: &Value) -> Option<Line> {
    let (smin, known) = (by.number.smin(), by.number.as_constant().map(|known| known as i64));
    let far = |value: i64| value >= MOST_OFFSET || value <= -MOST_OFFSET;
    Some(Line(match known {
        Some(known) if far(known) => {
            words(format_args!("math between {kind} pointer and {known} is not allowed"))
        }
        _ if !by.is_number() && far(by.fixed) => {
            words(format_args!("{kind} pointer offset {} is not allowed", by.fixed))
        }
        _ if smin == i64::MIN => words(format_args!(
            "math between {kind} pointer and register with unbounded min value is not allowed"
        )),
        _ if far(smin) => words(format_args!("value {smin} makes {kind} pointer be out of bounds")),
        _ => return None,
    }))
}

/// A line, if there was memory for it.
struct Line(Option<String>);

/// The names of special fields (`btf_field_type_name`).
const fn name_of(kind: SpecialKind) -> Option<&'static str> {
    Some(match kind {
        SpecialKind::SpinLock => "bpf_spin_lock",
        SpecialKind::ResSpinLock => "bpf_res_spin_lock",
        SpecialKind::Timer => "bpf_timer",
        SpecialKind::Workqueue => "bpf_wq",
        SpecialKind::Kptr { .. } | SpecialKind::Other => return None,
    })
}

/// `bpf_alu_string`.
const fn sign(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div | AluOp::Sdiv => "/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod | AluOp::Smod => "%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
    }
}

/// Arguments of calls.
impl Said<'_, '_> {
    /// The first argument of a helper that is not what it wants (`check_func_arg`).
    fn helper_argument(&mut self, rule: Rule, id: FuncId) {
        let subject = self.explorer.subject;
        let Some(prototype) = subject.platform.helper(id).ok().and_then(|helper| helper.prototype) else {
            return;
        };
        if id == FuncId::GET_LOCAL_STORAGE
            && rule == Rule::Argument
            && self.value(Reg::R2).as_constant() != Some(0)
        {
            self.errno = Some(Errno::EINVAL);
            return self.line(format_args!("get_local_storage() doesn't support non-zero flags"));
        }
        let mut map = None;
        for (index, arg) in prototype.args.iter().enumerate() {
            let Some(reg) = Reg::new(index as u8 + 1) else { return };
            let value = self.value(reg);
            if *arg == Arg::Unchecked {
                continue;
            }
            if value.is_nothing() {
                return self.line(format_args!("R{} !read_ok", reg.number()));
            }
            if let Some(To::Map(at) | To::InnerMap { map: at, .. }) = value.certainly_to() {
                map = Some(at);
            }
            let size = Reg::new(index as u8 + 2).map(|reg| self.value(reg));
            let size = size.filter(Value::is_number).map_or(0, |size| size.number.umax());
            let proto = map.and_then(|map| subject.maps.get(usize::from(map.0)));
            let lent = match arg {
                Arg::MapKey => proto.map(|map| (map.key_size, false)),
                Arg::MapValue | Arg::MapValueOrNull => proto.map(|map| (map.value_size, false)),
                Arg::MapValueOut => proto.map(|map| (map.value_size, true)),
                Arg::Fixed { bytes, access } => Some((u32::from(*bytes), *access != MemAccess::Read)),
                Arg::Header(bytes) => Some((u32::from(*bytes), false)),
                Arg::Mem(access, _) => {
                    Some((u32::try_from(size).unwrap_or(u32::MAX), *access != MemAccess::Read))
                }
                _ => None,
            };
            self.one_argument(rule, id, (reg, value), *arg, lent);
            if !self.text.is_empty() || self.short {
                return;
            }
        }
        match map.and_then(|map| subject.maps.get(usize::from(map.0))) {
            Some(map) if rule == Rule::Argument && !prototype.maps.contains(map.kind) => {
                let name = subject.platform.helper(id).map_or("unknown", |helper| helper.name);
                self.errno = Some(Errno::EINVAL);
                self.line(format_args!("cannot pass map_type {} into func bpf_{name}#{}", map.kind.0, id.0));
            }
            _ => {}
        }
    }

    /// Says what is wrong with an argument, if that can be seen of it; `lent` is how much memory is wanted, and whether it is written.
    fn one_argument(
        &mut self,
        rule: Rule,
        id: FuncId,
        (reg, value): (Reg, Value),
        arg: Arg,
        lent: Option<(u32, bool)>,
    ) {
        let r = reg.number();
        let null = value.as_constant() == Some(0);
        let to = value.certainly_to();
        let is_memory = matches!(
            to,
            Some(
                To::Stack { .. }
                    | To::Packet
                    | To::PacketMeta
                    | To::MapKey(_)
                    | To::MapValue { .. }
                    | To::Memory {
                        kind: Memory::Plain | Memory::Record | Memory::ReadOnly | Memory::Slice(_),
                        ..
                    }
                    | To::Buffer(_)
                    | To::Object { trust: Trust::Trusted, .. }
                    | To::Context
            )
        );
        let wanted = match arg {
            Arg::Map if !matches!(to, Some(To::Map(_) | To::InnerMap { .. })) => "map_ptr",
            Arg::Ctx | Arg::CtxOrNull if to != Some(To::Context) && !(null && arg == Arg::CtxOrNull) => "ctx",
            Arg::MapValueOrNull | Arg::Mem(_, Nullable::Yes) if null => return,
            Arg::MapKey
            | Arg::MapValue
            | Arg::MapValueOut
            | Arg::MapValueOrNull
            | Arg::Mem(..)
            | Arg::Fixed { .. }
            | Arg::Header(_)
                if !is_memory =>
            {
                MEMORY
            }
            Arg::Size(_) | Arg::AllocSize if !value.is_number() => "scalar",
            Arg::Record if !matches!(to, Some(To::Memory { kind: Memory::Record, .. })) => "ringbuf_mem",
            Arg::ConstStr | Arg::Timer if !matches!(to, Some(To::MapValue { .. })) => "map_value",
            Arg::Func(_) if !matches!(to, Some(To::Function(_))) => "func",
            Arg::StackOrNull if !null && !matches!(to, Some(To::Stack { .. })) => "fp",
            Arg::SpinLock if !matches!(to, Some(To::MapValue { .. })) => "map_value, ptr_",
            Arg::Socket(_, Nullable::Yes) if null => return,
            Arg::Socket(SocketArg::CommonOrBtf, _) | Arg::SocketRelease
                if !matches!(to, Some(To::Socket(_) | To::Object { .. })) =>
            {
                "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_"
            }
            Arg::Socket(SocketArg::Full, _) if !matches!(to, Some(To::Socket(_))) => "sock",
            Arg::PercpuBtf if !matches!(to, Some(To::Object { .. })) => {
                "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_"
            }
            Arg::Btf(_, Nullable::Yes) if null => return,
            Arg::Btf(..) if !matches!(to, Some(To::Object { .. })) => "ptr_, trusted_ptr_, rcu_ptr_",
            Arg::Dynptr(_) if !matches!(to, Some(To::Stack { .. } | To::Dynptr)) => "fp, dynptr_ptr",
            _ => return self.fitting_argument(rule, id, (reg, value), arg, lent),
        };
        let line = words(format_args!("R{r} type={} expected={wanted}", self.kind(value)));
        self.whole(line);
    }

    /// What is wrong with an argument that is of the right kind.
    fn fitting_argument(
        &mut self,
        rule: Rule,
        id: FuncId,
        (reg, value): (Reg, Value),
        arg: Arg,
        lent: Option<(u32, bool)>,
    ) {
        let r = reg.number();
        let subject = self.explorer.subject;
        match arg {
            Arg::Ctx | Arg::CtxOrNull if rule == Rule::Argument => {
                self.moved("ctx", reg, value);
            }
            Arg::Size(zero) if rule == Rule::Argument => {
                let number = &value.number;
                if number.smin() < 0 {
                    self.line(format_args!(
                        "R{r} min value is negative, either use unsigned or 'var &= const'"
                    ));
                } else if zero == Zero::Refused && number.umin() == 0 {
                    self.line(format_args!(
                        "R{r} invalid zero-sized read: u64=[{},{}]",
                        number.umin(),
                        number.umax()
                    ));
                } else if number.umax() >= MOST_OFFSET as u64 {
                    self.line(format_args!(
                        "R{r} unbounded memory access, use 'var &= const' or 'if (var < const)'"
                    ));
                }
            }
            Arg::AllocSize if value.as_constant().is_none() => {
                self.line(format_args!("R{r} is not a known constant'"));
            }
            Arg::Record | Arg::SocketRelease if rule == Rule::Release => {
                self.errno = Some(Errno::EINVAL);
                match value.owned.is_some() {
                    true => self.line(format_args!(
                        "R{r} must have zero offset when passed to release func or trusted arg to kfunc"
                    )),
                    false => {
                        self.line(format_args!("R{r} must be referenced when passed to release function"));
                    }
                }
            }
            Arg::ConstStr if rule == Rule::Argument => {
                let map = match value.certainly_to() {
                    Some(To::MapValue { map, .. }) => subject.maps.get(usize::from(map.0)),
                    _ => None,
                };
                if map.is_none_or(|map| map.frozen.is_none()) {
                    self.line(format_args!("R{r} does not point to a readonly map'"));
                } else if value.offset().is_none() {
                    self.line(format_args!("R{r} is not a constant address'"));
                } else {
                    self.errno = Some(Errno::EINVAL);
                    self.line(format_args!("string is not zero-terminated"));
                }
            }
            Arg::SpinLock | Arg::Timer if rule == Rule::Argument => {
                let what = if arg == Arg::Timer { "bpf_timer" } else { "bpf_spin_lock" };
                let name = match value.certainly_to() {
                    Some(To::MapValue { map, .. }) => subject.references.map_name(usize::from(map.0)),
                    _ => "",
                };
                let offset = value.offset();
                let special = match value.certainly_to() {
                    Some(To::MapValue { map, .. }) => {
                        subject.maps.get(usize::from(map.0)).map(|map| map.special)
                    }
                    _ => None,
                };
                let wanted = if arg == Arg::Timer { SpecialKind::Timer } else { SpecialKind::SpinLock };
                let here = special.and_then(|all| all.iter().find(|one| one.kind == wanted));
                self.errno = Some(Errno::EINVAL);
                match (offset, special, here) {
                    (None, ..) => self.line(format_args!(
                        "R{r} doesn't have constant offset. {what} has to be at the constant offset"
                    )),
                    (_, None | Some([]), _) => {
                        self.line(format_args!("map '{name}' has to have BTF in order to use {what}"));
                    }
                    (_, _, None) => self.line(format_args!("map '{name}' has no valid {what}")),
                    (Some(offset), _, Some(field)) => self.line(format_args!(
                        "off {offset} doesn't point to 'struct {what}' that is at {}",
                        field.offset
                    )),
                }
            }
            Arg::Dynptr(wants) if rule == Rule::Dynptr => {
                use skep_model::platform::helper::Dynptr;
                self.errno = Some(Errno::EINVAL);
                match wants {
                    Dynptr::NewLocal | Dynptr::NewRingbuf => {
                        self.line(format_args!("Dynptr has to be an uninitialized dynptr"));
                    }
                    _ => self.line(format_args!("Expected an initialized dynptr as arg #{}", r - 1)),
                }
            }
            _ => {
                let Some((size, writes)) = lent else { return };
                let is_packet = value.is_packet();
                let takes = subject.platform.helper(id).is_ok_and(|helper| {
                    helper.effects.has(skep_model::platform::helper::Effects::TAKES_PACKET)
                });
                if is_packet && !takes && rule == Rule::Argument {
                    return self.line(format_args!("helper access to the packet is not allowed"));
                }
                let access = Refused { reg, value, off: 0, size, writes };
                if self.is_wrong(rule, &access) {
                    self.memory(rule, access);
                }
            }
        }
    }

    /// Whether it may be this memory that is refused by a rule.
    fn is_wrong(&self, rule: Rule, access: &Refused) -> bool {
        match (rule, access.value.certainly_to()) {
            (Rule::Stack, Some(To::Stack { .. })) => {
                let start = access.value.fixed;
                let least = start.saturating_add(access.value.number.smin());
                let end = start.saturating_add(access.value.number.smax()) + i64::from(access.size);
                least < -i64::from(self.explorer.limits.stack) || least >= 0 || end > 0
            }
            (Rule::Packet, Some(To::Packet | To::PacketMeta)) => true,
            (Rule::Bounds, Some(To::MapValue { .. } | To::MapKey(_) | To::Memory { .. } | To::Buffer(_))) => {
                true
            }
            (Rule::Rights, Some(_)) => access.writes,
            _ => false,
        }
    }

    /// What is wrong with a call of a function of which only the type counts (`btf_check_func_arg_match`).
    fn function_argument(&mut self, rule: Rule) {
        let Some(function) =
            self.insn.call_target(self.at).and_then(|start| self.explorer.structure.subprogram_at(start))
        else {
            return;
        };
        let name = self.explorer.function_name(function);
        if rule == Rule::FunctionType && !self.explorer.returns_number(function) {
            self.line(format_args!(
                "Global function {name}() doesn't return scalar. Only those are supported."
            ));
        } else if let Some(wrong) = self.explorer.wrong_parameter(self.state, self.at, function) {
            use crate::step::WrongParameter;
            match wrong {
                WrongParameter::NoSize(index) => {
                    self.line(format_args!(
                        "arg#{index} reference type('UNKNOWN ') size cannot be determined: -22"
                    ));
                }
                WrongParameter::Number(reg) => self.line(format_args!("R{} is not a scalar", reg.number())),
                WrongParameter::Context(reg) => {
                    self.line(format_args!("arg#{} expects pointer to ctx", reg.number() - 1));
                }
                WrongParameter::Memory(reg, size) => {
                    let value = self.value(reg);
                    self.memory(rule, Refused { reg, value, off: 0, size, writes: false });
                }
            }
        }
        if !self.text.is_empty() {
            self.errno = Some(Errno::EINVAL);
            self.line(format_args!("Caller passes invalid args into func#{function} ('{name}')"));
        }
    }
}
