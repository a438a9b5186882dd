//! Accesses to memory that are refused.

use super::shown::Bits;
use super::{NEGATIVE, Refused, Said, name_of};
use crate::rejection::{Rule, words};
use crate::step::MOST_OFFSET;
use crate::value::Value;
use crate::value::{Memory, To, Trust};
use skep_abi::Errno;
use skep_isa::{Insn, Reg};

impl Said<'_, '_> {
    /// What is wrong with an access, or with memory that is lent.
    pub(super) fn memory(&mut self, rule: Rule, access: Refused) {
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
    pub(super) fn moved(&mut self, kind: &str, reg: Reg, value: Value) -> bool {
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

    pub(super) fn special(&mut self) {
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
}
