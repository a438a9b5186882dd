//! PROG_ARRAY and PERF_EVENT_ARRAY: kernel objects by index. User space stores descriptors, which the kernel resolves
//! (kernel/bpf/arraymap.c, `fd_array_map_*`).

use crate::map::sized;
use crate::{Map, MapDef, array};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use skep_abi::flags::BPF_ANY;
use skep_abi::{Errno, MapType};
use skep_mem::{Bytes, FileObject, Host, OnCpu, RcuArray, RcuRef, Shared, try_box};

/// Makes an array of objects.
pub(crate) fn make(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    let entries = Shared::try_new(RcuArray::new(host, def.max_entries as usize)?)?;
    Ok(try_box(Objects { def: *def, entries })?)
}

/// What an element holds.
#[derive(Clone)]
pub struct Entry {
    /// The object.
    pub object: FileObject,
    /// Its id, which look-ups of a PROG_ARRAY by system call give.
    pub id: u32,
    /// A number of the open file through which it was stored, for [`Objects::remove_where`].
    pub owner: u64,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry(id {})", self.id)
    }
}

/// An array of objects.
#[derive(Debug)]
pub struct Objects {
    def: MapDef,
    entries: Shared<RcuArray<Entry>>,
}

impl Objects {
    /// Finds what is at `index`, and keeps it from being freed meanwhile.
    pub fn read(&self, index: u32) -> Option<RcuRef<'_, Entry>> {
        self.entries.read(index as usize)
    }

    /// Gives what it holds, for those who look often.
    pub fn entries(&self) -> &Shared<RcuArray<Entry>> {
        &self.entries
    }

    /// Gives the number of places.
    pub fn len(&self) -> u32 {
        self.def.max_entries
    }

    /// Tells whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        (0..self.len()).all(|index| self.read(index).is_none())
    }

    /// Stores what `resolve` makes of the descriptor, which is called once the rest has been checked.
    ///
    /// # Errors
    /// `EINVAL` for any flag; `E2BIG` where the index is outside; what `resolve` says; `ENOMEM`.
    pub fn store(
        &self,
        key: Bytes<'_>,
        flags: u64,
        resolve: impl FnOnce() -> Result<Entry, Errno>,
    ) -> Result<(), Errno> {
        if flags != BPF_ANY {
            return Err(Errno::EINVAL);
        }
        let index = self.index(key)?;
        self.entries.replace(index, Some(resolve()?))?;
        Ok(())
    }

    /// Removes the entries for which `is_meant` says so: all of them when the last user of a PROG_ARRAY is gone,
    /// which ends cycles of programs and maps; those of a file when a PERF_EVENT_ARRAY's file is closed, unless
    /// `BPF_F_PRESERVE_ELEMS`.
    pub fn remove_where(&self, mut is_meant: impl FnMut(&Entry) -> bool) {
        for index in 0..self.entries.count() {
            if self.entries.read(index).is_some_and(|entry| is_meant(&entry)) {
                // Removing allocates nothing, so it does not fail.
                let _ = self.entries.replace(index, None);
            }
        }
    }

    fn index(&self, key: Bytes<'_>) -> Result<usize, Errno> {
        let index = sized(key, 4)?.load_u32(0).map_err(|_| Errno::EINVAL)?;
        match index < self.def.max_entries {
            true => Ok(index as usize),
            false => Err(Errno::E2BIG),
        }
    }
}

impl Map for Objects {
    fn def(&self) -> &MapDef {
        &self.def
    }

    fn mem_usage(&self) -> u64 {
        (size_of::<Objects>() + self.entries.count() * size_of::<usize>()) as u64
    }

    fn delete(&self, _on: &OnCpu<'_>, key: Bytes<'_>) -> Result<(), Errno> {
        match self.entries.replace(self.index(key)?, None) {
            Ok(true) => Ok(()),
            _ => Err(Errno::ENOENT),
        }
    }

    fn sys_lookup(&self, _on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        crate::values::check_lookup_flags(flags)?;
        if self.def.map_type != MapType::PROG_ARRAY {
            return Err(Errno::ENOTSUPP);
        }
        let index = self.index(key).map_err(|_| Errno::ENOENT)?;
        let id = self.entries.read(index).ok_or(Errno::ENOENT)?.id;
        sized(into, 4)?.store_u32(0, id).map_err(|_| Errno::EINVAL)
    }

    fn sys_next_key(&self, _on: &OnCpu<'_>, key: Option<Bytes<'_>>, next: Bytes<'_>) -> Result<(), Errno> {
        array::next_index(self.def.max_entries, key, next)
    }

    fn objects(&self) -> Option<&Objects> {
        Some(self)
    }
}
