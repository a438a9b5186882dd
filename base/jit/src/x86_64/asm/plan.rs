//! Code whose every offset is known, and writing it.

use super::error::{AsmError, WriteError};
use super::label::{CodeOffset, Label, Spot, Taken};
use super::relax::{Form, Part, PartKind, relax};
use super::side::{SideTable, Tag};
use super::text::Text;
use super::{Assembler, Fixup, FixupKind};
use crate::x86_64::Inst;
use alloc::vec::Vec;

/// Holds code whose size and offsets are known, but not where it will run.
#[derive(Debug)]
pub struct Plan {
    text: Text,
    parts: Vec<Part>,
    labels: Vec<Spot>,
    fixups: Vec<Fixup>,
    marks: Vec<(Spot, Tag)>,
    taken: Taken,
    align: u32,
}

impl Plan {
    pub(super) fn new(from: Assembler) -> Result<Plan, AsmError> {
        let Assembler { text, mut parts, labels, fixups, marks, .. } = from;
        let taken = relax(&mut parts, &labels, text.len())?;
        for fixup in &fixups {
            let targets = match fixup.to {
                FixupKind::Distance { label, .. } => [Some(label), None],
                FixupKind::Between { from, to } => [Some(from), Some(to)],
                FixupKind::Address(_) => [None, None],
            };
            for label in targets.into_iter().flatten() {
                bound(&labels, label).ok_or(AsmError::Unbound(label))?;
            }
        }
        let align = parts.iter().fold(1, |most, part| match part.kind {
            PartKind::Align(alignment) => most.max(alignment.to.bytes()),
            _ => most,
        });
        Ok(Plan { text, parts, labels, fixups, marks, taken, align })
    }

    /// Counts the bytes that [`write`](Plan::write) writes.
    #[inline]
    pub fn size(&self) -> usize {
        self.text.len() + self.taken.0[self.parts.len()] as usize
    }

    /// Returns what the address of the code must be a multiple of.
    #[inline]
    pub fn align(&self) -> u32 {
        self.align
    }

    /// Returns where a label is; nothing if it is bound nowhere.
    #[inline]
    pub fn offset(&self, label: Label) -> Option<CodeOffset> {
        bound(&self.labels, label).map(|spot| CodeOffset(spot.offset(&self.taken)))
    }

    /// Makes the table that leads from an offset back to the tag of [`Assembler::mark`].
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn side_table(&self) -> Result<SideTable, AsmError> {
        let mut rows: Vec<(CodeOffset, Tag)> = Vec::new();
        rows.try_reserve_exact(self.marks.len()).map_err(|_| AsmError::OutOfMemory)?;
        for (spot, tag) in &self.marks {
            let start = CodeOffset(spot.offset(&self.taken));
            match rows.last_mut() {
                // Only padding of no length is between two marks.
                Some((last, kept)) if *last == start => *kept = *tag,
                _ => rows.push((start, *tag)),
            }
        }
        Ok(SideTable { rows })
    }

    /// Writes the code to the start of a slice and returns how long it is; what is behind stays.
    ///
    /// `origin` is the address at which the first byte will run, which need not be the slice's: it decides how far away outside
    /// addresses are. The code may run elsewhere if it has none of these and the alignment is kept.
    ///
    /// # Errors
    ///
    /// The slice is too small, and nothing is written; the origin is not aligned, and nothing is written; an outside address is
    /// out of reach.
    pub fn write(&self, out: &mut [u8], origin: u64) -> Result<usize, WriteError> {
        let (need, have) = (self.size(), out.len());
        let out = out.get_mut(..need).ok_or(WriteError::TooSmall { need, have })?;
        if origin & u64::from(self.align - 1) != 0 {
            return Err(WriteError::Misaligned { need: self.align, origin });
        }
        let mut from = 0;
        for (part, taken) in self.parts.iter().zip(&self.taken.0) {
            let (until, taken) = (part.at as usize, *taken as usize);
            out[from + taken..until + taken].copy_from_slice(&self.text.bytes()[from..until]);
            self.write_part(part, out, until + taken)?;
            from = until;
        }
        let taken = self.taken.0[self.parts.len()] as usize;
        out[from + taken..].copy_from_slice(&self.text.bytes()[from..]);
        for fixup in &self.fixups {
            self.fill(fixup, out, origin)?;
        }
        Ok(need)
    }

    fn write_part(&self, part: &Part, out: &mut [u8], at: usize) -> Result<(), WriteError> {
        let end = at + part.len(at as u32) as usize;
        let Some(label) = part.target() else {
            pad(&mut out[at..end]);
            return Ok(());
        };
        let distance = self.spot_offset(label) - end as i64;
        let too_far = WriteError::OutOfReach { at: CodeOffset(at as u32) };
        let out = &mut out[at..end];
        match part.form {
            Form::Short => {
                out[0] = match part.kind {
                    PartKind::Jcc(cond, _) => 0x70 | cond as u8,
                    _ => 0xeb,
                };
                out[1] = i8::try_from(distance).map_err(|_| too_far)? as u8;
            }
            Form::Near => {
                match part.kind {
                    PartKind::Jcc(cond, _) => out[..2].copy_from_slice(&[0x0f, 0x80 | cond as u8]),
                    _ => out[0] = 0xe9,
                }
                let distance = i32::try_from(distance).map_err(|_| too_far)?;
                let field = out.len() - 4;
                out[field..].copy_from_slice(&distance.to_le_bytes());
            }
        }
        Ok(())
    }

    fn fill(&self, fixup: &Fixup, out: &mut [u8], origin: u64) -> Result<(), WriteError> {
        let field = fixup.field.offset(&self.taken);
        let value = match fixup.to {
            FixupKind::Distance { label, end } => self.spot_offset(label) - i64::from(field) - i64::from(end),
            FixupKind::Between { from, to } => self.spot_offset(to) - self.spot_offset(from),
            // Addresses wrap as the processor's do.
            FixupKind::Address(target) => {
                target.wrapping_sub(origin.wrapping_add(u64::from(field)).wrapping_add(4)) as i64
            }
        };
        let value = i32::try_from(value).map_err(|_| WriteError::OutOfReach { at: CodeOffset(field) })?;
        let field = field as usize;
        out[field..field + 4].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Returns the offset of a label that was found bound when the plan was made.
    #[inline(always)]
    fn spot_offset(&self, label: Label) -> i64 {
        i64::from(self.labels[label.0 as usize].offset(&self.taken))
    }
}

fn bound(labels: &[Spot], label: Label) -> Option<Spot> {
    labels.get(label.0 as usize).copied().filter(|spot| *spot != Spot::NOWHERE)
}

/// Fills a place with as few instructions that do nothing as possible.
fn pad(mut out: &mut [u8]) {
    while !out.is_empty() {
        let nop = Inst::nop(out.len());
        let (head, rest) = core::mem::take(&mut out).split_at_mut(nop.len());
        head.copy_from_slice(&nop.bytes()[..nop.len()]);
        out = rest;
    }
}
