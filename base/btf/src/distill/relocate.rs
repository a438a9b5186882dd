//! From a small base back to a whole one.

use alloc::vec::Vec;

use super::no_memory;
use crate::btf::{Btf, TypeId};
use crate::encode::Builder;
use crate::error::{Error, Problem, Section};
use crate::kind::Kind;
use crate::layout::own_size;
use crate::record::Type;
use crate::types::{Def, FwdKind};

/// Types that one walk down typedefs and arrays may pass.
const MAX_STEPS: usize = 64;

pub(super) fn relocate(split: &Btf<'_>, base: &Btf<'_>) -> Result<Vec<u8>, Error> {
    let small = split.base().ok_or(Error::at(Section::Header, 0, Problem::OtherBase))?;
    if base.endian() != split.endian() {
        return Err(Error::at(Section::Header, 0, Problem::MixedEndian));
    }
    let uses = uses(split)?;
    let known = Known::of(small, base)?;
    let mut ids = Vec::new();
    ids.try_reserve_exact(small.len() as usize).map_err(no_memory)?;
    ids.push(TypeId::VOID);
    for ty in small.types() {
        let used = uses.get(ty.id().0 as usize).copied().unwrap_or(Use::Referred);
        ids.push(known.find(ty, used).map_err(|problem| ty.error(problem))?);
    }
    let mut builder = Builder::split(base);
    let (first, next) = (split.first_own().0, builder.next_id().0);
    for ty in split.own_types() {
        builder.copy(ty, |id| match id.0.checked_sub(first) {
            Some(own) => TypeId(next.saturating_add(own)),
            None => ids.get(id.0 as usize).copied().unwrap_or_default(),
        });
    }
    builder.finish()
}

/// Whether the size of a struct or union decides where others lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Referred,
    Embedded,
}

/// Which types of the base own structs, unions and sections have by value.
fn uses(split: &Btf<'_>) -> Result<Vec<Use>, Error> {
    let mut uses = Vec::new();
    uses.try_reserve_exact(split.first_own().0 as usize).map_err(no_memory)?;
    uses.resize(split.first_own().0 as usize, Use::Referred);
    for ty in split.own_types() {
        if !matches!(ty.def(), Def::Struct(_) | Def::Union(_) | Def::Datasec(_)) {
            continue;
        }
        for mut id in ty.references() {
            for _ in 0..MAX_STEPS {
                let found = split.ty(id)?;
                id = match found.def() {
                    Def::Array(array) => array.elem,
                    Def::Var(var) => var.type_id,
                    _ => match found.modified() {
                        Some(next) => next,
                        None => break,
                    },
                };
            }
            if let Some(slot) = uses.get_mut(id.0 as usize) {
                *slot = Use::Embedded;
            }
        }
    }
    Ok(uses)
}

/// What one type is known by to others: name, kind (that of [`Kind::Enum`] for both widths), what else must be the same,
/// and size.
type Key<'b> = (&'b str, u8, u8, u32);

/// The types of a whole base that have a name of the small one, in the order of their keys and identifiers.
struct Known<'b> {
    types: Vec<(Key<'b>, TypeId)>,
}

impl<'b> Known<'b> {
    fn of(small: &Btf<'_>, base: &'b Btf<'_>) -> Result<Known<'b>, Error> {
        let base: &'b Btf<'b> = base;
        let mut names: Vec<&str> = Vec::new();
        names.try_reserve_exact(small.len() as usize).map_err(no_memory)?;
        names.extend(small.types().map(|ty| ty.name()).filter(|name| !name.is_empty()));
        names.sort_unstable();
        let mut types = Vec::new();
        for ty in base.types() {
            if let Some(key) = key(ty).filter(|(name, ..)| names.binary_search(name).is_ok()) {
                types.try_reserve(1).map_err(no_memory)?;
                types.push((key, ty.id()));
            }
        }
        types.sort_unstable();
        Ok(Known { types })
    }

    /// The type that one of the small base stands for.
    fn find(&self, ty: Type<'_>, used: Use) -> Result<TypeId, Problem> {
        let (name, kind, extra, size) = key(ty).ok_or(Problem::NoMatch)?;
        let exact = self.between((name, kind, extra, size), (name, kind, extra, size));
        match (exact, ty.def()) {
            // What declares may find a definition.
            ([], Def::Fwd(declared)) => {
                let defined = match declared {
                    FwdKind::Struct => Kind::Struct,
                    FwdKind::Union => Kind::Union,
                };
                let found =
                    self.between((name, defined.number(), 0, 0), (name, defined.number(), 0, u32::MAX));
                one(found)
            }
            // What is only pointed to may have grown, if it is clear which is meant.
            ([], Def::Struct(_) | Def::Union(_)) if used == Use::Referred => {
                one(self.between((name, kind, 0, 0), (name, kind, 0, u32::MAX)))
            }
            (found, Def::Struct(_) | Def::Union(_)) => one(found),
            ([], _) => Err(Problem::NoMatch),
            // Numbers of one name and size are the same, however often they are there.
            ([(_, first), ..], _) => Ok(*first),
        }
    }

    /// The types whose keys are not below the first nor above the last.
    fn between(&self, first: Key<'_>, last: Key<'_>) -> &[(Key<'b>, TypeId)] {
        let start = self.types.partition_point(|(key, _)| *key < first);
        let end = self.types.partition_point(|(key, _)| *key <= last);
        self.types.get(start..end).unwrap_or_default()
    }
}

fn one(found: &[(Key<'_>, TypeId)]) -> Result<TypeId, Problem> {
    match found {
        [] => Err(Problem::NoMatch),
        [(_, id)] => Ok(*id),
        [first, .., last] if first.0.3 == last.0.3 => Err(Problem::Ambiguous),
        _ => Err(Problem::NoMatch),
    }
}

/// What a type of a base is known by; none of other kinds, and without a name.
fn key(ty: Type<'_>) -> Option<Key<'_>> {
    let def = ty.def();
    let (kind, extra) = match &def {
        Def::Int(int) => (Kind::Int, int.encoding.0),
        Def::Float(_) => (Kind::Float, 0),
        Def::Enum(_) => (Kind::Enum, 0),
        Def::Struct(_) => (Kind::Struct, 0),
        Def::Union(_) => (Kind::Union, 0),
        Def::Fwd(kind) => (Kind::Fwd, u8::from(*kind == FwdKind::Union)),
        _ => return None,
    };
    let size = own_size(&def).unwrap_or(0);
    (!ty.name().is_empty()).then_some((ty.name(), kind.number(), extra, size))
}
