//! Whoever makes system calls in a test: a sparse memory, a table of files, a set of rights.

use crate::{Caller, Capability, FileObject, Files, Rights, UserFault, UserMemory};
use alloc::vec::Vec;
use skep_abi::Errno;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A caller for tests.
#[derive(Debug, Default)]
pub struct TestCaller {
    /// Its memory.
    pub memory: TestMemory,
    /// Its files.
    pub files: TestFiles,
    /// What it may not do.
    pub denied: Vec<Capability>,
}

impl Caller for TestCaller {
    fn memory(&self) -> &dyn UserMemory {
        &self.memory
    }
    fn files(&self) -> &dyn Files {
        &self.files
    }
    fn rights(&self) -> &dyn Rights {
        self
    }
}

impl Rights for TestCaller {
    fn has(&self, capability: Capability) -> bool {
        !self.denied.contains(&capability)
    }
}

/// Memory of separate areas with nothing between them, so that one byte too many faults.
#[derive(Debug, Default)]
pub struct TestMemory {
    areas: Mutex<BTreeMap<u64, Vec<u8>>>,
}

/// Areas start at multiples of this, so they never touch.
const AREA_STEP: u64 = 1 << 40;

impl TestMemory {
    /// Places `bytes` at an address of their own.
    pub fn place(&self, bytes: &[u8]) -> u64 {
        let mut areas = relock(&self.areas);
        let addr = (areas.len() as u64 + 1) * AREA_STEP + 0x1000;
        areas.insert(addr, bytes.to_vec());
        addr
    }

    /// Gives a copy of the area that was placed at `addr`; empty where none was.
    pub fn area(&self, addr: u64) -> Vec<u8> {
        relock(&self.areas).get(&addr).cloned().unwrap_or_default()
    }

    fn with_area<R>(&self, addr: u64, len: usize, work: impl FnOnce(&mut [u8]) -> R) -> Result<R, UserFault> {
        let mut areas = relock(&self.areas);
        let (base, area) = areas.range_mut(..=addr).next_back().ok_or(UserFault)?;
        let at = usize::try_from(addr - base).map_err(|_| UserFault)?;
        let end = at.checked_add(len).ok_or(UserFault)?;
        Ok(work(area.get_mut(at..end).ok_or(UserFault)?))
    }
}

impl UserMemory for TestMemory {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), UserFault> {
        if into.is_empty() {
            return Ok(());
        }
        self.with_area(addr, into.len(), |area| into.copy_from_slice(area))
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<(), UserFault> {
        if from.is_empty() {
            return Ok(());
        }
        self.with_area(addr, from.len(), |area| area.copy_from_slice(from))
    }

    fn read_str(&self, addr: u64, into: &mut [u8]) -> Result<Option<usize>, UserFault> {
        for i in 0..into.len() {
            self.read(addr.wrapping_add(i as u64), &mut into[i..=i])?;
            if into[i] == 0 {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }
}

/// A table of descriptors, from 3 up, and pins under `/sys/fs/bpf/`.
#[derive(Default)]
pub struct TestFiles {
    open: Mutex<Vec<Option<FileObject>>>,
    pins: Mutex<BTreeMap<Vec<u8>, FileObject>>,
}

impl core::fmt::Debug for TestFiles {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TestFiles({} open)", self.open_count())
    }
}

const FIRST_FD: usize = 3;
const FD_LIMIT: usize = 1024;

impl TestFiles {
    /// Closes `fd`, and tells whether it was open.
    pub fn close(&self, fd: i32) -> bool {
        let object = slot_of(fd).and_then(|slot| relock(&self.open).get_mut(slot).and_then(Option::take));
        object.is_some()
    }

    /// Removes a pin, and tells whether it was there.
    pub fn unpin(&self, path: &[u8]) -> bool {
        let object = relock(&self.pins).remove(path);
        object.is_some()
    }

    /// Gives the number of open descriptors.
    pub fn open_count(&self) -> usize {
        relock(&self.open).iter().flatten().count()
    }
}

fn slot_of(fd: i32) -> Option<usize> {
    usize::try_from(fd).ok()?.checked_sub(FIRST_FD)
}

impl Files for TestFiles {
    fn install(&self, object: FileObject) -> Result<i32, Errno> {
        let mut open = relock(&self.open);
        let free = open.iter().position(Option::is_none).unwrap_or(open.len());
        if free >= FD_LIMIT {
            return Err(Errno::EMFILE);
        }
        if free == open.len() {
            open.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            open.push(None);
        }
        open[free] = Some(object);
        Ok((free + FIRST_FD) as i32)
    }

    fn lookup(&self, fd: i32) -> Result<FileObject, Errno> {
        let open = relock(&self.open);
        let object = slot_of(fd).and_then(|slot| open.get(slot)?.as_ref());
        object.cloned().ok_or(Errno::EBADF)
    }

    fn pin(&self, path: &[u8], object: FileObject) -> Result<(), Errno> {
        if !path.starts_with(b"/sys/fs/bpf/") {
            return Err(Errno::EPERM);
        }
        let mut pins = relock(&self.pins);
        if pins.contains_key(path) {
            return Err(Errno::EEXIST);
        }
        pins.insert(path.to_vec(), object);
        Ok(())
    }

    fn pinned(&self, path: &[u8]) -> Result<FileObject, Errno> {
        relock(&self.pins).get(path).cloned().ok_or(Errno::ENOENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shared;

    #[test]
    fn one_byte_too_many_faults() {
        let memory = TestMemory::default();
        let addr = memory.place(b"abc\0");
        memory.place(b"next");
        assert_eq!(memory.read(addr, &mut [0; 4]), Ok(()));
        assert_eq!(memory.read(addr, &mut [0; 5]), Err(UserFault));
        assert_eq!(memory.read(addr - 1, &mut [0; 1]), Err(UserFault));
        assert_eq!(memory.write(addr + 4, b"x"), Err(UserFault));
        assert_eq!(memory.read_str(addr, &mut [0; 4]), Ok(Some(3)));
        assert_eq!(memory.read_str(addr, &mut [0; 3]), Ok(None));
        assert_eq!(memory.read_str(addr + 4, &mut [0; 3]), Err(UserFault));
    }

    #[test]
    fn descriptors_are_reused_from_the_lowest() {
        let files = TestFiles::default();
        let object: FileObject = Shared::try_new(7u32).unwrap().into_any();
        assert_eq!(files.install(object.clone()), Ok(3));
        assert_eq!(files.install(object.clone()), Ok(4));
        assert!(files.close(3));
        assert!(!files.close(3));
        assert_eq!(files.lookup(3).err(), Some(Errno::EBADF));
        assert_eq!(files.install(object), Ok(3));
        assert_eq!(files.lookup(0).err(), Some(Errno::EBADF));
    }
}
