//! What one instruction does to what is known.

mod alu;
mod branch;
mod call;
mod context;
mod dynptr;
mod function;
mod global;
mod kfunc;
mod memory;
mod object;
mod region;
mod stack;
mod tracing;

pub(crate) use global::Contract;
pub(crate) use global::WrongParameter;
pub(crate) use kfunc::kfunc_of;
pub(crate) use object::Lookups;
pub(crate) use region::touched;

use crate::explore::{Explorer, Next};
use crate::path::{Note, Set};
use crate::rejection::{Rejection, Rule};
use crate::state::{Role, State};
use crate::subject::SpecialKind;
use crate::value::{Id, MapAt, To, Value};
use core::fmt;
use skep_abi::MapType;
use skep_isa::{Addr, Insn, InsnIdx, Operand, Reg, Width};
use skep_model::platform::prog::ClassicLoads;

/// Offsets of pointers stay below this, either way (`BPF_MAX_VAR_OFF`, include/linux/bpf_verifier.h).
pub(crate) const MOST_OFFSET: i64 = 1 << 29;

pub(crate) type Result<T> = core::result::Result<T, Rejection>;

impl Explorer<'_> {
    /// Executes an instruction.
    pub(crate) fn execute(&mut self, state: &mut State, at: InsnIdx) -> Result<Next> {
        let Some(&insn) = self.program.get(at) else {
            return Err(Rule::Flow.broken(at, format_args!("no instruction is here")));
        };
        let next = Next::At(InsnIdx(at.0 + insn.slots()));
        // A call's results are not written to r10, and nothing else that it changes is.
        if !insn.is_call() && insn.writes().contains(Reg::FP) {
            return Err(Rule::FramePointer
                .broken(at, format_args!("`{insn}` writes r10, the frame pointer, which is read only")));
        }
        match insn {
            Insn::Alu { width, op, dst, src } => self.alu(state, at, (width, op), dst, src)?,
            Insn::Neg { .. } | Insn::Movsx { .. } | Insn::ByteSwap { .. } => self.unary(state, at, insn)?,
            Insn::AddrSpaceCast { .. } => {
                return Err(self.unmodelled(at, format_args!("arenas are not modelled")));
            }
            Insn::LoadImm64 { dst, value } => state.set(dst, Value::constant(value)),
            Insn::LoadAddr { dst, addr } => {
                let value = self.address(at, addr)?;
                state.set(dst, value);
            }
            Insn::LoadAbs { .. } => self.classic_load(state, at, insn, None)?,
            Insn::LoadInd { src, .. } => self.classic_load(state, at, insn, Some(src))?,
            Insn::Load { .. }
            | Insn::Store { .. }
            | Insn::Atomic { .. }
            | Insn::LoadAcquire { .. }
            | Insn::StoreRelease { .. } => self.access(state, at, insn)?,
            Insn::Goto { .. } | Insn::Gotol { .. } => return self.jump(at, insn),
            Insn::Gotox { .. } => {
                return Err(self.unmodelled(at, format_args!("jumps through registers are not modelled")));
            }
            Insn::Branch { width, cond, dst, src, .. } => {
                return self.branch(state, at, insn, (width, cond), dst, src);
            }
            Insn::MayGoto { .. } => return self.may_goto(state, at, insn),
            Insn::CallHelper { id } => return self.call_helper(state, at, id),
            Insn::CallLocal { .. } => return self.call_local(state, at, insn),
            Insn::CallKfunc { .. } => return self.call_kfunc(state, at, insn),
            Insn::CallReg { .. } => {
                return Err(
                    Rule::Instruction.broken(at, format_args!("`{insn}` is not an instruction of Linux"))
                );
            }
            Insn::Exit => return self.exit(state, at),
        }
        Ok(next)
    }

    /// What a register holds, if it holds anything.
    #[inline]
    pub(crate) fn read<'s>(&self, state: &'s State, at: InsnIdx, reg: Reg) -> Result<&'s Value> {
        let value = state.reg(reg);
        if value.is_nothing() { Err(self.uninitialised(at, reg)) } else { Ok(value) }
    }

    #[cold]
    fn uninitialised(&self, at: InsnIdx, reg: Reg) -> Rejection {
        let insn = self.program.at(at);
        let insn: &dyn fmt::Display = match &insn {
            Some(insn) => insn,
            None => &"the instruction",
        };
        Rule::Initialised
            .broken(at, format_args!("`{insn}` reads {reg}, which nothing has written before on this path"))
    }

    /// What a second operand is; a constant is put into `constant`.
    #[inline]
    fn operand<'s>(
        &self,
        state: &'s State,
        at: InsnIdx,
        width: Width,
        operand: Operand,
        constant: &'s mut Value,
    ) -> Result<&'s Value> {
        match operand {
            Operand::Reg(reg) => self.read(state, at, reg),
            Operand::Imm(imm) => {
                *constant = immediate(width, imm);
                Ok(constant)
            }
        }
    }

    /// What a wide load makes.
    fn address(&mut self, at: InsnIdx, addr: Addr) -> Result<Value> {
        let (value_off, is_value) = match addr {
            Addr::MapFd { .. } | Addr::MapIndex { .. } => (0, false),
            Addr::MapValueFd { off, .. } | Addr::MapValueIndex { off, .. } => (off, true),
            Addr::Code { .. } => {
                let start = self.program.at(at).and_then(|insn| insn.call_target(at)).unwrap_or(at);
                return Ok(Value::pointer(To::Function(start)));
            }
            Addr::Variable { btf_id, btf_fd } => return self.kernel_variable(at, btf_id, btf_fd),
        };
        let index = self.subject.references.map_of(at, addr);
        let Some((index, map)) = index.and_then(|index| Some((index, self.subject.maps.get(index)?))) else {
            return Err(Rule::Reference.broken(at, format_args!("no map is known here")));
        };
        self.map_fits_program(at, map)?;
        let Ok(map_at) = u16::try_from(index).map(MapAt) else {
            return Err(
                Rule::Reference.broken(at, format_args!("more maps are known than a program can name"))
            );
        };
        if !is_value {
            return Ok(Value::pointer(To::Map(map_at)));
        }
        if map.kind == MapType::ARENA {
            return Err(self.unmodelled(at, format_args!("arenas are not modelled")));
        }
        // `array_map_direct_value_addr`, kernel/bpf/arraymap.c.
        if map.kind != MapType::ARRAY || map.max_entries != 1 || value_off >= map.value_size {
            return Err(Rule::MapValue.broken(
                at,
                format_args!(
                    "wanted byte {value_off} of the only value of an array, found a map of type {}, {} elements and {} bytes each",
                    map.kind, map.max_entries, map.value_size
                ),
            )
            .says_of_address(map, value_off));
        }
        let mut value = Value::pointer(To::MapValue { map: map_at, inner: Id::NONE });
        value.fixed = i64::from(value_off);
        Ok(value)
    }

    /// Refuses maps with objects that programs of this type cannot use (`check_map_prog_compatibility`).
    fn map_fits_program(&self, at: InsnIdx, map: &crate::subject::MapProto<'_>) -> Result<()> {
        use skep_abi::ProgType as T;
        let kind = self.subject.kind;
        let probes = [T::KPROBE, T::TRACEPOINT, T::PERF_EVENT, T::RAW_TRACEPOINT, T::RAW_TRACEPOINT_WRITABLE];
        let what = map.special.iter().find_map(|special| match special.kind {
            SpecialKind::SpinLock if probes.contains(&kind) || kind == T::SOCKET_FILTER => {
                Some("bpf_spin_lock")
            }
            SpecialKind::Timer if probes.contains(&kind) => Some("bpf_timer"),
            SpecialKind::Workqueue if probes.contains(&kind) => Some("bpf_wq"),
            _ => None,
        });
        match what {
            None => Ok(()),
            Some(what) => Err(Rule::Special.broken(
                at,
                format_args!("a program of type {kind} cannot use a map whose values have a {what}"),
            )),
        }
    }

    /// A packet load of classic BPF (`check_ld_abs`).
    fn classic_load(&mut self, state: &mut State, at: InsnIdx, insn: Insn, index: Option<Reg>) -> Result<()> {
        if self.prog.classic_loads == ClassicLoads::Refused {
            return Err(Rule::ClassicLoad.broken(
                at,
                format_args!(
                    "`{insn}` wants a socket buffer, which a program of type {} has not",
                    self.prog.kind
                ),
            ));
        }
        // What is not there ends the program, or only the function, back to where it was called (`check_reference_leak`).
        if state.frame().role != Role::Called {
            self.nothing_owned(state, at, "a packet load may end the program")?;
        }
        let context = self.read(state, at, Reg::R6)?;
        if context.certainly_to() != Some(To::Context) || context.offset() != Some(0) {
            return Err(Rule::ClassicLoad
                .broken(at, format_args!("`{insn}` wants the context in r6, found {context}")));
        }
        if let Some(index) = index {
            self.read(state, at, index)?;
        }
        self.leave_early(state, at, insn)?;
        self.forget_arguments(state);
        state.set(Reg::R0, Value::UNKNOWN);
        Ok(())
    }

    /// Where there are no such bytes, the function that runs returns 0.
    fn leave_early(&mut self, state: &State, at: InsnIdx, insn: Insn) -> Result<()> {
        let frame = state.frame();
        match frame.role {
            // Zero is a number, and all programs that may load so may return it.
            Role::First | Role::Later => Ok(()),
            Role::Called if !self.returns_number(frame.function) => Err(Rule::ClassicLoad
                .broken(at, format_args!("`{insn}` may leave its function with 0, which returns no number"))),
            Role::Called => {
                let mut left = self.copy(state)?;
                let call = left.frame().call;
                left.frames.pop();
                left.set(Reg::R0, Value::constant(0));
                self.wait_after_leaving(left, (at, Note::Leave), InsnIdx(call.0 + 1))
            }
            Role::Callback(_) => {
                let mut left = self.copy(state)?;
                let call = left.frame().call;
                left.frames.pop();
                self.wait_after_leaving(left, (at, Note::LeaveCallback), call)
            }
        }
    }

    /// Forgets r0 to r5, as calls do.
    pub(crate) fn forget_arguments(&self, state: &mut State) {
        for reg in skep_isa::RegSet::CALLER_SAVED.iter() {
            state.set(reg, Value::NOTHING);
        }
    }

    /// Says that the number in a register decides something.
    pub(crate) fn need_reg(&mut self, state: &State, reg: Reg) {
        if state.reg(reg).is_number() {
            self.need(state, Set::reg(state.top(), reg));
        }
    }

    /// The refusal of what is not modelled.
    pub(crate) fn unmodelled(&self, at: InsnIdx, what: fmt::Arguments<'_>) -> Rejection {
        Rule::Unmodelled.broken(at, what)
    }

    /// The refusal of what needs nothing to be owned.
    pub(crate) fn nothing_owned(&self, state: &State, at: InsnIdx, why: &str) -> Result<()> {
        if let Some(owned) = state.owned.last() {
            return Err(Rule::Leak.broken(
                at,
                format_args!("{why}, and what instruction {} acquired is not released", owned.at),
            ));
        }
        let (what, section) = match state {
            State { rcu: true, .. } => ("an RCU section is open", "bpf_rcu_read_lock"),
            State { preempt: 1.., .. } => ("preemption is disabled", "bpf_preempt_disable"),
            _ => return Ok(()),
        };
        let who = match self.program.at(at) {
            Some(Insn::CallHelper { .. }) => "tail_call",
            Some(Insn::LoadAbs { .. } | Insn::LoadInd { .. }) => "BPF_LD_[ABS|IND]",
            _ => "BPF_EXIT instruction in main prog",
        };
        Err(Rule::Lock
            .broken(at, format_args!("{why}, and {what}"))
            .says(format_args!("{who} cannot be used inside {section}-ed region")))
    }
}

/// What a constant in an instruction is.
fn immediate(width: Width, imm: i32) -> Value {
    Value::constant(match width {
        Width::W64 => i64::from(imm) as u64,
        Width::W32 => u64::from(imm as u32),
    })
}
