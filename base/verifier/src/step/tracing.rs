//! Contexts that are the arguments of a function of the kernel, one in eight bytes (`btf_ctx_access` in `kernel/bpf/btf.c`).

use super::Result;
use super::object::{Tag, tag_of};
use super::region::Access;
use crate::explore::Explorer;
use crate::rejection::Rule;
use crate::scalar::Number;
use crate::subject::Sleep;
use crate::value::{Memory, To, Trust, Value};
use skep_abi::{AttachType, ProgType};
use skep_btf::{Btf, Def, FuncProto, Param, TypeId};
use skep_isa::{InsnIdx, LoadKind};
use skep_model::platform::helper::Licence;
use skep_model::platform::lsm;
use skep_model::platform::objects::{self, Odd, Passed};

/// Bytes of the largest context of arguments (`MAX_BPF_FUNC_ARGS`).
const MOST_BYTES: i64 = 12 * 8;

/// The function whose arguments a context is.
#[derive(Clone, Copy)]
struct Target<'b> {
    types: &'b Btf<'b>,
    /// The name, without what tells its kind.
    name: &'b str,
    proto: FuncProto<'b>,
    /// The parameters before the first that programs see.
    hidden: usize,
}

/// What a load from such a context hits.
enum Slot<'b> {
    /// The parameter of that number.
    Param(u8, Param<'b>),
    /// What the function returned.
    Result,
}

impl<'a> Explorer<'a> {
    /// Whether the context is the arguments of a function of the kernel.
    pub(super) fn has_arguments(&self) -> bool {
        matches!(self.subject.kind, ProgType::TRACING | ProgType::LSM | ProgType::STRUCT_OPS | ProgType::EXT)
    }

    /// The function that the program is attached to.
    fn target_function(&self, at: InsnIdx) -> Result<Target<'a>> {
        let types = self.kernel_types(at)?;
        let Some(target) = self.subject.target.filter(|_| self.subject.kind != ProgType::EXT) else {
            return Err(self.unmodelled(
                at,
                format_args!(
                    "programs that are attached to another program, or to a module, are not modelled"
                ),
            ));
        };
        let wrong = |wanted: &str| {
            Rule::Target.broken(at, format_args!("wanted {wanted}, found type {target} of the kernel"))
        };
        let Some(ty) = types.get(target) else { return Err(wrong("a type of the kernel")) };
        let (name, proto, hidden) = match (self.subject.kind, self.subject.attach) {
            (ProgType::TRACING, AttachType::TRACE_RAW_TP) => {
                let name = ty.name().strip_prefix("btf_trace_");
                let pointer = match ty.def() {
                    Def::Typedef(pointer) => types.get(pointer).map(|ty| ty.def()),
                    _ => None,
                };
                match (name, pointer) {
                    // What comes first is the kernel's own.
                    (Some(name), Some(Def::Ptr(proto))) => (name, proto, 1),
                    _ => return Err(wrong("a tracepoint's `btf_trace_…`")),
                }
            }
            (ProgType::STRUCT_OPS, AttachType(member)) => {
                if self.subject.licence != Licence::Gpl {
                    return Err(wrong(
                        "a licence that is compatible with the GPL, for a struct of functions",
                    ));
                }
                // What a struct refuses of its members only its own code says.
                if self.subject.sleep == Sleep::Allowed || ty.name() == "tcp_congestion_ops" {
                    return Err(self
                        .unmodelled(at, format_args!("what is special of `{}` is not modelled", ty.name())));
                }
                let member = ty
                    .as_composite()
                    .ok()
                    .and_then(|composite| composite.members.get(usize::try_from(member).ok()?));
                let pointer = member.and_then(|member| types.resolve(member.type_id).ok());
                match (member, pointer.map(|ty| ty.def())) {
                    (Some(member), Some(Def::Ptr(proto))) => (member.name, proto, 0),
                    _ => return Err(wrong("a struct of functions that has the member")),
                }
            }
            // `bpf_lsm_verify_prog` in kernel/bpf/bpf_lsm.c.
            (ProgType::LSM, _) => match ty.def() {
                Def::Func(function) if ty.name().starts_with(lsm::PREFIX) && !lsm::is_disabled(ty.name()) => {
                    (ty.name(), function.proto, 0)
                }
                _ => return Err(wrong("a hook of security modules, `bpf_lsm_…`")),
            },
            _ => match ty.def() {
                Def::Func(function) => (ty.name(), function.proto, 0),
                _ => return Err(wrong("a function")),
            },
        };
        match types.resolve(proto).map(|ty| ty.def()) {
            Ok(Def::FuncProto(proto)) => Ok(Target { types, name, proto, hidden }),
            _ => Err(wrong("a function")),
        }
    }

    /// Loads an argument, or a part of one.
    pub(super) fn load_argument(
        &mut self,
        at: InsnIdx,
        pointer: &Value,
        access: Access,
        kind: LoadKind,
    ) -> Result<Value> {
        let target = self.target_function(at)?;
        let offset = match pointer.offset() {
            Some(0) => access.off,
            _ => {
                return Err(Rule::Context.broken(
                    at,
                    format_args!(
                        "wanted the context as the program got it in {}, found it moved",
                        access.reg
                    ),
                ));
            }
        };
        let refuse = |why: core::fmt::Arguments<'_>| {
            Err(Rule::Context.broken(
                at,
                format_args!(
                    "{} bytes at {offset} of the arguments of `{}`: {why}",
                    access.size, target.name
                ),
            ))
        };
        if !(0..MOST_BYTES).contains(&offset) || offset % 8 != 0 {
            return refuse(format_args!("no argument begins there"));
        }
        let Some(slot) = target.slot(offset, self.has_result()) else {
            return refuse(format_args!("there is no argument of that number"));
        };
        let type_id = match &slot {
            Slot::Param(_, param) => param.type_id,
            Slot::Result => target.proto.ret,
        };
        let Ok(ty) = target.types.resolve(type_id) else {
            return refuse(format_args!("the kernel's types do not say what it is"));
        };
        let pointee = match ty.def() {
            Def::Int(int) if int.size <= 8 => return Ok(self.argument_number(&target, &slot, access, kind)),
            _ if matches!(slot, Slot::Result) && self.subject.attach == AttachType::MODIFY_RETURN => {
                return refuse(format_args!("it is no number that could be changed"));
            }
            Def::Enum(_) | Def::Struct(_) | Def::Union(_) => {
                return Ok(self.argument_number(&target, &slot, access, kind));
            }
            Def::Ptr(pointee) => pointee,
            _ => return refuse(format_args!("it is neither a number nor a pointer")),
        };
        if access.size != 8 {
            return refuse(format_args!("a pointer can only be loaded whole"));
        }
        self.argument_pointer(at, &target, &slot, pointee)
    }

    fn argument_number(&self, target: &Target<'_>, slot: &Slot<'_>, access: Access, kind: LoadKind) -> Value {
        // What a hook returned is within what it may return.
        if self.subject.kind == ProgType::LSM && matches!(slot, Slot::Result) {
            let (low, high) = objects::hook_returns(target.name);
            if access.size == 8 || (access.size == 4 && kind.is_signed()) {
                return Value::number(Number::signed(i64::from(low), i64::from(high)));
            }
        }
        Value::number(if kind.is_signed() {
            Number::sign_extended_bytes(access.size)
        } else {
            Number::within_bytes(access.size)
        })
    }

    fn argument_pointer(
        &mut self,
        at: InsnIdx,
        target: &Target<'a>,
        slot: &Slot<'_>,
        pointee: TypeId,
    ) -> Result<Value> {
        let types = target.types;
        let passed = match slot {
            Slot::Param(number, _) => self.passed(at, target, *number)?,
            Slot::Result => None,
        };
        match passed {
            Some(Passed::ReadBufferOrNull) => return Ok(self.or_null(To::Buffer(Memory::ReadOnly))),
            Some(Passed::BufferOrNull) => return Ok(self.or_null(To::Buffer(Memory::Plain))),
            _ => {}
        }
        let Ok(behind) = types.resolve(pointee) else {
            return Err(
                Rule::Context.broken(at, format_args!("the kernel's types do not say where it points to"))
            );
        };
        match behind.def() {
            // Nothing can be read through them but as a probe reads.
            Def::Void | Def::Int(_) => return Ok(Value::UNKNOWN),
            Def::Struct(_) | Def::Union(_) => {}
            _ => {
                return Err(Rule::Context.broken(
                    at,
                    format_args!(
                        "only pointers to structs and numbers can be loaded from the arguments of `{}`",
                        target.name
                    ),
                ));
            }
        }
        let object = |type_id, trust| To::Object { type_id, trust };
        match passed {
            Some(Passed::TrustedOrNull) => return Ok(self.or_null(object(behind.id(), Trust::Trusted))),
            Some(Passed::ReadableOrNull) => return Ok(self.or_null(object(behind.id(), Trust::Walked))),
            _ => {}
        }
        let (mut null, mut error) = (false, false);
        if let Slot::Param(number, param) = slot {
            null = param.name.ends_with("__nullable") || self.is_stub_nullable(at, target, *number)?;
            if self.is_tracepoint() {
                let odd = objects::tracepoint(target.name);
                null |= odd.contains(&Odd::Null(*number));
                error = odd.contains(&Odd::Error(*number));
            }
        }
        if error {
            return Ok(Value::UNKNOWN);
        }
        let trust = match tag_of(types, pointee) {
            Tag::User => Trust::User,
            Tag::PerCpu => Trust::PerCpu,
            _ if self.are_arguments_trusted(target) => Trust::Trusted,
            _ => Trust::Walked,
        };
        let to = object(behind.id(), trust);
        Ok(if null { self.or_null(to) } else { Value::pointer(to) })
    }

    fn or_null(&mut self, to: To) -> Value {
        let id = self.new_id();
        Value::perhaps(to, id)
    }

    fn is_tracepoint(&self) -> bool {
        self.subject.kind == ProgType::TRACING && self.subject.attach == AttachType::TRACE_RAW_TP
    }

    /// Whether what is passed is there as long as the program runs (`prog_args_trusted`).
    fn are_arguments_trusted(&self, target: &Target<'_>) -> bool {
        match self.subject.kind {
            ProgType::TRACING => {
                matches!(self.subject.attach, AttachType::TRACE_RAW_TP | AttachType::TRACE_ITER)
            }
            ProgType::LSM => objects::is_hook_trusted(target.name),
            ProgType::STRUCT_OPS => true,
            _ => false,
        }
    }

    /// Whether what the function returned comes behind its arguments.
    fn has_result(&self) -> bool {
        matches!(
            self.subject.attach,
            AttachType::LSM_MAC
                | AttachType::LSM_CGROUP
                | AttachType::TRACE_FEXIT
                | AttachType::MODIFY_RETURN
        ) && self.subject.kind != ProgType::STRUCT_OPS
    }

    /// What an iterator says of an argument.
    fn passed(&self, at: InsnIdx, target: &Target<'_>, number: u8) -> Result<Option<Passed>> {
        if self.subject.kind != ProgType::TRACING || self.subject.attach != AttachType::TRACE_ITER {
            return Ok(None);
        }
        let Some(rows) = target.name.strip_prefix("bpf_iter_").and_then(objects::iterator) else {
            return Err(self.unmodelled(at, format_args!("the iterator `{}` is not modelled", target.name)));
        };
        Ok(rows.iter().find(|row| row.0 == number).map(|row| row.1))
    }

    /// Whether the function that stands for one of a struct of functions says that an argument may be null: its name is the
    /// struct's and the member's (`find_stub_func_proto`, kernel/bpf/bpf_struct_ops.c).
    fn is_stub_nullable(&mut self, at: InsnIdx, target: &Target<'_>, number: u8) -> Result<bool> {
        if self.subject.kind != ProgType::STRUCT_OPS {
            return Ok(false);
        }
        let of = self.subject.target.and_then(|id| target.types.get(id)).map_or("", |ty| ty.name());
        let Some(stub) = self.lookups.stub(target.types, of, target.name)? else { return Ok(false) };
        let proto = match target.types.get(stub).map(|ty| ty.def()) {
            Some(Def::Func(function)) => target.types.get(function.proto).map(|ty| ty.def()),
            _ => None,
        };
        let Some(Def::FuncProto(proto)) = proto else { return Ok(false) };
        let name = proto.params.get(usize::from(number)).map_or("", |param| param.name);
        if name.ends_with("__ref") {
            return Err(self.unmodelled(at, format_args!("arguments that must be released are not modelled")));
        }
        Ok(name.ends_with("__nullable"))
    }

    /// What a program of such a kind returns: nothing that is looked at, any number, or one from a range.
    pub(super) fn target_returns(&self, at: InsnIdx) -> Result<Wanted> {
        let (kind, attach) = (self.subject.kind, self.subject.attach);
        Ok(match kind {
            ProgType::TRACING => match attach {
                AttachType::TRACE_FENTRY | AttachType::TRACE_FEXIT => Wanted::Within(0, 0),
                AttachType::TRACE_ITER => Wanted::Within(0, 1),
                _ => Wanted::Number,
            },
            ProgType::LSM => {
                let target = self.target_function(at)?;
                match (attach, target.proto.ret.is_void()) {
                    (AttachType::LSM_CGROUP, true) => Wanted::Within(1, 1),
                    (AttachType::LSM_CGROUP, false) => Wanted::Within(0, 1),
                    (_, true) => Wanted::Nothing,
                    (_, false) => {
                        let (low, high) = objects::hook_returns(target.name);
                        Wanted::Within(low, high)
                    }
                }
            }
            ProgType::STRUCT_OPS if self.target_function(at)?.proto.ret.is_void() => Wanted::Nothing,
            _ => Wanted::Number,
        })
    }
}

/// What a program must leave in r0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    Nothing,
    Number,
    Within(i32, i32),
}

impl<'b> Target<'b> {
    /// What lies at an offset.
    fn slot(&self, offset: i64, has_result: bool) -> Option<Slot<'b>> {
        let mut end = 0;
        for (number, param) in self.proto.params.iter().skip(self.hidden).enumerate() {
            end += self.room(param.type_id)?;
            if offset < end {
                return Some(Slot::Param(u8::try_from(number).ok()?, param));
            }
        }
        let end = if has_result { end + self.room(self.proto.ret)? } else { end };
        (offset < end).then_some(Slot::Result)
    }

    /// The bytes that a value takes in the context.
    fn room(&self, id: TypeId) -> Option<i64> {
        let size = self.types.size_of(self.types.resolve(id).ok()?.id()).ok()?;
        Some(i64::from(size).checked_add(7)? / 8 * 8)
    }
}
