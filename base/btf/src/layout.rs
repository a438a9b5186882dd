//! Sizes and alignments, with every walk bounded.

use core::num::NonZeroU8;

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::record::Type;
use crate::types::{Composite, Def};

/// How deep types may nest by value: `MAX_RESOLVE_DEPTH` of kernel/bpf/btf.c.
pub const MAX_DEPTH: usize = 32;

/// Bytes of a pointer of the BPF target. How many they are in some BTF, [`Btf::pointer_size`] says.
pub const POINTER_SIZE: u32 = 8;

/// How many types one alignment may look at; `task_struct` of Linux 6.18 needs about one thousand.
const MAX_STEPS: u32 = 1 << 17;

/// The size and the alignment of a type, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The size.
    pub size: u32,
    /// The alignment, a power of two.
    pub align: u32,
}

impl Btf<'_> {
    /// The type behind typedefs, qualifiers and type tags.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`], or [`Problem::Loop`] and [`Problem::TooDeep`] if they have no end.
    pub fn resolve(&self, id: TypeId) -> Result<Type<'_>, Error> {
        let mut trail = Trail::new();
        let mut ty = self.ty(id)?;
        while let Some(next) = ty.modified() {
            trail.step(ty)?;
            ty = self.ty(next)?;
        }
        Ok(ty)
    }

    /// The size of a type in bytes; a variable has that of its type.
    ///
    /// # Errors
    ///
    /// [`Problem::Unsized`] for `void`, functions and forward declarations, [`Problem::TooLarge`] past 4 GiB, and
    /// those of [`Btf::resolve`].
    pub fn size_of(&self, id: TypeId) -> Result<u32, Error> {
        let mut trail = Trail::new();
        let mut ty = self.ty(id)?;
        let mut count: u32 = 1;
        loop {
            trail.step(ty)?;
            let next = match ty.def() {
                Def::Array(array) => {
                    count = count.checked_mul(array.len).ok_or_else(|| ty.error(Problem::TooLarge))?;
                    array.elem
                }
                Def::Var(var) => var.type_id,
                def => match (self.own_size(&def), ty.modified()) {
                    (Some(size), _) => {
                        return count.checked_mul(size).ok_or_else(|| ty.error(Problem::TooLarge));
                    }
                    (None, Some(next)) => next,
                    (None, None) => return Err(ty.error(Problem::Unsized)),
                },
            };
            ty = self.ty(next)?;
        }
    }

    /// The alignment of a type in bytes, as libbpf's `btf__align_of` has it: eight at most, and one for a struct
    /// whose members or size show that it is packed.
    ///
    /// # Errors
    ///
    /// As [`Btf::size_of`], and [`Problem::TooComplex`].
    pub fn align_of(&self, id: TypeId) -> Result<u32, Error> {
        self.align(id, 0, &mut MAX_STEPS.clone())
    }

    /// The size and the alignment of a type.
    ///
    /// # Errors
    ///
    /// As [`Btf::size_of`] and [`Btf::align_of`].
    pub fn layout(&self, id: TypeId) -> Result<Layout, Error> {
        Ok(Layout { size: self.size_of(id)?, align: self.align_of(id)? })
    }

    /// The width in bits of a member that is a bitfield, whichever way its struct stores it.
    ///
    /// # Errors
    ///
    /// Those of [`Btf::resolve`].
    pub fn bitfield_width(
        &self,
        type_id: TypeId,
        stored: Option<NonZeroU8>,
    ) -> Result<Option<NonZeroU8>, Error> {
        if stored.is_some() {
            return Ok(stored);
        }
        match self.resolve(type_id)?.def() {
            Def::Int(int) if u32::from(int.bits) < int.size.saturating_mul(8) || int.offset != 0 => {
                Ok(NonZeroU8::new(int.bits))
            }
            _ => Ok(None),
        }
    }

    fn align(&self, id: TypeId, depth: usize, steps: &mut u32) -> Result<u32, Error> {
        let ty = self.ty(id)?;
        if depth >= MAX_DEPTH {
            return Err(ty.error(Problem::TooDeep));
        }
        *steps = steps.checked_sub(1).ok_or_else(|| ty.error(Problem::TooComplex))?;
        let next = match ty.def() {
            Def::Struct(composite) | Def::Union(composite) => {
                return self.align_members(composite, depth, steps);
            }
            Def::Array(array) => array.elem,
            Def::Var(var) => var.type_id,
            def => match (self.own_size(&def), ty.modified()) {
                (Some(size), _) => return Ok(self.scalar_align(size)),
                (None, Some(next)) => next,
                (None, None) => return Err(ty.error(Problem::Unsized)),
            },
        };
        self.align(next, depth + 1, steps)
    }

    /// The size that a type's record itself says, or that of a pointer.
    fn own_size(&self, def: &Def<'_>) -> Option<u32> {
        match def {
            Def::Ptr(_) => Some(self.pointer_size().bytes()),
            _ => own_size(def),
        }
    }

    /// Sizes that are no power of two (an x87 `long double` of 12 bytes) align to their largest power of two; nothing aligns
    /// to more than a pointer.
    fn scalar_align(&self, size: u32) -> u32 {
        match size {
            0 => 1,
            1 | 2 | 4 => size,
            _ => (1 << size.trailing_zeros()).min(self.pointer_size().bytes()),
        }
    }

    fn align_members(&self, composite: Composite<'_>, depth: usize, steps: &mut u32) -> Result<u32, Error> {
        let mut most = 1;
        for member in composite.members {
            let align = self.align(member.type_id, depth + 1, steps)?;
            if member.bitfield.is_none() && member.bit_offset % (align * 8) != 0 {
                return Ok(1);
            }
            most = most.max(align);
        }
        Ok(if composite.size % most == 0 { most } else { 1 })
    }
}

/// The size that a type's record itself says; of a pointer that of the BPF target, which the kernel's own is too.
pub(crate) fn own_size(def: &Def<'_>) -> Option<u32> {
    match def {
        Def::Int(int) => Some(int.size),
        Def::Ptr(_) => Some(POINTER_SIZE),
        Def::Struct(composite) | Def::Union(composite) => Some(composite.size),
        Def::Enum(item) => Some(item.size),
        Def::Datasec(datasec) => Some(datasec.size),
        Def::Float(size) => Some(*size),
        _ => None,
    }
}

/// The types that a walk has passed: at most [`MAX_DEPTH`], none twice.
struct Trail {
    passed: [TypeId; MAX_DEPTH],
    len: usize,
}

impl Trail {
    fn new() -> Trail {
        Trail { passed: [TypeId::VOID; MAX_DEPTH], len: 0 }
    }

    fn step(&mut self, ty: Type<'_>) -> Result<(), Error> {
        let passed = self.passed.get_mut(..=self.len).ok_or_else(|| ty.error(Problem::TooDeep))?;
        let (last, before) = passed.split_last_mut().ok_or_else(|| ty.error(Problem::TooDeep))?;
        if before.contains(&ty.id()) {
            return Err(ty.error(Problem::Loop));
        }
        *last = ty.id();
        self.len += 1;
        Ok(())
    }
}
