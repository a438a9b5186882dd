//! What has to be said beside the members, so that a compiler arrives at the same layout.
//!
//! The compiler is clang for the BPF target, whose rules for structs are those of the x86-64 psABI (3.1.2): a member starts
//! at a multiple of its alignment, a bitfield lies within one unit of its type, unnamed bitfields align nothing, and a
//! packed struct has none of these rules.

use alloc::vec::Vec;

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::layout::MAX_DEPTH;
use crate::pointer::PointerSize;
use crate::record::Type;
use crate::types::{Composite, Def, Member};

/// How a struct or union is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Natural,
    /// With this alignment, which is more than its members have.
    Aligned(u32),
    /// Packed: the compiler leaves nothing out and aligns nothing.
    Packed,
    /// As bytes: its members overlap, or lie where C cannot put them.
    Bytes,
}

/// How a struct or union is written, and what that makes of its alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) form: Form,
    pub(super) align: u32,
}

/// A member, as the compiler sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'b> {
    pub(super) member: Member<'b>,
    /// Its number in the struct, as BTF has it.
    pub(super) index: u32,
    /// The first bit.
    pub(super) start: u64,
    /// The bits that it takes.
    pub(super) len: u64,
    /// Its alignment in bits.
    pub(super) align: u64,
    /// The unit in bits that a bitfield must not leave.
    pub(super) unit: Option<u64>,
}

impl Slot<'_> {
    pub(super) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Where a compiler puts it that has come to the bit `at`, and packs nothing.
    pub(super) fn natural_start(&self, at: u64) -> u64 {
        match self.unit {
            Some(unit) if self.len != 0 && at / unit == (at + self.len - 1) / unit => at,
            _ => at.next_multiple_of(self.align),
        }
    }

    fn fits_its_unit(&self) -> bool {
        self.unit.is_none_or(|unit| self.len <= unit)
    }
}

/// The shapes that have been worked out.
pub(super) struct Shapes<'b> {
    btf: &'b Btf<'b>,
    known: Vec<Option<Shape>>,
}

impl<'b> Shapes<'b> {
    pub(super) fn new(btf: &'b Btf<'b>) -> Result<Shapes<'b>, Error> {
        Ok(Shapes { btf, known: crate::print::table(btf, None)? })
    }

    /// The shape of a struct or union.
    pub(super) fn shape(&mut self, ty: Type<'b>) -> Result<Shape, Error> {
        self.shape_within(ty, 0)
    }

    /// The members of a struct or union that a compiler sees, in the order of their offsets.
    pub(super) fn slots(&mut self, composite: Composite<'b>) -> Result<Vec<Slot<'b>>, Error> {
        self.slots_within(composite, 0)
    }

    fn shape_within(&mut self, ty: Type<'b>, depth: usize) -> Result<Shape, Error> {
        let index = ty.id().0 as usize;
        if let Some(&Some(shape)) = self.known.get(index) {
            return Ok(shape);
        }
        let composite = ty.as_composite()?;
        let slots = self.slots_within(composite, depth)?;
        let size = u64::from(composite.size) * 8;
        let shape = match ty.def() {
            Def::Union(_) => union_shape(&slots, size),
            _ => struct_shape(&slots, size),
        };
        if let Some(known) = self.known.get_mut(index) {
            *known = Some(shape);
        }
        Ok(shape)
    }

    fn slots_within(&mut self, composite: Composite<'b>, depth: usize) -> Result<Vec<Slot<'b>>, Error> {
        let mut slots = Vec::with_capacity(composite.members.len());
        for (index, member) in (0..).zip(composite.members) {
            if let Some(slot) = self.slot(index, member, depth)? {
                slots.push(slot);
            }
        }
        // Compilers of other languages put members elsewhere than where they are declared.
        if !slots.is_sorted_by_key(|slot| slot.start) {
            slots.sort_by_key(|slot| slot.start);
        }
        Ok(slots)
    }

    fn slot(&mut self, index: u32, member: Member<'b>, depth: usize) -> Result<Option<Slot<'b>>, Error> {
        let width = self.btf.bitfield_width(member.type_id, member.bitfield)?;
        if member.name.is_empty() {
            let ty = self.btf.resolve(member.type_id)?;
            // What has neither a name nor members is padding.
            if width.is_some() || !matches!(ty.def(), Def::Struct(_) | Def::Union(_)) {
                return Ok(None);
            }
        }
        let size = u64::from(self.btf.size_of(member.type_id)?) * 8;
        let align = u64::from(self.align(member.type_id, depth + 1)?) * 8;
        let (len, unit) = match width {
            Some(width) => (u64::from(width.get()), Some(size.max(8))),
            None => (size, None),
        };
        Ok(Some(Slot { member, index, start: u64::from(member.bit_offset), len, align, unit }))
    }

    /// The alignment that what is written for a number has.
    fn number_align(&self, size: u32) -> u32 {
        let align = number_align(size);
        match self.btf.pointer_size() {
            // Some 32-bit machines align 64-bit numbers to eight bytes, others to four: where they do, they lie so anyway.
            PointerSize::Four => align.min(4),
            PointerSize::Eight => align,
        }
    }

    /// The alignment that what is written for a type has.
    fn align(&mut self, id: TypeId, depth: usize) -> Result<u32, Error> {
        let ty = self.btf.ty(id)?;
        if depth >= MAX_DEPTH {
            return Err(ty.error(Problem::TooDeep));
        }
        match ty.def() {
            Def::Int(int) => Ok(self.number_align(int.size)),
            Def::Float(size) => Ok(self.number_align(size)),
            Def::Enum(item) => Ok(self.number_align(item.size)),
            Def::Ptr(_) => Ok(self.btf.pointer_size().bytes()),
            Def::Struct(_) | Def::Union(_) => Ok(self.shape_within(ty, depth)?.align),
            Def::Array(array) => self.align(array.elem, depth + 1),
            _ => match ty.modified() {
                Some(next) => self.align(next, depth + 1),
                None => Err(ty.error(Problem::Unsized)),
            },
        }
    }
}

/// Numbers of other sizes are written as bytes.
fn number_align(size: u32) -> u32 {
    if size <= 16 && size.is_power_of_two() { size } else { 1 }
}

fn struct_shape(slots: &[Slot<'_>], size: u64) -> Shape {
    let align = most_align(slots);
    if is_natural_struct(slots, size, align) {
        return Shape { form: Form::Natural, align: (align / 8) as u32 };
    }
    let mut at = 0;
    for slot in slots {
        let is_placed = slot.start >= at && (slot.unit.is_some() || slot.start % 8 == 0);
        if !is_placed || !slot.fits_its_unit() || slot.end() > size {
            return Shape { form: Form::Bytes, align: 1 };
        }
        at = slot.end();
    }
    Shape { form: Form::Packed, align: 1 }
}

fn is_natural_struct(slots: &[Slot<'_>], size: u64, align: u64) -> bool {
    let mut at = 0;
    for slot in slots {
        if slot.start < at || !slot.fits_its_unit() || slot.natural_start(slot.start) != slot.start {
            return false;
        }
        at = slot.end();
    }
    at <= size && size % align == 0
}

fn union_shape(slots: &[Slot<'_>], size: u64) -> Shape {
    let most = slots.iter().map(|slot| slot.len.next_multiple_of(8)).max().unwrap_or(0);
    if most > size || slots.iter().any(|slot| slot.start != 0 || !slot.fits_its_unit()) {
        return Shape { form: Form::Bytes, align: 1 };
    }
    let align = most_align(slots);
    if most.next_multiple_of(align) == size {
        return Shape { form: Form::Natural, align: (align / 8) as u32 };
    }
    // What is larger than its members is aligned to more than they are.
    let more = 1 << size.trailing_zeros();
    let mut wanted = align * 2;
    while wanted <= more && size != 0 {
        if most.next_multiple_of(wanted) == size {
            let align = (wanted / 8) as u32;
            return Shape { form: Form::Aligned(align), align };
        }
        wanted *= 2;
    }
    Shape { form: Form::Packed, align: 1 }
}

/// In bits; a byte at least.
fn most_align(slots: &[Slot<'_>]) -> u64 {
    slots.iter().map(|slot| slot.align).max().unwrap_or(8)
}
