//! Descriptors: small numbers for open objects.

use crate::host::relock;
use skep_abi::Errno;
use skep_mem::FileObject;
use std::sync::Mutex;

/// The lowest number given: 0 to 2 are the standard streams' everywhere, and a program that prints must never hit a map.
const FIRST: usize = 3;

/// The open descriptors of one kernel.
#[derive(Debug)]
pub(super) struct Table {
    open: Mutex<Vec<Option<FileObject>>>,
    most: usize,
}

fn slot(fd: i32) -> Option<usize> {
    usize::try_from(fd).ok()?.checked_sub(FIRST)
}

impl Table {
    pub(super) fn new(most: usize) -> Table {
        Table { open: Mutex::default(), most }
    }

    /// Gives the lowest free number.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub(super) fn install(&self, object: FileObject) -> Result<i32, Errno> {
        let mut open = relock(&self.open);
        let free = open.iter().position(Option::is_none).unwrap_or(open.len());
        let number = i32::try_from(free + FIRST).map_err(|_| Errno::EMFILE)?;
        if free >= self.most {
            return Err(Errno::EMFILE);
        }
        if free == open.len() {
            open.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            open.push(None);
        }
        open[free] = Some(object);
        Ok(number)
    }

    /// Finds what a number means.
    ///
    /// # Errors
    /// `EBADF`.
    pub(super) fn lookup(&self, fd: i32) -> Result<FileObject, Errno> {
        let open = relock(&self.open);
        slot(fd).and_then(|slot| open.get(slot)?.clone()).ok_or(Errno::EBADF)
    }

    /// Takes a number back, and what it meant, for the caller to drop while nothing is locked.
    ///
    /// # Errors
    /// `EBADF`.
    pub(super) fn remove(&self, fd: i32) -> Result<FileObject, Errno> {
        let mut open = relock(&self.open);
        slot(fd).and_then(|slot| open.get_mut(slot)?.take()).ok_or(Errno::EBADF)
    }

    /// Gives the number of open descriptors.
    pub(super) fn count(&self) -> usize {
        relock(&self.open).iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_mem::Shared;

    #[test]
    fn the_lowest_free_number_is_given() {
        let table = Table::new(2);
        let object = || Shared::try_new(7u32).unwrap().into_any();
        assert_eq!((table.install(object()), table.install(object())), (Ok(3), Ok(4)));
        assert_eq!(table.install(object()), Err(Errno::EMFILE));
        assert!(table.remove(3).is_ok());
        assert_eq!(table.remove(3).err(), Some(Errno::EBADF));
        assert_eq!((table.count(), table.install(object())), (1, Ok(3)));
        for fd in [-1, 0, 2, 5, i32::MAX, i32::MIN] {
            assert_eq!(table.lookup(fd).err(), Some(Errno::EBADF));
        }
    }
}
