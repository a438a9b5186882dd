//! What becomes a value: r0–r9, stack slots that nobody else can reach, and the count of `may_goto`.

use crate::error::BuildErrorKind;
use crate::ssa::filled;
use alloc_crate::vec::Vec;
use core::ops::Range;
use skep_isa::{Insn, Operand, Reg, RegSet, Size};

/// Names a variable of a function; r0–r9 are 0–9.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Var(pub(crate) u8);

impl Var {
    pub(crate) fn reg(reg: Reg) -> Option<Var> {
        (reg != Reg::FP).then_some(Var(reg.number()))
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many variables there may be: as many as a set holds.
pub(crate) const MAX_VARS: usize = 128;

/// Is a set of variables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct VarSet(u128);

impl VarSet {
    pub(crate) fn insert(&mut self, var: Var) {
        self.0 |= 1 << var.0;
    }

    pub(crate) const fn union(self, other: VarSet) -> VarSet {
        VarSet(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: VarSet) -> VarSet {
        VarSet(self.0 & !other.0)
    }

    pub(crate) const fn contains(self, var: Var) -> bool {
        self.0 >> var.0 & 1 != 0
    }

    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns the set of registers that are bits: bit n is rn.
    pub(crate) const fn registers(bits: u16) -> VarSet {
        VarSet(bits as u128)
    }

    /// Yields the variables in order.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = Var> {
        // In halves: a set of both is two registers of the processor, and hardly any has something in the upper one.
        let (mut low, mut high) = (self.0 as u64, (self.0 >> 64) as u64);
        core::iter::from_fn(move || {
            let (half, first) = if low != 0 { (&mut low, 0) } else { (&mut high, 64) };
            if *half == 0 {
                return None;
            }
            let next = half.trailing_zeros() as u8;
            *half &= *half - 1;
            Some(Var(first + next))
        })
    }
}

/// Holds a function's variables.
#[derive(Default)]
pub(crate) struct Vars {
    /// Says which variable starts at each byte of the frame, counted from its lowest; 0 means none.
    slots: Vec<u8>,
    frame_bytes: u32,
    /// Names the count of `may_goto`, if the function has one.
    pub(crate) loops: Option<Var>,
    /// Counts the variables.
    pub(crate) count: usize,
    /// Says whether any of the frame stays memory.
    pub(crate) uses_stack: bool,
}

/// Says what an instruction does with r10, if anything.
enum Touch {
    Slot { off: i16, size: Size },
    Escape,
}

fn touch(insn: Insn) -> Option<Touch> {
    if insn.reads().contains(Reg::FP) { how(insn) } else { None }
}

/// Says what an instruction does with r10, which it reads.
fn how(insn: Insn) -> Option<Touch> {
    match insn {
        Insn::Load { kind, base: Reg::FP, off, .. } => Some(Touch::Slot { off, size: kind.size() }),
        Insn::Store { src: Operand::Reg(Reg::FP), .. } => Some(Touch::Escape),
        Insn::Store { size, base: Reg::FP, off, .. } => Some(Touch::Slot { off, size }),
        _ => Some(Touch::Escape),
    }
}

/// Is what a function does with r10 and `may_goto`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    loops: bool,
    escapes: bool,
    slots: bool,
}

impl Seen {
    /// Notes an instruction, which reads these registers.
    #[inline]
    pub(crate) fn note(&mut self, insn: Insn, reads: RegSet) {
        if reads.contains(Reg::FP) {
            match how(insn) {
                Some(Touch::Escape) => self.escapes = true,
                _ => self.slots = true,
            }
        } else if let Insn::MayGoto { .. } = insn {
            self.loops = true;
        }
    }
}

impl Vars {
    /// Yields the variables that are no registers.
    pub(crate) fn others(&self) -> impl Iterator<Item = Var> + use<> {
        (10..self.count).map(|number| Var(number as u8))
    }

    /// Finds the variables of a function, given what it does, and all its instructions that read r10.
    ///
    /// A slot is a piece of the frame that is only loaded and stored through r10 itself, always at the same offset and
    /// size. As soon as the address of any byte of the frame is taken, all of it stays memory.
    pub(crate) fn of(
        insns: impl Iterator<Item = Insn>,
        frame_bytes: u32,
        seen: Seen,
    ) -> Result<Vars, BuildErrorKind> {
        let mut vars =
            Vars { slots: Vec::new(), frame_bytes, loops: None, count: 10, uses_stack: seen.escapes };
        if seen.loops {
            vars.loops = Some(Var(vars.count as u8));
            vars.count += 1;
        }
        if seen.escapes || !seen.slots {
            return Ok(vars);
        }
        // The size of the accesses that start at each byte; 0 none, 255 different ones.
        let mut sizes = filled(0u8, frame_bytes as usize)?;
        // Most functions have a few slots close together.
        let mut touched = frame_bytes as usize..0;
        for insn in insns {
            if let Some(Touch::Slot { off, size }) = touch(insn) {
                let place = vars.place(off, size);
                if let Some(place) = place {
                    touched = touched.start.min(place)..touched.end.max(place + 1);
                }
                match place {
                    Some(place) if sizes[place] == 0 => sizes[place] = size.bytes() as u8,
                    Some(place) if sizes[place] == size.bytes() as u8 => {}
                    Some(place) => sizes[place] = MIXED,
                    None => vars.uses_stack = true,
                }
            }
        }
        vars.assign(&sizes, touched)?;
        Ok(vars)
    }

    /// Gives the slots that overlap no other a variable each, the others stay memory; all start in a range.
    fn assign(&mut self, sizes: &[u8], touched: Range<usize>) -> Result<(), BuildErrorKind> {
        self.slots = filled(0, sizes.len())?;
        let mut place = touched.start;
        while place < touched.end {
            if sizes[place] == 0 {
                place += 1;
                continue;
            }
            // All that hangs together from here.
            let (start, mut end, mut alone) = (place, place, true);
            while place < sizes.len() && (place < end || place == start) {
                if sizes[place] != 0 {
                    alone &= place == start && sizes[place] != MIXED;
                    let bytes = if sizes[place] == MIXED { 8 } else { usize::from(sizes[place]) };
                    end = end.max(place + bytes);
                }
                place += 1;
            }
            if alone && self.count < MAX_VARS {
                self.slots[start] = self.count as u8;
                self.count += 1;
            } else {
                self.uses_stack = true;
            }
        }
        Ok(())
    }

    /// Returns the place of an access in the frame, if it lies inside.
    fn place(&self, off: i16, size: Size) -> Option<usize> {
        let place = i64::from(self.frame_bytes) + i64::from(off);
        let end = place + i64::from(size.bytes());
        (place >= 0 && end <= i64::from(self.frame_bytes)).then_some(place as usize)
    }

    /// Returns the variable that an access through r10 reads or writes, if it is one.
    pub(crate) fn slot(&self, base: Reg, off: i16, size: Size) -> Option<Var> {
        if base != Reg::FP || self.slots.is_empty() {
            return None;
        }
        match self.slots[self.place(off, size)?] {
            0 => None,
            var => Some(Var(var)),
        }
    }

    /// Returns the slot variables: those whose first value is zero, as frames are zeroed.
    pub(crate) fn uses_and_defs(&self, insn: Insn, reads: RegSet) -> (VarSet, VarSet) {
        let mut uses = VarSet(u128::from(reads.bits() & 0x3ff));
        let mut defs = VarSet(u128::from(insn.writes().bits() & 0x3ff));
        match insn {
            Insn::Load { kind, base, off, .. } => {
                if let Some(var) = self.slot(base, off, kind.size()) {
                    uses.insert(var);
                }
            }
            Insn::Store { size, base, off, .. } => {
                if let Some(var) = self.slot(base, off, size) {
                    defs.insert(var);
                }
            }
            Insn::MayGoto { .. } => {
                if let Some(var) = self.loops {
                    uses.insert(var);
                    defs.insert(var);
                }
            }
            _ => {}
        }
        (uses, defs)
    }
}

/// Stands for accesses of different sizes at one place.
const MIXED: u8 = u8::MAX;
