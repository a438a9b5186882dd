//! The path that is followed: every instruction of it, and the states that were kept on the way.
//!
//! Paths are followed depth first, so what waits began on the path that is followed now; going on with it means to forget the rest. The path
//! answers what a number depends on, and which kept states' stacks are read.

use crate::kept::Kept;
use crate::rejection::{Rejection, no_memory};
use crate::value::Value;
use alloc::vec::Vec;
use skep_isa::{AluOp, AtomicOp, Insn, InsnIdx, Operand, Program, Reg};

/// The most functions that can be active at once, whatever the limits say.
pub(crate) const MOST_FRAMES: usize = 8;

/// A place on the path: before the step of this number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Position(pub(crate) u32);

impl Position {
    pub(crate) const START: Position = Position(0);
}

/// One step.
#[derive(Clone, Copy, Debug)]
struct Step {
    insn: InsnIdx,
    note: Note,
}

/// What a step did that its instruction does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Note {
    Nothing,
    /// It loaded all of what is stored in the slot, or stored there.
    Slot {
        frame: u8,
        slot: u8,
    },
    /// The program went into a function, by a call.
    Enter,
    /// A helper called a function.
    EnterCallback,
    /// The program left a function that was called, which returned r0.
    Leave,
    /// A function that a helper called returned to it.
    LeaveCallback,
    /// The numbers of this set changed together, as they are copies of one another.
    Together(u32),
    /// The numbers of this set became unknown, whatever they were.
    Widened(u32),
}

/// Registers and slots of all active functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Set {
    pub(crate) regs: [u16; MOST_FRAMES],
    pub(crate) slots: [u64; MOST_FRAMES],
}

impl Set {
    pub(crate) const EMPTY: Set = Set { regs: [0; MOST_FRAMES], slots: [0; MOST_FRAMES] };

    pub(crate) fn reg(frame: usize, reg: Reg) -> Set {
        let mut set = Set::EMPTY;
        set.add_reg(frame, reg);
        set
    }

    pub(crate) fn add_reg(&mut self, frame: usize, reg: Reg) {
        if let Some(regs) = self.regs.get_mut(frame) {
            *regs |= 1 << reg.index();
        }
    }

    pub(crate) fn add_slot(&mut self, frame: usize, slot: usize) {
        if let Some(slots) = self.slots.get_mut(frame) {
            *slots |= 1 << (slot & 63);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        // All at once, which is quicker than to stop at the first.
        let regs = self.regs.iter().fold(0, |all, regs| all | regs);
        let slots = self.slots.iter().fold(0, |all, slots| all | slots);
        regs == 0 && slots == 0
    }

    fn meets(&self, other: &Set) -> bool {
        let regs = self.regs.iter().zip(&other.regs).fold(0, |all, (one, two)| all | (one & two));
        let slots = self.slots.iter().zip(&other.slots).fold(0, |all, (one, two)| all | (one & two));
        regs != 0 || slots != 0
    }

    fn add(&mut self, other: &Set) {
        self.regs.iter_mut().zip(&other.regs).for_each(|(one, two)| *one |= two);
        self.slots.iter_mut().zip(&other.slots).for_each(|(one, two)| *one |= two);
    }

    fn remove(&mut self, other: &Set) {
        self.regs.iter_mut().zip(&other.regs).for_each(|(one, two)| *one &= !two);
        self.slots.iter_mut().zip(&other.slots).for_each(|(one, two)| *one &= !two);
    }
}

/// What later instructions want of one active function in a kept state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Wanted {
    /// Registers whose number decides something.
    pub(crate) regs: u16,
    /// Slots whose stored number decides something.
    pub(crate) slots: u64,
    /// Slots that are read.
    pub(crate) read: u64,
    /// Registers whose number may decide something, as a loop hands it on to where that is not known yet. They are compared as those that
    /// decide something are, but become unknown where a loop is gone round.
    pub(crate) handed_regs: u16,
    /// Slots whose stored number may.
    pub(crate) handed_slots: u64,
}

impl Wanted {
    pub(crate) const NOTHING: Wanted = Wanted { regs: 0, slots: 0, read: 0, handed_regs: 0, handed_slots: 0 };

    /// Registers that are compared.
    pub(crate) fn compared_regs(&self) -> u16 {
        self.regs | self.handed_regs
    }

    /// Slots that are compared.
    pub(crate) fn compared_slots(&self) -> u64 {
        self.slots | self.handed_slots
    }
}

/// Why numbers are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// They decide something.
    Decides,
    /// They are handed on by a loop.
    HandedOn,
}

/// When numbers are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// While a step is taken, as they are before it.
    InStep,
    /// When all steps of the path are taken.
    Between,
}

/// A kept state on the path.
#[derive(Clone, Copy, Debug)]
struct Point {
    position: Position,
    kept: usize,
}

/// The path.
#[derive(Default)]
pub(crate) struct Path {
    steps: Vec<Step>,
    points: Vec<Point>,
    sets: Vec<Set>,
    /// Where the step begins that is being taken: what it wants is wanted before it.
    begun: u32,
}

/// How long the path's parts are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    steps: u32,
    points: u32,
    sets: u32,
}

impl Mark {
    /// The mark before the last step.
    pub(crate) fn undo_step(&mut self) {
        self.steps = self.steps.saturating_sub(1);
    }
}

impl Path {
    pub(crate) fn position(&self) -> Position {
        Position(self.steps.len() as u32)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            steps: self.steps.len() as u32,
            points: self.points.len() as u32,
            sets: self.sets.len() as u32,
        }
    }

    /// Forgets what came after a mark, step by step: returns a state that is not on the path any more, and nothing once the
    /// mark is reached.
    pub(crate) fn back_to(&mut self, mark: Mark) -> Option<usize> {
        if self.points.len() > mark.points as usize {
            return self.points.pop().map(|point| point.kept);
        }
        self.steps.truncate(mark.steps as usize);
        self.sets.truncate(mark.sets as usize);
        None
    }

    pub(crate) fn step(&mut self, insn: InsnIdx, note: Note) -> Result<(), Rejection> {
        self.steps.try_reserve(1).map_err(|_| no_memory())?;
        self.steps.push(Step { insn, note });
        Ok(())
    }

    /// Begins the step of an instruction.
    pub(crate) fn begin(&mut self, insn: InsnIdx) -> Result<(), Rejection> {
        self.begun = self.position().0;
        self.step(insn, Note::Nothing)
    }

    /// Says what the last step did, if nothing was said yet; otherwise it becomes a step of its own.
    pub(crate) fn note(&mut self, note: Note) -> Result<(), Rejection> {
        match self.steps.last_mut() {
            Some(step) if step.note == Note::Nothing => {
                step.note = note;
                Ok(())
            }
            Some(step) => {
                let insn = step.insn;
                self.step(insn, note)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn set(&mut self, set: Set) -> Result<u32, Rejection> {
        self.sets.try_reserve(1).map_err(|_| no_memory())?;
        self.sets.push(set);
        Ok(self.sets.len() as u32 - 1)
    }

    pub(crate) fn point(&mut self, kept: usize) -> Result<(), Rejection> {
        self.points.try_reserve(1).map_err(|_| no_memory())?;
        self.points.push(Point { position: self.position(), kept });
        Ok(())
    }

    /// The instructions of the path, the last one first, with what each did that it does not tell.
    pub(crate) fn back(&self) -> impl ExactSizeIterator<Item = (InsnIdx, Note)> + '_ {
        self.steps.iter().rev().map(|step| (step.insn, step.note))
    }

    /// The steps since the last kept state.
    pub(crate) fn since_point(&self) -> usize {
        self.steps.len() - self.points.last().map_or(0, |point| point.position.0 as usize)
    }

    /// The kept states on the path, the last one first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = usize> + '_ {
        self.points.iter().rev().map(|point| point.kept)
    }

    /// Says that all of a slot is read now: every kept state since it was written has a value there that matters.
    pub(crate) fn read(&self, kept: &mut [Kept], since: u32, frame: usize, slot: usize, written: Position) {
        let from = written.0.max(since);
        for point in self.points.iter().rev().take_while(|point| point.position.0 >= from) {
            let Some(frame) = kept.get_mut(point.kept).and_then(|kept| kept.state.frames.get_mut(frame))
            else {
                return;
            };
            let wanted = &mut frame.wanted;
            if wanted.read & 1 << slot != 0 {
                return;
            }
            wanted.read |= 1 << slot;
        }
    }

    /// Says that numbers decide something now: whatever they were computed from does, in every kept state on the way (Linux:
    /// `mark_chain_precision`).
    pub(crate) fn need(
        &self,
        program: &Program,
        kept: &mut [Kept],
        (since, top): (u32, usize),
        set: Set,
        (why, when): (Why, When),
    ) {
        let mut walk = Walk { set, frame: top };
        let mut points = self.points.iter().rev().peekable();
        let mut at = match when {
            When::InStep => (self.begun as usize).min(self.steps.len()),
            When::Between => self.steps.len(),
        };
        loop {
            while let Some(point) = points.next_if(|point| point.position.0 as usize >= at) {
                if let Some(kept) = kept.get_mut(point.kept) {
                    walk.remove_known(kept, why);
                }
            }
            if at <= since as usize || walk.is_done() {
                return;
            }
            // Nothing before the path's first kept state is compared with anything.
            if points.peek().is_none() {
                return;
            }
            at -= 1;
            let Some(step) = self.steps.get(at) else { return };
            walk.back(program, &self.sets, *step);
        }
    }
}

/// A walk back over the path.
struct Walk {
    set: Set,
    /// The function that runs there.
    frame: usize,
}

impl Walk {
    /// Whether nothing is wanted any more.
    fn is_done(&self) -> bool {
        // Most of what is wanted is of the function that runs.
        let here = |frame: usize| self.set.regs.get(frame).zip(self.set.slots.get(frame));
        !here(self.frame).is_some_and(|(regs, slots)| *regs != 0 || *slots != 0) && self.set.is_empty()
    }

    /// Marks what is wanted in a kept state, and takes out what was marked before, and what is no number there, or a number of which
    /// nothing is known, not even a copy: all that follows was looked at with any number in its place.
    fn remove_known(&mut self, kept: &mut Kept, why: Why) {
        // Nothing is wanted of functions that are not active.
        for (frame, (regs, slots)) in
            self.set.regs.iter_mut().zip(&mut self.set.slots).enumerate().take(self.frame + 1)
        {
            if *regs == 0 && *slots == 0 {
                continue;
            }
            let Some(known) = kept.state.frames.get_mut(frame) else {
                (*regs, *slots) = (0, 0);
                continue;
            };
            let wanted = known.wanted;
            let (known_regs, known_slots) = match why {
                Why::Decides => (wanted.regs, wanted.slots),
                Why::HandedOn => (wanted.compared_regs(), wanted.compared_slots()),
            };
            *regs &= !known_regs;
            *slots &= !known_slots;
            let decides =
                |value: &Value| value.is_number() && (value.id.is_some() || !value.number.is_unknown());
            let mut left = *regs;
            while left != 0 {
                let reg = left.trailing_zeros();
                left &= left - 1;
                if !Reg::new(reg as u8).is_some_and(|reg| decides(&known.reg(reg))) {
                    *regs &= !(1 << reg);
                }
            }
            let mut left = *slots;
            while left != 0 {
                let slot = left.trailing_zeros();
                left &= left - 1;
                if !known
                    .slot(slot as usize)
                    .is_some_and(|slot| slot.stored().is_some() && decides(&slot.value))
                {
                    *slots &= !(1 << slot);
                }
            }
            match why {
                Why::Decides => {
                    known.wanted.regs |= *regs;
                    known.wanted.slots |= *slots;
                }
                Why::HandedOn => {
                    known.wanted.handed_regs |= *regs;
                    known.wanted.handed_slots |= *slots;
                }
            }
        }
    }

    fn has(&self, reg: Reg) -> bool {
        self.set.regs.get(self.frame).is_some_and(|regs| regs & 1 << reg.index() != 0)
    }

    fn take(&mut self, reg: Reg) -> bool {
        let had = self.has(reg);
        if let Some(regs) = self.set.regs.get_mut(self.frame) {
            *regs &= !(1 << reg.index());
        }
        had
    }

    fn want(&mut self, reg: Reg) {
        self.set.add_reg(self.frame, reg);
    }

    fn take_slot(&mut self, note: Note) -> bool {
        let Note::Slot { frame, slot } = note else { return false };
        let Some(slots) = self.set.slots.get_mut(usize::from(frame)) else { return false };
        let had = *slots & 1 << slot != 0;
        *slots &= !(1 << slot);
        had
    }

    /// What was wanted of one register is wanted of another, or of none.
    fn hand_on(&mut self, from: Reg, to: Option<Reg>) {
        if let (true, Some(to)) = (self.take(from), to) {
            self.want(to);
        }
    }

    /// What was wanted of a slot is wanted of what is stored there.
    fn store_back(&mut self, note: Note, stored: Option<Reg>) {
        if let (true, Some(stored)) = (self.take_slot(note), stored) {
            self.want(stored);
        }
    }

    /// Drops what is wanted of the function that runs, and returns its registers.
    fn drop_frame(&mut self) -> u16 {
        let (Some(regs), Some(slots)) =
            (self.set.regs.get_mut(self.frame), self.set.slots.get_mut(self.frame))
        else {
            return 0;
        };
        *slots = 0;
        core::mem::take(regs)
    }

    fn scratch(&mut self) {
        if let Some(regs) = self.set.regs.get_mut(self.frame) {
            *regs &= !0x3f;
        }
    }

    /// From what is wanted after a step to what is wanted before it.
    fn back(&mut self, program: &Program, sets: &[Set], step: Step) {
        match step.note {
            Note::Nothing | Note::Slot { .. } => {}
            Note::Enter => {
                let arguments = self.drop_frame() & 0x3e;
                self.frame = self.frame.saturating_sub(1);
                if let Some(regs) = self.set.regs.get_mut(self.frame) {
                    *regs |= arguments;
                }
                return;
            }
            Note::EnterCallback => {
                self.drop_frame();
                self.frame = self.frame.saturating_sub(1);
                return;
            }
            Note::Leave => {
                let result = self.has(Reg::R0);
                self.scratch();
                self.frame += 1;
                if result {
                    self.want(Reg::R0);
                }
                return;
            }
            Note::LeaveCallback => {
                // The registers of the call are there again for the next.
                self.frame += 1;
                return;
            }
            Note::Together(set) => {
                if let Some(set) = sets.get(set as usize).filter(|set| self.set.meets(set)) {
                    self.set.add(set);
                }
                return;
            }
            Note::Widened(set) => {
                if let Some(set) = sets.get(set as usize) {
                    self.set.remove(set);
                }
                return;
            }
        }
        // What only computes has nothing to do with registers that it does not name.
        if let (Note::Nothing, Some(facts)) = (step.note, program.facts().get(step.insn.index())) {
            let wanted = self.set.regs.get(self.frame).copied().unwrap_or(0);
            if facts.kind.is_plain() && wanted & facts.reads.union(facts.writes).bits() == 0 {
                return;
            }
        }
        let Some(&insn) = program.get(step.insn) else { return };
        match insn {
            Insn::Alu { op: AluOp::Mov, dst, src, .. } => self.hand_on(dst, src.reg()),
            Insn::Alu { dst, src: Operand::Reg(src), .. } if self.has(dst) => self.want(src),
            Insn::Movsx { dst, src, .. } | Insn::AddrSpaceCast { dst, src, .. } => {
                self.hand_on(dst, Some(src));
            }
            Insn::LoadImm64 { dst, .. } | Insn::LoadAddr { dst, .. } => {
                self.take(dst);
            }
            Insn::Load { dst, .. } | Insn::LoadAcquire { dst, .. } => {
                let wanted = self.take(dst);
                if let (true, Note::Slot { frame, slot }) = (wanted, step.note) {
                    self.set.add_slot(usize::from(frame), usize::from(slot));
                }
            }
            Insn::Store { src, .. } => self.store_back(step.note, src.reg()),
            Insn::StoreRelease { src, .. } => self.store_back(step.note, Some(src)),
            Insn::Atomic { op: AtomicOp::Cmpxchg, .. } | Insn::LoadAbs { .. } | Insn::LoadInd { .. } => {
                self.take(Reg::R0);
            }
            Insn::Atomic { op, src, .. } if op.fetches() => {
                self.take(src);
            }
            Insn::Branch { dst, src: Operand::Reg(src), .. } if self.has(dst) || self.has(src) => {
                self.want(dst);
                self.want(src);
            }
            _ if insn.is_call() => self.scratch(),
            _ => {}
        }
    }
}
