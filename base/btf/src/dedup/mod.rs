//! Each type once: types that mean the same are merged.
//!
//! The idea is Andrii Nakryiko's ("BTF deduplication and Linux kernel BTF", 2018), the rules are libbpf's
//! (`btf__dedup`): first what refers to nothing, then structs and unions, each compared with those of its name and
//! shape by walking both graphs at once, in which a forward declaration stands for every struct of its name; then what
//! only refers. Three things are different here: two graphs may relate one type to several; a forward declaration
//! stands for one struct alone and is never a reason to merge two that were not compared; and the work is bounded.

mod buckets;
mod composites;
mod forwards;
mod graph;
mod pairs;
mod primitives;
mod references;
mod texts;
mod write;

use alloc::vec::Vec;

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::ext::Ext;
use crate::kind::Kind;
use crate::merge::Renumbered;
use buckets::Buckets;
use graph::Graph;
use pairs::Pairs;

/// What is left of a BTF without duplicates; see [`Btf::dedup`].
#[derive(Clone, Debug)]
pub struct Deduped {
    /// The BTF.
    pub bytes: Vec<u8>,
    /// The `.BTF.ext` that belongs to it, if there was one before.
    pub ext: Option<Vec<u8>>,
    /// What the old types and strings are called in it; strings that nothing refers to are gone.
    pub numbers: Renumbered,
}

impl Btf<'_> {
    /// The same BTF with each type and each string once. Of split BTF, what its base has is taken from there.
    ///
    /// Types are merged that mean the same in C, as libbpf's `btf__dedup` has it: structs and unions of one name and
    /// layout whose members' types are merged as well; forward declarations into the struct, union or enumeration that
    /// they declare, where it is clear which. Variables and sections of variables stay as they are. Strings that neither
    /// a type nor `ext` refers to are left out.
    ///
    /// # Errors
    ///
    /// [`Problem::Loop`] if a type refers to itself through nothing but pointers, qualifiers and the like;
    /// [`Problem::UnknownKind`] if there is a type of which only a layout section tells the size;
    /// [`Problem::TooComplex`] if types of one shape differ in too many ways; [`Problem::NoMemory`].
    pub fn dedup(&self, ext: Option<&Ext<'_>>) -> Result<Deduped, Error> {
        let mut dedup = Dedup::new(self)?;
        dedup.primitives()?;
        dedup.composites()?;
        dedup.forwards()?;
        dedup.references()?;
        dedup.write(ext)
    }
}

/// Not yet merged with anything, nor found to stay.
const OPEN: u32 = u32::MAX;
/// Being looked at; see [`references`].
const ENTERED: u32 = u32::MAX - 1;

/// The steps that each word of the types may cost. Real types cost a few; this bounds what hostile ones do.
const STEPS_PER_WORD: u64 = 256;
/// The steps that may be taken whatever the size.
const STEPS: u64 = 1 << 20;

/// Work in progress.
struct Dedup<'b> {
    graph: Graph<'b>,
    /// By type: what it is merged into, itself if it stays, or [`OPEN`].
    map: Vec<u32>,
    /// Types that stay, by hash; those of the base from the start.
    stayed: Buckets,
    pairs: Pairs,
    /// Declarations that the comparison of two graphs has resolved.
    resolved_now: Vec<u32>,
    /// Steps left.
    steps: u64,
}

impl<'b> Dedup<'b> {
    fn new(btf: &'b Btf<'b>) -> Result<Dedup<'b>, Error> {
        let graph = Graph::new(btf)?;
        let mut map = Vec::new();
        let len = graph.len();
        map.try_reserve_exact(len as usize).map_err(|_| graph.error(0, Problem::NoMemory))?;
        map.extend(0..graph.first());
        map.resize(len as usize, OPEN);
        if let Some(void) = map.first_mut() {
            *void = 0;
        }
        let stayed = Buckets::new(len).map_err(|problem| graph.error(0, problem))?;
        let steps = STEPS.saturating_add(STEPS_PER_WORD * graph.words() as u64);
        let mut dedup =
            Dedup { graph, map, stayed, pairs: Pairs::default(), resolved_now: Vec::new(), steps };
        for id in 1..dedup.graph.first() {
            let hash = dedup.hash(id);
            dedup.stayed.add(hash, id);
        }
        Ok(dedup)
    }

    /// What a type has become so far.
    fn resolve(&self, mut id: u32) -> u32 {
        // Each step leads to what came to stay earlier, or from a declaration to what it declares.
        loop {
            match self.map[id as usize] {
                OPEN | ENTERED => return id,
                next if next == id => return id,
                next => id = next,
            }
        }
    }

    /// Whether it stays, as far as is known.
    fn stays(&self, id: u32) -> bool {
        self.map[id as usize] == id
    }

    fn is_base(&self, id: u32) -> bool {
        id < self.graph.first()
    }

    /// The hash under which a type is looked for: equal for types that may be merged.
    fn hash(&self, id: u32) -> u32 {
        match self.graph.kind(id) {
            Some(Kind::Enum | Kind::Enum64) if self.graph.name(id) != 0 => self.graph.hash_name(id),
            Some(Kind::Struct | Kind::Union) => self.graph.hash_shape(id),
            _ => self.graph.hash_all(id),
        }
    }

    /// Merges a type into an equal one that stays, or lets it stay.
    fn merge_equal(&mut self, id: u32) -> Result<(), Error> {
        let hash = self.hash(id);
        let mut found = id;
        let mut next = self.stayed.first(hash);
        while let Some(candidate) = next {
            next = self.stayed.next(candidate);
            spend(&mut self.steps, 1).map_err(|problem| self.graph.error(id, problem))?;
            if self.stayed.has(candidate, hash) && self.graph.record(candidate) == self.graph.record(id) {
                found = candidate;
                break;
            }
        }
        self.settle(id, found, hash);
        Ok(())
    }

    /// Notes what a type becomes.
    fn settle(&mut self, id: u32, becomes: u32, hash: u32) {
        self.map[id as usize] = becomes;
        if becomes == id {
            self.stayed.add(hash, id);
        }
    }

    fn error(&self, id: u32, problem: Problem) -> Error {
        self.graph.error(id, problem)
    }
}

fn spend(steps: &mut u64, cost: u64) -> Result<(), Problem> {
    *steps = steps.checked_sub(cost).ok_or(Problem::TooComplex)?;
    Ok(())
}

/// The identifier of a position in the graph.
fn type_id(id: u32) -> TypeId {
    TypeId(id)
}
