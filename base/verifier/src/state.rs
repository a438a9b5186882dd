//! What is known at one point of one path.

use crate::kept::copied;
use crate::path::Set;
use crate::rejection::{Rejection, no_memory};
use crate::stack::Slot;
use crate::value::{Id, MapAt, Value};
use alloc::vec::Vec;
use skep_isa::{InsnIdx, Reg};
use skep_model::platform::helper::Callback;

/// An active function.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) regs: [Value; 11],
    /// By descending address: the first slot is right below the frame pointer.
    pub(crate) stack: Vec<Slot>,
    /// Which function it is.
    pub(crate) function: usize,
    /// The instruction that called it.
    pub(crate) call: InsnIdx,
    /// How it was called.
    pub(crate) role: Role,
    /// How often the helper that it calls now has called a function.
    pub(crate) turns: u32,
}

/// How a function came to be active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// The program starts here, or the function is verified by itself.
    First,
    /// It was called by an instruction.
    Called,
    /// A helper calls it, as often as it likes.
    Callback(Callback),
    /// It is called later, when nothing of the program is active.
    Later,
}

/// What must be released before the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) id: Id,
    /// Where it was acquired.
    pub(crate) at: InsnIdx,
    /// By which of the active functions.
    pub(crate) frame: u8,
    pub(crate) kind: OwnedKind,
}

/// What is owned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OwnedKind {
    /// Something that a call returned.
    Object,
    /// The spin lock of a value of a map; the id tells values apart.
    Lock(MapAt, Id),
}

/// What is known at one point of one path.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) frames: Vec<Frame>,
    pub(crate) owned: Vec<Owned>,
    /// Whether an RCU section is open.
    pub(crate) rcu: bool,
    /// How often preemption is disabled.
    pub(crate) preempt: u32,
    /// How often a `may_goto` went on.
    pub(crate) turns: u32,
    /// How many callbacks are active or were, one after another, at the same call.
    pub(crate) unrolled: u32,
    /// The path before this position belongs to what caused it, not to the state.
    pub(crate) since: u32,
}

impl Owned {
    pub(crate) const fn is_lock(&self) -> bool {
        matches!(self.kind, OwnedKind::Lock(..))
    }
}

impl Frame {
    pub(crate) fn new(function: usize, call: InsnIdx, role: Role, at: u8) -> Frame {
        let mut regs = [Value::NOTHING; 11];
        regs[Reg::FP.index()] = Value::pointer(crate::value::To::Stack { frame: at });
        Frame { regs, stack: Vec::new(), function, call, role, turns: 0 }
    }

    pub(crate) fn try_clone(&self) -> Result<Frame, Rejection> {
        Ok(Frame { stack: copied(&self.stack)?, ..*self })
    }

    /// Becomes a copy of another one, in the memory that is there.
    fn become_copy(&mut self, of: &Frame) -> Result<(), Rejection> {
        self.stack.clear();
        self.stack.try_reserve(of.stack.len()).map_err(|_| no_memory())?;
        self.stack.extend_from_slice(&of.stack);
        let Frame { regs, stack: _, function, call, role, turns } = of;
        self.regs = *regs;
        (self.function, self.call, self.role, self.turns) = (*function, *call, *role, *turns);
        Ok(())
    }

    /// The slot, if that much stack was ever touched.
    pub(crate) fn slot(&self, slot: usize) -> Option<&Slot> {
        self.stack.get(slot)
    }

    /// Makes the stack deep enough for so many slots.
    pub(crate) fn deepen(&mut self, slots: usize) -> Result<(), Rejection> {
        if slots > self.stack.len() {
            self.stack.try_reserve(slots - self.stack.len()).map_err(|_| no_memory())?;
            self.stack.resize(slots, Slot::NOTHING);
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn try_clone(&self) -> Result<State, Rejection> {
        let mut frames = Vec::new();
        frames.try_reserve_exact(self.frames.len()).map_err(|_| no_memory())?;
        for frame in &self.frames {
            frames.push(frame.try_clone()?);
        }
        Ok(State { frames, owned: copied(&self.owned)?, ..*self })
    }

    /// Becomes a copy of another one, in the memory that is there.
    pub(crate) fn become_copy(&mut self, of: &State) -> Result<(), Rejection> {
        self.frames.truncate(of.frames.len());
        for (frame, of) in self.frames.iter_mut().zip(&of.frames) {
            frame.become_copy(of)?;
        }
        for of in of.frames.get(self.frames.len()..).unwrap_or_default() {
            self.frames.try_reserve(1).map_err(|_| no_memory())?;
            self.frames.push(of.try_clone()?);
        }
        self.owned.clear();
        self.owned.try_reserve(of.owned.len()).map_err(|_| no_memory())?;
        self.owned.extend_from_slice(&of.owned);
        let State { frames: _, owned: _, rcu, preempt, turns, unrolled, since } = *of;
        (self.rcu, self.preempt, self.turns, self.unrolled, self.since) =
            (rcu, preempt, turns, unrolled, since);
        Ok(())
    }

    /// The index of the function that runs.
    pub(crate) fn top(&self) -> usize {
        self.frames.len() - 1
    }

    /// The function that runs.
    pub(crate) fn frame(&self) -> &Frame {
        &self.frames[self.frames.len() - 1]
    }

    pub(crate) fn frame_mut(&mut self) -> &mut Frame {
        let top = self.frames.len() - 1;
        &mut self.frames[top]
    }

    pub(crate) fn reg(&self, reg: Reg) -> &Value {
        &self.frame().regs[reg.index()]
    }

    pub(crate) fn set(&mut self, reg: Reg, value: Value) {
        self.frame_mut().regs[reg.index()] = value;
    }

    /// Does something with every value, in registers and on the stacks.
    #[inline]
    pub(crate) fn for_each(&mut self, mut each: impl FnMut(&mut Value)) {
        for frame in &mut self.frames {
            for value in &mut frame.regs {
                each(value);
            }
            for slot in &mut frame.stack {
                if !slot.value.is_nothing() {
                    each(&mut slot.value);
                }
            }
        }
    }

    /// Does something with every value of a set.
    #[inline]
    pub(crate) fn for_each_of(&mut self, set: &Set, mut each: impl FnMut(&mut Value)) {
        for (frame, (&regs, &slots)) in self.frames.iter_mut().zip(set.regs.iter().zip(&set.slots)) {
            let mut regs = regs;
            while regs != 0 {
                if let Some(value) = frame.regs.get_mut(regs.trailing_zeros() as usize) {
                    each(value);
                }
                regs &= regs - 1;
            }
            let mut slots = slots;
            while slots != 0 {
                if let Some(slot) = frame.stack.get_mut(slots.trailing_zeros() as usize) {
                    each(&mut slot.value);
                }
                slots &= slots - 1;
            }
        }
    }
}
