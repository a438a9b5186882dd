//! The fields that a struct or union has in Rust: members, bytes that hold bitfields, and bytes between them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::layout::MAX_DEPTH;
use crate::pointer::PointerSize;
use crate::record::Type;
use crate::types::{Def, Member};

/// A field of the Rust type.
#[derive(Clone, Debug)]
pub(super) enum Field<'b> {
    /// A member as it is.
    Member(Member<'b>),
    /// Bytes that hold bitfields, each with its first bit and its width.
    Bits { start: u64, len: u64, members: Vec<(&'b str, u64, u64)> },
    /// Bytes that nothing has a name for.
    Gap { start: u64, len: u64 },
}

/// How the type is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) form: Form,
    pub(super) align: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `repr(C)`.
    Natural,
    /// `repr(C, packed)`.
    Packed,
    /// Bytes only: the members of a struct overlap.
    Bytes,
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

    pub(super) fn shape(&mut self, ty: Type<'b>) -> Result<Shape, Error> {
        self.shape_within(ty, 0)
    }

    fn shape_within(&mut self, ty: Type<'b>, depth: usize) -> Result<Shape, Error> {
        let index = ty.id().0 as usize;
        if let Some(&Some(shape)) = self.known.get(index) {
            return Ok(shape);
        }
        let composite = ty.as_composite()?;
        let is_union = matches!(ty.def(), Def::Union(_));
        let (mut most, mut is_aligned) = (1, true);
        for member in composite.members {
            if self.btf.bitfield_width(member.type_id, member.bitfield)?.is_none()
                && has_place(self.btf, &member)?
            {
                let align = self.align(member.type_id, depth + 1)?;
                is_aligned &= u64::from(member.bit_offset) % (u64::from(align) * 8) == 0;
                most = most.max(align);
            }
        }
        let form = match fields(self.btf, ty)? {
            None => Form::Bytes,
            Some(_) if is_aligned && composite.size % most == 0 && (composite.size > 0 || !is_union) => {
                Form::Natural
            }
            Some(_) => Form::Packed,
        };
        let shape = Shape { form, align: if form == Form::Natural { most } else { 1 } };
        if let Some(known) = self.known.get_mut(index) {
            *known = Some(shape);
        }
        Ok(shape)
    }

    fn number_align(&self, size: u32) -> u32 {
        let align = number_align(size);
        match self.btf.pointer_size() {
            // Some 32-bit machines align 64-bit numbers to eight bytes, others to four: where they do, they lie so anyway.
            PointerSize::Four => align.min(4),
            PointerSize::Eight => align,
        }
    }

    fn align(&mut self, id: TypeId, depth: usize) -> Result<u32, Error> {
        let ty = self.btf.ty(id)?;
        if depth >= MAX_DEPTH {
            return Err(ty.error(Problem::TooDeep));
        }
        match ty.def() {
            Def::Int(int) => Ok(self.number_align(int.size)),
            Def::Enum(item) => Ok(self.number_align(item.size)),
            Def::Float(size) => Ok(if super::float(size).is_some() { size } else { 1 }),
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

fn number_align(size: u32) -> u32 {
    if super::integer(size, crate::Sign::Unsigned).is_some() { size } else { 1 }
}

/// Whether a member is one: what has neither a name nor members of its own is padding.
fn has_place(btf: &Btf<'_>, member: &Member<'_>) -> Result<bool, Error> {
    let is_composite = || Ok(matches!(btf.resolve(member.type_id)?.def(), Def::Struct(_) | Def::Union(_)));
    Ok(!member.name.is_empty() || is_composite()?)
}

/// The fields of a struct or union; none if its members overlap, or lie where no field can.
pub(super) fn fields<'b>(btf: &'b Btf<'b>, ty: Type<'b>) -> Result<Option<Vec<Field<'b>>>, Error> {
    let composite = ty.as_composite()?;
    let size = u64::from(composite.size);
    let mut members: Vec<Member<'b>> = composite.members.iter().collect();
    let is_union = matches!(ty.def(), Def::Union(_));
    if !is_union && !members.is_sorted_by_key(|member| member.bit_offset) {
        members.sort_by_key(|member| member.bit_offset);
    }
    let mut fields = Vec::new();
    let mut at: u64 = 0;
    let mut last_bit: u64 = 0;
    let mut most: u64 = 0;
    for member in members {
        if !has_place(btf, &member)? {
            continue;
        }
        let first_bit = u64::from(member.bit_offset);
        let width = btf.bitfield_width(member.type_id, member.bitfield)?;
        let bits = match width {
            Some(width) => u64::from(width.get()),
            None => u64::from(btf.size_of(member.type_id)?) * 8,
        };
        let (start, end) = (first_bit / 8, (first_bit + bits).div_ceil(8));
        if is_union {
            at = 0;
            last_bit = 0;
        }
        let is_placed = first_bit >= last_bit && (width.is_some() || first_bit % 8 == 0) && end <= size;
        if !is_placed || (is_union && first_bit != 0) {
            return Ok(None);
        }
        last_bit = first_bit + bits;
        most = most.max(end);
        if width.is_none() {
            if start > at {
                fields.push(Field::Gap { start: at, len: start - at });
            }
            fields.push(Field::Member(member));
            at = end;
            continue;
        }
        let entry = (member.name, first_bit, bits);
        match fields.last_mut() {
            // It begins where the bytes of the bitfield before it end, or in the last of them.
            Some(Field::Bits { start: begun, len, members })
                if !is_union && start <= at && *begun + *len == at =>
            {
                members.push(entry);
                *len = end.max(at) - *begun;
            }
            _ => {
                if start > at {
                    fields.push(Field::Gap { start: at, len: start - at });
                }
                fields.push(Field::Bits { start, len: end - start, members: [entry].into() });
            }
        }
        at = end.max(at);
    }
    if size > most {
        // A union's gap covers all of it.
        let start = if is_union { 0 } else { most };
        fields.push(Field::Gap { start, len: size - start });
    }
    Ok(Some(fields))
}

impl Field<'_> {
    /// The name of bytes that are no member.
    pub(super) fn bytes_name(&self) -> Option<String> {
        match self {
            Field::Member(_) => None,
            Field::Bits { start, .. } => Some(format!("__bits{start}")),
            Field::Gap { start, .. } => Some(format!("__pad{start}")),
        }
    }
}
