//! Functions of which only the type counts: the program's global ones, which are verified once, by themselves
//! (`btf_prepare_func_args` in `kernel/bpf/btf.c`, `btf_check_subprog_call` in `kernel/bpf/verifier.c`).

use super::Result;
use super::region::{Access, Use};
use crate::explore::{Called, Explorer, Next};
use crate::rejection::Rule;
use crate::state::{Frame, Role, State};
use crate::subject::Sleep;
use crate::value::{Id, Memory, Null, To, Value};
use skep_abi::ProgType;
use skep_btf::{Btf, Def, FuncLinkage, TypeId};
use skep_isa::{InsnIdx, Reg};
use skep_model::platform::helper::Dynptr;

/// What a function takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Param {
    Number,
    Context,
    Memory { size: u32, null: Null },
    Dynptr,
}

/// The most parameters.
const MOST: usize = 5;

/// What a function takes, one after the other.
#[derive(Clone, Copy)]
struct Params {
    all: [Param; MOST],
    count: usize,
}

/// What those who call a function by its type rely on.
#[derive(Clone, Copy)]
pub(crate) struct Contract {
    params: Params,
    changes_packet: bool,
}

impl Explorer<'_> {
    /// Finds out which functions are verified by themselves: those of global linkage.
    pub(crate) fn find_global(&mut self) {
        let Some(types) = self.subject.types else { return };
        for function in 1..self.by_type.len() {
            let global = self.function_type(function).is_some_and(|id| {
                matches!(types.get(id).map(|ty| ty.def()), Some(Def::Func(func)) if func.linkage == FuncLinkage::Global)
            });
            if global {
                if let Some(called) = self.by_type.get_mut(function) {
                    *called = Called::Alone;
                }
            }
        }
    }

    /// The FUNC of a function.
    fn function_type(&self, function: usize) -> Option<TypeId> {
        let start = self.structure.subprograms().get(function)?.start;
        let infos = self.subject.functions;
        let index = infos.binary_search_by_key(&start.0, |info| info.insn_off).ok()?;
        infos.get(index).map(|info| info.type_id)
    }

    /// Whether a function is known to return a number, or nothing is known of it.
    pub(crate) fn returns_number(&self, function: usize) -> bool {
        let (Some(types), Some(id)) = (self.subject.types, self.function_type(function)) else { return true };
        let returned = || {
            let Def::Func(func) = types.get(id)?.def() else { return None };
            let proto = types.get(func.proto)?.as_func_proto().ok()?;
            types.resolve(proto.ret).ok()
        };
        returned().is_some_and(|ty| matches!(ty.def(), Def::Int(_) | Def::Enum(_)))
    }

    /// The contract of a function, which is found out once.
    fn contract(&mut self, at: InsnIdx, function: usize) -> Result<Contract> {
        if let Some(contract) = self.contracts.get(function).copied().flatten() {
            return Ok(contract);
        }
        let contract =
            Contract { params: self.params(at, function)?, changes_packet: self.changes_packet(function) };
        if let Some(place) = self.contracts.get_mut(function) {
            *place = Some(contract);
        }
        Ok(contract)
    }

    fn params(&self, at: InsnIdx, function: usize) -> Result<Params> {
        let refuse = |what: &str| Err(Rule::FunctionType.broken(at, format_args!("{what}")));
        let (Some(types), Some(id)) = (self.subject.types, self.function_type(function)) else {
            return refuse("nothing is known of the function's type");
        };
        let Some(Def::Func(func)) = types.get(id).map(|ty| ty.def()) else {
            return refuse("what is said of the function is not a function's type");
        };
        let Some(proto) = types.get(func.proto).and_then(|ty| ty.as_func_proto().ok()) else {
            return refuse("the function has no prototype");
        };
        if !self.returns_number(function) {
            return refuse("a function that is verified by itself returns a number");
        }
        let mut params = Params { all: [Param::Number; MOST], count: proto.params.len() };
        if params.count > MOST {
            return refuse("a function takes at most five arguments");
        }
        for (index, param) in proto.params.iter().enumerate() {
            let Some(place) = params.all.get_mut(index) else { break };
            *place = self.param(at, types, (id, index), param.type_id)?;
        }
        Ok(params)
    }

    /// What a function is called, where that is known.
    pub(crate) fn function_name(&self, function: usize) -> &str {
        let id = self.function_type(function);
        self.subject.types.zip(id).and_then(|(types, id)| types.get(id)).map_or("", |ty| ty.name())
    }

    /// The first argument that is not what a function of which only the type counts wants.
    pub(crate) fn wrong_parameter(
        &self,
        state: &State,
        at: InsnIdx,
        function: usize,
    ) -> Option<WrongParameter> {
        let (types, id) = self.subject.types.zip(self.function_type(function))?;
        let Def::Func(func) = types.get(id)?.def() else { return None };
        let proto = types.get(func.proto)?.as_func_proto().ok()?;
        proto.params.iter().enumerate().find_map(|(index, param)| {
            let reg = Reg::new(u8::try_from(index).ok()? + 1)?;
            let value = state.reg(reg);
            match self.param(at, types, (id, index), param.type_id) {
                Err(_) => Some(WrongParameter::NoSize(index)),
                Ok(Param::Number) => (!value.is_number()).then_some(WrongParameter::Number(reg)),
                Ok(Param::Context) => {
                    (value.certainly_to() != Some(To::Context)).then_some(WrongParameter::Context(reg))
                }
                Ok(Param::Memory { size, null }) => {
                    let fits = null == Null::Perhaps && value.as_constant() == Some(0);
                    (!fits).then_some(WrongParameter::Memory(reg, size))
                }
                Ok(Param::Dynptr) => None,
            }
        })
    }

    fn param(
        &self,
        at: InsnIdx,
        types: &Btf<'_>,
        (func, index): (TypeId, usize),
        ty: TypeId,
    ) -> Result<Param> {
        let refuse = |what: &str| {
            Err(Rule::FunctionType.broken(at, format_args!("argument {} of the function {what}", index + 1)))
        };
        let tags = Tags::of(types, func, index);
        let Ok(resolved) = types.resolve(ty) else { return refuse("has no type") };
        let pointee = match resolved.def() {
            Def::Int(_) | Def::Enum(_) => return Ok(Param::Number),
            Def::Ptr(to) => to,
            _ => return refuse("is neither a number nor a pointer"),
        };
        if tags.context || self.is_context(types, pointee) {
            return Ok(Param::Context);
        }
        if tags.other {
            return Err(self.unmodelled(
                at,
                format_args!("the tags of argument {} of a function are not modelled", index + 1),
            ));
        }
        if types.resolve(pointee).is_ok_and(|ty| ty.name() == "bpf_dynptr") {
            return Ok(Param::Dynptr);
        }
        match types.size_of(pointee) {
            Ok(size) => {
                Ok(Param::Memory { size, null: if tags.there { Null::Never } else { Null::Perhaps } })
            }
            Err(_) => refuse("points to something without a size"),
        }
    }

    /// Whether a pointer to this is one to the program's context (`btf_is_prog_ctx_type`).
    fn is_context(&self, types: &Btf<'_>, mut id: TypeId) -> bool {
        let wanted = self.prog.context.map(|context| context.name);
        let probe = matches!(self.subject.kind, ProgType::KPROBE);
        loop {
            let Some(ty) = types.get(id) else { return false };
            if probe && ty.name() == "bpf_user_pt_regs_t" {
                return true;
            }
            match ty.modified() {
                Some(next) => id = next,
                None => return matches!(ty.def(), Def::Struct(_)) && wanted == Some(ty.name()),
            }
        }
    }

    /// A call of a function of which only the type counts.
    pub(super) fn call_by_type(&mut self, state: &mut State, at: InsnIdx, function: usize) -> Result<Next> {
        if let Some(lock) = state.owned.iter().find(|owned| owned.is_lock()) {
            return Err(Rule::Lock.broken(
                at,
                format_args!(
                    "a global function cannot be called while the lock of instruction {} is held",
                    lock.at
                ),
            ));
        }
        if self.subject.sleep == Sleep::Allowed && (state.rcu || state.preempt > 0) {
            return Err(
                self.unmodelled(at, format_args!("whether a global function may sleep is not modelled"))
            );
        }
        let Contract { params, changes_packet } = self.contract(at, function)?;
        for (index, param) in params.all.iter().take(params.count).enumerate() {
            let Some(reg) = Reg::new(index as u8 + 1) else { break };
            let value = *self.read(state, at, reg)?;
            let refuse = |what: &str| {
                Err(Rule::Argument
                    .broken(at, format_args!("the function wants {what} in {reg}, found {value}")))
            };
            match *param {
                Param::Number if value.is_number() => {}
                Param::Number => return refuse("a number"),
                Param::Context => {
                    if value.certainly_to() != Some(To::Context) || value.offset() != Some(0) {
                        return refuse("the context, unmoved");
                    }
                }
                Param::Dynptr => {
                    self.dynptr(state, at, reg, &value, Dynptr::Any)?;
                }
                Param::Memory { size, null } => {
                    if null == Null::Perhaps && value.as_constant() == Some(0) {
                        self.need_reg(state, reg);
                        continue;
                    }
                    let there = match null {
                        Null::Perhaps => value.not_null(),
                        Null::Never => value,
                    };
                    let access = Access { reg, off: 0, size, how: Use::Filled };
                    self.lend_to_function(state, at, &there, access)?;
                }
            }
        }
        self.forget_arguments(state);
        state.set(Reg::R0, Value::UNKNOWN);
        if changes_packet {
            state.for_each(super::call::forget_packet);
        }
        if let Some(called) = self.by_type.get_mut(function) {
            *called = Called::AloneAndUsed;
        }
        Ok(Next::At(InsnIdx(at.0 + 1)))
    }

    /// The state in which a function begins that is verified by itself.
    pub(crate) fn alone(&mut self, function: usize, start: InsnIdx) -> Result<State> {
        let params = self.contract(start, function)?.params;
        let mut frame = Frame::new(function, start, Role::First, 0);
        for (index, param) in params.all.iter().take(params.count).enumerate() {
            let value = match *param {
                Param::Number => Value::UNKNOWN,
                Param::Context => Value::pointer(To::Context),
                Param::Dynptr => Value { id: self.new_id(), ..Value::pointer(To::Dynptr) },
                Param::Memory { size, null } => {
                    let to = To::Memory { size, kind: Memory::Plain };
                    match null {
                        Null::Never => Value::pointer(to),
                        Null::Perhaps => Value::perhaps(to, self.new_id()),
                    }
                }
            };
            if let Some(place) = frame.regs.get_mut(index + 1) {
                *place = value;
            }
        }
        State::new(frame)
    }
}

/// What is wrong with an argument, or may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WrongParameter {
    /// The parameter of that number points to what has no size.
    NoSize(usize),
    /// A number is wanted.
    Number(Reg),
    /// The context is wanted.
    Context(Reg),
    /// So many bytes are wanted.
    Memory(Reg, u32),
}

/// The tags of a parameter.
#[derive(Clone, Copy, Default)]
struct Tags {
    /// It is the context.
    context: bool,
    /// It is not null.
    there: bool,
    /// There are more.
    other: bool,
}

impl Tags {
    fn of(types: &Btf<'_>, func: TypeId, param: usize) -> Tags {
        let mut tags = Tags::default();
        for ty in types.own_types() {
            let Def::DeclTag(tag) = ty.def() else { continue };
            if tag.target != func || tag.component != u32::try_from(param).ok() {
                continue;
            }
            match ty.name().strip_prefix("arg:") {
                Some("ctx") => tags.context = true,
                Some("nonnull") => tags.there = true,
                Some("nullable") | None => {}
                Some(_) => tags.other = true,
            }
        }
        tags
    }
}

impl Value {
    /// The pointer, as if it were known not to be null.
    fn not_null(mut self) -> Value {
        if let crate::value::What::Pointer(pointer) = &mut self.what {
            pointer.null = Null::Never;
            self.id = if matches!(pointer.to, To::MapValue { .. }) { self.id } else { Id::NONE };
        }
        self
    }
}
