//! Structs and unions: equal if walking the graphs behind both finds no difference.

use super::{Dedup, OPEN, spend};
use crate::error::{Error, Problem};
use crate::kind::Kind;

/// What comparing two graphs found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Different,
    Equal,
    /// Equal, if a declaration in the base were what this BTF has of that name; but a base is never changed.
    EqualButForBase,
}

impl Dedup<'_> {
    /// Merges structs and unions.
    pub(super) fn composites(&mut self) -> Result<(), Error> {
        for id in self.graph.first()..self.graph.len() {
            if self.is_composite(id) && self.map[id as usize] == OPEN {
                self.composite(id).map_err(|problem| self.error(id, problem))?;
            }
        }
        Ok(())
    }

    pub(super) fn is_composite(&self, id: u32) -> bool {
        matches!(self.graph.kind(id), Some(Kind::Struct | Kind::Union))
    }

    fn composite(&mut self, id: u32) -> Result<(), Problem> {
        let hash = self.hash(id);
        let mut next = self.stayed.first(hash);
        while let Some(candidate) = next {
            next = self.stayed.next(candidate);
            spend(&mut self.steps, 1)?;
            if !self.stayed.has(candidate, hash) {
                continue;
            }
            spend(&mut self.steps, self.graph.record(id).len() as u64)?;
            if !self.graph.same_shape(id, candidate) {
                continue;
            }
            match self.compare(id, candidate)? {
                // What was taken for what it declares is a mere declaration again.
                Found::Different => {
                    for declaration in self.resolved_now.drain(..) {
                        self.map[declaration as usize] = declaration;
                    }
                }
                Found::EqualButForBase => {}
                Found::Equal => {
                    self.merge_pairs();
                    self.map[id as usize] = candidate;
                    return Ok(());
                }
            }
        }
        self.settle(id, id, hash);
        Ok(())
    }

    /// Walks two graphs at once. The first of each pair is of the new one, the second of the one that stays. Declarations
    /// in one become what the other has in their place at once, so that each is of one struct.
    fn compare(&mut self, new: u32, old: u32) -> Result<Found, Problem> {
        self.resolved_now.clear();
        self.pairs.clear();
        self.pairs.add((new, old))?;
        let mut found = Found::Equal;
        while let Some((new, old)) = self.pairs.next() {
            spend(&mut self.steps, 1)?;
            if self.is_base(old) && self.is_declaration(old) && self.is_composite(new) {
                found = Found::EqualButForBase;
            }
            let (a, b) = (self.declared(new), self.declared(old));
            if self.resolve(a) == self.resolve(b) {
                continue;
            }
            let (Some(a_kind), Some(b_kind)) = (self.graph.kind(a), self.graph.kind(b)) else {
                return Ok(Found::Different);
            };
            if (a_kind == Kind::Fwd) != (b_kind == Kind::Fwd) {
                let (declaration, composite) = if a_kind == Kind::Fwd { (a, b) } else { (b, a) };
                if !self.may_declare(declaration, composite) {
                    return Ok(Found::Different);
                }
                self.resolved_now.try_reserve(1).map_err(|_| Problem::NoMemory)?;
                self.resolved_now.push(declaration);
                self.map[declaration as usize] = self.resolve(composite);
                continue;
            }
            if self.declares(a, b) {
                continue;
            }
            spend(&mut self.steps, self.graph.record(a).len() as u64)?;
            if !self.graph.same_shape(a, b) {
                return Ok(Found::Different);
            }
            for pair in self.graph.targets(a).zip(self.graph.targets(b)) {
                self.pairs.add(pair)?;
            }
        }
        Ok(found)
    }

    fn is_declaration(&self, id: u32) -> bool {
        self.graph.kind(id) == Some(Kind::Fwd)
    }

    /// What a forward declaration has been found to declare or been merged into, or the type itself.
    fn declared(&self, id: u32) -> u32 {
        if self.is_declaration(id) { self.resolve(id) } else { id }
    }

    /// Whether a forward declaration may stand for a struct or union.
    pub(super) fn may_declare(&self, declaration: u32, composite: u32) -> bool {
        let kind = match self.graph.flag_and_len(declaration).0 {
            false => Kind::Struct,
            true => Kind::Union,
        };
        let name = self.graph.name(declaration);
        self.graph.kind(composite) == Some(kind) && name != 0 && self.graph.name(composite) == name
    }

    /// Merges the structs and unions of two graphs that were found equal, each with the one that it was compared with.
    fn merge_pairs(&mut self) {
        for index in 0..self.pairs.all().len() {
            let (a, b) = self.pairs.all()[index];
            let b = self.declared(b);
            let is_new = self.is_composite(a) && self.map[a as usize] == OPEN;
            if is_new && self.is_composite(b) && self.map[b as usize] != OPEN {
                self.map[a as usize] = self.resolve(b);
            }
        }
    }
}
