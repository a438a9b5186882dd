//! A base in small: what a module's types need of the kernel's, so that they fit a kernel that was built again.
//!
//! Split BTF refers to its base by number, and every build of a kernel numbers anew. A distilled base (the section
//! `.BTF.base`) has just the types that the split BTF refers to, by name and size; what has no name goes into the split
//! BTF itself. The rules are libbpf's (`btf__distill_base`, and `btf_relocate.c` for the way back).

mod relocate;

use alloc::vec::Vec;

use crate::btf::{Btf, TypeId};
use crate::encode::Builder;
use crate::error::{Error, Problem, Section};
use crate::kind::Kind;
use crate::record::Type;
use crate::types::{Def, EnumWidth, Sign};

/// A base in small and the split BTF that continues it; see [`Btf::distill`].
#[derive(Clone, Debug)]
pub struct Distilled {
    /// The base, for a section `.BTF.base`.
    pub base: Vec<u8>,
    /// The split BTF, which continues that base.
    pub split: Vec<u8>,
}

/// Where a type of the base goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// Into the small base.
    Base,
    /// Into the split BTF.
    Split,
}

impl Btf<'_> {
    /// Split BTF with a base of only what it needs: integers, floats and forward declarations as they are; structs, unions
    /// and enumerations that have a name by that and their size. Everything else goes behind the own types.
    ///
    /// # Errors
    ///
    /// [`Problem::OtherBase`] if this has no base; [`Problem::WrongKind`] if it refers to a function, a variable or a tag
    /// of its base; [`Problem::NoMemory`].
    pub fn distill(&self) -> Result<Distilled, Error> {
        let base = self.base().ok_or(Error::at(Section::Header, 0, Problem::OtherBase))?;
        let places = self.places()?;
        let mut ids = Vec::new();
        ids.try_reserve_exact(self.len() as usize).map_err(no_memory)?;
        ids.resize(self.len() as usize, TypeId::VOID);
        let mut small = Builder::new(self.endian());
        for ty in base.types().filter(|ty| places[ty.id().0 as usize] == Place::Base) {
            ids[ty.id().0 as usize] = outline(&mut small, ty);
        }
        let small = Btf::from_vec(small.finish()?)?;
        let mut split = Builder::split(&small);
        // The own types first, so that their order and distance stay.
        let moved = base.types().filter(|ty| places[ty.id().0 as usize] == Place::Split);
        for (next, ty) in (split.next_id().0..).zip(self.own_types().chain(moved.clone())) {
            ids[ty.id().0 as usize] = TypeId(next);
        }
        for ty in self.own_types().chain(moved) {
            split.copy(ty, |id| ids.get(id.0 as usize).copied().unwrap_or_default());
        }
        Ok(Distilled { base: small.bytes().to_vec(), split: split.finish()? })
    }

    /// Where each type of the base goes.
    fn places(&self) -> Result<Vec<Place>, Error> {
        let first = self.first_own();
        let mut places = Vec::new();
        places.try_reserve_exact(first.0 as usize).map_err(no_memory)?;
        places.resize(first.0 as usize, Place::Nowhere);
        let mut open: Vec<TypeId> = Vec::new();
        let mut see = |open: &mut Vec<TypeId>, ty: Type<'_>| {
            for id in ty.references().filter(|&id| id < first && !id.is_void()) {
                let place = &mut places[id.0 as usize];
                if *place != Place::Nowhere {
                    continue;
                }
                let target = self.ty(id)?;
                *place = place_of(target)?;
                if *place == Place::Split {
                    open.try_reserve(1).map_err(no_memory)?;
                    open.push(id);
                }
            }
            Ok::<(), Error>(())
        };
        for ty in self.own_types() {
            see(&mut open, ty)?;
        }
        while let Some(id) = open.pop() {
            see(&mut open, self.ty(id)?)?;
        }
        Ok(places)
    }

    /// This split BTF, which continues a small base, as one that continues `base`: each type of the small base is found
    /// there by its name, its kind, and its size where that matters.
    ///
    /// # Errors
    ///
    /// [`Problem::OtherBase`] if this has no base; [`Problem::NoMatch`] and [`Problem::Ambiguous`] name a type of the small
    /// base that `base` does not have, or more than once; [`Problem::MixedEndian`], [`Problem::NoMemory`].
    ///
    /// # Examples
    ///
    /// ```
    /// use skep_btf::{Btf, Builder, Endian, Kind};
    /// use std::sync::Arc;
    ///
    /// // A kernel, a module of it, and the same kernel built again.
    /// let mut kernel = Builder::new(Endian::Little);
    /// let task = kernel.structure("task", 96, &[]);
    /// let kernel = Arc::new(Btf::from_vec(kernel.finish()?)?);
    /// let mut module = Builder::split(&kernel);
    /// module.ptr(task);
    /// let module = Btf::from_vec_split(module.finish()?, kernel)?;
    /// let mut again = Builder::new(Endian::Little);
    /// again.float("double", 8);
    /// let task = again.structure("task", 104, &[]);
    /// let again = Arc::new(Btf::from_vec(again.finish()?)?);
    ///
    /// let small = module.distill()?;
    /// let base = Arc::new(Btf::from_vec(small.base)?);
    /// let module = Btf::from_vec_split(small.split, base)?.relocate(&again)?;
    /// let module = Btf::from_vec_split(module, again)?;
    /// let ptr = module.own_types().next().expect("it was the only one");
    /// assert_eq!(ptr.references().next(), Some(task));
    /// # Ok::<(), skep_btf::Error>(())
    /// ```
    pub fn relocate(&self, base: &Btf<'_>) -> Result<Vec<u8>, Error> {
        relocate::relocate(self, base)
    }
}

/// Where a type of the base goes that is referred to.
fn place_of(ty: Type<'_>) -> Result<Place, Error> {
    let kind = ty.kind().ok_or_else(|| ty.unknown_kind())?;
    match kind {
        Kind::Int | Kind::Float | Kind::Fwd => Ok(Place::Base),
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 if !ty.name().is_empty() => Ok(Place::Base),
        Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag => Err(ty.wrong_kind("a type")),
        _ => Ok(Place::Split),
    }
}

/// Appends what is said of a type in the small base.
fn outline(small: &mut Builder, ty: Type<'_>) -> TypeId {
    match ty.def() {
        Def::Struct(composite) => small.structure(ty.name(), composite.size, &[]),
        Def::Union(composite) => small.union(ty.name(), composite.size, &[]),
        // An enumeration without values stands for one of either width and sign.
        Def::Enum(found) => small.enumeration(ty.name(), found.size, EnumWidth::Bits32, Sign::Unsigned, &[]),
        _ => small.copy(ty, |id| id),
    }
}

fn no_memory(_: alloc::collections::TryReserveError) -> Error {
    Error::at(Section::Types, 0, Problem::NoMemory)
}
