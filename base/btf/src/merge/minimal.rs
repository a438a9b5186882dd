//! A BTF with no more than some programs' CO-RE relocations rest on.

use alloc::collections::{BTreeSet, TryReserveError};
use alloc::vec::Vec;

use crate::btf::{Btf, TypeId, kind_number, vlen};
use crate::core::Used;
use crate::encode::Builder;
use crate::error::{Error, Problem, Section};
use crate::kind::{HEAD_WORDS, Kind, Word};
use crate::record::Type;

/// How much of a type is needed.
#[derive(Clone, Copy)]
enum Need<'u> {
    Nothing,
    /// Its record; of a struct or union these members.
    Members(Option<&'u BTreeSet<u32>>),
    /// Its record, and all that it refers to.
    Whole,
}

/// What is needed of each type.
struct Marks<'u> {
    needs: Vec<Need<'u>>,
    /// Types whose references are to be looked at.
    open: Vec<TypeId>,
}

impl<'u> Marks<'u> {
    fn new(len: u32) -> Result<Marks<'u>, Error> {
        let mut needs = Vec::new();
        needs.try_reserve_exact(len as usize).map_err(no_memory)?;
        needs.resize(len as usize, Need::Nothing);
        Ok(Marks { needs, open: Vec::new() })
    }

    /// Notes that a type is needed, unless as much of it was before.
    fn add(&mut self, id: TypeId, need: Need<'u>) -> Result<(), Error> {
        let there = self.needs.get_mut(id.0 as usize).ok_or(Error::of(id, 0, Problem::UnknownType(id)))?;
        let is_more = matches!((*there, need), (Need::Nothing, _) | (Need::Members(_), Need::Whole));
        if is_more && !id.is_void() {
            *there = need;
            self.open.try_reserve(1).map_err(no_memory)?;
            self.open.push(id);
        }
        Ok(())
    }
}

fn no_memory(_: TryReserveError) -> Error {
    Error::at(Section::Types, 0, Problem::NoMemory)
}

impl Btf<'_> {
    /// The types that relocations were found to rest on, and of structs and unions no other members: what a program needs
    /// on a kernel without BTF, in a few kilobytes (bpftool's `gen min_core_btf`).
    ///
    /// What is not needed is `void` for what refers to it. Sizes and offsets stay. The result continues no base.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`] if a type that is needed is not there; [`Problem::UnknownKind`] if only a layout section
    /// tells its size; [`Problem::NoMemory`].
    pub fn minimal(&self, used: &Used) -> Result<Vec<u8>, Error> {
        let mut marks = Marks::new(self.len())?;
        for (id, members) in used.types() {
            marks.add(id, members.map_or(Need::Whole, |members| Need::Members(Some(members))))?;
        }
        while let Some(id) = marks.open.pop() {
            let ty = self.ty(id)?;
            let kind = ty.kind().ok_or_else(|| ty.unknown_kind())?;
            let what = match marks.needs[id.0 as usize] {
                Need::Whole => Need::Whole,
                // An array has the size of its elements, and a typedef that of what it names.
                _ if kind == Kind::Array || ty.modified().is_some() => Need::Members(None),
                _ => continue,
            };
            for target in ty.references() {
                marks.add(target, what)?;
            }
        }
        let needs = marks.needs;
        let mut ids = Vec::new();
        ids.try_reserve_exact(needs.len()).map_err(no_memory)?;
        let mut next = 1;
        for need in &needs {
            let is_needed = !matches!(need, Need::Nothing);
            ids.push(if is_needed { TypeId(next) } else { TypeId::VOID });
            next += u32::from(is_needed);
        }
        let mut builder = Builder::new(self.endian());
        for ty in self.types() {
            let members = match needs[ty.id().0 as usize] {
                Need::Nothing => continue,
                Need::Members(members) => members,
                Need::Whole => None,
            };
            let map = |id: TypeId| ids.get(id.0 as usize).copied().unwrap_or_default();
            match (ty.kind(), needs[ty.id().0 as usize]) {
                (Some(kind @ (Kind::Struct | Kind::Union)), Need::Members(_)) => {
                    self.copy_members(&mut builder, ty, kind, members, map);
                }
                _ => {
                    builder.copy(ty, map);
                }
            }
        }
        builder.finish()
    }

    /// Copies a struct or union with those of its members.
    fn copy_members(
        &self,
        builder: &mut Builder,
        ty: Type<'_>,
        kind: Kind,
        members: Option<&BTreeSet<u32>>,
        map: impl Fn(TypeId) -> TypeId,
    ) {
        let stride = kind.elem_size() / 4;
        let is_kept = |index: u32| members.is_some_and(|members| members.contains(&index));
        let count = (0..vlen(ty.info())).filter(|&index| is_kept(index)).count() as u32;
        let mut words = Vec::new();
        for (at, bytes) in ty.bytes().chunks_exact(4).enumerate() {
            let word = self.endian().word(bytes, 0);
            if at.checked_sub(HEAD_WORDS).is_some_and(|tail| !is_kept((tail / stride) as u32)) {
                continue;
            }
            words.push(match (kind.word(at), at) {
                (Word::Name, _) => builder.string(ty.btf().name(crate::StrOff(word)).as_bytes()).0,
                (Word::Type, _) => map(TypeId(word)).0,
                // The flag that says how offsets are stored stays.
                (Word::Plain, 1) => word & 1 << 31 | u32::from(kind_number(word)) << 24 | count,
                (Word::Plain, _) => word,
            });
        }
        builder.raw_record(words);
    }
}
