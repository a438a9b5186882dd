//! Functions of the kernel that are called by its types (`check_kfunc_call`, `process_iter_arg`, `process_iter_next_call` in
//! `kernel/bpf/verifier.c`).

use super::Result;
use super::region::{Access, Use};
use crate::explore::{Explorer, Next};
use crate::rejection::{Rejection, Rule};
use crate::stack::{Kept, Slot, Turning};
use crate::state::{OwnedKind, State};
use crate::value::{Id, Memory, To, Trust, Value, What};
use skep_abi::Errno;
use skep_btf::{Def, TypeId};
use skep_isa::{Insn, InsnIdx, Reg};
use skep_model::platform::helper::Licence;
use skep_model::platform::kfuncs::{self, Does, Kfunc};

/// The bytes of an iterator over numbers, and of what it gives.
const SIZE: u32 = 8;
const NUMBER: u32 = 4;

/// Says of what is no iterator as it is wanted what Linux says (`process_iter_arg`, `stack_slot_obj_get_spi`).
fn no_iterator(rejection: Rejection, value: &Value, wanted: &str) -> Rejection {
    let rejection = rejection.fails_with(Errno::EINVAL);
    let Some(To::Stack { .. }) = value.certainly_to() else {
        return rejection.says(format_args!("arg#0 expected pointer to an iterator on stack"));
    };
    let rejection = match value.offset() {
        None => rejection.says(format_args!("iter has to be at a constant offset")),
        Some(offset) if offset % 8 != 0 => {
            rejection.says(format_args!("cannot pass in iter at an offset={offset}"))
        }
        Some(_) => rejection,
    };
    rejection.says(format_args!("expected {wanted} iter_num as arg #0"))
}

impl Explorer<'_> {
    /// The function that an instruction calls, if it is one that is modelled.
    pub(crate) fn kfunc(&self, insn: Insn) -> Option<&'static Kfunc> {
        kfunc_of(self.subject, insn)
    }

    pub(super) fn call_kfunc(&mut self, state: &mut State, at: InsnIdx, insn: Insn) -> Result<Next> {
        let Some(kfunc) = self.kfunc(insn) else {
            return Err(self.unmodelled(at, format_args!("functions of the kernel are not modelled")));
        };
        if self.subject.licence != Licence::Gpl {
            return Err(Rule::Helper
                .broken(at, format_args!("{} needs a licence that is compatible with the GPL", kfunc.name))
                .says(format_args!("cannot call kernel function from non-GPL compatible program")));
        }
        let of_iterator = matches!(kfunc.does, Does::NumNew | Does::NumNext | Does::NumDestroy);
        if let Some(lock) = state.owned.iter().find(|owned| owned.is_lock()).filter(|_| !of_iterator) {
            return Err(Rule::Lock.broken(
                at,
                format_args!(
                    "{} cannot be called while the lock of instruction {} is held",
                    kfunc.name, lock.at
                ),
            ));
        }
        let next = InsnIdx(at.0 + 1);
        let wrong = |what: &str, says: &str| {
            Err(Rule::Lock
                .broken(at, format_args!("{what}"))
                .says(format_args!("{says} (kernel function {})", kfunc.name)))
        };
        match kfunc.does {
            Does::NumNew => {
                self.new_iterator(state, at)?;
                self.forget_arguments(state);
                state.set(Reg::R0, Value::UNKNOWN);
                return Ok(Next::At(next));
            }
            Does::NumNext => {
                self.next_number(state, at, next)?;
                return Ok(Next::At(next));
            }
            Does::NumDestroy => {
                let (_, slot) = self.iterator(state, at)?;
                self.release(state, at, slot.value.owned)?;
            }
            Does::RcuLock if state.rcu => {
                return wrong("an RCU section is open already", "nested rcu read lock");
            }
            Does::RcuLock => state.rcu = true,
            Does::RcuUnlock if !state.rcu => {
                return wrong("no RCU section is open that could be ended", "unmatched rcu read unlock");
            }
            Does::RcuUnlock => {
                state.rcu = false;
                state.for_each(leave_rcu);
            }
            Does::PreemptDisable => state.preempt += 1,
            Does::PreemptEnable => match state.preempt.checked_sub(1) {
                Some(less) => state.preempt = less,
                None => return wrong("preemption is not disabled", "unmatched attempt to enable preemption"),
            },
        }
        self.forget_arguments(state);
        Ok(Next::At(next))
    }

    /// Where the first argument points on a stack: the slot that begins there.
    fn iterator_slot(&self, state: &State, at: InsnIdx) -> Result<Option<(usize, usize)>> {
        let value = self.read(state, at, Reg::R1)?;
        let Some(To::Stack { frame }) = value.certainly_to() else { return Ok(None) };
        let below = value.offset().and_then(i64::checked_neg).filter(|below| *below > 0 && below % 8 == 0);
        let slot = below.and_then(|below| usize::try_from(below / 8 - 1).ok());
        Ok(slot.map(|slot| (usize::from(frame), slot)))
    }

    /// The iterator that the first argument points to.
    fn iterator(&mut self, state: &State, at: InsnIdx) -> Result<((usize, usize), Slot)> {
        let place = self.iterator_slot(state, at)?;
        let found = place.and_then(|(frame, index)| {
            let slot = state.frames.get(frame)?.slot(index)?;
            matches!(slot.kept, Some(Kept::Iterator { .. })).then_some(((frame, index), *slot))
        });
        let Some(((frame, index), slot)) = found else {
            let value = self.read(state, at, Reg::R1)?;
            let rejection = Rule::Argument.broken(
                at,
                format_args!("wanted an iterator over numbers, on the stack, in r1, found {value}"),
            );
            return Err(no_iterator(rejection, value, "an initialized"));
        };
        self.read_slot(state, frame, index);
        Ok(((frame, index), slot))
    }

    fn new_iterator(&mut self, state: &mut State, at: InsnIdx) -> Result<()> {
        let value = *self.read(state, at, Reg::R1)?;
        let place = self.iterator_slot(state, at)?;
        let free = place.filter(|&(frame, index)| {
            let slot = state.frames.get(frame).and_then(|frame| frame.slot(index));
            !slot.is_some_and(|slot| matches!(slot.kept, Some(Kept::Iterator { .. })))
        });
        let Some((frame, index)) = free else {
            let rejection = Rule::Argument.broken(
                at,
                format_args!("wanted eight bytes of stack without an iterator, at a known multiple of eight, in r1, found {value}"),
            );
            return Err(no_iterator(rejection, &value, "uninitialized"));
        };
        for reg in [Reg::R2, Reg::R3] {
            let bound = self.read(state, at, reg)?;
            if !bound.is_number() {
                return Err(Rule::Argument
                    .broken(at, format_args!("wanted a number in {reg}, found {bound}"))
                    .says(format_args!("R{} is not a scalar", reg.index()))
                    .fails_with(Errno::EINVAL));
            }
        }
        let access = Access { reg: Reg::R1, off: 0, size: SIZE, how: Use::Filled };
        self.span(state, at, frame, &value, access).map_err(|rejection| {
            let off = value.offset().unwrap_or_default();
            rejection.says(format_args!("invalid write to stack R1 off={off} size={SIZE}"))
        })?;
        self.end_kept(state, at, frame, index)?;
        let id = self.new_id();
        self.own(state, at, id, OwnedKind::Object)?;
        let written = self.path.position();
        let value = Value { owned: id, ..Value::NOTHING };
        let kept = Kept::Iterator { turning: Turning::Active, depth: 0 };
        *self.slot_mut(state, frame, index)? = Slot::of(kept, value, written);
        Ok(())
    }

    /// The next number, or the end: both ways are gone.
    fn next_number(&mut self, state: &mut State, at: InsnIdx, next: InsnIdx) -> Result<()> {
        let ((frame, index), slot) = self.iterator(state, at)?;
        let Some(Kept::Iterator { turning, depth }) = slot.kept else { return Ok(()) };
        self.forget_arguments(state);
        if turning == Turning::Active {
            let mut on = self.copy(state)?;
            let kept = Kept::Iterator { turning, depth: depth + 1 };
            self.slot_mut(&mut on, frame, index)?.kept = Some(kept);
            let to = To::Memory { size: NUMBER, kind: Memory::ReadOnly };
            on.set(Reg::R0, Value { owned: slot.value.owned, ..Value::pointer(to) });
            self.wait_in_loop(on, at, next)?;
        }
        self.slot_mut(state, frame, index)?.kept = Some(Kept::Iterator { turning: Turning::Drained, depth });
        state.set(Reg::R0, Value::constant(0));
        Ok(())
    }
}

/// The function that an instruction calls, if it is one that is modelled.
pub(crate) fn kfunc_of(subject: &crate::subject::Subject<'_>, insn: Insn) -> Option<&'static Kfunc> {
    let Insn::CallKfunc { btf_id, fd_index: 0 } = insn else { return None };
    let ty = subject.kernel?.get(TypeId(btf_id))?;
    matches!(ty.def(), Def::Func(_)).then(|| kfuncs::find(ty.name(), subject.platform.version)).flatten()
}

/// What RCU protects may go away now.
fn leave_rcu(value: &mut Value) {
    if let What::Pointer(pointer) = &mut value.what {
        if let To::Object { type_id, trust: Trust::Rcu } = pointer.to {
            pointer.to = To::Object { type_id, trust: Trust::Untrusted };
            pointer.null = crate::value::Null::Never;
            value.id = Id::NONE;
        }
    }
}
