//! A rejection in the words of Linux, which tools look for in logs, and the number that the load fails with (`kernel/bpf/verifier.c`,
//! `kernel/bpf/log.c`).
//!
//! All of it is found from the state in which the instruction is refused, after the rejection. Where Linux's words are not known,
//! none are said.

mod arguments;
mod insn;
mod log;
mod memory;
mod shown;
mod still;

pub use log::{Detail, Sink};
pub(crate) use log::{Log, tell_functions};
use shown::Kind;
pub(crate) use still::{broken_reference, undecodable, unstructured};

use crate::explore::Explorer;
use crate::rejection::{Rejection, Rule, boxed, no_memory, words};
use crate::state::{OwnedKind, Role, State};
use crate::step::MOST_OFFSET;
use crate::subject::SpecialKind;
use crate::value::{To, Value};
use alloc::string::String;
use core::fmt;
use skep_abi::{Errno, FuncId};
use skep_isa::{AluOp, Insn, InsnIdx, Operand, Reg, Width};
use skep_model::platform::HelperRefusal;
use skep_model::platform::helper::Caller;

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
        Kind::of(self.explorer.subject, value)
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
