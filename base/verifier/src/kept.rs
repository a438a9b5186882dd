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

/// A kept state, and where it was.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) state: KeptState,
    pub(crate) at: InsnIdx,
}

impl Kept {
    /// Nothing, to be filled.
    pub(crate) const EMPTY: Kept = Kept { state: KeptState::EMPTY, at: InsnIdx::ZERO };
}

/// What became of a kept state. It lies apart from it: where paths meet, many are told from the new state by no more than this.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Whether it lies on the path that is followed.
    pub(crate) on_path: bool,
    /// Whether new states are compared with it.
    pub(crate) listed: bool,
    pub(crate) hits: u32,
    pub(crate) misses: u32,
    /// In what the last state differed that was compared.
    pub(crate) differed: Part,
    /// Whether that counts where only what is wanted does, once it is not on the path any more.
    pub(crate) counts: bool,
}

impl Standing {
    /// That of a state that is kept now.
    pub(crate) const NEW: Standing =
        Standing { on_path: true, listed: true, hits: 0, misses: 0, differed: Part::Whole, counts: false };

    /// Notes in what a state differed from the kept one.
    pub(crate) fn note(&mut self, differed: Part, kept: &KeptState) {
        self.differed = match differed {
            Part::Reg { frame, reg } => kept.constant(frame, reg),
            other => other,
        };
        self.weigh(kept);
    }

    /// Sees whether that in which a state differed counts.
    pub(crate) fn weigh(&mut self, kept: &KeptState) {
        if let Part::Constant { frame, reg, .. } = self.differed {
            let wanted = kept.frames.get(frame.into()).map_or(0, |frame| frame.wanted.compared_regs());
            self.counts = wanted & 1 << reg.index() != 0;
        }
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

/// A function that was active. Of most registers little is known: what that is takes no memory of its own.
#[derive(Debug)]
pub(crate) struct KeptFrame {
    live: RegSet,
    /// Live registers that are a pointer to the start of the context.
    contexts: RegSet,
    /// Live registers that are numbers on which nothing depends.
    numbers: RegSet,
    /// Live registers that are constants without copies, which these are, by ascending number.
    constants: RegSet,
    constant: [u64; 2],
    /// Of the other live registers, by ascending number.
    regs: Vec<Value>,
    pub(crate) stack: Vec<Slot>,
    pub(crate) function: usize,
    pub(crate) call: InsnIdx,
    pub(crate) role: Role,
    pub(crate) turns: u32,
    /// What is wanted of it by what follows.
    pub(crate) wanted: Wanted,
}

/// What is kept of a register.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held<'a> {
    /// It is not read later.
    Nothing,
    /// A pointer to the start of the context.
    Context,
    /// A number on which nothing depends.
    Number,
    /// A constant without copies.
    Constant(u64),
    /// Anything.
    Value(&'a Value),
}

impl Held<'_> {
    fn value(self) -> Value {
        match self {
            Held::Nothing => Value::NOTHING,
            Held::Context => Value::CONTEXT,
            Held::Number => Value::UNKNOWN,
            Held::Constant(value) => Value::constant(value),
            Held::Value(value) => *value,
        }
    }
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
    /// Room for so many of them, in memory that is not much larger.
    #[inline]
    fn room(&mut self, count: usize) -> Result<Vec<T>, Rejection> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let fits = |unused: &Vec<T>| (count..=2 * count).contains(&unused.capacity());
        // The last one is the likeliest to lie in a cache.
        let found = self.0.iter().rposition(fits);
        let mut room = found.map(|at| self.0.swap_remove(at)).unwrap_or_default();
        room.try_reserve_exact(count).map_err(|_| no_memory())?;
        Ok(room)
    }

    fn put(&mut self, mut unused: Vec<T>) {
        unused.clear();
        if unused.capacity() > 0 && self.0.len() < SPARE && self.0.try_reserve(1).is_ok() {
            self.0.push(unused);
        }
    }
}

impl KeptState {
    /// The register in which a state differs, and what it is if it is constant.
    fn constant(&self, frame: u8, reg: Reg) -> Part {
        match self.frames.get(frame.into()).map(|frame| frame.held(reg)) {
            Some(Held::Constant(value)) => Part::Constant { frame, reg, value },
            _ => Part::Reg { frame, reg },
        }
    }

    /// Nothing, to be filled.
    pub(crate) const EMPTY: KeptState = KeptState {
        frames: KeptFrames { first: KeptFrame::EMPTY, others: Vec::new() },
        owned: Vec::new(),
        rcu: false,
        preempt: 0,
        turns: 0,
        unrolled: 0,
    };

    /// Keeps of each active function the registers that are live there, in the place of what has let go of its memory. The frame pointer is
    /// always the same.
    pub(crate) fn fill(
        &mut self,
        state: &State,
        live: impl Fn(usize) -> RegSet,
        spare: &mut Spare,
    ) -> Result<(), Rejection> {
        self.frames.first.fill(&state.frames[0], live(0), spare)?;
        self.frames.others.try_reserve_exact(state.frames.len() - 1).map_err(|_| no_memory())?;
        for (number, frame) in state.frames.iter().enumerate().skip(1) {
            let mut kept = KeptFrame::EMPTY;
            kept.fill(frame, live(number), spare)?;
            self.frames.others.push(kept);
        }
        if !state.owned.is_empty() {
            self.owned = copied(&state.owned)?;
        }
        (self.rcu, self.preempt, self.turns, self.unrolled) =
            (state.rcu, state.preempt, state.turns, state.unrolled);
        Ok(())
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
    const EMPTY: KeptFrame = KeptFrame {
        live: RegSet::EMPTY,
        contexts: RegSet::EMPTY,
        numbers: RegSet::EMPTY,
        constants: RegSet::EMPTY,
        constant: [0; 2],
        regs: Vec::new(),
        stack: Vec::new(),
        function: 0,
        call: InsnIdx::ZERO,
        role: Role::First,
        turns: 0,
        wanted: Wanted::NOTHING,
    };

    fn fill(&mut self, frame: &Frame, live: RegSet, spare: &mut Spare) -> Result<(), Rejection> {
        let live = live.without(RegSet::of(Reg::FP));
        let (mut contexts, mut constants) = (RegSet::EMPTY, RegSet::EMPTY);
        let mut free = self.constant.iter_mut();
        for reg in live.iter() {
            let value = &frame.regs[reg.index()];
            match value.as_constant() {
                // A number is nothing else beside its copies.
                Some(number) if !value.id.is_some() && value.fixed == 0 => {
                    if let Some(constant) = free.next() {
                        (*constant, constants) = (number, constants.with(reg));
                    }
                }
                None if !value.is_number() && *value == Value::CONTEXT => contexts = contexts.with(reg),
                _ => {}
            }
        }
        let others = live.without(contexts.union(constants));
        self.regs = spare.values.room(count(others))?;
        others.iter().for_each(|reg| self.regs.push(frame.regs[reg.index()]));
        self.stack = spare.slots.room(frame.stack.len())?;
        self.stack.extend_from_slice(&frame.stack);
        (self.live, self.contexts, self.numbers, self.constants) = (live, contexts, RegSet::EMPTY, constants);
        (self.function, self.call, self.role, self.turns) =
            (frame.function, frame.call, frame.role, frame.turns);
        self.wanted = Wanted::NOTHING;
        Ok(())
    }

    /// Forgets what is of no use to anybody when nothing more will be wanted of it: slots that are not read, and numbers on which nothing
    /// depends. Where there is no memory for less of it, all of it stays.
    pub(crate) fn forget(&mut self, spare: &mut Spare) {
        self.forget_slots(64 - self.wanted.read.leading_zeros() as usize, spare);
        let (others, wanted) = (self.others(), self.wanted.compared_regs());
        let is_wanted = |(reg, value): &(Reg, &Value)| !value.is_number() || wanted & 1 << reg.index() != 0;
        let mut rest = RegSet::EMPTY;
        for (reg, _) in others.iter().zip(&self.regs).filter(is_wanted) {
            rest = rest.with(reg);
        }
        if rest == others {
            return;
        }
        if let Ok(mut regs) = spare.values.room(count(rest)) {
            regs.extend(others.iter().zip(&self.regs).filter(is_wanted).map(|(_, value)| *value));
            spare.values.put(mem::replace(&mut self.regs, regs));
            self.numbers = self.numbers.union(others.without(rest));
        }
    }

    /// Forgets the slots from this number on.
    fn forget_slots(&mut self, from: usize, spare: &mut Spare) {
        let Some(rest) = self.stack.get(..from).filter(|rest| rest.len() < self.stack.len()) else { return };
        if let Ok(mut stack) = spare.slots.room(rest.len()) {
            stack.extend_from_slice(rest);
            spare.slots.put(mem::replace(&mut self.stack, stack));
        }
    }

    /// The registers whose values are kept as they are.
    #[inline]
    fn others(&self) -> RegSet {
        self.live.without(self.contexts.union(self.numbers).union(self.constants))
    }

    /// What is kept of a register.
    #[inline]
    pub(crate) fn held(&self, reg: Reg) -> Held<'_> {
        let bit = 1 << reg.index();
        let before = |set: RegSet| (set.bits() & (bit - 1)).count_ones() as usize;
        if self.live.bits() & bit == 0 {
            Held::Nothing
        } else if self.constants.bits() & bit != 0 {
            self.constant.get(before(self.constants)).map_or(Held::Nothing, |value| Held::Constant(*value))
        } else if self.numbers.bits() & bit != 0 {
            Held::Number
        } else if self.contexts.bits() & bit != 0 {
            Held::Context
        } else {
            self.regs.get(before(self.others())).map_or(Held::Nothing, Held::Value)
        }
    }

    /// What is known of a register; nothing of one that is not read later.
    pub(crate) fn reg(&self, reg: Reg) -> Value {
        self.held(reg).value()
    }

    /// The slot, if that much stack was ever touched.
    #[inline]
    pub(crate) fn slot(&self, slot: usize) -> Option<&Slot> {
        self.stack.get(slot)
    }
}

fn count(set: RegSet) -> usize {
    set.bits().count_ones() as usize
}

/// A copy of just that size.
pub(crate) fn copied<T: Copy>(all: &[T]) -> Result<Vec<T>, Rejection> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(all.len()).map_err(|_| no_memory())?;
    copy.extend_from_slice(all);
    Ok(copy)
}
