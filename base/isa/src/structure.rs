//! Whether a program hangs together: where jumps and calls lead, and where functions end.
//!
//! This is what `check_subprogs` and `add_subprog_and_kfunc` in `kernel/bpf/verifier.c` check, and answers EINVAL to.

use crate::{Flow, Insn, InsnIdx, Kind, Program};
use alloc::vec::Vec;
use core::fmt;

/// Is one function of a program: slots `start` to before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subprogram {
    /// Names the first slot, where calls lead.
    pub start: InsnIdx,
    /// Names the slot after the last.
    pub end: InsnIdx,
}

impl Subprogram {
    /// Says whether a slot is part of the function.
    #[inline]
    pub fn contains(&self, at: InsnIdx) -> bool {
        self.start <= at && at < self.end
    }
}

/// Holds the functions of a program that [`check`] has accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Structure {
    subprograms: Vec<Subprogram>,
}

impl Structure {
    /// Lists the functions, sorted by start; the first is the main one and starts at zero, and they leave no gap.
    pub fn subprograms(&self) -> &[Subprogram] {
        &self.subprograms
    }

    /// Returns the number of the function that a slot is part of.
    pub fn subprogram_of(&self, at: InsnIdx) -> Option<usize> {
        let after = self.subprograms.partition_point(|sub| sub.start <= at);
        let number = after.checked_sub(1)?;
        self.subprograms[number].contains(at).then_some(number)
    }

    /// Returns the number of the function that starts at a slot.
    pub fn subprogram_at(&self, start: InsnIdx) -> Option<usize> {
        self.subprograms.binary_search_by_key(&start, |sub| sub.start).ok()
    }
}

/// Says where a program does not hang together, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StructureError {
    /// Names the instruction.
    pub at: InsnIdx,
    /// Says what is wrong with it.
    pub kind: StructureErrorKind,
}

/// Says what is wrong with an instruction's place or target. Targets may lie before the program, so they are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StructureErrorKind {
    /// There are no instructions.
    Empty,
    /// A jump leads out of the program.
    JumpOutOfRange {
        /// Holds the slot it leads to.
        target: i64,
        /// Counts the program's slots.
        len: u32,
    },
    /// A jump leads to the second half of a wide instruction.
    JumpIntoWide {
        /// Holds the slot it leads to.
        target: InsnIdx,
    },
    /// A jump leads into another function.
    JumpOutOfSubprogram {
        /// Holds the slot it leads to.
        target: InsnIdx,
        /// Holds the function it may jump in.
        subprogram: Subprogram,
    },
    /// A call, or the address of a function, leads out of the program.
    CallOutOfRange {
        /// Holds the slot it leads to.
        target: i64,
        /// Counts the program's slots.
        len: u32,
    },
    /// A call, or the address of a function, leads to the second half of a wide instruction.
    CallIntoWide {
        /// Holds the slot it leads to.
        target: InsnIdx,
    },
    /// Control can run past the last instruction of a function.
    FallsThrough {
        /// Holds the function.
        subprogram: Subprogram,
    },
    /// Memory for the list of functions could not be had.
    OutOfMemory,
}

impl fmt::Display for StructureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.kind)
    }
}

impl fmt::Display for StructureErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StructureErrorKind::Empty => f.write_str("program has no instructions"),
            StructureErrorKind::JumpOutOfRange { target, len } => {
                write!(f, "jump wants a target within the {len} slots of the program, found {target}")
            }
            StructureErrorKind::JumpIntoWide { target } => {
                write!(f, "jump leads to {target}, the second half of a wide instruction")
            }
            StructureErrorKind::JumpOutOfSubprogram { target, subprogram: Subprogram { start, end } } => {
                write!(
                    f,
                    "jump wants a target within its own function, {start} to before {end}, found {target}"
                )
            }
            StructureErrorKind::CallOutOfRange { target, len } => {
                write!(
                    f,
                    "function address wants a target within the {len} slots of the program, found {target}"
                )
            }
            StructureErrorKind::CallIntoWide { target } => {
                write!(f, "function address leads to {target}, the second half of a wide instruction")
            }
            StructureErrorKind::FallsThrough { subprogram: Subprogram { start, end } } => {
                write!(
                    f,
                    "last instruction of the function {start} to before {end} must be an exit or a jump that is always taken"
                )
            }
            StructureErrorKind::OutOfMemory => f.write_str("no memory for the list of functions"),
        }
    }
}

impl core::error::Error for StructureError {}

/// Checks that every jump leads to an instruction of its own function, that every local call and function address leads to an
/// instruction, and that no function runs past its end.
///
/// A function is what starts at zero or where a local call or function address leads, and goes up to the next such
/// place. Jumps through a register are the verifier's business.
///
/// # Errors
///
/// [`StructureError`] names the first instruction at fault: of all calls first, then of all else.
pub fn check(program: &Program) -> Result<Structure, StructureError> {
    let structure = Structure { subprograms: subprograms(program)? };
    for subprogram in &structure.subprograms {
        let Subprogram { start, end } = *subprogram;
        let facts = &program.facts()[start.index()..end.index()];
        for (at, _) in (start.0..).zip(facts).filter(|(_, facts)| facts.kind == Kind::Jump) {
            let at = InsnIdx(at);
            if let Some(Flow::Jump { off } | Flow::Branch { off }) = program.at(at).map(Insn::flow) {
                check_jump(program, *subprogram, at, off).map_err(|kind| StructureError { at, kind })?;
            }
        }
        let last =
            (start.0..end.0).rev().find_map(|at| program.at(InsnIdx(at)).map(|insn| (at, insn.flow())));
        if let Some((at, Flow::Next | Flow::Branch { .. })) = last {
            let kind = StructureErrorKind::FallsThrough { subprogram: *subprogram };
            return Err(StructureError { at: InsnIdx(at), kind });
        }
    }
    Ok(structure)
}

fn check_jump(
    program: &Program,
    subprogram: Subprogram,
    at: InsnIdx,
    off: i32,
) -> Result<(), StructureErrorKind> {
    let (target, inside) = target(program, at, off);
    let Some(target) = inside else {
        return Err(StructureErrorKind::JumpOutOfRange { target, len: program.len() as u32 });
    };
    if program.at(target).is_none() {
        return Err(StructureErrorKind::JumpIntoWide { target });
    }
    if !subprogram.contains(target) {
        return Err(StructureErrorKind::JumpOutOfSubprogram { target, subprogram });
    }
    Ok(())
}

/// Finds the functions: what local calls and function addresses name.
fn subprograms(program: &Program) -> Result<Vec<Subprogram>, StructureError> {
    let out_of_memory = |at| move |_| StructureError { at, kind: StructureErrorKind::OutOfMemory };
    if program.is_empty() {
        return Err(StructureError { at: InsnIdx::ZERO, kind: StructureErrorKind::Empty });
    }
    let mut starts = Vec::new();
    starts.try_reserve(1).map_err(out_of_memory(InsnIdx::ZERO))?;
    starts.push(InsnIdx::ZERO);
    for (at, _) in (0..).zip(program.facts()).filter(|(_, facts)| facts.kind == Kind::Call) {
        let at = InsnIdx(at);
        let Some(off) = program.at(at).and_then(Insn::function_offset) else { continue };
        let (target, inside) = target(program, at, off);
        let len = program.len() as u32;
        let target =
            inside.ok_or(StructureError { at, kind: StructureErrorKind::CallOutOfRange { target, len } })?;
        if program.at(target).is_none() {
            return Err(StructureError { at, kind: StructureErrorKind::CallIntoWide { target } });
        }
        starts.try_reserve(1).map_err(out_of_memory(at))?;
        starts.push(target);
    }
    starts.sort_unstable();
    starts.dedup();
    let mut list = Vec::new();
    list.try_reserve_exact(starts.len()).map_err(out_of_memory(InsnIdx::ZERO))?;
    let ends = starts.iter().skip(1).copied().chain([InsnIdx(program.len() as u32)]);
    list.extend(starts.iter().zip(ends).map(|(&start, end)| Subprogram { start, end }));
    Ok(list)
}

/// Returns where an offset leads, as a number and, if that is inside the program, as a slot.
fn target(program: &Program, at: InsnIdx, off: i32) -> (i64, Option<InsnIdx>) {
    let number = i64::from(at.0) + 1 + i64::from(off);
    (number, at.relative(off).filter(|&target| program.contains(target)))
}
