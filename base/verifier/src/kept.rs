//! A state that is kept: what of it may matter to whoever comes there later, in less space.

use crate::path::Wanted;
use crate::rejection::{Rejection, no_memory};
use crate::same::Part;
use crate::stack::Slot;
use crate::state::{Frame, Owned, Role, State};
use crate::value::Value;
use alloc::vec::Vec;
use core::{iter, mem};
use skep_isa::{InsnIdx, Reg, RegSet};

/// A kept state, and what became of it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) state: KeptState,
    pub(crate) at: InsnIdx,
    /// Whether it lies on the path that is followed.
    pub(crate) on_path: bool,
    /// Whether new states are compared with it.
    pub(crate) listed: bool,
    pub(crate) hits: u32,
    pub(crate) misses: u32,
    /// In what the last state differed that was compared.
    pub(crate) differed: Part,
}

impl Kept {
    /// The register in which a state differs, and what it is if it is constant.
    pub(crate) fn constant(&self, frame: u8, reg: Reg) -> Part {
        let value = self.state.frames.get(frame.into()).and_then(|frame| frame.reg(reg).as_constant());
        value.map_or(Part::Reg { frame, reg }, |value| Part::Constant { frame, reg, value })
    }
}

/// What was known at one point of one path, of registers that are read later.
#[derive(Debug)]
pub(crate) struct KeptState {
    pub(crate) frames: KeptFrames,
    pub(crate) owned: Vec<Owned>,
    pub(crate) rcu: bool,
    pub(crate) preempt: u32,
    pub(crate) turns: u32,
    pub(crate) unrolled: u32,
}

/// The functions that were active: at least one, and rarely more.
#[derive(Debug)]
pub(crate) struct KeptFrames {
    first: KeptFrame,
    others: Vec<KeptFrame>,
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
    /// What is wanted of it by what follows.
    pub(crate) wanted: Wanted,
}

/// Memory of states that are not kept any more, for those that come.
#[derive(Default, Debug)]
pub(crate) struct Spare {
    values: Unused<Value>,
    slots: Unused<Slot>,
}

#[derive(Debug)]
struct Unused<T>(Vec<Vec<T>>);

/// How many pieces of memory of a kind are kept to be used again.
const SPARE: usize = 16;

impl<T> Default for Unused<T> {
    fn default() -> Unused<T> {
        Unused(Vec::new())
    }
}

impl<T: Copy> Unused<T> {
    /// So many of them, in memory that is not much larger.
    fn copy(&mut self, all: impl Iterator<Item = T>, count: usize) -> Result<Vec<T>, Rejection> {
        let fits = |unused: &Vec<T>| (count..=2 * count).contains(&unused.capacity());
        let mut copy = if self.0.last().is_some_and(fits) { self.0.pop() } else { None }.unwrap_or_default();
        copy.try_reserve_exact(count).map_err(|_| no_memory())?;
        copy.extend(all.take(count));
        Ok(copy)
    }

    fn put(&mut self, mut unused: Vec<T>) {
        unused.clear();
        if unused.capacity() > 0 && self.0.len() < SPARE && self.0.try_reserve(1).is_ok() {
            self.0.push(unused);
        }
    }
}

impl KeptState {
    /// Keeps of each active function the registers that are live there. The frame pointer is always the same.
    pub(crate) fn new(
        state: &State,
        live: impl Fn(usize) -> RegSet,
        spare: &mut Spare,
    ) -> Result<KeptState, Rejection> {
        let first = KeptFrame::new(&state.frames[0], live(0), spare)?;
        let mut others = Vec::new();
        others.try_reserve_exact(state.frames.len() - 1).map_err(|_| no_memory())?;
        for (number, frame) in state.frames.iter().enumerate().skip(1) {
            others.push(KeptFrame::new(frame, live(number), spare)?);
        }
        let State { rcu, preempt, turns, unrolled, .. } = *state;
        let frames = KeptFrames { first, others };
        Ok(KeptState { frames, owned: copied(&state.owned)?, rcu, preempt, turns, unrolled })
    }

    /// Lets its memory go.
    pub(crate) fn let_go(&mut self, spare: &mut Spare) {
        for frame in self.frames.iter_mut() {
            spare.values.put(mem::take(&mut frame.regs));
            spare.slots.put(mem::take(&mut frame.stack));
        }
        (self.frames.others, self.owned) = (Vec::new(), Vec::new());
    }
}

impl KeptFrames {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        1 + self.others.len()
    }

    #[inline]
    pub(crate) fn get(&self, frame: usize) -> Option<&KeptFrame> {
        if frame == 0 { Some(&self.first) } else { self.others.get(frame - 1) }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, frame: usize) -> Option<&mut KeptFrame> {
        if frame == 0 { Some(&mut self.first) } else { self.others.get_mut(frame - 1) }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeptFrame> {
        iter::once(&self.first).chain(&self.others)
    }

    #[inline]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut KeptFrame> {
        iter::once(&mut self.first).chain(&mut self.others)
    }
}

impl KeptFrame {
    fn new(frame: &Frame, live: RegSet, spare: &mut Spare) -> Result<KeptFrame, Rejection> {
        let live = live.without(RegSet::of(Reg::FP));
        let Frame { function, call, role, turns, .. } = *frame;
        Ok(KeptFrame {
            live,
            regs: spare
                .values
                .copy(live.iter().map(|reg| frame.regs[reg.index()]), live.bits().count_ones() as usize)?,
            stack: spare.slots.copy(frame.stack.iter().copied(), frame.stack.len())?,
            function,
            call,
            role,
            turns,
            wanted: Wanted::default(),
        })
    }

    /// Forgets the slots from this number on.
    pub(crate) fn forget_slots(&mut self, from: usize, spare: &mut Spare) {
        let Some(rest) = self.stack.get(..from).filter(|rest| rest.len() < self.stack.len()) else { return };
        // Where there is no memory for less of it, all of it stays.
        if let Ok(rest) = spare.slots.copy(rest.iter().copied(), rest.len()) {
            spare.slots.put(mem::replace(&mut self.stack, rest));
        }
    }

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
