//! What refers to nothing: integers, floats, enumerations, forward declarations.

use super::{Dedup, spend};
use crate::error::Error;
use crate::kind::Kind;

impl Dedup<'_> {
    /// Merges what refers to nothing; variables and sections of them stay.
    pub(super) fn primitives(&mut self) -> Result<(), Error> {
        for id in self.graph.first()..self.graph.len() {
            match self.graph.kind(id) {
                Some(Kind::Int | Kind::Float | Kind::Fwd) => self.merge_equal(id)?,
                Some(Kind::Enum | Kind::Enum64) => self.enumeration(id)?,
                Some(Kind::Var | Kind::Datasec) => self.map[id as usize] = id,
                _ => {}
            }
        }
        Ok(())
    }

    /// An enumeration without values only declares one, of whichever width (`btf_compat_enum`).
    fn enumeration(&mut self, id: u32) -> Result<(), Error> {
        let hash = self.hash(id);
        let mut found = id;
        let mut next = self.stayed.first(hash);
        while let Some(candidate) = next {
            next = self.stayed.next(candidate);
            spend(&mut self.steps, 1).map_err(|problem| self.graph.error(id, problem))?;
            if !self.stayed.has(candidate, hash) {
                continue;
            }
            if self.graph.record(candidate) == self.graph.record(id) {
                found = candidate;
                break;
            }
            if !self.declares(id, candidate) {
                continue;
            }
            if self.is_enum_declaration(id) {
                found = candidate;
                break;
            }
            if self.stays(candidate) {
                self.map[candidate as usize] = id;
            }
        }
        self.settle(id, found, hash);
        Ok(())
    }

    /// Whether one of two enumerations is but a declaration of the other.
    pub(super) fn declares(&self, a: u32, b: u32) -> bool {
        let is_enum = |id| matches!(self.graph.kind(id), Some(Kind::Enum | Kind::Enum64));
        let is_declared = self.is_enum_declaration(a) || self.is_enum_declaration(b);
        is_enum(a) && is_enum(b) && is_declared && self.graph.name(a) == self.graph.name(b)
    }

    fn is_enum_declaration(&self, id: u32) -> bool {
        self.graph.flag_and_len(id).1 == 0 && self.graph.name(id) != 0
    }
}
