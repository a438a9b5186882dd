//! What a program was verified against: the verdict holds where all of it is the same, and nowhere else.

use crate::rejection::{Rejection, no_memory};
use crate::subject::{MapProto, Special, Subject};
use alloc::vec::Vec;
use core::fmt;
use skep_abi::{AttachType, FuncId, MapType, ProgType};
use skep_isa::{Insn, Program};
use skep_model::platform::helper::{Caller, Licence, Prototype};
use skep_model::platform::version::Version;

/// Names what a program was verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    version: Version,
    kind: ProgType,
    attach: AttachType,
    licence: Licence,
    cpus: u32,
    helpers: Vec<(FuncId, &'static Prototype)>,
    maps: Vec<Bound>,
}

/// A map, with all of it that a verdict may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    kind: MapType,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: Option<usize>,
    frozen: Option<Vec<u8>>,
    special: Vec<Special>,
}

/// Says what is not as it was when a program was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The version of the platform.
    Version,
    /// The program's type, or the attach type that it expects.
    Kind,
    /// Its licence.
    Licence,
    /// How many CPUs are possible.
    Cpus,
    /// What a helper wants, does or returns.
    Helper(FuncId),
    /// A map's shape or its flags, by its position.
    Map(usize),
    /// The contents of a map that is frozen, by its position.
    Frozen(usize),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Version => f.write_str("the platform is of another version"),
            Difference::Kind => f.write_str("the program has another type, or expects another attach type"),
            Difference::Licence => f.write_str("the program has another licence"),
            Difference::Cpus => f.write_str("there may be more CPUs"),
            Difference::Helper(id) => write!(f, "helper {} has another prototype", id.0),
            Difference::Map(map) => write!(f, "map {map} is another one"),
            Difference::Frozen(map) => write!(f, "map {map} holds something else"),
        }
    }
}

impl core::error::Error for Difference {}

impl Binding {
    pub(crate) fn of(subject: &Subject<'_>, program: &Program) -> Result<Binding, Rejection> {
        let mut helpers: Vec<(FuncId, &'static Prototype)> = Vec::new();
        for (_, insn) in program.iter() {
            let Insn::CallHelper { id } = insn else { continue };
            let id = FuncId(id);
            if helpers.iter().any(|(known, _)| *known == id) {
                continue;
            }
            // What is called where control never comes need not be there.
            if let Some(prototype) = prototype(subject, id) {
                helpers.try_reserve(1).map_err(|_| no_memory())?;
                helpers.push((id, prototype));
            }
        }
        let mut maps = Vec::new();
        maps.try_reserve_exact(subject.maps.len()).map_err(|_| no_memory())?;
        for map in subject.maps {
            maps.push(bound(map)?);
        }
        let Subject { kind, attach, licence, cpus, .. } = *subject;
        Ok(Binding { version: subject.platform.version, kind, attach, licence, cpus, helpers, maps })
    }

    /// Compares with what the program is to run with.
    ///
    /// # Errors
    ///
    /// The first [`Difference`].
    pub fn check(&self, subject: &Subject<'_>) -> Result<(), Difference> {
        let same = |same: bool, difference| if same { Ok(()) } else { Err(difference) };
        same(self.version == subject.platform.version, Difference::Version)?;
        same((self.kind, self.attach) == (subject.kind, subject.attach), Difference::Kind)?;
        same(self.licence == subject.licence, Difference::Licence)?;
        same(subject.cpus <= self.cpus, Difference::Cpus)?;
        for (id, wanted) in &self.helpers {
            let found = prototype(subject, *id);
            same(found.is_some_and(|found| found == *wanted), Difference::Helper(*id))?;
        }
        // More maps than there were are nobody's.
        for (at, wanted) in self.maps.iter().enumerate() {
            let Some(found) = subject.maps.get(at) else { return Err(Difference::Map(at)) };
            same(wanted.has_shape_of(found), Difference::Map(at))?;
            let frozen = match (&wanted.frozen, found.frozen) {
                (Some(wanted), Some(found)) => wanted.as_slice() == found,
                // Nothing was relied on.
                (None, _) => true,
                (Some(_), None) => false,
            };
            same(frozen, Difference::Frozen(at))?;
        }
        Ok(())
    }
}

impl Bound {
    fn has_shape_of(&self, map: &MapProto<'_>) -> bool {
        let mine = (self.kind, self.key_size, self.value_size, self.max_entries, self.flags, self.inner);
        mine == (map.kind, map.key_size, map.value_size, map.max_entries, map.flags, map.inner)
            && self.special == map.special
    }
}

fn bound(map: &MapProto<'_>) -> Result<Bound, Rejection> {
    let frozen = map.frozen.map(copy).transpose()?;
    let MapProto { kind, key_size, value_size, max_entries, flags, inner, special, .. } = *map;
    Ok(Bound { kind, key_size, value_size, max_entries, flags, inner, frozen, special: copy(special)? })
}

fn copy<T: Copy>(list: &[T]) -> Result<Vec<T>, Rejection> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(list.len()).map_err(|_| no_memory())?;
    copy.extend_from_slice(list);
    Ok(copy)
}

fn prototype(subject: &Subject<'_>, id: FuncId) -> Option<&'static Prototype> {
    let caller = Caller { attach: Some(subject.attach), ..Caller::of(subject.kind, subject.licence) };
    subject.platform.call_by(id, &caller).ok().map(|(_, prototype)| prototype)
}
