//! Arguments of calls that are refused.

use super::{MEMORY, Refused, Said};
use crate::rejection::{Rule, words};
use crate::step::MOST_OFFSET;
use crate::subject::SpecialKind;
use crate::value::{Memory, To, Trust, Value};
use skep_abi::flags::{BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG};
use skep_abi::{Errno, FuncId};
use skep_isa::Reg;
use skep_model::platform::helper::{Arg, MemAccess, Nullable, SocketArg, Zero};

impl Said<'_, '_> {
    /// The first argument of a helper that is not what it wants (`check_func_arg`).
    pub(super) fn helper_argument(&mut self, rule: Rule, id: FuncId) {
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
            let lent = match proto.map_or(*arg, |map| arg.of_map(map.kind)) {
                Arg::MapKey => proto.map(|map| (map.key_size, false)),
                Arg::MapValue | Arg::MapValueOrNull => proto.map(|map| (map.value_size, false)),
                Arg::MapValueOut => proto.map(|map| (map.value_size, true)),
                Arg::Fixed { bytes, access } => Some((u32::from(bytes), access != MemAccess::Read)),
                Arg::Header(bytes) => Some((u32::from(bytes), false)),
                Arg::Mem(access, _) => {
                    Some((u32::try_from(size).unwrap_or(u32::MAX), access != MemAccess::Read))
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
            (Rule::Rights, Some(To::MapValue { map, .. })) => {
                let flag = if access.writes { BPF_F_RDONLY_PROG } else { BPF_F_WRONLY_PROG };
                let maps = self.explorer.subject.maps;
                maps.get(usize::from(map.0)).is_some_and(|map| map.flags & flag != 0)
            }
            (Rule::Rights, Some(_)) => access.writes,
            _ => false,
        }
    }

    /// What is wrong with a call of a function of which only the type counts (`btf_check_func_arg_match`).
    pub(super) fn function_argument(&mut self, rule: Rule) {
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
                    if value.certainly_to() == Some(To::FlowKeys) {
                        let line = words(format_args!("R{} type=flow_keys expected=fp", reg.number()));
                        self.whole(line);
                    } else {
                        self.memory(rule, Refused { reg, value, off: 0, size, writes: false });
                    }
                }
            }
        }
        if !self.text.is_empty() {
            self.errno = Some(Errno::EINVAL);
            self.line(format_args!("Caller passes invalid args into func#{function} ('{name}')"));
        }
    }
}
