//! Instructions joined by labels.
//!
//! | step | what is known then |
//! | --- | --- |
//! | [`Assembler`]: instructions, labels, marks | all bytes but jumps to labels and padding, which are *parts* of open length |
//! | [`Assembler::plan`] | the length of each part ([`relax`]), so every offset and the size |
//! | [`Plan::write`] | the address that the code will run at |

mod error;
mod label;
mod plan;
mod pool;
mod relax;
mod side;
mod text;

pub use error::{AsmError, WriteError};
pub use label::{CodeOffset, Label};
pub use plan::Plan;
pub use side::{SideTable, Tag};

use super::{Cond, Inst};
use alloc::vec::Vec;
use label::Spot;
use pool::Pool;
use relax::{Form, Part, PartKind};
use text::Text;

/// Says what an address is a multiple of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Align {
    /// Four bytes.
    To4 = 2,
    /// Eight bytes.
    To8 = 3,
    /// Sixteen bytes.
    To16 = 4,
    /// Thirty-two bytes.
    To32 = 5,
    /// Sixty-four bytes.
    To64 = 6,
}

impl Align {
    /// Returns the number of bytes.
    #[inline]
    pub const fn bytes(self) -> u32 {
        1 << self as u32
    }
}

/// Says what an address is made a multiple of, and what that may cost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Alignment {
    /// What the address is a multiple of.
    pub to: Align,
    /// How many bytes of padding are worth it; where more were needed there are none.
    pub most: u8,
}

impl Alignment {
    /// Aligns whatever it costs.
    #[inline]
    pub const fn always(to: Align) -> Alignment {
        Alignment { to, most: to.bytes() as u8 - 1 }
    }

    /// Returns how many bytes of padding there are before this offset.
    #[inline]
    const fn padding(self, offset: u32) -> u32 {
        let padding = offset.wrapping_neg() & (self.to.bytes() - 1);
        if padding > self.most as u32 { 0 } else { padding }
    }

    /// Returns how many bytes of padding there can be.
    #[inline]
    const fn worst(self) -> u32 {
        let worst = self.to.bytes() - 1;
        if worst < self.most as u32 { worst } else { self.most as u32 }
    }
}

/// Says what is up to taste.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Options {
    /// How the heads of loops are aligned, if they are.
    pub loops: Option<Alignment>,
}

/// A field that waits for an offset.
#[derive(Clone, Copy, Debug)]
struct Fixup {
    /// Where the field is.
    field: Spot,
    to: FixupKind,
}

/// What is written into a field of four bytes.
#[derive(Clone, Copy, Debug)]
enum FixupKind {
    /// The distance to a label from so many bytes behind the field's start, where the instruction ends.
    Distance { label: Label, end: u8 },
    /// The same to an address outside, the instruction ending with the field.
    Address(u64),
    /// The distance to a label from another one.
    Between { from: Label, to: Label },
}

/// A table of distances for an indirect jump.
#[derive(Clone, Copy, Debug)]
struct Table {
    label: Label,
    /// Where in `Assembler::targets` its entries end; they begin where those of the table before end.
    end: usize,
}

/// Joins instructions, jumps and data.
///
/// A mistake with a label or want of memory shows in [`plan`](Assembler::plan): until then nothing can fail.
#[derive(Debug, Default)]
pub struct Assembler {
    options: Options,
    text: Text,
    parts: Vec<Part>,
    labels: Vec<Spot>,
    fixups: Vec<Fixup>,
    marks: Vec<(Spot, Tag)>,
    pool: Pool,
    tables: Vec<Table>,
    targets: Vec<Label>,
    error: Option<AsmError>,
}

impl Assembler {
    /// Starts with nothing.
    pub fn new(options: Options) -> Assembler {
        Assembler { options, ..Assembler::default() }
    }

    /// Starts with nothing, and with room for about so many instructions. Where there is no memory for it, it is asked for when
    /// it is needed.
    pub fn with_room(options: Options, insts: usize) -> Assembler {
        let mut asm = Assembler::new(options);
        asm.text.make_room(insts.saturating_mul(5));
        let _ = asm.parts.try_reserve(insts / 4);
        let _ = asm.labels.try_reserve(insts / 4);
        asm
    }

    /// Makes a label that is bound nowhere yet.
    #[inline]
    pub fn label(&mut self) -> Label {
        let label = Label(self.labels.len() as u32);
        // A label's number goes through a field of four bytes, and the text's end is no label.
        let pushed = match label.0 {
            u32::MAX => Err(AsmError::TooLong),
            _ => push(&mut self.labels, Spot::NOWHERE),
        };
        self.note(pushed);
        label
    }

    /// Binds a label to where the next instruction goes.
    #[inline]
    pub fn bind(&mut self, label: Label) {
        let here = self.spot();
        let bound = match self.labels.get_mut(label.0 as usize) {
            None => Err(AsmError::Unbound(label)),
            Some(spot) if *spot != Spot::NOWHERE => Err(AsmError::BoundTwice(label)),
            Some(spot) => {
                *spot = here;
                Ok(())
            }
        };
        self.note(bound);
    }

    /// Makes a label that is bound to where the next instruction goes.
    #[inline]
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// Binds the label of a loop's head, aligned as the options say.
    #[inline]
    pub fn bind_loop(&mut self, label: Label) {
        if let Some(alignment) = self.options.loops {
            self.align(alignment);
        }
        self.bind(label);
    }

    /// Pads with instructions that do nothing.
    #[inline]
    pub fn align(&mut self, alignment: Alignment) {
        if alignment.worst() > 0 {
            self.part(PartKind::Align(alignment));
        }
    }

    /// Says that what follows, up to the next mark, belongs to this tag.
    #[inline]
    pub fn mark(&mut self, tag: Tag) {
        let here = self.spot();
        match self.marks.last_mut() {
            Some((_, last)) if *last == tag => {}
            Some((spot, last)) if *spot == here => *last = tag,
            _ => {
                let pushed = push(&mut self.marks, (here, tag));
                self.note(pushed);
            }
        }
    }

    /// Appends an instruction.
    #[inline(always)]
    pub fn put(&mut self, inst: Inst) {
        if let Some((at, label)) = inst.label() {
            let to = FixupKind::Distance { label: Label(label), end: inst.len() as u8 - at };
            self.fixup(u32::from(at), to);
        }
        let pushed = self.text.push(&inst);
        if pushed.is_err() {
            self.note(pushed);
        }
    }

    /// Appends a jump, in two bytes if that reaches.
    #[inline]
    pub fn jmp(&mut self, target: Label) {
        self.part(PartKind::Jmp(target));
    }

    /// Appends a jump that is taken if the condition holds, in two bytes if that reaches.
    #[inline]
    pub fn jcc(&mut self, cond: Cond, target: Label) {
        self.part(PartKind::Jcc(cond, target));
    }

    /// Appends a jump that is taken if the condition holds, in six bytes: for what is further away than a short jump leads, which
    /// costs nobody a look then.
    #[inline]
    pub(in crate::x86_64) fn jcc_near(&mut self, cond: Cond, target: Label) {
        self.fixup(2, FixupKind::Distance { label: target, end: 4 });
        let put = self.text.push(&Inst::fixed(0x0f | (0x80 | cond as u64) << 8, 6));
        self.note(put);
    }

    /// Appends a jump in five bytes, likewise.
    #[inline]
    pub(in crate::x86_64) fn jmp_near(&mut self, target: Label) {
        self.fixup(1, FixupKind::Distance { label: target, end: 4 });
        let put = self.text.push(&Inst::fixed(0xe9, 5));
        self.note(put);
    }

    /// Appends a call of code in this assembler.
    #[inline]
    pub fn call(&mut self, target: Label) {
        self.relative(0xe8, FixupKind::Distance { label: target, end: 4 });
    }

    /// Appends a call of an address outside, which must lie within 2 GiB of the code: else [`Plan::write`] refuses.
    ///
    /// What may lie further away is called through the pool: `Inst::call_to(Mem::Label(a.constant(address)))`.
    #[inline]
    pub fn call_address(&mut self, target: u64) {
        self.relative(0xe8, FixupKind::Address(target));
    }

    /// Appends a jump to an address outside, as [`call_address`](Assembler::call_address) calls one.
    #[inline]
    pub fn jmp_address(&mut self, target: u64) {
        self.relative(0xe9, FixupKind::Address(target));
    }

    /// Returns the label of a constant behind the code, eight bytes aligned to eight; equal constants are one.
    pub fn constant(&mut self, value: u64) -> Label {
        if let Some(label) = self.pool.find(value) {
            return label;
        }
        let label = self.label();
        let added = self.pool.add(value, label);
        self.note(added);
        label
    }

    /// Returns the label of a table behind the code: for each target four bytes, its signed distance from the table's start.
    ///
    /// With an index in `i` and two registers: `lea t, [table]; movsxd i, [t + i * 4]; add i, t; jmp i`.
    pub fn table(&mut self, targets: &[Label]) -> Label {
        let label = self.label();
        let added =
            self.targets.try_reserve(targets.len()).map_err(|_| AsmError::OutOfMemory).and_then(|()| {
                push(&mut self.tables, Table { label, end: self.targets.len() + targets.len() })
            });
        if added.is_ok() {
            self.targets.extend_from_slice(targets);
        }
        self.note(added);
        label
    }

    /// Decides the length of every jump, so that each offset and the size are known.
    ///
    /// # Errors
    ///
    /// The first mistake of all calls so far; a label that is used and not bound; too much code; no memory.
    pub fn plan(mut self) -> Result<Plan, AsmError> {
        self.put_data();
        match self.error {
            Some(error) => Err(error),
            None => Plan::new(self),
        }
    }

    /// Appends constants and tables.
    fn put_data(&mut self) {
        if self.pool.values().is_empty() && self.tables.is_empty() {
            return;
        }
        self.align(Alignment::always(Align::To8));
        let pool = core::mem::take(&mut self.pool);
        for (value, label) in pool.values() {
            self.bind(*label);
            let put = self.text.extend(&value.to_le_bytes());
            self.note(put);
        }
        let (tables, targets) = (core::mem::take(&mut self.tables), core::mem::take(&mut self.targets));
        let mut start = 0;
        for table in &tables {
            self.bind(table.label);
            for target in &targets[start..table.end] {
                self.fixup(0, FixupKind::Between { from: table.label, to: *target });
                let put = self.text.extend(&[0; 4]);
                self.note(put);
            }
            start = table.end;
        }
    }

    /// Returns the place of the next instruction.
    #[inline(always)]
    fn spot(&self) -> Spot {
        // The text is at most i32::MAX long, and a part is pushed only while their number fits.
        Spot { at: self.text.len() as u32, parts: self.parts.len() as u32 }
    }

    #[inline(always)]
    fn part(&mut self, kind: PartKind) {
        let at = self.text.len() as u32;
        let pushed = match self.parts.len() {
            // So that their number fits wherever it is kept; code with more of them is too long anyway.
            0..text::LONGEST => push(&mut self.parts, Part { at, kind, form: Form::Short }),
            _ => Err(AsmError::TooLong),
        };
        self.note(pushed);
    }

    /// Appends an opcode and four bytes to be filled.
    #[inline]
    fn relative(&mut self, opcode: u8, to: FixupKind) {
        self.fixup(1, to);
        let put = self.text.extend(&[opcode, 0, 0, 0, 0]);
        self.note(put);
    }

    /// Has a field filled that begins so many bytes behind the text's end.
    #[inline(always)]
    fn fixup(&mut self, ahead: u32, to: FixupKind) {
        let here = self.spot();
        let field = Spot { at: here.at + ahead, ..here };
        let pushed = push(&mut self.fixups, Fixup { field, to });
        self.note(pushed);
    }

    /// Keeps the first mistake.
    #[inline(always)]
    fn note(&mut self, result: Result<(), AsmError>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

/// Appends to a vector without aborting where there is no memory.
#[inline(always)]
fn push<T>(to: &mut Vec<T>, value: T) -> Result<(), AsmError> {
    if to.len() == to.capacity() {
        reserve(to, 1)?;
    }
    to.push(value);
    Ok(())
}

#[cold]
#[inline(never)]
fn reserve<T>(to: &mut Vec<T>, more: usize) -> Result<(), AsmError> {
    to.try_reserve(more).map_err(|_| AsmError::OutOfMemory)
}
