//! What a look through many places has found of each object, and what could not be looked into.

use skep_abi::Errno;
use skep_sys::{CallError, ObjectKind};
use std::collections::HashMap;

/// What was found of each object.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    by_object: HashMap<(ObjectKind, u32), Vec<T>>,
    hidden: usize,
}

impl<T> Default for Found<T> {
    fn default() -> Found<T> {
        Found { by_object: HashMap::new(), hidden: 0 }
    }
}

impl<T> Found<T> {
    /// Adds what was found of an object.
    pub(super) fn add(&mut self, object: (ObjectKind, u32), what: T) {
        self.by_object.entry(object).or_default().push(what);
    }

    /// Gives what was found of an object.
    pub(super) fn of(&self, kind: ObjectKind, id: u32) -> &[T] {
        self.by_object.get(&(kind, id)).map_or(&[], Vec::as_slice)
    }

    /// Sorts what was found of each object, and leaves out what was found again.
    pub(super) fn sort(&mut self)
    where
        T: Ord,
    {
        for all in self.by_object.values_mut() {
            all.sort_unstable();
            all.dedup();
        }
    }

    /// Passes over a place that is gone, or hidden, which is counted.
    ///
    /// # Errors
    /// Gives back what is wrong besides.
    pub(super) fn pass_over(&mut self, error: CallError) -> Result<(), CallError> {
        match Unseen::of(&error) {
            Some(Unseen::Gone) => {}
            Some(Unseen::Hidden) => self.hidden += 1,
            None => return Err(error),
        }
        Ok(())
    }

    /// The number of places that are hidden.
    pub(super) fn hidden(&self) -> usize {
        self.hidden
    }
}

/// Why there is nothing to be seen at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// It is there no longer: a pin, a process, one of its descriptors.
    Gone,
    /// This process may not look.
    Hidden,
}

impl Unseen {
    /// Tells apart what looking at what others have runs into anyway.
    pub(super) fn of(error: &CallError) -> Option<Unseen> {
        match error.errno() {
            Errno::ENOENT | Errno::ENOTDIR | Errno::ESRCH => Some(Unseen::Gone),
            Errno::EACCES | Errno::EPERM => Some(Unseen::Hidden),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_twice_is_there_once() {
        let mut found = Found::default();
        for what in ["b", "a", "b"] {
            found.add((ObjectKind::Map, 3), what);
        }
        found.sort();
        assert_eq!(found.of(ObjectKind::Map, 3), ["a", "b"]);
        assert!(found.of(ObjectKind::Prog, 3).is_empty() && found.of(ObjectKind::Map, 4).is_empty());
    }

    #[test]
    fn only_what_is_hidden_is_counted() {
        let mut found = Found::<()>::default();
        let mut pass = |errno| found.pass_over(CallError::Errno(errno)).map_err(|error| error.errno());
        for errno in [Errno::ENOENT, Errno::EACCES, Errno::ESRCH, Errno::EPERM, Errno::ENOTDIR] {
            assert_eq!(pass(errno), Ok(()));
        }
        assert_eq!(pass(Errno::ENOMEM), Err(Errno::ENOMEM));
        assert_eq!(found.hidden(), 2);
    }
}
