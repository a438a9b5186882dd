//! The types of a target that may be meant: those of the same name and kind.

use alloc::vec::Vec;

use super::error::CoreError;
use super::name::essential_name;
use super::resolve::{Request, Resolution, resolve_within};
use super::{Budget, number_of};
use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem, Section};
use crate::kind::Kind;
use crate::look::{Filter, Look};
use crate::record::Type;

/// A type of a target that may be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    /// Which of the BTFs that are searched.
    pub source: u32,
    /// Its identifier there.
    pub type_id: TypeId,
}

/// The candidates of all types that an object's relocations start from, and the answers to these.
///
/// A search looks once at every type of a BTF, however many are wanted; local types of one name share what it finds. All
/// answers together may take only so many steps: hostile BTF makes one take half a million.
#[derive(Clone, Debug)]
pub struct Candidates<'l> {
    local: &'l Btf<'l>,
    /// In the order of the local identifiers.
    wanted: Vec<Wanted>,
    /// In the order of names and kinds.
    groups: Vec<Group<'l>>,
    filter: Filter,
    left: Budget,
}

/// One type that is wanted.
#[derive(Clone, Debug)]
struct Wanted {
    local: TypeId,
    /// Position in the list of groups; types without a name have none.
    group: Option<usize>,
    /// Those of the group that had what was asked before, where others did not.
    own: Option<Vec<Candidate>>,
}

/// The local types of one name, but for flavours, and of one kind.
#[derive(Clone, Debug)]
struct Group<'l> {
    key: Key<'l>,
    state: State,
    found: Vec<Candidate>,
}

/// What candidates have in common with the local type: its name without a flavour, and the number of its kind, the same
/// for enumerations of either width.
type Key<'b> = (&'b str, u8);

/// Whether a search still adds to the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Settled,
}

impl<'l> Candidates<'l> {
    /// Begins with the types that are wanted, and no candidates.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`], [`Problem::NoMemory`].
    pub fn new(
        local: &'l Btf<'_>,
        wanted: impl IntoIterator<Item = TypeId>,
    ) -> Result<Candidates<'l>, Error> {
        let no_memory = |_| Error::at(Section::Types, 0, Problem::NoMemory);
        let local: &'l Btf<'l> = local;
        let mut ids: Vec<TypeId> = Vec::new();
        for id in wanted {
            local.ty(id)?;
            ids.try_reserve(1).map_err(no_memory)?;
            ids.push(id);
        }
        ids.sort_unstable();
        ids.dedup();
        let key_of = |id| local.get(id).map(key).filter(|(name, _)| !name.is_empty());
        let mut keys: Vec<Key<'l>> = Vec::new();
        keys.try_reserve_exact(ids.len()).map_err(no_memory)?;
        keys.extend(ids.iter().filter_map(|&id| key_of(id)));
        keys.sort_unstable();
        keys.dedup();
        let wanted = ids.iter().map(|&id| {
            let group = key_of(id).and_then(|key| keys.binary_search(&key).ok());
            Wanted { local: id, group, own: None }
        });
        let wanted = wanted.collect();
        let groups = keys.into_iter().map(|key| Group { key, state: State::Open, found: Vec::new() });
        let (filter, left) = (Filter::EMPTY, Budget::of_an_object());
        let mut made = Candidates { local, wanted, groups: groups.collect(), filter, left };
        made.renew();
        Ok(made)
    }

    /// Adds the types of `btf` that may be meant, its own only where it continues another BTF. `source` is what stands
    /// for it in the candidates.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMemory`].
    pub fn search(&mut self, source: u32, btf: &Btf<'_>) -> Result<(), Error> {
        if !self.is_open() {
            return Ok(());
        }
        btf.look(&mut Look::nothing().candidates(self, source))
    }

    /// Looks at a type of a name that may be wanted.
    pub(crate) fn see(&mut self, source: u32, id: TypeId, number: u8, name: &str) -> Result<(), Error> {
        let key = key_of(number, name);
        let found = self.groups.binary_search_by(|group| group.key.cmp(&key));
        let Some(group) = found.ok().and_then(|at| self.groups.get_mut(at)) else { return Ok(()) };
        if group.state == State::Open {
            group.found.try_reserve(1).map_err(|_| Error::at(Section::Types, 0, Problem::NoMemory))?;
            group.found.push(Candidate { source, type_id: id });
        }
        Ok(())
    }

    /// Ends the search for the types that have a candidate: what the kernel itself has is not looked for in its modules.
    pub fn settle(&mut self) {
        for group in self.groups.iter_mut().filter(|group| !group.found.is_empty()) {
            group.state = State::Settled;
        }
        self.renew();
    }

    /// Whether a further search may add anything.
    pub fn is_open(&self) -> bool {
        self.groups.iter().any(|group| group.state == State::Open)
    }

    /// The candidates of a type that are still asked; none for one that was not wanted.
    pub fn of(&self, local: TypeId) -> Option<&[Candidate]> {
        self.wanted(local).map(|at| self.asked(at))
    }

    /// Answers a relocation, whose type must be a wanted one unless nothing is looked for. `targets` are the BTFs that
    /// [`Candidate::source`] counts; they have been searched before.
    ///
    /// Candidates that do not have what is asked are struck from the list of that type if another does: whoever asks about
    /// the same type again asks only those that had it before, as libbpf does it.
    ///
    /// # Errors
    ///
    /// As [`resolve`](super::resolve()); and [`Problem::TooComplex`] where all answers together have taken too many steps.
    pub fn resolve(&mut self, request: &Request<'_>, targets: &[&Btf<'_>]) -> Result<Resolution, CoreError> {
        let wanted = self.wanted(request.type_id);
        let asked = wanted.map(|at| self.asked(at)).unwrap_or_default();
        let mut budget = self.left.question();
        let answer = resolve_within(self.local, request, targets, asked, &mut budget);
        let asked = asked.len();
        self.left.settle(budget);
        let (resolution, matching) = answer?;
        let is_fewer = !matching.is_empty() && matching.len() < asked;
        if let Some(wanted) = wanted.filter(|_| is_fewer).and_then(|at| self.wanted.get_mut(at)) {
            wanted.own = Some(matching);
        }
        Ok(resolution)
    }

    fn wanted(&self, local: TypeId) -> Option<usize> {
        self.wanted.binary_search_by_key(&local, |wanted| wanted.local).ok()
    }

    fn asked(&self, at: usize) -> &[Candidate] {
        let Some(wanted) = self.wanted.get(at) else { return &[] };
        let group = || Some(&self.groups.get(wanted.group?)?.found);
        wanted.own.as_ref().or_else(group).map(|list| &**list).unwrap_or_default()
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    fn renew(&mut self) {
        self.filter = Filter::EMPTY;
        for group in self.groups.iter().filter(|group| group.state == State::Open) {
            let (name, number) = group.key;
            let own = [number];
            // What follows a short name in the target is its end or a flavour.
            self.filter.add(name.as_bytes(), if ENUMS.contains(&number) { &ENUMS } else { &own }, b"\0_");
        }
    }
}

/// Enumerations of either width may stand for each other.
const ENUMS: [u8; 2] = [Kind::Enum.number(), Kind::Enum64.number()];

fn key(ty: Type<'_>) -> Key<'_> {
    key_of(number_of(ty), ty.name())
}

fn key_of(number: u8, name: &str) -> Key<'_> {
    let number = if ENUMS.contains(&number) { Kind::Enum.number() } else { number };
    (essential_name(name), number)
}
