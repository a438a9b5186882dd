//! A state that is kept: what of it may matter to whoever comes there later, in less space.

use crate::path::{MOST_FRAMES, Wanted};
use crate::rejection::{Rejection, no_memory};
use crate::same::Part;
use crate::stack::Slot;
use crate::state::{Frame, Owned, Role, State};
use crate::value::Value;
use alloc::vec::Vec;
use skep_isa::{InsnIdx, Reg, RegSet};

/// A kept state, with what is wanted of it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) state: KeptState,
    pub(crate) at: InsnIdx,
    pub(crate) wanted: [Wanted; MOST_FRAMES],
    /// Whether it lies on the path that is followed.
    pub(crate) on_path: bool,
    /// Whether new states are compared with it.
    pub(crate) listed: bool,
    pub(crate) hits: u32,
    pub(crate) misses: u32,
    /// In what the last state differed that was compared.
    pub(crate) differed: Part,
}

/// What was known at one point of one path, of registers that are read later.
#[derive(Debug)]
pub(crate) struct KeptState {
    pub(crate) frames: Vec<KeptFrame>,
    pub(crate) owned: Vec<Owned>,
    pub(crate) rcu: bool,
    pub(crate) preempt: u32,
    pub(crate) turns: u32,
    pub(crate) unrolled: u32,
}

/// A function that was active.
#[derive(Debug)]
pub(crate) struct KeptFrame {
    live: RegSet,
    /// Of those that are live, by ascending number.
    regs: Vec<Value>,
    pub(crate) stack: Vec<Slot>,
    pub(crate) function: usize,
    pub(crate) call: InsnIdx,
    pub(crate) role: Role,
    pub(crate) turns: u32,
}

impl KeptState {
    /// Keeps of each active function the registers that are live there. The frame pointer is always the same.
    pub(crate) fn new(state: &State, live: impl Fn(usize) -> RegSet) -> Result<KeptState, Rejection> {
        let mut frames = Vec::new();
        frames.try_reserve_exact(state.frames.len()).map_err(|_| no_memory())?;
        for (number, frame) in state.frames.iter().enumerate() {
            let live = live(number).without(RegSet::of(Reg::FP));
            let mut regs = Vec::new();
            regs.try_reserve_exact(live.bits().count_ones() as usize).map_err(|_| no_memory())?;
            regs.extend(live.iter().map(|reg| frame.regs[reg.index()]));
            let stack = copied(&frame.stack)?;
            let Frame { function, call, role, turns, .. } = *frame;
            frames.push(KeptFrame { live, regs, stack, function, call, role, turns });
        }
        let State { rcu, preempt, turns, unrolled, .. } = *state;
        Ok(KeptState { frames, owned: copied(&state.owned)?, rcu, preempt, turns, unrolled })
    }
}

impl KeptFrame {
    /// What is known of a register; nothing of one that is not read later.
    #[inline]
    pub(crate) fn reg(&self, reg: Reg) -> &Value {
        let (bit, live) = (1 << reg.index(), self.live.bits());
        if live & bit == 0 {
            return &Value::NOTHING;
        }
        self.regs.get((live & (bit - 1)).count_ones() as usize).unwrap_or(&Value::NOTHING)
    }

    /// The slot, if that much stack was ever touched.
    #[inline]
    pub(crate) fn slot(&self, slot: usize) -> Option<&Slot> {
        self.stack.get(slot)
    }
}

/// A copy of just that size.
pub(crate) fn copied<T: Copy>(all: &[T]) -> Result<Vec<T>, Rejection> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(all.len()).map_err(|_| no_memory())?;
    copy.extend_from_slice(all);
    Ok(copy)
}
