//! Which slots of a program need a label, and how it is called.

use super::{Names, is_label};
use crate::{InsnIdx, RawInsn, insns};
use alloc::vec::Vec;
use core::fmt;

/// Says that memory for labels could not be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory for the labels")
    }
}

impl core::error::Error for OutOfMemory {}

/// Says what a slot is to jumps and calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Mark {
    /// The second half of a wide instruction, or nothing that decodes: no label can stand there.
    None,
    /// An instruction that nothing leads to.
    Insn,
    /// A jump's target.
    Jump,
    /// A function's start.
    Function,
    /// A function's start whose name can be its label.
    Named,
}

/// Knows where labels stand in a program.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    marks: Vec<Mark>,
}

impl Labels {
    /// Stands for a program in which no label can be used: all distances are written as numbers.
    pub const NONE: Labels = Labels { marks: Vec::new() };

    /// Finds the slots that jumps, calls and function addresses lead to. Where one leads outside, or between instructions, there is
    /// no label, and its distance is written instead.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]: it takes a byte for each slot, and some for each named function.
    pub fn find(slots: &[RawInsn], names: &dyn Names) -> Result<Labels, OutOfMemory> {
        let mut marks = Vec::new();
        marks.try_reserve_exact(slots.len()).map_err(|_| OutOfMemory)?;
        marks.resize(slots.len(), Mark::None);
        let valid = || insns(slots).flatten();
        for (at, _) in valid() {
            marks[at.index()] = Mark::Insn;
        }
        let mut mark = |target: Option<InsnIdx>, mark: Mark| {
            let old = target.and_then(|target| marks.get_mut(target.index()));
            if let Some(old) = old.filter(|old| **old != Mark::None) {
                *old = mark.max(*old);
            }
        };
        for (at, insn) in valid() {
            mark(insn.jump_target(at), Mark::Jump);
            mark(insn.call_target(at), Mark::Function);
        }
        let mut labels = Labels { marks };
        labels.mark_named(names)?;
        Ok(labels)
    }

    /// Marks the functions whose name is a label no other has.
    fn mark_named(&mut self, names: &dyn Names) -> Result<(), OutOfMemory> {
        let mut named: Vec<(&str, usize)> = Vec::new();
        for (slot, mark) in self.marks.iter().enumerate() {
            let Some(name) = (*mark >= Mark::Insn).then(|| names.function(InsnIdx(slot as u32))).flatten()
            else {
                continue;
            };
            if is_label(name) && name != "exit" && !is_generated(name) {
                named.try_reserve(1).map_err(|_| OutOfMemory)?;
                named.push((name, slot));
            }
        }
        named.sort_unstable();
        for same in named.chunk_by(|a, b| a.0 == b.0) {
            if let &[(_, slot)] = same {
                self.marks[slot] = Mark::Named;
            }
        }
        Ok(())
    }

    /// Returns the label that stands before a slot.
    pub fn at<'a>(&self, at: InsnIdx, names: &'a dyn Names) -> Option<Label<'a>> {
        match self.marks.get(at.index())? {
            Mark::None | Mark::Insn => None,
            Mark::Jump => Some(Label::Jump(at)),
            Mark::Function => Some(Label::Function(at)),
            Mark::Named => Some(names.function(at).map_or(Label::Function(at), Label::Named)),
        }
    }
}

/// Says whether a name looks like one that [`Label`] makes up.
fn is_generated(name: &str) -> bool {
    let number = name.strip_prefix("func_").or_else(|| name.strip_prefix('L'));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// Is a label; it displays as its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label<'a> {
    /// A jump's target.
    Jump(InsnIdx),
    /// A function without a name.
    Function(InsnIdx),
    /// A function by its name.
    Named(&'a str),
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Jump(at) => write!(f, "L{at}"),
            Label::Function(at) => write!(f, "func_{at}"),
            Label::Named(name) => f.write_str(name),
        }
    }
}
