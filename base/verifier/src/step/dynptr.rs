//! Dynptrs: memory of which only the kernel knows how much there is (`process_dynptr_func`, `mark_stack_slots_dynptr`,
//! `unmark_stack_slots_dynptr`, `destroy_if_dynptr_stack_slot` in `kernel/bpf/verifier.c`).
//!
//! One is kept in two slots of a stack, or was handed to the function. Memory that is had from it is there as long as it is. One over a
//! record of a ring must be submitted or discarded; any other may be forgotten.

use super::Result;
use super::region::{Access, Use};
use crate::explore::Explorer;
use crate::rejection::Rule;
use crate::stack::{Half, Kept, Slot};
use crate::state::{OwnedKind, State};
use crate::value::{Id, Memory, To, Value};
use skep_isa::{InsnIdx, Reg};
use skep_model::platform::helper::Dynptr;

/// The bytes of a dynptr (`BPF_DYNPTR_SIZE`).
const SIZE: u32 = 16;

/// Which dynptr an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Handle {
    /// Memory that is had from it names this.
    pub(super) id: Id,
    /// What must be released.
    pub(super) owned: Id,
}

impl Explorer<'_> {
    /// An argument that is a dynptr, or becomes one.
    pub(super) fn dynptr(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        reg: Reg,
        value: &Value,
        wants: Dynptr,
    ) -> Result<Handle> {
        let broken = |rule: Rule, what: &str| {
            Err(rule.broken(at, format_args!("wanted {what} in {reg}, found {value}")))
        };
        let frame = match (value.certainly_to(), wants) {
            (Some(To::Stack { frame }), _) => usize::from(frame),
            (Some(To::Dynptr), Dynptr::Any) if value.offset() == Some(0) => {
                return Ok(Handle { id: value.id, owned: Id::NONE });
            }
            (Some(To::Dynptr), Dynptr::NewLocal | Dynptr::NewRingbuf) => {
                return broken(Rule::Dynptr, "stack for a dynptr");
            }
            (Some(To::Dynptr), Dynptr::ReleaseRingbuf) => {
                return broken(Rule::Release, "a dynptr that the program has reserved");
            }
            _ => return broken(Rule::Argument, "a dynptr, unmoved,"),
        };
        let lower = lower_slot(value);
        match wants {
            Dynptr::NewLocal | Dynptr::NewRingbuf => {
                let Some(lower) = lower else {
                    return broken(Rule::Dynptr, "16 bytes of stack at a known multiple of eight");
                };
                self.span(state, at, frame, value, Access { reg, off: 0, size: SIZE, how: Use::Filled })?;
                self.new_dynptr(state, at, (frame, lower), wants)
            }
            Dynptr::Any => match lower.and_then(|lower| self.known_dynptr(state, frame, lower)) {
                Some(handle) => Ok(handle),
                None => broken(Rule::Dynptr, "the first byte of a dynptr"),
            },
            Dynptr::ReleaseRingbuf => {
                let slot = lower.and_then(|lower| state.frames.get(frame)?.slot(lower));
                if !slot.is_some_and(|slot| {
                    matches!(slot.kept, Some(Kept::Dynptr(_))) && slot.value.owned.is_some()
                }) {
                    return broken(Rule::Release, "a dynptr that the program has reserved");
                }
                match lower.and_then(|lower| self.known_dynptr(state, frame, lower)) {
                    Some(handle) => Ok(handle),
                    None => broken(Rule::Dynptr, "the first byte of a dynptr"),
                }
            }
        }
    }

    /// The dynptr that begins in a slot.
    fn known_dynptr(&mut self, state: &State, frame: usize, lower: usize) -> Option<Handle> {
        let upper = lower.checked_sub(1)?;
        let half = |index| state.frames.get(frame)?.slot(index)?.kept;
        if half(lower) != Some(Kept::Dynptr(Half::Lower)) || half(upper) != Some(Kept::Dynptr(Half::Upper)) {
            return None;
        }
        self.read_slot(state, frame, lower);
        self.read_slot(state, frame, upper);
        let value = &state.frames.get(frame)?.slot(lower)?.value;
        Some(Handle { id: value.id, owned: value.owned })
    }

    /// Makes a dynptr. If the call fails it is one all the same, over nothing.
    fn new_dynptr(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        (frame, lower): (usize, usize),
        wants: Dynptr,
    ) -> Result<Handle> {
        // The slots may be halves of two that were there.
        let slots = [(lower, Half::Lower), (lower.saturating_sub(1), Half::Upper)];
        for (index, _) in slots {
            self.end_kept(state, at, frame, index)?;
        }
        let id = self.new_id();
        let mut owned = Id::NONE;
        if wants == Dynptr::NewRingbuf {
            owned = id;
            self.own(state, at, id, OwnedKind::Object)?;
        }
        let written = self.path.position();
        for (index, half) in slots {
            let value = Value { id, owned, ..Value::NOTHING };
            *self.slot_mut(state, frame, index)? = Slot::of(Kept::Dynptr(half), value, written);
        }
        Ok(Handle { id, owned })
    }

    /// What the kernel keeps ends when it is overwritten. A dynptr takes its other half and its memory along, if nobody waits for its end;
    /// an iterator is lost, and can never be ended.
    pub(super) fn end_kept(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        frame: usize,
        index: usize,
    ) -> Result<()> {
        let Some(slot) = state.frames.get(frame).and_then(|frame| frame.slot(index)) else { return Ok(()) };
        let Value { id, owned, .. } = slot.value;
        let half = match slot.kept {
            None => return Ok(()),
            Some(Kept::Dynptr(half)) => half,
            Some(Kept::Iterator { .. }) => {
                self.slot_mut(state, frame, index)?.end();
                return Ok(());
            }
        };
        if let Some(owned) = state.owned.iter().find(|one| one.id == owned) {
            return Err(Rule::Leak.broken(
                at,
                format_args!(
                    "the dynptr of instruction {} would be overwritten, and is not submitted or discarded",
                    owned.at
                ),
            ));
        }
        let other = match half {
            Half::Lower => index.saturating_sub(1),
            Half::Upper => index + 1,
        };
        if let Some(frame) = state.frames.get_mut(frame) {
            frame.stack.get_mut(index).into_iter().for_each(Slot::end);
            frame.stack.get_mut(other).into_iter().for_each(Slot::end);
        }
        state.for_each(|value| {
            if matches!(value.to(), Some(To::Memory { kind: Memory::Slice(of), .. }) if of == id) {
                *value = Value::UNKNOWN;
            }
        });
        Ok(())
    }
}

impl State {
    /// Ends what is kept on stacks and owned by something that is released.
    pub(super) fn end_owned(&mut self, owned: Id) {
        for frame in &mut self.frames {
            let its = |slot: &&mut Slot| slot.kept.is_some() && slot.value.owned == owned;
            frame.stack.iter_mut().filter(its).for_each(Slot::end);
        }
    }
}

/// The slot in which a dynptr begins that a pointer to a stack points to, if it can: its second half comes in the slot above.
fn lower_slot(value: &Value) -> Option<usize> {
    let below = value.offset()?.checked_neg()?;
    let slots = usize::try_from(below).ok()? / 8;
    (below % 8 == 0 && slots >= 2).then(|| slots - 1)
}
