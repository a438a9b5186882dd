//! Numbers by which objects are found from outside: one table per kind.

use crate::error::Result;
use alloc::sync::Arc;
use alloc::vec::Vec;
use skep_abi::Errno;
use skep_mem::{Host, Locked, Shared, Weak};

/// A number of an object, never 0.
pub(crate) type Id = u32;

/// The objects of one kind by number; they are watched, not kept alive. Numbers rise until they run out, then start
/// over at the lowest free one, as Linux's do (`idr_alloc_cyclic`).
#[derive(Debug)]
pub(crate) struct IdTable<T> {
    inner: Locked<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    /// By number.
    entries: Vec<(Id, Option<Weak<T>>)>,
    next: Id,
}

/// The highest number (`INT_MAX - 1`).
const LAST: Id = i32::MAX as u32 - 1;

impl<T> IdTable<T> {
    pub(crate) fn new(host: &Arc<dyn Host>) -> IdTable<T> {
        IdTable { inner: Locked::new(host, Inner { entries: Vec::new(), next: 1 }) }
    }

    /// Takes a number for an object that is about to be made.
    ///
    /// # Errors
    /// `ENOMEM`; `ENOSPC` where all numbers are taken.
    pub(crate) fn reserve(&self) -> Result<Id> {
        let mut inner = self.inner.lock();
        inner.entries.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let (mut id, mut at) = (inner.next, inner.position(inner.next));
        if inner.entries.len() as u64 >= u64::from(LAST) {
            return Err(Errno::ENOSPC);
        }
        while inner.entries.get(at).is_some_and(|entry| entry.0 == id) || id > LAST {
            (id, at) = if id >= LAST { (1, 0) } else { (id + 1, at + 1) };
        }
        inner.entries.insert(at, (id, None));
        inner.next = if id >= LAST { 1 } else { id + 1 };
        Ok(id)
    }

    /// Lets the object be found under the number that was taken for it.
    pub(crate) fn publish(&self, id: Id, object: &Shared<T>) {
        let mut inner = self.inner.lock();
        let at = inner.position(id);
        if let Some(entry) = inner.entries.get_mut(at).filter(|entry| entry.0 == id) {
            entry.1 = Some(object.downgrade());
        }
    }

    /// Gives a number back; the object's end does it.
    pub(crate) fn release(&self, id: Id) {
        let mut inner = self.inner.lock();
        let at = inner.position(id);
        let entry = match inner.entries.get(at) {
            Some(entry) if entry.0 == id => inner.entries.remove(at),
            _ => return,
        };
        // The watcher frees memory when it goes: not under the lock.
        drop(inner);
        drop(entry);
    }

    /// Finds an object.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn find(&self, id: Id) -> Result<Shared<T>> {
        let inner = self.inner.lock();
        let entry = inner.entries.get(inner.position(id)).filter(|entry| entry.0 == id);
        entry.and_then(|entry| entry.1.as_ref()?.upgrade()).ok_or(Errno::ENOENT)
    }

    /// Gives the number after `id` under which there is an object.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    pub(crate) fn after(&self, id: Id) -> Result<Id> {
        let inner = self.inner.lock();
        let from = inner.position(id.saturating_add(1));
        let mut published = inner.entries[from..].iter().filter(|entry| entry.1.is_some());
        published.next().map(|entry| entry.0).ok_or(Errno::ENOENT)
    }
}

impl<T> Inner<T> {
    fn position(&self, id: Id) -> usize {
        self.entries.partition_point(|entry| entry.0 < id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_mem::testing::TestHost;

    #[test]
    fn numbers_rise_and_are_not_used_again_at_once() {
        let host: Arc<dyn Host> = TestHost::new();
        let table = IdTable::new(&host);
        let first = table.reserve().unwrap();
        let object = Shared::try_new("first").unwrap();
        assert_eq!(table.find(first).err(), Some(Errno::ENOENT));
        assert_eq!(table.after(0), Err(Errno::ENOENT));
        table.publish(first, &object);
        assert_eq!(*table.find(first).unwrap(), "first");
        let second = table.reserve().unwrap();
        table.publish(second, &object);
        assert_eq!((first, second), (1, 2));
        assert_eq!(table.after(0), Ok(1));
        assert_eq!(table.after(1), Ok(2));
        table.release(second);
        assert_eq!(table.after(1), Err(Errno::ENOENT));
        assert_eq!(table.reserve(), Ok(3));
        drop(object);
        assert_eq!(table.find(first).err(), Some(Errno::ENOENT));
    }

    #[test]
    fn numbers_start_over_at_the_lowest_free_one() {
        let host: Arc<dyn Host> = TestHost::new();
        let table = IdTable::<()>::new(&host);
        assert_eq!(table.reserve(), Ok(1));
        assert_eq!(table.reserve(), Ok(2));
        table.release(1);
        table.inner.lock().next = LAST;
        assert_eq!(table.reserve(), Ok(LAST));
        assert_eq!(table.reserve(), Ok(1));
        assert_eq!(table.reserve(), Ok(3));
    }
}
