//! Descriptors and pins: one table of each, for the one caller.

use super::sleep::might_sleep;
use crate::quiet::Quiet;
use alloc::vec::Vec;
use skep_abi::Errno;
use skep_mem::{FileObject, Files};

/// The lowest descriptor given; callers expect 0 to 2 to be something else.
const FIRST: usize = 3;
/// How many may be open.
const MOST: usize = 64;
/// Where the BPF file system would be mounted.
const MOUNT: &[u8] = b"/sys/fs/bpf/";

/// Open descriptors and pinned objects.
#[derive(Debug, Default)]
pub(crate) struct FileTable {
    open: Quiet<Vec<Option<FileObject>>>,
    pins: Quiet<Vec<(Vec<u8>, FileObject)>>,
}

fn slot(fd: i32) -> Option<usize> {
    usize::try_from(fd).ok()?.checked_sub(FIRST)
}

impl FileTable {
    /// Takes a descriptor back, and gives what it meant, for the caller to drop.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn remove(&self, fd: i32) -> Result<FileObject, Errno> {
        self.open.with(|open| slot(fd).and_then(|slot| open.get_mut(slot)?.take())).ok_or(Errno::EBADF)
    }

    /// Takes a pin away, and gives what it held.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn unpin(&self, path: &[u8]) -> Result<FileObject, Errno> {
        let taken = self.pins.with(|pins| {
            let at = pins.iter().position(|(known, _)| known == path)?;
            Some(pins.swap_remove(at))
        });
        taken.map(|(_, object)| object).ok_or(Errno::ENOENT)
    }

    /// Gives the number of open descriptors.
    pub(crate) fn open_count(&self) -> usize {
        self.open.with(|open| open.iter().flatten().count())
    }
}

impl Files for FileTable {
    fn install(&self, object: FileObject) -> Result<i32, Errno> {
        might_sleep();
        self.open.with(|open| {
            let free = open.iter().position(Option::is_none).unwrap_or(open.len());
            if free >= MOST {
                return Err(Errno::EMFILE);
            }
            if free == open.len() {
                open.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                open.push(None);
            }
            open[free] = Some(object);
            Ok((free + FIRST) as i32)
        })
    }

    fn lookup(&self, fd: i32) -> Result<FileObject, Errno> {
        might_sleep();
        self.open.with(|open| slot(fd).and_then(|slot| open.get(slot)?.clone())).ok_or(Errno::EBADF)
    }

    fn pin(&self, path: &[u8], object: FileObject) -> Result<(), Errno> {
        might_sleep();
        let Some(name) = path.strip_prefix(MOUNT) else { return Err(Errno::EPERM) };
        if name.is_empty() || name.contains(&b'/') {
            return Err(Errno::ENOENT);
        }
        self.pins.with(|pins| {
            if pins.iter().any(|(known, _)| known == path) {
                return Err(Errno::EEXIST);
            }
            let mut kept = Vec::new();
            kept.try_reserve_exact(path.len()).map_err(|_| Errno::ENOMEM)?;
            kept.extend_from_slice(path);
            pins.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            pins.push((kept, object));
            Ok(())
        })
    }

    fn pinned(&self, path: &[u8]) -> Result<FileObject, Errno> {
        might_sleep();
        let found = |pins: &mut Vec<(Vec<u8>, FileObject)>| {
            pins.iter().find(|(known, _)| known == path).map(|(_, object)| object.clone())
        };
        self.pins.with(found).ok_or(Errno::ENOENT)
    }
}
