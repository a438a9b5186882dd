//! Functions of the program: calls, returns, and what helpers call (`check_func_call`, `prepare_func_exit`, `push_callback_call`,
//! `check_return_code` in `kernel/bpf/verifier.c`).

use super::Result;
use super::tracing::Wanted;
use crate::explore::{Called, Explorer, Next};
use crate::path::{MOST_FRAMES, Note};
use crate::rejection::{Rule, no_memory};
use crate::scalar::Number;
use crate::state::{Frame, Role, State};
use crate::value::{Id, MapAt, To, Trust, Value};
use alloc::vec::Vec;
use skep_abi::{AttachType, ProgType};
use skep_isa::{Insn, InsnIdx, Reg};
use skep_model::platform::helper::Callback;

impl Explorer<'_> {
    fn function_at(&self, at: InsnIdx, start: Option<InsnIdx>) -> Result<(usize, InsnIdx)> {
        let found = start.and_then(|start| Some((self.structure.subprogram_at(start)?, start)));
        found.ok_or_else(|| Rule::Flow.broken(at, format_args!("no function begins where the call leads")))
    }

    /// Refuses more active functions than there may be.
    fn room_for_frame(&self, state: &State, at: InsnIdx) -> Result<()> {
        let most = (self.limits.frames as usize).min(MOST_FRAMES);
        if state.frames.len() < most {
            return Ok(());
        }
        Err(Rule::Frames.broken(at, format_args!("more than {most} functions would be active at once")))
    }

    pub(super) fn call_local(&mut self, state: &mut State, at: InsnIdx, insn: Insn) -> Result<Next> {
        let (function, start) = self.function_at(at, insn.call_target(at))?;
        if Some(start) == self.subject.exception_callback {
            return Err(Rule::Flow.broken(
                at,
                format_args!(
                    "the function that is called when the program throws cannot be called otherwise"
                ),
            ));
        }
        if self.by_type.get(function) != Some(&Called::Along) {
            return self.call_by_type(state, at, function);
        }
        self.room_for_frame(state, at)?;
        let mut frame = Frame::new(function, at, Role::Called, state.frames.len() as u8);
        for reg in skep_isa::RegSet::ARGUMENTS.iter() {
            frame.regs[reg.index()] = *state.reg(reg);
        }
        self.forget_arguments(state);
        state.frames.try_reserve(1).map_err(|_| no_memory())?;
        state.frames.push(frame);
        self.path.note(Note::Enter)?;
        Ok(Next::At(start))
    }

    pub(super) fn exit(&mut self, state: &mut State, at: InsnIdx) -> Result<Next> {
        let role = state.frame().role;
        match role {
            Role::First => {
                self.nothing_owned(state, at, "the program ends")?;
                self.check_result(state, at)?;
                Ok(Next::End)
            }
            Role::Later => {
                self.nothing_owned(state, at, "the function ends")?;
                self.check_range(state, at, Number::constant(0), "a function that is called later")?;
                Ok(Next::End)
            }
            Role::Called => {
                let result = *state.reg(Reg::R0);
                let top = state.top();
                if result.is_stack_of(top) {
                    return Err(Rule::Stack
                        .broken(at, format_args!("a function cannot return a pointer to its own stack")));
                }
                let call = state.frame().call;
                state.frames.pop();
                state.set(Reg::R0, result);
                self.path.note(Note::Leave)?;
                Ok(Next::At(InsnIdx(call.0 + 1)))
            }
            Role::Callback(_) => {
                let top = state.top() as u8;
                if let Some(owned) = state.owned.iter().find(|owned| owned.frame >= top) {
                    return Err(Rule::Leak.broken(
                        at,
                        format_args!(
                            "the function ends, and what instruction {} acquired in it is not released",
                            owned.at
                        ),
                    ));
                }
                self.check_range(state, at, Number::unsigned(0, 1), "a function that a helper calls")?;
                let call = state.frame().call;
                state.frames.pop();
                self.path.note(Note::LeaveCallback)?;
                // The helper may call it again, or be done.
                Ok(Next::At(call))
            }
        }
    }

    /// A tail call in a function that was called: nothing comes of it, and the function goes on; or another program runs in its place, which
    /// may change the packet, and returns what it likes to where the function was called (`check_helper_call`; Linux 6.12
    /// follows the first way only).
    pub(super) fn leave_by_tail_call(&mut self, state: &mut State, at: InsnIdx) -> Result<Next> {
        self.wait(state.try_clone()?, InsnIdx(at.0 + 1))?;
        state.for_each(super::call::forget_packet);
        state.set(Reg::R0, Value::UNKNOWN);
        if let Some(log) = &mut self.log {
            log.leaving(state);
        }
        self.exit(state, at)
    }

    /// Refuses a result outside of what is wanted.
    fn check_range(&mut self, state: &State, at: InsnIdx, wanted: Number, who: &str) -> Result<()> {
        let result = self.read(state, at, Reg::R0)?;
        self.need_reg(state, Reg::R0);
        if result.is_number() && wanted.covers(&result.number) {
            return Ok(());
        }
        Err(Rule::Return.broken(
            at,
            format_args!(
                "wanted {who} to return {} to {}, found {result} in r0",
                wanted.smin(),
                wanted.smax()
            ),
        ))
    }

    /// What the program may return, if that is looked at.
    fn result_range(&self, at: InsnIdx) -> Result<Option<(i32, i32)>> {
        Ok(match (self.prog.returns, self.has_arguments()) {
            (_, true) => match self.target_returns(at)? {
                Wanted::Within(low, high) => Some((low, high)),
                _ => None,
            },
            (returns, _) => returns.range(self.subject.attach),
        })
    }

    /// What the program may return, if that is looked at and known.
    pub(crate) fn wanted_result(&self, at: InsnIdx) -> Option<(i32, i32)> {
        self.result_range(at).ok().flatten()
    }

    /// Checks what a program returns.
    fn check_result(&mut self, state: &State, at: InsnIdx) -> Result<()> {
        let function = state.frame().function;
        if function == 0 && self.has_arguments() && self.target_returns(at)? == Wanted::Nothing {
            return Ok(());
        }
        let result = *self.read(state, at, Reg::R0)?;
        if function != 0 {
            if result.is_number() {
                return Ok(());
            }
            return Err(Rule::Return.broken(
                at,
                format_args!(
                    "wanted a number from a function that is called by its type, found {result} in r0"
                ),
            ));
        }
        let range = self.result_range(at)?;
        let Some((low, high)) = range.filter(|&range| range != (i32::MIN, i32::MAX)) else { return Ok(()) };
        self.need_reg(state, Reg::R0);
        let (low, high) = (i64::from(low), i64::from(high));
        let number = &result.number;
        // Of hooks the lower half counts (`return_32bit` in `check_return_code`), of all others the whole.
        let is_hook = self.subject.kind == ProgType::LSM && self.subject.attach != AttachType::LSM_CGROUP;
        let (least, most) = match is_hook {
            true => (i64::from(number.s32_min()), i64::from(number.s32_max())),
            false => (number.smin(), number.smax()),
        };
        if result.is_number() && low <= least && most <= high {
            return Ok(());
        }
        Err(Rule::Return
            .broken(at, format_args!("wanted the program to return {low} to {high}, found {result} in r0")))
    }

    /// A helper calls a function, as often as it likes: what comes of that is looked at until nothing new does.
    pub(super) fn call_back(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        kind: Callback,
        function: InsnIdx,
        map: Option<(MapAt, Id)>,
    ) -> Result<()> {
        let (number, start) = self.function_at(at, Some(function))?;
        if kind == Callback::Timer {
            return self.call_later(at, (number, start), map);
        }
        self.room_for_frame(state, at)?;
        if kind == Callback::Loop {
            self.need_reg(state, Reg::R1);
            let count = state.reg(Reg::R1);
            // Linux takes a pointer for its offset, and is saved by refusing such counts when it runs (`BPF_MAX_LOOPS`).
            let times = if count.is_number() { count.number.umax() } else { u64::MAX };
            if u64::from(state.frame().turns) >= times {
                state.frame_mut().turns = 0;
                return Ok(());
            }
        }
        let mut frame = Frame::new(number, at, Role::Callback(kind), state.frames.len() as u8);
        let mut give = |reg: Reg, value: Value| frame.regs[reg.index()] = value;
        let handed = *state.reg(Reg::R3);
        match kind {
            Callback::Loop => {
                give(Reg::R1, Value::UNKNOWN);
                give(Reg::R2, handed);
            }
            Callback::MapElem => {
                let Some(map) = map else {
                    return Err(Rule::Argument.broken(at, format_args!("no map is known to go over")));
                };
                let [of, key, value] = self.element_of(map);
                give(Reg::R1, of);
                give(Reg::R2, key);
                give(Reg::R3, value);
                give(Reg::R4, handed);
            }
            Callback::UserRecord => {
                let id = self.new_id();
                give(Reg::R1, Value { id, ..Value::pointer(To::Dynptr) });
                give(Reg::R2, handed);
            }
            Callback::Vma => {
                let type_id = self.named(at, "vm_area_struct")?;
                give(Reg::R1, *state.reg(Reg::R1));
                give(Reg::R2, Value::pointer(To::Object { type_id, trust: Trust::Walked }));
                give(Reg::R3, *state.reg(Reg::R4));
            }
            // It is called later.
            Callback::Timer => {}
        }
        let mut inside = self.copy(state)?;
        inside.frame_mut().turns += 1;
        inside.unrolled += 1;
        inside.frames.try_reserve(1).map_err(|_| no_memory())?;
        inside.frames.push(frame);
        self.wait_in_callback(inside, at, start)?;
        state.frame_mut().turns = 0;
        Ok(())
    }

    /// What a function gets that is called for an element of a map: the map, the key, the value.
    fn element_of(&mut self, (map, inner): (MapAt, Id)) -> [Value; 3] {
        let id = self.new_id();
        let of = if inner.is_some() { To::InnerMap { map, inner } } else { To::Map(map) };
        [
            Value::pointer(of),
            Value::pointer(To::MapKey(map)),
            Value { id, ..Value::pointer(To::MapValue { map, inner }) },
        ]
    }

    /// A function is called when a timer fires.
    fn call_later(
        &mut self,
        at: InsnIdx,
        (number, start): (usize, InsnIdx),
        map: Option<(MapAt, Id)>,
    ) -> Result<()> {
        let Some(map) = map else {
            return Err(Rule::Argument.broken(at, format_args!("no map is known whose timer it is")));
        };
        if !self.later.contains(&number) {
            self.later.try_reserve(1).map_err(|_| no_memory())?;
            self.later.push(number);
        }
        let mut frame = Frame::new(number, at, Role::Later, 0);
        let [of, key, value] = self.element_of(map);
        frame.regs[Reg::R1.index()] = of;
        frame.regs[Reg::R2.index()] = key;
        frame.regs[Reg::R3.index()] = value;
        let later = State::new(frame)?;
        self.wait_apart(later, start)
    }
}

impl State {
    /// A state in which one function is active.
    pub(crate) fn new(frame: Frame) -> Result<State> {
        let mut frames = Vec::new();
        frames.try_reserve(1).map_err(|_| no_memory())?;
        frames.push(frame);
        Ok(State { frames, owned: Vec::new(), rcu: false, preempt: 0, turns: 0, unrolled: 0, since: 0 })
    }
}
