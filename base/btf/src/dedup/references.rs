//! What only refers to others: pointers, arrays, typedefs, prototypes, tags. Merged once all that they refer to is.

use alloc::vec::Vec;

use super::{Dedup, ENTERED, OPEN};
use crate::error::{Error, Problem};

/// One step of the walk.
enum Step {
    Enter(u32),
    Leave(u32),
}

impl Dedup<'_> {
    /// Merges what only refers to others.
    pub(super) fn references(&mut self) -> Result<(), Error> {
        let mut steps: Vec<Step> = Vec::new();
        for id in self.graph.first()..self.graph.len() {
            self.push(&mut steps, Step::Enter(id))?;
            while let Some(step) = steps.pop() {
                match step {
                    Step::Enter(id) => self.enter(&mut steps, id)?,
                    Step::Leave(id) => self.leave(id)?,
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, steps: &mut Vec<Step>, id: u32) -> Result<(), Error> {
        if self.map[id as usize] != OPEN {
            return Ok(());
        }
        self.map[id as usize] = ENTERED;
        self.push(steps, Step::Leave(id))?;
        let open = steps.len();
        for target in self.graph.targets(id) {
            match self.map[target as usize] {
                OPEN => {
                    steps.try_reserve(1).map_err(|_| self.error(id, Problem::NoMemory))?;
                    steps.push(Step::Enter(target));
                }
                // What was entered and not left lies on the way here.
                ENTERED => return Err(self.error(id, Problem::Loop)),
                _ => {}
            }
        }
        // The first target first, so that numbers come in the order of the records.
        steps[open..].reverse();
        Ok(())
    }

    fn leave(&mut self, id: u32) -> Result<(), Error> {
        let Some(kind) = self.graph.kind(id) else { return Ok(()) };
        for at in kind.type_words(self.graph.record(id).len()) {
            let target = self.resolve(self.graph.record(id)[at]);
            self.graph.record_mut(id)[at] = target;
        }
        self.merge_equal(id)
    }

    fn push(&self, steps: &mut Vec<Step>, step: Step) -> Result<(), Error> {
        steps.try_reserve(1).map_err(|_| self.error(0, Problem::NoMemory))?;
        steps.push(step);
        Ok(())
    }
}
