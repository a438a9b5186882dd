//! The disassembler.

use super::template::{Hole, Piece, pieces};
use super::{Dialect, Labels, Names, is_word};
use crate::{Encoded, Field, Insn, InsnIdx, RawInsn, insns};
use core::fmt::{self, Write};

/// Writes a program, one instruction on a line, with the labels that its jumps need.
///
/// What decodes is written in the dialect; any other slot as `.insn code, dst, src, off, imm` with the reason as a
/// comment. Either way the text assembles to the slots it was made of.
///
/// # Errors
///
/// Those of `out`.
///
/// ```
/// use skep_isa::text::{Dialect, Labels, disassemble};
/// use skep_isa::RawInsn;
///
/// let slots = [RawInsn::new(0x15, 1, 0, 1, 5), RawInsn::new(0x85, 0, 0, 0, 7), RawInsn::new(0x95, 0, 0, 0, 0)];
/// let helpers = |id| (id == 7).then_some("bpf_get_prandom_u32");
/// let labels = Labels::find(&slots, &helpers)?;
/// let mut text = String::new();
/// disassemble(&slots, Dialect::Linux, &labels, &helpers, &mut text)?;
/// assert_eq!(text, "    if r1 == 5 goto L2\n    call bpf_get_prandom_u32#7\nL2:\n    exit\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn disassemble(
    slots: &[RawInsn],
    dialect: Dialect,
    labels: &Labels,
    names: &dyn Names,
    out: &mut dyn Write,
) -> fmt::Result {
    for insn in insns(slots) {
        let at = match &insn {
            Ok((at, _)) => *at,
            Err(error) => error.at,
        };
        if let Some(label) = labels.at(at, names) {
            writeln!(out, "{label}:")?;
        }
        out.write_str("    ")?;
        let mut comment = Comment { out, state: State::Outside };
        match insn {
            Ok((_, insn)) => write_insn(insn, at, dialect, labels, names, comment.out)?,
            Err(error) => {
                let slot = slots.get(at.index()).copied().unwrap_or_default();
                let RawInsn { code, off, imm, .. } = slot;
                write!(comment.out, ".insn {code:#04x}, {}, {}, {off}, {imm}", slot.dst(), slot.src())?;
                write!(comment, "{}", error.kind)?;
            }
        }
        comment.next_remark();
        names.remark(at, &mut comment)?;
        out.write_char('\n')?;
    }
    Ok(())
}

/// Puts `//` before what is written first, and keeps it on one line.
struct Comment<'a> {
    out: &'a mut dyn Write,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    BetweenRemarks,
    Inside,
}

impl Comment<'_> {
    fn next_remark(&mut self) {
        if self.state == State::Inside {
            self.state = State::BetweenRemarks;
        }
    }
}

impl Write for Comment<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.is_empty() {
            return Ok(());
        }
        match self.state {
            State::Outside => self.out.write_str(" // ")?,
            State::BetweenRemarks => self.out.write_str("; ")?,
            State::Inside => {}
        }
        self.state = State::Inside;
        for (i, line) in text.split(['\n', '\r']).enumerate() {
            if i > 0 {
                self.out.write_char(' ')?;
            }
            self.out.write_str(line)?;
        }
        Ok(())
    }
}

/// Writes one instruction, without label, comment and end of line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_insn(
    insn: Insn,
    at: InsnIdx,
    dialect: Dialect,
    labels: &Labels,
    names: &dyn Names,
    out: &mut dyn Write,
) -> fmt::Result {
    let row = insn.op().row();
    let template = match dialect {
        Dialect::Linux => row.linux,
        Dialect::Mnemonic => row.mnemonic,
    };
    Line { encoded: insn.encode(), at, dialect, labels, names }.fill(template, out)
}

/// Holds what filling a template's operands takes.
pub(super) struct Line<'a> {
    pub(super) encoded: Encoded,
    pub(super) at: InsnIdx,
    pub(super) dialect: Dialect,
    pub(super) labels: &'a Labels,
    pub(super) names: &'a dyn Names,
}

impl Line<'_> {
    /// Writes a template with its operands.
    pub(super) fn fill(&self, template: &'static str, out: &mut dyn Write) -> fmt::Result {
        for piece in pieces(template) {
            match piece {
                Piece::Text(text) => out.write_str(text)?,
                Piece::Hole(hole) => self.write(hole, out)?,
            }
        }
        Ok(())
    }

    fn write(&self, hole: Hole, out: &mut dyn Write) -> fmt::Result {
        let slot = self.encoded.first();
        let next = self.encoded.get(1).copied().unwrap_or_default();
        match hole {
            Hole::Reg(field) => write!(out, "r{}", field.read(slot)),
            Hole::Half(field) => write!(out, "w{}", field.read(slot)),
            Hole::Imm => write!(out, "{}", slot.imm),
            Hole::Unsigned => write!(out, "{}", slot.imm as u32),
            Hole::Imm64 => write_wide(u64::from(next.imm as u32) << 32 | u64::from(slot.imm as u32), out),
            Hole::NextUnsigned => write!(out, "{}", next.imm as u32),
            Hole::NextImm => write!(out, "{}", next.imm),
            Hole::Offset => match (self.dialect, slot.off) {
                (Dialect::Linux, 0) => out.write_str(" + 0"),
                (_, off) => self.write_distance(i64::from(off), out),
            },
            Hole::ImmOffset => self.write_distance(i64::from(slot.imm), out),
            Hole::Index => write!(out, "{}", slot.off),
            Hole::Target => self.write_target(Field::Off, out),
            Hole::FarTarget | Hole::Function | Hole::Callee => self.write_target(Field::Imm, out),
            Hole::Helper => self.write_helper(slot.imm as u32, out),
            Hole::ToSpace => write!(out, "{}", slot.imm as u32 >> 16),
            Hole::FromSpace => write!(out, "{}", slot.imm as u16),
        }
    }

    /// Writes ` + 4`, `+4`, or nothing for zero.
    fn write_distance(&self, distance: i64, out: &mut dyn Write) -> fmt::Result {
        let (sign, number) = (if distance < 0 { '-' } else { '+' }, distance.unsigned_abs());
        match self.dialect {
            _ if distance == 0 => Ok(()),
            Dialect::Linux => write!(out, " {sign} {number}"),
            Dialect::Mnemonic => write!(out, "{sign}{number}"),
        }
    }

    fn write_target(&self, field: Field, out: &mut dyn Write) -> fmt::Result {
        let distance = field.read(self.encoded.first());
        let label = self.at.relative(distance).and_then(|target| self.labels.at(target, self.names));
        match (label, self.dialect) {
            (Some(label), _) => write!(out, "{label}"),
            (None, Dialect::Linux) => write!(out, "pc{distance:+}"),
            (None, Dialect::Mnemonic) => write!(out, "{distance:+}"),
        }
    }

    /// Writes the name, if it is one word, and always the number, so that no table is needed to read it back.
    fn write_helper(&self, id: u32, out: &mut dyn Write) -> fmt::Result {
        match self.names.helper(id).filter(|name| !name.is_empty() && name.chars().all(is_word)) {
            Some(name) => write!(out, "{name}#{id}"),
            None => write!(out, "{id}"),
        }
    }
}

/// Writes small numbers of either sign in decimal, others in hexadecimal.
fn write_wide(value: u64, out: &mut dyn Write) -> fmt::Result {
    match value as i64 {
        small @ -9999..=9999 => write!(out, "{small}"),
        _ => write!(out, "{value:#x}"),
    }
}

/// Displays in the Linux dialect, with distances in place of labels.
impl fmt::Display for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_insn(*self, InsnIdx::ZERO, Dialect::Linux, &Labels::NONE, &(), f)
    }
}
