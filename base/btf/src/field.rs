//! Paths through structs, unions and arrays: `a.b[3].c`.

use core::num::NonZeroU8;

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::layout::MAX_DEPTH;
use crate::record::Type;
use crate::types::{Def, Member};

/// How many members one look-up may pass.
const MAX_STEPS: u32 = 1 << 17;

/// A place within a type: what a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The type found there.
    pub type_id: TypeId,
    /// The offset in bits from the start of the outermost type.
    pub bit_offset: u64,
    /// The width in bits, where it is a bitfield whose struct says so.
    pub bitfield: Option<NonZeroU8>,
}

/// One step of a path.
enum Step<'p> {
    Member(&'p str),
    Element(u64),
}

impl<'a> Btf<'a> {
    /// The member of that name of a struct or union, looked for in its anonymous structs and unions too; its
    /// offset counts from the start of the outermost.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMember`], [`Problem::WrongKind`], and those of [`Btf::resolve`].
    pub fn member(&self, id: TypeId, name: &str) -> Result<Field, Error> {
        let ty = self.resolve(id)?;
        let mut steps = MAX_STEPS;
        let found = match name {
            "" => None,
            _ => self.member_within(ty, name, 0, &mut steps)?,
        };
        let (base, member) = found.ok_or_else(|| ty.error(Problem::NoMember))?;
        Ok(Field {
            type_id: member.type_id,
            bit_offset: base + u64::from(member.bit_offset),
            bitfield: member.bitfield,
        })
    }

    /// What a path such as `a.b[3].c` leads to, starting within the type `id` (or the
    /// type of the variable `id`); the empty path leads to it itself.
    ///
    /// # Errors
    ///
    /// [`Problem::BadPath`], [`Problem::NoElement`], and those of [`Btf::member`].
    pub fn field(&self, id: TypeId, path: &str) -> Result<Field, Error> {
        let start = match self.ty(id)?.def() {
            Def::Var(var) => var.type_id,
            _ => id,
        };
        let mut field = Field { type_id: start, bit_offset: 0, bitfield: None };
        let mut rest = path;
        while !rest.is_empty() {
            let ty = self.resolve(field.type_id)?;
            let (step, after) =
                step(rest, rest.len() == path.len()).ok_or_else(|| ty.error(Problem::BadPath))?;
            rest = after;
            let inner = match step {
                Step::Member(name) => self.member(ty.id(), name)?,
                Step::Element(index) => self.element(ty, index)?,
            };
            let bit_offset = field.bit_offset.checked_add(inner.bit_offset);
            field = Field { bit_offset: bit_offset.ok_or_else(|| ty.error(Problem::TooLarge))?, ..inner };
        }
        Ok(field)
    }

    fn element(&self, ty: Type<'_>, index: u64) -> Result<Field, Error> {
        let Def::Array(array) = ty.def() else { return Err(ty.wrong_kind("array")) };
        if index >= u64::from(array.len) {
            return Err(ty.error(Problem::NoElement { index, len: array.len }));
        }
        // Both factors are below 2^32, so that bits fit only just not: check.
        let bytes = index * u64::from(self.size_of(array.elem)?);
        let bit_offset = bytes.checked_mul(8).ok_or_else(|| ty.error(Problem::TooLarge))?;
        Ok(Field { type_id: array.elem, bit_offset, bitfield: None })
    }

    fn member_within<'b>(
        &'b self,
        ty: Type<'b>,
        name: &str,
        depth: usize,
        steps: &mut u32,
    ) -> Result<Option<(u64, Member<'b>)>, Error> {
        if depth >= MAX_DEPTH {
            return Err(ty.error(Problem::TooDeep));
        }
        for member in ty.as_composite()?.members {
            *steps = steps.checked_sub(1).ok_or_else(|| ty.error(Problem::TooComplex))?;
            if member.name == name {
                return Ok(Some((0, member)));
            }
            if !member.name.is_empty() {
                continue;
            }
            let inner = self.resolve(member.type_id)?;
            if !matches!(inner.def(), Def::Struct(_) | Def::Union(_)) {
                continue;
            }
            if let Some((base, found)) = self.member_within(inner, name, depth + 1, steps)? {
                return Ok(Some((base + u64::from(member.bit_offset), found)));
            }
        }
        Ok(None)
    }
}

/// Splits the first step off a path.
fn step(path: &str, is_first: bool) -> Option<(Step<'_>, &str)> {
    if let Some(inside) = path.strip_prefix('[') {
        let (index, rest) = inside.split_once(']')?;
        return Some((Step::Element(index.trim().parse().ok()?), rest));
    }
    let path = if is_first { path } else { path.strip_prefix('.')? };
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    (!name.is_empty()).then_some((Step::Member(name), rest))
}
